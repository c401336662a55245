//! Debts (F2): every disclosed key that is owed a replacement, and those just paid.

use super::{
    super::{
        canvas::{Canvas, wrap},
        field::Field,
        footer::Hint,
        keymap::{Action, Place},
        model::Model,
        prompt::Prompt,
        skeleton::{self, Layout},
        theme::Role,
    },
    Page, card,
};
use crate::domain::{
    age,
    debt::{Debt, DebtId, DebtState},
    evidence::Subject,
    moment::since,
    work::{
        Failure, Request,
        debts::{How, Settle},
    },
};

#[derive(Debug, Default)]
pub struct DebtsPage {
    at: usize,
    /// Why the selected debt is to be waived, while it is being typed.
    waiving: Option<(DebtId, Field)>,
    failure: Option<Failure>,
}

impl DebtsPage {
    pub fn place(&self) -> Place {
        if self.waiving.is_some() { Place::Waive } else { Place::Debts }
    }

    pub fn field(&mut self) -> Option<&mut Field> {
        self.waiving.as_mut().map(|(_, field)| field)
    }

    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    pub fn failed(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }
}

/// Open ones first, the oldest first; then those that ended, the newest first.
fn listed(model: &Model) -> Vec<&Debt> {
    let (mut open, mut ended): (Vec<&Debt>, Vec<&Debt>) = model.debts.iter().partition(|debt| debt.is_open());
    open.sort_by_key(|debt| debt.since);
    ended.sort_by_key(|debt| std::cmp::Reverse(debt.since));
    open.extend(ended);
    open
}

fn selected(model: &Model) -> Option<&Debt> {
    let Some(Page::Debts(page)) = model.pages.last() else { return None };
    let listed = listed(model);
    listed.get(page.at.min(listed.len().saturating_sub(1))).copied()
}

pub fn act(model: &mut Model, action: Action) {
    let chosen = selected(model).map(|debt| (debt.id, debt.is_open(), debt.is_sent()));
    let count = model.debts.len();
    let Some(Page::Debts(page)) = model.pages.last_mut() else { return };
    page.failure = None;
    if let Some((debt, field)) = &mut page.waiving {
        let reason = field.text().trim().to_owned();
        let debt = *debt;
        match action {
            Action::GoOn if !reason.is_empty() => {
                page.waiving = None;
                settle(model, debt, How::Waive { reason });
            }
            Action::Back => page.waiving = None,
            _ => {}
        }
        return;
    }
    match (action, chosen) {
        (Action::Up, _) => page.at = page.at.saturating_sub(1),
        (Action::Down, _) => page.at = (page.at + 1).min(count.saturating_sub(1)),
        (Action::Number(n), _) if n <= count => page.at = n - 1,
        (moves, _) if let Some(line) = card::moved(moves, page.at, count.saturating_sub(1)) => page.at = line,
        (Action::TryAgain, Some((debt, true, false))) => settle(model, debt, How::Retry),
        (Action::Hold, Some((debt, true, false))) => settle(model, debt, How::Hold),
        (Action::Waive, Some((debt, true, _))) => page.waiving = Some((debt, Field::default())),
        (Action::Evidence, Some((debt, ..))) => super::evidence::ask(model, Subject::Debt(debt)),
        (Action::Back, _) => {
            model.pages.pop();
        }
        _ => {}
    }
}

fn settle(model: &mut Model, debt: DebtId, how: How) {
    model.ask(Request::SettleDebt(Settle { debt, how }));
}

pub fn view(model: &Model, canvas: &mut Canvas, page: &DebtsPage) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    let debts = listed(model);
    skeleton::title(canvas, "Debts", &summary(model));
    if debts.is_empty() {
        canvas.put(7, 3, Role::Text, "Every key read here has been replaced, or none was read.");
    } else {
        canvas.within(layout.right, |canvas| table(model, canvas, page, &debts, layout));
    }
    canvas.within(layout.right, |canvas| waive_or_failure(canvas, page));
    skeleton::foot(model, canvas, None, &hints(model, page));
}

fn summary(model: &Model) -> String {
    let open = model.debts.iter().filter(|debt| debt.is_open()).count();
    let today = model.debts.iter().filter(|debt| match debt.state {
        DebtState::Proved { at, .. } => {
            let date = |at: jiff::Timestamp| at.to_zoned(model.setup.zone.clone()).date();
            date(at) == date(model.now.wall)
        }
        _ => false,
    });
    let proved = match today.count() {
        0 => String::new(),
        n => format!(", {n} proved today"),
    };
    let order = if open > 1 { " The oldest first." } else { "" };
    format!("{open} open{proved}.{order}")
}

fn sentence(model: &Model, debt: &Debt) -> String {
    if debt.is_open() && !model.session.follows(debt.tenant) {
        return "Owed in another tenant: it goes on when somebody signs in there.".into();
    }
    debt.sentence(model.now.wall, &model.setup.zone)
}

