//! Entra's refusals, the one table: numbers and words, and for each what happened, who can change it, and what to do now.
//!
//! Source: Entra `reference-error-codes`. That page leaves out 70017, 70044, 500113, 530002, 530003, 530033, 700081 and 9002327: those are as
//! clients met them, in the service's own words. Microsoft calls all numbers subject to change.

use crate::domain::work::sign_in::Way;

/// Where a refusal leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    /// A person signs in again.
    SignIn,
    /// The same, and what was kept of the session is worthless.
    SessionOver,
    /// Consent to a permission is missing: an administrator gives it, or a person who may.
    Consent,
    /// Somebody else changes something.
    Elsewhere,
}

/// What a refusal means.
#[derive(Debug)]
pub(super) struct Row {
    /// AADSTS numbers.
    pub codes: &'static [u32],
    /// OAuth's `error` or Entra's `suberror`, for a number that is not known (RFC 6749, RFC 8628).
    pub words: &'static [&'static str],
    pub leads: Leads,
    pub happened: &'static str,
    /// May be empty: nobody needs to.
    pub who: &'static str,
    pub next: &'static str,
    /// The way of signing in that may work where the other was refused.
    pub instead: Option<Way>,
}

const fn row(
    leads: Leads,
    codes: &'static [u32],
    happened: &'static str,
    who: &'static str,
    next: &'static str,
) -> Row {
    Row { codes, words: &[], leads, happened, who, next, instead: None }
}

