//! `keydesk`: the console itself.

use std::sync::Arc;

use super::seat;
use crate::{
    config::Settings,
    desk::Desk,
    domain::work::{Failure, Kind},
    runtime::{self, RunError},
};

/// Opens the console on the configured tenant.
pub(super) async fn run(settings: &Settings) -> Result<(), Failure> {
    settings.connection().map_err(super::misconfigured)?;
    open(settings, seat::open(settings)?).await
}

/// Opens the console on `desk`.
pub(super) async fn open(settings: &Settings, desk: Arc<Desk>) -> Result<(), Failure> {
    runtime::open(desk, settings.screen).await.map_err(|error| match error {
        RunError::NoTerminal => Failure::new(Kind::Usage, error.to_string())
            .next("`keydesk --help` lists the commands that work without one."),
        other => Failure::new(Kind::Failed, other.to_string()),
    })
}
