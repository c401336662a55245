//! A hostile network, really done: every trouble against every operation. Each ends in a sentence, a whole ledger and a usable desk, and
//! no reveal is ever repeated on an uncertain outcome: the tenant's own audit log is counted.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use common::{QUICK, TICKET, connection, disclose, key, request, rotations, settings, sign_in, tenant, verified_call};
use keydesk::{
    desk::{Clock, Desk},
    domain::{
        call::Call,
        debt::{Debt, DebtState},
        key_id::KeyId,
        work::{Failure, Kind, Progress, disclose::Disclosed, open_device},
    },
    http::{Http, Limits},
    ops::{self, Asking},
    simulation::{self, Options, Running, Source},
};
use rstest::rstest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The key request, and the list of a device's keys.
const REVEAL: &str = "$select=key";
const KEYS_OF_DEVICE: &str = "recoveryKeys?$filter";
const ALL_KEYS: &str = "bitlocker/recoveryKeys";
/// The ordinary caller's key, and another for the next call.
const PREFIX: &str = "4F2B91C0";
/// A flood that nobody can hold. In bytes.
const FLOOD: u64 = 300_000_000;

/// Patience that a test can wait for. A stall is several times as long as `whole`.
fn short() -> Limits {
    Limits {
        connect: Duration::from_secs(2),
        whole: Duration::from_millis(1_200),
        patience: Duration::from_millis(2_500),
        first_pause: Duration::from_millis(5),
    }
}

/// A desk with short patience, signed in, its index filled, in front of a friendly network.
async fn desk(tenant: &Running, home: &Path) -> Arc<Desk> {
    let mut desk = Desk::open(&settings(tenant, home, QUICK), Clock::system()).unwrap();
    desk.http = Http::new(short());
    ops::calls::catch_up(&desk).await.unwrap();
    sign_in(&desk).await.unwrap();
    ops::sync_index::sync_index(&desk, &Asking::quietly()).await.unwrap();
    Arc::new(desk)
}

fn hurt(tenant: &Running, path: &str, trouble: Value) {
    let mut fault = trouble;
    fault["path"] = path.into();
    tenant.tenant().fault(serde_json::from_value(fault).unwrap());
}

async fn heal(tenant: &Running) {
    let url = format!("{}/_sim/fault", tenant.authority());
    assert!(reqwest::Client::new().delete(url).send().await.unwrap().status().is_success());
}

/// Reads of this key that the tenant's audit log holds. Entra writes some of them down twice: those count once.
fn reads(tenant: &Running, key: KeyId) -> usize {
    let dump = tenant.tenant().dump();
    let audits = dump["audits"].as_array().unwrap().iter();
    let of_key =
        audits.filter(|entry| entry["activity"] == "Read BitLocker key" && entry["keyId"] == key.0.to_string());
    of_key.map(|entry| entry["at"].to_string()).collect::<std::collections::HashSet<_>>().len()
}

/// A failure as a technician can use it, and as Microsoft can.
#[track_caller]
fn assert_sentence(failure: &Failure, words: &str) {
    let said = failure.to_string();
    assert!(said.contains(words), "{words:?} is not in: {said}");
    for part in [&failure.happened, &failure.next] {
        assert!(part.ends_with(['.', '?']), "no sentence: {part:?} of {said}");
    }
    let bare = ["<", "{", "AADSTS", "panicked", "::", "Error", "error sending"];
    assert!(bare.iter().all(|code| !said.contains(code)), "{said}");
}

/// The one line for Microsoft: the request that failed, and nothing else.
#[track_caller]
fn assert_report(failure: &Failure, path: &str) {
    let report = failure.report.as_ref().unwrap().to_string();
    assert!(report.contains(path) && report.contains("client-request-id "), "{report}");
    assert!(!report.contains(['?', '$', '\n']) && !report.contains("Bearer"), "{report}");
}

/// The ledger's chain holds and the debt stands as the tenant's own log says it must.
fn assert_whole(desk: &Desk) {
    desk.ledger().verify().unwrap().unwrap();
}

async fn debt_of(desk: &Desk, key: KeyId) -> Option<Debt> {
    ops::debts::list(desk).await.unwrap().into_iter().find(|debt| debt.key == key)
}

/// `Retry-After` in seconds; as a date, on a clock two hours before ours; not at all.
fn busy_for(seconds: u32) -> Value {
    json!({"kind": "status", "status": 429, "headers": {"Retry-After": seconds.to_string()}})
}