impl Row {
    const fn or(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    const fn instead(self, way: Way) -> Self {
        Self { instead: Some(way), ..self }
    }
}

const ADMIN: &str = "An Entra administrator can change it.";
const CONSENT: &str = "An Entra administrator can consent.";
const CA: &str = "Whoever runs Conditional Access in your organisation can change it.";
const SETUP: &str = "Whoever registered the app can change it.";
const NEW_CODE: &str = "Start again with a new code.";
const AGAIN: &str = "Sign in again.";
const OUR_TENANT: &str = "Sign in with an account of this tenant.";
const OUR_APP: &str = "Check the client id and the tenant in the settings.";

use Leads::{Consent, Elsewhere, SessionOver, SignIn};
use Way::{Browser, DeviceCode};

#[rustfmt::skip]
pub(super) static TABLE: &[Row] = &[
    // The code, and what was done with it in the browser.
    row(SignIn, &[70_016], "The code has not been approved yet.", "", "Approve it in the browser."),
    row(SignIn, &[70_017], "The sign-in was declined in the browser.", "", "Sign in again, and approve only what this desk asked for.").or(&["authorization_declined", "access_denied"]),
    row(SignIn, &[70_018, 90_119], "Entra does not know this sign-in code.", "", NEW_CODE).or(&["bad_verification_code"]),
    row(SignIn, &[70_019], "The sign-in code expired before it was approved.", "", NEW_CODE).or(&["expired_token"]),
    row(SignIn, &[54_005, 90_120], "The sign-in code was used or declined already.", "", NEW_CODE),
    row(SignIn, &[50_196], "Entra stopped this sign-in because it was asked too often.", "", "Wait a few minutes, then sign in again."),
    row(SignIn, &[50_134], "The code was approved in another region than the one that gave it out.", "", NEW_CODE).instead(Browser),
    row(SignIn, &[90_033, 90_024], "Entra is busy.", "", "Wait a minute, then sign in again.").or(&["temporarily_unavailable", "server_error"]),

    // Something the technician has to do.
    row(SignIn, &[50_076, 50_074], "Entra asks for multi-factor authentication.", "", "Sign in again and confirm with your second factor."),
    row(SignIn, &[50_158], "Your organisation asks for a step outside Entra, such as another second factor or its terms of use.", "", "Sign in again and follow the page to its end."),
    row(SignIn, &[50_079, 50_072], "Your account has no second factor set up, and Entra asks for one.", "", "Set it up at aka.ms/mfasetup, then sign in again."),
    row(SignIn, &[50_055, 50_144], "Your password has expired.", "", "Change it, then sign in again."),
    row(SignIn, &[50_199], "Entra wants you to confirm the sign-in yourself.", "", "Sign in again and follow the page to its end."),
    row(SignIn, &[50_058], "Entra wants you to sign in yourself.", "", AGAIN).or(&["interaction_required", "login_required", "account_selection_required"]),

    // The session.
    row(SessionOver, &[50_078, 70_043, 70_044], "Your sign-in is too old for your organisation's rules.", "", AGAIN),
    row(SessionOver, &[50_173, 50_132, 50_133], "The session was ended: a password was changed or has expired, or somebody revoked it.", "", AGAIN),
    row(SessionOver, &[700_082, 70_008, 700_081, 700_084], "The session has expired.", "", AGAIN),
    row(SessionOver, &[], "Entra does not accept the session any more.", "", AGAIN).or(&["invalid_grant"]),

    // Conditional Access and the security of this computer.
    row(Elsewhere, &[53_003], "Conditional Access blocked this sign-in.", CA, "Ask for this app to be allowed.").instead(Browser),
    row(Elsewhere, &[530_033], "Your organisation requires a managed computer, and a sign-in by code can never show one.", CA, "Ask for an exception for this app.").instead(Browser),
    row(Elsewhere, &[50_097], "Entra asks this computer to prove that it is managed, which a sign-in by code cannot do.", CA, "Ask for an exception for this app.").instead(Browser),
    row(Elsewhere, &[50_155], "Entra could not make out that this computer is one of your organisation's.", CA, "Sign in from a managed computer.").instead(Browser),
    row(Elsewhere, &[53_000, 530_002], "Your organisation requires a compliant computer, and this one did not show that it is.", CA, "Sign in from a compliant computer.").instead(Browser),
    row(Elsewhere, &[53_001], "Your organisation requires a joined computer, and this one did not show that it is.", CA, "Sign in from a joined computer.").instead(Browser),
    row(Elsewhere, &[530_003], "Your organisation requires a managed computer, and this one did not show that it is.", CA, "Sign in from a managed computer.").instead(Browser),
    row(Elsewhere, &[50_131], "Conditional Access blocked this sign-in: the state of this computer, or something about the request, was not accepted.", CA, "Ask which condition was not met.").instead(Browser),
    row(Elsewhere, &[53_002], "Your organisation allows only apps from a list here, and this one is not on it.", CA, "Ask for this app to be allowed."),
    row(Elsewhere, &[53_004], "Entra asks for a second factor and, because it sees a risk in your account, lets you set up none.", ADMIN, "Report it before anything else."),
    row(Elsewhere, &[530_032, 530_035], "A security policy of your organisation blocked this sign-in.", ADMIN, "Ask which policy it was.").instead(Browser),
    row(Elsewhere, &[530_034, 53_011], "Your account was blocked here because of a risk in its home organisation.", "The administrators of your home organisation can change it.", "Report it to them."),

    // The account.
    row(Elsewhere, &[50_105], "You are not assigned to this app.", ADMIN, "Ask to be assigned to it."),
    row(Elsewhere, &[50_057], "Your account is disabled.", ADMIN, "Ask why."),
    row(Elsewhere, &[50_053], "Your account is locked after too many attempts.", ADMIN, "Wait, or ask for it to be unlocked."),
    row(Elsewhere, &[50_020], "Your account belongs to another tenant.", ADMIN, OUR_TENANT),
    row(Elsewhere, &[50_034], "This tenant does not know your account.", ADMIN, OUR_TENANT),

    // Consent.
    row(Consent, &[65_001, 90_094, 90_095], "Nobody has consented to what this app asks for.", CONSENT, "Ask for admin consent to this app.").or(&["consent_required"]),
    row(Consent, &[65_004], "Consent was declined on the sign-in page.", CONSENT, "Ask for admin consent to this app."),

    // The app registration, and where it is looked for.
    row(Elsewhere, &[7_000_218], "The app registration does not allow public client flows.", SETUP, "Ask for \"Allow public client flows\" to be switched on.").instead(Browser),
    row(Elsewhere, &[50_011, 500_113], "The app registration does not know this program's address for the way back from the browser.", SETUP, "Ask for http://localhost to be added to it, as a mobile and desktop application.").instead(DeviceCode),
    row(Elsewhere, &[9_002_327], "The app registration takes this program for a web page.", SETUP, "Ask for http://localhost to be registered as a mobile and desktop application.").instead(DeviceCode),
    row(Elsewhere, &[700_016], "This tenant does not know the app.", SETUP, OUR_APP),
    row(Elsewhere, &[7_000_112], "The app is disabled in this tenant.", ADMIN, "Ask why."),
    row(Elsewhere, &[], "Entra does not accept this app.", SETUP, "Check the client id in the settings, and that public client flows are allowed.").or(&["invalid_client"]),
    row(Elsewhere, &[], "This app may not sign in this way.", SETUP, "Check the client id in the settings, and that public client flows are allowed.").or(&["unauthorized_client"]),
    row(Elsewhere, &[70_011], "Entra does not know a permission this app asked for.", SETUP, "Check that the Graph address belongs to the same cloud as the sign-in address.").or(&["invalid_scope"]),
    row(Elsewhere, &[500_011], "This tenant does not know the Graph address that the app asks for.", SETUP, "Check the Graph address in the settings."),
    row(Elsewhere, &[650_056, 650_057], "The app registration lists no permission for Microsoft Graph.", SETUP, "Ask for the permissions to be added to it, and for admin consent."),
    row(Elsewhere, &[90_002], "There is no such tenant.", "", "Check the tenant in the settings.").or(&["invalid_tenant"]),
    row(Elsewhere, &[50_059], "The sign-in named no tenant.", "", "Check the tenant in the settings."),
    row(Elsewhere, &[50_194], "The app belongs to one tenant and was asked for through another address.", "", "Put the tenant's own id into the settings."),
    row(Elsewhere, &[90_038], "The tenant lives in another cloud.", "", "Check the cloud, or the sign-in address, in the settings."),
    row(Elsewhere, &[90_014, 900_144], "Entra says that the request is incomplete.", "", OUR_APP),
];

/// The row of a number.
pub(super) fn by_code(code: u32) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.codes.contains(&code))
}

