//! What Entra's refusals mean: one table from AADSTS numbers to sentences.
//!
//! Source: Entra `reference-error-codes`, and for 530033 and 70017 what clients reported. Microsoft calls the numbers subject to change and
//! forbids acting on the description; so the number chooses the sentence, the OAuth error word decides where the number is unknown, and the
//! description is never shown.

use std::fmt;

use serde::Deserialize;

use crate::{
    domain::work::Report,
    http::{HttpError, read_id},
};

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// A person has to sign in, for the first time or again.
    #[error("{0}")]
    Needed(Refusal),
    /// Signing in again does not help: somebody has to change something.
    #[error("{0}")]
    Refused(Refusal),
    #[error("Sign-in: {0}")]
    Unreachable(HttpError),
    /// The answer makes no sense, in one sentence.
    #[error("{what}")]
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
        Self::Needed(Refusal {
            happened: "Nobody is signed in.".into(),
            who: String::new(),
            next: "Sign in.".into(),
            code: None,
            report: None,
        })
    }

    /// Whether consent to the permission is what is missing.
    pub(super) fn is_about_consent(&self) -> bool {
        matches!(self, Self::Refused(Refusal { code: Some(65_001 | 65_004 | 90_094 | 90_095), .. }))
    }
}

/// A refusal in three sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub happened: String,
    /// Who can change it. May be empty.
    pub who: String,
    /// What to do now.
    pub next: String,
    /// The AADSTS number.
    pub code: Option<u32>,
    /// The refused request.
    pub report: Option<Box<Report>>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.happened, &self.who, &self.next];
        let said: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        f.write_str(&said.join(" "))?;
        self.code.map_or(Ok(()), |code| write!(f, " (AADSTS{code})"))
    }
}

/// Where a refusal leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A person signs in again.
    SignIn,
    /// The same, and what was kept of the session is worthless.
    SessionOver,
    /// Somebody else changes something.
    Elsewhere,
}

struct Row {
    codes: &'static [u32],
    way: Way,
    happened: &'static str,
    who: &'static str,
    next: &'static str,
}

