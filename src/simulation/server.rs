//! The HTTP server: routes, and what happens to every request around its handler.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, DATE, USER_AGENT},
    },
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::{any, get, post},
};
use serde_json::Value;
use tokio::{net::TcpListener, time::sleep};

use super::{
    Error, control,
    faults::{Fault, Kind},
    graph,
    line::{Cut, Exchange, Line},
    log::Entry,
    sign_in::{authorize, device_code, discovery, page, token},
    tenant::Tenant,
    web::{self, CLIENT_REQUEST_ID, Ids, REQUEST_ID},
};

/// No answer is longer.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// Serve until the tenant is told to stop.
pub async fn serve(listener: TcpListener, tenant: Tenant) -> Result<(), Error> {
    let stopping = tenant.stopping().clone();
    let service = router(tenant).into_make_service_with_connect_info::<Line>();
    axum::serve(Exchange(listener), service)
        .with_graceful_shutdown(stopping.cancelled_owned())
        .await
        .map_err(Error::Serving)
}

fn router(tenant: Tenant) -> Router {
    Router::new()
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(discovery::configuration))
        .route("/{tenant}/discovery/v2.0/keys", get(discovery::keys))
        .route("/{tenant}/oauth2/v2.0/devicecode", post(device_code::ask))
        .route("/{tenant}/oauth2/v2.0/token", post(token::redeem))
        .route("/{tenant}/oauth2/v2.0/authorize", get(authorize::show).post(authorize::decided))
        .route(page::PATH, get(page::show).post(page::typed))
        .route(page::DECIDE, post(page::decided))
        .route("/v1.0/{*path}", any(graph::answer))
        .route("/beta/{*path}", any(graph::answer))
        .layer(middleware::from_fn_with_state(tenant.clone(), around))
        .merge(control::routes())
        .with_state(tenant)
}

/// Around every simulated request: its ids, the log, latency, faults, the headers of the answer.
async fn around(
    State(tenant): State<Tenant>,
    ConnectInfo(line): ConnectInfo<Line>,
    mut request: Request,
    next: Next,
) -> Response {
    line.heal();
    let ids = Ids::of(request.headers(), request.uri());
    request.extensions_mut().insert(ids);
    let number = tenant.requests_log().arrived(noted(&tenant, &request, ids));
    pause(&tenant, tenant.options().latency).await;
    let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let fault = tenant.faults().strike(request.method().as_str(), &path);
    let is_proxys = fault.as_ref().is_some_and(|fault| fault.kind == Kind::Html);
    let answer = match fault {
        None => {
            let answer = next.run(request).await;
            tenant.requests_log().amend(number, |entry| entry.served = true);
            Some(answer)
        }
        Some(fault) => {
            tenant.requests_log().amend(number, |entry| entry.fault = Some(fault.kind.name().to_owned()));
            struck(&tenant, &fault, &line, number, ids, request, next).await
        }
    };
    let Some(mut answer) = answer else {
        // The line is cut before the first byte: whatever stands here is never sent.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if !is_proxys {
        dress(&tenant, &mut answer, ids, path.starts_with("/v1.0/") || path.starts_with("/beta/"));
    }
    tenant.requests_log().amend(number, |entry| entry.status = Some(answer.status().as_u16()));
    answer
}

fn noted(tenant: &Tenant, request: &Request, ids: Ids) -> Entry {
    let text = |name: HeaderName| request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let token = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned));
    let who = token.and_then(|token| tenant.signing().claims(&token));
    Entry {
        number: 0,
        time: web::ticks(tenant.now()),
        method: request.method().to_string(),
        path: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
        client_request_id: ids.client,
        request_id: ids.request,
        user_agent: text(USER_AGENT).map(std::borrow::Cow::into_owned),
        client: text(HeaderName::from_static("ocp-client-name"))
            .zip(text(HeaderName::from_static("ocp-client-version")))
            .map(|(name, version)| format!("{name} {version}")),
        who: who.and_then(|claims| claims["upn"].as_str().map(str::to_owned)),
        status: None,
        served: false,
        fault: None,
        flooded: 0,
    }
}

