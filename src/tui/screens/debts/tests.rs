//! Debts by keys and as drawn.

use std::time::Duration;

use super::*;
use crate::{
    domain::{
        debt::{Block, Candidate, DebtState, RotationState},
        device::{DeviceId, ManagedDeviceId},
        key_id::KeyId,
        policy::Proof,
        watch::{By, Follower, Role as Following, Watch},
        work::{Kind, News},
    },
    tui::tests::{Desk, asked, assert_screen, debt, failure},
};

fn with_debts() -> Desk {
    let mut desk = Desk::open();
    let now = desk.now.wall;
    let hours = |n| Duration::from_hours(n);
    let blocked =
        RotationState::Blocked { why: Block::Reported { hresult: 0x8031_00DA_u32.cast_signed(), times: 0 }, at: now };
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
fn what_is_being_sent_is_not_called_sent() {
    let mut desk = Desk::open();
    let now = desk.now.wall;
    let sending = RotationState::Sending { since: now };
    desk.world.debts = vec![debt(0x4F2B_91C0, "HVC-LT-0421", "0048213", Duration::from_hours(1), now, sending)];
    desk.press("f2");
    assert!(desk.row(24).contains("o hold (being sent)"), "{}", desk.row(24));
}

#[test]
fn a_debt_that_ended_cannot_be_waived() {
    let mut desk = with_debts();
    desk.press("f2 3 a");
    assert!(!desk.shows("Why this key will not be replaced"));
    assert!(desk.row(24).contains("e evidence") && desk.row(24).contains("o hold (ended)"), "{}", desk.row(24));
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

/// A laptop that Intune knows twice.
fn with_a_choice() -> Desk {
    let mut desk = Desk::open();
    let now = desk.now.wall;
    let candidate = |n: u128, name: &str, hours| Candidate {
        managed: ManagedDeviceId(uuid::Uuid::from_u128(n)),
        device: DeviceId(uuid::Uuid::from_u128(n)),
        name: name.into(),
        checked_in: Some(now - jiff::SignedDuration::from_hours(hours)),
    };
    let candidates = vec![candidate(0x3C1E, "HVC-LT-0421", 2), candidate(0x77B0, "HVC-LT-0421", 300)];
    let why = Block::SeveralManagedDevices { count: 2, candidates };
    let blocked = RotationState::Blocked { why, at: now };
    desk.world.debts = vec![debt(0x4F2B_91C0, "HVC-LT-0421", "0048213", Duration::from_hours(3), now, blocked)];
    let debts = desk.world.debts.clone();
    desk.news(News::Debts(debts));
    desk
}

fn steps(desk: &Desk, count: u16) -> Vec<Step> {
    (1..=count)
        .map(|n| Step {
            at: desk.now.wall - jiff::SignedDuration::from_hours(i64::from(count - n) * 5),
            seq: n.into(),
            word: if n == 1 { "owed" } else { "checked in" },
            sentence: format!(
                "Step {n}: the laptop was there, and what is said of it is longer than one line of the page."
            ),
            who: (n % 2 == 1).then(|| "dana@harborview.example".into()),
        })
        .collect()
}

#[test]
fn enter_shows_every_step_of_a_debt_the_newest_first() {
    let mut desk = with_debts();
    desk.world.history = steps(&desk, 4);
    let effects = desk.press("f2 2 enter");
    let wanted = Request::History(DebtId(uuid::Uuid::from_u128(0x4F2B_91C0)));
    assert!(asked(&effects).contains(&&wanted), "{effects:?}");
    assert_screen!(desk);
    desk.press("esc");
    assert!(desk.shows("2 open, 1 proved today."));
}

#[test]
fn a_long_history_scrolls() {
    let mut desk = with_debts();
    desk.world.history = steps(&desk, 30);
    desk.press("f2 2 enter");
    assert!(desk.shows("Step 30:") && desk.shows("older below"), "{:#?}", desk.rows());
    desk.press("end");
    assert!(desk.shows("Step 1:") && !desk.shows("older below"), "{:#?}", desk.rows());
    desk.press("home down");
    assert!(desk.shows("Step 29:") && !desk.shows("Step 30:"), "{:#?}", desk.rows());
}

#[test]
fn a_debt_that_changes_while_its_steps_are_shown_has_them_read_again() {
    let mut desk = with_debts();
    desk.press("f2 2 enter");
    let mut debts = desk.world.debts.clone();
    let debt = debts.iter_mut().find(|debt| debt.rotation.is_some() && debt.is_sent() && debt.is_open()).unwrap();
    debt.rotation.as_mut().unwrap().state = RotationState::Reported { at: desk.now.wall };
    desk.effects.clear();
    desk.news(News::Debts(debts));
    assert!(matches!(asked(&desk.effects)[..], [Request::History(_)]), "{:?}", desk.effects);
}

#[test]
fn of_several_laptops_a_number_chooses_and_enter_sends_to_it() {
    let mut desk = with_a_choice();
    desk.press("f2");
    assert!(desk.row(24).contains("Enter choose the laptop"), "{}", desk.row(24));
    desk.press("enter");
    assert_eq!(settled(&mut desk, "enter"), None, "nothing is chosen yet");
    assert!(desk.row(24).contains("Enter send to it (choose 1-9)"), "{}", desk.row(24));
    assert_eq!(settled(&mut desk, "3"), None);
    assert_eq!(settled(&mut desk, "2"), None);
    assert_screen!(desk);
    let settle = settled(&mut desk, "enter").unwrap();
    assert_eq!(settle.how, How::Target { managed: ManagedDeviceId(uuid::Uuid::from_u128(0x77B0)) });
}

#[test]
fn what_was_chosen_among_other_laptops_is_not_chosen_any_more() {
    let mut desk = with_a_choice();
    desk.press("f2 enter 2");
    let mut debts = desk.world.debts.clone();
    if let Some(RotationState::Blocked { why: Block::SeveralManagedDevices { candidates, .. }, .. }) =
        debts[0].rotation.as_mut().map(|rotation| &mut rotation.state)
    {
        candidates.reverse();
    }
    desk.news(News::Debts(debts));
    assert_eq!(settled(&mut desk, "enter"), None);
}

#[test]
fn a_new_key_that_may_be_anothers_is_confirmed_with_how_one_knows() {
    let mut desk = Desk::open();
    let now = desk.now.wall;
    let key = KeyId("5d20b8f3-6e1d-4c0b-9f7a-0b5d8b3c2a11".parse().unwrap());
    let unsure = RotationState::Blocked { why: Block::Unsure { key }, at: now };
    desk.world.debts = vec![debt(0x4F2B_91C0, "HVC-LT-0421", "0048213", Duration::from_hours(3), now, unsure)];
    let debts = desk.world.debts.clone();
    desk.news(News::Debts(debts));
    desk.press("f2 c");
    assert_eq!(settled(&mut desk, "enter"), None, "nothing is said");
    desk.type_text("compared on the laptop");
    assert_screen!(desk);
    let settle = settled(&mut desk, "enter").unwrap();
    assert_eq!(settle.how, How::Confirm { new_key: None, how: "compared on the laptop".into() });
}

#[test]
fn without_a_doubt_there_is_nothing_to_confirm() {
    let mut desk = with_debts();
    desk.press("f2 c");
    assert!(!desk.shows("How you know"));
}

#[test]
fn what_was_read_to_the_wrong_person_stands_first_and_cannot_be_held() {
    let mut desk = with_debts();
    let now = desk.now.wall;
    let held = RotationState::Held { until: now + jiff::SignedDuration::from_mins(20) };
    let mut urgent = debt(0x1111_2222, "HVC-LT-0555", "0048300", Duration::from_mins(4), now, held);
    urgent.compromised = Some(now);
    desk.world.debts.push(urgent);
    let debts = desk.world.debts.clone();
    desk.news(News::Debts(debts));
    desk.press("f2");
    assert_screen!(desk);
    assert_eq!(settled(&mut desk, "o"), None);
    assert!(desk.row(24).contains("o hold (urgent)"), "{}", desk.row(24));
    assert!(desk.row(1).contains("× 3 debts"), "{}", desk.row(1));
}

#[test]
fn a_debt_of_another_tenant_can_be_looked_at_and_nothing_else() {
    let mut desk = with_debts();
    for debt in &mut desk.world.debts {
        debt.tenant = Some(uuid::Uuid::from_u128(99));
    }
    desk.press("f2");
    for key in ["t", "o", "a", "c"] {
        assert_eq!(settled(&mut desk, key), None);
    }
    assert!(desk.row(24).contains("t try again (other tenant)"), "{}", desk.row(24));
    desk.press("enter");
    assert!(desk.shows("Owed in another tenant"), "{:#?}", desk.rows());
}

#[test]
fn the_bar_stays_with_its_debt_when_the_list_changes_under_it() {
    let mut desk = with_debts();
    desk.press("f2 down");
    let now = desk.now.wall;
    let mut urgent =
        debt(0x1111_2222, "HVC-LT-0555", "0048300", Duration::ZERO, now, RotationState::Held { until: now });
    urgent.compromised = Some(now);
    desk.world.debts.push(urgent);
    let debts = desk.world.debts.clone();
    desk.news(News::Debts(debts));
    desk.press("a");
    desk.type_text("scrapped");
    let settle = settled(&mut desk, "enter").unwrap();
    assert_eq!(settle.debt, DebtId(uuid::Uuid::from_u128(0x4F2B_91C0)));
}

#[test]
fn who_follows_is_said_where_it_is_another() {
    let mut desk = with_debts();
    desk.press("f2");
    let other = Follower { role: Following::Desk, process: 4711 };
    desk.news(News::Watch(Watch { by: By::Other(other), ..Watch::default() }));
    assert!(desk.row(23).contains("Another desk on this machine (process 4711) follows what is owed."));
    desk.news(News::Watch(Watch { by: By::This, ..Watch::default() }));
    assert_eq!(desk.row(23), "");
}
