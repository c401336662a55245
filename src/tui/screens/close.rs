//! In Windows again: the digits are gone, the rotation has left, the note is ready.

use super::super::{
    call_desk::CallDesk,
    canvas::Canvas,
    footer::Hint,
    keymap::Action,
    model::Model,
    prompt::{self, Prompt},
    skeleton::{self, Layout},
    theme::Role,
};
use super::card;
use crate::domain::{
    age,
    debt::{Debt, DebtState, RotationState},
    evidence::Subject,
    foreign::printable,
    work::{Request, call::Close},
};

pub fn act(model: &mut Model, action: Action) {
    let deliberate = model.presses.deliberate();
    let Some(desk) = &mut model.call else { return };
    match action {
        Action::GoOn if deliberate && desk.writing.is_none() => {
            desk.failure = None;
            let call = desk.call.id;
            let ask = model.ask(Request::CloseCall(Close { call }));
            if let Some(desk) = &mut model.call {
                desk.writing = Some(ask);
            }
        }
        Action::GoOn if desk.writing.is_none() => model.let_go(),
        Action::WrongPerson => super::stage::wrong_person(model),
        Action::Copy => {
            if let Some(note) = &desk.note {
                let text = note.note.text();
                model.ask(Request::Copy(text));
            }
        }
        Action::Evidence => {
            let call = desk.call.id;
            super::evidence::ask(model, Subject::Call(call));
        }
        _ => {}
    }
}

/// What it means that the wrong person heard the digits.
pub(super) fn wrong_person(model: &Model, desk: &CallDesk) -> Option<&'static str> {
    let owed = desk.debts(&model.debts).iter().any(|debt| debt.is_open());
    desk.stage.as_ref()?.wrong_person_words(owed)
}

pub fn view(model: &Model, canvas: &mut Canvas, desk: &CallDesk) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    skeleton::call_title(model, canvas);
    // Only a replacement that is on its way is promised.
    let owed = desk.debts(&model.debts).iter().any(|debt| debt.is_open() && !debt.is_sent());
    skeleton::rail(model, canvas, owed.then_some(model.runbook.aside.replace_later.as_str()));
    canvas.within(layout.right, |canvas| {
        let wrong_person = wrong_person(model, desk);
        let row = match wrong_person {
            Some(words) => canvas.facts(10, "Key", Role::Danger, words, 2),
            None => canvas.facts(10, "Key", Role::Text, "dropped here; to see it again is a new disclosure", 1),
        };
        let mut row = debt(model, canvas, desk, row) + 1;
        if let Some(note) = &desk.note {
            canvas.put(row, 3, Role::Dim, "Note");
            for line in &note.note.lines {
                if row <= layout.last {
                    let most = (layout.last + 1 - row).min(3);
                    row = canvas.wrapped(row, 13, canvas.edge(), Role::Text, &printable(line), most);
                }
            }
        }
        if let Some(card) = &desk.card {
            card::open(model, canvas, row + 1, card, true, desk.is_unmasked(model.setup.policy.mask_facts));
        }
        prompt::draw(model, canvas, desk.failure.as_ref().map(Prompt::of));
    });
    let notice = desk.writing.is_some().then(|| (Role::Text, format!("{} Writing it down.", model.spinner())));
    skeleton::foot(model, canvas, notice, &hints(model, desk));
}

/// The debts of this call, from `row`, live. Returns the row after.
pub fn debt(model: &Model, canvas: &mut Canvas, desk: &CallDesk, row: u16) -> u16 {
    let mut row = row;
    let debts = desk.debts(&model.debts);
    for (n, debt) in debts.iter().take(2).enumerate() {
        let label = if n == 0 { "Debt" } else { "" };
        let (role, first, second) = debt_words(model, debt);
        row = canvas.facts(row, label, role, &first, 3);
        if !second.is_empty() {
            row = canvas.wrapped(row, 13, canvas.edge(), Role::Text, &second, 2);
        }
    }
    row
}

