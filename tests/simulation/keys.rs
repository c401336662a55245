use keydesk::simulation::{Options, Source};
use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

use super::{ALL, DANA, KEYS, MARA, NOEL, ground, ids, small_with, starting, valid, with};

#[tokio::test]
async fn the_keys_of_a_device_are_listed_as_metadata_only() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let device = dana.device("HVC-LT-0421").await;
    let keys = dana.keys_of(device["deviceId"].as_str().unwrap()).await;
    assert_eq!(keys.len(), 3);
    for prefix in ["4F2B91C0", "A1093C55", "E25B7F04"] {
        let key = starting(&keys, prefix).unwrap();
        assert_eq!((&key["volumeType"], &key["deviceId"]), (&json!("1"), &device["deviceId"]));
        assert!(key.get("key").is_none());
        let created = key["createdDateTime"].as_str().unwrap();
        assert_eq!(created.len(), "2020-06-15T13:45:30.0000000Z".len(), "{created}");
    }
}

#[tokio::test]
async fn a_whole_listing_leads_through_its_pages_by_absolute_links() {
    let mut options = small_with(&[]);
    options.page_size = Some(7);
    let ground = with(options).await;
    let dana = ground.dana().await;
    let mut seen: Vec<String> = Vec::new();
    let mut next = Some(KEYS.to_owned());
    while let Some(path) = next {
        let page = dana.get(&path).await;
        let entries = page["value"].as_array().unwrap();
        assert!(entries.len() <= 7);
        seen.extend(ids(entries).into_iter().map(str::to_owned));
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
        if let Some(link) = &next {
            assert!(link.starts_with(&ground.running.graph()), "{link}");
        }
    }
    let all = ground.running.tenant().dump()["keys"].as_array().unwrap().len();
    let mut unique = seen.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!((seen.len(), unique.len()), (all, all));
    assert!(all > 200);
}

#[tokio::test]
async fn a_next_link_works_with_its_quotes_encoded_or_plain_and_keeps_the_host() {
    let mut options = small_with(&[]);
    options.page_size = Some(7);
    let ground = with(options).await;
    let dana = ground.dana().await;
    let link = dana.get(KEYS).await["@odata.nextLink"].as_str().unwrap().to_owned();
    assert!(link.contains('\''), "{link}");
    let plain = dana.list(&link).await;
    let encoded = dana.list(&link.replace('\'', "%27").replace("$skiptoken", "%24skiptoken")).await;
    assert_eq!(plain, encoded);

    let request = dana.request(Method::GET, KEYS);
    let request = request.header("X-Forwarded-Proto", "https").header("X-Forwarded-Host", "graph.sim.example");
    let page: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(page["@odata.nextLink"].as_str().unwrap().starts_with("https://graph.sim.example/v1.0/"));
}

#[tokio::test]
async fn a_scenario_may_put_an_empty_page_with_a_next_link_into_a_listing() {
    let mut options = small_with(&[("page_size = 100", "empty_page_every = 2")]);
    options.page_size = Some(50);
    let ground = with(options).await;
    let dana = ground.dana().await;
    let first = dana.get(KEYS).await;
    let second = dana.get(first["@odata.nextLink"].as_str().unwrap()).await;
    assert_eq!(second["value"], json!([]));
    let third = dana.get(second["@odata.nextLink"].as_str().unwrap()).await;
    assert_eq!(third["value"].as_array().unwrap().len(), 50);
}

