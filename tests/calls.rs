//! Whole calls through the ops, against the simulated tenant over HTTP.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{sync::Arc, time::Duration};

use common::*;
use keydesk::{
    domain::{
        caller::Knowledge,
        debt::{Block, DebtState, RotationState},
        event::Event,
        policy::Proof,
        recovery_password::RecoveryPassword,
        work::{Kind, Progress, Waiting, call::Verify, find, open_device},
    },
    ops::{self, Asking, calls::Caller},
    simulation::Fault,
};
use secrecy::SecretString;
use serde_json::json;
use tokio_util::sync::CancellationToken;

fn fault(value: serde_json::Value) -> Fault {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn the_whole_call_ends_with_a_new_key_seen_and_the_debt_paid() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;

    let disclosed = disclose(&desk, &call).await.unwrap();
    assert_eq!(disclosed.faults, []);
    let expected = tenant.tenant().recovery_password(call.key.0).unwrap();
    assert!(disclosed.password.same_as(&RecoveryPassword::read(&SecretString::from(expected))));

    ops::calls::in_windows(&desk, call.id).await.unwrap();
    ops::rotate::send_for_call(&desk, call.id).await.unwrap();
    let note = ops::calls::note(&desk, call.id).await.unwrap();
    assert!(note.note.text().contains("replacement sent"), "{}", note.note.text());

    let debts = follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    assert!(
        matches!(debts[0].state, DebtState::Proved { grade: Proof::NewKeySeen | Proof::Confirmed, .. }),
        "{debts:#?}"
    );
    let closed = ops::calls::close(&desk, call.id).await.unwrap();
    assert!(closed.note.text().contains("replaced by"), "{}", closed.note.text());
    assert_eq!(rotations(&tenant).len(), 1);
    desk.ledger().verify().unwrap().unwrap();
}

#[tokio::test]
async fn the_intent_is_in_the_ledger_before_the_key_request_leaves() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    // The answer never comes: what the ledger holds meanwhile was written before the request.
    tenant.tenant().fault(fault(json!({"path": "select=key", "kind": "stall", "seconds": 600.0})));
    let asked = tokio::spawn({
        let (desk, call) = (Arc::clone(&desk), call.clone());
        async move { disclose(&desk, &call).await }
    });
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while key_requests(&tenant).is_empty() {
        assert!(std::time::Instant::now() < deadline, "the key request never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rows = desk.ledger().rows(1).unwrap();
    let Some(Event::Intended(intent)) =
        rows.iter().map(|row| &row.event).find(|event| matches!(event, Event::Intended(_)))
    else {
        panic!("no intent: {rows:#?}")
    };
    assert_eq!(key_requests(&tenant)[0].client_request_id, Some(intent.disclosure.0));
    assert_eq!(ops::debts::list(&desk).await.unwrap().len(), 1);
    asked.abort();
}

#[tokio::test]
async fn when_the_ledger_cannot_be_written_no_request_leaves() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let other = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    other.execute_batch("CREATE TRIGGER full BEFORE INSERT ON ledger BEGIN SELECT RAISE(ABORT, 'no'); END;").unwrap();
    let failure = disclose(&desk, &call).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Record);
    assert!(failure.means.contains("No request has left"), "{failure}");
    assert_eq!(key_requests(&tenant).len(), 0);
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_never_asked_again() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    tenant.tenant().fault(fault(json!({"path": "select=key", "kind": "reset", "served": true})));
    let failure = disclose(&desk, &call).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Uncertain);
    assert_eq!(key_requests(&tenant).len(), 1);
    let debts = ops::debts::list(&desk).await.unwrap();
    assert!(debts[0].is_open());
    assert!(matches!(debts[0].rotation.as_ref().unwrap().state, RotationState::Held { .. }));
}

