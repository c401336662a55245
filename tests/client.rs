//! The real client against the simulated tenant, over HTTP: sign-in, keys, devices, Intune, and what both sides make of faults.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use keydesk::{
    domain::{
        call::DisclosureId,
        capability::{Feature, Light},
        connection::Connection,
        device::{ActionState, DeviceId, Join, ManagedDeviceId},
        key::Volume,
        key_id::KeyId,
        work::sign_in::{Prompt, Way},
    },
    graph::{Graph, GraphError, Link, RevealError, RotateError},
    http::{Http, Limits},
    sign_in::{Session, SignInError, Told, Vault},
    simulation::{self, Fault, Options, Running, Source},
};
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

struct Desk {
    tenant: Running,
    session: Session,
    graph: Graph,
}

async fn simulated(page_size: Option<usize>) -> Running {
    simulation::start(Options { scenario: Source::Small, page_size, ..Options::default() }).await.unwrap()
}

fn session(tenant: &Running) -> Session {
    let connection = Connection {
        authority: tenant.authority().parse().unwrap(),
        graph: tenant.graph().parse().unwrap(),
        tenant: tenant.tenant_id().to_string(),
        client_id: tenant.client_id().to_string(),
    };
    Session::new(http(), connection, Vault::memory())
}

fn http() -> Http {
    Http::new(Limits {
        whole: Duration::from_secs(2),
        patience: Duration::from_secs(10),
        first_pause: Duration::from_millis(5),
        ..Limits::default()
    })
}

/// Signs in by code, for listing alone; `decide` is told the code.
async fn by_code(session: &Session, decide: impl Fn(&str) + Send + Sync) -> Result<(), SignInError> {
    let tell = |told| match told {
        Told::DeviceCode(code) => decide(&code.user_code),
        Told::Browser(page) => panic!("{page:?}"),
    };
    session.sign_in(&Prompt::by(Way::DeviceCode), tell).await
}

async fn desk_as(tenant: Running, upn: Option<&str>) -> Desk {
    let session = session(&tenant);
    by_code(&session, |code| tenant.tenant().approve(code, upn).unwrap()).await.unwrap();
    let graph = Graph::new(http(), session.clone());
    Desk { tenant, session, graph }
}

async fn desk() -> Desk {
    desk_as(simulated(None).await, None).await
}

fn fault(desk: &Desk, fault: serde_json::Value) {
    let fault: Fault = serde_json::from_value(fault).unwrap();
    desk.tenant.tenant().fault(fault);
}

/// Everything the tenant holds of the keys that begin so.
fn keys_beginning(desk: &Desk, prefix: &str) -> Vec<(KeyId, DeviceId)> {
    let dump = desk.tenant.tenant().dump();
    let keys = dump["keys"].as_array().unwrap().iter();
    let keys = keys.filter(|key| key["id"].as_str().unwrap().to_uppercase().starts_with(prefix));
    keys.map(|key| {
        let guid = |field: &str| -> Uuid { key[field].as_str().unwrap().parse().unwrap() };
        (KeyId(guid("id")), DeviceId(guid("deviceId")))
    })
    .collect()
}

fn the_call(desk: &Desk) -> (KeyId, DeviceId) {
    let found = keys_beginning(desk, "4F2B91C0");
    assert_eq!(found.len(), 1);
    found[0]
}

fn key_requests(desk: &Desk) -> usize {
    desk.tenant.tenant().log().iter().filter(|entry| entry.path.contains("select=key")).count()
}

#[tokio::test]
async fn a_technician_signs_in_and_the_tenant_has_a_name() {
    let desk = desk().await;
    let technician = desk.session.technician().unwrap();
    assert_eq!(technician.upn.raw(), "dana@harborview.example");
    assert_eq!(desk.graph.me().await.unwrap(), technician);
    let tenant = desk.graph.organization().await.unwrap();
    assert_eq!((tenant.id, tenant.name.raw()), (desk.tenant.tenant_id(), "Harborview Clinics"));
}

