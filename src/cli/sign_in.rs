//! `keydesk sign-in`

use serde::Serialize;

use super::{out, seat};
use crate::{
    config::Settings,
    domain::work::{Failure, sign_in::SignedIn},
};

#[derive(Debug, clap::Args)]
pub(super) struct SignIn {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Facts<'a> {
    user: &'a str,
    name: &'a str,
    object_id: String,
    tenant: &'a str,
    tenant_id: String,
    /// Whether the session outlives this command.
    remembered: bool,
}

impl SignIn {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        seat::at(settings, no_input, async |_, signed_in| self.print(&signed_in)).await
    }

    fn print(&self, signed_in: &SignedIn) -> Result<(), Failure> {
        if self.json {
            return out::json(&Facts {
                user: signed_in.technician.upn.raw(),
                name: signed_in.technician.name.raw(),
                object_id: signed_in.technician.id.to_string(),
                tenant: signed_in.tenant.name.raw(),
                tenant_id: signed_in.tenant.id.to_string(),
                remembered: signed_in.remembered,
            });
        }
        out::line(&format!("Signed in to {} as {}.", signed_in.tenant.name, signed_in.technician.upn))?;
        if !signed_in.remembered {
            out::note("No credential store is open here: the session ends with this command.");
        }
        Ok(())
    }
}
