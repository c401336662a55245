//! `keydesk simulation serve`

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::out;
use crate::{
    domain::work::{Failure, Kind},
    simulation::{self, Options, Source},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Simulation {
    /// Serve the simulated tenant until interrupted
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// A scenario that ships with keydesk, or a file
    #[arg(long, default_value = "ordinary-morning")]
    scenario: Source,
    /// Ids, keys and names follow from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Entries on a page
    #[arg(long, value_name = "N")]
    page_size: Option<usize>,
    /// Milliseconds before every answer
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency: u64,
    /// Divides the time that rotations and audit records take
    #[arg(long, default_value_t = 1.0, value_name = "X")]
    speed: f64,
    /// Where to listen, on this machine
    #[arg(long, default_value = "127.0.0.1:0")]
    addr: SocketAddr,
    /// Approve every sign-in by itself after so many seconds
    #[arg(long, value_name = "SECONDS")]
    auto_approve: Option<f64>,
    /// Write the whole tenant, keys included, to this file as JSON
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
}

impl Simulation {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Self::Serve(serve) = self;
        serve.run().await
    }
}

impl Serve {
    async fn run(self) -> Result<(), Failure> {
        let failed = |e: simulation::Error| Failure::new(Kind::Failed, format!("{e}."));
        let auto_approve = self.auto_approve.map(Duration::try_from_secs_f64).transpose();
        let options = Options {
            scenario: self.scenario,
            seed: self.seed,
            page_size: self.page_size,
            latency: Duration::from_millis(self.latency),
            speed: self.speed,
            addr: self.addr,
            auto_approve: auto_approve.map_err(|e| Failure::new(Kind::Usage, format!("--auto-approve: {e}.")))?,
            ..Options::default()
        };
        let running = simulation::start(options).await.map_err(failed)?;
        if let Some(path) = &self.dump {
            running.tenant().dump_to(path).map_err(failed)?;
        }
        out::line(&running.connection_line())?;
        tokio::signal::ctrl_c()
            .await
            .map_err(|e| Failure::new(Kind::Failed, format!("Interrupts cannot be heard: {e}.")))?;
        running.shutdown().await;
        Ok(())
    }
}