#[tokio::test]
async fn a_certain_refusal_leaves_no_debt() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let body = json!({"error": {"code": "authorization_error", "message": "Failed to authorize."}});
    tenant.tenant().fault(fault(json!({"path": "select=key", "kind": "status", "status": 403, "body": body})));
    let failure = disclose(&desk, &call).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Refused);
    assert!(failure.next.contains("PIM"), "{failure}");
    let debts = ops::debts::list(&desk).await.unwrap();
    assert!(matches!(debts[0].state, DebtState::Cancelled { .. }));
    // And it may be tried again.
    assert!(disclose(&desk, &call).await.is_ok());
}

#[tokio::test]
async fn a_wait_that_entra_asks_for_is_told_and_can_be_stopped() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let body = json!({"error": {"code": "TooManyRequests", "message": "Too many requests."}});
    tenant.tenant().fault(fault(
        json!({"path": "select=key", "kind": "status", "status": 429, "headers": {"Retry-After": "30"}, "body": body}),
    ));
    let cancel = CancellationToken::new();
    let asking = {
        let stop = cancel.clone();
        Asking::new(
            move |progress| {
                if let Progress::Waiting(Waiting { for_ }) = progress {
                    assert!(for_ >= Duration::from_secs(30), "{for_:?}");
                    stop.cancel();
                }
            },
            cancel,
        )
    };
    let failure = ops::disclose::disclose(&desk, request(&call, TICKET), &asking).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Cancelled);
    assert_eq!(key_requests(&tenant).len(), 1);
    assert!(matches!(ops::debts::list(&desk).await.unwrap()[0].state, DebtState::Cancelled { .. }));
}

#[tokio::test]
async fn what_the_policy_demands_is_demanded_before_anything_leaves() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let found = key(&desk, PREFIX);
    let open = keydesk::domain::work::call::Open {
        key: found.key.id,
        volume: found.key.volume,
        device: found.key.device,
        device_name: "HVC-LT-0421".into(),
        heard: 8,
        why: None,
    };
    let call = ops::calls::open(&desk, open).await.unwrap();
    assert_eq!(disclose(&desk, &call).await.unwrap_err().happened, "The caller is not verified yet.");

    let call = verified_call(&desk, PREFIX).await;
    let try_ = |ticket: &str, reason: &str| {
        let mut request = request(&call, ticket);
        request.reason = reason.into();
        let desk = &desk;
        async move { ops::disclose::disclose(desk, request, &Asking::quietly()).await.unwrap_err() }
    };
    assert!(try_("INC0000000", "windows-update").await.happened.contains("placeholder"));
    assert!(try_("INC1", "windows-update").await.happened.contains("does not fit the pattern"));
    assert!(try_(TICKET, "boredom").await.happened.contains("no reason here"));
    assert_eq!(key_requests(&tenant).len(), 0);
    assert_eq!(ops::debts::list(&desk).await.unwrap(), []);
}

#[tokio::test]
async fn a_ticket_used_for_another_device_must_be_confirmed() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let first = verified_call(&desk, PREFIX).await;
    disclose(&desk, &first).await.unwrap();
    let second = verified_call(&desk, "7A41C09E").await;
    let failure = disclose(&desk, &second).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Confirm);
    assert!(failure.happened.contains("HVC-LT-0421"), "{failure}");
    let confirmed =
        keydesk::domain::work::disclose::Request { same_ticket_confirmed: true, ..request(&second, TICKET) };
    assert!(ops::disclose::disclose(&desk, confirmed, &Asking::quietly()).await.is_ok());
}

#[tokio::test]
async fn the_hourly_limit_stops_the_next_key() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk_with(&tenant, home.path(), "[limits]\nper_hour = 1\n").await;
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    let failure = disclose(&desk, &call).await.unwrap_err();
    assert!(failure.happened.contains("You have read 1 key this hour, the limit."), "{failure}");
    assert_eq!(key_requests(&tenant).len(), 1);
}

