//! A hostile network, really done: every trouble against every operation. Each ends in a sentence, a whole ledger and a usable desk, and
//! no reveal is ever repeated on an uncertain outcome: the tenant's own audit log is counted.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod call;
#[path = "../common/mod.rs"]
mod common;
mod reads;
mod reveal;
#[cfg(unix)]
mod screen;
mod troubles;
mod turns;
mod way;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use common::{QUICK, TICKET, connection, disclose, key, request, rotations, settings, tenant, verified_call};
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

/// The same for `trouble`: megabytes take a busy machine longer than that, and it is their size that is to end them.
fn patience_with(trouble: &Value) -> Limits {
    if trouble["kind"] == "flood" {
        return Limits { whole: Duration::from_secs(10), patience: Duration::from_secs(12), ..short() };
    }
    short()
}

/// A desk with short patience, signed in, its index filled, in front of a friendly network.
async fn desk(tenant: &Running, home: &Path) -> Arc<Desk> {
    desk_within(short(), tenant, home).await
}

async fn desk_within(limits: Limits, tenant: &Running, home: &Path) -> Arc<Desk> {
    let mut desk = Desk::open(&settings(tenant, home, QUICK), Clock::system()).unwrap();
    desk.http = Http::new(limits);
    ops::calls::catch_up(&desk).await.unwrap();
    crate::common::sign_in(&desk).await.unwrap();
    ops::sync_index::sync_index(&desk, &Asking::quietly()).await.unwrap();
    Arc::new(desk)
}

fn hurt(tenant: &Running, path: &str, trouble: Value) {
    let mut fault = trouble;
    fault["path"] = path.into();
    tenant.tenant().fault(serde_json::from_value(fault).unwrap());
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

/// Of a flood only what was read was ever made, and what the system keeps on the way: the rest never left the tenant.
#[track_caller]
fn assert_bounded(tenant: &Running, most: u64) {
    let flooded = tenant.tenant().log().iter().map(|entry| entry.flooded).max().unwrap();
    assert!(flooded > 0 && flooded < most + FLOOD / 8, "{flooded} bytes");
}
