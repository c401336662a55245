//! Signing in against the simulated tenant, over HTTP: by code, by browser, and what is asked for later in a call.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keydesk::{
    domain::{
        call::DisclosureId,
        capability::{Feature, Light},
        connection::Connection,
        key_id::KeyId,
        work::sign_in::{Prompt, Way},
    },
    graph::{Graph, RevealError},
    http::{Http, Limits},
    sign_in::{Session, SignInError, Told, Vault},
    simulation::{self, Demand, Fault, FaultKind, Options, Running, Source},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::mpsc;
use url::Url;
use uuid::Uuid;

const DANA: &str = "dana@harborview.example";

async fn simulated() -> Running {
    simulation::start(Options { scenario: Source::Small, ..Options::default() }).await.unwrap()
}

fn http() -> Http {
    Http::new(Limits { whole: Duration::from_secs(2), first_pause: Duration::from_millis(5), ..Limits::default() })
}

fn connection(tenant: &Running) -> Connection {
    Connection {
        authority: tenant.authority().parse().unwrap(),
        graph: tenant.graph().parse().unwrap(),
        tenant: tenant.tenant_id().to_string(),
        client_id: tenant.client_id().to_string(),
    }
}

fn session(tenant: &Running) -> Session {
    Session::new(http(), connection(tenant), Vault::memory())
}

/// A browser that follows no redirect by itself.
fn browser() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

fn fields(url: &Url) -> Vec<(String, String)> {
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn field(url: &Url, name: &str) -> Option<String> {
    fields(url).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// Decides on the tenant's page; gives the address the browser is sent back to.
async fn decide(page: &Url, decision: &str, upn: &str) -> Url {
    let mut form = fields(page);
    form.extend([("decision".into(), decision.into()), ("upn".into(), upn.into())]);
    let mut action = page.clone();
    action.set_query(None);
    let answer = browser().post(action).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 302, "{}", answer.text().await.unwrap());
    answer.headers()["location"].to_str().unwrap().parse().unwrap()
}

/// Signs in by browser; `act` is what the person does with the page.
async fn by_browser<F: Future<Output = ()> + Send + 'static>(
    session: &Session,
    prompt: Prompt,
    act: impl Fn(Url) -> F + Send + Sync,
) -> Result<(), SignInError> {
    let tell = |told| match told {
        Told::Browser(page) => {
            tokio::spawn(act(page.address.parse().unwrap()));
        }
        Told::DeviceCode(code) => panic!("{code:?}"),
    };
    session.sign_in(&prompt, tell).await
}

async fn approved(page: Url) {
    let back = decide(&page, "approve", DANA).await;
    let answer = browser().get(back).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["cache-control"].to_str().unwrap()), (200, "no-store"));
    assert!(answer.text().await.unwrap().contains("go back to the terminal"));
}

async fn by_code(tenant: &Running, session: &Session) -> Result<(), SignInError> {
    let tell = |told| match told {
        Told::DeviceCode(code) => tenant.tenant().approve(&code.user_code, None).unwrap(),
        Told::Browser(page) => panic!("{page:?}"),
    };
    session.sign_in(&Prompt::by(Way::DeviceCode), tell).await
}

