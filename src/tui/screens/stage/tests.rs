use super::*;
use crate::{
    domain::{
        debt::DebtState,
        event::Stage as What,
        policy::Proof,
        work::{Kind, News, Outcome},
    },
    tui::{
        Effect, Msg,
        tests::{Desk, World, asked, assert_screen, failure},
    },
};

fn staged() -> Desk {
    let mut desk = Desk::open();
    desk.reach_stage();
    desk.effects.clear();
    desk
}

/// What was recorded of the stage.
fn told(effects: &[Effect]) -> Vec<What> {
    let on = |request: &&Request| match request {
        Request::Stage(on) => Some(on.what),
        _ => None,
    };
    asked(effects).iter().filter_map(on).collect()
}

/// Any block of the key, as it stands on screen.
fn shows_a_digit(desk: &Desk) -> bool {
    let blocks: Vec<String> = desk.world.digits.split('-').map(str::to_owned).collect();
    desk.rows().iter().any(|row| blocks.iter().any(|block| row.contains(block.as_str()))) || desk.shows("████")
}

#[test]
fn one_block_is_large_and_the_others_are_dim() {
    let mut desk = staged();
    desk.press("space space");
    assert_screen!(desk);
}

#[test]
fn showing_is_recorded() {
    let mut desk = Desk::open();
    desk.reach_reason();
    assert_eq!(told(&desk.press("enter")), [What::Shown]);
}

#[test]
fn space_and_backspace_pace_and_stop_at_the_ends() {
    let mut desk = staged();
    desk.press("backspace");
    assert!(desk.shows("1 of 8"));
    desk.press("space space space space space space space space space");
    assert!(desk.shows("8 of 8"));
    desk.press("backspace");
    assert!(desk.shows("7 of 8"));
}

#[test]
fn h_conceals_and_shows_again_without_asking_entra() {
    let mut desk = staged();
    let concealed = desk.press("h");
    assert_eq!(told(&concealed), [What::Concealed]);
    assert!(!shows_a_digit(&desk));
    let shown = desk.press("h");
    assert_eq!(told(&shown), [What::Shown]);
    assert_eq!(asked(&shown).len(), 1, "only the record");
    assert!(shows_a_digit(&desk));
}

#[test]
fn losing_the_focus_conceals() {
    let mut desk = staged();
    desk.press("space space");
    desk.wait(228_000 - 110_000);
    desk.send(Msg::Focus(false));
    assert_screen!(desk);
    assert!(!shows_a_digit(&desk));
}

#[test]
fn a_key_that_comes_while_nobody_looks_is_not_shown() {
    let mut desk = Desk::open();
    desk.hold(|request| matches!(request, Request::Disclose(_)));
    desk.reach_reason();
    desk.press("enter");
    desk.send(Msg::Focus(false));
    desk.effects.clear();
    desk.release();
    assert!(told(&desk.effects).is_empty());
    assert!(!shows_a_digit(&desk));
    assert_eq!(told(&desk.press("h")), [What::Shown]);
}

fn is_sign_in(request: &Request) -> bool {
    matches!(request, Request::SignIn(_))
}

/// A key is asked for, and not answered before a test says so.
fn asking() -> Desk {
    let mut desk = Desk::open();
    desk.hold(|request| matches!(request, Request::Disclose(_))).hold(is_sign_in);
    desk.reach_reason();
    desk.press("enter");
    desk.effects.clear();
    desk
}

fn hand_out(desk: &mut Desk) -> Vec<What> {
    desk.effects.clear();
    let disclosed = desk.world.disclosed();
    desk.answer(|request| matches!(request, Request::Disclose(_)), Ok(Outcome::Disclosed(disclosed)));
    told(&desk.effects)
}

#[test]
fn a_key_that_comes_once_the_desk_has_locked_is_shown_after_unlocking_only() {
    let mut desk = asking();
    desk.wait(15 * 60 * 1000 + 1000);
    assert_eq!(hand_out(&mut desk), []);
    assert_screen!(desk);
    assert!(!shows_a_digit(&desk));
    let effects = desk.press("h");
    assert!(matches!(asked(&effects)[..], [Request::SignIn(prompt)] if prompt.fresh), "{effects:?}");
    assert!(desk.shows("Nobody was at this desk for 15 min.") && !shows_a_digit(&desk), "{:#?}", desk.rows());
    desk.answer(is_sign_in, Ok(Outcome::SignedIn(World::signed_in())));
    assert!(!shows_a_digit(&desk));
    assert_eq!(told(&desk.press("h")), [What::Shown]);
}

