//! `keydesk sign-in`

use serde::Serialize;

use super::{
    out,
    seat::{self, Manner},
};
use crate::{
    config::Settings,
    domain::{
        capability::Feature,
        work::{
            Failure,
            sign_in::{SignedIn, Way},
        },
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct SignIn {
    #[command(flatten)]
    by: By,
    /// Ask for every permission at once
    #[arg(long)]
    everything: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// The way of signing in; else the one the settings begin with.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct By {
    /// By a code that is approved in any browser
    #[arg(long)]
    device_code: bool,
    /// By a browser on this machine
    #[arg(long)]
    browser: bool,
}

impl By {
    fn way(&self) -> Option<Way> {
        match self {
            Self { device_code: true, .. } => Some(Way::DeviceCode),
            Self { browser: true, .. } => Some(Way::Browser),
            _ => None,
        }
    }
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
        let features = if self.everything { Feature::ALL.to_vec() } else { Vec::new() };
        let manner = Manner { way: self.by.way(), features, no_input };
        seat::at(settings, manner.clone(), async |desk, signed_in| {
            let unlocked = seat::unlock(desk, manner.clone()).await?;
            let asked = seat::ask_for(desk, manner).await?;
            // Whoever sits here now: a prompt may have brought somebody else.
            self.print(&asked.or(unlocked).unwrap_or(signed_in))
        })
        .await
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
