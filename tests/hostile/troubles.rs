//! What goes wrong, as faults of the simulated tenant. The path is filled in where a fault is laid.

use serde_json::{Value, json};

use super::FLOOD;

/// `Retry-After` in seconds; as a date, on a clock two hours before ours; not at all.
pub fn busy_for(seconds: u32) -> Value {
    json!({"kind": "status", "status": 429, "headers": {"Retry-After": seconds.to_string()}})
}

pub fn busy_until_a_date(seconds: i64) -> Value {
    let there = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    let print = |at| jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
    let until = print(there + jiff::SignedDuration::from_secs(seconds));
    json!({"kind": "status", "status": 429, "headers": {"Date": print(there), "Retry-After": until}})
}

/// What Entra answers when Conditional Access wants more of the token.
pub fn claims_challenge() -> Value {
    use base64::Engine as _;
    let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;
    let claims = base64::engine::general_purpose::STANDARD.encode(claims);
    let challenge = format!(
        r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="{claims}""#
    );
    json!({"kind": "status", "status": 401, "headers": {"WWW-Authenticate": challenge}})
}

pub fn busy_unsaid() -> Value {
    json!({"kind": "status", "status": 429})
}

pub fn status(status: u16) -> Value {
    json!({"kind": "status", "status": status})
}

pub fn served(mut trouble: Value) -> Value {
    trouble["served"] = true.into();
    trouble
}

pub fn reset() -> Value {
    json!({"kind": "reset"})
}

pub fn reset_after_headers() -> Value {
    json!({"kind": "reset", "after_headers": true})
}

pub fn truncated() -> Value {
    json!({"kind": "truncated"})
}

pub fn flood() -> Value {
    json!({"kind": "flood", "bytes": FLOOD})
}

pub fn page(status: u16) -> Value {
    json!({"kind": "html", "status": status})
}

pub fn stall() -> Value {
    json!({"kind": "stall", "seconds": 30.0})
}

pub fn body(status: u16, body: impl Into<Value>) -> Value {
    json!({"kind": "status", "status": status, "body": body.into()})
}

pub fn elsewhere() -> Value {
    body(200, json!({"value": [], "@odata.nextLink": "https://graph.evil.example/v1.0/next"}))
}

pub fn lasting(mut trouble: Value) -> Value {
    trouble["count"] = 1_000.into();
    trouble
}
