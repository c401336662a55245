//! Graph as it should not be: other hosts, other rows, pages, resets, refusals of every shape.

use std::sync::atomic::{AtomicUsize, Ordering};

use rstest::rstest;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::{
    domain::{
        call::DisclosureId,
        device::{DeviceId, ManagedDeviceId},
        key_id::KeyId,
    },
    http::test_server::{Reply, TestServer},
    sign_in::test_tenant::{decoded, http, signed_in, token_service},
};

const KEY: &str = "b465e4e8-e4e8-b465-e8e4-65b4e8e465b4";
const DEVICE: &str = "1ab40ab2-32a8-4b00-b6b5-ba724e407de9";
const MANAGED: &str = "705c034c-034c-705c-4c03-5c704c035c70";
const OTHER: &str = "2ef04ef1-23b0-4e00-a3a5-ab345e567ab6";

/// A tenant whose Graph answers request `n`, counted from 0, as `script` says.
async fn tenant(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> (TestServer, Graph) {
    let count = AtomicUsize::new(0);
    let server = TestServer::start(move |_, request| {
        token_service(request, 3_600).unwrap_or_else(|| script(count.fetch_add(1, Ordering::SeqCst), request))
    })
    .await;
    let session = signed_in(&server).await;
    let graph = Graph::new(http(), session);
    (server, graph)
}

fn graph_requests(server: &TestServer) -> Vec<String> {
    let is_graph = |request: &String| request.contains(" /v1.0/") || request.contains(" /beta/");
    server.seen().into_iter().filter(is_graph).collect()
}

fn key_id() -> KeyId {
    KeyId(KEY.parse().unwrap())
}

fn device_id() -> DeviceId {
    DeviceId(DEVICE.parse().unwrap())
}

fn managed_id() -> ManagedDeviceId {
    ManagedDeviceId(MANAGED.parse().unwrap())
}

fn key(id: &str, device: &str) -> serde_json::Value {
    json!({"id": id, "createdDateTime": "2020-06-15T13:45:30.0000000Z", "volumeType": "1", "deviceId": device})
}

fn refused(status: u16, code: &str) -> Reply {
    let inner = json!({"date": "2025-04-09T04:32:16", "request-id": "r-7", "client-request-id": "c-7"});
    let body = json!({"error": {"code": code, "message": "never shown", "innerError": inner}});
    Reply::new(status, body.to_string())
}

#[tokio::test]
async fn every_request_names_us_and_carries_an_id_of_its_own() {
    let (server, graph) = tenant(|_, _| Reply::new(200, r#"{"value":[]}"#)).await;
    graph.keys_page(None).await.unwrap();
    graph.device(device_id()).await.unwrap();
    let seen = graph_requests(&server);
    for request in &seen {
        for header in
            ["authorization: Bearer a", "user-agent: keydesk/", "ocp-client-name: keydesk", "ocp-client-version: "]
        {
            assert!(request.contains(header), "{header} in {request}");
        }
    }
    let id = |request: &str| request.split("client-request-id: ").nth(1).unwrap()[..36].to_owned();
    assert_ne!(id(&seen[0]), id(&seen[1]));
    assert!(seen[0].starts_with("GET /v1.0/informationProtection/bitlocker/recoveryKeys HTTP/1.1"), "{}", seen[0]);
}

#[tokio::test]
async fn keys_of_a_device_come_with_entras_clock_and_those_of_another_stand_apart() {
    let (server, graph) = tenant(|_, _| {
        let body = json!({"value": [key(KEY, DEVICE), key(OTHER, OTHER), {"id": null}]});
        Reply::new(200, body.to_string()).with("date", "Sun, 06 Nov 1994 08:49:37 GMT")
    })
    .await;
    let listed = graph.keys_of_device(device_id()).await.unwrap();
    assert_eq!((listed.keys.len(), listed.elsewhere.len()), (1, 1));
    assert_eq!(listed.entra_time.unwrap().as_second(), 784_111_777);
    let asked = decoded(&graph_requests(&server)[0]);
    assert!(asked.contains(&format!("?$filter=deviceId eq '{DEVICE}' HTTP")), "{asked}");
}

#[tokio::test]
async fn a_device_entra_does_not_know_has_no_keys() {
    let (_server, graph) = tenant(|_, _| refused(404, "NotFound")).await;
    assert!(graph.keys_of_device(device_id()).await.unwrap().keys.is_empty());
}

#[tokio::test]
async fn an_empty_page_with_a_link_is_not_the_end_and_headers_go_with_every_page() {
    let (server, graph) = tenant(|n, request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let next = format!("http://{host}/v1.0/informationProtection/bitlocker/recoveryKeys?$skiptoken=p{}", n + 1);
        let body = match n {
            0 => json!({"value": [key(KEY, DEVICE)], "@odata.nextLink": next}),
            1 => json!({"value": [], "@odata.nextLink": next}),
            _ => json!({"value": [key(OTHER, DEVICE)]}),
        };
        Reply::new(200, body.to_string())
    })
    .await;
    assert_eq!(graph.keys_of_device(device_id()).await.unwrap().keys.len(), 2);
    let seen = graph_requests(&server);
    assert!(seen.len() == 3 && seen.iter().all(|request| request.contains("ocp-client-name: keydesk")));
    let first = graph.keys_page(None).await.unwrap();
    assert!(first.items.len() == 1 && first.next.is_none());
}

#[rstest]
#[case::another_host("https://evil.example/v1.0/x")]
#[case::another_port("http://127.0.0.1:1/v1.0/x")]
#[case::another_scheme("file:///etc/passwd")]
#[case::user_info("http://graph@127.0.0.1/v1.0/x")]
#[case::relative("/v1.0/x")]
#[case::junk("\u{0}")]
#[tokio::test]
async fn a_link_to_anywhere_else_is_not_followed(#[case] link: &'static str) {
    let (server, graph) =
        tenant(move |_, _| Reply::new(200, json!({"value": [], "@odata.nextLink": link}).to_string())).await;
    let error = graph.keys_of_device(device_id()).await.unwrap_err();
    assert!(matches!(error, GraphError::Unexpected { .. }), "{error:?}");
    assert!(!error.to_string().contains("evil"));
    assert_eq!(graph_requests(&server).len(), 1);
}

#[tokio::test]
async fn a_list_that_leads_back_to_itself_ends() {
    let (_server, graph) = tenant(|_, request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let body = json!({"value": [], "@odata.nextLink": format!("http://{host}/v1.0/again")});
        Reply::new(200, body.to_string())
    })
    .await;
    assert!(matches!(graph.keys_of_device(device_id()).await, Err(GraphError::Unexpected { .. })));
}

#[rstest]
#[case::page("<html>proxy</html>")]
#[case::nothing("")]
#[case::no_list(r#"{"id":"x"}"#)]
#[case::list_of_text(r#"{"value":["x"]}"#)]
#[case::another_list("[]")]
#[tokio::test]
async fn success_that_is_no_list_is_an_error(#[case] body: &'static str) {
    let (_server, graph) = tenant(move |_, _| Reply::new(200, body)).await;
    assert!(matches!(graph.keys_page(None).await, Err(GraphError::Unexpected { status: Some(200), .. })));
    assert!(graph.me().await.is_err());
    assert!(graph.managed(managed_id()).await.is_err());
    assert!(graph.key_metadata(key_id()).await.is_err());
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_then_the_session_is_over() {
    let (server, graph) = tenant(|n, _| match n {
        1 => Reply::new(200, r#"{"value":[]}"#),
        _ => refused(401, "InvalidAuthenticationToken"),
    })
    .await;
    graph.keys_page(None).await.unwrap();
    let seen = graph_requests(&server);
    assert!(seen[0].contains("Bearer a1") && seen[1].contains("Bearer a2"));
    let error = graph.keys_page(None).await.unwrap_err();
    assert!(matches!(error, GraphError::SignIn(SignInError::Needed(_))), "{error:?}");
    assert_eq!(graph_requests(&server).len(), 4);
}

#[tokio::test]
async fn refusals_are_told_apart_by_status_and_never_quote_the_message() {
    let (_server, graph) = tenant(|n, _| match n {
        0 => refused(403, "authorization_error"),
        1 => refused(404, "Request_ResourceNotFound"),
        2 => refused(500, "InternalServerError"),
        3 => Reply::new(502, "<html>gateway</html>"),
        _ => refused(429, "TooManyRequests").with("retry-after", "3600"),
    })
    .await;
    let forbidden = graph.keys_page(None).await.unwrap_err();
    assert!(matches!(&forbidden, GraphError::Forbidden { code, .. } if code == "authorization_error"));
    assert_eq!(forbidden.report().unwrap().request_id.as_deref(), Some("r-7"));
    assert!(forbidden.to_string().contains("permission") && forbidden.to_string().contains("role"), "{forbidden}");
    assert!(matches!(graph.session().lights().of(Feature::List), Light::No(_)));
    let errors = [
        graph.managed(managed_id()).await.unwrap_err(),
        graph.managed(managed_id()).await.unwrap_err(),
        graph.managed(managed_id()).await.unwrap_err(),
        graph.managed(managed_id()).await.unwrap_err(),
    ];
    assert!(matches!(errors[0], GraphError::NotFound { .. }));
    assert!(
        matches!(&errors[1], GraphError::Unexpected { status: Some(500), code, .. } if code == "InternalServerError")
    );
    assert!(matches!(errors[2], GraphError::Unexpected { status: Some(502), .. }));
    assert!(matches!(errors[3], GraphError::Throttled { retry_after: Some(_), .. }));
    assert!(
        errors.iter().all(|error| !error.to_string().contains("never shown") && !error.to_string().contains("html"))
    );
}

#[tokio::test]
async fn a_disclosure_asks_for_exactly_the_key_under_its_own_id() {
    let (server, graph) = tenant(|_, _| {
        let body = json!({"id": KEY, "key": "496298-461032-321464-595518-463221-173943-033616-139579"});
        Reply::new(200, body.to_string()).with("request-id", "r-8")
    })
    .await;
    let disclosure = DisclosureId::new();
    let revealed = graph.reveal(key_id(), disclosure).await.unwrap();
    assert_eq!(revealed.password.block(7).unwrap().expose_secret(), "139579");
    assert_eq!((revealed.request_id.as_deref(), revealed.status), (Some("r-8"), 200));
    let seen = &graph_requests(&server)[0];
    assert!(
        seen.starts_with(&format!("GET /v1.0/informationProtection/bitlocker/recoveryKeys/{KEY}?$select=key HTTP")),
        "{seen}"
    );
    assert!(seen.contains(&format!("client-request-id: {disclosure}")), "{seen}");
    assert!(matches!(graph.session().lights().of(Feature::Reveal), Light::Yes(_)));
}

#[tokio::test]
async fn a_disclosure_is_sent_again_only_where_it_certainly_was_not_served() {
    let (server, graph) = tenant(|n, _| match n {
        0 => refused(429, "TooManyRequests").with("retry-after", "0"),
        1 => refused(503, "ServiceUnavailable").with("retry-after", "0"),
        _ => Reply::new(200, json!({"key": "496298-461032"}).to_string()),
    })
    .await;
    let waits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&waits);
    let graph = graph.with_waiting(Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    }));
    assert!(graph.reveal(key_id(), DisclosureId::new()).await.is_ok());
    assert_eq!((graph_requests(&server).len(), waits.load(Ordering::SeqCst)), (3, 2));
}

