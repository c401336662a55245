//! The session against a token service that refuses, delays and breaks off.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rstest::rstest;
use secrecy::{ExposeSecret, SecretString};

use super::{
    test_tenant::{Signer, by_code, decoded, refusal, session, signed_in, token_service},
    *,
};
use crate::{
    domain::{
        capability::{Feature, Light},
        work::sign_in::{Prompt, Way},
    },
    http::test_server::{Reply, TestServer},
};

/// The token service, with `special` asked first about every token request.
async fn service(lasts: u64, special: impl Fn(usize, &str) -> Option<Reply> + Send + Sync + 'static) -> TestServer {
    let count = AtomicUsize::new(0);
    TestServer::start(move |_, request| {
        let own = request.starts_with("POST /t ").then(|| special(count.fetch_add(1, Ordering::SeqCst), request));
        own.flatten().or_else(|| token_service(request, lasts)).unwrap_or(Reply::new(404, ""))
    })
    .await
}

fn token_requests(server: &TestServer) -> Vec<String> {
    server.seen().into_iter().filter(|request| request.starts_with("POST /t ")).collect()
}

#[tokio::test]
async fn a_code_is_shown_polled_for_and_becomes_a_session() {
    let pending = |n, _: &str| match n {
        0 => Some(refusal("authorization_pending", 70_016)),
        1 => Some(Reply::new(503, "<html>busy</html>")),
        _ => None,
    };
    let server = service(3_600, pending).await;
    let session = session(&server);
    assert!(!session.is_signed_in());
    let shown = Mutex::new(Vec::new());
    session.sign_in(&by_code(), |told| shown.lock().unwrap().push(told)).await.unwrap();
    let shown = shown.into_inner().unwrap();
    let [Told::DeviceCode(code)] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!(code.user_code, "A62NXK96N");
    assert_eq!(token_requests(&server).len(), 3);
    assert_eq!(session.technician().unwrap().upn.raw(), "dana@harborview.example");
    assert_eq!(session.tenant_id().unwrap().to_string(), test_tenant::TENANT);
    assert_eq!(session.token(Feature::List).await.unwrap().expose_secret(), "a1");
    assert_eq!(
        (session.lights().of(Feature::List), session.lights().of(Feature::Reveal)),
        (&Light::Unknown, &Light::NotAsked)
    );
    assert!(session.is_signed_in() && !session.remembered());
    assert!(!format!("{session:?}").contains("a1"));
}

#[tokio::test]
async fn the_scopes_are_those_of_listing_and_reading_waits_for_its_own() {
    let server = service(3_600, |_, _| None).await;
    let session = signed_in(&server).await;
    let asked = server.seen().into_iter().find(|request| request.starts_with("POST /dc ")).unwrap();
    let asked = decoded(&asked);
    assert!(
        asked.contains(&format!("{}BitlockerKey.ReadBasic.All", server.url)) && asked.contains("offline_access"),
        "{asked}"
    );
    assert!(!asked.contains("BitlockerKey.Read.All"), "{asked}");
    assert_eq!(session.token(Feature::Reveal).await.unwrap().expose_secret(), "a2");
    let renewed = decoded(&token_requests(&server)[1]);
    assert!(renewed.contains("/BitlockerKey.Read.All") && renewed.contains("refresh_token=r1"), "{renewed}");
    assert_eq!(session.lights().of(Feature::Reveal), &Light::Unknown);
}

#[rstest]
#[case::declined("authorization_declined", 70_017, true, "declined")]
#[case::denied_elsewhere("access_denied", 0, true, "declined")]
#[case::expired("expired_token", 70_019, true, "expired")]
#[case::bad_code("bad_verification_code", 70_018, true, "does not know this sign-in code")]
#[case::conditional_access("invalid_grant", 53_003, false, "Conditional Access")]
#[case::managed_computer("invalid_grant", 530_033, false, "managed computer")]
#[case::public_client("invalid_client", 7_000_218, false, "public client flows")]
#[case::second_factor("interaction_required", 50_076, true, "multi-factor")]
#[case::a_number_nobody_knows("invalid_request", 123_456, false, "123456")]
#[tokio::test]
async fn a_refusal_says_what_happened_and_never_what_entra_wrote(
    #[case] error: &'static str,
    #[case] code: u32,
    #[case] needed: bool,
    #[case] says: &str,
) {
    let server = service(3_600, move |_, _| Some(refusal(error, code))).await;
    let refused = session(&server).sign_in(&by_code(), |_| ()).await.unwrap_err();
    assert_eq!(matches!(refused, SignInError::Needed(_)), needed, "{refused:?}");
    let words = refused.to_string();
    assert!(words.contains(says) && !words.contains("never shown"), "{words}");
    assert_eq!(refused.request_id(), Some("trace-1"));
}

