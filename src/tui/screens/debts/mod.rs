//! Debts (F2): every disclosed key that is owed a replacement, and those just paid.

mod detail;
mod list;
#[cfg(test)]
mod tests;

use super::{
    super::{
        canvas::Canvas,
        field::Field,
        keymap::{Action, Place},
        model::Model,
    },
    Page, card, evidence,
};
use crate::domain::{
    debt::{Debt, DebtId},
    evidence::Subject,
    recovery_password::blocks_in,
    timeline::Step,
    work::{
        Failure, Request,
        debts::{How, Settle},
    },
};
use detail::Detail;

#[derive(Debug, Default)]
pub struct DebtsPage {
    /// The line with the bar, and the debt that stood there: another that moves there is not meant.
    at: usize,
    chosen: Option<DebtId>,
    /// What is being typed about a debt.
    typing: Option<Typing>,
    /// The debt whose steps are shown.
    detail: Option<Box<Detail>>,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Typing {
    debt: DebtId,
    about: About,
    field: Field,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Why a debt is to be waived.
    Waive,
    /// How somebody knows that the key was replaced.
    Confirm,
}

impl DebtsPage {
    pub fn place(&self) -> Place {
        match (&self.typing, &self.detail) {
            (Some(Typing { about: About::Waive, .. }), _) => Place::Waive,
            (Some(Typing { about: About::Confirm, .. }), _) => Place::Confirm,
            (None, Some(_)) => Place::Debt,
            (None, None) => Place::Debts,
        }
    }

    pub fn field(&mut self) -> Option<&mut Field> {
        self.typing.as_mut().map(|typing| &mut typing.field)
    }

    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    pub fn failed(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }

    /// The steps of a debt came.
    pub fn history(&mut self, debt: DebtId, steps: Vec<Step>) {
        if let Some(detail) = self.detail.as_mut().filter(|detail| detail.is_of(debt)) {
            detail.steps = Some(steps);
        }
    }
}

/// The debts have changed: what is shown of one is asked for again.
pub fn renewed(model: &mut Model) {
    let Some(Page::Debts(page)) = model.pages.last_mut() else { return };
    let Some(detail) = &mut page.detail else { return };
    let now = model.debts.iter().find(|debt| detail.is_of(debt.id));
    if let Some(debt) = now.filter(|debt| **debt != detail.debt) {
        // What was chosen was chosen among others.
        if detail::candidates(debt) != detail::candidates(&detail.debt) {
            detail.chosen = None;
        }
        detail.debt = debt.clone();
        let id = debt.id;
        model.ask(Request::History(id));
    }
}

/// The urgent first, then the oldest; then those that ended, the newest first.
fn listed(model: &Model) -> Vec<&Debt> {
    let (mut open, mut ended): (Vec<&Debt>, Vec<&Debt>) = model.debts.iter().partition(|debt| debt.is_open());
    open.sort_by_key(|debt| (!debt.is_urgent(), debt.since));
    ended.sort_by_key(|debt| std::cmp::Reverse(debt.since));
    open.extend(ended);
    open
}

/// The line with the bar.
fn line(page: &DebtsPage, debts: &[&Debt]) -> usize {
    let chosen = page.chosen.and_then(|id| debts.iter().position(|debt| debt.id == id));
    chosen.unwrap_or(page.at).min(debts.len().saturating_sub(1))
}

/// The debt that keys act on.
fn selected(model: &Model) -> Option<&Debt> {
    let Some(Page::Debts(page)) = model.pages.last() else { return None };
    if let Some(detail) = &page.detail {
        return model.debts.iter().find(|debt| detail.is_of(debt.id)).or(Some(&detail.debt));
    }
    let listed = listed(model);
    listed.get(line(page, &listed)).copied()
}

/// What a key cannot do for a debt, and why not.
fn why_not(model: &Model, debt: &Debt, action: Action) -> Option<&'static str> {
    let elsewhere = !model.session.follows(debt.tenant);
    match action {
        _ if !debt.is_open() => Some("ended"),
        _ if elsewhere => Some("other tenant"),
        Action::TryAgain if debt.is_by_hand() => Some("by hand"),
        Action::Hold if debt.is_urgent() || shares_an_urgent_rotation(model, debt) => Some("urgent"),
        Action::Hold if debt.rotation.is_none() => Some("nothing to send"),
        Action::TryAgain | Action::Hold if debt.is_sent() && debt.is_unsent() => Some("being sent"),
        Action::TryAgain | Action::Hold if debt.is_sent() => Some("sent"),
        Action::Confirm if debt.doubted().is_none() && !debt.is_by_hand() => Some("nothing to compare"),
        _ => None,
    }
}

