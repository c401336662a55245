//! Who is asking, and what their token and their roles allow.

use axum::http::{HeaderMap, header::AUTHORIZATION};
use uuid::Uuid;

use super::failure::Failure;
use crate::simulation::{
    people::Person,
    sign_in::{claims::challenge, scopes::GRAPH_AUDIENCE},
    tenant::Tenant,
};

/// The person behind a bearer token, with its permissions.
#[derive(Debug, Clone)]
pub struct Bearer {
    pub person: Person,
    permissions: Vec<String>,
    /// What its client declared (`xms_cc`), and the authentication contexts that were met (`acrs`).
    capabilities: Vec<String>,
    contexts: Vec<String>,
}

impl Bearer {
    /// Read the `Authorization` header. Lifetimes follow simulated time.
    pub fn of(tenant: &Tenant, headers: &HeaderMap) -> Result<Self, Failure> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            header.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
        let (_, token) = token.ok_or_else(|| Failure::bad_token("Access token is empty."))?;
        let broken = || Failure::bad_token("CompactToken validation failed with reason code: 80049228.");
        let claims = tenant.signing().claims(token.trim()).ok_or_else(broken)?;
        if claims["aud"].as_str() != Some(GRAPH_AUDIENCE) {
            return Err(Failure::bad_token("Access token validation failure. Invalid audience."));
        }
        if claims["exp"].as_i64().is_none_or(|expires| expires <= tenant.now().as_second()) {
            return Err(Failure::bad_token("Lifetime validation failed, the token is expired."));
        }
        let id: Uuid = claims["oid"].as_str().and_then(|text| text.parse().ok()).ok_or_else(broken)?;
        let person = tenant.with(|state, _| state.world.person(id).cloned()).ok_or_else(broken)?;
        let permissions = claims["scp"].as_str().unwrap_or_default().split(' ').map(str::to_owned).collect();
        let list = |name: &str| -> Vec<String> {
            claims[name]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect()
        };
        Ok(Self { person, permissions, capabilities: list("xms_cc"), contexts: list("acrs") })
    }

    /// Refuses a token that lacks what this path and query, decoded, demands.
    pub fn meets(&self, tenant: &Tenant, path: &str) -> Result<(), Failure> {
        match challenge(tenant, path, &self.capabilities, &self.contexts) {
            Some(challenge) => Err(Failure::insufficient_claims(challenge)),
            None => Ok(()),
        }
    }

    /// Whether the token carries one of these permissions.
    pub fn may(&self, permissions: &[&str]) -> bool {
        self.permissions.iter().any(|held| permissions.contains(&held.as_str()))
    }
}
