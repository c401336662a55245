//! A token service for tests in a few lines: what is approved at once, and refresh tokens that count up.

use std::{sync::OnceLock, time::Duration};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{Session, Vault, jwks::Keys};
use crate::{
    domain::{
        connection::Connection,
        work::sign_in::{Prompt, Way},
    },
    http::{
        Http, Limits,
        test_server::{Reply, TestServer},
    },
};

pub(crate) const TENANT: &str = "11111111-2222-4333-8444-555555555555";
const EVERYTHING: &str = "openid profile BitlockerKey.ReadBasic.All Device.Read.All \
                          DeviceManagementManagedDevices.Read.All User.Read";

/// Answers discovery, the code, and every token request with success; `None` for anything else.
pub(crate) fn token_service(request: &str, lasts: u64) -> Option<Reply> {
    let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    if request.starts_with("GET /") && request.contains("/v2.0/.well-known/openid-configuration ") {
        let document = json!({
            "issuer": format!("http://{host}/{TENANT}/v2.0"),
            "token_endpoint": format!("http://{host}/t"),
            "device_authorization_endpoint": format!("http://{host}/dc"),
            "authorization_endpoint": format!("http://{host}/a"),
            "jwks_uri": format!("http://{host}/keys"),
        });
        return Some(Reply::new(200, document.to_string()));
    }
    if request.starts_with("GET /keys ") {
        return Some(Reply::new(200, Signer::of_test().public()));
    }
    if request.starts_with("POST /dc ") {
        let page = format!("http://{host}/device");
        let answer = json!({
            "device_code": "dc", "user_code": "A62NXK96N", "verification_uri": page, "expires_in": 900, "interval": 0
        });
        return Some(Reply::new(200, answer.to_string()));
    }
    if !request.starts_with("POST /t ") {
        return None;
    }
    let redeemed = request
        .split("refresh_token=r")
        .nth(1)
        .map_or(0, |rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0_u32));
    let id_token = Signer::of_test().sign(&claims(host));
    let asked = request.split("scope=").nth(1).and_then(|rest| rest.split('&').next()).map(decoded);
    let answer = json!({
        "token_type": "Bearer",
        "expires_in": lasts,
        "scope": asked.unwrap_or_else(|| EVERYTHING.to_owned()),
        "access_token": format!("a{}", redeemed + 1),
        "refresh_token": format!("r{}", redeemed + 1),
        "id_token": id_token,
    });
    Some(Reply::new(200, answer.to_string()))
}

/// What an id token for Dana says who has just signed in at `host`.
pub(crate) fn claims(host: &str) -> Value {
    let now = Timestamp::now().as_second();
    json!({
        "iss": format!("http://{host}/{TENANT}/v2.0"), "sub": "dana-here", "aud": "the-app", "tid": TENANT,
        "iat": now, "exp": now + 3_600, "oid": "22222222-2222-4333-8444-555555555555",
        "preferred_username": "dana@harborview.example", "name": "Dana Reyes"
    })
}

/// A key that signs id tokens.
pub(crate) struct Signer {
    kid: &'static str,
    pair: EcdsaKeyPair,
}

impl Signer {
    /// The one that the test tenant publishes.
    pub fn of_test() -> &'static Self {
        static SIGNER: OnceLock<Signer> = OnceLock::new();
        SIGNER.get_or_init(|| Self::named("test"))
    }

    /// Another key.
    pub fn named(kid: &'static str) -> Self {
        Self { kid, pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let pkcs8 = self.pair.to_pkcs8v1().unwrap();
        let header = Header { kid: Some(self.kid.into()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(pkcs8.as_ref())).unwrap()
    }

    /// Its key set, as JSON.
    pub fn public(&self) -> String {
        // Uncompressed: 4, then both coordinates.
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid, "x": x, "y": y }] }).to_string()
    }

    pub(super) fn keys(&self) -> Keys {
        Keys::read(self.public().as_bytes()).unwrap()
    }
}

/// A form value, decoded.
pub(crate) fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// A refusal as Entra writes one.
pub(crate) fn refusal(error: &str, code: u32) -> Reply {
    let body = json!({
        "error": error, "error_codes": [code], "error_description": format!("AADSTS{code}: never shown\r\nTrace ID: x"),
        "trace_id": "trace-1", "correlation_id": "correlation-1"
    });
    Reply::new(400, body.to_string())
}

pub(crate) fn http() -> Http {
    Http::new(Limits {
        connect: Duration::from_secs(2),
        whole: Duration::from_secs(2),
        patience: Duration::from_secs(3),
        first_pause: Duration::from_millis(1),
    })
}

pub(crate) fn session(server: &TestServer) -> Session {
    let connection = Connection {
        authority: server.url.clone(),
        graph: server.url.clone(),
        tenant: TENANT.into(),
        client_id: "the-app".into(),
    };
    Session::new(http(), connection, Vault::memory())
}

/// Signing in by code, for listing alone.
pub(crate) fn by_code() -> Prompt {
    Prompt::by(Way::DeviceCode)
}

pub(crate) async fn signed_in(server: &TestServer) -> Session {
    let session = session(server);
    session.sign_in(&by_code(), |_| ()).await.unwrap();
    session
}
