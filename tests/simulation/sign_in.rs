use std::{collections::HashMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keydesk::simulation::{Options, Source};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use super::{ALL, DANA, Ground, MARA, ground, small_with, with};

fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn discovery_names_every_endpoint_on_the_host_the_client_used() {
    let ground = ground().await;
    let id = ground.running.tenant_id().to_string();
    for named in [id.as_str(), "harborview.example", "common", "organizations"] {
        let url = format!("{}/{named}/v2.0/.well-known/openid-configuration", ground.running.authority());
        let found: Value = ground.http.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(found["issuer"], format!("{}/{id}/v2.0", ground.running.authority()));
        let token = found["token_endpoint"].as_str().unwrap();
        let by_rule = format!("{}/devicecode", token.strip_suffix("/token").unwrap());
        assert_eq!(found["device_authorization_endpoint"], by_rule);
        assert!(found["authorization_endpoint"].is_string());
        let keys: Value =
            ground.http.get(found["jwks_uri"].as_str().unwrap()).send().await.unwrap().json().await.unwrap();
        assert_eq!(keys["keys"][0]["kty"], "RSA");
    }
}

#[tokio::test]
async fn discovery_behind_a_tls_front_names_the_front() {
    let ground = ground().await;
    let url = format!("{}/common/v2.0/.well-known/openid-configuration", ground.running.authority());
    let request = ground.http.get(url).header("X-Forwarded-Proto", "https").header("X-Forwarded-Host", "sim.example");
    let found: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(found["token_endpoint"].as_str().unwrap().starts_with("https://sim.example/"));
}

#[tokio::test]
async fn an_unknown_tenant_and_an_unknown_application_are_refused_as_entra_refuses_them() {
    let ground = ground().await;
    let url = format!("{}/elsewhere.example/oauth2/v2.0/devicecode", ground.running.authority());
    let form = [("client_id", ground.client_id()), ("scope", ALL.to_owned())];
    let answer = ground.http.post(url).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answer.json::<Value>().await.unwrap()["error_codes"], json!([90002]));

    let form = [("client_id", "11111111-1111-4111-8111-111111111111"), ("scope", ALL)];
    let answer = ground.http.post(ground.oauth("devicecode")).form(&form).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    assert_eq!((body["error"].as_str(), &body["error_codes"]), (Some("unauthorized_client"), &json!([700_016])));
}

#[tokio::test]
async fn a_device_code_has_what_entra_gives_and_stays_pending_with_status_400() {
    let ground = ground().await;
    let code = ground.device_code(ALL).await;
    assert_eq!(code["user_code"].as_str().unwrap().len(), 9);
    assert_eq!(code["verification_uri"], ground.running.sign_in_page());
    assert_eq!((&code["expires_in"], &code["interval"]), (&json!(900), &json!(1)));
    assert!(code["message"].as_str().unwrap().contains(code["user_code"].as_str().unwrap()));
    assert!(code.get("verification_uri_complete").is_none());

    let (status, body) = ground.poll(&code).await;
    assert_eq!((status, body["error"].as_str()), (StatusCode::BAD_REQUEST, Some("authorization_pending")));
    assert_eq!(body["error_codes"], json!([70016]));
    assert!(body["error_description"].as_str().unwrap().starts_with("AADSTS70016: "));
    for field in ["trace_id", "correlation_id", "timestamp", "error_uri"] {
        assert!(body[field].is_string(), "{field}");
    }
}

#[tokio::test]
async fn an_approved_code_becomes_signed_tokens_once() {
    let ground = ground().await;
    let code = ground.device_code(ALL).await;
    ground.control("approve", &json!({ "user_code": code["user_code"] })).await;
    let (status, tokens) = ground.poll(&code).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let length = tokens["refresh_token"].as_str().unwrap().len();
    assert!((1300..1700).contains(&length), "{length}");

    let access = claims(&tokens["access_token"]);
    assert_eq!(
        (access["upn"].as_str(), access["tid"].as_str()),
        (Some(DANA), Some(&*ground.running.tenant_id().to_string()))
    );
    assert!(access["scp"].as_str().unwrap().contains("BitlockerKey.Read.All"));
    let id = claims(&tokens["id_token"]);
    assert_eq!(id["aud"], ground.client_id());
    for name in ["iss", "sub", "iat", "exp", "nbf", "oid", "preferred_username", "name", "ver"] {
        assert!(!id[name].is_null() && !access[name].is_null(), "{name}");
    }

    let (status, again) = ground.poll(&code).await;
    assert_eq!((status, again["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_grant")));
}

