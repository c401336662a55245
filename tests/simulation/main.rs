//! The simulated tenant, asked over real HTTP as any client would ask it. No client of ours takes part.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod audit;
mod devices;
mod faults;
mod keys;
mod managed;
mod rotation;
mod sign_in;
mod story;

use std::time::Duration;

use keydesk::simulation::{self, Options, Running, Source};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

/// Scopes a console would ask for.
const ALL: &str = "openid profile offline_access User.Read BitlockerKey.Read.All Device.Read.All AuditLog.Read.All \
                   DeviceManagementManagedDevices.Read.All DeviceManagementConfiguration.ReadWrite.All";

const DANA: &str = "dana@harborview.example";
const SAM: &str = "sam@harborview.example";
const NOEL: &str = "noel@harborview.example";
const MARA: &str = "mara.voss@harborview.example";

/// A tenant, and an HTTP client that is nobody's.
struct Ground {
    running: Running,
    http: Client,
}

async fn ground() -> Ground {
    with(Options { scenario: Source::Small, ..Options::default() }).await
}

async fn with(options: Options) -> Ground {
    let running = simulation::start(options).await.unwrap();
    let http = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    Ground { running, http }
}

/// The small scenario with some lines of it replaced.
fn small_with(changes: &[(&str, &str)]) -> Options {
    let mut text = include_str!("../../assets/scenarios/small.toml").to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    Options { scenario: Source::Text(text), ..Options::default() }
}

impl Ground {
    fn oauth(&self, endpoint: &str) -> String {
        format!("{}/{}/oauth2/v2.0/{endpoint}", self.running.authority(), self.running.tenant_id())
    }

    fn client_id(&self) -> String {
        self.running.client_id().to_string()
    }

    /// Ask for a device code.
    async fn device_code(&self, scope: &str) -> Value {
        let form = [("client_id", self.client_id()), ("scope", scope.to_owned())];
        let answer = self.http.post(self.oauth("devicecode")).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    /// Poll once; gives status and body.
    async fn poll(&self, device_code: &Value) -> (StatusCode, Value) {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code".to_owned()),
            ("client_id", self.client_id()),
            ("device_code", device_code["device_code"].as_str().unwrap().to_owned()),
        ];
        self.token(&form).await
    }

    async fn refresh(&self, refresh_token: &Value, scope: &str) -> (StatusCode, Value) {
        let form = [
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", self.client_id()),
            ("refresh_token", refresh_token.as_str().unwrap().to_owned()),
            ("scope", scope.to_owned()),
        ];
        self.token(&form).await
    }

    async fn token(&self, form: &[(&str, String)]) -> (StatusCode, Value) {
        let answer = self.http.post(self.oauth("token")).form(form).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Sign a person in; gives the tokens.
    async fn signed_in(&self, upn: &str, scope: &str) -> Value {
        let code = self.device_code(scope).await;
        let wish = json!({ "user_code": code["user_code"], "as": upn });
        self.control("approve", &wish).await;
        let (status, tokens) = self.poll(&code).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }

    /// Sign a person in; gives somebody who asks Graph.
    async fn caller(&self, upn: &str, scope: &str) -> Caller<'_> {
        let tokens = self.signed_in(upn, scope).await;
        Caller { ground: self, token: tokens["access_token"].as_str().unwrap().to_owned() }
    }

    async fn dana(&self) -> Caller<'_> {
        self.caller(DANA, ALL).await
    }

    async fn control(&self, what: &str, wish: &Value) {
        let url = format!("{}/_sim/{what}", self.running.authority());
        let answer = self.http.post(url).json(wish).send().await.unwrap();
        assert!(answer.status().is_success(), "{what}: {}", answer.text().await.unwrap());
    }

    async fn advance(&self, seconds: i64) {
        self.control("advance", &json!({ "seconds": seconds })).await;
    }

    async fn fault(&self, fault: Value) {
        self.control("fault", &fault).await;
    }

    async fn log(&self) -> Vec<Value> {
        let url = format!("{}/_sim/log", self.running.authority());
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }
}

/// Somebody with a token.
struct Caller<'a> {
    ground: &'a Ground,
    token: String,
}

impl Caller<'_> {
    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { self.ground.running.graph() + path };
        self.ground.http.request(method, url).bearer_auth(&self.token)
    }

    async fn ask(&self, path: &str) -> Response {
        self.request(reqwest::Method::GET, path).send().await.unwrap()
    }

    /// The body of a 200.
    async fn get(&self, path: &str) -> Value {
        let answer = self.ask(path).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The entries of a listing's first page.
    async fn list(&self, path: &str) -> Vec<Value> {
        self.get(path).await["value"].as_array().unwrap().clone()
    }

    /// A refusal: its status and `error` object.
    async fn refused(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.ask(path).await;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        (status, body["error"].clone())
    }

    /// The live device of a name: the one with the newest sign-in.
    async fn device(&self, name: &str) -> Value {
        let found = self.list(&format!("/v1.0/devices?$filter=displayName eq '{name}'")).await;
        let seen = |device: &Value| device["approximateLastSignInDateTime"].as_str().unwrap_or_default().to_owned();
        let joined = found.into_iter().filter(|device| device["trustType"] != "Workplace");
        joined.max_by_key(seen).unwrap_or_else(|| panic!("no device {name}"))
    }

    async fn keys_of(&self, device_id: &str) -> Vec<Value> {
        self.list(&format!("{KEYS}?$filter=deviceId eq '{device_id}'")).await
    }

    /// The managed device behind a device's name.
    async fn managed(&self, name: &str) -> Value {
        let device = self.device(name).await;
        let id = device["deviceId"].as_str().unwrap();
        self.list(&format!("{MANAGED}?$filter=azureADDeviceId eq '{id}'")).await.remove(0)
    }

    async fn rotate(&self, managed: &Value) -> Response {
        let path = format!("{BETA_MANAGED}/{}/rotateBitLockerKeys", managed["id"].as_str().unwrap());
        self.request(reqwest::Method::POST, &path).send().await.unwrap()
    }
}

const KEYS: &str = "/v1.0/informationProtection/bitlocker/recoveryKeys";
const MANAGED: &str = "/v1.0/deviceManagement/managedDevices";
const BETA_MANAGED: &str = "/beta/deviceManagement/managedDevices";
const AUDITS: &str = "/v1.0/auditLogs/directoryAudits";

fn ids(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

/// The one entry whose id starts with a prefix as a caller reads it.
fn starting<'a>(entries: &'a [Value], prefix: &str) -> Option<&'a Value> {
    entries.iter().find(|entry| entry["id"].as_str().unwrap().starts_with(&prefix.to_lowercase()))
}

/// Whether 48 digits are ones that BitLocker would take.
fn valid(password: &str) -> bool {
    let blocks: Vec<&str> = password.split('-').collect();
    let good = |block: &&str| block.len() == 6 && block.parse::<u32>().is_ok_and(|n| n % 11 == 0 && n <= 720_885);
    blocks.len() == 8 && blocks.iter().all(good)
}