fn busy_until_a_date(seconds: i64) -> Value {
    let there = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    let print = |at| jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
    let until = print(there + jiff::SignedDuration::from_secs(seconds));
    json!({"kind": "status", "status": 429, "headers": {"Date": print(there), "Retry-After": until}})
}

/// What Entra answers when Conditional Access wants more of the token.
fn claims_challenge() -> Value {
    use base64::Engine as _;
    let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;
    let claims = base64::engine::general_purpose::STANDARD.encode(claims);
    let challenge = format!(
        r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="{claims}""#
    );
    json!({"kind": "status", "status": 401, "headers": {"WWW-Authenticate": challenge}})
}

fn busy_unsaid() -> Value {
    json!({"kind": "status", "status": 429})
}

fn status(status: u16) -> Value {
    json!({"kind": "status", "status": status})
}

fn served(mut trouble: Value) -> Value {
    trouble["served"] = true.into();
    trouble
}

fn reset() -> Value {
    json!({"kind": "reset"})
}

fn reset_after_headers() -> Value {
    json!({"kind": "reset", "after_headers": true})
}

fn truncated() -> Value {
    json!({"kind": "truncated"})
}

fn flood() -> Value {
    json!({"kind": "flood", "bytes": FLOOD})
}

fn page(status: u16) -> Value {
    json!({"kind": "html", "status": status})
}

fn stall() -> Value {
    json!({"kind": "stall", "seconds": 30.0})
}

fn body(status: u16, body: impl Into<Value>) -> Value {
    json!({"kind": "status", "status": status, "body": body.into()})
}

fn elsewhere() -> Value {
    body(200, json!({"value": [], "@odata.nextLink": "https://graph.evil.example/v1.0/next"}))
}

fn lasting(mut trouble: Value) -> Value {
    trouble["count"] = 1_000.into();
    trouble
}

/// What becomes of a key request.
#[derive(Debug)]
enum Ending {
    /// The digits are shown, after so many requests.
    Shown(usize),
    /// Certainly nothing was handed out, and nothing is owed.
    Refused(&'static str),
    /// Nobody can say: one request, one debt.
    Uncertain(&'static str),
}

use Ending::{Refused, Shown, Uncertain};

#[rstest]
#[case::busy_in_seconds(busy_for(1), Shown(2))]
#[case::busy_until_a_date(busy_until_a_date(1), Shown(2))]
#[case::busy_without_a_word(busy_unsaid(), Shown(2))]
#[case::busy_for_too_long(busy_for(3_600), Refused("Entra asked us to wait"))]
#[case::down_and_saying_when(
    json!({"kind": "status", "status": 503, "headers": {"Retry-After": "1"}}), Shown(2))]
#[case::down(served(status(503)), Uncertain("Entra answered with an error (503)"))]
#[case::broken_inside(served(status(500)), Uncertain("Entra answered with an error (500)"))]
#[case::gateway_gave_up(served(status(504)), Uncertain("Entra answered with an error (504)"))]
#[case::timed_out_there(served(status(408)), Uncertain("Entra answered with an error (408)"))]
#[case::no_role(body(403, json!({"error": {"code": "authorization_error"}})), Refused("may not read them"))]
#[case::gone(status(404), Refused("no such key any more"))]
#[case::claims_in_the_middle(claims_challenge(), Shown(2))]
#[case::token_refused_for_good(lasting(status(401)), Refused("does not accept the session"))]
#[case::reset_unserved(reset(), Uncertain("No answer came"))]
#[case::reset_served(served(reset()), Uncertain("No answer came"))]
#[case::reset_after_headers(reset_after_headers(), Uncertain("arrived damaged"))]
#[case::truncated(truncated(), Uncertain("arrived damaged"))]
#[case::flood(served(flood()), Uncertain("arrived damaged"))]
#[case::page_with_200(served(page(200)), Uncertain("arrived damaged"))]
#[case::page_with_403(served(page(403)), Uncertain("Entra answered with an error (403)"))]
#[case::page_with_404(served(page(404)), Uncertain("Entra answered with an error (404)"))]
#[case::stall(served(stall()), Uncertain("No answer came"))]
#[case::empty(served(body(200, "")), Uncertain("arrived damaged"))]
#[case::no_key_in_it(served(body(200, json!({"id": null}))), Uncertain("without the key"))]
#[case::another_key(
    served(body(200, json!({"id": "00000000-0000-4000-8000-000000000000", "key": "1"}))), Uncertain("arrived damaged"))]
