use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

use super::{ALL, Caller, DANA, ground, small_with, starting, with};

const DEVICES: &str = "/v1.0/devices";

async fn names(caller: &Caller<'_>, query: &str) -> Vec<String> {
    let found = caller.list(&format!("{DEVICES}?{query}")).await;
    let mut names: Vec<String> =
        found.iter().map(|device| device["displayName"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn the_three_objects_of_one_name_are_told_apart_by_their_facts() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let found = dana.list(&format!("{DEVICES}?$filter=displayName eq 'hvc-lt-0421'")).await;
    assert_eq!(found.len(), 3);
    let (live, stale) = (starting(&found, "3c1e4a").unwrap(), starting(&found, "77b0e2").unwrap());
    let twin = starting(&found, "b2d917").unwrap();
    let hardware = |device: &Value| {
        let ids = device["physicalIds"].as_array().unwrap().clone();
        ids.iter().filter_map(Value::as_str).map(str::to_lowercase).find(|id| id.starts_with("[ztdid]:"))
    };
    assert!(hardware(live).is_some() && hardware(live) == hardware(stale) && hardware(twin).is_none());
    assert_eq!((&live["trustType"], &twin["trustType"]), (&json!("AzureAd"), &json!("Workplace")));
    assert!(live["approximateLastSignInDateTime"].as_str() > stale["approximateLastSignInDateTime"].as_str());
    assert_eq!(
        (&live["isCompliant"], &live["isManaged"], &live["accountEnabled"]),
        (&json!(true), &json!(true), &json!(true))
    );
    assert_eq!(dana.keys_of(stale["deviceId"].as_str().unwrap()).await.len(), 3);
    assert_eq!(dana.keys_of(twin["deviceId"].as_str().unwrap()).await.len(), 0);
    assert_ne!(live["id"], live["deviceId"]);
}

#[rstest]
#[case("$filter=startswith(displayName,'HVC-LT-09')", &["HVC-LT-0910"])]
#[case("$filter=startsWith(displayName, 'hvc-dt')", &["HVC-DT-0044", "HVC-DT-0051"])]
#[case("$filter=displayName eq 'محطة-O''Brien-A-VERY-LONG-NAME-THAT-SOMEBODY-TYPED-INTO-THE-PROVISIONING-PACKAGE-AND-NOBODY-EVER-SHORTENED-AGAIN'&$select=displayName",
    &["محطة-O'Brien-A-VERY-LONG-NAME-THAT-SOMEBODY-TYPED-INTO-THE-PROVISIONING-PACKAGE-AND-NOBODY-EVER-SHORTENED-AGAIN"])]
#[case("$filter=startswith(displayName,'放射')", &["放射線科ノートPC三号機"])]
#[case("$filter=accountEnabled eq false", &["HVC-LT-0600"])]
#[case("$filter=displayName eq 'HVC-LT-0777'", &[])]
#[tokio::test]
async fn a_filter_finds_the_devices_it_names(#[case] query: &str, #[case] expected: &[&str]) {
    let ground = ground().await;
    assert_eq!(names(&ground.dana().await, query).await, expected);
}

#[tokio::test]
async fn a_device_is_found_by_its_device_id_in_three_ways() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let device = dana.device("HVC-LT-1180").await;
    let (object, id) = (device["id"].as_str().unwrap(), device["deviceId"].as_str().unwrap());
    let by_filter = dana.list(&format!("{DEVICES}?$filter=deviceId eq '{id}'")).await;
    assert_eq!(by_filter, std::slice::from_ref(&device));
    for path in [
        format!("{DEVICES}(deviceId='{id}')"),
        format!("{DEVICES}(deviceId=%27{id}%27)"),
        format!("{DEVICES}/{object}"),
    ] {
        assert_eq!(dana.get(&path).await["displayName"], "HVC-LT-1180", "{path}");
    }
    let chosen = dana.get(&format!("{DEVICES}(deviceId='{id}')?$select=displayName,trustType")).await;
    let properties: Vec<&str> = chosen.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(properties, ["@odata.context", "displayName", "trustType"]);
}

