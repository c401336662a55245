//! Reading Entra's refusals. The AADSTS number chooses the sentence from the [table](aadsts), and the OAuth word decides where the number is
//! unknown. The description is never shown and never acted on, as Microsoft asks; but to a browser Entra writes the number nowhere else,
//! so there it is read from the description's head.

use std::fmt;

use serde::Deserialize;

use super::aadsts::{self, Leads};
use crate::{
    domain::work::{Report, sign_in::Way},
    http::{HttpError, read_id},
};

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// A person has to sign in, for the first time or again.
    #[error("{0}")]
    Needed(Box<Refusal>),
    /// Signing in again does not help: somebody has to change something.
    #[error("{0}")]
    Refused(Box<Refusal>),
    #[error("Sign-in: {0}")]
    Unreachable(HttpError),
    /// The answer makes no sense; how, as the end of a sentence without its full stop.
    #[error("The sign-in service answered something odd: {what}.")]
    Unexpected { what: String, report: Option<Box<Report>> },
}

impl SignInError {
    /// The failed request, for Microsoft's support. Its request id is Entra's trace id, where Entra told one.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Needed(refusal) | Self::Refused(refusal) => refusal.report.as_deref(),
            Self::Unreachable(error) => error.report(),
            Self::Unexpected { report, .. } => report.as_deref(),
        }
    }

    pub fn request_id(&self) -> Option<&str> {
        self.report()?.request_id.as_deref()
    }

    pub(super) fn unexpected(what: impl Into<String>) -> Self {
        Self::Unexpected { what: what.into(), report: None }
    }

    /// Nobody is signed in.
    pub(super) fn nobody() -> Self {
        let (happened, next) = ("Nobody is signed in.".into(), "Sign in.".into());
        Self::Needed(Box::new(Refusal { happened, next, ..Refusal::default() }))
    }

    /// Credentials were to be asked for, and the page went on with a browser session it already had. Only a browser can be told not to.
    pub(super) fn not_fresh(way: Way) -> Self {
        let next = match way {
            Way::DeviceCode => "Sign in by browser, or sign out on that page before you approve the code.",
            Way::Browser => "Sign in again, and type your password on the page.",
        };
        Self::Needed(Box::new(Refusal {
            happened: "You were not asked for your password: the browser was signed in already.".into(),
            next: next.into(),
            instead: (way == Way::DeviceCode).then_some(Way::Browser),
            ..Refusal::default()
        }))
    }

    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Needed(refusal) | Self::Refused(refusal) => Some(refusal),
            Self::Unreachable(_) | Self::Unexpected { .. } => None,
        }
    }

    /// Whether a person who signs in may change it: nobody is signed in any more, Entra wants to see them, or they may consent.
    pub fn wants_a_person(&self) -> bool {
        matches!(self, Self::Needed(_)) || self.is_about_consent()
    }

    /// Whether consent to the permission is what is missing.
    pub(super) fn is_about_consent(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.lacks_consent)
    }
}

/// A refusal in three sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    pub happened: String,
    /// Who can change it. May be empty.
    pub who: String,
    /// What to do now.
    pub next: String,
    /// The AADSTS number, where Entra told one.
    pub code: Option<u32>,
    /// What is missing is consent.
    pub lacks_consent: bool,
    /// The refused request.
    pub report: Option<Box<Report>>,
    /// Entra's finer word for it (`consent_required`, `bad_token`, `basic_action` …). Foreign text.
    pub suberror: Option<String>,
    /// The claims that the next sign-in must be asked for with, as JSON. The session remembers them by itself.
    pub claims: Option<String>,
    /// The other way of signing in, where that may work.
    pub instead: Option<Way>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.happened, &self.who, &self.next];
        let said: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        f.write_str(&said.join(" "))?;
        self.code.map_or(Ok(()), |code| write!(f, " (AADSTS{code})"))
    }
}

/// What Entra's token service says when it refuses.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    error: String,
    error_codes: Vec<u32>,
    suberror: Option<String>,
    claims: Option<String>,
    trace_id: Option<String>,
    correlation_id: Option<String>,
}

/// What a refusal leads to.
#[derive(Debug)]
pub(super) struct Read {
    pub error: SignInError,
    /// What was kept of the session is worthless.
    pub session_over: bool,
}

impl From<SignInError> for Read {
    fn from(error: SignInError) -> Self {
        Self { error, session_over: false }
    }
}