#[tokio::test]
async fn a_reveal_under(#[case] trouble: Value, #[case] ending: Ending) {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let counts = trouble["kind"] == "flood";
    hurt(&tenant, REVEAL, trouble);

    let outcome = disclose(&desk, &call).await;
    let sent = common::key_requests(&tenant);
    let audited = reads(&tenant, call.key);
    assert_eq!(audited, sent.iter().filter(|entry| entry.served).count(), "the tenant's own count: {sent:#?}");
    assert!(audited <= 1, "{sent:#?}");
    let debt = debt_of(&desk, call.key).await.unwrap();
    match (&ending, &outcome) {
        (Shown(requests), Ok(_)) => {
            assert_eq!((sent.len(), audited, debt.is_open()), (*requests, 1, true));
        }
        (Refused(words), Err(failure)) => {
            assert_sentence(failure, words);
            assert_report(failure, "/recoveryKeys/");
            assert_eq!((audited, matches!(debt.state, DebtState::Cancelled { .. })), (0, true), "{debt:#?}");
        }
        (Uncertain(words), Err(failure)) => {
            assert_sentence(failure, words);
            assert_report(failure, "/recoveryKeys/");
            assert_eq!((failure.kind, sent.len(), debt.is_open()), (Kind::Uncertain, 1, true), "{debt:#?}");
        }
        _ => panic!("{ending:?} and not {outcome:?}"),
    }
    if counts {
        assert_bounded(&tenant, 2_000_000);
    }
    assert_whole(&desk);

    // The desk is usable: the technician signs in where that is asked for, and asks again, on purpose.
    heal(&tenant).await;
    if matches!(&outcome, Err(failure) if failure.kind == Kind::SignIn) {
        sign_in(&desk).await.unwrap();
    }
    disclose(&desk, &call).await.unwrap();
    assert_eq!(reads(&tenant, call.key), audited + 1);
    assert_whole(&desk);
}

/// Of a flood only what was read was ever made, and what the system keeps on the way: the rest never left the tenant.
#[track_caller]
fn assert_bounded(tenant: &Running, most: u64) {
    let flooded = tenant.tenant().log().iter().map(|entry| entry.flooded).max().unwrap();
    assert!(flooded > 0 && flooded < most + FLOOD / 8, "{flooded} bytes");
}

/// What only reads: it is repeated where that helps, and ends in a sentence where it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// A device's card.
    Card,
    /// The listing behind the desk.
    Listing,
}

impl Reading {
    fn path(self) -> &'static str {
        match self {
            Self::Card => KEYS_OF_DEVICE,
            Self::Listing => ALL_KEYS,
        }
    }

    async fn perform(self, desk: &Desk, call: &Call) -> Result<usize, Failure> {
        match self {
            Self::Card => {
                let request = open_device::Request { device: call.device, asked: Some(call.key) };
                ops::open_device::open_device(desk, request, &Asking::quietly()).await.map(|card| card.keys.len())
            }
            Self::Listing => ops::sync_index::sync_index(desk, &Asking::quietly()).await.map(|listing| listing.keys),
        }
    }
}

