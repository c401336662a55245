//! The `claims` parameter of token requests, and the authentication contexts that parts of Graph demand.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::Failure;
use crate::simulation::tenant::Tenant;

/// A part of Graph answers only tokens that carry an authentication context. As JSON for `POST /_sim/demand`:
///
/// ```json
/// { "path": "$select=key", "context": "c1", "silent": false }
/// ```
///
/// `path` is a part of the decoded path and query. With `silent` the token service adds the context to a renewal; otherwise a person has to
/// sign in with it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    pub path: String,
    pub context: String,
    #[serde(default)]
    pub silent: bool,
}

/// What a token request asked for in `claims`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requested {
    /// What the client says it can bear: `cp1`.
    pub capabilities: Vec<String>,
    pub contexts: Vec<String>,
    /// The id token is to say when credentials were asked for.
    pub auth_time: bool,
}

impl Requested {
    /// Reads the parameter; without one nothing is requested.
    pub fn read(claims: Option<&str>) -> Result<Self, Failure> {
        let Some(claims) = claims.filter(|text| !text.is_empty()) else { return Ok(Self::default()) };
        let malformed = |_| Failure::new("invalid_request", 50_198, "The claims parameter is not valid JSON.");
        let claims: Value = serde_json::from_str(claims).map_err(malformed)?;
        let of = |name: &str| {
            let request = &claims["access_token"][name];
            let several = request["values"].as_array().into_iter().flatten();
            let all = several.chain(std::iter::once(&request["value"])).filter_map(Value::as_str);
            all.map(str::to_owned).collect()
        };
        let auth_time = claims["id_token"].get("auth_time").is_some();
        Ok(Self { capabilities: of("xms_cc"), contexts: of("acrs"), auth_time })
    }

    /// This, or where nothing was requested the other: a device code is asked for with claims, and polled for with them or without.
    pub fn or(self, other: Self) -> Self {
        if self == Self::default() { other } else { self }
    }

    /// Whether a renewal may carry these contexts: those the session has, and those nobody needs to be asked for.
    pub fn check_renewal(&self, tenant: &Tenant, held: &[String]) -> Result<(), Failure> {
        let silent: Vec<String> =
            tenant.with(|state, _| state.demands.iter().filter(|d| d.silent).map(|d| d.context.clone()).collect());
        match self.contexts.iter().find(|context| !held.contains(context) && !silent.contains(context)) {
            Some(context) => Err(Failure::step_up(&request(context).to_string())),
            None => Ok(()),
        }
    }
}

/// The claims request for a context.
fn request(context: &str) -> Value {
    json!({ "access_token": { "acrs": { "essential": true, "value": context } } })
}

/// The challenge for a request of this decoded path and query by a token with `capabilities` and `contexts`, if one is due.
pub fn challenge(tenant: &Tenant, path: &str, capabilities: &[String], contexts: &[String]) -> Option<String> {
    // Only who declared it can bear it; of others Graph asks nothing.
    if !capabilities.iter().any(|capability| capability == "cp1") {
        return None;
    }
    let demanded = tenant.with(|state, _| {
        let mut here = state.demands.iter().filter(|demand| path.contains(&demand.path));
        here.find(|demand| !contexts.contains(&demand.context)).map(|demand| demand.context.clone())
    })?;
    let claims = STANDARD.encode(request(&demanded).to_string());
    Some(format!(
        "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
         error=\"insufficient_claims\", claims=\"{claims}\""
    ))
}