#[rstest]
#[case::reset(Reply::reset())]
#[case::truncated(Reply::Raw("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"key\":\"4962".into()))]
#[case::stall(Reply::Stall)]
#[case::unavailable(Reply::new(503, ""))]
#[case::gateway(Reply::new(504, "<html>"))]
#[case::internal(refused(500, "InternalServerError"))]
#[case::page(Reply::new(200, "<html>"))]
#[case::oversize(Reply::new(200, "x".repeat(1_000_000)))]
#[tokio::test]
async fn a_disclosure_whose_answer_is_lost_is_unknown_and_sent_once(#[case] reply: Reply) {
    let (server, graph) = tenant(move |_, _| reply.clone()).await;
    let error = graph.reveal(key_id(), DisclosureId::new()).await.unwrap_err();
    assert!(matches!(error, RevealError::Unknown { .. }), "{error:?}");
    assert!(!error.to_string().contains("html") && !error.to_string().ends_with(".."), "{error}");
    assert_eq!(graph_requests(&server).len(), 1);
}

#[rstest]
#[case::forbidden(403)]
#[case::not_found(404)]
#[case::bad(400)]
#[case::redirect(302)]
#[tokio::test]
async fn a_disclosure_that_was_refused_is_certainly_refused(#[case] status: u16) {
    let (server, graph) = tenant(move |_, _| refused(status, "code")).await;
    let error = graph.reveal(key_id(), DisclosureId::new()).await.unwrap_err();
    assert!(matches!(&error, RevealError::Refused { status: Some(said), .. } if *said == status), "{error:?}");
    assert!(!error.to_string().contains("never shown"));
    assert_eq!((graph_requests(&server).len(), error.report().unwrap().request_id.as_deref()), (1, Some("r-7")));
}