#[tokio::test]
async fn a_declined_sign_in_and_one_that_conditional_access_blocks_say_so() {
    let tenant = simulated(None).await;
    let declining = session(&tenant);
    let declined = by_code(&declining, |code| tenant.tenant().decline(code).unwrap()).await.unwrap_err();
    assert!(matches!(&declined, SignInError::Needed(words) if words.code == Some(70_017)), "{declined:?}");
    let approve = |code: &str| tenant.tenant().approve(code, Some("blocked@harborview.example")).unwrap();
    let blocked = by_code(&session(&tenant), approve).await.unwrap_err();
    assert!(matches!(&blocked, SignInError::Refused(words) if words.code == Some(53_003)), "{blocked:?}");
}

#[tokio::test]
async fn a_call_finds_its_device_its_duplicates_and_its_intune_object() {
    let desk = desk().await;
    let (key, device) = the_call(&desk);
    let listed = desk.graph.keys_of_device(device).await.unwrap();
    assert!(listed.keys.iter().any(|listed| listed.id == key && listed.volume == Volume::OperatingSystem));
    assert!(listed.keys.len() == 3 && listed.elsewhere.is_empty() && listed.entra_time.is_some());
    assert_eq!(desk.graph.key_metadata(key).await.unwrap().device, device);
    let entra = desk.graph.device(device).await.unwrap().unwrap();
    assert_eq!((entra.name.raw(), entra.join), ("HVC-LT-0421", Join::EntraJoined));
    let namesakes = desk.graph.devices_named("HVC-LT-0421").await.unwrap();
    assert_eq!(namesakes.len(), 3);
    assert!(entra.hardware.is_some());
    assert_eq!(namesakes.iter().filter(|other| other.hardware == entra.hardware).count(), 2);
    assert!(desk.graph.devices_beginning("HVC-LT-04").await.unwrap().len() >= 3);
    let searched = desk.graph.devices_search("MICROSCOPY").await.unwrap();
    assert!(searched.iter().any(|found| found.name.raw() == "HVC-WS-LAB-MICROSCOPY-02"));
    let managed = desk.graph.managed_of_device(device).await.unwrap();
    assert_eq!((managed.len(), managed[0].serial.raw(), managed[0].model.raw()), (1, "7KQ2M", "Latitude 5440"));
    assert!(!desk.graph.managed_by_serial("7KQ2M").await.unwrap().is_empty());
    let of_user = desk.graph.managed_by_user("mara.voss@harborview.example").await.unwrap();
    assert!(!of_user.is_empty());
    assert_eq!(desk.graph.managed_by_user("Mara.Voss").await.unwrap(), of_user);
    assert!(matches!(desk.session.lights().of(Feature::List), Light::Yes(_)));
    let log = desk.tenant.tenant().log();
    assert!(log.iter().all(|entry| !entry.path.contains("recoveryKeys") || !entry.path.contains("select")));
}

#[tokio::test]
async fn a_key_is_disclosed_once_under_our_id_and_is_the_tenants_own() {
    let desk = desk().await;
    let (key, _) = the_call(&desk);
    let disclosure = DisclosureId::new();
    let revealed = desk.graph.reveal(key, disclosure).await.unwrap();
    let said: Vec<&str> = (0..8).map(|n| revealed.password.block(n).unwrap().expose_secret()).collect();
    assert_eq!(said.join("-"), desk.tenant.tenant().recovery_password(key.0).unwrap());
    assert_eq!(revealed.password.faults(), []);
    let log = desk.tenant.tenant().log();
    let asked: Vec<_> = log.iter().filter(|entry| entry.path.contains("select=key")).collect();
    assert_eq!((asked.len(), asked[0].client_request_id), (1, Some(disclosure.0)));
    assert!(asked[0].path.ends_with("?$select=key"));
    assert_eq!(revealed.request_id.unwrap(), asked[0].request_id.to_string());
}

#[tokio::test]
async fn every_key_is_listed_page_by_page_also_from_a_link_kept_over_a_restart() {
    let desk = desk_as(simulated(Some(7)).await, None).await;
    let mut link: Option<Link> = None;
    let mut seen = HashSet::new();
    let mut pages = 0;
    loop {
        let page = desk.graph.keys_page(link.as_ref()).await.unwrap();
        seen.extend(page.items.iter().map(|key| key.id));
        pages += 1;
        let Some(next) = page.next else { break };
        link = Some(Link::new(next.as_str().to_owned()));
    }
    assert!(pages > 20, "{pages}");
    assert_eq!(seen.len(), desk.tenant.tenant().dump()["keys"].as_array().unwrap().len());
    let mut devices = 0;
    let mut link = None;
    loop {
        let page = desk.graph.devices_page(link.as_ref()).await.unwrap();
        devices += page.items.len();
        assert_eq!(page.skipped, 0);
        link = page.next;
        if link.is_none() {
            break;
        }
    }
    assert!(devices > 10, "{devices}");
}

