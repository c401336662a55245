//! SIGKILL at random moments of a call, against a tenant in a process of its own that lives on: no key request without a row before it,
//! no debt lost, no rotation sent twice.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{collections::BTreeMap, path::Path, time::Duration};

use common::{
    QUICK, TICKET,
    outside::{self, Tenant},
    pty::{Term, keydesk},
};
use keydesk::store::Ledger;
use portable_pty::CommandBuilder;

/// How many desks are killed, over both lanes.
const KILLS: usize = 100;
const LANES: usize = 2;

/// What is typed, in order, and what must be on the screen before the next.
const STEPS: &[(&str, &str)] = &[
    ("", "keys,"),
    ("{prefix}", "Verdict"),
    ("\r", "They say"),
    ("mara voss\r", "match: the owner"),
    ("\t", "How"),
    ("1", "► 1"),
    ("v", "INC"),
    ("{ticket}", "fits the pattern"),
    ("\r2", "Written down before"),
    ("\r", "1 of 8"),
    ("w", "Note"),
    ("\r", "Type what the caller reads"),
];

/// What a technician may read in an hour under the shipped policy: then a new desk and a new tenant.
const READ_IN_AN_HOUR: usize = 10;

/// What was done, and how often.
#[derive(Debug, Default)]
struct Tally {
    /// Kills by the step they came after.
    killed: BTreeMap<usize, usize>,
    requests: usize,
    committed: usize,
    sent: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (step, count) in other.killed {
            *self.killed.entry(step).or_insert(0) += count;
        }
        self.requests += other.requests;
        self.committed += other.committed;
        self.sent += other.sent;
    }

    fn kills(&self) -> usize {
        self.killed.values().sum()
    }
}

/// The step that sends a rotation.
const SENDS: usize = 9;

#[test]
#[ignore = "needs a minute"]
fn a_desk_killed_at_any_moment_loses_nothing_and_repeats_nothing() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let lanes: Vec<_> = (0..LANES).map(|lane| std::thread::spawn(move || kill_lane(seed + lane as u64))).collect();
    let mut total = Tally::default();
    for lane in lanes {
        total.add(lane.join().unwrap());
    }
    println!("{total:?}");
    assert_eq!(total.kills(), KILLS);
    assert!(total.requests > KILLS / 10 && total.sent > 2, "too little was tested");
}

/// Kills its share of desks, on one ledger and one tenant after another.
fn kill_lane(seed: u64) -> Tally {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut total = Tally::default();
    while total.kills() < KILLS / LANES {
        total.add(kill_until_the_limit(&mut dice, KILLS / LANES - total.kills()));
    }
    total
}

/// Kills at most `most` desks on one ledger and one tenant, checks after each, settles at the end.
fn kill_until_the_limit(dice: &mut Dice, most: usize) -> Tally {
    let (tenant, home) = (serve(), tempfile::tempdir().unwrap());
    let mut tally = Tally::default();
    let mut read = 0;
    while tally.kills() < most && read < READ_IN_AN_HOUR {
        // Two of three in the second half, where keys are asked for and rotations sent.
        let half = STEPS.len() / 2;
        let last = match dice.below(6) {
            0 | 1 => dice.below(half),
            2 => SENDS,
            _ => half + dice.below(STEPS.len() - half),
        };
        let moment = Duration::from_millis(dice.below(if last == SENDS { 500 } else { 350 }) as u64);
        let step = walk_and_kill(&tenant, home.path(), last, moment);
        *tally.killed.entry(step).or_insert(0) += 1;
        read = every_key_request_has_its_row(&tenant, home.path());
    }
    settle(&tenant, home.path(), &mut tally);
    tally
}

/// Types the call up to and including step `last`, waits a moment, kills. The step it came to.
fn walk_and_kill(tenant: &Tenant, home: &Path, last: usize, moment: Duration) -> usize {
    let prefix = tenant.current_prefix();
    let mut term = Term::spawn(command(tenant, home), 80, 24);
    for (step, (keys, expected)) in STEPS.iter().enumerate() {
        // Keys that come faster than fingers decide nothing.
        std::thread::sleep(Duration::from_millis(60));
        term.send(&keys.replace("{prefix}", &prefix).replace("{ticket}", &TICKET["INC".len()..]));
        if step == last {
            std::thread::sleep(moment);
            term.kill();
            return step;
        }
        if !term.sees(expected, Duration::from_secs(30)) {
            let seen = tenant.log();
            let last: Vec<String> = seen.iter().rev().take(12).map(|seen| format!("{seen:?}")).collect();
            panic!("{expected:?} never came; the tenant saw, last first:\n{}\n{}", last.join("\n"), term.screen());
        }
        if step == 4 {
            // The list drops what comes within a quarter of a second.
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    unreachable!("the last step is one of them")
}

/// Every key request that reached the tenant has its intent in the ledger of the desk that was killed. How many intents there are.
///
/// That the row is there at all is what counts: the desk is dead, so nothing writes it afterwards, and a desk that sent first and wrote later
/// would be killed in between now and then. The times add little: a row's is taken before its transaction begins, so it is earlier
/// than the request's arrival also where the commit was not. And a process that is killed loses nothing it has written, synced or not:
/// what a power cut leaves is tried in `tests/faults`.
fn every_key_request_has_its_row(tenant: &Tenant, home: &Path) -> usize {
    let ledger = Ledger::open(&home.join("ledger.db")).unwrap();
    ledger.verify().unwrap().unwrap();
    let rows = ledger.rows(1).unwrap();
    outside::every_key_request_has_its_row(&tenant.key_requests(), &rows);
    outside::intents(&rows).len()
}

/// A last desk follows everything to its end; then the accounts are compared.
fn settle(tenant: &Tenant, home: &Path, tally: &mut Tally) {
    let (rows, debts) = outside::settle(tenant, home, QUICK);
    let requests = tenant.key_requests();
    outside::every_debt_has_ended(&requests, &rows, &debts);
    (tally.sent, tally.committed) = outside::no_rotation_is_sent_twice(tenant, &rows);
    tally.requests = requests.len();
}

/// A console on this tenant.
fn command(tenant: &Tenant, home: &Path) -> CommandBuilder {
    let mut command = keydesk(home, None);
    for (name, value) in tenant.environment() {
        command.env(name, value);
    }
    command
}

/// Slow enough that the next desk finds a rotation still under way, which was carried out at once and answered late.
fn serve() -> Tenant {
    let tenant = Tenant::serve("small", "60");
    tenant.answer_late("rotateBitLockerKeys", 0.3);
    tenant.answer_late("select=key", 0.1);
    tenant
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