#[tokio::test]
async fn success_without_a_key_is_told_apart() {
    let (_server, graph) = tenant(|_, _| Reply::new(200, key(KEY, DEVICE).to_string())).await;
    let error = graph.reveal(key_id(), DisclosureId::new()).await.unwrap_err();
    assert!(matches!(error, RevealError::WithoutKey { status: 200, .. }), "{error:?}");
}

#[tokio::test]
async fn metadata_is_asked_for_without_select_and_must_be_of_the_key_asked_for() {
    let (server, graph) = tenant(|n, _| {
        let row = key(if n == 0 { KEY } else { OTHER }, DEVICE);
        Reply::new(200, json!({"value": row}).to_string())
    })
    .await;
    assert_eq!(graph.key_metadata(key_id()).await.unwrap().id, key_id());
    assert!(graph.key_metadata(key_id()).await.is_err());
    assert!(graph_requests(&server).iter().all(|request| !request.contains("select")));
}

#[tokio::test]
async fn rows_that_intune_returns_for_a_filter_it_ignored_are_not_believed() {
    let (_server, graph) = tenant(|_, _| {
        let row = |id: &str, device: &str, serial: &str| {
            json!({"id": id, "azureADDeviceId": device, "serialNumber": serial, "userPrincipalName": "mara@x.example"})
        };
        let rows = [row(MANAGED, DEVICE, "7KQ2M"), row(OTHER, OTHER, "OTHER"), row(KEY, "00000000-0000-0000-0000-000000000000", "")];
        Reply::new(200, json!({"value": rows}).to_string())
    })
    .await;
    let of_device = graph.managed_of_device(device_id()).await.unwrap();
    assert_eq!(of_device.iter().map(|row| row.id).collect::<Vec<_>>(), [managed_id()]);
    assert_eq!(graph.managed_by_serial("7kq2m").await.unwrap().len(), 1);
    assert_eq!(graph.managed_by_serial(" ").await.unwrap().len(), 0);
    assert_eq!(graph.managed_by_user("MARA@x.example").await.unwrap().len(), 3);
    // Without a domain the technician's own is meant, and this is another.
    assert_eq!(graph.managed_by_user("mara").await.unwrap().len(), 0);
    assert!(graph.managed_of_device(crate::domain::device::NO_DEVICE).await.unwrap().is_empty());
}