#[test]
fn no_other_name_is_confirmed_while_a_key_is_asked_for_and_the_digits_are_not_theirs() {
    let mut desk = asking();
    desk.hold(|request| matches!(request, Request::OpenDevice(_)));
    desk.press("f5");
    let signed_out = failure(Kind::SignIn, "Signed out.");
    desk.answer(|request| matches!(request, Request::OpenDevice(_)), Err(signed_out));
    desk.answer(is_sign_in, Ok(Outcome::AnotherName(World::another_name())));
    desk.wait(1500);
    assert!(desk.row(24).contains("(the key is being asked for)"), "{}", desk.row(24));
    assert!(desk.press("enter").is_empty());
    assert_eq!(hand_out(&mut desk), []);
    assert!(desk.shows("Last time it was Dana Reyes") && !shows_a_digit(&desk), "{:#?}", desk.rows());
    desk.wait(1500);
    let effects = desk.press("enter");
    assert!(asked(&effects).contains(&&Request::ConfirmName), "{effects:?}");
    assert_eq!(told(&effects), [What::Dropped]);
}

#[test]
fn help_conceals_and_so_does_every_page() {
    for key in ["f1", "f2", "f3", "f6", "f9"] {
        let mut desk = staged();
        assert_eq!(told(&desk.press(key)), [What::Concealed], "{key}");
        assert!(!shows_a_digit(&desk));
        desk.press("esc");
        assert!(desk.shows("Concealed: another page was open."), "{key}");
    }
}

#[test]
fn a_resize_conceals_and_a_small_window_shows_nothing() {
    let mut desk = staged();
    desk.send(Msg::Resize { cols: 48, rows: 8 });
    assert_eq!(told(&desk.effects), [What::Concealed]);
    assert_screen!(desk);
    desk.send(Msg::Resize { cols: 80, rows: 24 });
    assert!(desk.shows("Concealed: the window changed its size."));
}

#[test]
fn two_timers_conceal_and_then_drop() {
    let mut desk = staged();
    assert!(desk.shows("conceals in 2:00"));
    desk.wait(119_000);
    assert!(shows_a_digit(&desk));
    desk.effects.clear();
    desk.wait(2000);
    assert_eq!(told(&desk.effects), [What::Concealed]);
    assert!(desk.shows("Concealed: it was shown long enough."));
    desk.effects.clear();
    desk.wait(480_000);
    assert_eq!(told(&desk.effects), [What::Dropped]);
    assert!(!desk.model.call.as_ref().unwrap().stage.as_ref().unwrap().has_digits());
}

#[test]
fn showing_again_does_not_put_the_drop_off() {
    let mut desk = staged();
    for _ in 0..9 {
        desk.press("h");
        desk.wait(30_000);
        desk.press("h");
        desk.wait(30_000);
    }
    desk.wait(61_000);
    assert!(!desk.model.call.as_ref().unwrap().stage.as_ref().unwrap().has_digits());
}

#[test]
fn timers_act_before_a_late_message_does() {
    let mut desk = staged();
    // The process slept: no tick came.
    desk.pass(std::time::Duration::from_mins(11));
    desk.send(Msg::Key(crate::tui::KeyPress { key: crokey::key!(space), repeat: false }));
    assert!(!shows_a_digit(&desk));
}

#[test]
fn a_block_that_fails_the_check_is_read_as_it_stands() {
    let mut desk = Desk::open();
    desk.world.digits = desk.world.digits.replace("391402", "391403");
    desk.reach_stage();
    desk.press("space space space");
    assert_screen!(desk);
}

#[test]
fn a_key_of_odd_length_says_so() {
    let mut desk = Desk::open();
    desk.world.digits = "537284-04631x".into();
    desk.reach_stage();
    desk.press("space");
    assert_screen!(desk);
}

#[test]
fn a_row_that_could_not_be_written_afterwards_is_a_warning() {
    let mut desk = Desk::open();
    desk.hold(|request| matches!(request, Request::Disclose(_)));
    desk.reach_reason();
    desk.press("enter");
    let mut disclosed = desk.world.disclosed();
    disclosed.record_warning = Some("That it was served could not be written down; that it was asked for is.".into());
    let is_disclose: fn(&Request) -> bool = |request| matches!(request, Request::Disclose(_));
    desk.answer(is_disclose, Ok(crate::domain::work::Outcome::Disclosed(disclosed)));
    assert!(desk.shows("× That it was served could not be written down"));
    assert!(shows_a_digit(&desk));
}

