//! What Graph's refusals mean. Decided by status and code, never by the message, which is not shown either: it can hold anything.

use std::time::Duration;

use super::{NoAnswer, wire::refusal};
use crate::{
    domain::work::Report,
    http::{Answer, HttpError, was_not_served},
    sign_in::SignInError,
};

/// Why a question to Graph has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    #[error("Microsoft Graph does not know it.")]
    NotFound { report: Box<Report> },
    #[error("{}", forbidden_words(.code))]
    Forbidden {
        /// Graph's word for it; may be empty.
        code: String,
        report: Box<Report>,
    },
    #[error("Microsoft Graph has too much to do and asks us to wait.")]
    Throttled { retry_after: Option<Duration>, report: Box<Report> },
    #[error("{0}")]
    SignIn(SignInError),
    #[error("{error}")]
    Unreachable {
        /// The request certainly never arrived.
        certain: bool,
        error: HttpError,
    },
    #[error("Microsoft Graph's answer is of no use: {what}.")]
    Unexpected { status: Option<u16>, code: String, what: String, report: Option<Box<Report>> },
}

impl GraphError {
    /// The failed request, for Microsoft's support.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::NotFound { report } | Self::Forbidden { report, .. } | Self::Throttled { report, .. } => Some(report),
            Self::Unexpected { report, .. } => report.as_deref(),
            Self::SignIn(error) => error.report(),
            Self::Unreachable { error, .. } => error.report(),
        }
    }

    /// A refusal, by its status.
    pub(super) fn from_answer(answer: &Answer) -> Self {
        let (report, retry_after) = (Box::new(refusal(answer)), answer.retry_after);
        let code = report.code.clone();
        match answer.status {
            // A proxy's 404 is no empty list, and its 403 no missing role.
            401 | 403 | 404 if !report.is_services_own() => Self::not_graphs(report),
            403 => Self::Forbidden { code, report },
            404 => Self::NotFound { report },
            429 => Self::Throttled { retry_after, report },
            _ if was_not_served(answer) => Self::Throttled { retry_after, report },
            status => {
                let what = status_words(&report);
                Self::Unexpected { status: Some(status), what, code, report: Some(report) }
            }
        }
    }

    /// Something on the way to Graph answered in its place.
    fn not_graphs(report: Box<Report>) -> Self {
        let (status, what) = (report.status, status_words(&report));
        Self::Unexpected { status, code: String::new(), what, report: Some(report) }
    }

    /// An answer that arrived and cannot be used.
    pub(super) fn odd(answer: &Answer, what: &str) -> Self {
        Self::Unexpected {
            status: Some(answer.status),
            code: String::new(),
            what: if is_page(answer) { PAGE.to_owned() } else { what.to_owned() },
            report: Some(answer.report.clone()),
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

/// What a page instead of an answer means.
const PAGE: &str = "a web page came instead, as from a proxy or a network that wants a sign-in of its own";

/// Whether this is a page for people.
fn is_page(answer: &Answer) -> bool {
    answer.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// Status and code, and whether the service itself said so.
fn status_words(report: &Report) -> String {
    let said = [report.status.map(|status| format!("HTTP {status}")), Some(report.code.clone())];
    let said: Vec<String> = said.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    let who =
        if report.is_services_own() { "" } else { ", and not in Microsoft's own words: a proxy may have answered" };
    format!("{}{who}", said.join(", "))
}

/// Whether this refusal says for certain that nothing was done. Time-outs say nothing, nor does whoever stands between.
fn is_certain(answer: &Answer, report: &Report) -> bool {
    let refused = matches!(answer.status, 300..=407 | 409..=499);
    (refused && report.is_services_own()) || was_not_served(answer)
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
        report: Option<Box<Report>>,
    },
    /// Nobody can say: Entra may have recorded a read.
    #[error("It is not known whether Entra handed out the key: {why}.")]
    Unknown { why: String, report: Box<Report> },
    /// Success, and no key in it. Entra may have recorded a read.
    #[error("Entra answered without the key.")]
    WithoutKey { status: u16, report: Box<Report> },
    /// Certainly nothing was handed out: there is no token.
    #[error("{0}")]
    SignIn(SignInError),
}

impl RevealError {
    /// The failed request, for Microsoft's support.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Refused { report, .. } => report.as_deref(),
            Self::Unknown { report, .. } | Self::WithoutKey { report, .. } => Some(report),
            Self::SignIn(error) => error.report(),
        }
    }

    pub(super) fn from_answer(answer: &Answer) -> Self {
        let report = Box::new(refusal(answer));
        let (status, code) = (answer.status, report.code.clone());
        if !is_certain(answer, &report) {
            return Self::Unknown { why: status_words(&report), report };
        }
        let words = match status {
            403 => forbidden_words(&code),
            404 => "it is not in Entra any more.".into(),
            429 | 503 => "it has too much to do. Nothing was read; try again shortly.".into(),
            _ => format!("{}.", status_words(&report)),
        };
        Self::Refused { status: Some(status), code, words, report: Some(report) }
    }
}

impl From<NoAnswer> for RevealError {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::SignIn(error) => Self::SignIn(error),
            NoAnswer::Http(HttpError::Uncertain { host, why, report }) => {
                Self::Unknown { why: format!("{host} {why}"), report }
            }
            NoAnswer::Http(error) => {
                let report = error.report().cloned().map(Box::new);
                Self::Refused { status: None, code: String::new(), words: error.to_string(), report }
            }
        }
    }
}

/// Why a rotation was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotateError {
    /// Certainly not begun.
    #[error("Intune refused: {}.", status_words(.report))]
    Refused { status: u16, code: String, report: Box<Report> },
    /// Certainly not begun: Intune has too much to do.
    #[error("Intune asks us to wait.")]
    NotServed { retry_after: Option<Duration>, report: Box<Report> },
    /// Certainly never arrived.
    #[error("Not sent: {why}")]
    NotSent { why: String, report: Option<Box<Report>> },
    /// It may have begun: look before sending again.
    #[error("It is not known whether Intune took the request: {why}.")]
    Uncertain { why: String, report: Option<Box<Report>> },
    /// Certainly not begun: there is no token.
    #[error("{0}")]
    SignIn(SignInError),
}

impl RotateError {
    /// The failed request, for Microsoft's support.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Refused { report, .. } | Self::NotServed { report, .. } => Some(report),
            Self::NotSent { report, .. } | Self::Uncertain { report, .. } => report.as_deref(),
            Self::SignIn(error) => error.report(),
        }
    }

    pub(super) fn from_answer(answer: &Answer) -> Self {
        let (report, retry_after) = (Box::new(refusal(answer)), answer.retry_after);
        match answer.status {
            _ if !is_certain(answer, &report) => Self::Uncertain { why: status_words(&report), report: Some(report) },
            429 | 503 => Self::NotServed { retry_after, report },
            status => Self::Refused { status, code: report.code.clone(), report },
        }
    }
}

impl From<NoAnswer> for RotateError {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::SignIn(error) => Self::SignIn(error),
            NoAnswer::Http(HttpError::Uncertain { host, why, report }) => {
                Self::Uncertain { why: format!("{host} {why}"), report: Some(report) }
            }
            NoAnswer::Http(error) => {
                Self::NotSent { why: error.to_string(), report: error.report().cloned().map(Box::new) }
            }
        }
    }
}