const ADMIN: &str = "An Entra administrator can change it.";
const CA_ADMIN: &str = "Whoever runs Conditional Access in your organisation can change it.";
const SETUP: &str = "Whoever registered the app can change it.";

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { codes: &[70_016], way: Way::SignIn, happened: "The code has not been approved yet.", who: "", next: "Approve it in the browser." },
    Row { codes: &[70_017], way: Way::SignIn, happened: "The sign-in was declined in the browser.", who: "", next: "Sign in again, and approve only the code shown here." },
    Row { codes: &[70_018, 90_119], way: Way::SignIn, happened: "Entra does not know this sign-in code.", who: "", next: "Start again with a new code." },
    Row { codes: &[70_019], way: Way::SignIn, happened: "The sign-in code expired before it was approved.", who: "", next: "Start again with a new code." },
    Row { codes: &[54_005, 90_120], way: Way::SignIn, happened: "The sign-in code was used or declined already.", who: "", next: "Start again with a new code." },
    Row { codes: &[50_076, 50_074], way: Way::SignIn, happened: "Entra asks for multi-factor authentication.", who: "", next: "Sign in again and confirm with your second factor." },
    Row { codes: &[50_079, 50_072], way: Way::SignIn, happened: "Your account has no second factor set up, and Entra asks for one.", who: "", next: "Set it up at aka.ms/mfasetup, then sign in again." },
    Row { codes: &[50_078, 70_043], way: Way::SessionOver, happened: "Your sign-in is too old for your organisation's rules.", who: "", next: "Sign in again." },
    Row { codes: &[50_173], way: Way::SessionOver, happened: "The session was ended: a password was changed, or somebody revoked it.", who: "", next: "Sign in again." },
    Row { codes: &[700_082, 70_008, 700_084], way: Way::SessionOver, happened: "The session has expired.", who: "", next: "Sign in again." },
    Row { codes: &[9_002_313], way: Way::SessionOver, happened: "Entra does not accept the remembered session.", who: "", next: "Sign in again." },
    Row { codes: &[50_196], way: Way::SignIn, happened: "Entra stopped this sign-in because it was asked too often.", who: "", next: "Wait a few minutes, then sign in again." },
    Row { codes: &[50_199], way: Way::SignIn, happened: "Entra wants you to confirm the sign-in yourself.", who: "", next: "Sign in again and follow the page to its end." },
    Row { codes: &[50_097], way: Way::Elsewhere, happened: "Entra asks this computer to prove that it is managed, which a sign-in by code cannot do.", who: CA_ADMIN, next: "Ask for an exception for this app." },
    Row { codes: &[530_033], way: Way::Elsewhere, happened: "Your organisation requires a managed computer, and a sign-in by code can never show one.", who: CA_ADMIN, next: "Ask for an exception for this app." },
    Row { codes: &[53_000], way: Way::Elsewhere, happened: "Your organisation requires a compliant computer, and this one is not.", who: CA_ADMIN, next: "Sign in from a compliant computer." },
    Row { codes: &[53_001], way: Way::Elsewhere, happened: "Your organisation requires a domain-joined computer, and this one is not.", who: CA_ADMIN, next: "Sign in from a joined computer." },
    Row { codes: &[53_003], way: Way::Elsewhere, happened: "Conditional Access blocked this sign-in. Many organisations block sign-in by code.", who: CA_ADMIN, next: "Ask for this app to be allowed." },
    Row { codes: &[530_032, 530_035], way: Way::Elsewhere, happened: "A security policy of your organisation blocked this sign-in.", who: ADMIN, next: "Ask which policy it was." },
    Row { codes: &[530_034], way: Way::Elsewhere, happened: "Your account was blocked here because of a risk in its home organisation.", who: "The administrators of your home organisation can change it.", next: "Report it to them." },
    Row { codes: &[50_105], way: Way::Elsewhere, happened: "You are not assigned to this app.", who: ADMIN, next: "Ask to be assigned to it." },
    Row { codes: &[50_057], way: Way::Elsewhere, happened: "Your account is disabled.", who: ADMIN, next: "Ask why." },
    Row { codes: &[50_053], way: Way::Elsewhere, happened: "Your account is locked after too many attempts.", who: ADMIN, next: "Wait, or ask for it to be unlocked." },
    Row { codes: &[65_001, 90_094, 90_095], way: Way::Elsewhere, happened: "Nobody has consented to what this app asks for.", who: "An Entra administrator can consent.", next: "Ask for admin consent to this app." },
    Row { codes: &[65_004], way: Way::Elsewhere, happened: "Consent was declined on the sign-in page.", who: "An Entra administrator can consent.", next: "Ask for admin consent to this app." },
    Row { codes: &[70_011], way: Way::Elsewhere, happened: "Entra does not know a permission this app asked for.", who: SETUP, next: "Check that the Graph address belongs to the same cloud as the sign-in address." },
    Row { codes: &[7_000_218], way: Way::Elsewhere, happened: "The app registration does not allow public client flows.", who: SETUP, next: "Ask for \"Allow public client flows\" to be switched on." },
    Row { codes: &[700_016], way: Way::Elsewhere, happened: "This tenant does not know the app.", who: SETUP, next: "Check the client id and the tenant in the settings." },
    Row { codes: &[90_002], way: Way::Elsewhere, happened: "There is no such tenant.", who: "", next: "Check the tenant in the settings." },
    Row { codes: &[50_059], way: Way::Elsewhere, happened: "The sign-in named no tenant.", who: "", next: "Check the tenant in the settings." },
    Row { codes: &[50_194], way: Way::Elsewhere, happened: "The app belongs to one tenant and was asked for through another address.", who: "", next: "Put the tenant's own id into the settings." },
    Row { codes: &[50_020], way: Way::Elsewhere, happened: "Your account belongs to another tenant.", who: ADMIN, next: "Sign in with an account of this tenant." },
    Row { codes: &[50_034], way: Way::Elsewhere, happened: "This tenant does not know your account.", who: ADMIN, next: "Sign in with an account of this tenant." },
    Row { codes: &[90_038, 50_134], way: Way::Elsewhere, happened: "The tenant lives in another cloud or region.", who: "", next: "Check the sign-in address in the settings." },
    Row { codes: &[90_014, 900_144], way: Way::Elsewhere, happened: "Entra says that the request is incomplete.", who: "", next: "Check the client id and the tenant in the settings." },
];

/// The same for the words of OAuth, where no number is known (RFC 6749, RFC 8628, and Entra's own).
#[rustfmt::skip]
const WORDS: &[(&str, Row)] = &[
    ("authorization_declined", Row { codes: &[], way: Way::SignIn, happened: "The sign-in was declined in the browser.", who: "", next: "Sign in again, and approve only the code shown here." }),
    ("access_denied", Row { codes: &[], way: Way::SignIn, happened: "The sign-in was declined in the browser.", who: "", next: "Sign in again, and approve only the code shown here." }),
    ("expired_token", Row { codes: &[], way: Way::SignIn, happened: "The sign-in code expired before it was approved.", who: "", next: "Start again with a new code." }),
    ("bad_verification_code", Row { codes: &[], way: Way::SignIn, happened: "Entra does not know this sign-in code.", who: "", next: "Start again with a new code." }),
    ("interaction_required", Row { codes: &[], way: Way::SignIn, happened: "Entra wants you to sign in yourself.", who: "", next: "Sign in again." }),
    ("login_required", Row { codes: &[], way: Way::SignIn, happened: "Entra wants you to sign in yourself.", who: "", next: "Sign in again." }),
    ("invalid_grant", Row { codes: &[], way: Way::SessionOver, happened: "Entra does not accept the session any more.", who: "", next: "Sign in again." }),
    ("consent_required", Row { codes: &[65_001], way: Way::Elsewhere, happened: "Nobody has consented to what this app asks for.", who: "An Entra administrator can consent.", next: "Ask for admin consent to this app." }),
    ("invalid_scope", Row { codes: &[], way: Way::Elsewhere, happened: "Entra does not know a permission this app asked for.", who: SETUP, next: "Check that the Graph address belongs to the same cloud as the sign-in address." }),
    ("invalid_client", Row { codes: &[], way: Way::Elsewhere, happened: "Entra does not accept this app.", who: SETUP, next: "Check the client id in the settings, and that public client flows are allowed." }),
    ("unauthorized_client", Row { codes: &[], way: Way::Elsewhere, happened: "This app may not sign in this way.", who: SETUP, next: "Check the client id in the settings, and that public client flows are allowed." }),
    ("invalid_tenant", Row { codes: &[], way: Way::Elsewhere, happened: "There is no such tenant.", who: "", next: "Check the tenant in the settings." }),
];

