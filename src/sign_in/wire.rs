//! The `oauth2` crate over our [`Http`], and what it would drop: the body of a refusal, in which Entra says which one it is.

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use oauth2::{
    AsyncHttpClient, AuthType, Client, ClientId, EndpointNotSet, EndpointSet, ErrorResponse, ExtraTokenFields,
    HttpRequest, HttpResponse, RequestTokenError, StandardRevocableToken, StandardTokenResponse, TokenResponse,
    TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType},
};
use reqwest::header::HeaderName;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    SignInError,
    discovery::Endpoints,
    refusal::{self, Read},
};
use crate::{
    domain::{connection::Connection, work::sign_in::Way},
    http::{Answer, Http, HttpError, Repeat, Request},
};

/// A token answer is a few kilobytes; tokens have no published size. In bytes.
const LONGEST: usize = 1024 * 1024;
/// How long a token lasts when the answer does not say.
const UNSAID: Duration = Duration::from_mins(5);
/// No token is believed to last longer: Entra's longest is 28 hours.
const LONGEST_LIFE: Duration = Duration::from_hours(28);

/// What the token answer holds beside the standard fields.
#[derive(Serialize, Deserialize)]
pub(super) struct Extra {
    id_token: Option<String>,
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extra")
    }
}

impl ExtraTokenFields for Extra {}

pub(super) type TokenAnswer = StandardTokenResponse<Extra, BasicTokenType>;
pub(super) type Oauth = Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

pub(super) fn oauth(connection: &Connection, endpoints: &Endpoints) -> Oauth {
    Client::new(ClientId::new(connection.client_id.clone()))
        .set_auth_type(AuthType::RequestBody)
        .set_token_uri(TokenUrl::from_url(endpoints.token.clone()))
}

/// What a person is asked to approve.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub scopes: Vec<String>,
    /// The `claims` parameter.
    pub claims: String,
    /// Credentials must be asked for, whatever the browser's session says.
    pub fresh: bool,
    /// Who is expected, where somebody is.
    pub hint: Option<String>,
}

/// What a token answer gave.
pub(super) struct Tokens {
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    pub id_token: Option<SecretString>,
    pub lasts: Duration,
    /// `None`: what was asked for (RFC 6749, 5.1).
    pub granted: Option<Vec<String>>,
    /// The service's clock (`Date`).
    pub date: Option<Timestamp>,
    /// What the id token has to repeat.
    pub nonce: Option<String>,
}

impl Tokens {
    /// What `wire` brought.
    pub fn of(answer: &TokenAnswer, wire: &Wire) -> Self {
        Self {
            date: *wire.date.lock().unwrap_or_else(PoisonError::into_inner),
            nonce: None,
            access: SecretString::from(answer.access_token().secret().as_str()),
            refresh: answer.refresh_token().map(|token| SecretString::from(token.secret().as_str())),
            id_token: answer.extra_fields().id_token.as_deref().map(SecretString::from),
            lasts: answer.expires_in().unwrap_or(UNSAID).min(LONGEST_LIFE),
            granted: answer.scopes().map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect()),
        }
    }
}

/// Why the crate got no answer from us.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("{0}")]
    Http(#[from] HttpError),
    /// The service is busy: while a code is polled for, that is a reason to go on, more slowly.
    #[error("HTTP {0}")]
    Busy(u16),
}

/// One conversation with the token service.
pub(super) struct Wire {
    http: Http,
    repeat: Repeat,
    /// A busy service is an error to the crate, which then asks again later.
    polling: bool,
    /// The way of signing in that this belongs to, where it is known.
    way: Option<Way>,
    refused: Mutex<Option<Answer>>,
    /// Of the last answer.
    date: Mutex<Option<Timestamp>>,
}

impl Wire {
    pub fn new(http: &Http, repeat: Repeat, way: Option<Way>) -> Self {
        Self { http: http.clone(), repeat, polling: false, way, refused: Mutex::default(), date: Mutex::default() }
    }

    pub fn polling(http: &Http) -> Self {
        Self { polling: true, ..Self::new(http, Repeat::Never, Some(Way::DeviceCode)) }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, WireError> {
        let (parts, body) = request.into_parts();
        let malformed = |_| HttpError::Malformed { host: "the sign-in address".into() };
        let url = parts.uri.to_string().parse().map_err(malformed)?;
        let mut request = Request::post(url).body(body).limit(LONGEST).repeat(self.repeat);
        request.headers = parts.headers;
        let request = request.header(HeaderName::from_static("client-request-id"), &Uuid::new_v4().to_string());
        let answer = self.http.send(&request).await?;
        if self.polling && (answer.status == 429 || answer.status >= 500) {
            return Err(WireError::Busy(answer.status));
        }
        let mut response = HttpResponse::new(answer.body.to_vec());
        *response.status_mut() =
            reqwest::StatusCode::from_u16(answer.status).unwrap_or(reqwest::StatusCode::INTERNAL_SERVER_ERROR);
        *self.date.lock().unwrap_or_else(PoisonError::into_inner) = answer.date;
        // Content types are not passed on: a refusal in a proxy's words is for `explain` to judge.
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = (answer.status != 200).then_some(answer);
        Ok(response)
    }

    /// What the crate's error means, from the body it dropped.
    pub fn explain<E: ErrorResponse + 'static>(&self, error: RequestTokenError<WireError, E>) -> Read {
        let odd = |what: String, report| Read::from(SignInError::Unexpected { what, report });
        match error {
            RequestTokenError::Request(WireError::Http(error)) => return SignInError::Unreachable(error).into(),
            RequestTokenError::Request(WireError::Busy(status)) => {
                return odd(format!("it is busy (HTTP {status})"), None);
            }
            _ => {}
        }
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (refused, error) {
            (Some(answer), _) => {
                refusal::read(&answer.body, Some(answer.report.clone()), self.way).unwrap_or_else(|| {
                    let what = format!("it refused without saying why (HTTP {})", answer.status);
                    odd(what, Some(answer.report))
                })
            }
            // The crate's own clock ran out.
            (None, RequestTokenError::ServerResponse(_)) => {
                let expired = refusal::read(br#"{"error":"expired_token"}"#, None, self.way);
                expired.unwrap_or_else(|| SignInError::nobody().into())
            }
            (None, _) => odd("its answer cannot be read".into(), None),
        }
    }
}

impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = WireError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, WireError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.exchange(request))
    }
}
