//! The token endpoint: device codes, authorization codes and refresh tokens become signed tokens.

use std::collections::HashMap;

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header::CACHE_CONTROL},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rand::Rng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    authorize, base, check_app, check_tenant,
    claims::Requested,
    device_code, discovery,
    failure::Failure,
    scopes::{self, Asked},
};
use crate::simulation::{
    people::Person,
    tenant::Tenant,
    web::{self, Ids},
    world::Grant,
};

/// Random bytes in a refresh token; with its lead it comes to some 1,500 characters, as Entra's do.
const REFRESH_TOKEN_BYTES: usize = 1100;

/// `POST /{tenant}/oauth2/v2.0/token`
pub async fn redeem(
    State(tenant): State<Tenant>,
    Extension(ids): Extension<Ids>,
    Path(named): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let fields = web::pairs(&body).into_iter().collect();
    let mut answer = match answer(&tenant, &named, &headers, &fields) {
        Ok(tokens) => Json(tokens).into_response(),
        Err(failure) => failure.answer(ids, tenant.now()),
    };
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
    answer
}

fn answer(
    tenant: &Tenant,
    named: &str,
    headers: &HeaderMap,
    fields: &HashMap<String, String>,
) -> Result<Value, Failure> {
    check_tenant(tenant, named)?;
    let (client_id, app) = check_app(tenant, fields.get("client_id"))?;
    let base = base(tenant, headers);
    let field = |name: &str| fields.get(name).filter(|value| !value.is_empty());
    let grant = field("grant_type").ok_or_else(|| Failure::missing("grant_type"))?;
    let mut requested = Requested::read(field("claims").map(String::as_str))?;
    let (person, scope, nonce) = match grant.as_str() {
        "urn:ietf:params:oauth:grant-type:device_code" | "device_code" => {
            let code = field("device_code").or_else(|| field("code"));
            let code = code.ok_or_else(|| Failure::missing("device_code"))?;
            let (request, person) = device_code::redeem(tenant, code, client_id)?;
            requested = requested.or(Requested::read(request.claims.as_deref())?);
            (person, request.scope, request.nonce)
        }
        "authorization_code" => {
            let code = authorize::redeem(tenant, client_id, fields)?;
            requested = requested.or(Requested::read(code.claims.as_deref())?);
            (code.person, code.scope, code.nonce)
        }
        "refresh_token" => {
            let token = field("refresh_token").ok_or_else(|| Failure::missing("refresh_token"))?;
            let held = presented(tenant, token, client_id)?;
            requested.check_renewal(tenant, &held.contexts)?;
            requested.contexts.extend(held.contexts);
            (held.person, field("scope").cloned().unwrap_or(held.scope), None)
        }
        other => {
            let text = format!("The app requested an unsupported grant type '{other}'.");
            return Err(Failure::new("unsupported_grant_type", 70_003, text));
        }
    };
    let asked = scopes::understand(&scope, &base, &tenant.scenario().sign_in.without_consent)?;
    if asked.lacks_consent {
        return Err(Failure::without_consent(client_id, &app));
    }
    let person = tenant.with(|state, _| state.world.person(person).cloned()).ok_or_else(Failure::revoked)?;
    if let Some(code) = person.refused_with {
        return Err(Failure::refused(code));
    }
    let client_info = fields.contains_key("client_info");
    let order = Order { client_id, person, scope, asked, requested, nonce, base, client_info };
    order.tokens(tenant)
}

/// The grant behind a refresh token. The token stays good after it was used, as Entra's does.
fn presented(tenant: &Tenant, token: &str, client_id: Uuid) -> Result<Grant, Failure> {
    let lifetime = tenant.scenario().sign_in.refresh_token.0;
    tenant.with(|state, now| {
        let grant = state.world.grants.get(&digest(token)).filter(|grant| grant.client_id == client_id);
        let grant = grant.ok_or_else(Failure::bad_refresh_token)?;
        if grant.revoked {
            return Err(Failure::revoked());
        }
        if now.duration_since(grant.issued) > lifetime {
            return Err(Failure::expired_refresh_token());
        }
        Ok(grant.clone())
    })
}

fn digest(token: &str) -> String {
    web::hex(&Sha256::digest(token.as_bytes()), "")
}

