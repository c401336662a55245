//! One HTTP client for everything this program says to the outside: the machine's trust store and proxies, no redirects, bounded
//! answers, and no repeat that was not decided here.
//!
//! Every request says who asks: `User-Agent`, the two `ocp-client` headers that the BitLocker endpoint documents (and by some accounts
//! insists on), and a `client-request-id` of its own, the same in all its repeats.
//!
//! Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`) and, on Windows and macOS, of the system; certificates are judged by
//! the system's verifier, corporate authorities included. Both are reqwest's defaults, and `tests/hostile.rs` holds them.
//!
//! What may be repeated is a property of the [`Request`] ([`Repeat`]); what is known after a failure is a property of the
//! [`HttpError`]: whether the request certainly never arrived.

mod answer;
mod error;
mod limiter;
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

use reqwest::{
    Method,
    header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue},
};
use uuid::Uuid;

pub use answer::{Answer, read_id};
pub use error::{HttpError, Lost, NoWay};
pub use limiter::Turn;
pub use request::{CLIENT_REQUEST_ID, Repeat, Request};
pub use retry::was_not_served;

use crate::domain::{connection::is_loopback, work::Waiting};
use limiter::Limiter;

/// Told before every pause that a service asked for.
pub type OnWait = Arc<dyn Fn(Waiting) + Send + Sync>;

/// What the program calls itself in every request.
pub const USER_AGENT: &str = concat!("keydesk/", env!("CARGO_PKG_VERSION"), " (BitLocker recovery desk)");

/// The same in the headers of Microsoft's own device clients, which the BitLocker endpoint asks for.
const OCP_CLIENT_NAME: HeaderName = HeaderName::from_static("ocp-client-name");
const OCP_CLIENT_VERSION: HeaderName = HeaderName::from_static("ocp-client-version");

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
            // The slowest page of a listing takes some seconds; a connection that hangs must not hold a caller for half a minute.
            whole: Duration::from_secs(25),
            patience: Duration::from_mins(3),
            first_pause: Duration::from_millis(700),
        }
    }
}

/// The client. A clone shares the connections and the limiter.
#[derive(Clone)]
pub struct Http {
    inner: Arc<Inner>,
    on_wait: Option<OnWait>,
    turn: Turn,
}

struct Inner {
    limits: Limits,
    limiter: Limiter,
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
        let inner = Inner { limits, limiter: Limiter::default(), here: OnceLock::new(), world: OnceLock::new() };
        Self { inner: Arc::new(inner), on_wait: None, turn: Turn::Front }
    }

    /// The same client, which tells `on_wait` before every pause that the service brought about.
    #[must_use]
    pub fn with_waiting(&self, on_wait: OnWait) -> Self {
        Self { on_wait: Some(on_wait), ..self.clone() }
    }

    /// The same client, for whoever has this turn.
    #[must_use]
    pub fn with_turn(&self, turn: Turn) -> Self {
        Self { turn, ..self.clone() }
    }

    /// Sends, repeats what may be repeated, and returns the last answer, whatever its status.
    pub async fn send(&self, request: &Request) -> Result<Answer, HttpError> {
        let named;
        let request = if request.client_request_id().is_some() {
            request
        } else {
            named = request.clone().header(CLIENT_REQUEST_ID, &Uuid::new_v4().to_string());
            &named
        };
        let attempts = || self.once(request);
        // Every op stands on this future, some on many at a time: on the heap it does not swell theirs.
        Box::pin(retry::with_patience(self.inner.limits, request.repeat, self.on_wait.as_ref(), attempts)).await
    }

    /// One attempt, in its turn.
    async fn once(&self, request: &Request) -> Result<Answer, HttpError> {
        let client = self.client_for(request)?;
        let places = self.inner.limiter.at(&request.host());
        let _place = places.take(self.turn, |for_| self.tell_wait(for_)).await;
        let outcome = self.attempt(client, request).await;
        if let Ok(Answer { status: 429 | 503, retry_after, .. }) = &outcome {
            let Limits { first_pause, patience, .. } = self.inner.limits;
            places.keep_quiet(retry_after.unwrap_or(first_pause).min(patience));
        }
        outcome
    }

    fn tell_wait(&self, for_: Duration) {
        if let Some(on_wait) = &self.on_wait {
            on_wait(Waiting { for_ });
        }
    }

    async fn attempt(&self, client: &reqwest::Client, request: &Request) -> Result<Answer, HttpError> {
        let host = request.host();
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
        let (method, path) = (&request.method, request.path());
        let begun = Instant::now();
        tracing::trace!(%method, %host, path, "sending");
        let outcome = match builder.send().await {
            Ok(response) => answer::read(response, request, &host).await,
            Err(error) => Err(error::from_reqwest(&error, &host, request.report())),
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
    fn client_for(&self, request: &Request) -> Result<&reqwest::Client, HttpError> {
        let url = &request.url;
        let (slot, here) = match url.scheme() {
            "https" => (&self.inner.world, false),
            "http" if is_loopback(url) => (&self.inner.here, true),
            _ => return Err(HttpError::PlainHttp { host: request.host() }),
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = build(self.inner.limits, here).map_err(|error| {
            tracing::warn!(%error, "no HTTP client can be built");
            let report = Box::new(request.report());
            HttpError::NotReached { host: request.host(), why: NoWay::TrustStore, report }
        })?;
        Ok(slot.get_or_init(|| client))
    }
}

fn build(limits: Limits, here: bool) -> reqwest::Result<reqwest::Client> {
    let builder = builder(limits);
    if here { builder.no_proxy().tls_certs_only([]).build() } else { builder.build() }
}

fn builder(limits: Limits) -> reqwest::ClientBuilder {
    let who = [
        (OCP_CLIENT_NAME, HeaderValue::from_static(env!("CARGO_PKG_NAME"))),
        (OCP_CLIENT_VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION"))),
    ];
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .default_headers(HeaderMap::from_iter(who))
        .redirect(reqwest::redirect::Policy::none())
        // reqwest repeats protocol refusals by itself; a key request must leave exactly as often as the ledger says.
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(limits.connect)
        // An idle connection that the other end has just closed would make a key request's outcome uncertain.
        .pool_idle_timeout(Duration::from_secs(30))
}

#[cfg(test)]
mod tests;