#[tokio::test]
async fn a_token_is_signed_by_the_published_key() {
    let ground = ground().await;
    let tokens = ground.signed_in(DANA, ALL).await;
    let url = format!("{}/common/discovery/v2.0/keys", ground.running.authority());
    let keys: jsonwebtoken::jwk::JwkSet = ground.http.get(url).send().await.unwrap().json().await.unwrap();
    let token = tokens["id_token"].as_str().unwrap();
    let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.set_audience(&[ground.client_id()]);
    let data = jsonwebtoken::decode::<HashMap<String, Value>>(token, &key, &rules).unwrap();
    assert_eq!(data.claims["preferred_username"], DANA);
}

#[tokio::test]
async fn the_short_grant_type_the_short_field_and_client_info_serve_other_clients() {
    let ground = ground().await;
    let code = ground.device_code(ALL).await;
    ground.control("approve", &json!({ "user_code": code["user_code"] })).await;
    let form = [
        ("grant_type", "device_code".to_owned()),
        ("client_id", ground.client_id()),
        ("code", code["device_code"].as_str().unwrap().to_owned()),
        ("client_info", "1".to_owned()),
        ("x-client-SKU", "anything".to_owned()),
    ];
    let url = ground.oauth("token?client-request-id=6f1f6b5e-6c3f-4a5e-9f0a-0b3a1c9d2e4f");
    let answer = ground.http.post(url).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let tokens: Value = answer.json().await.unwrap();
    let info = URL_SAFE_NO_PAD.decode(tokens["client_info"].as_str().unwrap()).unwrap();
    let info: Value = serde_json::from_slice(&info).unwrap();
    assert_eq!(info["utid"], ground.running.tenant_id().to_string());
}

#[tokio::test]
async fn a_request_without_its_fields_is_told_which_one_is_missing() {
    let ground = ground().await;
    for (endpoint, body, missing) in [
        ("devicecode", String::new(), "client_id"),
        ("devicecode", format!("client_id={}", ground.client_id()), "scope"),
        ("token", format!("client_id={}", ground.client_id()), "grant_type"),
        ("token", format!("client_id={}&grant_type=device_code", ground.client_id()), "device_code"),
        ("token", "{\"json\": true}".to_owned(), "client_id"),
    ] {
        let answer = ground.http.post(ground.oauth(endpoint)).body(body).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        assert_eq!((body["error"].as_str(), &body["error_codes"]), (Some("invalid_request"), &json!([900_144])));
        assert!(body["error_description"].as_str().unwrap().contains(&format!("'{missing}'")), "{body}");
    }
}

#[tokio::test]
async fn a_declined_an_expired_and_a_made_up_code_end_each_in_its_own_way() {
    let ground = ground().await;
    let declined = ground.device_code(ALL).await;
    ground.control("decline", &json!({ "user_code": declined["user_code"] })).await;
    assert_eq!(ground.poll(&declined).await.1["error"], "authorization_declined");

    let expired = ground.device_code(ALL).await;
    ground.advance(901).await;
    assert_eq!(ground.poll(&expired).await.1["error"], "expired_token");

    let made_up = json!({ "device_code": "nobody.gave.this" });
    assert_eq!(ground.poll(&made_up).await.1["error"], "bad_verification_code");
}

