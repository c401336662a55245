use rstest::rstest;

use super::*;
use crate::domain::debt::RotationState;
use crate::{
    domain::{
        device::{DeviceId, DeviceSummary, Join},
        key::Volume,
        work::{Kind, News, Outcome, sync_index::Listing},
    },
    tui::{
        Effect, Msg,
        tests::{Desk, asked, assert_screen, debt, failure},
    },
};

fn opens(request: &Request) -> bool {
    matches!(request, Request::OpenDevice(_))
}

fn looks_up(request: &Request) -> bool {
    matches!(request, Request::LookUp(_))
}

#[test]
fn the_empty_desk() {
    assert_screen!(Desk::open());
}

#[test]
fn the_empty_desk_of_the_demo_tells_what_to_type() {
    let mut desk = Desk::demo();
    assert!(desk.shows("First time? Type what the caller says, then Enter."));
    let now = desk.now.wall;
    let sent = RotationState::Accepted { at: now - jiff::SignedDuration::from_mins(6) };
    let owed = debt(0xC70E_55A1, "HVC-LT-0098", "0047790", Duration::from_mins(7), now, sent);
    desk.news(News::Debts(vec![owed]));
    desk.news(News::Listing(Listing { keys: 180, running: true, ..Listing::default() }));
    assert!(!desk.shows("First time?"), "whoever has a debt has done this before");
    assert_screen!(desk);
}

#[test]
fn several_matches() {
    let mut desk = Desk::open();
    desk.type_text("4f2b");
    assert_screen!(desk);
}

#[test]
fn in_the_list_numbers_choose() {
    let mut desk = Desk::open();
    desk.type_text("4f2b");
    desk.press("down down");
    assert_screen!(desk);
    let effects = desk.press("2");
    desk.wait(200);
    assert!(effects.is_empty(), "the device opens after a moment: {effects:?}");
    assert!(desk.shows("Four more characters to hear"));
    assert!(desk.shows("HVC-LT-0421, Entra joined"));
}

#[test]
fn a_letter_in_the_list_belongs_to_the_box() {
    let mut desk = Desk::open();
    desk.type_text("4f2b");
    desk.press("down e");
    assert!(desk.row(4).contains("4F2B E"));
}

#[test]
fn one_match_opens_its_device_before_the_eighth_character() {
    let mut desk = Desk::open();
    desk.hold(opens);
    desk.type_text("4F2B9");
    assert!(desk.open.is_empty());
    desk.wait(160);
    desk.release();
    desk.type_text("1");
    assert_screen!(desk);
}

#[test]
fn typing_on_puts_the_opening_off() {
    let mut desk = Desk::open();
    desk.type_text("4F2B9");
    desk.wait(100);
    desk.effects.clear();
    desk.send(Msg::Key(crate::tui::KeyPress { key: crokey::key!(1), repeat: false }));
    desk.wait(100);
    assert!(!asked(&desk.effects).iter().any(|request| opens(request)));
    desk.wait(60);
    assert!(asked(&desk.effects).iter().any(|request| opens(request)));
}

#[test]
fn a_device_being_opened_is_dropped_when_another_is_meant() {
    let mut desk = Desk::open();
    desk.hold(opens);
    desk.type_text("4F2B9");
    desk.wait(200);
    let ask = desk.ask(opens);
    let effects = desk.press("backspace e");
    assert!(effects.contains(&Effect::Cancel { ask }), "{effects:?}");
}

