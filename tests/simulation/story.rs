use std::{fs, path::PathBuf};

use keydesk::simulation::{self, Error, Options, Source};
use serde_json::{Value, json};

use super::{DANA, Ground, KEYS, MANAGED, ground, small_with, starting, with};

fn kept(state: PathBuf) -> Options {
    Options { scenario: Source::Small, seed: 7, state: Some(state), ..Options::default() }
}

/// Twelve digits in a row, separators left aside: what no file may hold.
fn holds_digits_of(text: &str, password: &str) -> bool {
    let digits = |text: &str| text.chars().filter(|c| c.is_ascii_digit() || c.is_alphabetic()).collect::<String>();
    let (text, password) = (digits(text), password.replace('-', ""));
    (0..=password.len() - 12).any(|start| text.contains(&password[start..start + 12]))
}

#[tokio::test]
async fn the_same_seed_gives_the_same_tenant_and_another_seed_another() {
    let keys = async |seed| {
        let ground = with(Options { scenario: Source::Small, seed, ..Options::default() }).await;
        let dump = ground.running.tenant().dump();
        let key = |key: &Value| (key["id"].clone(), key["deviceId"].clone(), key["key"].clone());
        (ground.running.tenant_id(), dump["keys"].as_array().unwrap().iter().map(key).collect::<Vec<_>>())
    };
    assert_eq!(keys(3).await, keys(3).await);
    assert_ne!(keys(3).await, keys(4).await);
}

#[tokio::test]
async fn a_closed_tenant_continues_its_story_and_does_what_came_due_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("tenant.json");
    let first = with(kept(state.clone())).await;
    let dana = first.dana().await;
    let managed = dana.managed("HVC-LT-0421").await;
    dana.rotate(&managed).await;
    let tokens = first.signed_in(DANA, super::ALL).await;
    first.running.shutdown().await;

    // Two hours pass while nobody looks: the file says when things are due.
    let mut saved: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    saved["offset_ms"] = json!(saved["offset_ms"].as_i64().unwrap() + 7_200_000);
    fs::write(&state, saved.to_string()).unwrap();

    let second = with(kept(state)).await;
    let (status, tokens) = second.refresh(&tokens["refresh_token"], super::ALL).await;
    assert_eq!(status, 200, "{tokens}");
    let dana = super::Caller { ground: &second, token: tokens["access_token"].as_str().unwrap().to_owned() };
    let path = format!("{MANAGED}/{}", managed["id"].as_str().unwrap());
    assert_eq!(dana.get(&path).await["deviceActionResults"][0]["actionState"], "done");
    let keys = dana.keys_of(managed["azureADDeviceId"].as_str().unwrap()).await;
    assert_eq!(keys.len(), 4);
}

#[tokio::test]
async fn a_saved_tenant_gives_the_same_digits_and_holds_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("tenant.json");
    let first = with(kept(state.clone())).await;
    let id = first.running.tenant().incoming_caller(0).unwrap().key_id;
    let dana = first.dana().await;
    let shown = dana.get(&format!("{KEYS}/{id}?$select=key")).await["key"].as_str().unwrap().to_owned();
    let tokens = first.signed_in(DANA, super::ALL).await;
    let dump = first.running.tenant().dump();
    first.running.shutdown().await;

    let text = fs::read_to_string(&state).unwrap();
    for key in dump["keys"].as_array().unwrap() {
        assert!(!holds_digits_of(&text, key["key"].as_str().unwrap()));
    }
    assert!(!text.contains(tokens["refresh_token"].as_str().unwrap()));
    let second = with(kept(state)).await;
    assert_eq!(second.running.tenant().recovery_password(id), Some(shown));
}

#[tokio::test]
async fn a_state_of_another_seed_a_broken_one_and_one_that_cannot_be_written_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("tenant.json");
    with(kept(state.clone())).await.running.shutdown().await;
    let other = simulation::start(Options { seed: 8, ..kept(state.clone()) }).await.unwrap_err();
    assert!(matches!(other, Error::StrangeState { .. }), "{other}");
    fs::write(&state, "{").unwrap();
    let broken = simulation::start(kept(state)).await.unwrap_err();
    assert!(matches!(broken, Error::StrangeState { .. }), "{broken}");
    let nowhere = simulation::start(kept(folder.path().join("no/such/folder.json"))).await.unwrap_err();
    assert!(matches!(nowhere, Error::Unwritable { .. }), "{nowhere}");
}