#[tokio::test]
async fn a_deleted_device_is_none_and_its_keys_live_on() {
    let desk = desk().await;
    let dump = desk.tenant.tenant().dump();
    let keys = dump["keys"].as_array().unwrap();
    let holders: HashSet<&str> = keys.iter().filter_map(|key| key["deviceId"].as_str()).collect();
    let mut orphans = 0;
    for id in holders {
        let device = DeviceId(id.parse().unwrap());
        if desk.graph.device(device).await.unwrap().is_none() {
            orphans += 1;
            assert!(!desk.graph.keys_of_device(device).await.unwrap().keys.is_empty());
        }
    }
    assert_eq!(orphans, 1);
}

#[tokio::test]
async fn an_expired_token_is_renewed_in_the_middle_of_a_call_unseen() {
    let desk = desk().await;
    let (key, device) = the_call(&desk);
    desk.graph.keys_of_device(device).await.unwrap();
    // The tenant's clock goes on by two hours and ours does not: what we hold looks fresh and is not.
    desk.tenant.tenant().advance(Duration::from_hours(2));
    desk.graph.keys_of_device(device).await.unwrap();
    desk.graph.reveal(key, DisclosureId::new()).await.unwrap();
    assert!(desk.tenant.tenant().log().iter().any(|entry| entry.status == Some(401)));
}

#[tokio::test]
async fn a_revoked_session_asks_for_a_new_sign_in() {
    let desk = desk().await;
    let (_, device) = the_call(&desk);
    desk.tenant.tenant().revoke();
    desk.tenant.tenant().advance(Duration::from_hours(2));
    let error = desk.graph.keys_of_device(device).await.unwrap_err();
    let GraphError::SignIn(SignInError::Needed(words)) = &error else { panic!("{error:?}") };
    assert_eq!(words.code, Some(50_173));
    assert!(!desk.session.is_signed_in());
}

#[tokio::test]
async fn a_rotation_runs_from_accepted_to_a_new_key() {
    let desk = desk().await;
    let (_, device) = the_call(&desk);
    let before = desk.graph.keys_of_device(device).await.unwrap().keys;
    let managed = desk.graph.managed_of_device(device).await.unwrap()[0].id;
    assert_eq!(desk.graph.managed(managed).await.unwrap().rotation, None);
    assert!(desk.graph.rotate(managed, Duration::from_secs(5)).await.unwrap().request_id.is_some());
    let pending = desk.graph.managed(managed).await.unwrap().rotation.unwrap();
    assert_eq!((pending.state, pending.error), (ActionState::Pending, 0));
    desk.tenant.tenant().advance(Duration::from_mins(30));
    assert_eq!(desk.graph.managed(managed).await.unwrap().rotation.unwrap().state, ActionState::Done);
    let after = desk.graph.keys_of_device(device).await.unwrap().keys;
    assert!(after.iter().any(|key| before.iter().all(|old| old.id != key.id)));
    assert!(matches!(desk.session.lights().of(Feature::Rotate), Light::Yes(_)));
}

#[tokio::test]
async fn a_rotation_that_fails_brings_its_hresult() {
    let desk = desk().await;
    let (_, device) = keys_beginning(&desk, "C70E55A1")[0];
    let managed = desk.graph.managed_of_device(device).await.unwrap()[0].id;
    desk.graph.rotate(managed, Duration::from_secs(5)).await.unwrap();
    desk.tenant.tenant().advance(Duration::from_mins(30));
    let failed = desk.graph.managed(managed).await.unwrap().rotation.unwrap();
    assert_eq!((failed.state, failed.error), (ActionState::Failed, -2_144_272_166));
}

#[tokio::test]
async fn a_rotation_of_what_intune_does_not_know_is_refused() {
    let desk = desk().await;
    let error = desk.graph.rotate(ManagedDeviceId(Uuid::from_u128(7)), Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(error, RotateError::Refused { status: 404, .. }), "{error:?}");
}

