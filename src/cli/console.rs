//! `keydesk`: the console itself.

use std::sync::Arc;

use crate::{
    config::{Overrides, Settings},
    desk::{Clock, Desk},
    domain::work::{Failure, Kind, profiles::DEFAULT},
    runtime::{self, Ended, RunError},
};

/// Opens the console on the configured tenant, and on every other one that is chosen there.
pub(super) async fn run(settings: Settings, overrides: &Overrides) -> Result<(), Failure> {
    let mut settings = settings;
    loop {
        settings.connection().map_err(super::misconfigured)?;
        let opened = runtime::until_open(&settings, false, |settings| Desk::open(settings, Clock::system())).await?;
        let Some(desk) = opened else { return Ok(()) };
        match open(&settings, Arc::new(desk)).await? {
            Ended::Quit => return Ok(()),
            Ended::Profile(name) => {
                settings = Settings::load(&at(overrides, name)).map_err(super::misconfigured)?;
                settings.paths.create().map_err(super::misconfigured)?;
            }
        }
    }
}

/// The same flags at another profile. What they say of a connection they say of the one above all tables.
fn at(overrides: &Overrides, profile: String) -> Overrides {
    let mut there = overrides.clone();
    if profile != DEFAULT {
        for flag in [&mut there.tenant, &mut there.client_id, &mut there.authority, &mut there.graph] {
            *flag = None;
        }
    }
    Overrides { profile: Some(profile), ..there }
}

/// Opens the console on `desk`.
pub(super) async fn open(settings: &Settings, desk: Arc<Desk>) -> Result<Ended, Failure> {
    runtime::open(desk, settings.screen).await.map_err(|error| match error {
        RunError::NoTerminal => Failure::new(Kind::Usage, error.to_string())
            .next("`keydesk --help` lists the commands that work without one."),
        other => Failure::new(Kind::Failed, other.to_string()),
    })
}