#[tokio::test]
async fn names_are_quoted_and_a_search_says_that_it_may_lag() {
    let (server, graph) = tenant(|_, _| Reply::new(200, r#"{"value":[]}"#)).await;
    graph.devices_named("O'Brien & co").await.unwrap();
    graph.devices_beginning("HVC-").await.unwrap();
    graph.devices_search("a \"b\" \\").await.unwrap();
    let seen: Vec<String> = graph_requests(&server);
    assert!(seen[0].contains("$filter=displayName%20eq%20%27O%27%27Brien%20%26%20co%27&$select="), "{}", seen[0]);
    assert!(decoded(&seen[1]).contains("$filter=startswith(displayName,'HVC-')"), "{}", seen[1]);
    assert!(decoded(&seen[2]).contains(r#"$search="displayName:a \"b\" \\"&$count=true"#), "{}", seen[2]);
    assert!(seen[2].contains("consistencylevel: eventual") && !seen[1].contains("consistencylevel"));
}

#[tokio::test]
async fn a_rotation_is_a_post_of_nothing_to_the_beta_edition() {
    let (server, graph) = tenant(|_, _| Reply::new(204, "").with("request-id", "r-9")).await;
    assert_eq!(
        graph.rotate(managed_id(), std::time::Duration::from_secs(5)).await.unwrap().request_id.as_deref(),
        Some("r-9")
    );
    let seen = &graph_requests(&server)[0];
    assert!(
        seen.starts_with(&format!("POST /beta/deviceManagement/managedDevices/{MANAGED}/rotateBitLockerKeys HTTP")),
        "{seen}"
    );
    assert!(seen.contains("content-length: 0") && seen.ends_with("\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn a_rotation_is_refused_or_uncertain_and_sent_once() {
    for (reply, certain) in [
        (refused(403, "Forbidden"), true),
        (refused(404, "ResourceNotFound"), true),
        (Reply::reset(), false),
        (Reply::new(504, ""), false),
        (refused(500, "InternalServerError"), false),
    ] {
        let (server, graph) = tenant(move |_, _| reply.clone()).await;
        let error = graph.rotate(managed_id(), std::time::Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(matches!(error, RotateError::Refused { .. }), certain, "{error:?}");
        assert_eq!(matches!(error, RotateError::Uncertain { .. }), !certain, "{error:?}");
        assert_eq!(graph_requests(&server).len(), 1);
    }
}

#[tokio::test]
async fn a_tenant_that_keeps_its_name_to_itself_is_called_by_its_id() {
    let (_server, graph) = tenant(|_, _| refused(403, "Authorization_RequestDenied")).await;
    let tenant = graph.organization().await.unwrap();
    assert_eq!(tenant.name.raw(), crate::sign_in::test_tenant::TENANT);
    assert!(matches!(graph.session().lights().of(Feature::List), Light::Unknown));
}
