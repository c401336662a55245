//! SIGKILL at random moments of a call, against a tenant that lives on: no key request without a row before it, no debt lost, no
//! rotation sent twice.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what it expects by failing, and its seed by printing"
)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use common::{
    TICKET, follow, key_requests,
    pty::{Served, Term, keydesk, serve},
    rotations,
};
use keydesk::{
    domain::{
        call::DisclosureId,
        debt::{DebtId, DebtState},
        event::Event,
    },
    store::Ledger,
};

/// How many desks are killed, over both lanes.
const KILLS: usize = 100;
const LANES: usize = 2;

/// What is typed, in order, and what must be on the screen before the next.
const STEPS: &[(&str, &str)] = &[
    ("", "keys,"),
    ("{prefix}", "HVC-LT-0421, Entra joined"),
    ("\r", "They say"),
    ("mara voss\r", "match: the owner"),
    ("\t", "How"),
    ("1v", "INC"),
    ("{ticket}", "fits the pattern"),
    ("\r2", "Written down before"),
    ("\r", "1 of 8"),
    ("w", "Note"),
    ("\r", "Type what the caller reads"),
];

#[test]
#[ignore = "needs a minute"]
fn a_desk_killed_at_any_moment_loses_nothing_and_repeats_nothing() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let lanes: Vec<_> = (0..LANES).map(|lane| std::thread::spawn(move || kill_lane(seed + lane as u64))).collect();
    let mut total = BTreeMap::new();
    for lane in lanes {
        for (step, count) in lane.join().unwrap() {
            *total.entry(step).or_insert(0) += count;
        }
    }
    println!("killed after step: {total:?}");
    assert_eq!(total.values().sum::<usize>(), KILLS);
}

/// Kills its share of desks on one ledger and one tenant, checks after each, settles at the end. How many were killed after which step.
fn kill_lane(seed: u64) -> BTreeMap<usize, usize> {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut killed = BTreeMap::new();
    for _ in 0..KILLS / LANES {
        // Two of three in the second half, where keys are asked for and rotations sent.
        let half = STEPS.len() / 2;
        let last = if dice.below(3) == 0 { dice.below(half) } else { half + dice.below(STEPS.len() - half) };
        let step = walk_and_kill(&served, home.path(), last, Duration::from_millis(dice.below(350) as u64));
        *killed.entry(step).or_insert(0) += 1;
        every_key_request_has_its_row(&served, home.path());
    }
    settle(&served, home.path());
    killed
}

/// Types the call up to and including step `last`, waits a moment, kills. The step it came to.
fn walk_and_kill(served: &Served, home: &Path, last: usize, moment: Duration) -> usize {
    let prefix = current_prefix(served);
    let mut term = Term::spawn(keydesk(home, Some(&served.running)), 80, 24);
    for (step, (keys, expected)) in STEPS.iter().enumerate() {
        term.send(&keys.replace("{prefix}", &prefix).replace("{ticket}", &TICKET["INC".len()..]));
        if step == last {
            std::thread::sleep(moment);
            term.kill();
            return step;
        }
        term.wait_for(expected);
        if step == 4 {
            // The list drops what comes within a quarter of a second.
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    unreachable!("the last step is one of them")
}

/// What the caller would read now: the newest key of the ordinary laptop.
fn current_prefix(served: &Served) -> String {
    let dump = served.running.tenant().dump();
    let keys = dump["keys"].as_array().unwrap();
    let device = keys
        .iter()
        .find(|key| key["id"].as_str().unwrap().to_uppercase().starts_with("4F2B91C0"))
        .map(|key| key["deviceId"].clone())
        .unwrap();
    let newest = keys
        .iter()
        .filter(|key| key["deviceId"] == device)
        .max_by_key(|key| key["createdDateTime"].as_str().unwrap().to_owned())
        .unwrap();
    newest["id"].as_str().unwrap()[..8].to_uppercase()
}

fn every_key_request_has_its_row(served: &Served, home: &Path) {
    let Ok(ledger) = Ledger::open(&home.join("ledger.db")) else { return };
    let rows = ledger.rows(1).unwrap();
    let intents: BTreeMap<DisclosureId, jiff::Timestamp> = rows
        .iter()
        .filter_map(|row| match &row.event {
            Event::Intended(intent) => Some((intent.disclosure, row.at)),
            _ => None,
        })
        .collect();
    for request in key_requests(&served.running) {
        let disclosure = DisclosureId(request.client_request_id.unwrap());
        let at = intents.get(&disclosure).unwrap_or_else(|| panic!("no row for {request:?}"));
        let arrived: jiff::Timestamp = request.time.parse().unwrap();
        assert!(*at <= arrived, "the row of {at} is later than the request of {arrived}");
    }
    ledger.verify().unwrap().unwrap();
}

/// A last desk follows everything to its end; then the accounts are compared.
fn settle(served: &Served, home: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let desk = common::desk(&served.running, home).await;
        keydesk::ops::rotate::send_held(&desk).await.unwrap();
        let debts = follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
        let rows = desk.ledger().rows(1).unwrap();

        // No debt lost: every key request's debt is in the ledger, and has ended as it should.
        let debt_of: BTreeMap<DisclosureId, DebtId> = rows
            .iter()
            .filter_map(|row| match &row.event {
                Event::Intended(intent) => Some((intent.disclosure, intent.debt)),
                _ => None,
            })
            .collect();
        for request in key_requests(&served.running) {
            let debt = debt_of[&DisclosureId(request.client_request_id.unwrap())];
            let ended = debts.iter().find(|other| other.id == debt).unwrap();
            assert!(matches!(ended.state, DebtState::Proved { .. }), "{ended:#?}");
        }

        // No rotation sent twice: never more requests than rotations that were committed for sending.
        let committed: BTreeSet<_> = rows
            .iter()
            .filter_map(|row| match &row.event {
                Event::RotationSending { rotation, .. } => Some(*rotation),
                _ => None,
            })
            .collect();
        let sent = rotations(&served.running).len();
        println!(
            "{} key requests, {} rotations committed, {sent} sent",
            key_requests(&served.running).len(),
            committed.len()
        );
        assert!(sent <= committed.len(), "{sent} sent, {} committed", committed.len());

        let before = format!("{debts:?}");
        desk.ledger().rebuild().unwrap();
        let after = format!("{:?}", keydesk::ops::debts::list(&desk).await.unwrap());
        assert_eq!(before, after, "the projections rebuild to the same");
    });
}

/// A small generator of its own: the seed is printed, so a failure can be walked again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }
}