/// What Entra's token service says when it refuses.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    error: String,
    error_codes: Vec<u32>,
    suberror: Option<String>,
    trace_id: Option<String>,
    correlation_id: Option<String>,
}

/// What a refusal leads to.
pub(super) struct Read {
    pub error: SignInError,
    /// What was kept of the session is worthless.
    pub session_over: bool,
}

/// Reads the body of a refusal. `None` when it is none: a proxy's page, or nothing.
pub(super) fn read(body: &[u8], report: Option<Box<Report>>) -> Option<Read> {
    let body: Body = serde_json::from_slice(body).ok()?;
    if body.error.is_empty() {
        return None;
    }
    let by_code = body
        .error_codes
        .iter()
        .find_map(|code| TABLE.iter().find(|row| row.codes.contains(code)).map(|row| (row, Some(*code))));
    let by_word = || {
        let said = [body.suberror.as_deref().unwrap_or_default(), body.error.as_str()];
        let row = said.iter().find_map(|word| WORDS.iter().find(|(known, _)| known == word))?;
        Some((&row.1, row.1.codes.first().or(body.error_codes.first()).copied()))
    };
    let trace = body.trace_id.as_deref().or(body.correlation_id.as_deref()).and_then(read_id);
    let report = |code: Option<u32>| {
        let report = *report?;
        let word = || read_id(&body.error).unwrap_or_default();
        let code = code.map_or_else(word, |code| format!("AADSTS{code}"));
        Some(Box::new(Report { code, request_id: trace.or_else(|| report.request_id.clone()), ..report }))
    };
    let Some((row, code)) = by_code.or_else(by_word) else {
        let refusal = Refusal {
            happened: format!("Entra refused the sign-in ({}).", read_id(&body.error).unwrap_or_default()),
            who: ADMIN.into(),
            next: "Give them the number and the request id.".into(),
            code: body.error_codes.first().copied(),
            report: report(body.error_codes.first().copied()),
        };
        return Some(Read { error: SignInError::Refused(refusal), session_over: false });
    };
    let (happened, who, next) = (row.happened.into(), row.who.into(), row.next.into());
    let refusal = Refusal { happened, who, next, code, report: report(code) };
    let error = match row.way {
        Way::SignIn | Way::SessionOver => SignInError::Needed(refusal),
        Way::Elsewhere => SignInError::Refused(refusal),
    };
    Some(Read { error, session_over: row.way == Way::SessionOver })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_number_stands_in_the_table_once_and_every_row_says_what_to_do() {
        let mut seen = HashSet::new();
        for row in TABLE.iter().chain(WORDS.iter().map(|(_, row)| row)) {
            assert!(row.happened.ends_with('.') && row.next.ends_with('.'), "{}", row.happened);
            assert!(
                row.way != Way::Elsewhere || !row.who.is_empty() || row.next.contains("settings"),
                "{}",
                row.happened
            );
        }
        assert!(TABLE.iter().flat_map(|row| row.codes).all(|code| seen.insert(code)));
    }

    #[test]
    fn the_first_number_that_is_known_decides_and_then_the_suberror() {
        let said = |body: &str| read(body.as_bytes(), None).unwrap().error.to_string();
        assert!(said(r#"{"error":"invalid_grant","error_codes":[1,53003]}"#).contains("Conditional Access"));
        let consent = read(br#"{"error":"invalid_grant","error_codes":[65999],"suberror":"consent_required"}"#, None);
        assert!(consent.is_some_and(|read| read.error.is_about_consent() && !read.session_over));
        assert!(read(br#"{"error":"invalid_grant","error_codes":[4]}"#, None).unwrap().session_over);
    }

    #[test]
    fn a_word_from_outside_is_written_out() {
        let said = read(br#"{"error":"\u001b[2Jx"}"#, None).unwrap().error.to_string();
        assert!(said.contains("\\u{1b}") && !said.contains('\u{1b}'), "{said}");
    }

    proptest! {
        #[test]
        fn no_body_brings_it_down(body in proptest::collection::vec(any::<u8>(), 0..200), word in ".*", codes in any::<Vec<u32>>()) {
            let _ = read(&body, None);
            let json = serde_json::json!({"error": word, "error_codes": codes, "trace_id": word, "suberror": word});
            let read = read(json.to_string().as_bytes(), None);
            let said = read.map(|read| read.error.to_string()).unwrap_or_default();
            prop_assert!(!said.contains(char::is_control));
        }
    }
}
