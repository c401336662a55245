//! Device codes: asked for by a program, decided by a person on the page, redeemed by polling.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use rand::seq::IndexedRandom;
use serde_json::json;
use uuid::Uuid;

use super::{base, check_app, check_tenant, failure::Failure, scopes, token::opaque};
use crate::simulation::{
    Error,
    tenant::Tenant,
    web::{self, Ids},
};

/// Characters of a user code: Entra leaves out those that are easily confused.
const USER_CODE: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Open,
    /// By the person with this id.
    Approved(Uuid),
    Declined,
    /// Its tokens were handed out.
    Redeemed,
}

/// One device code and the code a person types for it.
#[derive(Debug, Clone)]
pub struct Request {
    pub user_code: String,
    pub client_id: Uuid,
    pub app: String,
    pub scope: String,
    pub nonce: Option<String>,
    pub claims: Option<String>,
    pub expires: Timestamp,
    pub decision: Decision,
    /// When it approves itself, on the wall clock.
    pub approves_itself: Option<Instant>,
    pub polled: Option<Timestamp>,
}

/// The device codes of this run. They are not saved: a code does not outlive its tenant.
#[derive(Debug, Default)]
pub struct Requests {
    by_device_code: HashMap<String, Request>,
    by_user_code: HashMap<String, String>,
}

impl Requests {
    fn add(&mut self, device_code: String, request: Request) {
        self.by_user_code.insert(request.user_code.clone(), device_code.clone());
        self.by_device_code.insert(device_code, request);
    }

    /// The request polled for, by the code its program holds.
    pub fn polled(&mut self, device_code: &str) -> Option<&mut Request> {
        self.by_device_code.get_mut(device_code)
    }

    /// The request that waits under a typed code; case, blanks and hyphens do not matter.
    pub fn typed(&self, user_code: &str, now: Timestamp) -> Result<&Request, Error> {
        let unknown = || Error::UserCode(user_code.to_owned());
        let device_code = self.by_user_code.get(&tidy(user_code)).ok_or_else(unknown)?;
        let request = self.by_device_code.get(device_code).ok_or_else(unknown)?;
        if request.expires <= now || request.decision != Decision::Open { Err(unknown()) } else { Ok(request) }
    }

    /// Decide a request that is still open.
    pub fn decide(&mut self, user_code: &str, decision: Decision, now: Timestamp) -> Result<(), Error> {
        let code = self.typed(user_code, now)?.user_code.clone();
        if let Some(request) = self.by_user_code.get(&code).and_then(|code| self.by_device_code.get_mut(code)) {
            request.decision = decision;
        }
        Ok(())
    }
}

fn tidy(user_code: &str) -> String {
    user_code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

/// `POST /{tenant}/oauth2/v2.0/devicecode`
pub async fn ask(
    State(tenant): State<Tenant>,
    Extension(ids): Extension<Ids>,
    Path(named): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let fields = web::pairs(&body).into_iter().collect();
    answer(&tenant, &named, &headers, &fields).unwrap_or_else(|failure| failure.answer(ids, tenant.now()))
}

fn answer(
    tenant: &Tenant,
    named: &str,
    headers: &HeaderMap,
    fields: &HashMap<String, String>,
) -> Result<Response, Failure> {
    check_tenant(tenant, named)?;
    let (client_id, app) = check_app(tenant, fields.get("client_id"))?;
    let base = base(tenant, headers);
    let scope = fields.get("scope").ok_or_else(|| Failure::missing("scope"))?;
    let settings = &tenant.scenario().sign_in;
    scopes::understand(scope, &base, &settings.without_consent)?;
    let user_code: String = {
        let mut rng = rand::rng();
        (0..9).filter_map(|_| USER_CODE.choose(&mut rng)).map(|byte| char::from(*byte)).collect()
    };
    let device_code = opaque("GMMhmHCXhWEzkobqIHGG", 150);
    let lifetime = settings.device_code.0;
    let approves_itself = tenant.options().auto_approve.map(|wait: Duration| Instant::now() + wait);
    tenant.with(|state, now| {
        let request = Request {
            user_code: user_code.clone(),
            client_id,
            app,
            scope: scope.clone(),
            nonce: fields.get("nonce").cloned(),
            claims: fields.get("claims").cloned(),
            expires: now.checked_add(lifetime).unwrap_or(Timestamp::MAX),
            decision: Decision::Open,
            approves_itself,
            polled: None,
        };
        state.requests.add(device_code.clone(), request);
    });
    let page = format!("{base}{}", super::page::PATH);
    let message = format!(
        "To sign in, use a web browser to open the page {page} and enter the code {user_code} to authenticate."
    );
    Ok(Json(json!({
        "user_code": user_code,
        "device_code": device_code,
        "verification_uri": page,
        "expires_in": lifetime.as_secs(),
        "interval": settings.interval.0.as_secs(),
        "message": message,
    }))
    .into_response())
}

/// What a poll finds: the request, taken off the list of open ones, and the person who approved it.
pub fn redeem(tenant: &Tenant, device_code: &str, client_id: Uuid) -> Result<(Request, Uuid), Failure> {
    let settings = &tenant.scenario().sign_in;
    tenant.with(|state, now| {
        let technician = state.world.person_by_upn(tenant.technician()).map(|person| person.id);
        let request = state.requests.polled(device_code).filter(|request| request.client_id == client_id);
        let request = request.ok_or_else(Failure::bad_device_code)?;
        let hasty = request.polled.is_some_and(|last| too_soon(now.duration_since(last), settings.interval.0));
        request.polled = Some(now);
        if request.decision == Decision::Open && request.expires <= now {
            return Err(Failure::expired_device_code());
        }
        if let (Decision::Open, Some(technician)) = (request.decision, technician)
            && request.approves_itself.is_some_and(|moment| moment <= Instant::now())
        {
            request.decision = Decision::Approved(technician);
        }
        match request.decision {
            Decision::Open if settings.slow_down && hasty => {
                Err(Failure::new("slow_down", 50_196, "The client polls too fast. Wait longer between two polls."))
            }
            Decision::Open => Err(Failure::pending()),
            Decision::Declined => Err(Failure::declined()),
            Decision::Redeemed => Err(Failure::redeemed_device_code()),
            Decision::Approved(person) => {
                request.decision = Decision::Redeemed;
                Ok((request.clone(), person))
            }
        }
    })
}

/// Half a second of grace: clients count whole seconds.
fn too_soon(since: SignedDuration, interval: SignedDuration) -> bool {
    since < interval.saturating_sub(SignedDuration::from_millis(500))
}
