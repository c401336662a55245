//! Every moment of a call at which the disk or the network can fail, one after another: the process is killed there, or the system call
//! answers with an error, or late. A tenant in a process of its own says from outside what was really asked of it.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says what it expects by failing, and counts"
)]

mod call;
#[path = "../common/mod.rs"]
mod common;
mod console;
mod list;
mod order;
mod power;
mod strace;

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    time::Instant,
};

use call::{Lane, Point, Reached, Start};
use common::outside;
use serde_json::json;

/// Desks, each with a tenant of its own, that are tried at the same time.
const LANES: usize = 4;
/// Distinct points below which too little was tested.
const LEAST: usize = 1_000;
const LEAST_AT_THE_CONSOLE: usize = 30;

/// A small generator of its own: what failed can be walked again.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[test]
#[ignore = "needs strace and some minutes"]
fn a_call_that_fails_at_any_moment_loses_nothing_and_repeats_nothing() {
    let done = Done::default();
    done.work_off(list::of_a_call(), Lane::try_point);
    done.told("faults", LEAST);
}

#[test]
#[ignore = "needs strace and some minutes"]
fn a_console_killed_at_any_sync_or_send_of_a_call_loses_nothing_and_repeats_nothing() {
    let done = Done::default();
    done.work_off(console::points(), console::try_point);
    done.told("faults-at-the-console", LEAST_AT_THE_CONSOLE);
}

/// What has been tried, over all lanes.
struct Done {
    began: Instant,
    reached: Mutex<BTreeSet<Reached>>,
    failed: Mutex<Vec<String>>,
}

impl Default for Done {
    fn default() -> Self {
        Self { began: Instant::now(), reached: Mutex::default(), failed: Mutex::default() }
    }
}

impl Done {
    /// Says what was reached, and fails where anything failed or too little was tested.
    fn told(self, name: &str, least: usize) {
        let (reached, failed) = (self.reached.into_inner().unwrap(), self.failed.into_inner().unwrap());
        let figures = figures(&reached, self.began.elapsed().as_secs());
        println!("{figures:#}");
        common::figures(name, &figures);
        assert!(failed.is_empty(), "{} points:\n{}", failed.len(), failed.join("\n\n"));
        assert!(reached.len() > least, "only {} points were reached", reached.len());
    }

    /// Tries every point, each in the next lane that is free.
    fn work_off(&self, mut points: Vec<Point>, try_point: impl Fn(&mut Lane, &Point) -> Option<Reached> + Sync) {
        // The dear ones are not left for the end, where fewer lanes would share them.
        points.sort_by_key(|point| std::cmp::Reverse(point.n));
        let queue = Mutex::new(VecDeque::from(points));
        let next = || queue.lock().unwrap().pop_front();
        std::thread::scope(|scope| {
            for _ in 0..LANES {
                scope.spawn(|| {
                    let mut lane = Lane::new();
                    while let Some(point) = next() {
                        match catch_unwind(AssertUnwindSafe(|| try_point(&mut lane, &point))) {
                            Ok(place) => self.reached.lock().unwrap().extend(place),
                            Err(panic) => {
                                self.failed.lock().unwrap().push(format!("{point:?}: {}", said(&*panic)));
                                lane = Lane::new();
                            }
                        }
                    }
                });
            }
        });
    }
}

/// The words of a failed assertion.
fn said(panic: &dyn Any) -> String {
    let words = panic.downcast_ref::<String>().cloned();
    words.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned())).unwrap_or_default()
}

/// How many distinct points were reached, and of what kinds.
fn figures(reached: &BTreeSet<Reached>, seconds: u64) -> serde_json::Value {
    let by = |of: &dyn Fn(&Reached) -> String| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for place in reached {
            *counts.entry(of(place)).or_insert(0) += 1;
        }
        counts
    };
    json!({
        "points": reached.len(), "seconds": seconds,
        "by_what": by(&|place| place.1.clone()),
        "by_call": by(&|place| format!("{} {}", place.2, place.3)),
        "by_start": by(&|place| place.0.clone()),
    })
}

#[test]
#[ignore = "needs strace and some minutes"]
fn what_a_power_cut_leaves_has_a_row_for_every_request_that_had_left() {
    let mut survived = BTreeMap::new();
    for start in [Start::First, Start::Alone] {
        let lane = Lane::new();
        let home = lane.home(start);
        let run = lane.run(home.path(), start, &strace::Orders::default());
        assert!(run.output.status.success(), "{:?}", run.output);
        assert_eq!(order::check(&run.calls), Ok(order::Kept { keys: 1, rotations: 1 }));
        let before = lane.home(start);
        for (fate, count) in power::cut_everywhere(&run.calls, home.path(), before.path(), 1).unwrap() {
            *survived.entry(format!("{fate:?}").to_lowercase()).or_insert(0) += count;
        }
        // The same run by a program that does not sync: both tell.
        let never: Vec<strace::Call> = run.calls.into_iter().filter(|call| !call.is_sync()).collect();
        assert!(order::check(&never).unwrap_err().contains("before its row is synced"));
        println!("{}", power::cut_everywhere(&never, home.path(), before.path(), 1).unwrap_err());
    }
    println!("{survived:?}");
    common::figures("power-cuts", &json!({ "survived": survived }));
}
