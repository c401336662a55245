//! Signing in at an `OpenID` provider that nobody here wrote: npm's `oidc-provider`, with its own paths, no interval, `access_denied` for a
//! denial, and refresh tokens that rotate and end the session when an old one comes back.
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use keydesk::{
    domain::{
        capability::{Feature, Light},
        connection::Connection,
        work::sign_in::{Prompt, Way},
    },
    http::{Http, Limits},
    sign_in::{Session, SignInError, Told, Vault},
};
use regex::Regex;
use secrecy::ExposeSecret;
use url::Url;

const PROVIDER: &str = "oidc-provider@9.13.3";
const TENANT: &str = "11111111-2222-4333-8444-555555555555";

/// The provider as a process. It ends with its standard input.
struct Provider {
    child: Child,
    origin: Url,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder into which npm put the provider, beside our script.
fn installed() -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oidc-provider");
    if !folder.join("node_modules/oidc-provider").is_dir() {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("package.json"), "{}").unwrap();
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        let installing =
            Command::new(npm).args(["install", "--no-audit", "--no-fund", PROVIDER]).current_dir(&folder).status();
        assert!(installing.unwrap().success(), "npm cannot install {PROVIDER}");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openid_provider.mjs");
    fs::copy(script, folder.join("provider.mjs")).unwrap();
    folder
}

impl Provider {
    fn start() -> Self {
        let permissions = Feature::ALL.iter().flat_map(|feature| feature.capability().asks().concat());
        let mut child = Command::new("node")
            .arg("provider.mjs")
            .arg(TENANT)
            .args(permissions)
            .current_dir(installed())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, origin: line.trim().parse().unwrap() }
    }

    fn session(&self) -> Session {
        let connection = Connection {
            authority: self.origin.clone(),
            graph: self.origin.clone(),
            tenant: TENANT.into(),
            client_id: "the-app".into(),
        };
        Session::new(Http::new(Limits::default()), connection, Vault::memory())
    }
}

/// What a person does on the provider's pages.
#[derive(Clone, Copy)]
enum Person {
    Approves,
    Denies,
}

/// Goes through the provider's own pages as a browser does, to the end.
async fn browse(page: Url, code: Option<String>, person: Person) {
    let here = |url: &Url| url.host_str() == Some("localhost");
    let stop = reqwest::redirect::Policy::custom(move |hop| if here(hop.url()) { hop.stop() } else { hop.follow() });
    let browser = reqwest::Client::builder().cookie_store(true).redirect(stop).no_proxy().build().unwrap();
    let mut answer = browser.get(page).send().await.unwrap();
    for _ in 0..8 {
        if let Some(back) = answer.headers().get("location") {
            let back = back.to_str().unwrap().to_owned();
            // Not every machine has both loopback addresses; the browser tries one after the other.
            assert!(browser.get(back).send().await.unwrap().status().is_success());
            return;
        }
        let at = answer.url().clone();
        let html = answer.text().await.unwrap();
        let Some(form) = Form::of(&html, &at) else { return };
        answer = form.submit(&browser, &at, code.as_deref(), person).await;
    }
    panic!("the provider's pages have no end");
}

struct Form {
    action: Url,
    fields: Vec<(String, String)>,
}

