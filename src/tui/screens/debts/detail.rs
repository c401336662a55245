//! One debt: what it waits for, the laptops to choose among, and every step it took, the newest first.

use super::{
    super::super::{
        canvas::{Canvas, wrap},
        footer::Hint,
        keymap::Action,
        model::Model,
        skeleton::{self, Layout},
        theme::Role,
    },
    DebtsPage, Page, card, list, settle, why_not,
};
use crate::domain::{
    age,
    debt::{Candidate, Debt, DebtId, RotationState},
    moment::since,
    timeline::Step,
    work::{Request, debts::How},
};

#[derive(Debug)]
pub(super) struct Detail {
    /// As it was when its steps were asked for.
    pub(super) debt: Debt,
    pub(super) steps: Option<Vec<Step>>,
    /// The first step shown, from the newest.
    first: usize,
    /// The laptop that is chosen.
    pub(super) chosen: Option<usize>,
}

impl Detail {
    pub(super) fn is_of(&self, debt: DebtId) -> bool {
        self.debt.id == debt
    }
}

/// The laptops to choose among, if that is the question.
pub(super) fn candidates(debt: &Debt) -> &[Candidate] {
    match debt.rotation.as_ref().map(|rotation| &rotation.state) {
        Some(RotationState::Blocked { why, .. }) if debt.is_open() => why.candidates(),
        _ => &[],
    }
}

pub(super) fn open(model: &mut Model, debt: Debt) {
    let id = debt.id;
    if let Some(Page::Debts(page)) = model.pages.last_mut() {
        page.detail = Some(Box::new(Detail { debt, steps: None, first: 0, chosen: None }));
        model.ask(Request::History(id));
    }
}

pub(super) fn act(model: &mut Model, action: Action) {
    let may_choose = super::selected(model).is_some_and(|debt| why_not(model, debt, Action::GoOn).is_none());
    let Some(Page::Debts(page)) = model.pages.last_mut() else { return };
    let Some(detail) = &mut page.detail else { return };
    let last = detail.steps.as_ref().map_or(0, |steps| steps.len().saturating_sub(1));
    match action {
        Action::Back => page.detail = None,
        Action::Up => detail.first = detail.first.saturating_sub(1),
        Action::Down => detail.first = (detail.first + 1).min(last),
        Action::Number(n) if may_choose && n <= candidates(&detail.debt).len() => detail.chosen = Some(n - 1),
        Action::GoOn => {
            let chosen = detail.chosen.filter(|_| may_choose).and_then(|n| candidates(&detail.debt).get(n));
            if let Some(managed) = chosen.map(|one| one.managed) {
                let debt = detail.debt.id;
                detail.chosen = None;
                settle(model, debt, How::Target { managed });
            }
        }
        moves => detail.first = card::moved(moves, detail.first, last).unwrap_or(detail.first),
    }
}

pub(super) fn view(model: &Model, canvas: &mut Canvas, page: &DebtsPage, detail: &Detail) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    let debt = super::selected(model).unwrap_or(&detail.debt);
    skeleton::status(model, canvas);
    let owed = age::coarse(since(debt.since, model.now.wall));
    let facts = format!("{}, {}, owed for {owed}. {}", debt.volume.words(), debt.ticket, debt.device_name);
    skeleton::title(canvas, &debt.key.spoken(), &facts);
    canvas.within(layout.right, |canvas| {
        let (drawn, words) = list::state(debt);
        canvas.put(7, 3, drawn, &words);
        let mut row = canvas.wrapped(8, 3, canvas.edge(), list::role(debt), &list::sentence(model, debt), 4) + 1;
        row = choice(model, canvas, row, debt, detail.chosen);
        steps(model, canvas, row, layout.last, detail);
        list::prompt(canvas, page);
    });
    skeleton::foot(model, canvas, None, &hints(model, page, debt, detail));
}

/// The laptops to choose among. The row after them.
fn choice(model: &Model, canvas: &mut Canvas, row: u16, debt: &Debt, chosen: Option<usize>) -> u16 {
    let candidates = candidates(debt);
    if candidates.is_empty() {
        return row;
    }
    for (col, word) in [(5, "Intune's device"), (29, "Its ID"), (67, "Checked in")] {
        canvas.put(row, col, Role::Dim, word);
    }
    let mut at = row + 1;
    for (n, one) in candidates.iter().take(9).enumerate() {
        if chosen == Some(n) {
            canvas.bar(at, Role::Accent);
        }
        canvas.put(at, 3, Role::Text, &(n + 1).to_string());
        canvas.put_in(at, 5, 23, Role::Strong, &one.name.to_string());
        let seen = one.checked_in.map_or_else(|| "never".into(), |seen| age::ago(seen, model.now.wall));
        canvas.put_in(at, 29, 37, Role::Text, &one.managed.to_string());
        canvas.put_in(at, 67, 13, Role::Text, &seen);
        at += 1;
    }
    at + 1
}

fn steps(model: &Model, canvas: &mut Canvas, from: u16, last: u16, detail: &Detail) {
    let Some(steps) = &detail.steps else {
        canvas.put(from, 3, Role::Dim, "The ledger is being read.");
        return;
    };
    let now = model.now.wall.to_zoned(model.setup.zone.clone());
    let width = usize::from(canvas.edge() - 28);
    let mut row = from;
    for (n, step) in steps.iter().rev().enumerate().skip(detail.first) {
        let who = step.who.as_ref().map(|who| format!(" ({who})")).unwrap_or_default();
        let lines = wrap(&format!("{}{who}", step.sentence), width);
        let needed = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        // The last row says how many are left, unless none is.
        let room = last.saturating_sub(row) + u16::from(n + 1 == steps.len());
        if needed > room && n > detail.first {
            canvas.put(row, 3, Role::Dim, &format!("{} older below", steps.len() - n));
            return;
        }
        let at = step.at.to_zoned(model.setup.zone.clone());
        let today = at.date() == now.date();
        let time = if today { age::clock(step.at, &model.setup.zone) } else { at.strftime("%-d %b %H:%M").to_string() };
        canvas.put_in(row, 3, 13, Role::Dim, &time);
        canvas.put_in(row, 17, 10, Role::Strong, step.word);
        for line in lines {
            canvas.put(row, 28, Role::Text, &line);
            row += 1;
        }
    }
}

fn hints(model: &Model, page: &DebtsPage, debt: &Debt, detail: &Detail) -> Vec<Hint> {
    if let Some(typing) = &page.typing {
        return list::words_hints(model, typing);
    }
    let mut hints = Vec::new();
    if !candidates(debt).is_empty() {
        let why = why_not(model, debt, Action::GoOn).or(detail.chosen.is_none().then_some("choose 1-9"));
        hints.push(model.hint(Action::GoOn, "send to it").unless(why.is_some(), why.unwrap_or_default()));
    }
    hints.extend(list::deeds(model, debt));
    hints.push(model.hint(Action::Back, "back"));
    hints.push(model.hint(Action::Help, "help"));
    hints
}