#[tokio::test]
async fn the_caller_reads_the_current_key_before_and_after_a_rotation() {
    let ground = ground().await;
    let caller = ground.running.tenant().incoming_caller(0).unwrap();
    assert_eq!((caller.name.as_str(), caller.department.as_str()), ("Mara Voss", "Radiology"));
    assert_eq!(
        (caller.device.as_str(), caller.model.as_str(), caller.serial.as_str()),
        ("HVC-LT-0421", "Latitude 5440", "7KQ2M")
    );
    assert_eq!(caller.says, "It wants a recovery key. The ID starts four, fox, two, bravo, nine, one, charlie, zero.");
    assert_eq!(ground.running.tenant().incoming_caller(3).unwrap(), caller, "the callers start over");

    let dana = ground.dana().await;
    dana.rotate(&dana.managed("HVC-LT-0421").await).await;
    ground.advance(300).await;
    let later = ground.running.tenant().incoming_caller(0).unwrap();
    assert_ne!(later.key_id, caller.key_id);
    assert!(!later.says.contains("four, fox, two, bravo, nine"), "{}", later.says);
}

#[tokio::test]
async fn a_dump_has_every_key_with_its_digits() {
    let ground = ground().await;
    let url = format!("{}/_sim/dump", ground.running.authority());
    let dump: Value = ground.http.get(url).send().await.unwrap().json().await.unwrap();
    let keys = dump["keys"].as_array().unwrap();
    let key = starting(keys, "4F2B91C0").unwrap();
    assert!(super::valid(key["key"].as_str().unwrap()) && key["deviceId"].is_string());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.json");
    ground.running.tenant().dump_to(&file).unwrap();
    let written: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!(written["keys"], dump["keys"]);
}

#[tokio::test]
async fn the_connection_line_says_all_a_client_needs() {
    let ground = ground().await;
    let line = ground.running.connection_line();
    assert!(!line.contains('\n'));
    let facts: Value = serde_json::from_str(&line).unwrap();
    let names: Vec<&String> = facts.as_object().unwrap().keys().collect();
    assert_eq!(names, ["authority", "client_id", "graph", "sign_in_page", "tenant_id"]);
    assert_eq!(facts["sign_in_page"], format!("{}/devicelogin", ground.running.authority()));
}

#[tokio::test]
async fn a_tenant_that_was_shut_down_answers_nobody() {
    let Ground { running, http } = ground().await;
    let url = running.sign_in_page();
    assert!(http.get(&url).send().await.is_ok());
    running.shutdown().await;
    assert!(http.get(&url).send().await.is_err());
}

#[tokio::test]
async fn only_loopback_and_a_sensible_speed_are_accepted() {
    let open = Options { addr: "0.0.0.0:0".parse().unwrap(), ..small_with(&[]) };
    assert!(matches!(simulation::start(open).await, Err(Error::NotLoopback(_))));
    let still = Options { speed: 0.0, ..small_with(&[]) };
    assert!(matches!(simulation::start(still).await, Err(Error::Speed(_))));
}

#[tokio::test]
async fn an_ordinary_morning_serves_the_same_call_among_400_devices() {
    let ground = with(Options::default()).await;
    let dana = ground.dana().await;
    let device = dana.device("HVC-LT-0421").await;
    let keys = dana.keys_of(device["deviceId"].as_str().unwrap()).await;
    assert!(starting(&keys, "4F2B91C0").is_some());
    let mut next = Some(format!("{KEYS}?$select=id"));
    let (mut seen, mut empty) = (0, 0);
    while let Some(path) = next {
        let page = dana.get(&path).await;
        let entries = page["value"].as_array().unwrap().len();
        seen += entries;
        empty += usize::from(entries == 0);
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, ground.running.tenant().dump()["keys"].as_array().unwrap().len());
    assert!(seen > 700 && empty > 0, "{seen} keys, {empty} empty pages");
}