#[tokio::test]
async fn a_refresh_token_is_replaced_stays_good_and_serves_other_scopes() {
    let ground = ground().await;
    let tokens = ground.signed_in(DANA, "openid offline_access User.Read").await;
    let first = &tokens["refresh_token"];
    let (status, second) = ground.refresh(first, "offline_access https://graph.microsoft.com/Device.Read.All").await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_ne!(&second["refresh_token"], first);
    assert_eq!(claims(&second["access_token"])["scp"], "Device.Read.All");
    assert!(second.get("id_token").is_none());
    let (status, _) = ground.refresh(first, "User.Read").await;
    assert_eq!(status, StatusCode::OK);
    let (_, other) = ground.refresh(first, "https://management.core.windows.net//.default").await;
    assert_eq!(claims(&other["access_token"])["aud"], "https://management.core.windows.net");

    ground.control("revoke", &json!({})).await;
    let (status, refused) = ground.refresh(&second["refresh_token"], "User.Read").await;
    assert_eq!((status, &refused["error_codes"]), (StatusCode::BAD_REQUEST, &json!([50173])));
    assert_eq!(refused["suberror"], "bad_token");
}

#[tokio::test]
async fn without_offline_access_and_openid_there_is_neither_refresh_nor_id_token() {
    let ground = ground().await;
    let tokens = ground.signed_in(DANA, "User.Read").await;
    assert!(tokens.get("refresh_token").is_none() && tokens.get("id_token").is_none());
}

#[tokio::test]
async fn a_scope_without_consent_and_a_person_who_is_blocked_get_no_token() {
    let ground = with(small_with(&[("interval = \"1s\"", "without_consent = [\"AuditLog.Read.All\"]")])).await;
    let code = ground.device_code(ALL).await;
    ground.control("approve", &json!({ "user_code": code["user_code"] })).await;
    let (_, refused) = ground.poll(&code).await;
    assert_eq!((&refused["error_codes"], refused["suberror"].as_str()), (&json!([65001]), Some("consent_required")));

    let code = ground.device_code("User.Read").await;
    let wish = json!({ "user_code": code["user_code"], "as": "blocked@harborview.example" });
    ground.control("approve", &wish).await;
    assert_eq!(ground.poll(&code).await.1["error_codes"], json!([53003]));
}

#[tokio::test]
async fn a_scenario_may_ask_hasty_clients_to_slow_down() {
    let ground = with(small_with(&[("interval = \"1s\"", "interval = \"5s\"\nslow_down = true")])).await;
    let code = ground.device_code(ALL).await;
    assert_eq!(ground.poll(&code).await.1["error"], "authorization_pending");
    assert_eq!(ground.poll(&code).await.1["error"], "slow_down");
    ground.advance(5).await;
    assert_eq!(ground.poll(&code).await.1["error"], "authorization_pending");
}

#[tokio::test]
async fn a_tenant_can_approve_by_itself_after_a_while() {
    let auto_approve = Some(Duration::from_millis(1500));
    let ground = with(Options { scenario: Source::Small, auto_approve, ..Options::default() }).await;
    let code = ground.device_code(ALL).await;
    assert_eq!(ground.poll(&code).await.1["error"], "authorization_pending");
    tokio::time::sleep(Duration::from_millis(1600)).await;
    let (status, tokens) = ground.poll(&code).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(claims(&tokens["access_token"])["upn"], DANA);
}