fn table(model: &Model, canvas: &mut Canvas, page: &DebtsPage, debts: &[&Debt], layout: Layout) {
    for (col, word) in [(5, "Key ID"), (15, "Device"), (29, "Ticket"), (43, "Owed"), (51, "State")] {
        canvas.put(7, col, Role::Dim, word);
    }
    let at = page.at.min(debts.len() - 1);
    let width = usize::from(canvas.edge() - 7);
    let lines: Vec<Vec<String>> = debts.iter().map(|debt| wrap(&sentence(model, debt), width)).collect();
    let height = |n: usize| lines[n].len() + 2;
    // As many before the selected one as leave it in view.
    let room = usize::from(layout.last - 7);
    let first = (0..=at).find(|&first| (first..=at).map(height).sum::<usize>() <= room + 1).unwrap_or(at);
    let mut row = 8;
    for n in first..debts.len() {
        if usize::from(row) + height(n) > usize::from(layout.last) + 2 {
            canvas.put(row, 5, Role::Dim, &format!("{} more below", debts.len() - n));
            break;
        }
        let after = entry(model, canvas, row, n, debts[n], &lines[n]);
        if n == at && page.waiving.is_none() {
            (row..after).for_each(|row| canvas.bar(row, Role::Accent));
        }
        row = after + 1;
    }
}

fn entry(model: &Model, canvas: &mut Canvas, row: u16, n: usize, debt: &Debt, sentence: &[String]) -> u16 {
    canvas.put(row, 3, Role::Text, &(n + 1).to_string());
    canvas.put(row, 5 + u16::from(n >= 9), Role::Strong, &debt.key.short());
    canvas.put_in(row, 29, 13, Role::Text, debt.ticket.as_str());
    canvas.put_in(row, 43, 7, Role::Text, &age::coarse(since(debt.since, model.now.wall)));
    let (mark, role) = match (&debt.state, debt.is_blocked()) {
        (DebtState::Proved { .. }, _) => ("√ ", Role::Ok),
        (_, true) => ("× ", Role::Warn),
        _ => ("", Role::Text),
    };
    let after = canvas.line(row, 51, &[(role, mark), (role, debt.word())]);
    if debt.device_name.is_right_to_left() {
        canvas.put(row, after + 2, Role::Text, &debt.device_name.to_string());
    } else {
        canvas.put_in(row, 15, 13, Role::Text, &debt.device_name.to_string());
    }
    let mut at = row + 1;
    for line in sentence {
        canvas.put(at, 5, if debt.is_blocked() { Role::Warn } else { Role::Text }, line);
        at += 1;
    }
    at
}

fn waive_or_failure(canvas: &mut Canvas, page: &DebtsPage) {
    if let Some((_, field)) = &page.waiving {
        canvas.clear(19..=22);
        canvas.bar(20, Role::Accent);
        canvas.put(20, 3, Role::Text, "Waive");
        let (text, cursor) = field.shown();
        canvas.typed(20, 13, 60, Role::Field, &text, Some(cursor));
        canvas.put(21, 13, Role::Text, "Why this key will not be replaced. It is written down.");
    } else if let Some(failure) = &page.failure {
        canvas.clear(19..=22);
        let prompt = Prompt::of(failure);
        canvas.facts(20, &prompt.label, Role::Warn, &prompt.lines.join(" "), 3);
    }
}