#[tokio::test]
async fn someone_without_a_role_is_refused_in_words_that_name_both_causes() {
    let desk = desk_as(simulated(None).await, Some("noel@harborview.example")).await;
    let (key, device) = the_call(&desk);
    let error = desk.graph.keys_of_device(device).await.unwrap_err();
    assert!(matches!(&error, GraphError::Forbidden { code, .. } if code == "authorization_error"), "{error:?}");
    let error = desk.graph.reveal(key, DisclosureId::new()).await.unwrap_err();
    assert!(matches!(&error, RevealError::Refused { status: Some(403), .. }), "{error:?}");
    assert!(error.to_string().contains("role") && error.report().unwrap().request_id.is_some());
    assert!(matches!(desk.session.lights().of(Feature::Reveal), Light::No(_)));
}

#[tokio::test]
async fn a_throttled_disclosure_waits_says_so_and_is_served_once() {
    let desk = desk().await;
    let (key, _) = the_call(&desk);
    let headers = json!({"Retry-After": "1"});
    fault(&desk, json!({"path": "select=key", "count": 2, "kind": "status", "status": 429, "headers": headers}));
    let waits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&waits);
    let graph = desk.graph.with_waiting(Arc::new(move |waiting| noted.lock().unwrap().push(waiting.for_)));
    graph.reveal(key, DisclosureId::new()).await.unwrap();
    assert_eq!(*waits.lock().unwrap(), [Duration::from_secs(1); 2]);
    let log = desk.tenant.tenant().log();
    assert_eq!(log.iter().filter(|entry| entry.path.contains("select=key") && entry.served).count(), 1);
}

#[tokio::test]
async fn a_disclosure_that_was_served_and_lost_is_unknown_and_never_repeated() {
    let desk = desk().await;
    let (key, _) = the_call(&desk);
    let faults = [
        json!({"path": "select=key", "kind": "reset", "served": true}),
        json!({"path": "select=key", "kind": "reset", "served": true, "after_headers": true}),
        json!({"path": "select=key", "kind": "reset", "served": true, "bytes": 30}),
        json!({"path": "select=key", "kind": "truncated"}),
        json!({"path": "select=key", "kind": "stall", "seconds": 4.0, "served": true}),
        json!({"path": "select=key", "kind": "html"}),
        json!({"path": "select=key", "kind": "status", "status": 500, "served": true}),
    ];
    for (n, said) in faults.into_iter().enumerate() {
        fault(&desk, said.clone());
        let error = desk.graph.reveal(key, DisclosureId::new()).await.unwrap_err();
        assert!(matches!(error, RevealError::Unknown { .. }), "{said}: {error:?}");
        assert_eq!(key_requests(&desk), n + 1, "{said}");
    }
}

#[tokio::test]
async fn a_listing_survives_resets_and_throttling() {
    let desk = desk_as(simulated(Some(50)).await, None).await;
    fault(&desk, json!({"path": "recoveryKeys", "kind": "reset", "after_headers": true}));
    fault(&desk, json!({"path": "recoveryKeys", "skip": 1, "kind": "status", "status": 503}));
    fault(&desk, json!({"path": "recoveryKeys", "skip": 2, "kind": "truncated"}));
    let mut count = 0;
    let mut link = None;
    loop {
        let page = desk.graph.keys_page(link.as_ref()).await.unwrap();
        count += page.items.len();
        link = page.next;
        if link.is_none() {
            break;
        }
    }
    assert_eq!(count, desk.tenant.tenant().dump()["keys"].as_array().unwrap().len());
}

#[tokio::test]
async fn a_tenant_that_is_gone_is_certainly_not_reached() {
    let desk = desk().await;
    let (key, device) = the_call(&desk);
    desk.session.ask_for(&[Feature::Reveal]).await;
    let Desk { tenant, graph, .. } = desk;
    tenant.shutdown().await;
    let error = graph.reveal(key, DisclosureId::new()).await.unwrap_err();
    assert!(matches!(&error, RevealError::Refused { status: None, .. }), "{error:?}");
    let error = graph.keys_of_device(device).await.unwrap_err();
    assert!(matches!(&error, GraphError::Unreachable { certain: true, .. }), "{error:?}");
}
