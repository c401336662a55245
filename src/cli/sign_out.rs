//! `keydesk sign-out`

use super::{out, seat};
use crate::{config::Settings, domain::work::Failure, ops};

#[derive(Debug, clap::Args)]
pub(super) struct SignOut {}

impl SignOut {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let desk = seat::open(settings)?;
        let signed_out = ops::sign_in::sign_out(&desk).await?;
        if let Some(failure) = signed_out.kept {
            return Err(failure);
        }
        out::line("Signed out: the session is removed from this machine, and the list of keys with it.")?;
        let open = ops::debts::list(&desk).await?.iter().filter(|debt| debt.is_open()).count();
        if open > 0 {
            let debts = crate::domain::age::count(open, "debt");
            out::note(&format!("{debts} open. What is owed is followed again as soon as somebody signs in."));
        }
        Ok(())
    }
}
