//! Random sequences of what can happen to debts (calls, decisions of people, watchers' rounds, what the tenant does, failures, restarts, a
//! second desk in between, jumping clocks) against a reference model. The store, its transactions and the machine are the real ones; Graph
//! is a few lines here, so that a case takes milliseconds.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

#[path = "model/checks.rs"]
mod checks;
#[path = "model/people.rs"]
mod people;
#[path = "model/rounds.rs"]
mod rounds;
#[path = "model/step.rs"]
mod step;
#[path = "model/tenant.rs"]
mod tenant;
#[path = "model/totals.rs"]
mod totals;
#[path = "model/world.rs"]
mod world;

use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use totals::Totals;
use world::World;

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(256);
    // The seed is fixed: a failure on one machine is a failure on every other.
    let seed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(2026);
    ProptestConfig {
        cases,
        rng_seed: proptest::test_runner::RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn whatever_happens_no_debt_is_lost_and_nothing_is_sent_twice() {
    let mut totals = Totals::default();
    let counted = std::cell::RefCell::new(&mut totals);
    TestRunner::new(config())
        .run(&vec(step::any(), 8..52), |steps| {
            let mut world = World::new();
            for step in steps {
                world.take(&step);
            }
            world.end();
            counted.borrow_mut().add(world.totals);
            Ok(())
        })
        .unwrap();
    // A model test that reaches nothing proves nothing.
    println!("{totals:?}");
    let cases = usize::try_from(config().cases).unwrap();
    for (what, count) in totals.named() {
        assert!(count >= cases / 50, "{what}: only {count} in {totals:?}");
    }
}
