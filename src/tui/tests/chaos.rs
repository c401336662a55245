//! Whatever comes, in whatever order and at whatever size: nothing panics, and no key outlives its timers.

use std::time::Duration;

use proptest::prelude::*;

use super::{Desk, World, failure};
use crate::{
    domain::work::{AskId, Kind, News, Outcome, Progress, Request, Waiting, sign_in::DeviceCode, sync_index::Listing},
    tui::{KeyPress, Msg, Place, screens::stage::Stage},
};

#[derive(Clone, Debug)]
enum Step {
    Key(&'static str, bool),
    Text(String),
    Paste(String),
    Focus(bool),
    Size(u16, u16),
    Wait(u64),
    Fail(usize, Kind),
    Late(u64),
    Code,
    Waiting,
    SignedOut,
    AnotherName,
    Listing,
}

const KEYS: [&str; 38] = [
    "enter",
    "enter",
    "enter",
    "tab",
    "tab",
    "esc",
    "up",
    "down",
    "left",
    "right",
    "backspace",
    "space",
    "f1",
    "f2",
    "f3",
    "f4",
    "f5",
    "f6",
    "f8",
    "f9",
    "v",
    "v",
    "n",
    "h",
    "w",
    "c",
    "t",
    "a",
    "b",
    "s",
    "y",
    "o",
    "1",
    "2",
    "9",
    "delete",
    "home",
    "f12",
];
const KINDS: [Kind; 11] = [
    Kind::Failed,
    Kind::Usage,
    Kind::Refused,
    Kind::Confirm,
    Kind::NotFound,
    Kind::SignIn,
    Kind::Locked,
    Kind::Record,
    Kind::Uncertain,
    Kind::Unreachable,
    Kind::Cancelled,
];
const TEXTS: [&str; 7] = ["4F2B91C0", "4F2B", "mara voss", "0048213", "0047790", "HVC-LT", "לקוח 診察\u{202e}"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..KEYS.len(), prop::bool::weighted(0.1)).prop_map(|(n, repeat)| Step::Key(KEYS[n], repeat)),
        6 => (0..TEXTS.len()).prop_map(|n| Step::Text(TEXTS[n].into())),
        1 => any::<String>().prop_map(Step::Text),
        1 => any::<String>().prop_map(Step::Paste),
        1 => any::<bool>().prop_map(Step::Focus),
        1 => prop_oneof![Just((80, 24)), Just((120, 40)), Just((200, 60)), Just((113, 35)), (1_u16..90, 1_u16..30)]
            .prop_map(|(cols, rows)| Step::Size(cols, rows)),
        4 => (1_u64..3000).prop_map(Step::Wait),
        1 => (10_000_u64..700_000).prop_map(Step::Wait),
        1 => (0..10_usize, 0..KINDS.len()).prop_map(|(n, kind)| Step::Fail(n, KINDS[kind])),
        1 => (0_u64..60).prop_map(Step::Late),
        1 => Just(Step::Code),
        1 => Just(Step::Waiting),
        1 => Just(Step::SignedOut),
        1 => Just(Step::AnotherName),
        1 => Just(Step::Listing),
    ]
}

/// How far a call is taken before the storm begins.
fn begun(at: u8) -> Desk {
    let mut desk = Desk::open();
    match at {
        0 => {}
        1 => drop(desk.reach_caller()),
        2 => drop(desk.reach_reason()),
        3 => drop(desk.reach_stage()),
        _ => {
            desk.reach_stage();
            desk.press("w");
        }
    }
    desk
}

fn drop<T>(_: T) {}