/// What is to pay this debt pays one that cannot wait.
fn shares_an_urgent_rotation(model: &Model, debt: &Debt) -> bool {
    let id = |debt: &Debt| debt.rotation.as_ref().map(|rotation| rotation.id);
    id(debt).is_some() && model.debts.iter().any(|other| other.is_urgent() && id(other) == id(debt))
}

pub fn act(model: &mut Model, action: Action) {
    let Some(Page::Debts(page)) = model.pages.last_mut() else { return };
    page.failure = None;
    if page.typing.is_some() {
        return act_on_words(model, action);
    }
    let about = selected(model).map(|debt| (debt.clone(), why_not(model, debt, action).is_none()));
    match (action, about) {
        (Action::TryAgain, Some((debt, true))) => settle(model, debt.id, How::Retry),
        (Action::Hold, Some((debt, true))) => settle(model, debt.id, How::Hold),
        (Action::Waive, Some((debt, true))) => begin(model, debt.id, About::Waive),
        (Action::Confirm, Some((debt, true))) => begin(model, debt.id, About::Confirm),
        (Action::Evidence, Some((debt, _))) => evidence::ask(model, Subject::Debt(debt.id)),
        (action, _) if is_detailed(model) => detail::act(model, action),
        (Action::GoOn, Some((debt, _))) => detail::open(model, debt),
        (Action::Back, _) => {
            model.pages.pop();
        }
        (action, _) => choose(model, action),
    }
}

fn is_detailed(model: &Model) -> bool {
    matches!(model.pages.last(), Some(Page::Debts(page)) if page.detail.is_some())
}

/// Moves the bar.
fn choose(model: &mut Model, action: Action) {
    let Some(Page::Debts(page)) = model.pages.last() else { return };
    let debts = listed(model);
    let (at, last) = (line(page, &debts), debts.len().saturating_sub(1));
    let to = match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => (at + 1).min(last),
        Action::Number(n) if n <= debts.len() => n - 1,
        moves => card::moved(moves, at, last).unwrap_or(at),
    };
    let chosen = debts.get(to).map(|debt| debt.id);
    if let Some(Page::Debts(page)) = model.pages.last_mut() {
        (page.at, page.chosen) = (to, chosen);
    }
}

fn begin(model: &mut Model, debt: DebtId, about: About) {
    if let Some(Page::Debts(page)) = model.pages.last_mut() {
        page.typing = Some(Typing { debt, about, field: Field::default() });
    }
}

fn act_on_words(model: &mut Model, action: Action) {
    let Some(Page::Debts(page)) = model.pages.last_mut() else { return };
    let Some(typing) = &page.typing else { return };
    let words = typing.field.text().trim().to_owned();
    let debt = typing.debt;
    match (action, typing.about) {
        (Action::GoOn, _) if words.is_empty() => {}
        // What was typed stays, and the prompt says why.
        (Action::GoOn, _) if !blocks_in(&words).is_empty() => {}
        (Action::GoOn, About::Waive) => {
            page.typing = None;
            settle(model, debt, How::Waive { reason: words });
        }
        (Action::GoOn, About::Confirm) => {
            page.typing = None;
            // Without a key of its own it is the one that waits to be compared.
            settle(model, debt, How::Confirm { new_key: None, how: words });
        }
        (Action::Back, _) => page.typing = None,
        _ => {}
    }
}

fn settle(model: &mut Model, debt: DebtId, how: How) {
    model.ask(Request::SettleDebt(Settle { debt, how }));
}

pub fn view(model: &Model, canvas: &mut Canvas, page: &DebtsPage) {
    match &page.detail {
        Some(detail) => detail::view(model, canvas, page, detail),
        None => list::view(model, canvas, page),
    }
}