/// The row of a word.
pub(super) fn by_word(word: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.words.contains(&word))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_and_word_stands_in_the_table_once_and_every_row_says_what_to_do() {
        let mut seen = HashSet::new();
        for row in TABLE {
            assert!(row.happened.len() < 130 && !row.happened.contains("AADSTS"), "{}", row.happened);
            assert!(row.happened.ends_with('.') && row.next.ends_with('.'), "{}", row.happened);
            assert!(
                !matches!(row.leads, Leads::Elsewhere | Leads::Consent)
                    || !row.who.is_empty()
                    || row.next.contains("settings"),
                "{}",
                row.happened
            );
            assert!(!row.codes.is_empty() || !row.words.is_empty(), "{}", row.happened);
        }
        assert!(TABLE.iter().flat_map(|row| row.codes).all(|code| seen.insert(code.to_string())));
        assert!(TABLE.iter().flat_map(|row| row.words).all(|word| seen.insert((*word).to_owned())));
    }

    /// The numbers that a technician has met (the reference page, and reports of clients).
    #[test]
    fn every_refusal_a_technician_is_likely_to_meet_has_its_sentence() {
        for code in [
            70_016, 70_017, 70_018, 70_019, 50_076, 50_074, 50_079, 50_072, 50_078, 70_043, 50_097, 50_105, 50_057,
            50_173, 700_082, 70_008, 50_196, 50_199, 53_000, 53_001, 53_003, 530_032, 530_035, 530_034, 530_033,
            65_001, 65_004, 90_094, 90_095, 7_000_218, 700_016, 90_002, 50_059, 50_194, 50_020, 50_034, 90_038, 50_134,
            90_119, 90_120,
        ] {
            assert!(by_code(code).is_some(), "{code}");
        }
    }
}
