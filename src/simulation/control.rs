//! `/_sim`: the handles by which tests and drills move the tenant. Not part of what it simulates.
//!
//! | request | does |
//! |---|---|
//! | `GET /_sim/log` | every request so far, oldest first ([`log::Entry`](super::log::Entry)) |
//! | `GET /_sim/dump` | the whole state, every key with its digits |
//! | `POST /_sim/advance {"seconds": N}` | simulated time passes |
//! | `POST /_sim/fault {…}` | requests go wrong ([`Fault`]) |
//! | `DELETE /_sim/fault` | they no longer do |
//! | `POST /_sim/approve {"user_code": C, "as": UPN}` | a sign-in is approved; without `as` by the technician |
//! | `POST /_sim/decline {"user_code": C}` | a sign-in is declined |
//! | `POST /_sim/demand {…}` | a part of Graph wants tokens with an authentication context ([`Demand`]) |
//! | `POST /_sim/revoke` | refresh tokens handed out so far no longer hold |

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Error, faults::Fault, sign_in::claims::Demand, tenant::Tenant, web};

pub fn routes() -> Router<Tenant> {
    Router::new()
        .route("/_sim/log", get(log))
        .route("/_sim/dump", get(dump))
        .route("/_sim/advance", post(advance))
        .route("/_sim/fault", post(fault).delete(heal))
        .route("/_sim/approve", post(approve))
        .route("/_sim/decline", post(decline))
        .route("/_sim/demand", post(demand))
        .route("/_sim/revoke", post(revoke))
}

async fn log(State(tenant): State<Tenant>) -> Response {
    Json(tenant.log()).into_response()
}

async fn dump(State(tenant): State<Tenant>) -> Json<Value> {
    Json(tenant.dump())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
}

async fn advance(State(tenant): State<Tenant>, Json(wish): Json<Advance>) -> Response {
    match Duration::try_from_secs_f64(wish.seconds) {
        Ok(by) => {
            tenant.advance(by);
            Json(json!({ "now": web::ticks(tenant.now()) })).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn fault(State(tenant): State<Tenant>, Json(fault): Json<Fault>) -> StatusCode {
    tenant.fault(fault);
    StatusCode::NO_CONTENT
}

async fn heal(State(tenant): State<Tenant>) -> StatusCode {
    tenant.faults().clear();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approve {
    user_code: String,
    #[serde(rename = "as")]
    upn: Option<String>,
}

async fn approve(State(tenant): State<Tenant>, Json(wish): Json<Approve>) -> Response {
    decided(tenant.approve(&wish.user_code, wish.upn.as_deref()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decline {
    user_code: String,
}

async fn decline(State(tenant): State<Tenant>, Json(wish): Json<Decline>) -> Response {
    decided(tenant.decline(&wish.user_code))
}

fn decided(result: Result<(), Error>) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::NOT_FOUND, error.to_string()).into_response(),
    }
}

async fn demand(State(tenant): State<Tenant>, Json(demand): Json<Demand>) -> StatusCode {
    tenant.demand(demand);
    StatusCode::NO_CONTENT
}

async fn revoke(State(tenant): State<Tenant>) -> StatusCode {
    tenant.revoke();
    StatusCode::NO_CONTENT
}
