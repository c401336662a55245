//! Microsoft Graph: one file a resource, each a few methods on [`Graph`].
//!
//! Every request carries a token for its feature and one `client-request-id` through all its repeats. What Graph says is read tolerantly, and verified strictly where something is done with it.

mod audits;
mod devices;
mod error;
mod managed_devices;
mod me;
mod organization;
mod page;
mod recovery_keys;
mod rotate;
mod wire;

use std::sync::Arc;

use jiff::Timestamp;
use reqwest::header::HeaderName;
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

pub use audits::{AuditQuery, ByWhom};
pub use error::{GraphError, RevealError, RotateError};
pub use page::{Link, Page};
pub use recovery_keys::{Listed, Revealed};
pub use rotate::Accepted;

use crate::{
    domain::capability::{Evidence, Feature, Light},
    http::{Answer, CLIENT_REQUEST_ID, Http, HttpError, OnWait, Repeat, Request, Turn},
    sign_in::{Challenge, Session, SignInError},
};

/// Which edition of the API a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edition {
    V1,
    Beta,
}

/// Graph, as the signed-in technician. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Graph {
    http: Http,
    session: Session,
    base: Arc<Url>,
    audit_pace: Arc<audits::Pace>,
}

/// One request, before it has a token.
struct Ask {
    feature: Feature,
    request: Request,
    /// Whether the outcome tells something about the feature's light.
    telling: bool,
}

impl Ask {
    fn get(feature: Feature, url: Url) -> Self {
        Self { feature, request: Request::get(url), telling: false }
    }

    fn post(feature: Feature, url: Url) -> Self {
        Self { feature, request: Request::post(url), telling: false }
    }

    fn telling(self) -> Self {
        Self { telling: true, ..self }
    }

    fn repeat(self, repeat: Repeat) -> Self {
        Self { request: self.request.repeat(repeat), ..self }
    }

    fn id(self, id: Uuid) -> Self {
        Self { request: self.request.header(CLIENT_REQUEST_ID, &id.to_string()), ..self }
    }

    /// For queries that Graph answers from its search index only.
    fn eventual(self) -> Self {
        let name = HeaderName::from_static("consistencylevel");
        Self { request: self.request.header(name, "eventual"), ..self }
    }
}

/// Why there is no answer to look at.
enum NoAnswer {
    SignIn(SignInError),
    Http(HttpError),
}

impl Graph {
    /// Graph at the session's own Graph address.
    pub fn new(http: Http, session: Session) -> Self {
        let base = Arc::new(session.connection().graph.clone());
        Self { http, session, base, audit_pace: Arc::default() }
    }

    /// The same, which tells `on_wait` before every pause that Graph asks for.
    #[must_use]
    pub fn with_waiting(&self, on_wait: OnWait) -> Self {
        Self { http: self.http.with_waiting(on_wait), ..self.clone() }
    }

    /// The same, for what runs behind the desk: it leaves the way to what a technician waits for.
    #[must_use]
    pub fn behind(&self) -> Self {
        Self { http: self.http.with_turn(Turn::Behind), ..self.clone() }
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The address of a path below the edition, its segments encoded.
    fn url(&self, edition: Edition, segments: &[&str]) -> Url {
        let mut url = (*self.base).clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(match edition {
                Edition::V1 => "v1.0",
                Edition::Beta => "beta",
            });
            path.extend(segments);
        }
        url
    }

    /// Sends; after a 401, or claims that are missing, once more with a new token. Any other status is the caller's to judge.
    ///
    /// Both are certain refusals, if they are Graph's own: nothing was handed out and nothing begun, so this holds for reading a key and
    /// for a rotation too. A proxy's 401 tells nothing of what Graph did.
    async fn send(&self, ask: Ask) -> Result<Answer, NoAnswer> {
        let ask = if ask.request.headers.contains_key(CLIENT_REQUEST_ID) { ask } else { ask.id(Uuid::new_v4()) };
        let token = self.token(&ask).await?;
        let answer = self.send_with(&ask, &token).await?;
        let token = match (answer.status, demanded(&answer)) {
            (_, Some(claims)) => {
                Box::pin(self.session.challenged(ask.feature, &token, &claims)).await.map_err(NoAnswer::SignIn)?
            }
            // Only Graph's own word is certain: what stands between may have let the request through.
            (401, None) if wire::refusal(&answer).is_services_own() => {
                self.session.invalidate(ask.feature, &token);
                self.token(&ask).await?
            }
            _ => {
                self.tell(&ask, &answer);
                return Ok(answer);
            }
        };
        let answer = self.send_with(&ask, &token).await?;
        let claims = demanded(&answer);
        let report = Box::new(wire::refusal(&answer));
        if claims.is_some() || (answer.status == 401 && report.is_services_own()) {
            self.session.invalidate(ask.feature, &token);
            return Err(NoAnswer::SignIn(self.session.not_accepted(claims, report)));
        }
        self.tell(&ask, &answer);
        Ok(answer)
    }

    async fn token(&self, ask: &Ask) -> Result<SecretString, NoAnswer> {
        Box::pin(self.session.token(ask.feature)).await.map_err(NoAnswer::SignIn)
    }

    async fn send_with(&self, ask: &Ask, token: &SecretString) -> Result<Answer, NoAnswer> {
        let request = ask.request.clone().bearer(token).header(reqwest::header::ACCEPT, "application/json");
        Box::pin(self.http.send(&request)).await.map_err(NoAnswer::Http)
    }

    /// What the answer says about the feature's light.
    fn tell(&self, ask: &Ask, answer: &Answer) {
        if !ask.telling {
            return;
        }
        let at = answer.date.or_else(|| Some(Timestamp::now()));
        if answer.is_success() {
            self.session.mark(ask.feature, Light::Yes(Evidence { said: "It worked.".into(), at, help: String::new() }));
        } else if answer.status == 403 {
            let said = error::forbidden_words(&wire::refusal(answer).code);
            let help = ask.feature.capability().role_help();
            self.session.mark(ask.feature, Light::No(Evidence { said, at, help }));
        }
    }

    /// Sends and insists on success.
    async fn ask(&self, ask: Ask) -> Result<Answer, GraphError> {
        let answer = self.send(ask).await?;
        if answer.is_success() { Ok(answer) } else { Err(GraphError::from_answer(&answer)) }
    }
}

/// The claims that a refusal demands.
fn demanded(answer: &Answer) -> Option<Challenge> {
    // Only Graph's own word makes sure that nothing was handed out.
    let refused = matches!(answer.status, 401 | 403) && wire::refusal(answer).is_services_own();
    answer.challenge.as_deref().filter(|_| refused).and_then(Challenge::read)
}

#[cfg(test)]
mod tests;