/// Wait on the wall clock, unless the tenant stops.
async fn pause(tenant: &Tenant, length: Duration) {
    if !length.is_zero() {
        tokio::select! {
            () = sleep(length) => {}
            () = tenant.stopping().cancelled() => {}
        }
    }
}

/// Answer a request that a fault strikes; `None` where nothing may be sent.
async fn struck(
    tenant: &Tenant,
    fault: &Fault,
    line: &Line,
    number: u64,
    ids: Ids,
    request: Request,
    next: Next,
) -> Option<Response> {
    let stall = Duration::try_from_secs_f64(fault.seconds).unwrap_or_default();
    if fault.kind == Kind::Stall && !fault.serves() {
        pause(tenant, stall).await;
        let answer = next.run(request).await;
        tenant.requests_log().amend(number, |entry| entry.served = true);
        return Some(answer);
    }
    let served = if fault.serves() {
        let answer = next.run(request).await;
        tenant.requests_log().amend(number, |entry| entry.served = true);
        Some(answer)
    } else {
        None
    };
    match fault.kind {
        Kind::Status => Some(given_status(tenant, fault, ids)),
        Kind::Html => Some(proxy_page(fault)),
        Kind::Flood => Some(flood(tenant, fault, number)),
        Kind::Stall => {
            pause(tenant, stall).await;
            served
        }
        Kind::Truncated => Some(truncated(served?, fault, line).await),
        Kind::Reset if fault.after_headers => {
            line.cut(Cut::AfterHeaders(0), true);
            served
        }
        Kind::Reset => {
            line.cut(Cut::AfterBytes(fault.bytes.unwrap_or(0)), true);
            served.filter(|_| fault.bytes.is_some_and(|bytes| bytes > 0))
        }
    }
}

fn given_status(tenant: &Tenant, fault: &Fault, ids: Ids) -> Response {
    let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = match &fault.body {
        Some(Value::String(text)) => (status, text.clone()).into_response(),
        Some(json) => (status, Json(json.clone())).into_response(),
        None => graph::failure::Failure::of_status(status).answer(ids, tenant.now()),
    };
    for (name, value) in &fault.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

fn proxy_page(fault: &Fault) -> Response {
    let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    (status, Html("<!doctype html><title>Proxy</title><p>Please sign in to the network.</p>")).into_response()
}

/// As much as the fault says, a piece at a time: what nobody reads is never made. The log counts what went out.
fn flood(tenant: &Tenant, fault: &Fault, number: u64) -> Response {
    const PIECE: &[u8] = &[b'x'; 64 * 1024];
    let tenant = tenant.clone();
    let pieces = (0..fault.bytes.unwrap_or(MOST_BYTES).div_ceil(PIECE.len())).map(move |_| {
        tenant.requests_log().amend(number, |entry| entry.flooded += PIECE.len() as u64);
        Ok::<_, Infallible>(PIECE)
    });
    Body::from_stream(futures::stream::iter(pieces)).into_response()
}

async fn truncated(answer: Response, fault: &Fault, line: &Line) -> Response {
    let (head, body) = answer.into_parts();
    let body = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    line.cut(Cut::AfterHeaders(fault.bytes.unwrap_or(body.len() / 2)), false);
    Response::from_parts(head, Body::from(body))
}

/// The headers every answer carries.
fn dress(tenant: &Tenant, answer: &mut Response, ids: Ids, graph: bool) {
    let headers = answer.headers_mut();
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.entry(name).or_insert(value);
        }
    };
    set(DATE, web::http_date(tenant.now()));
    if graph {
        set(REQUEST_ID, ids.request.to_string());
        set(CLIENT_REQUEST_ID, ids.client.unwrap_or(ids.request).to_string());
        let server = r#"{"ServerInfo":{"DataCenter":"Simulation","Slice":"E","Ring":"5","ScaleUnit":"001","RoleInstance":"SIM00001"}}"#;
        set(HeaderName::from_static("x-ms-ags-diagnostic"), server.to_owned());
    } else {
        set(HeaderName::from_static("x-ms-request-id"), ids.request.to_string());
    }
    if graph && headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json") {
        let kind = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
}