fn claims(token: &SecretString) -> Value {
    let payload = token.expose_secret().split('.').nth(1).unwrap().to_owned();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn some_key(tenant: &Running) -> KeyId {
    let dump = tenant.tenant().dump();
    KeyId(dump["keys"][0]["id"].as_str().unwrap().parse().unwrap())
}

fn reads(tenant: &Running) -> usize {
    let dump = tenant.tenant().dump();
    dump["audits"].as_array().unwrap().iter().filter(|audit| audit["activity"] == "Read BitLocker key").count()
}

#[tokio::test]
async fn a_technician_signs_in_by_browser() {
    let tenant = simulated().await;
    let session = session(&tenant);
    by_browser(&session, Prompt::by(Way::Browser), approved).await.unwrap();
    assert_eq!(session.technician().unwrap().upn.raw(), DANA);
    assert!(session.is_signed_in());
    // What came is good for Graph, and renews.
    assert_eq!(Graph::new(http(), session.clone()).me().await.unwrap().upn.raw(), DANA);
    session.token(Feature::Reveal).await.unwrap();
}

#[tokio::test]
async fn the_page_is_asked_for_with_pkce_nonce_state_cp1_and_listing_alone() {
    let tenant = simulated().await;
    let (seen, mut pages) = mpsc::unbounded_channel();
    let act = move |page: Url| {
        seen.send(page.clone()).unwrap();
        approved(page)
    };
    by_browser(&session(&tenant), Prompt::by(Way::Browser), act).await.unwrap();
    let page = pages.recv().await.unwrap();
    let said = |name: &str| field(&page, name).unwrap_or_default();
    assert_eq!((said("code_challenge_method").as_str(), said("response_mode").as_str()), ("S256", "query"));
    assert!(said("redirect_uri").starts_with("http://localhost:") && !said("redirect_uri").ends_with('/'));
    assert!(said("state").len() >= 16 && said("nonce").len() >= 16 && said("state") != said("nonce"));
    assert!(said("claims").contains(r#""xms_cc":{"values":["cp1"]}"#), "{}", said("claims"));
    assert!(said("scope").contains("BitlockerKey.ReadBasic.All") && !said("scope").contains("BitlockerKey.Read.All"));
    assert_eq!(said("prompt"), "select_account");
}

#[tokio::test]
async fn an_unlocking_prompt_asks_for_the_known_technicians_credentials_and_more_features() {
    let tenant = simulated().await;
    let session = session(&tenant);
    by_code(&tenant, &session).await.unwrap();
    let (seen, mut pages) = mpsc::unbounded_channel();
    let act = move |page: Url| {
        seen.send(page.clone()).unwrap();
        approved(page)
    };
    let prompt = Prompt { way: Way::Browser, features: vec![Feature::Reveal, Feature::Audit], fresh: true };
    let brought = session.successor();
    by_browser(&brought, prompt, act).await.unwrap();
    let page = pages.recv().await.unwrap();
    assert_eq!(field(&page, "prompt").as_deref(), Some("login"));
    assert_eq!(field(&page, "max_age").as_deref(), Some("0"));
    assert_eq!(field(&page, "login_hint").as_deref(), Some(DANA));
    assert!(field(&page, "claims").unwrap().contains(r#""auth_time":{"essential":true}"#));
    assert!(field(&page, "scope").unwrap().contains("AuditLog.Read.All"));
    // Granted together: no light is left to ask for.
    let lights = brought.lights();
    assert!(matches!((lights.of(Feature::Reveal), lights.of(Feature::Audit)), (Light::Unknown, Light::Unknown)));
}

#[tokio::test]
async fn strays_end_no_sign_in_and_a_second_tab_does_no_harm() {
    let tenant = simulated().await;
    let session = session(&tenant);
    let act = async |page: Url| {
        let landing: Url = field(&page, "redirect_uri").unwrap().parse().unwrap();
        let idle = tokio::net::TcpStream::connect(("127.0.0.1", landing.port().unwrap())).await.unwrap();
        let strays = ["/favicon.ico", "/?code=stolen&state=guessed", "/?error=access_denied", "/x?code=a"];
        for stray in strays {
            let answer = browser().get(landing.join(stray).unwrap()).send().await.unwrap();
            assert_eq!(answer.status(), 404);
            assert!(!answer.text().await.unwrap().contains("stolen"));
        }
        let (first, second) = (decide(&page, "approve", DANA).await, decide(&page, "approve", DANA).await);
        let (first, second) = tokio::join!(browser().get(first).send(), browser().get(second).send());
        assert!(first.is_ok() || second.is_ok());
        drop(idle);
    };
    by_browser(&session, Prompt::by(Way::Browser), act).await.unwrap();
    assert!(session.is_signed_in());
}

#[tokio::test]
async fn a_sign_in_declined_in_the_browser_says_so_in_our_words() {
    let tenant = simulated().await;
    let session = session(&tenant);
    let act = async |page: Url| {
        let back = decide(&page, "decline", DANA).await;
        let answer = browser().get(back).send().await.unwrap();
        assert!(answer.text().await.unwrap().contains("did not go through"));
    };
    let refused = by_browser(&session, Prompt::by(Way::Browser), act).await.unwrap_err();
    let SignInError::Refused(words) = &refused else { panic!("{refused:?}") };
    assert_eq!(words.code, Some(65_004));
    assert!(!refused.to_string().contains("User declined") && !session.is_signed_in());
}

#[tokio::test]
async fn a_code_under_another_nonce_is_not_believed() {
    let tenant = simulated().await;
    let session = session(&tenant);
    let act = async |page: Url| {
        let others: Vec<(String, String)> = fields(&page)
            .into_iter()
            .map(|(name, value)| if name == "nonce" { (name, "another".into()) } else { (name, value) })
            .collect();
        let mut forged = page.clone();
        forged.query_pairs_mut().clear().extend_pairs(others);
        browser().get(decide(&forged, "approve", DANA).await).send().await.unwrap();
    };
    let refused = by_browser(&session, Prompt::by(Way::Browser), act).await.unwrap_err();
    assert!(refused.to_string().contains("another sign-in"), "{refused}");
    assert!(!session.is_signed_in() && session.technician().is_none());
}

#[tokio::test]
async fn a_block_of_codes_names_the_browser_and_a_block_of_the_browser_names_nothing() {
    let tenant = simulated().await;
    let blocked = "blocked@harborview.example";
    let tell = |told| match told {
        Told::DeviceCode(code) => tenant.tenant().approve(&code.user_code, Some(blocked)).unwrap(),
        Told::Browser(page) => panic!("{page:?}"),
    };
    let by_code = session(&tenant).sign_in(&Prompt::by(Way::DeviceCode), tell).await.unwrap_err();
    let SignInError::Refused(words) = &by_code else { panic!("{by_code:?}") };
    assert_eq!((words.code, words.instead), (Some(53_003), Some(Way::Browser)));
    let act = async |page: Url| {
        browser().get(decide(&page, "approve", "blocked@harborview.example").await).send().await.unwrap();
    };
    let by_browser = by_browser(&session(&tenant), Prompt::by(Way::Browser), act).await.unwrap_err();
    let SignInError::Refused(words) = &by_browser else { panic!("{by_browser:?}") };
    assert_eq!((words.code, words.instead), (Some(53_003), None));
}

#[tokio::test]
async fn every_token_declares_that_this_client_can_bear_challenges() {
    let tenant = simulated().await;
    let session = session(&tenant);
    by_code(&tenant, &session).await.unwrap();
    for feature in Feature::ALL {
        assert_eq!(claims(&session.token(feature).await.unwrap())["xms_cc"], serde_json::json!(["cp1"]), "{feature:?}");
    }
}

#[tokio::test]
async fn a_clock_two_hours_off_breaks_no_sign_in() {
    for hours in [0, 2] {
        let tenant = simulated().await;
        // The tenant's clock is ahead of ours, as if ours were behind.
        tenant.tenant().advance(Duration::from_hours(hours));
        let session = session(&tenant);
        by_code(&tenant, &session).await.unwrap();
        by_browser(&session, Prompt { fresh: true, ..Prompt::by(Way::Browser) }, approved).await.unwrap();
    }
}

#[tokio::test]
async fn a_renewal_meets_a_challenge_by_itself_and_the_key_is_read_once() {
    let tenant = simulated().await;
    let session = session(&tenant);
    by_code(&tenant, &session).await.unwrap();
    tenant.tenant().demand(Demand { path: "$select=key".into(), context: "c1".into(), silent: true });
    let (graph, before) = (Graph::new(http(), session.clone()), reads(&tenant));
    graph.reveal(some_key(&tenant), DisclosureId(Uuid::new_v4())).await.unwrap();
    assert_eq!(claims(&session.token(Feature::Reveal).await.unwrap())["acrs"], serde_json::json!(["c1"]));
    assert_eq!(reads(&tenant) - before, 1);
}

#[tokio::test]
async fn a_challenge_that_wants_a_person_is_asked_for_at_the_next_sign_in() {
    let tenant = simulated().await;
    let session = session(&tenant);
    by_code(&tenant, &session).await.unwrap();
    tenant.tenant().demand(Demand { path: "$select=key".into(), context: "c1".into(), silent: false });
    let (graph, before) = (Graph::new(http(), session.clone()), reads(&tenant));
    let read = async || graph.reveal(some_key(&tenant), DisclosureId(Uuid::new_v4())).await;
    let Err(RevealError::SignIn(SignInError::Needed(words))) = read().await else { panic!("read") };
    assert_eq!((words.code, words.suberror.as_deref()), (Some(50_076), Some("basic_action")));
    assert!(words.claims.as_deref().unwrap().contains("c1"));
    // Nothing was handed out, listing goes on, and no quiet way leads back in.
    assert_eq!(reads(&tenant), before);
    session.token(Feature::List).await.unwrap();
    assert!(!session.is_signed_in() && !session.restore().await.unwrap());
    by_browser(&session, Prompt::by(Way::Browser), approved).await.unwrap();
    read().await.unwrap();
    assert_eq!(reads(&tenant) - before, 1);
}

#[tokio::test]
async fn a_challenge_that_no_token_meets_is_tried_once_and_then_a_person_is_asked() {
    let tenant = simulated().await;
    let session = session(&tenant);
    by_code(&tenant, &session).await.unwrap();
    let challenge =
        "Bearer error=\"insufficient_claims\", claims=\"eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZX19fQ\"";
    for status in [401, 403] {
        let headers = [("WWW-Authenticate".to_owned(), challenge.to_owned())].into();
        tenant.tenant().fault(Fault {
            status: Some(status),
            headers,
            count: 5,
            ..Fault::new(FaultKind::Status, "$select=key")
        });
        let sent = || tenant.tenant().log().iter().filter(|entry| entry.path.contains("select=key")).count();
        let (graph, before, read) = (Graph::new(http(), session.clone()), sent(), reads(&tenant));
        let refused = graph.reveal(some_key(&tenant), DisclosureId(Uuid::new_v4())).await;
        assert!(matches!(refused, Err(RevealError::SignIn(SignInError::Needed(_)))), "{refused:?}");
        assert_eq!((sent() - before, reads(&tenant)), (2, read));
    }
}

#[tokio::test]
async fn ten_questions_that_are_challenged_together_renew_once() {
    let tenant = simulated().await;
    let session = session(&tenant);
    by_code(&tenant, &session).await.unwrap();
    tenant.tenant().demand(Demand { path: "/v1.0/me".into(), context: "c1".into(), silent: true });
    let graph = Arc::new(Graph::new(http(), session));
    let tokens = || tenant.tenant().log().iter().filter(|entry| entry.path.ends_with("/token")).count();
    let before = tokens();
    let all = (0..10).map(|_| {
        let graph = Arc::clone(&graph);
        async move { graph.me().await.unwrap() }
    });
    futures::future::join_all(all).await;
    assert_eq!(tokens() - before, 1);
}

#[tokio::test]
async fn a_failed_prompt_leaves_the_session_that_was_there() {
    let tenant = simulated().await;
    let session = session(&tenant);
    by_code(&tenant, &session).await.unwrap();
    let tell = |told| match told {
        Told::DeviceCode(code) => tenant.tenant().decline(&code.user_code).unwrap(),
        Told::Browser(page) => panic!("{page:?}"),
    };
    assert!(session.sign_in(&Prompt::by(Way::DeviceCode), tell).await.is_err());
    assert!(session.is_signed_in() && session.technician().is_some());
    session.token(Feature::Rotate).await.unwrap();
}