#[tokio::test]
async fn a_caller_who_is_not_verified_ends_the_call_on_record() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let refuse = Verify { call: call.id, method: None, claims: vec![], known: Knowledge::Facts };
    let Caller::Refused(closed) = ops::calls::verify(&desk, refuse).await.unwrap() else { panic!("not refused") };
    assert!(closed.call.closed.is_some());
    assert!(disclose(&desk, &call).await.unwrap_err().happened.contains("closed already"));
}

#[tokio::test]
async fn a_refused_rotation_on_the_laptop_blocks_with_its_meaning() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, "C70E55A1").await;
    disclose(&desk, &call).await.unwrap();
    ops::rotate::send_for_call(&desk, call.id).await.unwrap();
    let debts = follow(&desk, |debts| debts[0].is_blocked()).await;
    let said = debts[0].sentence(desk.clock.now(), &desk.zone);
    assert!(said.contains("0x803100DA"), "{said}");
}

#[tokio::test]
async fn several_intune_objects_block_and_nothing_is_sent() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, "35B7C4E8").await;
    disclose(&desk, &call).await.unwrap();
    ops::rotate::send_for_call(&desk, call.id).await.unwrap();
    let debts = ops::debts::list(&desk).await.unwrap();
    let why = &debts[0].rotation.as_ref().unwrap().state;
    assert!(
        matches!(why, RotationState::Blocked { why: Block::SeveralManagedDevices { count: 2, .. }, .. }),
        "{why:?}"
    );
    assert_eq!(rotations(&tenant).len(), 0);
}

#[tokio::test]
async fn a_key_on_an_old_object_is_paid_on_the_live_one_of_the_same_hardware() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    // The stale twin of HVC-LT-0421 has an Intune object of its own, which never checks in again.
    let call = verified_call(&desk, "9E0C4471").await;
    disclose(&desk, &call).await.unwrap();
    ops::rotate::send_for_call(&desk, call.id).await.unwrap();
    let live = device_of(&desk, PREFIX);
    let target = ops::debts::list(&desk).await.unwrap()[0].rotation.as_ref().unwrap().target.unwrap();
    assert_eq!(target.device, live);
    // The live object's own keys prove nothing; the one that comes now does.
    let debts = follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    let DebtState::Proved { new_key, .. } = debts[0].state else { panic!("{debts:#?}") };
    assert!(![PREFIX, "A1093C55", "E25B7F04"].contains(&new_key.unwrap().short().as_str()));
}

#[tokio::test]
async fn stopping_before_the_intent_asks_for_nothing_and_leaves_nothing() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    tenant.tenant().fault(fault(json!({"path": "recoveryKeys?", "kind": "stall", "seconds": 600.0})));
    let cancel = CancellationToken::new();
    let asking = Asking::new(|_| {}, cancel.clone());
    let asked = tokio::spawn({
        let (desk, call) = (Arc::clone(&desk), call.clone());
        async move { ops::disclose::disclose(&desk, request(&call, TICKET), &asking).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    cancel.cancel();
    let failure = asked.await.unwrap().unwrap_err();
    assert_eq!(failure.kind, Kind::Cancelled);
    assert_eq!(key_requests(&tenant).len(), 0);
    assert_eq!(ops::debts::list(&desk).await.unwrap(), []);
}

#[tokio::test]
async fn an_outcome_that_cannot_be_written_shows_the_key_with_a_warning_and_is_written_later() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let other = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON ledger WHEN CAST(NEW.body AS TEXT) LIKE '%\"served\"%'
             BEGIN SELECT RAISE(ABORT, 'no'); END;",
        )
        .unwrap();
    let disclosed = disclose(&desk, &call).await.unwrap();
    assert!(disclosed.record_warning.unwrap().contains("The intent is on record."));
    other.execute_batch("DROP TRIGGER full").unwrap();
    ops::rotate::send_for_call(&desk, call.id).await.unwrap();
    let rows = desk.ledger().rows(1).unwrap();
    assert!(rows.iter().any(|row| matches!(row.event, Event::Served { .. })));
    assert_eq!(rotations(&tenant).len(), 1);
}