#[rstest]
#[case::busy_in_seconds(busy_for(1))]
#[case::busy_until_a_date(busy_until_a_date(1))]
#[case::busy_without_a_word(busy_unsaid())]
#[case::down(status(503))]
#[case::gateway_gave_up(status(504))]
#[case::claims_in_the_middle(claims_challenge())]
#[case::reset(reset())]
#[case::reset_after_headers(reset_after_headers())]
#[case::truncated(truncated())]
#[case::an_empty_page_that_goes_on(Value::Null)]
#[tokio::test]
async fn a_read_passes_over_what_passes(
    #[case] trouble: Value,
    #[values(Reading::Card, Reading::Listing)] reading: Reading,
) {
    let (tenant, home) = (paged().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let before = reading.perform(&desk, &call).await.unwrap();
    let mut trouble = match trouble {
        Value::Null => {
            let query = if reading == Reading::Card {
                format!("?$filter=deviceId eq '{}'", call.device)
            } else {
                String::new()
            };
            let next = format!("{}/v1.0/informationProtection/bitlocker/recoveryKeys{query}", tenant.graph());
            body(200, json!({"value": [], "@odata.nextLink": next}))
        }
        trouble => trouble,
    };
    // In the middle of paging, where there are pages.
    trouble["skip"] = usize::from(reading == Reading::Listing && trouble["body"].is_null()).into();
    hurt(&tenant, reading.path(), trouble);
    assert_eq!(reading.perform(&desk, &call).await.unwrap(), before);
    assert!(tenant.tenant().log().iter().any(|entry| entry.fault.is_some()), "nothing was struck");
    assert_whole(&desk);
}

/// A tenant whose lists come in small pages.
async fn paged() -> Running {
    let auto_approve = Some(Duration::ZERO);
    simulation::start(Options {
        scenario: Source::Small,
        page_size: Some(60),
        speed: 400.0,
        auto_approve,
        ..Options::default()
    })
    .await
    .unwrap()
}

#[rstest]
#[case::busy(lasting(busy_for(1)), "asked us to wait")]
#[case::busy_for_too_long(lasting(busy_for(3_600)), "asked us to wait")]
#[case::down(lasting(status(503)), "a fault of its own just now (503)")]
#[case::broken_inside(lasting(status(500)), "a fault of its own just now (500)")]
#[case::no_role(lasting(body(403, json!({"error": {"code": "authorization_error"}}))), "permission of this program or a role")]
#[case::token_refused_for_good(lasting(status(401)), "Sign in again")]
#[case::reset(lasting(reset()), "broke the connection off")]
#[case::truncated(lasting(truncated()), "broke the connection off")]
#[case::flood(lasting(flood()), "more than 16 MB")]
#[case::page_with_200(lasting(page(200)), "a web page came instead")]
#[case::page_with_403(lasting(page(403)), "a proxy may have answered")]
#[case::page_with_404(lasting(page(404)), "a proxy may have answered")]
#[case::stall(lasting(stall()), "did not answer in time")]
#[case::empty(lasting(body(200, "")), "it is no list")]
#[case::a_link_to_another_host(lasting(elsewhere()), "leads to another host")]
#[case::json_in_the_message(
    lasting(body(500, json!({"error": {"code": "InternalServerError", "message": "{\"_version\": 3, \"Message\": \"x\"}"}}))), "500")]
#[tokio::test]
async fn a_read_ends_in_a_sentence_under(
    #[case] trouble: Value,
    #[case] words: &str,
    #[values(Reading::Card, Reading::Listing)] reading: Reading,
) {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let floods = trouble["kind"] == "flood";
    let is_link = words.contains("another host");
    hurt(&tenant, reading.path(), trouble);
    let begun = Instant::now();
    let failure = reading.perform(&desk, &call).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_sentence(&failure, words);
    // A link that is not followed is no request.
    if !is_link {
        assert_report(&failure, "/recoveryKeys");
    }
    if floods {
        assert_bounded(&tenant, 16 * 1024 * 1024);
    }
    assert_eq!(reads(&tenant, call.key), 0);
    assert_whole(&desk);

    heal(&tenant).await;
    if failure.kind == Kind::SignIn {
        sign_in(&desk).await.unwrap();
    }
    assert!(reading.perform(&desk, &call).await.unwrap() > 0);
    disclose(&desk, &call).await.unwrap();
}

#[rstest]
#[case::reset_served(served(reset()))]
#[case::reset_unserved(reset())]
#[case::reset_after_headers(reset_after_headers())]
#[case::stall_served(served(stall()))]
#[case::busy(busy_for(0))]
#[case::down(status(503))]
#[case::broken_inside_after_serving(served(status(500)))]
#[case::page_with_403(served(page(403)))]
#[case::claims_in_the_middle(claims_challenge())]
#[tokio::test]
async fn a_rotation_is_carried_out_once_and_its_debt_paid_under(#[case] trouble: Value) {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    hurt(&tenant, "rotateBitLockerKeys", trouble);
    ops::rotate::in_windows(&desk, call.id).await.unwrap();
    common::follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    assert_eq!(rotations(&tenant).len(), 1);
    assert!(tenant.tenant().log().iter().any(|entry| entry.fault.is_some()), "nothing was struck");
    assert_whole(&desk);
}