#[rstest]
#[case("$top=5")]
#[case("%24top=5")]
#[case("$count=true")]
#[case("$orderby=createdDateTime")]
#[case("$filter=startswith(id,'4f2b')")]
#[case("$filter=volumeType eq '1'")]
#[case("$filter=deviceId eq 'no-guid'")]
#[tokio::test]
async fn a_listing_refuses_what_it_does_not_support(#[case] query: &str) {
    let ground = ground().await;
    let (status, _) = ground.dana().await.refused(&format!("{KEYS}?{query}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_device_without_keys_and_one_nobody_knows_have_an_empty_list() {
    let ground = ground().await;
    let keys = ground.dana().await.keys_of("11111111-1111-4111-8111-111111111111").await;
    assert!(keys.is_empty());
}

#[rstest]
#[case("$select=key")]
#[case("%24select=key")]
#[tokio::test]
async fn exactly_select_key_discloses_48_valid_digits_at_top_level(#[case] query: &str) {
    let ground = ground().await;
    let dana = ground.dana().await;
    let id = current(&ground);
    let entity = dana.get(&format!("{KEYS}/{id}?{query}")).await;
    assert!(valid(entity["key"].as_str().unwrap()));
    assert_eq!(entity["id"], id);
    assert!(entity["deviceId"].is_string() && entity["createdDateTime"].is_string());
    let upper = dana.get(&format!("{KEYS}/{}?{query}", id.to_uppercase())).await;
    assert_eq!(upper["key"], entity["key"]);
    assert_eq!(ground.running.tenant().recovery_password(id.parse().unwrap()).as_deref(), entity["key"].as_str());
}

/// Id of the key on the first caller's screen.
fn current(ground: &super::Ground) -> String {
    ground.running.tenant().incoming_caller(0).unwrap().key_id.to_string()
}

#[rstest]
#[case("")]
#[case("?$select=key,id")]
#[case("?$select=id,key,createdDateTime")]
#[case("?$select=Key")]
#[tokio::test]
async fn any_other_request_for_a_key_answers_200_without_digits(#[case] query: &str) {
    let ground = ground().await;
    let dana = ground.dana().await;
    let entity = dana.get(&format!("{KEYS}/{}{query}", current(&ground))).await;
    assert!(entity.get("key").is_none(), "{entity}");
}

#[tokio::test]
async fn a_key_nobody_knows_is_404_and_no_guid_is_400() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let (status, error) = dana.refused(&format!("{KEYS}/11111111-1111-4111-8111-111111111111?$select=key")).await;
    assert_eq!((status, error["code"].as_str()), (StatusCode::NOT_FOUND, Some("NotFound")));
    assert_eq!(dana.refused(&format!("{KEYS}/4F2B91C0?$select=key")).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_missing_scope_and_a_missing_role_are_refused_alike() {
    let ground = ground().await;
    for (upn, scope) in [(DANA, "User.Read Device.Read.All"), (NOEL, ALL)] {
        let caller = ground.caller(upn, scope).await;
        let (status, error) = caller.refused(&format!("{KEYS}/{}?$select=key", current(&ground))).await;
        assert_eq!((status, error["code"].as_str()), (StatusCode::FORBIDDEN, Some("authorization_error")));
        let inner = &error["innerError"];
        assert!(inner["request-id"].is_string() && inner["client-request-id"].is_string());
        assert_eq!(inner["date"].as_str().unwrap().len(), "2025-04-09T04:32:16".len());
    }
}

#[tokio::test]
async fn the_basic_scope_lists_and_does_not_disclose() {
    let ground = ground().await;
    let basic = ground.caller(DANA, "BitlockerKey.ReadBasic.All").await;
    assert!(!basic.list(KEYS).await.is_empty());
    let (status, _) = basic.refused(&format!("{KEYS}/{}?$select=key", current(&ground))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_owner_reads_the_keys_of_their_own_device_and_no_others() {
    let ground = ground().await;
    let mara = ground.caller(MARA, ALL).await;
    let own = mara.get(&format!("{KEYS}/{}?$select=key", current(&ground))).await;
    assert!(valid(own["key"].as_str().unwrap()));
    let foreign = ground.running.tenant().incoming_caller(1).unwrap().key_id;
    assert_eq!(mara.refused(&format!("{KEYS}/{foreign}?$select=key")).await.0, StatusCode::FORBIDDEN);
    // The six of two HVC-LT-0421, the 0888's, and the one with the Japanese name.
    assert_eq!(mara.list(KEYS).await.len(), 8);
}

#[tokio::test]
async fn a_token_that_is_missing_broken_or_expired_is_401() {
    let ground = ground().await;
    let mut dana = ground.dana().await;
    let good = dana.token.clone();
    for token in [String::new(), "no.jwt.at-all".to_owned(), format!("{good}x")] {
        dana.token = token;
        let (status, error) = dana.refused(KEYS).await;
        assert_eq!((status, error["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("InvalidAuthenticationToken")));
    }
    dana.token = good;
    assert_eq!(dana.ask(KEYS).await.status(), StatusCode::OK);
    ground.advance(3601).await;
    let answer = dana.ask(KEYS).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
}

#[tokio::test]
async fn a_scenario_may_insist_on_the_client_headers() {
    let ground = with(small_with(&[("page_size = 100", "insist_on_client_headers = true")])).await;
    let dana = ground.dana().await;
    assert_eq!(dana.refused(KEYS).await.0, StatusCode::BAD_REQUEST);
    let request = dana.request(Method::GET, KEYS).header("ocp-client-name", "test").header("ocp-client-version", "1");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn volume_types_come_as_graph_sends_them() {
    let ground = with(Options { scenario: Source::Small, page_size: Some(1000), ..Options::default() }).await;
    let dana = ground.dana().await;
    let device = dana.device("HVC-WS-LAB-MICROSCOPY-02").await;
    let keys = dana.keys_of(device["deviceId"].as_str().unwrap()).await;
    let volume = |prefix| starting(&keys, prefix).unwrap()["volumeType"].clone();
    assert_eq!((volume("63A8D95E"), volume("4F2BE3D4"), volume("D8811C6A")), (json!("1"), json!("2"), json!("3")));
    let all = dana.list(KEYS).await;
    assert_eq!(starting(&all, "5BC27E4F").unwrap()["volumeType"], Value::Null);
}
