//! Signing in by browser: an authorization code with PKCE (RFC 7636), sent back to a loopback address.

use std::collections::HashMap;

use axum::{
    Extension,
    extract::{Path, State},
    http::{StatusCode, Uri, header::LOCATION},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;

use super::{check_app, check_tenant, failure::Failure, page, token::opaque};
use crate::simulation::{
    tenant::Tenant,
    web::{self, Ids},
};

/// A code is good for ten minutes and once.
const LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// What a client sends along and the page must bring back.
const FIELDS: &[&str] =
    &["client_id", "response_type", "redirect_uri", "scope", "state", "nonce", "code_challenge", "claims"];

/// A code that was handed out, and what must be shown for it.
#[derive(Debug, Clone)]
pub struct Code {
    pub person: Uuid,
    pub scope: String,
    pub nonce: Option<String>,
    pub claims: Option<String>,
    client_id: Uuid,
    redirect_uri: String,
    challenge: String,
    issued: Timestamp,
    redeemed: bool,
}

/// A request to sign somebody in, checked.
struct Wish {
    client_id: Uuid,
    app: String,
    redirect_uri: Url,
    challenge: String,
}

/// `GET /{tenant}/oauth2/v2.0/authorize`: the page where a person says who they are.
pub async fn show(
    State(tenant): State<Tenant>,
    Extension(ids): Extension<Ids>,
    Path(named): Path<String>,
    uri: Uri,
) -> Response {
    let fields: HashMap<String, String> = web::pairs(uri.query().unwrap_or_default()).into_iter().collect();
    match Wish::of(&tenant, &named, &fields) {
        Ok(wish) => {
            let hidden = FIELDS.iter().filter_map(|name| fields.get(*name).map(|value| (*name, value.as_str())));
            let asks =
                page::Asks { app: &wish.app, how: "with this browser", action: uri.path(), hidden: hidden.collect() };
            page::decision_form(&tenant, &asks).into_response()
        }
        Err(failure) => failure.answer(ids, tenant.now()),
    }
}

/// `POST` to the same address: approved or declined. The browser is sent back to the client.
pub async fn decided(
    State(tenant): State<Tenant>,
    Extension(ids): Extension<Ids>,
    Path(named): Path<String>,
    body: String,
) -> Response {
    let fields: HashMap<String, String> = web::pairs(&body).into_iter().collect();
    match answer(&tenant, &named, &fields) {
        Ok(back) => (StatusCode::FOUND, [(LOCATION, back.to_string())]).into_response(),
        Err(failure) => failure.answer(ids, tenant.now()),
    }
}

fn answer(tenant: &Tenant, named: &str, fields: &HashMap<String, String>) -> Result<Url, Failure> {
    let wish = Wish::of(tenant, named, fields)?;
    let mut back = wish.redirect_uri.clone();
    let approved = fields.get("decision").is_some_and(|decision| decision == "approve");
    if approved {
        let upn = fields.get("upn").ok_or_else(|| Failure::missing("upn"))?;
        let code = opaque("1.AXEA", 300);
        tenant.with(|state, now| {
            let nobody = || Failure::new("invalid_request", 50_034, format!("The user account {upn} does not exist."));
            let person = state.world.person_by_upn(upn).ok_or_else(nobody)?.id;
            let issued = Code {
                person,
                scope: fields.get("scope").cloned().unwrap_or_default(),
                nonce: fields.get("nonce").cloned(),
                claims: fields.get("claims").cloned(),
                client_id: wish.client_id,
                redirect_uri: wish.redirect_uri.to_string(),
                challenge: wish.challenge.clone(),
                issued: now,
                redeemed: false,
            };
            state.codes.insert(code.clone(), issued);
            Ok(())
        })?;
        back.query_pairs_mut().append_pair("code", &code);
    } else {
        let text = "AADSTS65004: User declined to consent to access the app.";
        back.query_pairs_mut().append_pair("error", "access_denied").append_pair("error_description", text);
    }
    if let Some(state) = fields.get("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    Ok(back)
}

impl Wish {
    fn of(tenant: &Tenant, named: &str, fields: &HashMap<String, String>) -> Result<Self, Failure> {
        check_tenant(tenant, named)?;
        let (client_id, app) = check_app(tenant, fields.get("client_id"))?;
        let field = |name: &str| fields.get(name).ok_or_else(|| Failure::missing(name));
        if field("response_type")? != "code" {
            return Err(Failure::new(
                "unsupported_response_type",
                700_054,
                "Only response_type 'code' is enabled here.",
            ));
        }
        let unregistered = || {
            let text = "The redirect URI specified in the request does not match the redirect URIs configured for the \
                        application.";
            Failure::new("invalid_request", 50_011, text)
        };
        let redirect_uri = Url::parse(field("redirect_uri")?).map_err(|_| unregistered())?;
        let loopback = matches!(redirect_uri.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if !loopback || redirect_uri.scheme() != "http" {
            return Err(unregistered());
        }
        let challenge = field("code_challenge")?.clone();
        Ok(Self { client_id, app, redirect_uri, challenge })
    }
}

/// What stands behind a code, if the client that asked for it shows the verifier it kept.
pub fn redeem(tenant: &Tenant, client_id: Uuid, fields: &HashMap<String, String>) -> Result<Code, Failure> {
    let field = |name: &str| fields.get(name).ok_or_else(|| Failure::missing(name));
    let (code, verifier) = (field("code")?, field("code_verifier")?);
    let redirect_uri = Url::parse(field("redirect_uri")?).map(String::from).unwrap_or_default();
    tenant.with(|state, now| {
        let known = state.codes.get_mut(code).filter(|code| code.client_id == client_id);
        let code =
            known.ok_or_else(|| Failure::new("invalid_grant", 70_000, "Provided grant is invalid or malformed."))?;
        if code.redirect_uri != redirect_uri {
            let text = "The reply address does not match the one in the authorization request.";
            return Err(Failure::new("invalid_grant", 500_112, text));
        }
        if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) != code.challenge {
            let text = "The Code_Verifier does not match the code_challenge supplied in the authorization request.";
            return Err(Failure::new("invalid_grant", 501_481, text));
        }
        if code.redeemed {
            let text = "OAuth2 Authorization code was already redeemed, please retry with a new valid code.";
            return Err(Failure::new("invalid_grant", 54_005, text));
        }
        if now.duration_since(code.issued) > LIFETIME {
            let text = "The provided authorization code has expired. Send a new interactive authorization request.";
            return Err(Failure::new("invalid_grant", 70_008, text));
        }
        code.redeemed = true;
        Ok(code.clone())
    })
}