#[test]
fn on_a_large_window_the_digits_keep_their_size_in_the_middle() {
    let mut desk = Desk::sized(160, 50);
    desk.reach_stage();
    assert_screen!(desk);
}

#[test]
fn in_ascii_the_digits_are_made_of_signs() {
    let mut desk = staged();
    desk.model.setup.glyphs = crate::tui::Glyphs::Ascii;
    assert!(desk.rows().iter().all(|row| row.is_ascii()));
    assert!(desk.shows("########"));
}

#[test]
fn the_digits_wake_the_desk_for_their_timers_alone() {
    let mut desk = staged();
    let left = desk.model.next_deadline(desk.now).unwrap().left(desk.now);
    assert!(left <= std::time::Duration::from_secs(1) && !left.is_zero());
    desk.press("w enter");
    desk.wait(7000);
    // What is left is the age of the list and of the debt, by the minute.
    let left = desk.model.next_deadline(desk.now).unwrap().left(desk.now);
    assert!(left > std::time::Duration::from_secs(5), "{left:?}");
}

#[test]
fn no_digit_is_in_debug_of_the_model() {
    let desk = staged();
    let debug = format!("{:?}", desk.model);
    assert!(desk.world.digits.split('-').all(|block| !debug.contains(block)));
}

#[test]
fn what_was_said_before_the_key_came_does_not_stand_on_the_stage() {
    let mut desk = Desk::open();
    desk.reach_reason();
    desk.model.toast(crate::tui::theme::Role::Ok, "√ Signed in as Dana Reyes.");
    desk.press("enter");
    assert!(desk.shows("1 of 8") && !desk.shows("Signed in as"));
}

/// What was written down about the wrong person.
fn wrong(effects: &[Effect]) -> Vec<&crate::domain::work::debts::WrongPerson> {
    let on = |request: &&Request| matches!(request, Request::WrongPerson(_));
    let asked = asked(effects).into_iter().filter(on);
    asked.filter_map(|request| if let Request::WrongPerson(wrong) = request { Some(wrong) } else { None }).collect()
}

#[test]
fn m_drops_the_digits_at_once_and_has_it_written_down_once() {
    let mut desk = staged();
    desk.hold(|request| matches!(request, Request::WrongPerson(_)));
    let effects = desk.press("space m");
    assert_eq!(told(&effects), [What::Dropped]);
    assert_eq!(wrong(&effects)[0].disclosure, desk.world.disclosed().disclosure);
    assert!(!shows_a_digit(&desk));
    assert!(!desk.shows("Recorded"), "nothing is said to be on record before it is");
    assert!(wrong(&desk.press("m")).is_empty());
    desk.release();
    assert_screen!(desk);
    assert!(wrong(&desk.press("m")).is_empty());
}

#[test]
fn that_it_was_the_wrong_person_stays_on_the_screen_until_the_call_is_closed() {
    let mut desk = staged();
    desk.press("m w");
    assert!(desk.shows("Recorded: read to the wrong person. Its replacement is urgent,"));
    assert!(desk.shows("read to the wrong person.") && !desk.shows("read aloud"), "{:#?}", desk.rows());
    assert_screen!(desk);
}

#[test]
fn once_the_key_is_replaced_nothing_is_urgent_any_more() {
    let mut desk = staged();
    desk.press("m w");
    assert!(!desk.world.debts.is_empty());
    for debt in &mut desk.world.debts {
        debt.state = DebtState::Proved { grade: Proof::NewKeySeen, new_key: None, at: debt.since };
    }
    let debts = desk.world.debts.clone();
    desk.news(News::Debts(debts));
    assert!(desk.shows("Recorded: read to the wrong person.") && !desk.shows("urgent"), "{:#?}", desk.rows());
}

#[test]
fn m_still_works_once_the_digits_are_gone_and_again_where_it_could_not_be_written() {
    let mut desk = staged();
    desk.press("w");
    desk.hold(|request| matches!(request, Request::WrongPerson(_)));
    assert_eq!(wrong(&desk.press("m")).len(), 1);
    desk.answer(|request| matches!(request, Request::WrongPerson(_)), Err(failure(Kind::Failed, "No.")));
    assert!(desk.shows("Not recorded"), "{:#?}", desk.rows());
    assert_eq!(wrong(&desk.press("m")).len(), 1);
}