#[tokio::test]
async fn a_session_that_is_revoked_in_the_middle_of_a_call_asks_for_a_sign_in_and_the_call_goes_on() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    tenant.tenant().revoke();
    tenant.tenant().advance(Duration::from_hours(2));
    let failure = disclose(&desk, &call).await.unwrap_err();
    assert_sentence(&failure, "Sign in again");
    assert_report(&failure, "/oauth2/v2.0/token");
    assert_eq!((failure.kind, reads(&tenant, call.key)), (Kind::SignIn, 0));
    assert_whole(&desk);
    sign_in(&desk).await.unwrap();
    disclose(&desk, &call).await.unwrap();
    assert_eq!(reads(&tenant, call.key), 1);
}

#[rstest]
#[case::ahead(2)]
#[case::behind(-2)]
#[tokio::test]
async fn with_the_tenants_clock_two_hours_off_a_whole_call_is_walked_and_paid(#[case] hours: i64) {
    let options = Options {
        scenario: Source::Small,
        speed: 400.0,
        auto_approve: Some(Duration::ZERO),
        clock_off: jiff::SignedDuration::from_hours(hours),
        ..Options::default()
    };
    let (tenant, home) = (simulation::start(options).await.unwrap(), tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    assert_eq!(reads(&tenant, call.key), 1);
    ops::rotate::in_windows(&desk, call.id).await.unwrap();
    let debts = common::follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    assert!(matches!(debts[0].state, DebtState::Proved { .. }), "{debts:#?}");
    assert_whole(&desk);
}

#[tokio::test]
async fn the_technician_hears_how_long_entra_asks_to_wait_and_a_call_passes_the_listing_that_waits() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    // The listing is told to wait two seconds; nothing else is.
    hurt(&tenant, "$top=999", busy_for(2));
    let waits = Arc::new(Mutex::new(Vec::new()));
    let listing = tokio::spawn({
        let (desk, waits) = (Arc::clone(&desk), Arc::clone(&waits));
        async move {
            let tell = move |progress| {
                if let Progress::Waiting(waiting) = progress {
                    waits.lock().unwrap().push(waiting.for_);
                }
            };
            let begun = Instant::now();
            ops::sync_index::sync_index(&desk, &Asking::new(tell, CancellationToken::new())).await.unwrap();
            begun.elapsed()
        }
    });
    while waits.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    disclose(&desk, &call).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1_500), "the call waited {:?}", begun.elapsed());
    assert!(listing.await.unwrap() >= Duration::from_secs(2));
    assert!(waits.lock().unwrap().iter().all(|wait| *wait <= Duration::from_secs(2)), "{waits:?}");
}

#[tokio::test]
async fn a_read_that_stalls_ends_as_soon_as_nobody_waits_for_it() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = common::desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    hurt(&tenant, KEYS_OF_DEVICE, stall());
    let cancel = CancellationToken::new();
    let asked = tokio::spawn({
        let (desk, call, cancel) = (Arc::clone(&desk), call.clone(), cancel.clone());
        async move { ops::disclose::disclose(&desk, request(&call, TICKET), &Asking::new(|_| {}, cancel)).await }
    });
    while tenant.tenant().log().last().unwrap().fault.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    cancel.cancel();
    let failure = asked.await.unwrap().unwrap_err();
    assert_eq!(failure.kind, Kind::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(1) && common::key_requests(&tenant).is_empty());
    heal(&tenant).await;
    disclose(&desk, &call).await.unwrap();
}

#[tokio::test]
async fn every_request_of_a_whole_call_says_who_asks_under_an_id_of_its_own() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let disclosed: Disclosed = disclose(&desk, &call).await.unwrap();
    ops::rotate::in_windows(&desk, call.id).await.unwrap();
    let log = tenant.tenant().log();
    let ids: Vec<_> = log.iter().map(|entry| entry.client_request_id.expect(&entry.path)).collect();
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len(), "each has its own id");
    assert!(ids.contains(&disclosed.disclosure.0));
    for entry in &log {
        assert!(entry.user_agent.as_ref().unwrap().starts_with("keydesk/"), "{entry:#?}");
        assert_eq!(entry.client.as_deref(), Some(concat!("keydesk ", env!("CARGO_PKG_VERSION"))), "{entry:#?}");
    }
    assert!(log.iter().any(|entry| entry.path.contains("/oauth2/")) && log.len() > 8, "{}", log.len());
    assert_eq!(connection(&tenant).tenant, tenant.tenant_id().to_string());
    assert_eq!(key(&desk, PREFIX).key.id, call.key);
}
