//! `keydesk doctor`: looks at everything a call depends on, from this machine, and says what to fix and who can.
//!
//! Asks nobody to sign in, changes nothing that stays, and reads no key. Each file is one group of checks; what depends on nothing else is
//! looked at at the same time, and nothing takes longer than its limit.

mod copies;
mod files;
mod host;
mod lights;
mod machine;
mod network;
mod settings;

pub use lights::lights_of;

use std::time::Duration;

use crate::{
    desk::unblocked,
    domain::work::doctor::{Check, Finding, Report, Setup},
};

/// No check takes longer.
const LIMIT: Duration = Duration::from_secs(10);

/// Looks at everything.
pub async fn examine(setup: Setup) -> Report {
    let places = setup.places.clone();
    let (files, network, copies, machine, lights) = tokio::join!(
        unblocked(move || files::examine(&places)),
        network::examine(&setup.connection),
        copies::examine(&setup.forward, &setup.places),
        machine::examine(setup.terminal),
        lights::examine(&setup),
    );
    Report {
        sections: vec![
            ("Settings", settings::examine(&setup)),
            ("Files of this account", files),
            ("The way to Microsoft", network),
            ("Copies for the security team", copies),
            ("This machine", machine),
            ("What you may do", lights),
        ],
    }
}

/// What `look` finds, or that it took too long.
async fn within(look: impl Future<Output = Finding>) -> Finding {
    let late = || Finding::not_checked(format!("It did not come to an end within {} s.", LIMIT.as_secs()));
    tokio::time::timeout(LIMIT, look).await.unwrap_or_else(|_| late())
}

/// The same finding under every one of these ids: what cannot be looked at, and why.
fn skipped(checks: &[(&'static str, &str)], why: &str) -> Vec<Check> {
    checks.iter().map(|&(id, name)| Check::new(id, name, Finding::not_checked(why))).collect()
}