#[tokio::test]
async fn a_deleted_device_is_404_and_its_keys_live_on() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let dump = ground.running.tenant().dump();
    let deleted = dump["devices"].as_array().unwrap().iter().find(|device| device["deleted"] == true).unwrap().clone();
    let id = deleted["device_id"].as_str().unwrap();
    let (status, error) = dana.refused(&format!("{DEVICES}(deviceId='{id}')")).await;
    assert_eq!((status, error["code"].as_str()), (StatusCode::NOT_FOUND, Some("Request_ResourceNotFound")));
    let keys = dana.keys_of(id).await;
    assert!(starting(&keys, "2D5E90BB").is_some());
}

#[tokio::test]
async fn a_search_needs_its_header() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let path = format!("{DEVICES}?$search=\"displayName:0421\"&$count=true");
    let (status, error) = dana.refused(&path).await;
    assert_eq!((status, error["code"].as_str()), (StatusCode::BAD_REQUEST, Some("Request_UnsupportedQuery")));
    let request = dana.request(Method::GET, &path).header("ConsistencyLevel", "eventual");
    let found: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((found["value"].as_array().unwrap().len(), &found["@odata.count"]), (3, &json!(3)));
}

#[tokio::test]
async fn an_advanced_filter_needs_header_and_count() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let ask = async |query: &str, header: bool| {
        let request = dana.request(Method::GET, &format!("{DEVICES}?{query}"));
        let request = if header { request.header("ConsistencyLevel", "eventual") } else { request };
        request.send().await.unwrap().status()
    };
    assert_eq!(ask("$filter=trustType ne 'AzureAd'&$count=true", false).await, StatusCode::BAD_REQUEST);
    assert_eq!(ask("$filter=trustType ne 'AzureAd'", true).await, StatusCode::BAD_REQUEST);
    assert_eq!(ask("$filter=trustType ne 'AzureAd'&$count=true", true).await, StatusCode::OK);
    assert_eq!(ask("$filter=model eq 'Latitude 5440'", true).await, StatusCode::BAD_REQUEST);
    assert_eq!(ask("$filter=displayName like 'x'", true).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_plain_listing_is_paged_by_top_and_by_the_page_size() {
    let mut options = small_with(&[]);
    options.page_size = Some(6);
    let ground = with(options).await;
    let dana = ground.dana().await;
    let first = dana.get(&format!("{DEVICES}?$select=id")).await;
    assert_eq!(first["value"].as_array().unwrap().len(), 6);
    let next = first["@odata.nextLink"].as_str().unwrap();
    let second = dana.list(next).await;
    assert!(second.iter().all(|device| device.as_object().unwrap().len() == 1), "the link keeps $select");
    assert!(second.iter().all(|device| !first["value"].as_array().unwrap().contains(device)));

    assert_eq!(dana.list(&format!("{DEVICES}?$top=4")).await.len(), 4);
    for top in ["0", "1000", "many"] {
        assert_eq!(dana.refused(&format!("{DEVICES}?$top={top}")).await.0, StatusCode::BAD_REQUEST, "{top}");
    }
}

#[tokio::test]
async fn a_hybrid_device_has_no_owner_and_a_pending_one_no_dates() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let hybrid = dana.device("HVC-DT-0044").await;
    let owners = dana.list(&format!("{DEVICES}/{}/registeredOwners", hybrid["id"].as_str().unwrap())).await;
    assert!(owners.is_empty());
    let pending = dana.device("HVC-DT-0051").await;
    assert_eq!(
        (&pending["registrationDateTime"], &pending["approximateLastSignInDateTime"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn an_owner_comes_with_name_and_department() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let id = dana.device("HVC-LT-0421").await["deviceId"].as_str().unwrap().to_owned();
    let owners = dana.list(&format!("{DEVICES}(deviceId='{id}')/registeredOwners")).await;
    assert_eq!((&owners[0]["displayName"], &owners[0]["department"]), (&json!("Mara Voss"), &json!("Radiology")));
    let expand = "$expand=registeredOwners($select=userPrincipalName,displayName)&$select=displayName";
    let device = dana.get(&format!("{DEVICES}(deviceId='{id}')?{expand}")).await;
    let owner = &device["registeredOwners"][0];
    assert_eq!((&owner["displayName"], owner.get("department")), (&json!("Mara Voss"), None));
}

#[tokio::test]
async fn hostile_names_arrive_as_they_are() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let all = names(&dana, "$top=999").await;
    assert!(all.iter().any(|name| name.contains("\u{1b}[31m") && name.contains('\u{7}') && name.contains("\r\n")));
    assert!(all.iter().any(|name| name.contains('\u{202e}')));
}

#[tokio::test]
async fn a_missing_scope_is_refused_as_the_directory_refuses() {
    let ground = ground().await;
    let caller = ground.caller(DANA, "BitlockerKey.Read.All").await;
    let device = "11111111-1111-4111-8111-111111111111";
    let paths = [
        "/v1.0/me",
        "/v1.0/organization",
        DEVICES,
        &format!("{DEVICES}/{device}"),
        "/v1.0/users/dana@harborview.example",
    ];
    for path in paths {
        let (status, error) = caller.refused(path).await;
        let code = error["code"].as_str();
        assert_eq!((status, code), (StatusCode::FORBIDDEN, Some("Authorization_RequestDenied")), "{path}");
    }
}

#[tokio::test]
async fn me_and_the_organisation_say_who_and_where() {
    let ground = ground().await;
    let dana = ground.caller(DANA, ALL).await;
    let me = dana.get("/v1.0/me?$select=displayName,userPrincipalName,id").await;
    assert_eq!((&me["userPrincipalName"], &me["displayName"]), (&json!(DANA), &json!("Dana Reyes")));
    let organization = dana.list("/v1.0/organization").await;
    assert_eq!(organization[0]["displayName"], "Harborview Clinics");
    assert_eq!(organization[0]["id"], ground.running.tenant_id().to_string());
    assert_eq!(organization[0]["verifiedDomains"][0]["name"], "harborview.example");
}

#[tokio::test]
async fn an_answer_carries_its_ids_and_the_tenants_date() {
    let ground = ground().await;
    let dana = ground.dana().await;
    ground.advance(86_400 * 3).await;
    let dana = super::Caller { token: ground.dana().await.token, ..dana };
    let sent = "6f1f6b5e-6c3f-4a5e-9f0a-0b3a1c9d2e4f";
    let answer = dana.request(Method::GET, "/v1.0/me").header("client-request-id", sent).send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("client-request-id"), sent);
    assert_eq!(header("request-id").len(), 36);
    assert!(header("content-type").starts_with("application/json;odata.metadata=minimal"));
    assert_eq!(answer.headers().get_all("date").iter().count(), 1);
    let date = jiff::fmt::rfc2822::parse(&header("date")).unwrap().timestamp();
    let ahead = date.duration_since(jiff::Timestamp::now()).as_hours();
    assert!((71..=72).contains(&ahead), "{ahead} h ahead");
}

#[tokio::test]
async fn paths_that_graph_does_not_have_are_refused_in_its_words() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let (status, error) = dana.refused("/v1.0/informationProtection/bitlocker").await;
    assert_eq!((status, error["message"].as_str()), (StatusCode::NOT_FOUND, Some("Unsupported method or endpoint.")));
    let (status, error) = dana.refused("/v1.0/toasters").await;
    assert_eq!((status, error["code"].as_str()), (StatusCode::BAD_REQUEST, Some("BadRequest")));
}
