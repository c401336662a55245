use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ALL, DANA, Ground, KEYS, ground, with};

fn key_path(ground: &Ground) -> String {
    format!("{KEYS}/{}?$select=key", ground.running.tenant().incoming_caller(0).unwrap().key_id)
}

#[tokio::test]
async fn a_status_fault_answers_in_graphs_own_words_with_the_headers_given() {
    let ground = ground().await;
    let dana = ground.dana().await;
    ground
        .fault(json!({ "path": "/v1.0/me", "kind": "status", "status": 429, "headers": { "Retry-After": "7" } }))
        .await;
    ground.fault(json!({ "path": "/v1.0/me", "kind": "status", "status": 429 })).await;
    let first = dana.ask("/v1.0/me").await;
    assert_eq!(
        (first.status(), first.headers()["retry-after"].to_str().unwrap()),
        (StatusCode::TOO_MANY_REQUESTS, "7")
    );
    let body: Value = first.json().await.unwrap();
    assert_eq!(
        (&body["error"]["code"], &body["error"]["message"]),
        (&json!("TooManyRequests"), &json!("Too many requests."))
    );
    let second = dana.ask("/v1.0/me").await;
    assert!(second.status() == StatusCode::TOO_MANY_REQUESTS && second.headers().get("retry-after").is_none());
    dana.get("/v1.0/me").await;
}

#[tokio::test]
async fn a_status_fault_may_bring_its_own_body() {
    let ground = ground().await;
    let dana = ground.dana().await;
    ground.fault(json!({ "path": "/me", "kind": "status", "status": 500, "body": { "odd": true } })).await;
    ground.fault(json!({ "path": "/me", "kind": "status", "status": 503, "body": "" })).await;
    assert_eq!(dana.ask("/v1.0/me").await.json::<Value>().await.unwrap(), json!({ "odd": true }));
    let empty = dana.ask("/v1.0/me").await;
    assert_eq!((empty.status(), empty.bytes().await.unwrap().len()), (StatusCode::SERVICE_UNAVAILABLE, 0));
}

#[tokio::test]
async fn a_proxy_page_comes_with_status_200() {
    let ground = ground().await;
    let dana = ground.dana().await;
    ground.fault(json!({ "path": "/v1.0/me", "kind": "html" })).await;
    let answer = dana.ask("/v1.0/me").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap().starts_with("<!doctype html>"));
}

#[tokio::test]
async fn a_reset_strikes_before_the_request_is_carried_out() {
    let ground = ground().await;
    let dana = ground.dana().await;
    ground.fault(json!({ "path": "$select=key", "kind": "reset" })).await;
    let error = dana.request(Method::GET, &key_path(&ground)).send().await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    let entry = ground.log().await.pop().unwrap();
    assert_eq!((&entry["fault"], &entry["served"], &entry["status"]), (&json!("reset"), &json!(false), &Value::Null));
    assert_eq!(
        ground.running.tenant().dump()["audits"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|a| a["activity"] == "Read BitLocker key")
            .count(),
        0
    );
}