fn hints(model: &Model, page: &DebtsPage) -> Vec<Hint> {
    if let Some((_, field)) = &page.waiving {
        return vec![
            model.hint(Action::GoOn, "waive").unless(field.text().trim().is_empty(), "no reason"),
            model.hint(Action::Back, "back"),
            model.hint(Action::Help, "help"),
        ];
    }
    let mut hints = Vec::new();
    if let Some(debt) = selected(model) {
        let ended = !debt.is_open();
        let sent = debt.is_sent();
        hints.push(model.hint(Action::TryAgain, "try again").unless(ended, "ended").unless(sent, "sent"));
        hints.push(model.hint(Action::Hold, "hold").unless(ended, "ended").unless(sent, "sent"));
        hints.push(model.hint(Action::Waive, "waive").unless(ended, "ended"));
        hints.push(super::evidence::hint(model));
    }
    hints.push(model.hint(Action::Back, "back"));
    hints.push(model.hint(Action::LookAgain, "look again"));
    hints.push(model.hint(Action::Help, "help"));
    hints
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::{
            debt::{Block, RotationState},
            key_id::KeyId,
            policy::Proof,
            work::{Kind, News},
        },
        tui::tests::{Desk, asked, assert_screen, debt, failure},
    };

    fn with_debts() -> Desk {
        let mut desk = Desk::open();
        let now = desk.now.wall;
        let hours = |n| Duration::from_hours(n);
        let blocked = RotationState::Blocked {
            why: Block::Reported { hresult: 0x8031_00DA_u32.cast_signed(), times: 0 },
            at: now,
        };
        let accepted = RotationState::Accepted { at: now - jiff::SignedDuration::from_hours(3) };
        let mut waits = debt(0x4F2B_91C0, "HVC-LT-0421", "0048213", hours(3), now, accepted.clone());
        waits.rotation.as_mut().unwrap().checked_in = Some("2026-11-20T09:12:00Z".parse().unwrap());
        if let Some(rotation) = &mut waits.rotation {
            rotation.checked_in = Some(now - jiff::SignedDuration::from_hours(4));
        }
        let mut proved = debt(0x7A41_C09E, "HVC-LT-0207", "0048001", hours(1), now, accepted);
        proved.state = DebtState::Proved {
            grade: Proof::Confirmed,
            new_key: Some(KeyId("5d20b8f3-6e1d-4c0b-9f7a-0b5d8b3c2a11".parse().unwrap())),
            at: now - jiff::SignedDuration::from_mins(49),
        };
        desk.world.debts = vec![proved, waits, debt(0xC70E_55A1, "HVC-LT-0098", "0047790", hours(50), now, blocked)];
        let debts = desk.world.debts.clone();
        desk.news(News::Debts(debts));
        desk
    }

    fn settled(desk: &mut Desk, key: &str) -> Option<Settle> {
        let effects = desk.press(key);
        asked(&effects).into_iter().find_map(|request| match request {
            Request::SettleDebt(settle) => Some(settle.clone()),
            _ => None,
        })
    }

    #[test]
    fn without_debts_the_page_says_so() {
        let mut desk = Desk::open();
        desk.press("f2");
        assert_screen!(desk);
    }

    #[test]
    fn what_another_tenant_is_owed_says_so() {
        let mut desk = with_debts();
        let mut debts = desk.model.debts.clone();
        for debt in &mut debts {
            debt.tenant = Some(uuid::Uuid::from_u128(99));
        }
        desk.world.debts = debts;
        desk.press("f2");
        assert!(desk.shows("Owed in another tenant: it goes on when somebody signs in there."), "{:#?}", desk.rows());
    }

    #[test]
    fn open_debts_stand_first_the_oldest_on_top_each_with_its_sentence() {
        let mut desk = with_debts();
        desk.press("f2");
        assert_screen!(desk);
    }

    #[test]
    fn t_sends_a_blocked_rotation_again_and_not_one_that_is_under_way() {
        let mut desk = with_debts();
        desk.press("f2");
        let settle = settled(&mut desk, "t").unwrap();
        assert_eq!((settle.debt, settle.how), (DebtId(uuid::Uuid::from_u128(0xC70E_55A1)), How::Retry));
        desk.press("down");
        assert_eq!(settled(&mut desk, "t"), None);
        assert!(desk.row(24).contains("t try again (sent)"));
    }

    #[test]
    fn waiving_asks_for_a_reason_and_letters_belong_to_it() {
        let mut desk = with_debts();
        desk.press("f2 2 a");
        assert_eq!(settled(&mut desk, "enter"), None, "no reason, no waiver");
        desk.type_text("laptop scrapped at");
        assert_screen!(desk);
        let settle = settled(&mut desk, "enter").unwrap();
        assert_eq!(settle.how, How::Waive { reason: "laptop scrapped at".into() });
    }

    #[test]
    fn esc_leaves_the_reason_then_the_page() {
        let mut desk = with_debts();
        desk.press("f2 a esc");
        assert!(desk.shows("Debts"));
        desk.press("esc");
        assert!(desk.shows("Type what the caller reads"));
    }

    #[test]
    fn a_debt_that_ended_cannot_be_waived() {
        let mut desk = with_debts();
        desk.press("f2 3 a");
        assert!(!desk.shows("Why this key will not be replaced"));
        assert!(desk.row(24).contains("a waive (ended)"));
    }

    #[test]
    fn a_refusal_stands_on_the_page() {
        let mut desk = with_debts();
        desk.hold(|request| matches!(request, Request::SettleDebt(_)));
        desk.press("f2 t");
        let refusal = failure(Kind::Refused, "You read this key to the wrong person: a colleague has to waive it.");
        desk.answer(|request| matches!(request, Request::SettleDebt(_)), Err(refusal));
        assert!(desk.shows("Refused") && desk.shows("You read this key to the wrong person"));
    }

    #[test]
    fn many_debts_scroll_with_the_selection() {
        let mut desk = Desk::open();
        let now = desk.now.wall;
        let many: Vec<Debt> = (0..30)
            .map(|n| {
                let owed = Duration::from_hours(100 - u64::from(n));
                debt(n + 1, "HVC-LT-0421", "0048213", owed, now, RotationState::Sending { since: now })
            })
            .collect();
        desk.world.debts = many;
        desk.press("f2");
        assert!(desk.shows("more below"));
        for _ in 0..40 {
            desk.press("down");
        }
        assert!(desk.shows("30"), "{:#?}", desk.rows());
        assert!(desk.rows().iter().any(|row| row.starts_with("▌ 30")));
    }
}
