//! The one failure a technician meets: what happened, what it means for the call, what to do next. And the [`Report`] of a failed
//! request, for Microsoft.

use std::fmt;

use jiff::Timestamp;

use super::sign_in::Way;
use crate::domain::foreign::printable;

/// The longest path that is reported, in characters: one with two GUIDs has some 120.
const LONGEST_PATH: usize = 200;

/// What kind of failure: decides the screen it gets and the command line's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Failed,
    /// The question itself was wrong.
    Usage,
    /// Policy or permission.
    Refused,
    /// Allowed, once a person has confirmed it: asked again with the confirmation, it goes on.
    Confirm,
    NotFound,
    /// Sign-in is needed, or may not be asked for.
    SignIn,
    /// Nobody was at the desk for a while: a fresh sign-in opens it again.
    Locked,
    /// The ledger cannot be written: no key can be read here.
    Record,
    /// Nobody knows whether Entra handed the key out.
    Uncertain,
    /// Entra or Intune cannot be reached.
    Unreachable,
    Cancelled,
}

impl Kind {
    /// 1 failed, 2 usage, 3 refused by policy or permission, 4 not found.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Refused | Self::Confirm | Self::SignIn | Self::Locked => 3,
            Self::NotFound => 4,
            Self::Failed | Self::Record | Self::Uncertain | Self::Unreachable | Self::Cancelled => 1,
        }
    }
}

/// Why a request was not fulfilled, in the technician's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    pub happened: String,
    /// For the call. May be empty.
    pub means: String,
    /// What to do next. May be empty.
    pub next: String,
    /// Microsoft's id of the failed request, for their support.
    pub request_id: Option<String>,
    /// The failed request, where it was one to Entra or Graph that failed.
    pub report: Option<Box<Report>>,
    /// The other way of signing in may work.
    pub instead: Option<Way>,
}

impl Failure {
    pub fn new(kind: Kind, happened: impl Into<String>) -> Self {
        let (means, next) = (String::new(), String::new());
        Self { kind, happened: happened.into(), means, next, request_id: None, report: None, instead: None }
    }

    /// What somebody typed is not written down.
    pub fn digits_in_words() -> Self {
        Self::new(Kind::Usage, "The text holds digits of a recovery password.")
            .meaning("Nothing is written down: what stands in the ledger stays there, and copies of it go to others.")
            .next("Say it without the digits.")
    }

    #[must_use]
    pub fn meaning(mut self, means: impl Into<String>) -> Self {
        self.means = means.into();
        self
    }

    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    #[must_use]
    pub fn instead(mut self, way: Way) -> Self {
        self.instead = Some(way);
        self
    }

    #[must_use]
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.request_id = id;
        self
    }

    /// With the request that failed, and its id.
    #[must_use]
    pub fn with_report(mut self, report: Option<Box<Report>>) -> Self {
        self.request_id = report.as_ref().and_then(|report| report.request_id.clone());
        self.report = report;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.happened, &self.means, &self.next];
        let said: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        f.write_str(&said.join(" "))
    }
}

impl std::error::Error for Failure {}

/// One failed request, as Microsoft's support wants to hear of it. `Display` is one line without line ends or control characters.
///
/// It names ids, never a query, a token, a key or a name somebody typed: it may be pasted into a ticket anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub method: String,
    /// Without host and query.
    pub path: String,
    /// `None`: no answer began.
    pub status: Option<u16>,
    /// The service's word for it; may be empty.
    pub code: String,
    /// Microsoft's id of the request.
    pub request_id: Option<String>,
    /// Ours, which Microsoft keeps too.
    pub client_request_id: Option<String>,
    /// On the service's clock where it told the time, else on ours.
    pub at: Timestamp,
}

impl Report {
    /// Whether the service itself answered, and not something on the way to it, which knows neither ids nor codes.
    pub fn is_services_own(&self) -> bool {
        self.request_id.is_some() || !self.code.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: String = printable(&self.path).chars().take(LONGEST_PATH).collect();
        write!(f, "{} {path}: ", self.method)?;
        match self.status {
            Some(status) => write!(f, "HTTP {status}")?,
            None => f.write_str("no answer")?,
        }
        if !self.code.is_empty() {
            write!(f, " {}", printable(&self.code))?;
        }
        for (name, id) in [("request-id", &self.request_id), ("client-request-id", &self.client_request_id)] {
            if let Some(id) = id {
                write!(f, ", {name} {}", printable(id))?;
            }
        }
        write!(f, ", {}", self.at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            method: "GET".into(),
            path: "/v1.0/informationProtection/bitlocker/recoveryKeys".into(),
            status: Some(403),
            code: "authorization_error".into(),
            request_id: Some("5f1c".into()),
            client_request_id: Some("77ab".into()),
            at: "2026-11-20T09:41:07.5Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_report_is_one_line_with_everything_microsoft_asks_for() {
        assert_eq!(
            report().to_string(),
            "GET /v1.0/informationProtection/bitlocker/recoveryKeys: HTTP 403 authorization_error, request-id 5f1c, \
             client-request-id 77ab, 2026-11-20T09:41:07Z"
        );
        let unanswered = Report { status: None, code: String::new(), request_id: None, ..report() };
        assert!(unanswered.to_string().contains("recoveryKeys: no answer, client-request-id 77ab, 2026"));
    }

    #[test]
    fn nothing_from_outside_breaks_its_line() {
        let hostile = Report { path: "x\n\u{1b}[2J".repeat(900), code: "a\r\nb".into(), ..report() };
        let line = hostile.to_string();
        assert!(!line.contains(char::is_control) && line.len() < 500, "{line}");
    }
}
