//! `keydesk ledger`: shown, verified, exported, set aside. Showing and verifying need no configuration and no network.

mod export;
mod rebuild;
mod set_aside;
mod show;
mod verify;

use std::path::PathBuf;

use crate::{
    config::{Overrides, Settings},
    domain::work::Failure,
};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Ledger {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    show: show::Show,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Check the chain: this machine's, or that of a copy
    Verify(verify::Verify),
    /// Write rows to a file, for whoever keeps the records
    Export(export::Export),
    /// Fold the tables of calls and debts from the rows again
    Rebuild(rebuild::Rebuild),
    /// Keep a damaged ledger as it is, and begin another that carries on what is owed
    SetAside(set_aside::Aside),
}

impl Ledger {
    /// Whether it only reads: then it runs before the settings are loaded, whatever is wrong with them.
    pub(super) fn only_reads(&self) -> bool {
        matches!(self.what, None | Some(What::Verify(_)))
    }

    pub(super) fn read(self, overrides: &Overrides) -> Result<(), Failure> {
        match self.what {
            Some(What::Verify(verify)) => verify.run(overrides),
            _ => self.show.run(overrides),
        }
    }

    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        match self.what {
            Some(What::Export(export)) => export.run(settings).await,
            Some(What::Rebuild(rebuild)) => rebuild.run(settings).await,
            Some(What::SetAside(aside)) => aside.run(settings).await,
            Some(What::Verify(_)) | None => Ok(()),
        }
    }
}

/// This machine's ledger, or that of the chosen profile.
fn own(overrides: &Overrides) -> Result<PathBuf, Failure> {
    Ok(Settings::paths(overrides).map_err(super::misconfigured)?.ledger())
}
