//! What there is to try, listed from a run in which nothing goes wrong.

use std::collections::BTreeMap;

use super::{
    call::{Kind, Lane, Point, Start},
    strace::{Call, Orders},
};

/// Sends and receives are two threads' work, so that one run strikes here and the next there: each is tried this often.
const OFTEN: usize = 2;

/// Every point of a whole call: as the first on this machine, alone, and beside another desk.
pub fn of_a_call() -> Vec<Point> {
    let traced = |start| {
        let lane = Lane::new();
        let home = lane.home(start);
        let run = lane.run(home.path(), start, &Orders::default());
        assert!(run.output.status.success(), "{:?}", run.output);
        run.calls
    };
    let mut points = making(&traced(Start::First));
    points.extend(opening_and_closing(&traced(Start::Alone)));
    points.extend(the_call_itself(&traced(Start::Beside)));
    points
}

/// What can go wrong with a call of this name.
fn kinds(name: &str) -> &'static [Kind] {
    match name {
        "pwrite64" => &[Kind::Killed, Kind::Fails("EIO"), Kind::Fails("ENOSPC"), Kind::FailsOn("ENOSPC")],
        "fsync" | "fdatasync" => {
            &[Kind::Killed, Kind::Fails("EIO"), Kind::FailsOn("EIO"), Kind::Fails("ENOSPC"), Kind::Late]
        }
        "ftruncate" => &[Kind::Killed, Kind::Fails("EIO")],
        "unlink" => &[Kind::Killed],
        "writev" | "sendto" => &[Kind::Killed, Kind::Fails("EPIPE")],
        "recvfrom" => &[Kind::Killed, Kind::Fails("ECONNRESET")],
        other => panic!("{other} is new in a call: say what can go wrong with it"),
    }
}

/// strace knows the name for as long as the program runs.
fn name(call: &Call) -> &'static str {
    let all = ["pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "writev", "sendto", "recvfrom"];
    all.into_iter().find(|name| *name == call.name).unwrap_or_else(|| panic!("{} is new in a call", call.name))
}

/// The databases made: what the first thread does before anything is sent.
fn making(calls: &[Call]) -> Vec<Point> {
    let main = calls[0].thread;
    let mut counts = BTreeMap::new();
    for call in calls.iter().take_while(|call| !call.is_send()).filter(|call| call.thread == main) {
        *counts.entry(name(call)).or_insert(0) += 1;
    }
    up_to(Start::First, &counts)
}

/// From sign-in to the replacement: with the files held open by another desk the first thread writes nothing, and all of it is one other's.
fn the_call_itself(calls: &[Call]) -> Vec<Point> {
    let mut by_thread: BTreeMap<(u32, &'static str), usize> = BTreeMap::new();
    for call in calls {
        *by_thread.entry((call.thread, name(call))).or_insert(0) += 1;
    }
    let mut counts = BTreeMap::new();
    for ((_, name), count) in by_thread {
        let most = counts.entry(name).or_insert(0);
        *most = count.max(*most);
    }
    let (network, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
        counts.into_iter().partition(|(name, _)| matches!(*name, "writev" | "sendto" | "recvfrom"));
    let mut points = up_to(Start::Beside, &files);
    for _ in 0..OFTEN {
        points.extend(up_to(Start::Beside, &network));
    }
    points
}

fn up_to(start: Start, counts: &BTreeMap<&'static str, usize>) -> Vec<Point> {
    let of = |name: &'static str, n: usize| {
        kinds(name).iter().map(move |kind| Point { start, name, file: None, n, kind: *kind })
    };
    counts.iter().flat_map(|(name, count)| (1..=*count).flat_map(move |n| of(name, n))).collect()
}

/// What the first thread does to each file when the desk is opened and closed again: counted for that file alone. Where the other thread
/// comes to the same count first, its call would be struck instead: it is listed with the call itself.
fn opening_and_closing(calls: &[Call]) -> Vec<Point> {
    let main = calls[0].thread;
    let mut counts: BTreeMap<(u32, &'static str, &str), usize> = BTreeMap::new();
    let mut first: BTreeMap<(&'static str, &str, usize), u32> = BTreeMap::new();
    let files = |call: &&Call| !call.is_socket() && call.file().contains(".db");
    for call in calls.iter().filter(files) {
        let count = counts.entry((call.thread, name(call), call.file())).or_insert(0);
        *count += 1;
        first.entry((name(call), call.file(), *count)).or_insert(call.thread);
    }
    let ours = first.into_iter().filter(|(_, thread)| *thread == main);
    ours.flat_map(|((name, file, n), _)| {
        let of = move |kind: &Kind| Point { start: Start::Alone, name, file: Some(file.to_owned()), n, kind: *kind };
        kinds(name).iter().map(of)
    })
    .collect()
}
