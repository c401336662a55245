//! `keydesk ledger rebuild`

use super::super::{out, seat};
use crate::{config::Settings, domain::work::Failure, ops};

#[derive(Debug, clap::Args)]
pub(super) struct Rebuild {}

impl Rebuild {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let desk = seat::open(settings)?;
        out::line(ops::ledger::rebuild(&desk).await?)
    }
}
