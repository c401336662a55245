//! A collector that takes rows by POST and answers 2xx when it has them.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{CONTENT_TYPE, HeaderName};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use url::Url;

use super::{ForwardError, LIMIT};
use crate::{
    domain::{digest::hex, outbox::Parcel},
    http::{Http, Limits, Request, route},
};

/// The most rows in one request.
pub const MOST: usize = 100;
/// The longest answer that is read: nothing in it is used.
const ANSWER: usize = 64 * 1024;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// `sha256=` and the HMAC of the body, in hex.
const SIGNATURE: HeaderName = HeaderName::from_static("keydesk-signature");

#[derive(Debug)]
pub(super) struct Webhook {
    url: Url,
    token: FromEnvironment,
    secret: FromEnvironment,
    http: Http,
}

/// A secret that an environment variable holds; its name is no secret.
#[derive(Debug)]
struct FromEnvironment {
    variable: String,
    value: Option<SecretString>,
}

impl FromEnvironment {
    fn read(variable: &str) -> Self {
        let value = if variable.is_empty() { None } else { std::env::var(variable).ok() };
        let value = value.filter(|value| !value.is_empty()).map(SecretString::from);
        Self { variable: variable.to_owned(), value }
    }

    /// What stands in it; `None` where none is named.
    fn value(&self) -> Result<Option<&SecretString>, ForwardError> {
        match &self.value {
            None if !self.variable.is_empty() => Err(ForwardError::Variable(self.variable.clone())),
            value => Ok(value.as_ref()),
        }
    }
}

impl Webhook {
    pub fn new(url: Url, token: &str, secret: &str) -> Self {
        let limits = Limits { connect: LIMIT / 2, whole: LIMIT, patience: Duration::ZERO, ..Limits::default() };
        let (token, secret) = (FromEnvironment::read(token), FromEnvironment::read(secret));
        Self { url, token, secret, http: Http::new(limits) }
    }

    /// For words: the path may be a secret.
    pub fn place(&self) -> String {
        self.url.host_str().unwrap_or_default().to_owned()
    }

    pub async fn send(&self, parcels: &[Parcel]) -> Result<(), ForwardError> {
        let Some(last) = parcels.last() else { return Ok(()) };
        let body = body(parcels);
        let kind = if parcels.len() == 1 { "application/json" } else { "application/x-ndjson" };
        let mut request = Request::post(self.url.clone())
            .limit(ANSWER)
            .secret_path()
            .header(CONTENT_TYPE, kind)
            .header(IDEMPOTENCY_KEY, &last.hash);
        if let Some(secret) = self.secret.value()? {
            request = request.header(SIGNATURE, &signature(secret, body.as_bytes()));
        }
        if let Some(token) = self.token.value()? {
            request = request.bearer(token);
        }
        let answer = self.http.send(&request.body(body.into_bytes())).await?;
        if answer.is_success() {
            return Ok(());
        }
        Err(ForwardError::Answered { host: self.place(), status: answer.status, retry_after: answer.retry_after })
    }

    /// Asks without a row and without the token: any answer shows that something is there.
    pub async fn reach(&self) -> Result<Option<String>, ForwardError> {
        self.token.value().and(self.secret.value())?;
        let greeting = route::greet(&self.url, LIMIT).await;
        let certificate =
            greeting.certificate.map_or_else(String::new, |seen| format!(" Certificate of {}.", seen.issuer));
        greeting.answer?;
        let host = self.place();
        Ok(Some(format!("{host} answers; whether it takes rows shows with the first.{certificate}")))
    }
}

/// One JSON object a line. The row is what is stored, byte for byte, so that its hash can be computed again.
fn body(parcels: &[Parcel]) -> String {
    let lines =
        parcels.iter().map(|Parcel { seq, hash, body }| format!(r#"{{"hash":"{hash}","seq":{seq},"row":{body}}}"#));
    lines.collect::<Vec<_>>().join("\n")
}

fn signature(secret: &SecretString, body: &[u8]) -> String {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else { return String::new() };
    mac.update(body);
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::test_server::{Reply, TestServer};

    fn parcel(seq: u64) -> Parcel {
        Parcel { seq, hash: format!("{seq:064}"), body: format!(r#"{{"seq":{seq},"what":{{"event":"stage"}}}}"#) }
    }

    #[test]
    fn a_signature_is_that_of_the_standard() {
        // RFC 4231, test case 2.
        let said = signature(&SecretString::from("Jefe"), b"what do ya want for nothing?");
        assert_eq!(said, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[tokio::test]
    async fn one_row_is_a_json_object_and_several_are_lines() {
        let server = TestServer::start(|_, _| Reply::new(202, "thanks")).await;
        let webhook = Webhook::new(server.at("rows"), "", "");
        webhook.send(&[parcel(1)]).await.unwrap();
        webhook.send(&[parcel(2), parcel(3)]).await.unwrap();
        let seen = server.seen();
        let (head, body) = seen[0].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /rows ") && head.contains("content-type: application/json\r\n"), "{head}");
        assert!(head.contains(&format!("idempotency-key: {:064}", 1)), "{head}");
        assert_eq!(body, format!(r#"{{"hash":"{:064}","seq":1,"row":{{"seq":1,"what":{{"event":"stage"}}}}}}"#, 1));
        let (head, body) = seen[1].split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains("application/x-ndjson") && head.contains(&format!("idempotency-key: {:064}", 3)),
            "{head}"
        );
        assert_eq!(body.lines().count(), 2);
    }

    #[tokio::test]
    async fn only_a_2xx_says_that_it_has_them_and_no_redirect_is_followed() {
        let server = TestServer::start(|n, _| match n {
            0 => Reply::new(301, "").with("location", "/elsewhere"),
            1 => Reply::new(503, "").with("retry-after", "7"),
            _ => Reply::reset(),
        })
        .await;
        let webhook = Webhook::new(server.at("rows"), "", "");
        let first = webhook.send(&[parcel(1)]).await.unwrap_err();
        assert_eq!((first.to_string().as_str(), first.is_answer()), ("127.0.0.1 answered 301.", true));
        let second = webhook.send(&[parcel(1)]).await.unwrap_err();
        assert_eq!(second.retry_after(), Some(Duration::from_secs(7)));
        assert!(!webhook.send(&[parcel(1)]).await.unwrap_err().is_answer());
        assert_eq!(server.seen().len(), 3, "no attempt was repeated, none led elsewhere");
    }

    #[tokio::test]
    async fn what_the_policy_names_and_nobody_set_keeps_everything_here() {
        let server = TestServer::start(|_, _| Reply::new(200, "")).await;
        let webhook = Webhook::new(server.at("rows"), "KEYDESK_TEST_NOBODY_SETS_THIS", "");
        let error = webhook.send(&[parcel(1)]).await.unwrap_err().to_string();
        assert!(error.contains("KEYDESK_TEST_NOBODY_SETS_THIS"), "{error}");
        assert!(server.seen().is_empty());
    }
}