#[test]
fn with_all_eight_heard_enter_opens_the_call() {
    let mut desk = Desk::open();
    desk.type_text("4F2B91C0");
    desk.wait(200);
    assert_screen!(desk);
    let effects = desk.press("enter");
    let [Request::OpenCall(open), Request::Redeem(_)] = asked(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((open.heard, open.key.short().as_str(), open.volume), (8, "4F2B91C0", Volume::OperatingSystem));
    assert_eq!(open.device_name.raw(), "HVC-LT-0421");
}

#[test]
fn enter_before_all_eight_says_what_is_missing() {
    let mut desk = Desk::open();
    desk.type_text("4F2B91");
    desk.wait(200);
    assert!(desk.press("enter").is_empty());
    assert!(desk.row(23).contains("Two more characters to hear"));
}

#[test]
fn enter_right_after_the_eighth_waits_for_the_device() {
    let mut desk = Desk::open();
    desk.hold(opens);
    desk.type_text("4F2B91C0");
    assert!(desk.press("enter").is_empty());
    desk.wait(200);
    assert!(desk.shows("Opening the device"));
    desk.effects.clear();
    desk.release();
    assert!(asked(&desk.effects).iter().any(|request| matches!(request, Request::OpenCall(_))));
}

#[test]
fn a_key_id_nobody_has_says_where_it_may_be() {
    let mut desk = Desk::open();
    desk.type_text("4F2B91C7");
    desk.wait(500);
    assert_screen!(desk);
}

#[test]
fn a_name_is_looked_up_at_entra_by_itself_after_a_pause() {
    let mut desk = Desk::open();
    desk.hold(looks_up);
    desk.type_text("mara.voss");
    assert!(desk.open.iter().all(|(_, request)| !looks_up(request)));
    desk.wait(450);
    assert!(desk.shows("Asking Entra for mara.voss"));
    assert_screen!(desk);
    let ask = desk.ask(looks_up);
    assert!(desk.press("esc").contains(&Effect::Cancel { ask }));
}

fn found_by(name: &str, because: &str) -> DeviceMatch {
    let id = DeviceId(uuid::Uuid::from_u128(0x003c_1e4a));
    DeviceMatch {
        device: DeviceSummary { id, name: name.into(), join: Join::EntraJoined },
        because: because.into(),
        keys: 3,
    }
}

#[test]
fn devices_are_chosen_and_their_keys_by_reading_an_id() {
    let mut desk = Desk::open();
    desk.world.beyond = vec![found_by("HVC-LT-0421", "mara.voss@harborview.example")];
    desk.type_text("mara.voss");
    desk.wait(450);
    assert_screen!(desk);
    let effects = desk.press("down enter");
    assert!(matches!(asked(&effects)[..], [Request::OpenDevice(OpenDevice { asked: None, .. })]));
    insta::assert_snapshot!("the_keys_of_a_chosen_device", crate::tui::tests::picture(&desk));
    desk.type_text("4f2b91c0");
    assert!(desk.shows("All eight heard"));
    let effects = desk.press("enter");
    assert!(matches!(asked(&effects)[..], [Request::OpenCall(_), ..]));
}

#[test]
fn esc_goes_one_step_back_each_time() {
    let mut desk = Desk::open();
    desk.world.beyond = vec![found_by("HVC-LT-0421", "serial 7KQ2M")];
    desk.type_text("7kq2m");
    desk.wait(450);
    desk.press("down enter a 1");
    desk.press("esc");
    assert!(desk.shows("3 keys on HVC-LT-0421. Type the key ID"));
    desk.press("esc");
    assert!(desk.row(4).contains("7kq2m"));
    desk.press("esc");
    assert!(desk.shows("Type what the caller reads"));
}

#[test]
fn what_is_neither_key_nor_name_says_so() {
    let mut desk = Desk::open();
    desk.type_text("??!");
    assert!(desk.row(5).contains("This is no key ID and no name."));
}

#[test]
fn a_pasted_recovery_screen_yields_its_key_id() {
    let mut desk = Desk::open();
    let screen = "BitLocker recovery\nRecovery key ID:\n4F2B91C0-6E1D-4C0B-9F7A-0B5D8B3C2A11\nesc";
    desk.send(Msg::Paste(screen.into()));
    desk.wait(200);
    assert!(desk.shows("One key on one device. All eight heard."));
}

#[test]
fn a_huge_paste_is_answered_in_a_sentence_and_nothing_is_kept() {
    let mut desk = Desk::open();
    desk.send(Msg::Paste("é!".repeat(5 * 1024 * 1024)));
    assert!(desk.row(5).contains("10,485,760 characters were pasted: no key ID and no name among them."));
    desk.type_text("4");
    assert!(!desk.shows("were pasted"));
}

#[test]
fn a_name_that_attacks_the_terminal_is_written_out() {
    let mut desk = Desk::open();
    let mut hostile = found_by("HVC\u{1b}[2J\u{202e}-LT", "serial \u{7}1");
    hostile.device.id = DeviceId(uuid::Uuid::from_u128(1));
    let wide = found_by("診察室の端末-0421-とても長い名前のデバイスです", "serial 2");
    let mut right_to_left = found_by("מחשב-0421", "serial 3");
    right_to_left.device.id = DeviceId(uuid::Uuid::from_u128(3));
    desk.world.beyond = vec![hostile, wide, right_to_left];
    desk.type_text("serial");
    desk.wait(450);
    assert_screen!(desk);
}

#[rstest]
#[case(Kind::Unreachable, "Entra cannot be reached.")]
#[case(Kind::Refused, "Your role may not list devices.")]
fn a_failure_stands_over_the_card_and_goes_with_the_next_key(#[case] kind: Kind, #[case] said: &str) {
    let mut desk = Desk::open();
    desk.hold(looks_up);
    desk.type_text("mara.voss");
    desk.wait(450);
    desk.answer(looks_up, Err(failure(kind, said)));
    assert!(desk.row(17).contains(said));
    desk.press("x");
    assert!(!desk.shows(said));
}

#[test]
fn entra_is_asked_once_however_often_the_index_grows() {
    let mut desk = Desk::open();
    desk.type_text("mara.voss");
    desk.wait(450);
    desk.effects.clear();
    for keys in 0..5 {
        desk.news(News::Listing(Listing { keys, running: true, ..Listing::default() }));
        desk.wait(500);
    }
    assert!(!asked(&desk.effects).iter().any(|request| looks_up(request)), "{:?}", desk.effects);
}

#[test]
fn a_match_that_the_index_learns_of_later_appears_by_itself() {
    let mut desk = Desk::open();
    let known = std::mem::take(&mut desk.world.keys);
    desk.type_text("4F2B91C0");
    assert!(!desk.shows("One key on one device"));
    desk.world.keys = known;
    desk.news(News::Listing(Listing { keys: 3, running: true, ..Listing::default() }));
    assert!(desk.shows("One key on one device. All eight heard."));
}

#[test]
fn a_replacement_that_was_seen_is_said_and_stays_on_the_desk() {
    let mut desk = Desk::open();
    let now = desk.now.wall;
    let mut paid =
        debt(0x4F2B_91C0, "HVC-LT-0421", "0048213", Duration::from_mins(3), now, RotationState::Over { at: now });
    let new_key = crate::domain::key_id::KeyId("5d20b8f3-6e1d-4c0b-9f7a-0b5d8b3c2a11".parse().unwrap());
    paid.state = crate::domain::debt::DebtState::Proved {
        grade: crate::domain::policy::Proof::Confirmed,
        new_key: Some(new_key),
        at: now,
    };
    desk.news(News::Debts(vec![paid]));
    desk.news(News::Debt("HVC-LT-0421: new key 5D20B8F3 seen, the debt is paid.".into()));
    assert_screen!(desk);
    desk.wait(7000);
    assert!(desk.shows("√ HVC-LT-0421: New key 5D20B8F3 seen"));
    assert!(!desk.row(23).contains("5D20B8F3"), "the notice has gone");
}

#[test]
fn while_the_list_fills_a_missing_key_is_missing_so_far() {
    let mut desk = Desk::open();
    desk.news(News::Listing(Listing { keys: 41_300, running: true, ..Listing::default() }));
    desk.type_text("4F2B91C7");
    desk.wait(500);
    assert_screen!(desk);
}

#[test]
fn a_list_that_stopped_says_why_and_how_to_start_it_again() {
    let mut desk = Desk::open();
    desk.hold(|request| *request == Request::SyncIndex);
    desk.press("f5");
    let role = failure(Kind::Refused, "Your role may not list keys.").next("Ask for Helpdesk Administrator.");
    desk.answer(|request| *request == Request::SyncIndex, Err(role));
    assert_screen!(desk);
}

#[test]
fn a_device_deleted_in_entra_still_opens() {
    let mut desk = Desk::open();
    desk.world.card.device = None;
    desk.world.card.verdict = None;
    desk.world.card.managed.clear();
    desk.world.card.earlier.clear();
    for found in &mut desk.world.keys {
        found.device = None;
    }
    desk.type_text("4F2B");
    assert!(desk.shows("not listed"));
    desk.type_text("91C0");
    desk.wait(200);
    assert_screen!(desk);
    assert!(
        matches!(asked(&desk.press("enter"))[..], [Request::OpenCall(open), Request::Redeem(_)] if open.device_name.raw() == "deleted device")
    );
}

#[test]
fn a_device_without_keys_says_what_that_means() {
    let mut desk = Desk::open();
    desk.world.card.keys.clear();
    desk.world.card.escrow = crate::domain::escrow::Escrow::Pending;
    desk.type_text("HVC-LT-0421");
    desk.wait(450);
    desk.press("down 1");
    assert_screen!(desk);
}

#[test]
fn intune_that_could_not_be_asked_is_said_on_the_card() {
    let mut desk = Desk::open();
    desk.world.card.managed.clear();
    desk.world.card.managed_failure = Some("Intune answered 403: your role may not read devices.".into());
    desk.type_text("4F2B91C0");
    desk.wait(200);
    assert_screen!(desk);
}

#[test]
fn a_stale_answer_is_dropped() {
    let mut desk = Desk::open();
    desk.hold(|request| matches!(request, Request::Find(_)));
    desk.type_text("4F2B");
    let ask = desk.ask(|request| matches!(request, Request::Find(_)));
    desk.type_text("91C0");
    let found = Found { keys: desk.world.keys.clone(), keys_total: 3, keys_devices: 3, devices: Vec::new() };
    desk.send(Msg::Answer { ask, result: Ok(Outcome::Found(found)) });
    assert!(!desk.shows("HVC-LT-1180"));
}

#[test]
fn calls_left_behind_and_what_recovery_did_stand_on_the_empty_desk() {
    let mut desk = Desk::in_call();
    desk.press("f4");
    desk.wait(7000);
    desk.model.recovered = vec!["Call 16 ended while a key was asked for: Entra may have recorded a read.".into()];
    assert_screen!(desk);
}

#[test]
fn an_idle_desk_wakes_when_an_age_on_it_changes_and_an_empty_one_to_lock_alone() {
    let mut desk = Desk::open();
    let left = desk.model.next_deadline(desk.now).unwrap().left(desk.now);
    assert!(left > Duration::from_secs(50) && left <= Duration::from_mins(1), "{left:?}");
    desk.model.listing.complete_since = None;
    assert_eq!(desk.model.next_deadline(desk.now), desk.model.session.locks_at());
    desk.wait(15 * 60 * 1000);
    assert_eq!(desk.model.next_deadline(desk.now), None);
}

#[test]
fn a_tall_window_opens_objects_and_keys_below_the_card() {
    let mut desk = Desk::sized(120, 40);
    desk.type_text("4F2B91C0");
    desk.wait(200);
    assert_screen!(desk);
}

#[test]
fn a_wide_window_opens_them_beside_the_card() {
    let mut desk = Desk::sized(200, 60);
    desk.type_text("4F2B91C0");
    desk.wait(200);
    assert_screen!(desk);
}

#[test]
fn what_was_typed_beyond_eight_is_said_too_and_a_key_that_begins_the_same_is_named() {
    let mut desk = Desk::open();
    desk.type_text("4F2B91C0F");
    desk.wait(500);
    assert!(desk.row(5).contains("No key starts with 4F2B 91C0 F."));
    assert!(desk.shows("4F2B91C0 on HVC-LT-0421 begins the same: was the ninth"));
    desk.press("backspace");
    assert!(desk.shows("One key on one device. All eight heard."));
    desk.press("esc");
    desk.send(Msg::Paste("4F2B91C0-6E1D-4C0B-9F7A-0B5D8B3C2A12".into()));
    desk.wait(500);
    assert!(desk.row(5).contains("No key starts with 4F2B 91C0 6E1D 4C0B 9F7A 0B5D 8B3C 2A12."));
    assert!(desk.shows("begins the same: was the 32nd"));
    desk.press("esc");
    desk.type_text("4F2B91C7F");
    desk.wait(500);
    assert!(!desk.shows("begins the same"));
}

#[test]
fn one_device_found_is_opened_by_enter() {
    let mut desk = Desk::open();
    desk.type_text("HVC-LT-0421");
    assert!(desk.row(5).contains("1 device. Enter opens it."));
    let effects = desk.press("enter");
    assert!(matches!(asked(&effects)[..], [Request::OpenDevice(OpenDevice { asked: None, .. })]));
}

#[test]
fn devices_of_one_name_are_told_apart_and_keys_not_seen_yet_are_not_none() {
    let mut desk = Desk::open();
    let mut twin = found_by("HVC-LT-0421", "");
    twin.device.id = DeviceId(uuid::Uuid::from_u128(0x0077_b0e2_u128 << 96));
    twin.device.join = Join::Registered;
    twin.keys = 0;
    desk.world.devices.push(twin);
    desk.news(News::Listing(Listing { keys: 3, running: true, ..Listing::default() }));
    desk.type_text("HVC-LT-0421");
    desk.press("down");
    assert_screen!(desk);
}

#[test]
fn more_devices_than_fit_are_counted_and_the_first_fifty_are_called_so() {
    let mut desk = Desk::open();
    desk.world.devices = (0..50_u32)
        .map(|n| {
            let mut device = found_by(&format!("HVC-WS-{n:04}"), "");
            device.device.id = DeviceId(uuid::Uuid::from_u128(u128::from(n) + 1));
            device
        })
        .collect();
    desk.type_text("HVC-WS");
    assert!(desk.row(5).contains("The first 50 devices."));
    assert!(desk.shows("1 to 11 of the first 50"), "{:#?}", desk.rows());
    desk.press("down end");
    assert!(desk.shows("40 to 50 of the first 50") && desk.shows("HVC-WS-0049"));
    desk.press("pageup");
    assert!(desk.shows("▌   HVC-WS-0039"), "{:#?}", desk.rows());
}

#[test]
fn what_is_no_key_id_leaves_the_device_and_searches_anew() {
    let mut desk = Desk::open();
    desk.type_text("HVC-LT-0421");
    desk.press("enter a 1");
    assert!(desk.shows("1 key on HVC-LT-0421"));
    desk.type_text("xq");
    desk.wait(500);
    assert!(desk.shows("No device, serial or user here is called a1xq."), "{:#?}", desk.rows());
    desk.press("ctrl-u");
    assert!(desk.shows("Type what the caller reads"));
    desk.type_text("HVC-LT-0421");
    desk.press("enter ctrl-u");
    assert!(desk.shows("Type what the caller reads"));
}

#[test]
fn while_the_call_is_being_opened_keys_wait_and_the_desk_says_so() {
    let mut desk = Desk::open();
    desk.hold(|request| matches!(request, Request::OpenCall(_)));
    desk.type_text("4F2B91C0");
    desk.wait(200);
    desk.press("enter");
    assert!(desk.row(23).contains("Opening the call"));
    desk.press("x esc down f2");
    desk.send(Msg::Paste("mara".into()));
    assert!(desk.row(4).contains("4F2B 91C0") && !desk.shows("Debts"));
}

#[test]
fn a_long_name_is_cut_and_the_facts_after_it_are_not() {
    let mut desk = Desk::open();
    desk.world.card.device.as_mut().unwrap().name = "HVC-WS-LAB-MICROSCOPE-AND-CENTRIFUGE-IN-ROOM-2".into();
    desk.type_text("4F2B91C0");
    desk.wait(200);
    assert!(desk.row(10).contains("…, Entra joined, compliant, checked in 2 days ago"), "{}", desk.row(10));
}

#[test]
fn a_pasted_mail_yields_its_labelled_key_id_whatever_its_line_ends() {
    let mut desk = Desk::open();
    desk.send(Msg::Paste("HVC-LT-0421\rKey ID: 4F2B91C0\rMara Voss".into()));
    assert!(desk.shows("One key on one device. All eight heard."));
    desk.press("esc");
    desk.send(Msg::Paste("\r\nHVC-LT-0421\rINC0048213".into()));
    assert!(desk.row(4).trim_end().ends_with("HVC-LT-0421"), "{}", desk.row(4));
}

#[test]
fn offline_is_said_since_when_until_something_answers() {
    let mut desk = Desk::open();
    desk.hold(looks_up);
    desk.type_text("mara.voss");
    desk.wait(450);
    desk.answer(looks_up, Err(failure(Kind::Unreachable, "Entra cannot be reached.")));
    assert!(desk.row(2).contains("offline since 09:41"), "{}", desk.row(2));
    desk.press("esc");
    desk.hold(opens);
    desk.type_text("4F2B91C0");
    assert!(desk.row(2).contains("offline since 09:41"), "the index answers from this machine");
    desk.release();
    assert!(desk.row(2).contains("110,204 keys"), "the device was opened: {}", desk.row(2));
}

#[test]
fn f5_says_that_it_looks_and_that_it_has_looked() {
    let mut desk = Desk::open();
    desk.type_text("4F2B91C0");
    desk.wait(200);
    desk.hold(opens);
    desk.press("f5");
    assert!(desk.row(23).contains("Looking again"));
    desk.release();
    assert!(desk.row(23).contains("√ Looked just now."));
    let mut desk = Desk::open();
    desk.hold(|request| *request == Request::SyncIndex);
    desk.press("f5");
    assert!(desk.row(2).contains("110,204 keys, looking"), "{}", desk.row(2));
}

#[test]
fn enter_that_comes_before_the_index_has_answered_opens_the_call_when_it_has() {
    let mut desk = Desk::open();
    desk.type_text("4F2B91C");
    desk.wait(200);
    desk.hold(|request| matches!(request, Request::Find(_)));
    desk.type_text("0");
    assert!(asked(&desk.press("enter")).is_empty());
    desk.release();
    assert!(desk.shows("They say"));
}

#[test]
fn enter_before_the_answer_opens_nothing_when_no_key_is_found_or_another_is_typed() {
    let mut desk = Desk::open();
    desk.hold(|request| matches!(request, Request::Find(_)));
    desk.type_text("4F2B91C7");
    desk.press("enter");
    desk.press("backspace 0");
    desk.release();
    desk.wait(1000);
    assert!(!desk.shows("They say"));
}

#[test]
fn of_many_parked_calls_the_rest_is_counted_whatever_their_names() {
    let mut desk = Desk::in_call();
    desk.press("f4");
    let mut parked = desk.model.calls[0].clone();
    parked.device_name = "HVC-WS-LAB-MICROSCOPE-AND-CENTRIFUGE-IN-ROOM-2".into();
    desk.model.calls = vec![parked; 4];
    assert!(desk.shows("…: < 1 min, caller not verified yet; 2 more: F3"), "{:#?}", desk.rows());
}

#[test]
fn what_ended_the_last_call_goes_with_esc_and_has_no_bar_of_its_own() {
    let mut desk = Desk::in_call();
    desk.press("tab n");
    assert!(desk.row(17).starts_with("  Refused"), "{}", desk.row(17));
    desk.press("esc");
    assert!(!desk.shows("Refused"));
}

#[test]
fn a_device_that_could_not_be_opened_is_not_said_to_be_opening() {
    let mut desk = Desk::open();
    desk.hold(|request| matches!(request, Request::OpenDevice(_)));
    desk.type_text("4F2B91C0");
    desk.wait(200);
    let failed = failure(Kind::Failed, "Entra's answer is of no use: a web page came instead.").next("Try again.");
    desk.answer(|request| matches!(request, Request::OpenDevice(_)), Err(failed));
    assert_screen!(desk);
    assert!(asked(&desk.press("f5")).iter().any(|request| matches!(request, Request::OpenDevice(_))));
}