#[tokio::test]
async fn a_reset_after_effects_has_read_the_key_and_sends_nothing() {
    let ground = ground().await;
    let dana = ground.dana().await;
    ground.fault(json!({ "path": "recoveryKeys/", "kind": "reset", "served": true })).await;
    assert!(dana.request(Method::GET, &key_path(&ground)).send().await.is_err());
    let entry = ground.log().await.pop().unwrap();
    assert_eq!((&entry["fault"], &entry["served"], &entry["status"]), (&json!("reset"), &json!(true), &Value::Null));
    let audits = ground.running.tenant().dump()["audits"].clone();
    assert!(audits.as_array().unwrap().iter().any(|audit| audit["activity"] == "Read BitLocker key"));

    ground.fault(json!({ "path": "rotateBitLockerKeys", "method": "POST", "kind": "reset", "served": true })).await;
    let managed = dana.managed("HVC-LT-0421").await;
    let path = format!("/beta/deviceManagement/managedDevices/{}/rotateBitLockerKeys", managed["id"].as_str().unwrap());
    assert!(dana.request(Method::POST, &path).send().await.is_err());
    assert_eq!(ground.running.tenant().dump()["due"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_reset_may_let_the_headers_or_some_bytes_pass() {
    let ground = ground().await;
    let dana = ground.dana().await;
    ground.fault(json!({ "path": "/v1.0/me", "kind": "reset", "after_headers": true })).await;
    let answer = dana.request(Method::GET, "/v1.0/me").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.bytes().await.is_err());

    ground.fault(json!({ "path": "/v1.0/me", "kind": "reset", "bytes": 9 })).await;
    assert!(dana.request(Method::GET, "/v1.0/me").send().await.is_err());
    dana.get("/v1.0/me").await;
}

#[tokio::test]
async fn a_truncated_answer_promises_more_than_it_brings() {
    let ground = ground().await;
    let dana = ground.dana().await;
    ground.fault(json!({ "path": "/v1.0/me", "kind": "truncated" })).await;
    let answer = dana.request(Method::GET, "/v1.0/me").send().await.unwrap();
    assert!(answer.content_length().unwrap() > 100);
    assert!(answer.bytes().await.is_err());
    assert_eq!(ground.log().await.pop().unwrap()["served"], true);
}

#[tokio::test]
async fn a_stall_holds_the_answer_back() {
    let ground = ground().await;
    let dana = ground.dana().await;
    ground.fault(json!({ "path": "/v1.0/me", "kind": "stall", "seconds": 0.4 })).await;
    let begun = Instant::now();
    dana.get("/v1.0/me").await;
    assert!(begun.elapsed() >= Duration::from_millis(400));

    // A client that gives up, of a request that was carried out.
    ground.fault(json!({ "path": "$select=key", "kind": "stall", "seconds": 30, "served": true })).await;
    let request = dana.request(Method::GET, &key_path(&ground)).timeout(Duration::from_millis(1500));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert_eq!(ground.log().await.pop().unwrap()["served"], true);
}

#[tokio::test]
async fn faults_skip_count_and_can_be_taken_back() {
    let ground = ground().await;
    let dana = ground.dana().await;
    ground.fault(json!({ "path": "/v1.0/me", "kind": "status", "status": 500, "skip": 1, "count": 9 })).await;
    assert_eq!(dana.ask("/v1.0/me").await.status(), StatusCode::OK);
    assert_eq!(dana.ask("/v1.0/me").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let url = format!("{}/_sim/fault", ground.running.authority());
    assert!(ground.http.delete(url).send().await.unwrap().status().is_success());
    assert_eq!(dana.ask("/v1.0/me").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn sign_in_can_go_wrong_as_well() {
    let ground = ground().await;
    ground.fault(json!({ "path": "oauth2/v2.0/token", "kind": "reset" })).await;
    let code = ground.device_code(ALL).await;
    assert!(ground.http.post(ground.oauth("token")).form(&[("grant_type", "device_code")]).send().await.is_err());
    assert_eq!(ground.poll(&code).await.1["error"], "authorization_pending");
}

#[tokio::test]
async fn the_log_says_who_asked_what_under_which_id() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let sent = "6f1f6b5e-6c3f-4a5e-9f0a-0b3a1c9d2e4f";
    let request = dana.request(Method::GET, "/v1.0/me?%24select=id");
    let answer = request.header("client-request-id", sent).header("User-Agent", "test/1").send().await.unwrap();
    let entry = ground.log().await.pop().unwrap();
    assert_eq!((&entry["method"], &entry["path"]), (&json!("GET"), &json!("/v1.0/me?%24select=id")));
    assert_eq!((&entry["clientRequestId"], &entry["userAgent"]), (&json!(sent), &json!("test/1")));
    assert_eq!((&entry["status"], &entry["who"], &entry["served"]), (&json!(200), &json!(DANA), &json!(true)));
    assert_eq!(entry["requestId"], answer.headers()["request-id"].to_str().unwrap());
    assert!(entry["time"].as_str().unwrap().ends_with('Z'));
    let log = ground.log().await;
    assert!(log.windows(2).all(|pair| pair[0]["number"].as_u64() < pair[1]["number"].as_u64()));
}

#[tokio::test]
async fn latency_is_waited_before_every_answer() {
    let options = keydesk::simulation::Options { latency: Duration::from_millis(150), ..super::small_with(&[]) };
    let ground = with(options).await;
    let begun = Instant::now();
    ground.device_code(ALL).await;
    assert!(begun.elapsed() >= Duration::from_millis(150));
}
