//! `keydesk demo`: the console on the simulated tenant, started in this process and spoken to over HTTP alone.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::console;
use crate::{
    config::{Settings, policy},
    desk::{Clock, Desk},
    domain::{
        connection::{Connection, read_host},
        work::{Failure, Kind, call::IncomingCaller},
    },
    runtime,
    simulation::{self, Options, Running, Source},
};

/// The demo's own lines over the shipped policy.
const POLICY: &str = include_str!("../../assets/policy-demo.toml");
/// The tenant approves a sign-in by itself after this long.
const APPROVES_AFTER: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Forget the story so far and start over
    #[arg(long)]
    fresh: bool,
    /// A scenario that ships with keydesk, or a file
    #[arg(long, default_value = "ordinary-morning")]
    scenario: Source,
    /// Ids, keys and names follow from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much faster than life the tenant is
    #[arg(long, default_value_t = 40.0)]
    speed: f64,
}

impl Demo {
    pub(super) async fn run(self, mut settings: Settings) -> Result<(), Failure> {
        if Desk::is_open_elsewhere(&settings.paths) {
            // Each demo keeps its tenant in the same file: two would tell two stories.
            return Err(Failure::new(Kind::Refused, "A demo is open already.")
                .next("Leave it with Ctrl+Q first, or set KEYDESK_HOME to another folder."));
        }
        if self.fresh && settings.paths.state.exists() {
            std::fs::remove_dir_all(&settings.paths.state)
                .map_err(|e| Failure::new(Kind::Failed, format!("The old demo cannot be removed: {e}.")))?;
        }
        settings.paths.create().map_err(super::misconfigured)?;
        let tenant = self.start(settings.paths.state.join("tenant.json")).await?;
        settings.connection = Some(connection(&tenant)?);
        settings.policy = policy::with_lines(POLICY, "the demo's policy").map_err(super::misconfigured)?;
        let opened = runtime::until_open(&settings, true, |settings| Desk::open(settings, Clock::system())).await;
        let ended = match opened {
            Ok(Some(desk)) => console::open(&settings, Arc::new(desk.with_callers(callers(&tenant)))).await.map(drop),
            other => other.map(drop),
        };
        tenant.shutdown().await;
        ended
    }

    async fn start(&self, state: PathBuf) -> Result<Running, Failure> {
        let options = Options {
            scenario: self.scenario.clone(),
            seed: self.seed,
            speed: self.speed,
            auto_approve: Some(APPROVES_AFTER),
            state: Some(state),
            ..Options::default()
        };
        simulation::start(options).await.map_err(|e| {
            Failure::new(Kind::Failed, format!("The simulated tenant cannot start: {e}."))
                .next("`keydesk demo --fresh` starts over.")
        })
    }
}

fn connection(tenant: &Running) -> Result<Connection, Failure> {
    let host = |text: String| read_host(&text).map_err(|e| Failure::new(Kind::Failed, e.to_string()));
    Ok(Connection {
        authority: host(tenant.authority())?,
        graph: host(tenant.graph())?,
        tenant: tenant.tenant().domain().to_owned(),
        client_id: tenant.client_id().to_string(),
    })
}

/// The scenario's callers, one after another, for ever.
fn callers(tenant: &Running) -> Box<dyn FnMut() -> Option<IncomingCaller> + Send> {
    let tenant = tenant.tenant().clone();
    let mut turn = 0;
    Box::new(move || {
        let caller = tenant.incoming_caller(turn)?;
        turn += 1;
        Some(IncomingCaller { name: caller.name, model: caller.model, serial: caller.serial, says: caller.says })
    })
}