/// Reads the body of a refusal of somebody who came by `way`. `None` when it is none: a proxy's page, or nothing.
pub(super) fn read(body: &[u8], report: Option<Box<Report>>, way: Option<Way>) -> Option<Read> {
    let body: Body = serde_json::from_slice(body).ok()?;
    if body.error.is_empty() {
        return None;
    }
    let by_code = body.error_codes.iter().find_map(|code| aadsts::by_code(*code).map(|row| (row, Some(*code))));
    let by_word = || {
        let row = body.suberror.as_deref().and_then(aadsts::by_word).or_else(|| aadsts::by_word(&body.error))?;
        Some((row, body.error_codes.first().copied()))
    };
    let trace = body.trace_id.as_deref().or(body.correlation_id.as_deref()).and_then(read_id);
    let report = |code: Option<u32>| {
        let report = *report?;
        let word = || read_id(&body.error).unwrap_or_default();
        let code = code.map_or_else(word, |code| format!("AADSTS{code}"));
        Some(Box::new(Report { code, request_id: trace.or_else(|| report.request_id.clone()), ..report }))
    };
    let refusal =
        Refusal { suberror: body.suberror.as_deref().and_then(read_id), claims: body.claims, ..Refusal::default() };
    let Some((row, code)) = by_code.or_else(by_word) else {
        let refusal = Refusal {
            happened: format!("Entra refused the sign-in ({}).", read_id(&body.error).unwrap_or_default()),
            who: "An Entra administrator can change it.".into(),
            next: "Give them the number and the request id.".into(),
            code: body.error_codes.first().copied(),
            report: report(body.error_codes.first().copied()),
            ..refusal
        };
        return Some(SignInError::Refused(Box::new(refusal)).into());
    };
    let instead = row.instead.filter(|other| way != Some(*other));
    let refusal = Refusal {
        happened: row.happened.into(),
        who: row.who.into(),
        next: instead.map_or_else(|| row.next.into(), |other| instead_of(row.next, other)),
        code,
        lacks_consent: row.leads == Leads::Consent,
        report: report(code),
        instead,
        ..refusal
    };
    let error = match row.leads {
        Leads::SignIn | Leads::SessionOver => SignInError::Needed(Box::new(refusal)),
        Leads::Consent | Leads::Elsewhere => SignInError::Refused(Box::new(refusal)),
    };
    Some(Read { error, session_over: row.leads == Leads::SessionOver })
}

/// The other way first; then what was to be done without it.
fn instead_of(next: &str, other: Way) -> String {
    let other = match other {
        Way::DeviceCode => "Sign in with a code instead.",
        Way::Browser => "Sign in with the browser instead.",
    };
    let mut rest = next.chars();
    let first: String = rest.next().map(|c| c.to_lowercase().collect()).unwrap_or_default();
    format!("{other} If that is refused too, {first}{}", rest.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_number_that_is_known_decides_and_then_the_suberror() {
        let said = |body: &str| read(body.as_bytes(), None, None).unwrap().error.to_string();
        assert!(said(r#"{"error":"invalid_grant","error_codes":[1,53003]}"#).contains("Conditional Access"));
        let consent =
            read(br#"{"error":"invalid_grant","error_codes":[65999],"suberror":"consent_required"}"#, None, None);
        assert!(consent.is_some_and(|read| read.error.is_about_consent() && !read.session_over));
        let word_alone = read(br#"{"error":"consent_required"}"#, None, None).unwrap().error;
        assert!(word_alone.is_about_consent() && !word_alone.to_string().contains("AADSTS"), "no number is made up");
        assert!(read(br#"{"error":"invalid_grant","error_codes":[4]}"#, None, None).unwrap().session_over);
    }

    #[test]
    fn the_other_way_of_signing_in_is_named_to_whoever_came_by_this_one() {
        let blocked = |way| {
            let read = read(br#"{"error":"access_denied","error_codes":[53003]}"#, None, way).unwrap();
            read.error.refusal().cloned().unwrap()
        };
        let by_code = blocked(Some(Way::DeviceCode));
        assert_eq!(by_code.instead, Some(Way::Browser));
        assert_eq!(
            by_code.next,
            "Sign in with the browser instead. If that is refused too, ask for this app to be allowed."
        );
        let by_browser = blocked(Some(Way::Browser));
        assert_eq!((by_browser.instead, by_browser.next.as_str()), (None, "Ask for this app to be allowed."));
    }

    #[test]
    fn what_entra_wants_to_be_asked_for_next_is_kept() {
        let body = br#"{"error":"interaction_required","error_codes":[50076],"suberror":"basic_action","claims":"{\"access_token\":{}}"}"#;
        let refusal = read(body, None, None).unwrap().error.refusal().cloned().unwrap();
        assert_eq!(
            (refusal.suberror.as_deref(), refusal.claims.as_deref()),
            (Some("basic_action"), Some(r#"{"access_token":{}}"#))
        );
    }

    #[test]
    fn a_word_from_outside_is_written_out() {
        let said = read(br#"{"error":"\u001b[2Jx"}"#, None, None).unwrap().error.to_string();
        assert!(said.contains("\\u{1b}") && !said.contains('\u{1b}'), "{said}");
    }

    proptest! {
        #[test]
        fn no_body_brings_it_down(body in proptest::collection::vec(any::<u8>(), 0..200), word in ".*", codes in any::<Vec<u32>>()) {
            let _ = read(&body, None, None);
            let json = serde_json::json!({"error": word, "error_codes": codes, "trace_id": word, "suberror": word});
            let read = read(json.to_string().as_bytes(), None, None);
            let said = read.map(|read| read.error.to_string()).unwrap_or_default();
            prop_assert!(!said.contains(char::is_control));
        }
    }
}
