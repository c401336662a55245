//! `keydesk config`

use super::{misconfigured, out};
use crate::{
    config::{Overrides, Paths, paths, settings},
    domain::work::Failure,
};

#[derive(Debug, clap::Args)]
pub(super) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// A commented configuration file to start from
    Template,
    /// Where the files are looked for
    Path,
}

impl Config {
    pub(super) fn run(self, overrides: &Overrides) -> Result<(), Failure> {
        match self.what {
            What::Template => out::line(settings::TEMPLATE.trim_end()),
            What::Path => {
                let found = Paths::find(overrides.home.as_deref()).map_err(misconfigured)?;
                out::line(&format!("configuration  {}", found.config.display()))?;
                out::line(&format!("policy         {}", paths::machine_policy().display()))?;
                out::line(&format!("state          {}", found.state.display()))
            }
        }
    }
}
