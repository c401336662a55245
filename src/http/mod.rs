//! One HTTP client for everything this program says to the outside: the machine's trust store and proxies, no redirects, bounded
//! answers, and no repeat that was not decided here.
//!
//! What may be repeated is a property of the [`Request`] ([`Repeat`]); what is known after a failure is a property of the
//! [`HttpError`]: whether the request certainly never arrived.

mod answer;
mod error;
mod request;
mod retry;
pub mod route;
#[cfg(test)]
pub(crate) mod test_server;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use reqwest::{Method, header::CONTENT_LENGTH};
use url::Url;

pub use answer::{Answer, read_id};
pub use error::{HttpError, Lost, NoWay};
pub use request::{Repeat, Request};
pub use retry::was_not_served;

use crate::domain::{connection::is_loopback, work::Waiting};

/// Told before every pause that a service asked for.
pub type OnWait = Arc<dyn Fn(Waiting) + Send + Sync>;

/// What the program calls itself in every request.
pub const USER_AGENT: &str = concat!("keydesk/", env!("CARGO_PKG_VERSION"), " (BitLocker recovery desk)");

/// How long anything may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Name, connection and TLS.
    pub connect: Duration,
    /// From the first byte sent to the last received, one attempt.
    pub whole: Duration,
    /// Everything together: all attempts and the pauses between them.
    pub patience: Duration,
    /// The first pause where the service names none; it doubles from there.
    pub first_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            whole: Duration::from_mins(1),
            patience: Duration::from_mins(3),
            first_pause: Duration::from_millis(700),
        }
    }
}

/// The client. A clone shares the connections.
#[derive(Clone)]
pub struct Http {
    inner: Arc<Inner>,
    on_wait: Option<OnWait>,
}

struct Inner {
    limits: Limits,
    /// For this machine: never through a proxy, and no trust store is read.
    here: OnceLock<reqwest::Client>,
    /// For everywhere else.
    world: OnceLock<reqwest::Client>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Http {
    pub fn new(limits: Limits) -> Self {
        let inner = Inner { limits, here: OnceLock::new(), world: OnceLock::new() };
        Self { inner: Arc::new(inner), on_wait: None }
    }

    /// The same client, which tells `on_wait` before every pause.
    #[must_use]
    pub fn with_waiting(&self, on_wait: OnWait) -> Self {
        Self { inner: Arc::clone(&self.inner), on_wait: Some(on_wait) }
    }

    /// Sends, repeats what may be repeated, and returns the last answer, whatever its status.
    pub async fn send(&self, request: &Request) -> Result<Answer, HttpError> {
        retry::with_patience(self.inner.limits, request.repeat, self.on_wait.as_ref(), || self.once(request)).await
    }

    async fn once(&self, request: &Request) -> Result<Answer, HttpError> {
        let host = request.host();
        let client = self.client_for(&request.url)?;
        let mut builder = client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .timeout(self.inner.limits.whole);
        if let Some(body) = &request.body {
            builder = builder.body(body.to_vec());
        } else if request.method == Method::POST {
            // Left unsaid otherwise, and some front ends refuse a POST of unsaid length (411).
            builder = builder.header(CONTENT_LENGTH, 0);
        }
        let (method, path) = (&request.method, request.url.path());
        let begun = Instant::now();
        tracing::trace!(%method, %host, path, "sending");
        let outcome = match builder.send().await {
            Ok(response) => answer::read(response, request.limit, &host).await,
            Err(error) => Err(error::from_reqwest(&error, &host, None)),
        };
        let took = begun.elapsed();
        match &outcome {
            Ok(answer) => tracing::debug!(
                %method, %host, path, status = answer.status, request_id = answer.request_id.as_deref(),
                client_request_id = request.client_request_id(), ?took, "answered"
            ),
            Err(failure) => tracing::debug!(
                %method, %host, path, client_request_id = request.client_request_id(), ?took, %failure, "no answer"
            ),
        }
        outcome
    }

    /// Plain http is for this machine alone; everything else needs TLS.
    fn client_for(&self, url: &Url) -> Result<&reqwest::Client, HttpError> {
        let (slot, here) = match url.scheme() {
            "https" => (&self.inner.world, false),
            "http" if is_loopback(url) => (&self.inner.here, true),
            _ => return Err(HttpError::PlainHttp { host: error::host_of(url) }),
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = build(self.inner.limits, here).map_err(|error| {
            tracing::warn!(%error, "no HTTP client can be built");
            HttpError::NotReached { host: error::host_of(url), why: NoWay::TrustStore }
        })?;
        Ok(slot.get_or_init(|| client))
    }
}

fn build(limits: Limits, here: bool) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        // reqwest repeats protocol refusals by itself; a key request must leave exactly as often as the ledger says.
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(limits.connect)
        // An idle connection that the other end has just closed would make a key request's outcome uncertain.
        .pool_idle_timeout(Duration::from_secs(30));
    if here { builder.no_proxy().tls_certs_only([]).build() } else { builder.build() }
}

#[cfg(test)]
mod tests;
