//! Refusals of the token service, in the shape Entra gives them.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::simulation::web::{self, Ids};

/// An OAuth error with its AADSTS number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub error: &'static str,
    pub code: u32,
    pub text: String,
    pub suberror: Option<&'static str>,
    /// What the next sign-in has to be asked for with, as JSON.
    pub claims: Option<String>,
}

impl Failure {
    pub fn new(error: &'static str, code: u32, text: impl Into<String>) -> Self {
        Self { error, code, text: text.into(), suberror: None, claims: None }
    }

    pub fn because(self, suberror: &'static str) -> Self {
        Self { suberror: Some(suberror), ..self }
    }

    pub fn missing(field: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{field}'.");
        Self::new("invalid_request", 900_144, text)
    }

    pub fn unknown_tenant(tenant: &str) -> Self {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the \
             correct cloud. Check with your subscription administrator, this may happen if there are no active \
             subscriptions for the tenant."
        );
        Self::new("invalid_tenant", 90_002, text)
    }

    pub fn unknown_app(client_id: &str, tenant: &str) -> Self {
        let text = format!(
            "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if \
             the application has not been installed by the administrator of the tenant or consented to by any user in \
             the tenant. You may have sent your authentication request to the wrong tenant."
        );
        Self::new("unauthorized_client", 700_016, text)
    }

    pub fn pending() -> Self {
        let text = "OAuth 2.0 device flow error. Authorization is pending. Continue polling.";
        Self::new("authorization_pending", 70_016, text)
    }

    pub fn declined() -> Self {
        let text = "OAuth 2.0 device flow error. The end user has denied the authorization request.";
        Self::new("authorization_declined", 70_017, text)
    }

    pub fn bad_device_code() -> Self {
        Self::new("bad_verification_code", 70_018, "Bad verification code received from the server.")
    }

    pub fn expired_device_code() -> Self {
        let text = "Verification code expired. Have the user retry the sign-in.";
        Self::new("expired_token", 70_019, text)
    }

    pub fn redeemed_device_code() -> Self {
        let text = "The provided value for the input parameter 'device_code' or 'code' is not valid. This code has \
                    already been redeemed.";
        Self::new("invalid_grant", 54_005, text)
    }

    pub fn without_consent(client_id: Uuid, app: &str) -> Self {
        let text = format!(
            "The user or administrator has not consented to use the application with ID '{client_id}' named '{app}'. \
             Send an interactive authorization request for this user and resource."
        );
        Self::new("invalid_grant", 65_001, text).because("consent_required")
    }

    /// A person has to sign in with these claims.
    pub fn step_up(claims: &str) -> Self {
        let text = "Due to a configuration change made by your administrator, or because you moved to a new location, you \
                    must use multi-factor authentication to access the resource.";
        let refused = Self::new("interaction_required", 50_076, text).because("basic_action");
        Self { claims: Some(claims.to_owned()), ..refused }
    }

    pub fn unknown_scope(scope: &str) -> Self {
        let text = format!(
            "The provided request must include a 'scope' input parameter that is valid. The scope {scope} isn't valid."
        );
        Self::new("invalid_scope", 70_011, text)
    }

    pub fn bad_refresh_token() -> Self {
        Self::new("invalid_grant", 9_002_313, "Invalid request. Request is malformed or invalid.")
    }

    pub fn revoked() -> Self {
        let text = "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user \
                    might have changed or reset their password.";
        Self::new("invalid_grant", 50_173, text).because("bad_token")
    }

    pub fn expired_refresh_token() -> Self {
        let text = "The refresh token has expired due to inactivity.";
        Self::new("invalid_grant", 700_082, text).because("token_expired")
    }

    /// How a person's sign-in ends whom the scenario refuses with this AADSTS number.
    pub fn refused(code: u32) -> Self {
        let (error, text, suberror) = match code {
            53_003 => (
                "invalid_grant",
                "Access has been blocked by Conditional Access policies. The access policy does not allow token \
                 issuance.",
                Some("message_only"),
            ),
            50_076 => (
                "invalid_grant",
                "Due to a configuration change made by your administrator, or because you moved to a new location, \
                 you must use multi-factor authentication to access the resource.",
                Some("basic_action"),
            ),
            530_033 => ("invalid_grant", "Remote device flow blocked due to device-based conditional access.", None),
            50_057 => ("invalid_grant", "The user account is disabled.", None),
            50_105 => ("invalid_grant", "The signed in user is not assigned to a role for the application.", None),
            _ => ("invalid_grant", "The sign-in was refused.", None),
        };
        Self { error, code, text: text.to_owned(), suberror, claims: None }
    }

    /// The answer. Everything but an unknown host is HTTP 400.
    pub fn answer(self, ids: Ids, now: Timestamp) -> Response {
        let correlation = ids.client.unwrap_or_else(Uuid::new_v4);
        let timestamp = web::spaced(now);
        let text = format!(
            "AADSTS{}: {} Trace ID: {} Correlation ID: {correlation} Timestamp: {timestamp}",
            self.code, self.text, ids.request
        );
        let mut body = json!({
            "error": self.error,
            "error_description": text,
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": ids.request,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.code),
        });
        if let Some(suberror) = self.suberror {
            body["suberror"] = suberror.into();
        }
        if let Some(claims) = self.claims {
            body["claims"] = claims.into();
        }
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}
