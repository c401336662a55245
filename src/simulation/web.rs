//! What every answer needs: the address the client used, dates in each service's spelling, ids.

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderName, Uri, header::HOST};
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
pub const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

/// Scheme and host under which the client reached us, such as `http://127.0.0.1:4711`. A front that ends TLS says so
/// in `X-Forwarded-Proto` and `X-Forwarded-Host`.
pub fn base_of(headers: &HeaderMap, own: &str) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let first = |name: &str| text(name).and_then(|value| value.split(',').next()).map(str::trim);
    let plain = |host: &&str| {
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '[' | ']'))
    };
    let host = first("x-forwarded-host").or_else(|| text(HOST.as_str())).filter(plain).unwrap_or(own);
    let scheme = match first("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    format!("{scheme}://{host}")
}

/// The ids of one request.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    pub request: Uuid,
    /// What the client sent as `client-request-id`, in the header or in the query.
    pub client: Option<Uuid>,
}

impl Ids {
    pub fn of(headers: &HeaderMap, uri: &Uri) -> Self {
        let header = headers.get(CLIENT_REQUEST_ID).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let query = || pairs(uri.query().unwrap_or_default()).into_iter().find(|(name, _)| name == "client-request-id");
        let client = header.or_else(|| query().map(|(_, value)| value)).and_then(|text| text.trim().parse().ok());
        Self { request: Uuid::new_v4(), client }
    }
}

/// A query string or form as decoded pairs, in its order. A plus sign is a blank.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Bytes as hexadecimal digits behind a lead.
pub fn hex(bytes: &[u8], lead: &str) -> String {
    bytes.iter().fold(lead.to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// For the `Date` header.
pub fn http_date(at: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap_or_default()
}

/// `2026-11-20T09:41:07Z`, as the directory and Intune print.
pub fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-11-20T09:41:07.1234567Z`, as key and audit records print.
pub fn ticks(at: Timestamp) -> String {
    format!("{}.{:07}Z", at.strftime("%Y-%m-%dT%H:%M:%S"), at.subsec_nanosecond().unsigned_abs() / 100)
}

/// `2026-11-20T09:41:07`, as Graph's `innerError` prints.
pub fn zoneless(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// `2026-11-20 09:41:07Z`, as the token service prints.
pub fn spaced(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_tls_front_is_believed_about_scheme_and_host() {
        let behind = headers(&[
            ("host", "127.0.0.1:80"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "login.example, other"),
        ]);
        assert_eq!(base_of(&behind, "own:1"), "https://login.example");
        assert_eq!(base_of(&headers(&[("host", "127.0.0.1:80")]), "own:1"), "http://127.0.0.1:80");
        assert_eq!(base_of(&headers(&[("host", "a/\"b")]), "own:1"), "http://own:1");
    }

    #[test]
    fn dates_are_spelt_as_each_service_spells_them() {
        let at: Timestamp = "2026-03-02T09:11:07.0123456Z".parse().unwrap();
        assert_eq!(http_date(at), "Mon, 02 Mar 2026 09:11:07 GMT");
        assert_eq!(seconds(at), "2026-03-02T09:11:07Z");
        assert_eq!(ticks(at), "2026-03-02T09:11:07.0123456Z");
        assert_eq!(zoneless(at), "2026-03-02T09:11:07");
        assert_eq!(spaced(at), "2026-03-02 09:11:07Z");
    }

    #[test]
    fn a_query_is_read_encoded_or_not() {
        let same = [("$select".to_owned(), "key".to_owned()), ("b".to_owned(), "x y'".to_owned())];
        assert_eq!(pairs("%24select=key&b=x+y%27"), same);
        assert_eq!(pairs("$select=key&b=x%20y'"), same);
    }
}
