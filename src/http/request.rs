//! What is sent.

use std::fmt;

use jiff::Timestamp;
use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use zeroize::Zeroizing;

use super::error::host_of;
use crate::domain::work::Report;

/// Our own id of a request, which Microsoft keeps beside theirs.
pub const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

/// Answers longer than this are not read to their end, unless a request says otherwise. In bytes.
const USUAL_LIMIT: usize = 16 * 1024 * 1024;

/// When a request may be sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    Never,
    /// Only where the answer itself says that nothing was done: 429, or 503 with `Retry-After`.
    NotServed,
    /// It changes nothing and leaves no trace worth counting: also after 503, 504, a lost connection or none.
    Freely,
}

/// One request. Its `Debug` shows neither query nor headers nor body.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Zeroizing<Vec<u8>>>,
    pub repeat: Repeat,
    /// The longest body that is read, in bytes.
    pub limit: usize,
    /// Its path is said nowhere.
    has_secret_path: bool,
}

impl Request {
    /// Reads; may be repeated freely.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: None,
            repeat: Repeat::Freely,
            limit: USUAL_LIMIT,
            has_secret_path: false,
        }
    }

    /// Changes something; never repeated unless [`Request::repeat`] is set.
    pub fn post(url: Url) -> Self {
        Self { method: Method::POST, repeat: Repeat::Never, ..Self::get(url) }
    }

    #[must_use]
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// The longest body that is read, in bytes.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Its path lets whoever knows it write there: no log, no report and no `Debug` says it.
    #[must_use]
    pub fn secret_path(self) -> Self {
        Self { has_secret_path: true, ..self }
    }

    #[must_use]
    pub fn body(self, body: Vec<u8>) -> Self {
        Self { body: Some(Zeroizing::new(body)), ..self }
    }

    /// A value that no header can carry is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// `Authorization: Bearer …`, marked so that no layer below prints it.
    #[must_use]
    pub fn bearer(mut self, token: &SecretString) -> Self {
        let text = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
        if let Ok(mut value) = HeaderValue::from_str(&text) {
            value.set_sensitive(true);
            self.headers.insert(reqwest::header::AUTHORIZATION, value);
        }
        self
    }

    pub(super) fn host(&self) -> String {
        host_of(&self.url)
    }

    /// For logs and reports.
    pub(super) fn path(&self) -> &str {
        if self.has_secret_path { "/…" } else { self.url.path() }
    }

    pub(super) fn client_request_id(&self) -> Option<&str> {
        self.headers.get(CLIENT_REQUEST_ID)?.to_str().ok()
    }

    /// What Microsoft's support would want to know of it, before any answer.
    pub(super) fn report(&self) -> Report {
        Report {
            method: self.method.to_string(),
            path: self.path().to_owned(),
            status: None,
            code: String::new(),
            request_id: None,
            client_request_id: self.client_request_id().map(ToOwned::to_owned),
            at: Timestamp::now(),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("host", &self.host())
            .field("path", &self.path())
            .field("repeat", &self.repeat)
            .finish_non_exhaustive()
    }
}
