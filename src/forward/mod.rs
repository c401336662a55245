//! Copies of the ledger's rows to where the security team keeps them: a webhook, a syslog server.
//!
//! A sink takes some rows in order, or it fails and they are offered again: each arrives at least once, and its hash is its identity.

mod syslog;
mod tls;
mod webhook;

use std::{io, time::Duration};

use tokio::sync::{Mutex, MutexGuard};

use crate::{
    domain::{
        outbox::Parcel,
        policy::{Forwarding, forwarding},
    },
    http::HttpError,
};

pub use crate::domain::outbox::LIMIT;
pub use webhook::MOST as MOST_AT_ONCE;

/// Why rows were not taken.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Anything but a 2xx.
    #[error("{host} answered {status}.")]
    Answered {
        host: String,
        status: u16,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    #[error("The environment variable {0}, which the policy names for the collector, is not set.")]
    Variable(String),
    #[error("{place} cannot be reached: {source}.")]
    Unreached { place: String, source: io::Error },
    #[error("{0} did not take it in time.")]
    Late(String),
    /// It closed, or stayed silent, before it had read everything.
    #[error("{place} did not read to the end of what was sent: {why}.")]
    NotRead { place: String, why: String },
    #[error("{path} holds no certificate that can be read: {why}.")]
    Authorities { path: String, why: String },
    #[error("No secure connection can be made here: {0}.")]
    Tls(String),
    #[error("This system has no local socket for its log.")]
    NoLocal,
}

impl ForwardError {
    /// Whether the collector itself said no: asking again at once would be answered the same.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Answered { .. } | Self::Variable(_) | Self::Authorities { .. } | Self::NoLocal)
    }

    /// How long it asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Answered { retry_after, .. } = self { *retry_after } else { None }
    }
}

/// One place that rows go to.
#[derive(Debug)]
pub struct Sink {
    name: String,
    kind: Kind,
    /// One at a time within this process; between processes the ledger's file decides.
    turn: Mutex<()>,
}

#[derive(Debug)]
enum Kind {
    Webhook(webhook::Webhook),
    Syslog(syslog::Server),
}

impl Sink {
    fn new(name: String, kind: Kind) -> Self {
        Self { name, kind, turn: Mutex::default() }
    }

    /// `webhook https://… (fingerprint)` or `syslog tls://…`: another address is another sink, which gets every row from the first on.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its host, or its path, for words.
    pub fn place(&self) -> String {
        match &self.kind {
            Kind::Webhook(webhook) => webhook.place(),
            Kind::Syslog(server) => server.place(),
        }
    }

    /// Whether its answer says that it has the rows.
    pub fn is_webhook(&self) -> bool {
        matches!(self.kind, Kind::Webhook(_))
    }

    /// This process's turn.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Hands these rows over, in order: all of them, or it fails.
    pub async fn send(&self, parcels: &[Parcel]) -> Result<(), ForwardError> {
        match &self.kind {
            Kind::Webhook(webhook) => webhook.send(parcels).await,
            Kind::Syslog(server) => match tokio::time::timeout(LIMIT, server.send(parcels)).await {
                Ok(sent) => sent,
                Err(_) => Err(ForwardError::Late(server.place())),
            },
        }
    }

    /// Goes as far as can be without a row: a connection. `None` where only a row would tell.
    pub async fn reach(&self) -> Result<Option<String>, ForwardError> {
        match &self.kind {
            Kind::Webhook(webhook) => webhook.reach().await,
            Kind::Syslog(server) => match tokio::time::timeout(LIMIT, server.reach()).await {
                Ok(reached) => reached,
                Err(_) => Err(ForwardError::Late(server.place())),
            },
        }
    }
}

/// The sinks a policy names.
pub fn sinks(policy: &Forwarding) -> Vec<Sink> {
    let webhook = policy.webhook.as_ref().map(|url| {
        let webhook = webhook::Webhook::new(url.clone(), &policy.token_env, &policy.secret_env);
        Sink::new(format!("webhook {}", forwarding::outwardly(url)), Kind::Webhook(webhook))
    });
    let syslog = policy.syslog.as_ref().map(|to| {
        let server = syslog::Server::new(to.clone(), policy.facility, &policy.syslog_ca);
        Sink::new(format!("syslog {to}"), Kind::Syslog(server))
    });
    webhook.into_iter().chain(syslog).collect()
}