#[tokio::test]
async fn a_failure_to_write_after_the_request_never_says_that_nothing_has_left() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    tenant.tenant().fault(fault(json!({"path": "select=key", "kind": "reset", "served": true})));
    let other = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON ledger WHEN CAST(NEW.body AS TEXT) LIKE '%\"unknown\"%'
             BEGIN SELECT RAISE(ABORT, 'no'); END;",
        )
        .unwrap();
    let failure = disclose(&desk, &call).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Record);
    assert!(failure.means.contains("Entra may have recorded a read"), "{failure}");
}

#[tokio::test]
async fn a_busy_intune_is_asked_again_and_no_person_is_needed() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    let body = json!({"error": {"code": "TooManyRequests", "message": "Too many requests."}});
    tenant.tenant().fault(fault(
        json!({"path": "rotateBitLockerKeys", "kind": "status", "status": 429, "headers": {"Retry-After": "1"}, "body": body}),
    ));
    ops::rotate::send_for_call(&desk, call.id).await.unwrap();
    assert!(!ops::debts::list(&desk).await.unwrap()[0].is_blocked());
    follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    assert_eq!(rotations(&tenant).len(), 1);
}

#[tokio::test]
async fn a_call_open_at_a_living_desk_cannot_be_taken_by_another() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let first = desk(&tenant, home.path()).await;
    let second = desk(&tenant, home.path()).await;
    let call = verified_call(&first, PREFIX).await;
    assert_eq!(ops::calls::list(&second).await.unwrap(), []);
    assert!(ops::calls::resume(&second, call.id).await.unwrap_err().happened.contains("open at another desk"));
    ops::calls::park(&first, call.id).await.unwrap();
    assert_eq!(ops::calls::resume(&second, call.id).await.unwrap().id, call.id);
}

#[tokio::test]
async fn a_key_that_windows_replaced_by_itself_is_proved_without_a_request() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, "04C7AE96").await;
    disclose(&desk, &call).await.unwrap();
    // Ten minutes of the laptop's life.
    tenant.tenant().advance(Duration::from_secs(700));
    tokio::time::sleep(Duration::from_millis(200)).await;
    ops::rotate::send_for_call(&desk, call.id).await.unwrap();
    let debts = ops::debts::list(&desk).await.unwrap();
    assert!(matches!(debts[0].state, DebtState::Proved { .. }), "{debts:#?}");
    assert_eq!(rotations(&tenant).len(), 0);
}

#[tokio::test]
async fn a_rotation_whose_answer_was_lost_is_found_and_not_sent_twice() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    tenant.tenant().fault(fault(json!({"path": "rotateBitLockerKeys", "kind": "reset", "served": true})));
    ops::rotate::send_for_call(&desk, call.id).await.unwrap();
    follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    assert_eq!(rotations(&tenant).len(), 1);
}

#[tokio::test]
async fn two_desks_on_one_ledger_send_one_rotation() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let first = desk(&tenant, home.path()).await;
    let second = desk(&tenant, home.path()).await;
    let call = verified_call(&first, PREFIX).await;
    disclose(&first, &call).await.unwrap();
    let (a, b) = tokio::join!(ops::rotate::send_held(&first), ops::rotate::send_held(&second));
    a.unwrap();
    b.unwrap();
    follow(&first, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    assert_eq!(rotations(&tenant).len(), 1);
}

#[tokio::test]
async fn an_intent_left_by_a_dead_desk_becomes_unknown_and_a_living_ones_is_left_alone() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let living = desk(&tenant, home.path()).await;
    let call = verified_call(&living, PREFIX).await;
    tenant.tenant().fault(fault(json!({"path": "select=key", "kind": "stall", "seconds": 600.0})));
    let asked = tokio::spawn({
        let (desk, call) = (Arc::clone(&living), call.clone());
        async move { disclose(&desk, &call).await }
    });
    while key_requests(&tenant).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = desk(&tenant, home.path()).await;
    assert_eq!(ops::calls::catch_up(&second).await.unwrap().recovered, Vec::<String>::new());
    asked.abort();
    let _ = asked.await;
    drop(living);
    let caught_up = ops::calls::catch_up(&second).await.unwrap();
    assert_eq!(caught_up.recovered.len(), 1, "{caught_up:#?}");
    assert!(caught_up.debts[0].is_open());
    assert_eq!(caught_up.calls.len(), 1);
}