/// Sign in by browser as far as the address that the browser is sent back to.
async fn sent_back(ground: &Ground, decision: &str, redirect_uri: &str) -> (StatusCode, Option<url::Url>) {
    let verifier_digest = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let client_id = ground.client_id();
    let fields = [
        ("client_id", client_id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", redirect_uri),
        ("scope", "openid offline_access User.Read"),
        ("state", "a & b"),
        ("nonce", "n-1"),
        ("code_challenge", verifier_digest),
        ("code_challenge_method", "S256"),
    ];
    let page = ground.http.get(ground.oauth("authorize")).query(&fields).send().await.unwrap();
    if !page.status().is_success() {
        return (page.status(), None);
    }
    let page = page.text().await.unwrap();
    assert!(page.contains("value=\"a &amp; b\"") && page.contains(DANA));
    let form: Vec<(&str, &str)> = fields.into_iter().chain([("upn", DANA), ("decision", decision)]).collect();
    let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = browser.post(ground.oauth("authorize")).form(&form).send().await.unwrap();
    let location = answer.headers()[header::LOCATION].to_str().unwrap().parse().unwrap();
    (answer.status(), Some(location))
}

/// The verifier and its digest are those of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

#[tokio::test]
async fn a_browser_sign_in_brings_a_code_that_its_verifier_redeems_once() {
    let ground = ground().await;
    let redirect_uri = "http://127.0.0.1:5123/back";
    let (status, back) = sent_back(&ground, "approve", redirect_uri).await;
    assert_eq!(status, StatusCode::FOUND);
    let facts: HashMap<String, String> = back.unwrap().query_pairs().into_owned().collect();
    assert_eq!(facts["state"], "a & b");
    let redeem = async |verifier: &str| {
        let form = [
            ("grant_type", "authorization_code".to_owned()),
            ("client_id", ground.client_id()),
            ("code", facts["code"].clone()),
            ("redirect_uri", redirect_uri.to_owned()),
            ("code_verifier", verifier.to_owned()),
        ];
        ground.token(&form).await
    };
    assert_eq!(redeem("another").await.1["error_codes"], json!([501_481]));
    let (status, tokens) = redeem(VERIFIER).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!(claims(&tokens["id_token"])["nonce"], "n-1");
    assert_eq!(claims(&tokens["access_token"])["upn"], DANA);
    assert_eq!(redeem(VERIFIER).await.1["error_codes"], json!([54005]));
}

#[tokio::test]
async fn a_browser_sign_in_can_be_declined_and_goes_nowhere_but_to_this_computer() {
    let ground = ground().await;
    let (_, back) = sent_back(&ground, "decline", "http://localhost:5123/").await;
    let facts: HashMap<String, String> = back.unwrap().query_pairs().into_owned().collect();
    assert_eq!((facts["error"].as_str(), facts.get("code")), ("access_denied", None));
    let (status, back) = sent_back(&ground, "approve", "https://elsewhere.example/").await;
    assert_eq!((status, back), (StatusCode::BAD_REQUEST, None));
}

async fn post_page(ground: &Ground, path: &str, form: &[(&str, &str)]) -> (StatusCode, String) {
    let answer = ground.http.post(ground.running.authority() + path).form(form).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn on_the_page_a_person_types_the_code_chooses_who_they_are_and_approves() {
    let ground = ground().await;
    let code = ground.device_code(ALL).await;
    let answer = ground.http.get(ground.running.sign_in_page()).send().await.unwrap();
    assert!(answer.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    let page = answer.text().await.unwrap();
    assert!(page.contains("<label") && page.contains("name=\"user_code\"") && page.contains("Approve only a code"));

    // Blanks, hyphens and small letters are forgiven.
    let user_code = code["user_code"].as_str().unwrap();
    let typed = format!(" {}-{} ", &user_code[..4].to_lowercase(), &user_code[4..]);
    let (status, page) = post_page(&ground, "/devicelogin", &[("user_code", &typed)]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains(DANA) && page.contains("Mara Voss") && page.contains("Helpdesk Administrator"));

    let form = [("user_code", user_code), ("upn", MARA), ("decision", "approve")];
    let (status, page) = post_page(&ground, "/devicelogin/decide", &form).await;
    assert!(status.is_success() && page.contains("Signed in"));
    let (_, tokens) = ground.poll(&code).await;
    assert_eq!(claims(&tokens["access_token"])["upn"], MARA);
}

#[tokio::test]
async fn on_the_page_a_sign_in_can_be_declined_and_a_wrong_code_is_said_to_be_one() {
    let ground = ground().await;
    let code = ground.device_code(ALL).await;
    let (status, page) = post_page(&ground, "/devicelogin", &[("user_code", "<script>")]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));

    let form = [("user_code", code["user_code"].as_str().unwrap()), ("decision", "decline")];
    let (_, page) = post_page(&ground, "/devicelogin/decide", &form).await;
    assert!(page.contains("Declined"));
    assert_eq!(ground.poll(&code).await.1["error"], "authorization_declined");
}