fn take(desk: &mut Desk, step: Step) {
    match step {
        Step::Key(name, repeat) => {
            let key = crokey::parse(name).unwrap().normalized();
            desk.pass(Duration::from_millis(40));
            desk.send(Msg::Key(KeyPress { key, repeat }));
        }
        Step::Text(text) => drop(desk.type_text(&text)),
        Step::Paste(text) => desk.send(Msg::Paste(text)),
        Step::Focus(focused) => desk.send(Msg::Focus(focused)),
        Step::Size(cols, rows) => desk.send(Msg::Resize { cols, rows }),
        Step::Wait(millis) => drop(desk.wait(millis)),
        Step::Fail(n, kind) => {
            // The next answers are failures of this kind.
            desk.hold(|_| true);
            desk.press(KEYS[n]);
            let open = std::mem::take(&mut desk.open);
            for (ask, _) in open {
                desk.send(Msg::Answer { ask, result: Err(failure(kind, "It went wrong.")) });
            }
            desk.release();
        }
        Step::Late(n) => {
            let listed = Outcome::Listed(Listing::default());
            desk.send(Msg::Answer { ask: AskId(n), result: Ok(listed) });
        }
        Step::Code => {
            let code = DeviceCode {
                user_code: "C4DHKTR9P".into(),
                address: "https://microsoft.com/devicelogin".into(),
                expires_in: Duration::from_mins(15),
            };
            let asks: Vec<AskId> = desk.open.iter().map(|(ask, _)| *ask).collect();
            for ask in asks {
                desk.send(Msg::Progress { ask, progress: Progress::DeviceCode(code.clone()) });
            }
        }
        Step::Waiting => {
            let asks: Vec<AskId> = desk.open.iter().map(|(ask, _)| *ask).collect();
            for ask in asks {
                let waiting = Waiting { for_: Duration::from_secs(12) };
                desk.send(Msg::Progress { ask, progress: Progress::Waiting(waiting) });
            }
        }
        Step::AnotherName => {
            // A session ends, and somebody else signs in.
            desk.hold(|request| matches!(request, Request::SignIn(_) | Request::OpenDevice(_) | Request::Debts));
            desk.press("f5");
            for (ask, request) in std::mem::take(&mut desk.open) {
                let another = Outcome::AnotherName(World::another_name());
                let is_sign_in = matches!(request, Request::SignIn(_));
                let result = if is_sign_in { Ok(another) } else { Err(failure(Kind::SignIn, "Signed out.")) };
                desk.send(Msg::Answer { ask, result });
            }
            desk.release();
        }
        Step::SignedOut => drop(desk.news(News::SignedOut)),
        Step::Listing => drop(desk.news(News::Listing(Listing { keys: 180, running: true, ..Listing::default() }))),
    }
}

/// Whether a block of the key can be read on screen.
fn shows_digits(desk: &Desk) -> bool {
    let digits = &desk.world.digits;
    desk.rows().iter().any(|row| digits.split('-').any(|block| row.contains(block)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_a_shown_key_is_always_concealed_and_dropped(
        at in 0_u8..5,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut desk = begun(at);
        for step in steps {
            take(&mut desk, step);
            let rows = desk.rows();
            desk.send(Msg::Tick);
            let next = desk.model.next_deadline(desk.now);
            prop_assert!(next.is_none_or(|next| !next.left(desk.now).is_zero()), "a tick changes nothing, and is wanted again at once");
            let place = desk.model.place();
            if !matches!(place, Place::Small | Place::Quit | Place::Help) {
                prop_assert!(rows.last().unwrap().contains("F1 help"), "{place:?}: {rows:#?}");
            }
            prop_assert!(
                !shows_digits(&desk) || desk.model.call.as_ref().is_some_and(|call| call.stage.is_some()),
                "digits without a stage"
            );
        }
        // Nobody touches it any more: first concealed, then dropped, without a message but its own ticks.
        let policy = super::policy();
        desk.wait(u64::try_from(policy.conceal_after.as_millis()).unwrap() + 1);
        prop_assert!(!shows_digits(&desk), "still shown after its time");
        desk.wait(u64::try_from(policy.drop_after.as_millis()).unwrap() + 1);
        let stage = desk.model.call.as_ref().and_then(|call| call.stage.as_ref());
        let kept = stage.is_some_and(Stage::has_digits);
        prop_assert!(!kept, "still in memory after its time");
    }
}