#[rstest]
#[case::a_page(200, "<html>sign in to the hotel</html>")]
#[case::nothing(200, "")]
#[case::no_token(200, "{}")]
#[case::refused_by_a_page(403, "<html>blocked</html>")]
#[case::another_app(200, r#"{"token_type":"Bearer","access_token":"a","id_token":"e30.eyJhdWQiOiJ4IiwiZXhwIjoxfQ.x"}"#)]
#[tokio::test]
async fn an_answer_of_another_kind_is_an_error_and_no_session(#[case] status: u16, #[case] body: &'static str) {
    let server = service(3_600, move |_, _| Some(Reply::new(status, body))).await;
    let session = session(&server);
    let refused = session.sign_in(&by_code(), |_| ()).await.unwrap_err();
    assert!(matches!(refused, SignInError::Unexpected { .. }), "{refused:?}");
    assert!(!refused.to_string().contains("html") && !session.is_signed_in());
}

#[tokio::test]
async fn a_tenant_that_does_not_exist_is_named_at_once() {
    let server = TestServer::start(|_, _| refusal("invalid_tenant", 90_002)).await;
    let refused = session(&server).sign_in(&by_code(), |_| ()).await.unwrap_err();
    assert!(refused.to_string().contains("no such tenant"), "{refused}");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_only_once_for_many() {
    let server = service(4, |_, _| None).await;
    let session = signed_in(&server).await;
    assert_eq!(session.token(Feature::List).await.unwrap().expose_secret(), "a1");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let all = futures::future::join_all((0..5).map(|_| session.token(Feature::List))).await;
    assert!(all.into_iter().all(|token| token.unwrap().expose_secret() == "a2"));
    assert_eq!(token_requests(&server).len(), 2);
}

#[tokio::test]
async fn a_token_that_graph_refused_is_replaced_and_a_newer_one_is_left_alone() {
    let server = service(3_600, |_, _| None).await;
    let session = signed_in(&server).await;
    let used = session.token(Feature::List).await.unwrap();
    session.invalidate(Feature::List, &used);
    assert_eq!(session.token(Feature::List).await.unwrap().expose_secret(), "a2");
    session.invalidate(Feature::List, &used);
    assert_eq!(session.token(Feature::List).await.unwrap().expose_secret(), "a2");
}

#[tokio::test]
async fn while_a_token_still_lasts_a_failed_renewal_interrupts_nobody() {
    let server = service(6, |n, _| (n > 0).then(Reply::reset)).await;
    let session = signed_in(&server).await;
    tokio::time::sleep(Duration::from_millis(4_300)).await;
    assert_eq!(session.token(Feature::List).await.unwrap().expose_secret(), "a1");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(matches!(session.token(Feature::List).await, Err(SignInError::Unreachable(_))));
}

#[tokio::test]
async fn a_revoked_session_asks_for_a_sign_in_and_does_not_ask_entra_again() {
    let server = service(3_600, |n, _| (n > 0).then(|| refusal("invalid_grant", 50_173))).await;
    let session = signed_in(&server).await;
    let refused = session.token(Feature::Reveal).await.unwrap_err();
    assert!(matches!(&refused, SignInError::Needed(words) if words.code == Some(50_173)), "{refused:?}");
    assert!(matches!(session.token(Feature::Reveal).await, Err(SignInError::Needed(_))));
    assert_eq!(token_requests(&server).len(), 2);
    // What is still good is still used.
    assert_eq!(session.token(Feature::List).await.unwrap().expose_secret(), "a1");
}

#[tokio::test]
async fn a_missing_consent_is_said_in_the_lights() {
    let server = service(3_600, |n, _| (n > 0).then(|| refusal("invalid_grant", 65_001))).await;
    let session = signed_in(&server).await;
    session.ask_for(&[Feature::Audit]).await;
    let lights = session.lights();
    assert!(
        matches!(lights.of(Feature::Audit), Light::No(why) if why.said.contains("AuditLog.Read.All")),
        "{lights:?}"
    );
    assert!(matches!(session.token(Feature::Audit).await, Err(SignInError::Refused(_))));
}

#[tokio::test]
async fn rotation_is_asked_for_the_second_way_where_the_first_has_no_consent() {
    let server = service(3_600, |_, request| {
        decoded(request)
            .contains("DeviceManagementManagedDevices.ReadWrite.All")
            .then(|| refusal("invalid_grant", 65_001))
    })
    .await;
    let session = signed_in(&server).await;
    session.token(Feature::Rotate).await.unwrap();
    assert_eq!(session.lights().of(Feature::Rotate), &Light::Unknown);
    assert!(decoded(token_requests(&server).last().unwrap()).contains("DeviceManagementConfiguration.ReadWrite.All"));
}

#[tokio::test]
async fn a_new_refresh_token_is_kept_although_nobody_waits_for_it_any_more() {
    let server = service(3_600, |n, request| {
        (n == 1).then(|| token_service(request, 3_600).unwrap().late(Duration::from_millis(300)))
    })
    .await;
    let session = signed_in(&server).await;
    assert!(tokio::time::timeout(Duration::from_millis(100), session.token(Feature::Reveal)).await.is_err());
    session.token(Feature::Audit).await.unwrap();
    let last = decoded(token_requests(&server).last().unwrap());
    assert!(last.contains("refresh_token=r2"), "{last}");
}

#[test]
fn a_sign_in_can_run_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let connection = crate::domain::connection::Connection {
        authority: "https://login.example".parse().unwrap(),
        graph: "https://graph.example".parse().unwrap(),
        tenant: "t".into(),
        client_id: "c".into(),
    };
    let session = Session::new(test_tenant::http(), connection, Vault::memory());
    is_send(&session.sign_in(&by_code(), |_| ()));
    is_send(&session.restore());
    is_send(&session.token(Feature::List));
    is_send(&session.sign_out());
}

