//! The same in the console itself, typed in a pseudo-terminal: from the empty desk to the call that is closed, the caller being in Windows.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use portable_pty::CommandBuilder;

use super::{
    call::{Kind, Lane, Point, Reached, Start, place},
    common::{
        PREFIX, TICKET,
        pty::{Term, keydesk},
    },
    strace::{self, Call, Orders},
};

/// What is typed, in order, and what must be on the screen before the next.
const STEPS: [(&str, &str); 13] = [
    ("", "keys,"),
    ("{prefix}", "HVC-LT-0421, Entra joined"),
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
    // Ctrl+Q
    ("\x11", ""),
];
/// The step after which a list drops what comes within a quarter of a second.
const LISTED: usize = 4;
const PATIENCE: Duration = Duration::from_secs(30);
/// Of the writes each of so many is tried: the call by command line has them all.
const EVERY: usize = 4;

/// Every sync and send of a call at the console, and some of its writes.
pub fn points() -> Vec<Point> {
    let lane = Lane::new();
    let home = lane.home(Start::Alone);
    let calls = walk(&lane, home.path(), &Orders::default()).expect("a call in which nothing goes wrong");
    let mut by_thread: BTreeMap<(u32, &str), usize> = BTreeMap::new();
    for call in &calls {
        *by_thread.entry((call.thread, call.name.as_str())).or_insert(0) += 1;
    }
    let most = |name| by_thread.iter().filter(|((_, other), _)| *other == name).map(|(_, n)| *n).max().unwrap_or(0);
    let of = |name, every| {
        let point = move |n| Point { start: Start::Alone, name, file: None, n, kind: Kind::Killed };
        (1..=most(name)).step_by(every).map(point)
    };
    of("fsync", 1).chain(of("writev", 1)).chain(of("pwrite64", EVERY)).collect()
}

/// Types the call until the program dies of the point, and compares. What was reached, if anything was.
pub fn try_point(lane: &mut Lane, point: &Point) -> Option<Reached> {
    let home = lane.home(point.start);
    let calls = match walk(lane, home.path(), &point.orders(home.path())) {
        Ok(calls) => calls,
        Err(screen) => panic!("{screen}"),
    };
    super::order::check(&calls).unwrap();
    let struck = point.struck(&calls).map(|call| place(&calls, call));
    lane.goes_on(home.path());
    let (name, file, n) = struck?;
    Some(("console".into(), point.kind.words(), name, file, n))
}

/// Types until the program ends, by itself or killed. The screen, where what should come does not.
fn walk(lane: &Lane, home: &Path, orders: &Orders) -> Result<Vec<Call>, String> {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut term = Term::spawn(command(lane, home, orders, &trace), 80, 24);
    for (step, (keys, expected)) in STEPS.iter().enumerate() {
        // Keys that come faster than fingers decide nothing.
        std::thread::sleep(Duration::from_millis(if step == LISTED + 1 { 400 } else { 60 }));
        if term.has_ended() {
            break;
        }
        term.send(&keys.replace("{prefix}", PREFIX).replace("{ticket}", &TICKET["INC".len()..]));
        if !comes(&mut term, expected) {
            return Err(format!("{expected:?} never came:\n{}", term.screen()));
        }
    }
    let deadline = std::time::Instant::now() + PATIENCE;
    while !term.has_ended() {
        if std::time::Instant::now() > deadline {
            return Err(format!("it does not end:\n{}", term.screen()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(strace::read(&String::from_utf8_lossy(&fs::read(&trace).unwrap())))
}

/// Whether it comes, or the program ends meanwhile.
fn comes(term: &mut Term, expected: &str) -> bool {
    let deadline = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < deadline {
        if term.has_ended() || term.sees(expected, Duration::from_millis(50)) {
            return true;
        }
    }
    false
}

fn command(lane: &Lane, home: &Path, orders: &Orders, trace: &Path) -> CommandBuilder {
    let program = keydesk(home, None);
    let mut command = CommandBuilder::new("strace");
    command.args(orders.arguments(trace));
    command.args(program.get_argv());
    command.env_clear();
    for (name, value) in program.iter_full_env_as_str() {
        command.env(name, value);
    }
    for (name, value) in lane.tenant.environment() {
        command.env(name, value);
    }
    command
}
