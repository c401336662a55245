//! Sign-in by device code (RFC 8628): a code is shown here and approved in a browser, anywhere.

use std::time::Duration;

use oauth2::{DeviceAuthorizationUrl, Scope, StandardDeviceAuthorizationResponse};

use super::{
    SignInError,
    discovery::Endpoints,
    refusal::{Read, Refusal},
    wire::{Asked, Tokens, Wire, oauth},
};
use crate::{
    domain::{
        connection::{Connection, is_loopback},
        foreign::printable,
        work::sign_in::{DeviceCode, Way},
    },
    http::{Http, Repeat},
};

/// A code that should last longer is treated as if it lasted so long.
const LONGEST_LIFE: Duration = Duration::from_hours(1);
/// The longest pause between two polls.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Codes are some nine characters.
const LONGEST_CODE: usize = 32;

/// Asks for a code, tells it to `on_code`, and polls until it is approved, declined or expired.
pub(super) async fn run(
    http: &Http,
    connection: &Connection,
    endpoints: &Endpoints,
    asked: &Asked,
    on_code: &(dyn Fn(DeviceCode) + Send + Sync),
) -> Result<Tokens, Read> {
    let Some(page) = endpoints.device_code.clone() else {
        return Err(SignInError::Refused(Box::new(Refusal {
            happened: "This sign-in service offers no sign-in by code.".into(),
            next: "Sign in with the browser instead.".into(),
            instead: Some(Way::Browser),
            ..Refusal::default()
        }))
        .into());
    };
    let oauth = oauth(connection, endpoints).set_device_authorization_url(DeviceAuthorizationUrl::from_url(page));
    let wire = Wire::new(http, Repeat::Freely, Some(Way::DeviceCode));
    let details: StandardDeviceAuthorizationResponse = oauth
        .exchange_device_code()
        .add_scopes(asked.scopes.iter().cloned().map(Scope::new))
        .add_extra_param("claims", &asked.claims)
        .request_async(&wire)
        .await
        .map_err(|error| wire.explain(error))?;
    on_code(shown(&details)?);

    let shortest_pause = Duration::from_millis(if is_loopback(&connection.authority) { 100 } else { 1_000 });
    let wire = Wire::polling(http);
    let pause = |asked: Duration| tokio::time::sleep(asked.clamp(shortest_pause, LONGEST_PAUSE));
    let answer = oauth
        .exchange_device_access_token(&details)
        // Once more: of the two requests it is this one whose claims Microsoft's own libraries rely on, beside the first.
        .add_extra_param("claims", &asked.claims)
        .set_max_backoff_interval(LONGEST_PAUSE)
        .request_async(&wire, pause, Some(details.expires_in().min(LONGEST_LIFE)))
        .await
        .map_err(|error| wire.explain(error))?;
    Ok(Tokens::of(&answer, &wire))
}

/// What the technician is shown, after a look whether it can be what it claims: the address will be opened in a browser.
fn shown(details: &StandardDeviceAuthorizationResponse) -> Result<DeviceCode, SignInError> {
    let odd = |what: &str| SignInError::unexpected(what);
    let address = details.verification_uri().url();
    let secure = address.scheme() == "https" || (address.scheme() == "http" && is_loopback(address));
    if !secure || !address.username().is_empty() {
        return Err(odd("the page for the code is not on https"));
    }
    let user_code = details.user_code().secret();
    if user_code.is_empty() || user_code.chars().count() > LONGEST_CODE {
        return Err(odd("its code has no code's length"));
    }
    if details.interval() > LONGEST_LIFE {
        return Err(odd("it wants to be asked again in more than an hour"));
    }
    Ok(DeviceCode {
        user_code: printable(user_code),
        address: address.to_string(),
        expires_in: details.expires_in().min(LONGEST_LIFE),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn details(json: &str) -> StandardDeviceAuthorizationResponse {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_entra_answers_is_shown_and_a_missing_interval_or_message_does_no_harm() {
        let code = shown(&details(
            r#"{"device_code":"x","user_code":"A62NXK96N","verification_uri":"https://microsoft.com/devicelogin",
                "verification_uri_complete":"https://elsewhere.example/?c=A62NXK96N","expires_in":900}"#,
        ))
        .unwrap();
        assert_eq!(
            (code.user_code.as_str(), code.address.as_str()),
            ("A62NXK96N", "https://microsoft.com/devicelogin")
        );
        assert_eq!(code.expires_in, Duration::from_mins(15));
    }

    #[rstest]
    #[case::in_the_clear(
        r#"{"device_code":"x","user_code":"A","verification_uri":"http://example.org/","expires_in":900}"#
    )]
    #[case::a_program(r#"{"device_code":"x","user_code":"A","verification_uri":"file:///bin/sh","expires_in":900}"#)]
    #[case::no_code(r#"{"device_code":"x","user_code":"","verification_uri":"https://example.org/","expires_in":900}"#)]
    #[case::never_again(
        r#"{"device_code":"x","user_code":"A","verification_uri":"https://example.org/","expires_in":900,
            "interval":18446744073709551615}"#
    )]
    fn an_odd_answer_is_refused(#[case] json: &str) {
        assert!(shown(&details(json)).is_err());
    }

    #[test]
    fn a_code_from_outside_cannot_move_the_cursor() {
        let json =
            r#"{"device_code":"x","user_code":"A\u001b[2J","verification_uri":"https://example.org/","expires_in":9}"#;
        assert_eq!(shown(&details(json)).unwrap().user_code, "A\\u{1b}[2J");
    }
}
