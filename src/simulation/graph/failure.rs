//! Refusals of Graph, in the envelope it gives them.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::simulation::web::{self, Ids};

/// An error answer before it knows its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    /// What `WWW-Authenticate` says; a 401 without one says the usual.
    pub challenge: Option<String>,
}

impl Failure {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), challenge: None }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// A query option the directory does not serve so.
    pub fn unsupported_query(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", message)
    }

    pub fn bad_filter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_BadRequest", message)
    }

    /// No token, one that does not hold, or one for another resource.
    pub fn bad_token(reason: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", reason)
    }

    /// A token that holds, and does not say enough.
    pub fn insufficient_claims(challenge: String) -> Self {
        let reason = "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: \
                      TokenIssuedBeforeRevocationTimestamp";
        Self { challenge: Some(challenge), ..Self::bad_token(reason) }
    }

    /// BitLocker's refusal, the same for a missing scope and a missing role.
    pub fn bitlocker_denied() -> Self {
        let text = "Failed to authorize, token doesn't have the required permissions.";
        Self::new(StatusCode::FORBIDDEN, "authorization_error", text)
    }

    pub fn directory_denied() -> Self {
        let text = "Insufficient privileges to complete the operation.";
        Self::new(StatusCode::FORBIDDEN, "Authorization_RequestDenied", text)
    }

    /// Intune's refusal: a JSON document inside the message.
    pub fn intune_denied(why: &str, path: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", intune_message(why, path))
    }

    pub fn directory_not_found(what: &str) -> Self {
        let text = format!(
            "Resource '{what}' does not exist or one of its queried reference-property objects are not present."
        );
        Self::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", text)
    }

    pub fn key_not_found(id: Uuid) -> Self {
        let text = format!("Could not find requested BitLocker key. Key ID: '{id}'.");
        Self::new(StatusCode::NOT_FOUND, "NotFound", text)
    }

    pub fn intune_not_found(path: &str) -> Self {
        let text = intune_message("An error has occurred, resource not found", path);
        Self::new(StatusCode::NOT_FOUND, "ResourceNotFound", text)
    }

    pub fn unknown_segment(segment: &str) -> Self {
        Self::bad_request(format!("Resource not found for the segment '{segment}'."))
    }

    pub fn unsupported_endpoint() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "Unsupported method or endpoint.")
    }

    pub fn too_many() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "Too many requests.")
    }

    /// Graph's usual body for a status, where a fault gives no other.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::bad_token("CompactToken validation failed with reason code: 80049228."),
            403 => Self::directory_denied(),
            404 => Self::new(status, "NotFound", "Resource not found."),
            429 => Self::too_many(),
            503 => Self::new(status, "ServiceUnavailable", "Service unavailable."),
            504 => Self::new(status, "GatewayTimeout", "The gateway timed out."),
            400..500 => Self::new(status, "BadRequest", "The request cannot be served."),
            _ => Self::new(status, "InternalServerError", intune_message("An internal server error has occurred", "")),
        }
    }

    pub fn answer(self, ids: Ids, now: Timestamp) -> Response {
        let body = json!({ "error": {
            "code": self.code,
            "message": self.message,
            "innerError": {
                "date": web::zoneless(now),
                "request-id": ids.request,
                "client-request-id": ids.client.unwrap_or(ids.request),
            },
        } });
        let mut answer = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let usual =
                "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\"";
            let challenge = self.challenge.and_then(|challenge| HeaderValue::from_str(&challenge).ok());
            let challenge = challenge.unwrap_or(HeaderValue::from_static(usual));
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

/// Intune puts a whole document into the message; clients that print it show braces to people.
fn intune_message(why: &str, path: &str) -> String {
    let document = json!({
        "_version": 3,
        "Message": format!(
            "{why} - Operation ID (for customer support): {} - Activity ID: {} - Url: \
             https://fef.msub01.manage.microsoft.com/DeviceFE/StatelessDeviceFEService/{path}?api-version=2023-10-19",
            Uuid::nil(),
            Uuid::new_v4()
        ),
        "CustomApiErrorPhrase": "",
        "RetryAfter": null,
        "ErrorSourceService": "",
        "HttpHeaders": "{}",
    });
    format!("{document:#}")
}