#[tokio::test]
#[ignore = "needs a credential store that asks nobody: on Linux a D-Bus session with an unlocked keyring"]
async fn a_session_survives_a_restart_in_the_systems_store_and_no_sign_out() {
    let server = service(3_600, |_, _| None).await;
    let vaulted = async || {
        let connection = session(&server).connection().clone();
        let vault = Vault::open(&connection, "default").await;
        assert!(matches!(vault, Vault::Os(_)));
        Session::new(test_tenant::http(), connection, vault)
    };
    let first = vaulted().await;
    assert!(!first.restore().await.unwrap());
    first.sign_in(&by_code(), |_| ()).await.unwrap();
    assert!(first.remembered());
    let second = vaulted().await;
    assert!(second.restore().await.unwrap() && second.remembered());
    assert_eq!(second.technician().unwrap().name.raw(), "Dana Reyes");
    // The renewed refresh token replaced the first one.
    assert!(vaulted().await.restore().await.unwrap());
    assert!(token_requests(&server).last().unwrap().contains("refresh_token=r2"));
    second.sign_out().await;
    assert!(!vaulted().await.restore().await.unwrap());
}

#[tokio::test]
#[ignore = "needs a credential store that asks nobody: on Linux a D-Bus session with an unlocked keyring"]
async fn the_systems_store_keeps_a_token_of_six_kilobytes_whole_and_nothing_of_it_after_a_shorter_one() {
    let server = service(3_600, |_, _| None).await;
    let vault = Vault::open(session(&server).connection(), "default").await;
    assert!(matches!(vault, Vault::Os(_)));
    let token = |length: usize| SecretString::from("1.AXEA-_".chars().cycle().take(length).collect::<String>());
    for length in [6_000, 2_400, 7_201, 300] {
        assert!(vault.save(&token(length)).await);
        assert_eq!(vault.load().await.unwrap().expose_secret(), token(length).expose_secret(), "{length} bytes");
    }
    vault.forget().await;
    assert!(vault.load().await.is_none());
}

/// A tenant whose id tokens and published keys are what `signer` says for the n-th token, and the n-th question for keys.
async fn signed_by(signer: impl Fn(usize) -> Signer + Send + Sync + 'static) -> TestServer {
    let (tokens, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let signers = [signer(0), signer(1), signer(2)];
    TestServer::start(move |_, request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        if request.starts_with("GET /keys ") {
            return Reply::new(200, signers[asked.fetch_add(1, Ordering::SeqCst).min(2)].public());
        }
        let answer = token_service(request, 3_600).unwrap_or(Reply::new(404, ""));
        match answer {
            Reply::Whole { body, .. } if request.starts_with("POST /t ") => {
                let signer = &signers[tokens.fetch_add(1, Ordering::SeqCst).min(2)];
                let mut body: serde_json::Value = serde_json::from_str(&body).unwrap();
                body["id_token"] = signer.sign(&test_tenant::claims(host)).into();
                Reply::new(200, body.to_string())
            }
            other => other,
        }
    })
    .await
}

