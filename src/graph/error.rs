//! What Graph's refusals mean. Decided by status and code, never by the message, which is not shown either: it can hold anything.

use std::time::Duration;

use super::{NoAnswer, wire::Envelope};
use crate::{
    http::{Answer, HttpError, was_not_served},
    sign_in::SignInError,
};

/// Why a question to Graph has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    #[error("Microsoft Graph does not know it.")]
    NotFound { request_id: Option<String> },
    #[error("{}", forbidden_words(.code))]
    Forbidden {
        /// Graph's word for it; may be empty.
        code: String,
        request_id: Option<String>,
    },
    #[error("Microsoft Graph has too much to do and asks us to wait.")]
    Throttled { retry_after: Option<Duration>, request_id: Option<String> },
    #[error("{0}")]
    SignIn(SignInError),
    #[error("{error}")]
    Unreachable {
        /// The request certainly never arrived.
        certain: bool,
        error: HttpError,
    },
    #[error("Microsoft Graph's answer is of no use: {what}.")]
    Unexpected { status: Option<u16>, code: String, what: String, request_id: Option<String> },
}

impl GraphError {
    /// Microsoft's id of the failed request, for their support.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::NotFound { request_id }
            | Self::Forbidden { request_id, .. }
            | Self::Throttled { request_id, .. }
            | Self::Unexpected { request_id, .. } => request_id.as_deref(),
            Self::SignIn(error) => error.request_id(),
            Self::Unreachable { error, .. } => error.request_id(),
        }
    }

    /// A refusal, by its status.
    pub(super) fn from_answer(answer: &Answer) -> Self {
        let Envelope { code, request_id } = Envelope::read(answer);
        match answer.status {
            403 => Self::Forbidden { code, request_id },
            404 => Self::NotFound { request_id },
            429 => Self::Throttled { retry_after: answer.retry_after, request_id },
            _ if was_not_served(answer) => Self::Throttled { retry_after: answer.retry_after, request_id },
            status => Self::Unexpected { status: Some(status), what: status_words(status, &code), code, request_id },
        }
    }

    /// An answer that arrived and cannot be used.
    pub(super) fn odd(answer: &Answer, what: &str) -> Self {
        Self::Unexpected {
            status: Some(answer.status),
            code: String::new(),
            what: what.to_owned(),
            request_id: answer.request_id.clone(),
        }
    }
}

impl From<NoAnswer> for GraphError {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::SignIn(error) => Self::SignIn(error),
            NoAnswer::Http(error) => Self::Unreachable { certain: error.certainly_not_sent(), error },
        }
    }
}

/// One code can stand for either cause, so both are named.
pub(super) fn forbidden_words(code: &str) -> String {
    let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
    format!("Not allowed{code}: this app lacks a permission, or your account lacks a role that covers this device.")
}

pub(super) fn status_words(status: u16, code: &str) -> String {
    if code.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}, {code}") }
}

/// Why no recovery password came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevealError {
    /// Certainly nothing was handed out.
    #[error("Entra did not hand out the key: {words}")]
    Refused {
        /// `None`: the request never left.
        status: Option<u16>,
        code: String,
        /// What it means, in a sentence of ours.
        words: String,
        request_id: Option<String>,
    },
    /// Nobody can say: Entra may have recorded a read.
    #[error("It is not known whether Entra handed out the key: {why}.")]
    Unknown { why: String, request_id: Option<String> },
    /// Success, and no key in it. Entra may have recorded a read.
    #[error("Entra answered without the key.")]
    WithoutKey { status: u16, request_id: Option<String> },
    /// Certainly nothing was handed out: there is no token.
    #[error("{0}")]
    SignIn(SignInError),
}

impl RevealError {
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { request_id, .. }
            | Self::Unknown { request_id, .. }
            | Self::WithoutKey { request_id, .. } => request_id.as_deref(),
            Self::SignIn(error) => error.request_id(),
        }
    }

    pub(super) fn from_answer(answer: &Answer) -> Self {
        let Envelope { code, request_id } = Envelope::read(answer);
        let status = answer.status;
        let words = match status {
            403 => forbidden_words(&code),
            404 => "it is not in Entra any more.".into(),
            429 | 503 if was_not_served(answer) => "it has too much to do. Nothing was read; try again shortly.".into(),
            300..500 => format!("{}.", status_words(status, &code)),
            _ => return Self::Unknown { why: status_words(status, &code), request_id },
        };
        Self::Refused { status: Some(status), code, words, request_id }
    }
}

impl From<NoAnswer> for RevealError {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::SignIn(error) => Self::SignIn(error),
            NoAnswer::Http(error) if error.certainly_not_sent() => {
                Self::Refused { status: None, code: String::new(), words: error.to_string(), request_id: None }
            }
            NoAnswer::Http(error) => {
                let request_id = error.request_id().map(ToOwned::to_owned);
                Self::Unknown { why: error.to_string().trim_end_matches('.').to_owned(), request_id }
            }
        }
    }
}

/// Why a rotation was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotateError {
    /// Certainly not begun.
    #[error("Intune refused: {}.", status_words(*.status, .code))]
    Refused { status: u16, code: String, request_id: Option<String> },
    /// Certainly not begun: Intune has too much to do.
    #[error("Intune asks us to wait.")]
    NotServed { retry_after: Option<Duration>, request_id: Option<String> },
    /// Certainly never arrived.
    #[error("Not sent: {why}")]
    NotSent { why: String },
    /// It may have begun: look before sending again.
    #[error("It is not known whether Intune took the request: {why}.")]
    Uncertain { why: String, request_id: Option<String> },
    /// Certainly not begun: there is no token.
    #[error("{0}")]
    SignIn(SignInError),
}

impl RotateError {
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { request_id, .. }
            | Self::NotServed { request_id, .. }
            | Self::Uncertain { request_id, .. } => request_id.as_deref(),
            Self::NotSent { .. } => None,
            Self::SignIn(error) => error.request_id(),
        }
    }

    pub(super) fn from_answer(answer: &Answer) -> Self {
        let Envelope { code, request_id } = Envelope::read(answer);
        match answer.status {
            _ if was_not_served(answer) => Self::NotServed { retry_after: answer.retry_after, request_id },
            status if (300..500).contains(&status) => Self::Refused { status, code, request_id },
            status => Self::Uncertain { why: status_words(status, &code), request_id },
        }
    }
}

impl From<NoAnswer> for RotateError {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::SignIn(error) => Self::SignIn(error),
            NoAnswer::Http(error) if error.certainly_not_sent() => Self::NotSent { why: error.to_string() },
            NoAnswer::Http(error) => {
                let request_id = error.request_id().map(ToOwned::to_owned);
                Self::Uncertain { why: error.to_string().trim_end_matches('.').to_owned(), request_id }
            }
        }
    }
}
