//! The tenant's side of signing in: `OpenID` discovery, device codes, authorization codes, tokens, and the page where a person decides.

pub mod authorize;
pub mod claims;
pub mod device_code;
pub mod discovery;
pub mod failure;
pub mod page;
pub mod scopes;
pub mod signing;
pub mod token;

use axum::http::HeaderMap;
use uuid::Uuid;

use super::{tenant::Tenant, web};
use failure::Failure;

/// The tenant as clients may name it in a path: its id, its domain, or one of Entra's words for "whoever signs in".
/// One tenant lives here, so all of them mean the same.
fn check_tenant(tenant: &Tenant, named: &str) -> Result<Uuid, Failure> {
    let id = tenant.id();
    let known = named.parse::<Uuid>().is_ok_and(|named| named == id)
        || [tenant.scenario().tenant.domain.as_str(), "common", "organizations"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(named));
    if known { Ok(id) } else { Err(Failure::unknown_tenant(named)) }
}

/// The name of an application that may sign people in.
fn check_app(tenant: &Tenant, client_id: Option<&String>) -> Result<(Uuid, String), Failure> {
    let named = client_id.ok_or_else(|| Failure::missing("client_id"))?;
    let unknown = || Failure::unknown_app(named, tenant.name());
    let id: Uuid = named.parse().map_err(|_| unknown())?;
    if id == tenant.client_id() {
        return Ok((id, "keydesk".to_owned()));
    }
    let app = tenant.scenario().apps.iter().find(|app| app.client_id == id).ok_or_else(unknown)?;
    Ok((id, app.name.clone()))
}

fn base(tenant: &Tenant, headers: &HeaderMap) -> String {
    web::base_of(headers, &tenant.addr().to_string())
}