/// Text that means nothing to whoever holds it: a lead and `bytes` random bytes.
pub fn opaque(lead: &str, bytes: usize) -> String {
    let mut random = vec![0; bytes];
    rand::rng().fill_bytes(&mut random);
    format!("{lead}.{}", URL_SAFE_NO_PAD.encode(random))
}

/// What is to be issued, to whom.
struct Order {
    client_id: Uuid,
    person: Person,
    scope: String,
    asked: Asked,
    requested: Requested,
    nonce: Option<String>,
    base: String,
    client_info: bool,
}

impl Order {
    fn tokens(self, tenant: &Tenant) -> Result<Value, Failure> {
        let lifetime = tenant.scenario().sign_in.access_token.0.as_secs();
        let (tenant_id, now) = tenant.with(|state, now| (state.world.tenant_id, now));
        let unsigned = |_| Failure::new("server_error", 90_033, "A transient error has occurred. Please try again.");
        let sign = |claims: &Value| tenant.signing().sign(claims).map_err(unsigned);
        let mut body = json!({
            "token_type": "Bearer",
            "scope": self.asked.granted,
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": sign(&self.access_claims(tenant_id, now, lifetime))?,
        });
        if self.asked.refresh_token {
            body["refresh_token"] = self.refresh_token(tenant).into();
        }
        if self.asked.id_token {
            body["id_token"] = sign(&self.id_claims(tenant_id, now))?.into();
        }
        if self.client_info {
            let info = json!({ "uid": self.person.id, "utid": tenant_id }).to_string();
            body["client_info"] = URL_SAFE_NO_PAD.encode(info).into();
        }
        Ok(body)
    }

    fn refresh_token(&self, tenant: &Tenant) -> String {
        let token = opaque("1.AXEA", REFRESH_TOKEN_BYTES);
        let lifetime = tenant.scenario().sign_in.refresh_token.0;
        tenant.with(|state, now| {
            state.world.grants.retain(|_, grant| now.duration_since(grant.issued) <= lifetime);
            let grant = Grant {
                person: self.person.id,
                client_id: self.client_id,
                scope: self.scope.clone(),
                issued: now,
                revoked: false,
                contexts: self.requested.contexts.clone(),
            };
            state.world.grants.insert(digest(&token), grant);
            state.world.changed = true;
        });
        token
    }

    /// Claims that both tokens share.
    fn claims(&self, tenant_id: Uuid, now: Timestamp, lifetime: i64) -> Value {
        let issued = now.as_second();
        json!({
            "iss": discovery::issuer(&self.base, tenant_id),
            "iat": issued,
            "nbf": issued,
            "exp": issued + lifetime,
            "tid": tenant_id,
            "oid": self.person.id,
            "sub": pairwise(self.person.id, self.client_id),
            "name": self.person.name,
            "upn": self.person.upn,
            "preferred_username": self.person.upn,
            "ver": "2.0",
        })
    }

    fn access_claims(&self, tenant_id: Uuid, now: Timestamp, lifetime: i64) -> Value {
        let mut claims = self.claims(tenant_id, now, lifetime);
        claims["aud"] = self.asked.audience.as_str().into();
        claims["appid"] = self.client_id.to_string().into();
        claims["azp"] = self.client_id.to_string().into();
        claims["scp"] = self.asked.permissions.join(" ").into();
        claims["xms_cc"] = self.requested.capabilities.clone().into();
        claims["acrs"] = self.requested.contexts.clone().into();
        claims["wids"] = self.person.role_templates().into();
        claims["uti"] = URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes()).into();
        claims
    }

    fn id_claims(&self, tenant_id: Uuid, now: Timestamp) -> Value {
        let mut claims = self.claims(tenant_id, now, 3600);
        claims["aud"] = self.client_id.to_string().into();
        // The app registration has `groupMembershipClaims` set to `DirectoryRole`.
        claims["wids"] = self.person.role_templates().into();
        if let Some(nonce) = &self.nonce {
            claims["nonce"] = nonce.as_str().into();
        }
        if self.requested.auth_time {
            // Whoever approves here has just been asked.
            claims["auth_time"] = now.as_second().into();
        }
        claims
    }
}

/// The `sub` claim: one person has another in every application.
fn pairwise(person: Uuid, client_id: Uuid) -> String {
    let digest = Sha256::new_with_prefix(person.as_bytes()).chain_update(client_id.as_bytes()).finalize();
    URL_SAFE_NO_PAD.encode(digest)
}
