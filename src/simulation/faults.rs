//! Things that go wrong on purpose: answers that are errors, answers that break off, connections that die.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

/// One fault and the requests it strikes. As JSON for `POST /_sim/fault`:
///
/// ```json
/// { "path": "recoveryKeys", "method": "GET", "skip": 0, "count": 2,
///   "kind": "status", "status": 429, "headers": { "Retry-After": "3" } }
/// ```
///
/// `path` is a part of path and query, encoded or not. Kinds:
///
/// | kind | what the client sees | fields |
/// |---|---|---|
/// | `status` | this status, Graph's own body for it unless one is given | `status`, `headers`, `body` (text or JSON) |
/// | `html` | a web page, as from a proxy: without Graph's headers | `status` (200 where missing) |
/// | `flood` | 200 and a body of so many bytes, written as they are read and never held | `bytes` |
/// | `truncated` | an answer that ends early; always carried out | `bytes` of the body (half of it where missing) |
/// | `reset` | TCP RST: before any answer, after `bytes` of it, or after its headers | `bytes`, `after_headers` |
/// | `stall` | nothing for `seconds` of wall time, then the answer | `seconds` |
///
/// With `"served": true` the tenant carries the request out first (a key read is audited, a rotation begins) and then
/// lets the fault strike.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub path: String,
    pub method: Option<String>,
    /// Matching requests that pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// Requests that are struck.
    #[serde(default = "once")]
    pub count: u32,
    pub kind: Kind,
    #[serde(default)]
    pub served: bool,
    pub status: Option<u16>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Option<Value>,
    pub bytes: Option<usize>,
    #[serde(default)]
    pub after_headers: bool,
    #[serde(default)]
    pub seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Status,
    Html,
    Flood,
    Truncated,
    Reset,
    Stall,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Html => "html",
            Self::Flood => "flood",
            Self::Truncated => "truncated",
            Self::Reset => "reset",
            Self::Stall => "stall",
        }
    }
}

fn once() -> u32 {
    1
}

impl Fault {
    /// A fault of this kind for the next request whose path and query contain `path`.
    pub fn new(kind: Kind, path: &str) -> Self {
        Self {
            path: path.to_owned(),
            method: None,
            skip: 0,
            count: 1,
            kind,
            served: false,
            status: None,
            headers: BTreeMap::new(),
            body: None,
            bytes: None,
            after_headers: false,
            seconds: 0.0,
        }
    }

    /// The next such request is answered with this status, unserved.
    pub fn status(path: &str, status: u16) -> Self {
        Self { status: Some(status), ..Self::new(Kind::Status, path) }
    }

    /// Whether the tenant carries the request out although it goes wrong. An answer that is cut must exist.
    pub fn serves(&self) -> bool {
        let cuts_an_answer = self.kind == Kind::Reset && (self.after_headers || self.bytes.is_some());
        self.served || self.kind == Kind::Truncated || cuts_an_answer
    }

    fn matches(&self, method: &str, path: &str, decoded: &str) -> bool {
        let right_method = self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        right_method && (path.contains(&self.path) || decoded.contains(&self.path))
    }
}

/// The faults that wait for a request.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub fn add(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The fault that strikes this request, if one does. The first that matches counts the request.
    pub fn strike(&self, method: &str, path: &str) -> Option<Fault> {
        let decoded = percent_decode_str(path).decode_utf8_lossy().into_owned();
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|fault| fault.count > 0);
        let fault = faults.iter_mut().find(|fault| fault.matches(method, path, &decoded))?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.count -= 1;
        Some(fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_lets_some_pass_strikes_some_and_is_spent() {
        let faults = Faults::default();
        faults.add(Fault { skip: 1, count: 2, ..Fault::status("recoveryKeys", 429) });
        let struck: Vec<bool> = (0..5).map(|_| faults.strike("GET", "/v1.0/x/recoveryKeys?a").is_some()).collect();
        assert_eq!(struck, [false, true, true, false, false]);
    }

    #[test]
    fn a_fault_looks_at_method_and_at_the_decoded_query() {
        let faults = Faults::default();
        faults.add(Fault { method: Some("get".to_owned()), ..Fault::status("$select=key", 500) });
        assert!(faults.strike("POST", "/k?$select=key").is_none());
        assert!(faults.strike("GET", "/k?%24select=key").is_some());
    }

    #[test]
    fn a_misspelt_fault_is_refused() {
        assert!(serde_json::from_str::<Fault>(r#"{"path":"x","kind":"reset","sevred":true}"#).is_err());
        assert!(serde_json::from_str::<Fault>(r#"{"path":"x","kind":"reset","served":true}"#).is_ok());
    }
}
