use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

use super::{ALL, BETA_MANAGED, Caller, DANA, KEYS, MANAGED, NOEL, SAM, ground, small_with, starting, valid, with};

/// State and code of the rotation that a managed device reports.
async fn reported(caller: &Caller<'_>, managed: &Value) -> (String, i64) {
    let path = format!("{MANAGED}/{}?$select=deviceActionResults", managed["id"].as_str().unwrap());
    let results = caller.get(&path).await["deviceActionResults"].clone();
    let rotation = &results.as_array().unwrap()[0];
    assert!(rotation["actionName"].as_str().unwrap().to_lowercase().contains("bitlocker"));
    assert_eq!(rotation["@odata.type"], "#microsoft.graph.rotateBitLockerKeysDeviceActionResult");
    (rotation["actionState"].as_str().unwrap().to_owned(), rotation["errorCode"].as_i64().unwrap())
}

async fn keys(caller: &Caller<'_>, name: &str) -> Vec<Value> {
    let device = caller.device(name).await;
    caller.keys_of(device["deviceId"].as_str().unwrap()).await
}

#[tokio::test]
async fn a_rotation_is_pending_then_done_then_there_is_a_new_key() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let managed = dana.managed("HVC-LT-0421").await;
    let before = keys(&dana, "HVC-LT-0421").await;
    let answer = dana.rotate(&managed).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(answer.bytes().await.unwrap().len(), 0);
    assert_eq!(reported(&dana, &managed).await, ("pending".to_owned(), 0));

    ground.advance(241).await;
    assert_eq!(reported(&dana, &managed).await, ("done".to_owned(), 0));
    assert_eq!(keys(&dana, "HVC-LT-0421").await.len(), before.len());

    ground.advance(20).await;
    let after = keys(&dana, "HVC-LT-0421").await;
    assert_eq!(after.len(), before.len() + 1);
    let new = after.iter().find(|key| !before.contains(key)).unwrap();
    assert_eq!(new["volumeType"], "1");
    assert!(new["createdDateTime"].as_str() > before.iter().map(|key| key["createdDateTime"].as_str().unwrap()).max());
    let read = dana.get(&format!("{KEYS}/{}?$select=key", new["id"].as_str().unwrap())).await;
    assert!(valid(read["key"].as_str().unwrap()));
    assert!(starting(&after, "4F2B91C0").is_some(), "this laptop leaves its old keys in Entra");
}

#[tokio::test]
async fn a_rotation_replaces_os_and_data_drive_and_leaves_the_removable_one() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let name = "HVC-WS-LAB-MICROSCOPY-02";
    let before = keys(&dana, name).await;
    let managed = dana.managed(name).await;
    dana.rotate(&managed).await;
    ground.advance(300).await;
    let new: Vec<Value> = keys(&dana, name).await.into_iter().filter(|key| !before.contains(key)).collect();
    let mut volumes: Vec<&str> = new.iter().map(|key| key["volumeType"].as_str().unwrap()).collect();
    volumes.sort_unstable();
    assert_eq!(volumes, ["1", "2"]);
}

#[tokio::test]
async fn a_device_may_delete_the_key_it_replaced() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let managed = dana.managed("HVC-LT-0207").await;
    dana.rotate(&managed).await;
    ground.advance(265).await;
    let both = keys(&dana, "HVC-LT-0207").await;
    assert!(starting(&both, "5D20B8F3").is_some() && starting(&both, "7A41C09E").is_some());
    ground.advance(30).await;
    let one = keys(&dana, "HVC-LT-0207").await;
    assert!(one.len() == 1 && starting(&one, "5D20B8F3").is_some(), "{one:?}");
}

#[tokio::test]
async fn a_rotation_may_fail_with_an_hresult_or_stay_pending_for_good() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let (fails, offline) = (dana.managed("HVC-LT-0098").await, dana.managed("HVC-LT-0333").await);
    dana.rotate(&fails).await;
    dana.rotate(&offline).await;
    ground.advance(3000).await;
    assert_eq!(reported(&dana, &fails).await, ("failed".to_owned(), -2_144_272_166));
    assert_eq!(reported(&dana, &offline).await, ("pending".to_owned(), 0));
    assert_eq!(keys(&dana, "HVC-LT-0098").await.len(), 1);
    assert_eq!(keys(&dana, "HVC-LT-0333").await.len(), 1);
}

#[tokio::test]
async fn a_device_at_the_limit_of_200_keys_can_escrow_no_more() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let managed = dana.managed("HVC-LT-0910").await;
    for _ in 0..10 {
        dana.rotate(&managed).await;
        ground.advance(270).await;
        assert_eq!(reported(&dana, &managed).await.0, "done");
    }
    dana.rotate(&managed).await;
    ground.advance(270).await;
    assert_eq!(reported(&dana, &managed).await, ("failed".to_owned(), -2_144_272_159));
}

#[tokio::test]
async fn windows_may_replace_a_key_that_was_read_without_being_asked() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let before = keys(&dana, "HVC-LT-0888").await;
    let read = before[0]["id"].as_str().unwrap();
    dana.get(&format!("{KEYS}/{read}?$select=key")).await;
    ground.advance(570).await;
    assert_eq!(keys(&dana, "HVC-LT-0888").await.len(), 1);
    ground.advance(31).await;
    assert_eq!(keys(&dana, "HVC-LT-0888").await.len(), 2);
}

#[tokio::test]
async fn speed_divides_how_long_things_take_and_not_how_long_tokens_live() {
    let mut options = small_with(&[]);
    options.speed = 4.0;
    let ground = with(options).await;
    let tokens = ground.signed_in(DANA, ALL).await;
    assert_eq!(tokens["expires_in"], 3600);
    let dana = ground.dana().await;
    let managed = dana.managed("HVC-LT-0421").await;
    dana.rotate(&managed).await;
    ground.advance(40).await;
    assert_eq!(reported(&dana, &managed).await.0, "pending");
    ground.advance(21).await;
    assert_eq!(reported(&dana, &managed).await.0, "done");
}

#[rstest]
#[case::no_body(None)]
#[case::an_empty_form(Some(("application/x-www-form-urlencoded", "")))]
#[case::an_empty_object(Some(("application/json", "{}")))]
#[tokio::test]
async fn a_rotation_is_accepted_with_whatever_body_clients_send(#[case] body: Option<(&str, &'static str)>) {
    let ground = ground().await;
    let dana = ground.dana().await;
    let managed = dana.managed("HVC-LT-0421").await;
    let path = format!("{BETA_MANAGED}/{}/rotateBitLockerKeys", managed["id"].as_str().unwrap());
    let request = dana.request(Method::POST, &path);
    let request = match body {
        Some((kind, text)) => request.header("Content-Type", kind).body(text),
        None => request,
    };
    assert_eq!(request.send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_rotation_needs_scope_role_and_the_beta_path() {
    let ground = ground().await;
    let managed = ground.dana().await.managed("HVC-LT-0421").await;
    for (upn, scope) in [(DANA, "DeviceManagementManagedDevices.Read.All"), (NOEL, ALL), (SAM, ALL)] {
        let caller = ground.caller(upn, scope).await;
        assert_eq!(caller.rotate(&managed).await.status(), StatusCode::FORBIDDEN, "{upn}");
    }
    let dana = ground.dana().await;
    let path = format!("{MANAGED}/{}/rotateBitLockerKeys", managed["id"].as_str().unwrap());
    let answer = dana.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(ground.running.tenant().dump()["due"] == json!([]), "nothing was begun");
}
