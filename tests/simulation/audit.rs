use std::collections::HashSet;

use reqwest::StatusCode;
use serde_json::Value;

use super::{ALL, AUDITS, Caller, DANA, Ground, KEYS, SAM, ground, ids, small_with, with};

/// Sam of security may read keys and the audit log.
async fn sam(ground: &Ground) -> Caller<'_> {
    ground.caller(SAM, ALL).await
}

fn first_key(ground: &Ground) -> String {
    ground.running.tenant().incoming_caller(0).unwrap().key_id.to_string()
}

async fn of(caller: &Caller<'_>, activity: &str, key: &str) -> Vec<Value> {
    let path = format!("{AUDITS}?$filter=activityDisplayName eq '{activity}'");
    let found = caller.list(&path).await;
    found.into_iter().filter(|record| record["targetResources"][0]["displayName"] == key).collect()
}

#[tokio::test]
async fn a_read_is_recorded_late_with_who_and_which_key() {
    let ground = ground().await;
    let sam = sam(&ground).await;
    let key = first_key(&ground);
    sam.get(&format!("{KEYS}/{key}?$select=key")).await;
    assert!(of(&sam, "Read BitLocker key", &key).await.is_empty(), "records appear late");
    ground.advance(301).await;
    let record = of(&sam, "Read BitLocker key", &key).await.remove(0);
    assert_eq!((record["category"].as_str(), record["result"].as_str()), (Some("KeyManagement"), Some("success")));
    assert_eq!(record["loggedByService"], "Device Registration Service");
    assert_eq!(record["initiatedBy"]["user"]["userPrincipalName"], SAM);
    let info = record["additionalDetails"][0]["value"].as_str().unwrap();
    assert!(info.starts_with("Successfully retrieved BitLocker recovery key") && info.contains(&key), "{info}");
}

#[tokio::test]
async fn a_read_that_showed_no_digits_is_recorded_and_one_of_metadata_is_not() {
    let ground = ground().await;
    let sam = sam(&ground).await;
    let (one, two) = (first_key(&ground), ground.running.tenant().incoming_caller(1).unwrap().key_id.to_string());
    sam.get(&format!("{KEYS}/{one}?$select=key,id")).await;
    sam.get(&format!("{KEYS}/{two}")).await;
    ground.advance(301).await;
    assert!(!of(&sam, "Read BitLocker key", &one).await.is_empty());
    assert!(of(&sam, "Read BitLocker key", &two).await.is_empty());
}

#[tokio::test]
async fn some_records_come_twice_under_two_ids() {
    let ground = with(small_with(&[("doubled_every = 3", "doubled_every = 1")])).await;
    let sam = sam(&ground).await;
    let key = first_key(&ground);
    sam.get(&format!("{KEYS}/{key}?$select=key")).await;
    ground.advance(301).await;
    let records = of(&sam, "Read BitLocker key", &key).await;
    let unique: HashSet<&str> = ids(&records).into_iter().collect();
    assert_eq!((records.len(), unique.len()), (2, 2));
    assert_eq!(records[0]["correlationId"], records[1]["correlationId"]);
}

#[tokio::test]
async fn a_rotation_leaves_records_of_the_new_key_and_of_the_deleted_one() {
    let ground = ground().await;
    let dana = ground.dana().await;
    dana.rotate(&dana.managed("HVC-LT-0207").await).await;
    ground.advance(295 + 301).await;
    let sam = sam(&ground).await;
    let path = |activity: &str| {
        format!("{AUDITS}?$filter=activityDisplayName eq '{activity} BitLocker key'&$select=targetResources")
    };
    let named = async |activity: &str, prefix: &str| {
        let records = sam.list(&path(activity)).await;
        records.iter().any(|record| record["targetResources"][0]["displayName"].as_str().unwrap().starts_with(prefix))
    };
    assert!(named("Add", "5d20b8f3").await && named("Delete", "7a41c09e").await);
}

#[tokio::test]
async fn keys_escrowed_in_the_last_thirty_days_have_their_record_from_the_beginning() {
    let ground = ground().await;
    let sam = sam(&ground).await;
    let records = sam.list(&format!("{AUDITS}?$filter=activityDisplayName eq 'Add BitLocker key'")).await;
    let keys: Vec<&str> = records.iter().map(|r| r["targetResources"][0]["displayName"].as_str().unwrap()).collect();
    assert!(keys.iter().any(|id| id.starts_with("04c7ae96")) && !keys.iter().any(|id| id.starts_with("4f2b91c0")));
    let dates: Vec<&str> = records.iter().map(|record| record["activityDateTime"].as_str().unwrap()).collect();
    assert!(dates.is_sorted_by(|newer, older| newer >= older), "newest first: {dates:?}");
}

#[tokio::test]
async fn records_are_filtered_by_actor_time_and_target_and_come_in_pages() {
    let ground = ground().await;
    let sam = sam(&ground).await;
    let key = first_key(&ground);
    sam.get(&format!("{KEYS}/{key}?$select=key")).await;
    ground.advance(301).await;
    let me = sam.get("/v1.0/me").await["id"].as_str().unwrap().to_owned();
    let minutes_ago = (ground.running.tenant().now() - jiff::SignedDuration::from_mins(7)).to_string();
    let count = async |filter: String| sam.list(&format!("{AUDITS}?$filter={filter}")).await.len();
    let read = "activityDisplayName eq 'Read BitLocker key'";
    assert!(
        count(format!("{read} and initiatedBy/user/id eq '{me}' and activityDateTime ge {minutes_ago}")).await >= 1
    );
    assert_eq!(count(format!("{read} and activityDateTime le {minutes_ago}")).await, 0);
    assert!(count(format!("targetResources/any(t: t/displayName eq '{key}')")).await >= 1);
    assert!(count("startswith(initiatedBy/user/userPrincipalName,'sam@')".to_owned()).await >= 1);
    let (status, _) = sam.refused(&format!("{AUDITS}?$filter=category eq 'KeyManagement'")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let page = sam.get(&format!("{AUDITS}?$top=100")).await;
    assert!(page.get("@odata.nextLink").is_none());
    let all = page["value"].as_array().unwrap().clone();
    let first = sam.get(&format!("{AUDITS}?$top=2")).await;
    let second = sam.list(first["@odata.nextLink"].as_str().unwrap()).await;
    let joined: Vec<Value> = first["value"].as_array().unwrap().iter().cloned().chain(second).collect();
    assert_eq!(joined[..], all[..4]);
}

#[tokio::test]
async fn a_helpdesk_administrator_may_read_keys_and_not_the_log_of_it() {
    let ground = ground().await;
    for (upn, scope) in [(DANA, ALL), (SAM, "User.Read")] {
        let (status, error) = ground.caller(upn, scope).await.refused(AUDITS).await;
        assert_eq!((status, error["code"].as_str()), (StatusCode::FORBIDDEN, Some("Authorization_RequestDenied")));
    }
}

#[tokio::test]
async fn a_scenario_may_hold_audit_queries_to_their_published_rate() {
    let ground = with(small_with(&[("page_size = 100", "audit_queries_in_ten_seconds = 5")])).await;
    let sam = sam(&ground).await;
    for _ in 0..5 {
        sam.get(AUDITS).await;
    }
    let (status, error) = sam.refused(AUDITS).await;
    assert_eq!((status, error["code"].as_str()), (StatusCode::TOO_MANY_REQUESTS, Some("TooManyRequests")));
    ground.advance(10).await;
    sam.get(AUDITS).await;
}
