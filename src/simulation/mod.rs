//! The simulated tenant: Entra, Graph and Intune as one real HTTP server on loopback.
//!
//! A newcomer has no tenant, a test needs one that misbehaves, a trainee needs one to practise on: it is one thing.
//! It imports nothing else of this crate and has its own wire types and its own derivation of recovery passwords, so
//! that a mistake of the client cannot be mirrored by the tenant that tests it.
//!
//! # The map
//!
//! | room | what stands in it |
//! |---|---|
//! | [`scenario`] | the files of `assets/scenarios`, parsed and checked |
//! | `founding`, `fleet`, `people`, `dice` | a scenario and a seed become a tenant |
//! | `world`, `rotation`, `clock` | what is in it, what happens in it, its time |
//! | `tenant` | the world behind its lock, and the handle on it |
//! | `saved` | a tenant in a file, without the digits of any key |
//! | `password` | the 48 digits, derived from seed and key ID |
//! | `server`, `line`, [`faults`], [`log`], [`control`] | HTTP, the wire below it, and what tests do with both |
//! | `sign_in` | discovery, device codes, tokens, the page |
//! | `graph`, `odata` | one file a resource; the query language |
//!
//! # Use
//!
//! ```no_run
//! # async fn example() -> Result<(), keydesk::simulation::Error> {
//! use keydesk::simulation::{self, Options, Source};
//!
//! let running = simulation::start(Options { scenario: Source::Small, ..Options::default() }).await?;
//! let caller = running.tenant().incoming_caller(0);
//! // The client appends "/{tenant}/v2.0/.well-known/openid-configuration" and "/v1.0/…" to these.
//! let (authority, graph) = (running.authority(), running.graph());
//! running.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing happens in the background: what simulated time has brought due is done before the next request is served
//! and before every question to [`Tenant`].

mod clock;
pub mod control;
mod dice;
pub mod faults;
mod fleet;
mod founding;
mod graph;
mod line;
pub mod log;
mod odata;
mod password;
mod people;
mod rotation;
mod saved;
pub mod scenario;
mod server;
mod sign_in;
mod tenant;
mod web;
mod world;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use jiff::SignedDuration;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use uuid::Uuid;

pub use faults::{Fault, Kind as FaultKind};
pub use scenario::Source;
pub use sign_in::claims::Demand;
pub use tenant::{IncomingCaller, Tenant};

/// How the tenant is to run.
#[derive(Debug, Clone)]
pub struct Options {
    pub scenario: Source,
    /// Ids, keys and names follow from it.
    pub seed: u64,
    /// Entries on a page of keys and of devices; the scenario's where missing.
    pub page_size: Option<usize>,
    /// Before every answer.
    pub latency: Duration,
    /// Divides the delays of what happens (rotations, audit records); not lifetimes of tokens. Greater than 0.
    pub speed: f64,
    /// Loopback, port 0 for a free one.
    pub addr: SocketAddr,
    /// A sign-in approves itself after so long on the wall clock, as the scenario's technician.
    pub auto_approve: Option<Duration>,
    /// How far its clock is ahead of this computer's; negative: behind. Only at its founding.
    pub clock_off: SignedDuration,
    /// Where the tenant is kept, saved after each change. A file that is there is continued.
    pub state: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scenario: Source::default(),
            seed: 1,
            page_size: None,
            latency: Duration::ZERO,
            speed: 1.0,
            addr: (Ipv4Addr::LOCALHOST, 0).into(),
            auto_approve: None,
            clock_off: SignedDuration::ZERO,
            state: None,
        }
    }
}

/// Why the tenant cannot run or do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Scenario(#[from] scenario::Error),
    #[error("{0} is not on this computer: the simulated tenant listens on loopback only")]
    NotLoopback(SocketAddr),
    #[error("the speed {0} is not greater than 0")]
    Speed(f64),
    #[error("the simulated tenant cannot listen on {addr}: {source}")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("the simulated tenant stopped serving: {0}")]
    Serving(io::Error),
    #[error("the key that signs tokens could not be made or used")]
    Signing,
    #[error("{path} could not be read: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} could not be written: {source}")]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("{path} does not continue this tenant: {why}")]
    StrangeState { path: PathBuf, why: String },
    #[error("no sign-in waits under the code {0:?}")]
    UserCode(String),
    #[error("{0} is nobody in this tenant")]
    Nobody(String),
}

/// A tenant that serves. Dropping it stops it; [`Running::shutdown`] also waits.
#[derive(Debug)]
pub struct Running {
    tenant: Tenant,
    server: Option<JoinHandle<Result<(), Error>>>,
}

/// Start a tenant on the tokio runtime of the caller.
pub async fn start(options: Options) -> Result<Running, Error> {
    if !options.addr.ip().is_loopback() {
        return Err(Error::NotLoopback(options.addr));
    }
    if !(options.speed.is_finite() && options.speed > 0.0) {
        return Err(Error::Speed(options.speed));
    }
    let addr = options.addr;
    let listener = TcpListener::bind(addr).await.map_err(|source| Error::Listen { addr, source })?;
    let addr = listener.local_addr().map_err(|source| Error::Listen { addr, source })?;
    let tenant = Tenant::open(options, addr)?;
    let server = tokio::spawn(server::serve(listener, tenant.clone()));
    Ok(Running { tenant, server: Some(server) })
}

impl Running {
    pub fn addr(&self) -> SocketAddr {
        self.tenant.addr()
    }

    /// What a client takes for `https://login.microsoftonline.com`.
    pub fn authority(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// What a client takes for `https://graph.microsoft.com`.
    pub fn graph(&self) -> String {
        self.authority()
    }

    pub fn tenant_id(&self) -> Uuid {
        self.tenant.id()
    }

    pub fn client_id(&self) -> Uuid {
        self.tenant.client_id()
    }

    /// Where a person types a user code.
    pub fn sign_in_page(&self) -> String {
        format!("{}{}", self.authority(), sign_in::page::PATH)
    }

    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// What a client needs to know, as one line of JSON without its end.
    pub fn connection_line(&self) -> String {
        json!({
            "authority": self.authority(),
            "graph": self.graph(),
            "tenant_id": self.tenant_id(),
            "client_id": self.client_id(),
            "sign_in_page": self.sign_in_page(),
        })
        .to_string()
    }

    /// Stop serving. Answers under way get a moment to finish.
    pub async fn shutdown(mut self) {
        self.tenant.stopping().cancel();
        let Some(mut server) = self.server.take() else { return };
        if timeout(Duration::from_secs(2), &mut server).await.is_err() {
            server.abort();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tenant.stopping().cancel();
    }
}
