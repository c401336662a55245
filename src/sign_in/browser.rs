//! Sign-in by browser: an authorization code with PKCE (RFC 7636), sent back to this machine (RFC 8252).
//!
//! The browser has to run on this machine, in the same session: what it brings back goes to this machine's own loopback address. Over ssh a
//! code is the way.

use std::time::Duration;

use oauth2::{AuthUrl, AuthorizationCode, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use serde_json::json;
use url::Url;

use super::{
    SignInError,
    discovery::Endpoints,
    landing::{Arrived, Landing},
    refusal::{self, Read, Refusal},
    wire::{Asked, Tokens, Wire, oauth},
};
use crate::{
    domain::{
        connection::Connection,
        work::sign_in::{BrowserPage, Way},
    },
    http::{Http, Repeat},
};

/// How long the browser may take. Entra's own page gives up sooner or later too.
const LIFE: Duration = Duration::from_mins(10);

/// Tells `on_page` the page to open, waits for the browser to come back, and redeems what it brings.
pub(super) async fn run(
    http: &Http,
    connection: &Connection,
    endpoints: &Endpoints,
    asked: &Asked,
    on_page: &(dyn Fn(BrowserPage) + Send + Sync),
) -> Result<Tokens, Read> {
    let Some(page) = endpoints.authorize.clone() else {
        return Err(not_this_way("This sign-in service offers no sign-in by browser.").into());
    };
    let landing = Landing::open().await.map_err(|error| {
        tracing::info!(%error, "no address for the browser to come back to");
        not_this_way("This computer does not let a program wait for its browser.")
    })?;
    let back =
        RedirectUrl::new(landing.address()).map_err(|_| SignInError::unexpected("it cannot be led back here"))?;
    let oauth = oauth(connection, endpoints).set_auth_uri(AuthUrl::from_url(page)).set_redirect_uri(back);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let nonce = CsrfToken::new_random();
    let mut request = oauth
        .authorize_url(CsrfToken::new_random)
        .add_scopes(asked.scopes.iter().cloned().map(Scope::new))
        .set_pkce_challenge(challenge)
        .add_extra_param("response_mode", "query")
        .add_extra_param("claims", &asked.claims)
        .add_extra_param("nonce", nonce.secret());
    for (name, value) in extras(asked, endpoints) {
        request = request.add_extra_param(name, value);
    }
    let (address, state) = request.url();
    on_page(BrowserPage { address: address.into(), expires_in: LIFE });

    let arrived = tokio::time::timeout(LIFE, landing.wait(state.secret())).await.map_err(|_| nobody_came())?;
    // Whoever comes now is not waited for.
    drop(landing);
    let code = code(&arrived, endpoints)?;
    let wire = Wire::new(http, Repeat::NotServed, Some(Way::Browser));
    let answer = oauth
        .exchange_code(code)
        .set_pkce_verifier(verifier)
        .add_extra_param("claims", &asked.claims)
        .request_async(&wire)
        .await
        .map_err(|error| wire.explain(error))?;
    Ok(Tokens { nonce: Some(nonce.into_secret()), ..Tokens::of(&answer, &wire) })
}

/// Whom the page should expect, and how thoroughly it should ask.
fn extras<'a>(asked: &'a Asked, endpoints: &Endpoints) -> Vec<(&'static str, &'a str)> {
    let mut extras: Vec<(&str, &str)> = asked.hint.iter().map(|hint| ("login_hint", hint.as_str())).collect();
    if asked.fresh {
        extras.extend([("prompt", "login"), ("max_age", "0")]);
    } else if asked.hint.is_none() && endpoints.selects_account {
        // The browser's own account is often not the one with the helpdesk's roles.
        extras.push(("prompt", "select_account"));
    }
    extras
}

/// The code, or why there is none.
fn code(arrived: &Arrived, endpoints: &Endpoints) -> Result<AuthorizationCode, Read> {
    // RFC 9207: an answer of another issuer, where it names itself.
    let issuer = arrived.get("iss").filter(|_| !endpoints.issuer.contains('{'));
    if issuer.is_some_and(|issuer| issuer != endpoints.issuer) {
        return Err(SignInError::unexpected("the browser came back from another sign-in service").into());
    }
    if let Some(code) = arrived.get("code") {
        return Ok(AuthorizationCode::new(code.to_owned()));
    }
    let body = json!({
        "error": arrived.get("error").unwrap_or_default(),
        "error_codes": number(arrived).into_iter().collect::<Vec<_>>(),
        "suberror": arrived.get("suberror").or(arrived.get("error_subcode")),
        "claims": arrived.get("claims"),
    });
    let read = refusal::read(body.to_string().as_bytes(), None, Some(Way::Browser));
    Err(read.unwrap_or_else(|| SignInError::unexpected("the browser brought nothing back").into()))
}

/// The AADSTS number of a refusal. On this way Entra sends no `error_codes`: the number stands in the address of its help page, and at the
/// head of a description that is not shown.
fn number(arrived: &Arrived) -> Option<u32> {
    let help = arrived.get("error_uri").and_then(|uri| Url::parse(uri).ok());
    let by_help = help.and_then(|uri| uri.query_pairs().find(|(name, _)| name == "code")?.1.parse().ok());
    by_help.or_else(|| {
        let digits = arrived.get("error_description")?.strip_prefix("AADSTS")?;
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    })
}

fn nobody_came() -> SignInError {
    SignInError::Needed(Box::new(Refusal {
        happened: "No browser came back within ten minutes.".into(),
        next: "Sign in again with a browser on this machine. Over ssh, sign in with a code.".into(),
        instead: Some(Way::DeviceCode),
        ..Refusal::default()
    }))
}

fn not_this_way(happened: &str) -> SignInError {
    SignInError::Refused(Box::new(Refusal {
        happened: happened.into(),
        next: "Sign in with a code instead.".into(),
        instead: Some(Way::DeviceCode),
        ..Refusal::default()
    }))
}
