//! Graph: one file a resource. A request is taken apart here, its bearer is known, then its resource answers.

mod access;
mod audit;
mod devices;
mod directory;
pub mod failure;
mod keys;
mod listing;
mod managed;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    odata::Query,
    tenant::Tenant,
    web::{self, Ids},
};
use access::Bearer;
use failure::Failure;

/// A request, taken apart.
#[derive(Debug, Clone)]
pub struct Asking {
    method: Method,
    beta: bool,
    /// Scheme and host the client used.
    base: String,
    /// The path as it came.
    path: String,
    /// Its parts behind the version, decoded.
    segments: Vec<String>,
    query: Query,
    headers: HeaderMap,
    bearer: Bearer,
}

/// What a resource answers: a body, or nothing but 204.
pub enum Answer {
    Body(Value),
    NoContent,
}

/// Every request below `/v1.0` and `/beta`.
pub async fn answer(
    State(tenant): State<Tenant>,
    Extension(ids): Extension<Ids>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = Asking::of(&tenant, method, &uri, headers).and_then(|asking| asking.dispatch(&tenant));
    match answer {
        Ok(Answer::Body(body)) => Json(body).into_response(),
        Ok(Answer::NoContent) => StatusCode::NO_CONTENT.into_response(),
        Err(failure) => failure.answer(ids, tenant.now()),
    }
}

impl Asking {
    fn of(tenant: &Tenant, method: Method, uri: &Uri, headers: HeaderMap) -> Result<Self, Failure> {
        let bearer = Bearer::of(tenant, &headers)?;
        bearer.meets(tenant, &percent_decode_str(&uri.to_string()).decode_utf8_lossy())?;
        let mut segments = split(uri.path());
        let version = if segments.is_empty() { String::new() } else { segments.remove(0) };
        Ok(Self {
            method,
            beta: version == "beta",
            base: web::base_of(&headers, &tenant.addr().to_string()),
            path: uri.path().to_owned(),
            segments,
            query: Query::parse(uri.query()),
            headers,
            bearer,
        })
    }

    fn dispatch(&self, tenant: &Tenant) -> Result<Answer, Failure> {
        let lower: Vec<String> = self.segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let path: Vec<&str> = lower.iter().map(String::as_str).collect();
        if self.method == Method::POST {
            return match path[..] {
                ["devicemanagement", "manageddevices" | "comanageddevices", id, "rotatebitlockerkeys"] => {
                    self.rotate(tenant, id)
                }
                _ => Err(Failure::unsupported_endpoint()),
            };
        }
        if self.method != Method::GET {
            return Err(Failure::unsupported_endpoint());
        }
        let body = match path.as_slice() {
            ["me"] => self.me(tenant),
            ["organization"] => self.organization(tenant),
            ["users", _] => self.user(tenant, &self.segments[1]),
            ["informationprotection", "bitlocker", "recoverykeys"] => self.list_keys(tenant),
            ["informationprotection", "bitlocker", "recoverykeys", id] => self.key(tenant, id),
            ["devices"] => self.list_devices(tenant),
            ["devices", id] => self.device(tenant, id),
            ["devices", id, "registeredowners" | "registeredusers"] => self.registered_owners(tenant, id),
            [device, rest @ ..] if device.starts_with("devices(") && device.ends_with(')') => {
                let id = alternate_key(device)?;
                match rest {
                    [] => self.device_by_key(tenant, id),
                    ["registeredowners" | "registeredusers"] => self.registered_owners_by_key(tenant, id),
                    _ => Err(Failure::unknown_segment(rest[0])),
                }
            }
            ["devicemanagement", "manageddevices"] => self.list_managed(tenant),
            ["devicemanagement", "manageddevices", id] => self.managed(tenant, id),
            ["auditlogs", "directoryaudits"] => self.list_audits(tenant),
            ["informationprotection", "bitlocker"] => Err(Failure::unsupported_endpoint()),
            _ => Err(Failure::unknown_segment(self.segments.first().map_or("", String::as_str))),
        };
        body.map(Answer::Body)
    }

    /// Where the metadata of an answer is described.
    fn context(&self, of: &str) -> String {
        let version = if self.beta { "beta" } else { "v1.0" };
        format!("{}/{version}/$metadata#{of}", self.base)
    }

    /// An entity on its own, with its context.
    fn entity(&self, of: &str, entity: Value) -> Value {
        let mut body = json!({ "@odata.context": self.context(&format!("{of}/$entity")) });
        if let (Some(body), Value::Object(properties)) = (body.as_object_mut(), entity) {
            body.extend(properties);
        }
        body
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The decoded parts of a path. A slash inside brackets or quotes would be encoded.
fn split(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect()
}

/// The id in `devices(deviceId='…')`.
fn alternate_key(segment: &str) -> Result<Uuid, Failure> {
    let inner = segment.strip_prefix("devices(").and_then(|rest| rest.strip_suffix(')'));
    let id = inner.and_then(|inner| inner.trim().strip_prefix("deviceid='")).and_then(|rest| rest.strip_suffix('\''));
    id.and_then(|id| id.parse().ok()).ok_or_else(|| Failure::bad_filter(format!("Invalid key in '{segment}'.")))
}

/// A GUID in a path or filter.
fn guid(text: &str, what: &str) -> Result<Uuid, Failure> {
    text.trim().parse().map_err(|_| Failure::bad_filter(format!("Invalid {what} '{text}' specified.")))
}