#[tokio::test]
async fn a_device_opens_with_its_duplicates_judged_and_its_keys_in_order() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let found = key(&desk, PREFIX);
    let request = open_device::Request { device: found.key.device, asked: Some(found.key.id) };
    let card = ops::open_device::open_device(&desk, request, &Asking::quietly()).await.unwrap();
    assert_eq!(card.keys.len(), 3);
    assert_eq!(card.keys[0].id.short(), PREFIX);
    assert_eq!(card.duplicates.len(), 2);
    let verdict = card.verdict.unwrap();
    assert_eq!(verdict.sentence, "This one, sure: it holds the key and checked in last.");
    assert!(verdict.because.iter().any(|s| s.contains("holds 3 old keys: do not delete it")), "{verdict:#?}");
    assert_eq!(card.managed[0].serial.raw(), "7KQ2M");
}

#[tokio::test]
async fn a_device_opens_although_duplicates_and_intune_cannot_be_asked_and_the_card_says_so() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let found = key(&desk, PREFIX);
    let request = || open_device::Request { device: found.key.device, asked: Some(found.key.id) };
    let refuse = |path: &str, skip: u32, count: u32| {
        let line = json!({"path": path, "kind": "status", "status": 403, "skip": skip, "count": count});
        tenant.tenant().fault(fault(line));
    };

    refuse("displayName eq", 0, 1);
    let card = ops::open_device::open_device(&desk, request(), &Asking::quietly()).await.unwrap();
    let verdict = card.verdict.unwrap();
    assert_eq!(verdict.sentence, "Not clear: other objects with this name could not be looked for.");

    // The device's own keys are listed, its duplicates' are not.
    refuse("recoveryKeys", 1, 2);
    refuse("managedDevices", 0, 3);
    let card = ops::open_device::open_device(&desk, request(), &Asking::quietly()).await.unwrap();
    assert_eq!(card.knowledge(), Knowledge::NotAsked);
    assert!(card.duplicates.iter().all(|duplicate| duplicate.keys.is_none()), "{:#?}", card.duplicates);
    let verdict = card.verdict.unwrap();
    assert!(verdict.sentence.starts_with("This one, likely"), "{verdict:#?}");
    assert!(verdict.objects[1].words().ends_with("keys not listed: do not delete"), "{verdict:#?}");
}

#[tokio::test]
async fn names_serials_users_and_whole_guids_are_found_without_an_index() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let id = key_id(&desk, PREFIX).to_string();
    for (typed, expected) in
        [("HVC-LT-0207", "HVC-LT-0207"), ("2HN8V", "HVC-LT-0207"), ("mara.voss@harborview.example", "HVC-LT-0421")]
    {
        let query = keydesk::domain::query::Query::read(typed);
        let found = ops::find::look_up(&desk, &find::LookUp { query }, &Asking::quietly()).await.unwrap();
        assert!(found.devices.iter().any(|hit| hit.device.name.raw() == expected), "{typed}: {found:#?}");
    }
    let query = keydesk::domain::query::Query::read(&id);
    let found = ops::find::look_up(&desk, &find::LookUp { query }, &Asking::quietly()).await.unwrap();
    assert_eq!(found.one_key().unwrap().place.words(), "newest of 3");
}

#[tokio::test]
async fn tokens_are_renewed_in_the_middle_of_a_call_unseen() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    // Two hours on Entra's clock: every token it gave out has expired.
    tenant.tenant().advance(Duration::from_hours(2));
    assert!(disclose(&desk, &call).await.is_ok());
}
