//! `OpenID` discovery and the keys that tokens are signed with.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{base, check_tenant};
use crate::simulation::{tenant::Tenant, web::Ids};

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`
pub async fn configuration(
    State(tenant): State<Tenant>,
    Extension(ids): Extension<Ids>,
    Path(named): Path<String>,
    headers: HeaderMap,
) -> Response {
    let id = match check_tenant(&tenant, &named) {
        Ok(id) => id,
        Err(failure) => return failure.answer(ids, tenant.now()),
    };
    let base = base(&tenant, &headers);
    let oauth = format!("{base}/{named}/oauth2/v2.0");
    Json(json!({
        "token_endpoint": format!("{oauth}/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic", "none"],
        "jwks_uri": format!("{base}/{named}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer(&base, id),
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": format!("{base}/oidc/userinfo"),
        "authorization_endpoint": format!("{oauth}/authorize"),
        "device_authorization_endpoint": format!("{oauth}/devicecode"),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "end_session_endpoint": format!("{oauth}/logout"),
        "claims_supported": [
            "sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host",
            "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash",
            "c_hash", "email",
        ],
        "kerberos_endpoint": format!("{base}/{named}/kerberos"),
        "tenant_region_scope": "WW",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": base.split_once("://").map_or(base.as_str(), |(_, host)| host),
        "rbac_url": "https://pas.windows.net",
    }))
    .into_response()
}

/// `GET /{tenant}/discovery/v2.0/keys`
pub async fn keys(
    State(tenant): State<Tenant>,
    Extension(ids): Extension<Ids>,
    Path(named): Path<String>,
    headers: HeaderMap,
) -> Response {
    match check_tenant(&tenant, &named) {
        Ok(id) => Json(tenant.signing().jwks(&issuer(&base(&tenant, &headers), id))).into_response(),
        Err(failure) => failure.answer(ids, tenant.now()),
    }
}

/// Who issues this tenant's tokens, as seen from the host the client used.
pub fn issuer(base: &str, tenant: uuid::Uuid) -> String {
    format!("{base}/{tenant}/v2.0")
}