impl Form {
    fn of(html: &str, at: &Url) -> Option<Self> {
        let action = Regex::new(r#"<form[^>]* action="([^"]*)""#).unwrap().captures(html)?[1].to_owned();
        let field = Regex::new(r#"<input[^>]*?name="([^"]*)"(?:[^>]*?value="([^"]*)")?"#).unwrap();
        let fields = field
            .captures_iter(html)
            .map(|found| (found[1].to_owned(), found.get(2).map_or(String::new(), |value| value.as_str().to_owned())));
        Some(Self { action: at.join(&action).unwrap(), fields: fields.collect() })
    }

    async fn submit(
        mut self,
        browser: &reqwest::Client,
        at: &Url,
        code: Option<&str>,
        person: Person,
    ) -> reqwest::Response {
        let interacting = at.path().contains("/interaction/");
        if interacting && matches!(person, Person::Denies) {
            return browser.get(format!("{at}/abort")).send().await.unwrap();
        }
        for (name, value) in &mut self.fields {
            match name.as_str() {
                "login" => "dana".clone_into(value),
                "password" => "any".clone_into(value),
                "user_code" => code.unwrap_or_default().clone_into(value),
                _ => {}
            }
        }
        let confirming = self.fields.iter().any(|(name, _)| name == "confirm");
        if confirming && matches!(person, Person::Denies) {
            self.fields.push(("abort".into(), "yes".into()));
        }
        browser.post(self.action).form(&self.fields).send().await.unwrap()
    }
}

async fn sign_in(session: &Session, prompt: &Prompt, person: Person) -> Result<(), SignInError> {
    let tell = move |told| {
        let (page, code) = match told {
            Told::DeviceCode(code) => (code.address, Some(code.user_code)),
            Told::Browser(page) => (page.address, None),
        };
        tokio::spawn(browse(page.parse().unwrap(), code, person));
    };
    tokio::time::timeout(Duration::from_secs(20), session.sign_in(prompt, tell)).await.unwrap()
}

/// Listing, and what it takes to read a key: a strict provider renews for what was approved and nothing else.
fn prompt(way: Way) -> Prompt {
    Prompt { features: vec![Feature::Reveal, Feature::Audit], ..Prompt::by(way) }
}

async fn signs_in_and_renews(way: Way) {
    let provider = Provider::start();
    let session = provider.session();
    sign_in(&session, &prompt(way), Person::Approves).await.unwrap();
    assert_eq!(session.technician().unwrap().upn.raw(), "dana@harborview.example");
    assert!(matches!(session.lights().of(Feature::Reveal), Light::Unknown));
    // All at once, again and again: a refresh token used twice would end the session here.
    for _ in 0..3 {
        let features = [Feature::List, Feature::Reveal, Feature::Audit];
        let tokens = futures::future::join_all(features.map(|feature| session.token(feature))).await;
        for (feature, token) in features.into_iter().zip(tokens) {
            session.invalidate(feature, &token.unwrap());
        }
    }
    let first = session.token(Feature::List).await.unwrap();
    session.invalidate(Feature::List, &first);
    assert_ne!(session.token(Feature::List).await.unwrap().expose_secret(), first.expose_secret());
    session.sign_out().await;
    assert!(matches!(session.token(Feature::List).await, Err(SignInError::Needed(_))));
}

async fn is_denied(way: Way) {
    let provider = Provider::start();
    let session = provider.session();
    let refused = sign_in(&session, &prompt(way), Person::Denies).await.unwrap_err();
    assert!(matches!(&refused, SignInError::Needed(words) if words.happened.contains("declined")), "{refused:?}");
    assert!(!refused.to_string().contains("End-User") && !session.is_signed_in());
}

#[tokio::test]
#[ignore = "needs node and npm's oidc-provider"]
async fn a_code_completes_and_its_session_renews_while_tokens_rotate() {
    signs_in_and_renews(Way::DeviceCode).await;
}

#[tokio::test]
#[ignore = "needs node and npm's oidc-provider"]
async fn a_browser_completes_and_its_session_renews_while_tokens_rotate() {
    signs_in_and_renews(Way::Browser).await;
}

#[tokio::test]
#[ignore = "needs node and npm's oidc-provider"]
async fn a_code_that_is_denied_says_so() {
    is_denied(Way::DeviceCode).await;
}

#[tokio::test]
#[ignore = "needs node and npm's oidc-provider"]
async fn a_browser_that_denies_says_so() {
    is_denied(Way::Browser).await;
}

#[tokio::test]
#[ignore = "needs node and npm's oidc-provider"]
async fn a_browser_is_asked_for_credentials_again_where_that_is_wanted() {
    let provider = Provider::start();
    let session = provider.session();
    let prompt = Prompt { fresh: true, ..prompt(Way::Browser) };
    sign_in(&session, &prompt, Person::Approves).await.unwrap();
    sign_in(&session, &prompt, Person::Approves).await.unwrap();
    session.token(Feature::Reveal).await.unwrap();
}