/// How a debt stands, and what that asks of the technician.
fn debt_words(model: &Model, debt: &Debt) -> (Role, String, String) {
    let zone = &model.setup.zone;
    let sentence = debt.sentence(model.now.wall, zone);
    if !debt.is_open() {
        let role = if matches!(debt.state, DebtState::Proved { .. }) { Role::Ok } else { Role::Text };
        let mark = if role == Role::Ok { "√ " } else { "" };
        return (role, format!("{mark}{}. {sentence}", debt.word()), String::new());
    }
    let since = format!("owed since {}.", age::clock(debt.since, zone));
    match debt.rotation.as_ref().map(|rotation| &rotation.state) {
        Some(RotationState::Accepted { at }) => {
            let accepted = format!("{since} Intune accepted the rotation at {}.", age::clock(*at, zone));
            (Role::Text, accepted, "Now the laptop has to check in. You need not wait for it.".into())
        }
        Some(RotationState::Blocked { .. }) => (Role::Warn, format!("× {since} {sentence}"), String::new()),
        _ => (Role::Text, format!("{since} {sentence}"), String::new()),
    }
}

fn hints(model: &Model, desk: &CallDesk) -> Vec<Hint> {
    if model.session.is_renewing() {
        return super::sign_in::hints(model);
    }
    let writing = desk.writing.is_some();
    vec![
        model.hint(Action::GoOn, "close the call").unless(writing, "writing"),
        model.hint(Action::Copy, "copy note").unless(desk.note.is_none(), "no note yet"),
        super::evidence::hint(model),
        model.hint(Action::Runbook, "runbook"),
        model.hint(Action::Debts, "debts"),
        model.hint(Action::Help, "help"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            key_id::KeyId,
            policy::Proof,
            work::{Kind, News},
        },
        tui::tests::{Desk, asked, assert_screen, failure},
    };

    fn in_windows() -> Desk {
        let mut desk = Desk::open();
        desk.reach_stage();
        desk.press("w");
        desk
    }

    #[test]
    fn in_windows_again_the_note_is_ready() {
        assert_screen!(in_windows());
    }

    #[test]
    fn the_digits_go_before_the_rotation_is_asked_for() {
        let mut desk = Desk::open();
        desk.reach_stage();
        let effects = desk.press("w");
        let asked = asked(&effects);
        assert!(matches!(asked[0], Request::Stage(on) if on.what == crate::domain::event::Stage::Dropped));
        assert!(matches!(asked[1], Request::InWindows(_)));
    }

    #[test]
    fn an_attempt_that_handed_nothing_out_does_not_stand_beside_the_debt() {
        let mut desk = in_windows();
        let mut void = desk.model.debts[0].clone();
        void.state = DebtState::Cancelled { at: desk.now.wall };
        desk.news(News::Debts(vec![void, desk.model.debts[0].clone()]));
        assert!(desk.shows("owed since") && !desk.shows("not handed out"), "{:#?}", desk.rows());
    }

    #[test]
    fn the_note_is_copied_without_a_digit_of_the_key() {
        let mut desk = in_windows();
        let effects = desk.press("c");
        let [Request::Copy(text)] = asked(&effects)[..] else { panic!("{effects:?}") };
        assert!(text.contains("INC0048213") && text.contains("replacement sent"));
        assert!(desk.world.digits.split('-').all(|block| !text.contains(block)));
        assert!(desk.shows("√ Copied."));
    }

    #[test]
    fn without_a_clipboard_the_way_on_is_said() {
        let mut desk = in_windows();
        desk.hold(|request| matches!(request, Request::Copy(_)));
        desk.press("c");
        let none = failure(Kind::Failed, "There is no clipboard here.");
        desk.answer(|request| matches!(request, Request::Copy(_)), Err(none));
        let said = "× There is no clipboard here. Select the note with the mouse; it stays here.";
        assert!(desk.row(23).contains(said), "{}", desk.row(23));
    }

    #[test]
    fn the_debt_line_follows_the_news() {
        let mut desk = in_windows();
        let mut debts = desk.world.debts.clone();
        let new_key = KeyId("5d20b8f3-6e1d-4c0b-9f7a-0b5d8b3c2a11".parse().unwrap());
        debts[0].state = DebtState::Proved { grade: Proof::Confirmed, new_key: Some(new_key), at: desk.now.wall };
        desk.world.debts.clone_from(&debts);
        desk.news(News::Debts(debts.clone()));
        let note = desk.model.call.as_ref().unwrap().note.as_ref().unwrap();
        assert_eq!(note.debts, debts, "the note is written again");
        assert_screen!(desk);
    }

    #[test]
    fn closing_frees_the_desk_and_asks_for_the_demos_next_caller() {
        let mut desk = Desk::demo();
        desk.reach_stage();
        desk.press("w");
        let effects = desk.press("enter");
        assert!(matches!(asked(&effects)[..], [Request::CloseCall(_), Request::NextCaller]));
        assert!(desk.shows("√ Call 17 is closed."));
    }

    #[test]
    fn a_replacement_that_is_not_on_its_way_is_not_promised() {
        let mut desk = in_windows();
        assert!(desk.row(8).contains("That key is being replaced now"));
        let mut debts = desk.world.debts.clone();
        let why = crate::domain::debt::Block::NoManagedDevice;
        debts[0].rotation.as_mut().unwrap().state = RotationState::Blocked { why, at: desk.now.wall };
        desk.world.debts.clone_from(&debts);
        desk.news(News::Debts(debts));
        assert!(desk.row(8).contains("We will replace that key; someone may call you about it."));
    }

    #[test]
    fn the_debt_of_this_calls_key_stands_first() {
        let mut desk = in_windows();
        let mut debts = desk.world.debts.clone();
        let mut other = debts[0].clone();
        other.id = crate::domain::debt::DebtId(uuid::Uuid::from_u128(99));
        other.key = KeyId(uuid::Uuid::from_u128(99 << 96));
        other.rotation.as_mut().unwrap().state = RotationState::Held { until: desk.now.wall };
        debts.push(other);
        desk.world.debts.clone_from(&debts);
        desk.news(News::Debts(debts));
        assert!(desk.row(11).contains("Intune accepted the rotation"), "{:#?}", desk.rows());
    }

    #[test]
    fn e_writes_the_evidence_of_this_call_and_says_where_it_lies() {
        let mut desk = in_windows();
        let call = desk.model.call.as_ref().unwrap().call.id;
        let effects = desk.press("e");
        assert_eq!(asked(&effects), [&Request::Evidence(Subject::Call(call))]);
        assert!(desk.row(22).contains("√ Evidence: keydesk-INC0048213-2026-11-20.zip in"), "{:#?}", desk.rows());
        assert!(desk.row(23).contains("/home/dana/.local/state/keydesk/evidence"), "{}", desk.row(23));
        desk.wait(7000);
        assert!(!desk.shows("Evidence:") && desk.shows("e evidence"));
    }

    #[test]
    fn evidence_is_written_once_at_a_time_and_a_failure_leaves_the_call_alone() {
        let mut desk = in_windows();
        desk.hold(|request| matches!(request, Request::Evidence(_)));
        desk.press("e");
        assert_eq!(asked(&desk.press("e")), Vec::<&Request>::new());
        assert!(desk.shows("e evidence (writing)"), "{:#?}", desk.rows());
        let full = failure(Kind::Record, "The disk is full: /home/dana/ledger.db.");
        desk.answer(|request| matches!(request, Request::Evidence(_)), Err(full));
        assert!(desk.shows("× No evidence: The disk is full"), "{:#?}", desk.rows());
        assert!(desk.shows("copy note") && desk.model.stop.is_none());
    }

    #[test]
    fn a_close_that_fails_keeps_the_call() {
        let mut desk = in_windows();
        desk.hold(|request| matches!(request, Request::CloseCall(_)));
        desk.press("enter");
        desk.answer(
            |request| matches!(request, Request::CloseCall(_)),
            Err(failure(Kind::Failed, "The ledger is busy.")),
        );
        assert!(desk.shows("The ledger is busy."));
        assert!(desk.shows("copy note"));
    }
}
