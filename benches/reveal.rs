//! How long a reveal takes, and how much longer while another process lists the tenant into the same folder.
//!
//! By hand, where criterion would be at home: what counts is the slowest of them, and the two are measured in turns, so that what the machine
//! does besides falls on both. `cargo bench --bench reveal -- quick` is the gate's.
#![cfg_attr(unix, expect(clippy::unwrap_used, reason = "a measurement that cannot be made says so by failing"))]
#![cfg_attr(unix, expect(clippy::print_stdout, reason = "what it has to say"))]

#[cfg(unix)]
#[path = "../tests/common/mod.rs"]
mod common;

fn main() {
    #[cfg(unix)]
    unix::main();
}

#[cfg(unix)]
mod unix {
    use std::{
        path::Path,
        sync::Arc,
        time::{Duration, Instant},
    };

    use keydesk::{
        desk::Desk,
        domain::{
            call::DisclosureId,
            event::{Event, Stage},
        },
    };
    use serde_json::json;

    use super::common::{
        crowd::{self, Owned, POLICY, Role},
        outside::Tenant,
    };

    const MACHINES: usize = 3_000;

    /// How much is measured.
    struct Size {
        turns: usize,
        reveals: usize,
        writes: usize,
    }

    /// What was measured, in microseconds.
    #[derive(Default)]
    struct Measured {
        reveals: Vec<u64>,
        writes: Vec<u64>,
    }

    pub fn main() {
        if crowd::play() {
            return;
        }
        let quick = std::env::args().any(|argument| argument == "quick");
        let size = if quick {
            Size { turns: 3, reveals: 25, writes: 100 }
        } else {
            Size { turns: 10, reveals: 100, writes: 400 }
        };
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let scenario = crowd::scenario(folder.path(), MACHINES);
        let tenant = Tenant::serve(scenario.to_str().unwrap(), "400");
        let mut keys = crowd::keys(&tenant).into_iter();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let desk = runtime.block_on(tenant.desk(&home, POLICY));
        let (mut alone, mut beside) = (Measured::default(), Measured::default());
        for turn in 0..size.turns {
            let mut measured = |into: &mut Measured, number| {
                let keys: Vec<Owned> = keys.by_ref().take(size.reveals).collect();
                runtime.block_on(measure(&desk, keys, number, size.writes, into));
            };
            measured(&mut alone, 2 * turn);
            // Longer than the turn takes: it is ended with it.
            let lister = listing(&tenant, &home);
            measured(&mut beside, 2 * turn + 1);
            lister.end();
        }
        let worst = |measured: &Measured| measured.reveals.iter().max().copied().unwrap_or_default();
        let more = worst(&beside).saturating_sub(worst(&alone)) / 1_000;
        let (reveals, writes) =
            (ratio(&mut beside.reveals, &mut alone.reveals), ratio(&mut beside.writes, &mut alone.writes));
        let figures = json!({
            "median_beside_a_listing_to_alone": { "reveal": reveals, "ledger_write": writes },
            "reveal": { "alone": crowd::spread(&mut alone.reveals), "beside_a_listing": crowd::spread(&mut beside.reveals) },
            "ledger_write": { "alone": crowd::spread(&mut alone.writes), "beside_a_listing": crowd::spread(&mut beside.writes) },
            "slowest_reveal_beside_a_listing_is_slower_by_ms": more,
            "noise": "the same run without a listing, in turns with it, on the same machine: its spread is the noise",
        });
        println!("{figures:#}");
        super::common::figures("reveal", &figures);
    }

    /// Another process that lists into the same folder.
    fn listing(tenant: &Tenant, home: &Path) -> crowd::Playing {
        let lister = crowd::start(Role::Lists, tenant, home, 600);
        // It has signed in and is at its pages.
        std::thread::sleep(Duration::from_secs(1));
        lister
    }

    async fn measure(desk: &Arc<Desk>, keys: Vec<Owned>, number: usize, writes: usize, into: &mut Measured) {
        assert!(!keys.is_empty(), "more keys are measured than there are");
        for (n, owned) in keys.into_iter().enumerate() {
            let took = crowd::one_call(desk, owned, format!("INC{:07}", number * 1_000 + n + 1)).await.unwrap();
            into.reveals.push(micros(took));
        }
        for _ in 0..writes {
            let event = Event::Stage { disclosure: DisclosureId::new(), what: Stage::Concealed };
            let began = Instant::now();
            desk.record(move |pen| pen.append(None, &event)).await.unwrap();
            into.writes.push(micros(began.elapsed()));
        }
    }

    /// How much longer the median is, as a factor.
    fn ratio(beside: &mut [u64], alone: &mut [u64]) -> f64 {
        let median = |micros: &mut [u64]| crowd::spread(micros)["median_ms"].as_f64().unwrap();
        (median(beside) / median(alone) * 100.0).round() / 100.0
    }

    fn micros(took: Duration) -> u64 {
        u64::try_from(took.as_micros()).unwrap()
    }
}