fn key_questions(server: &TestServer) -> usize {
    server.seen().iter().filter(|request| request.starts_with("GET /keys ")).count()
}

#[tokio::test]
async fn a_key_that_is_new_is_looked_for_once_more() {
    let server = signed_by(|n| Signer::named(["first", "second", "third"][n])).await;
    let session = signed_in(&server).await;
    assert_eq!(key_questions(&server), 1);
    // The second token is signed with the second key, which only the second answer publishes.
    session.token(Feature::Reveal).await.unwrap();
    assert_eq!(key_questions(&server), 2);
}

#[tokio::test]
async fn a_token_that_no_published_key_signed_is_refused_and_the_rotated_refresh_token_is_kept() {
    let published = Signer::named("published");
    let count = AtomicUsize::new(0);
    let server = TestServer::start(move |_, request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
        let second = request.starts_with("POST /t ") && count.fetch_add(1, Ordering::SeqCst) == 1;
        let answer = token_service(request, 3_600).unwrap_or(Reply::new(404, ""));
        match answer {
            Reply::Whole { body, .. } if second => {
                let mut body: serde_json::Value = serde_json::from_str(&body).unwrap();
                body["id_token"] = published.sign(&test_tenant::claims(&host)).into();
                Reply::new(200, body.to_string())
            }
            other => other,
        }
    })
    .await;
    let session = signed_in(&server).await;
    let refused = session.token(Feature::Reveal).await.unwrap_err();
    assert!(refused.to_string().contains("does not publish"), "{refused}");
    assert_eq!(key_questions(&server), 2);
    session.token(Feature::Reveal).await.unwrap();
    assert!(token_requests(&server).last().unwrap().contains("refresh_token=r2"));
}

#[tokio::test]
async fn a_fresh_sign_in_by_code_is_refused_where_the_browser_was_signed_in_long_before() {
    let server = TestServer::start(|_, request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        match token_service(request, 3_600) {
            Some(Reply::Whole { body, .. }) if request.starts_with("POST /t ") => {
                let mut claims = test_tenant::claims(host);
                claims["auth_time"] = (claims["iat"].as_i64().unwrap() - 3_600).into();
                let mut body: serde_json::Value = serde_json::from_str(&body).unwrap();
                body["id_token"] = Signer::of_test().sign(&claims).into();
                Reply::new(200, body.to_string())
            }
            other => other.unwrap_or(Reply::new(404, "")),
        }
    })
    .await;
    let session = signed_in(&server).await;
    let fresh = Prompt { fresh: true, ..by_code() };
    let refused = session.successor().sign_in(&fresh, |_| ()).await.unwrap_err();
    let SignInError::Needed(words) = &refused else { panic!("{refused:?}") };
    assert!(words.happened.contains("not asked for your password") && words.instead == Some(Way::Browser), "{refused}");
    let asked = server.seen().into_iter().rfind(|request| request.starts_with("POST /dc ")).unwrap();
    assert!(decoded(&asked).contains(r#""auth_time":{"essential":true}"#), "{asked}");
}

#[tokio::test]
async fn a_sign_in_that_does_not_say_who_came_is_none() {
    let server = service(3_600, |_, _| Some(Reply::new(200, r#"{"token_type":"Bearer","access_token":"a"}"#))).await;
    let session = session(&server);
    let refused = session.sign_in(&by_code(), |_| ()).await.unwrap_err();
    assert!(refused.to_string().contains("does not say who signed in"), "{refused}");
    assert!(!session.is_signed_in());
}

#[tokio::test]
async fn signing_out_forgets_everything() {
    let server = service(3_600, |_, _| None).await;
    let session = signed_in(&server).await;
    session.sign_out().await;
    assert!(!session.is_signed_in() && session.technician().is_none());
    assert!(matches!(session.token(Feature::List).await, Err(SignInError::Needed(_))));
    assert!(!session.restore().await.unwrap());
}
