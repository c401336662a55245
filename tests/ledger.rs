//! What becomes of a call where the ledger cannot be written, and what the command line makes of a ledger: with real HTTP behind it.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use assert_cmd::Command;
use common::*;
use keydesk::{
    desk::{Clock, Desk, DeskError},
    domain::{
        call::Call,
        caller::Knowledge,
        event::Event,
        work::{Failure, Kind, call::Verify, open_device},
    },
    ops::{self, Asking},
    simulation::Running,
    store::StoreError,
};
use serde_json::Value;

/// Appends until nothing more goes in.
async fn fill(desk: &Desk) -> Failure {
    loop {
        if let Err(failure) = desk.record(|pen| pen.append(None, &Event::SignedIn { there: false, roles: None })).await
        {
            return failure;
        }
    }
}

async fn pragma(desk: &Desk, name: &'static str, value: i64) {
    desk.read(move |conn| Ok(conn.pragma_update(None, name, value)?)).await.unwrap();
}

/// The key is asked for in vain, and nothing of it leaves.
async fn asked_in_vain(tenant: &Running, desk: &Desk, call: &Call) -> Failure {
    let failure = disclose(desk, call).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Record, "{failure}");
    assert_eq!(key_requests(tenant).len(), 0, "{failure}");
    assert!(failure.means.contains("No request has left") && !failure.next.is_empty(), "{failure}");
    failure
}

#[tokio::test]
async fn with_a_full_disk_no_request_leaves_and_with_room_again_it_does() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    // SQLite refuses to grow the file: the same error as where the disk does.
    pragma(&desk, "max_page_count", 1).await;
    assert_eq!(fill(&desk).await.kind, Kind::Record);
    let failure = asked_in_vain(&tenant, &desk, &call).await;
    assert!(
        failure.happened.starts_with("The disk is full: ") && failure.next.contains("Free some space"),
        "{failure}"
    );
    pragma(&desk, "max_page_count", 1_000_000).await;
    disclose(&desk, &call).await.unwrap();
    assert_eq!(key_requests(&tenant).len(), 1);
    desk.ledger().verify().unwrap().unwrap();
}

#[tokio::test]
async fn with_a_file_that_may_only_be_read_no_request_leaves() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    pragma(&desk, "query_only", 1).await;
    let failure = asked_in_vain(&tenant, &desk, &call).await;
    assert!(failure.happened.starts_with("The file cannot be written: "), "{failure}");
}

#[tokio::test]
async fn while_another_desk_holds_the_file_for_too_long_no_request_leaves() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let other = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let failure = asked_in_vain(&tenant, &desk, &call).await;
    assert!(failure.happened.starts_with("Another desk holds the file: "), "{failure}");
    other.execute_batch("COMMIT").unwrap();
    disclose(&desk, &call).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn when_the_folder_is_taken_away_no_request_leaves_until_it_is_back() {
    let (tenant, above) = (tenant().await, tempfile::tempdir().unwrap());
    let home = above.path().join("home");
    let desk = desk(&tenant, &home).await;
    let call = verified_call(&desk, PREFIX).await;
    let away = above.path().join("away");
    fs::rename(&home, &away).unwrap();
    for _ in 0..2 {
        let failure = asked_in_vain(&tenant, &desk, &call).await;
        assert!(failure.happened.contains("taken away or replaced"), "{failure}");
    }
    assert!(!home.join("ledger.db").exists(), "nothing is made where nothing is");
    fs::rename(&away, &home).unwrap();
    disclose(&desk, &call).await.unwrap();
    desk.ledger().verify().unwrap().unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_put_in_the_ledgers_place_is_noticed_and_keeps_its_own_log() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let path = home.path().join("ledger.db");
    let elsewhere = tempfile::tempdir().unwrap();
    for name in ["ledger.db", "ledger.db-wal"] {
        fs::copy(home.path().join(name), elsewhere.path().join(name)).unwrap();
        fs::rename(home.path().join(name), elsewhere.path().join(format!("old-{name}"))).unwrap();
        fs::copy(elsewhere.path().join(name), home.path().join(name)).unwrap();
    }
    fs::remove_file(home.path().join("ledger.db-shm")).unwrap();
    let failure = asked_in_vain(&tenant, &desk, &call).await;
    assert!(failure.happened.contains("taken away or replaced"), "{failure}");
    assert!(path.exists() && home.path().join("ledger.db-wal").exists());
    // The one that stands there now has all the rows: tried again, the call goes on in it.
    disclose(&desk, &call).await.unwrap();
    desk.ledger().verify().unwrap().unwrap();
}

/// The files of a desk as a kill leaves them, in a folder of their own.
fn killed(home: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for end in ["", "-wal", "-head"] {
        let name = format!("ledger.db{end}");
        fs::copy(home.join(&name), folder.path().join(&name)).unwrap();
    }
    folder
}

/// As a desk that was quit leaves it: everything in the one file.
fn closed(path: &Path) {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn spoil(path: &Path, at: usize, length: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at..at + length].fill(0x5A);
    fs::write(path, bytes).unwrap();
}

type Deed = fn(&Path);

#[tokio::test]
async fn a_damaged_newer_or_unreachable_ledger_opens_no_desk() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    fill_pages(&desk).await;
    let open = |home: &Path, what: &str| match Desk::open(&settings(&tenant, home, QUICK), Clock::system()) {
        Ok(_) => panic!("{what}: a desk was opened"),
        Err(DeskError::Store(error)) => error,
        Err(other) => panic!("{other}"),
    };
    let deeds: [(&str, Deed); 4] = [
        ("header", |path| {
            closed(path);
            spoil(path, 0, 100);
        }),
        ("page in the middle", |path| {
            closed(path);
            let length = usize::try_from(fs::metadata(path).unwrap().len()).unwrap();
            spoil(path, (length / 4096 / 2) * 4096, 4096);
        }),
        ("log", |path| spoil(&path.with_file_name("ledger.db-wal"), 0, 64)),
        ("log, from its middle on", |path| {
            let log = path.with_file_name("ledger.db-wal");
            let length = usize::try_from(fs::metadata(&log).unwrap().len()).unwrap();
            spoil(&log, length / 2, length / 2);
        }),
    ];
    for (what, deed) in deeds {
        let copy = killed(home.path());
        assert!(Desk::open(&settings(&tenant, copy.path(), QUICK), Clock::system()).is_ok(), "before the deed");
        let copy = killed(home.path());
        deed(&copy.path().join("ledger.db"));
        let error = open(copy.path(), what);
        assert!(matches!(error, StoreError::Damaged { .. }), "{what}: {error}");
        let failure = Failure::from(error);
        assert_eq!(failure.kind, Kind::Record);
        assert!(failure.next.contains("keydesk ledger set-aside"), "{failure}");
    }
    let newer = killed(home.path());
    let conn = rusqlite::Connection::open(newer.path().join("ledger.db")).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(open(newer.path(), "newer"), StoreError::Newer(_)));
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("ledger.db")).unwrap();
    assert!(matches!(open(folder.path(), "folder"), StoreError::Open { .. }));
    assert_eq!(key_requests(&tenant).len(), 0);
    disclose(&desk, &call).await.unwrap();
}

/// So many rows that the ledger has pages in its middle.
async fn fill_pages(desk: &Desk) {
    for _ in 0..40 {
        desk.record(|pen| {
            (0..10).try_for_each(|_| pen.append(None, &Event::SignedIn { there: false, roles: None }).map(drop))
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn the_policys_lines_are_recorded_once_before_the_first_row_that_bears_its_fingerprint() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    for lines in [QUICK, QUICK, "[limits]\nper_hour = 3\n"] {
        let desk = desk_with(&tenant, home.path(), lines).await;
        desk.record(|pen| pen.append(None, &Event::SignedOut)).await.unwrap();
    }
    let desk = desk_with(&tenant, home.path(), QUICK).await;
    let rows = desk.ledger().rows(1).unwrap();
    let mut known = Vec::new();
    for row in &rows {
        if let Event::PolicyInForce { digest, lines } = &row.event {
            assert!(!known.contains(digest) && lines.contains_key("limits.per_hour"), "{rows:#?}");
            assert_eq!(*digest, row.stamp.policy);
            known.push(digest.clone());
        }
        assert!(known.contains(&row.stamp.policy), "row {} comes before its policy", row.seq);
    }
    assert_eq!(known.len(), 2);
    assert_eq!(known[0], desk.policy.digest());
}

#[tokio::test]
async fn a_caller_who_was_refused_is_seen_by_the_next_desk_that_opens_the_device() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let first = desk(&tenant, home.path()).await;
    let call = verified_call(&first, PREFIX).await;
    let refuse = Verify { call: call.id, method: None, claims: vec![], known: Knowledge::Facts };
    ops::calls::verify(&first, refuse).await.unwrap();
    let next = desk(&tenant, home.path()).await;
    let request = open_device::Request { device: call.device, asked: Some(call.key) };
    let card = ops::open_device::open_device(&next, request, &Asking::quietly()).await.unwrap();
    let said = card.refusals[0].sentence(next.clock.now(), &next.zone);
    assert!(said.starts_with("Refused by dana at ") && said.ends_with("the caller could not be verified."), "{said}");
    let other = open_device::Request { device: device_of(&next, "C70E55A1"), asked: None };
    let card = ops::open_device::open_device(&next, other, &Asking::quietly()).await.unwrap();
    assert_eq!(card.refusals, []);
}

fn keydesk(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keydesk"));
    command.env_clear().envs(environment(home, None)).args(args).timeout(Duration::from_mins(1));
    command
}

/// A home with a call in its ledger, its desk closed.
async fn home_with_a_call() -> (tempfile::TempDir, PathBuf) {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    ops::calls::close(&desk, call.id).await.unwrap();
    assert_eq!(Arc::strong_count(&desk), 1);
    drop(desk);
    let path = home.path().join("ledger.db");
    (home, path)
}

fn stdout(command: &mut Command, code: i32) -> String {
    let output = command.assert().code(code).get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn verify_says_what_holds_of_this_machines_ledger_and_of_a_copy() {
    let (home, path) = home_with_a_call().await;
    let verdict: Value =
        serde_json::from_str(&stdout(&mut keydesk(home.path(), &["ledger", "verify", "--json"]), 0)).unwrap();
    assert_eq!((&verdict["whole"], &verdict["projections"]), (&Value::Bool(true), &"as-the-rows".into()));
    let (head, rows) = (verdict["head"].as_str().unwrap().to_owned(), verdict["rows"].as_u64().unwrap());

    let nowhere = tempfile::tempdir().unwrap();
    let copy = nowhere.path().join("evidence.db");
    fs::copy(&path, &copy).unwrap();
    let copy_name = copy.to_str().unwrap();
    let said = stdout(&mut keydesk(nowhere.path(), &["ledger", "verify", copy_name, "--head", &head[..8]]), 0);
    assert!(said.contains(&format!("by its first characters, is that of row {rows}: the last one.")), "{said}");
    assert_eq!(fs::read_dir(nowhere.path()).unwrap().count(), 1, "nothing is made beside a copy");

    let conn = rusqlite::Connection::open(&copy).unwrap();
    conn.execute_batch("DROP TRIGGER ledger_is_never_deleted; DELETE FROM ledger WHERE seq > 3;").unwrap();
    drop(conn);
    let given = format!("{rows}:{head}");
    let mut cut = keydesk(nowhere.path(), &["ledger", "verify", copy_name, "--head", &given, "--json"]);
    let verdict: Value = serde_json::from_str(&stdout(&mut cut, 1)).unwrap();
    assert_eq!((&verdict["break"]["what"], &verdict["break"]["row"]), (&"truncated".into(), &4.into()));
    stdout(&mut keydesk(nowhere.path(), &["ledger", "verify", copy_name, "--head", "9c41"]), 2);
    stdout(&mut keydesk(nowhere.path(), &["ledger", "verify", "missing.db"]), 4);
    fs::write(&copy, "no database").unwrap();
    stdout(&mut keydesk(nowhere.path(), &["ledger", "verify", copy_name]), 1);
    // The same cut on this machine shows without a head: it notes its own.
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("DROP TRIGGER ledger_is_never_deleted; DELETE FROM ledger WHERE seq > 3;").unwrap();
    drop(conn);
    let output = keydesk(home.path(), &["ledger", "verify"]).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the rows end at 3") && said.contains("truncated"), "{said}");
}

#[tokio::test]
async fn tables_that_were_meddled_with_are_told_apart_and_folded_again() {
    let (home, path) = home_with_a_call().await;
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute("UPDATE debts SET open = 0", []).unwrap();
    drop(conn);
    let output = keydesk(home.path(), &["ledger", "verify"]).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("The chain is whole, but") && said.contains("debts"), "{said}");
    keydesk(home.path(), &["ledger", "rebuild"]).assert().success();
    keydesk(home.path(), &["ledger", "verify"]).assert().success();
}

#[tokio::test]
async fn an_export_is_recorded_with_its_hash_and_its_lines_have_theirs() {
    use keydesk::domain::digest::sha256;
    let (home, path) = home_with_a_call().await;
    let out = home.path().join("rows.jsonl");
    let out_name = out.to_str().unwrap();
    keydesk(home.path(), &["ledger", "export", "--format", "jsonl", "--out", out_name]).assert().success();
    let text = fs::read_to_string(&out).unwrap();
    let mut before = "0".repeat(64);
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["prev"], before);
        before = sha256(line);
    }
    let exported = || -> Vec<Value> {
        let conn = rusqlite::Connection::open(&path).unwrap();
        let mut rows = conn.prepare("SELECT CAST(body AS TEXT) FROM ledger ORDER BY seq").unwrap();
        let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let whats = rows.map(|row| serde_json::from_str::<Value>(&row.unwrap()).unwrap()["what"].clone());
        whats.filter(|what| what["event"] == "exported").collect()
    };
    let recorded = exported();
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0]["sha256"], sha256(&text));
    assert_eq!((&recorded[0]["from"], &recorded[0]["to"]), (&1.into(), &text.lines().count().into()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // A file that is there is not overwritten, and nothing is recorded of it.
    stdout(&mut keydesk(home.path(), &["ledger", "export", "--format", "csv", "--out", out_name]), 2);
    assert_eq!(exported().len(), 1);
    let table =
        stdout(&mut keydesk(home.path(), &["ledger", "export", "--format", "csv", "--from", "2", "--to", "4"]), 0);
    assert_eq!(exported()[1]["sha256"], sha256(&table));
    let mut read = csv::Reader::from_reader(table.as_bytes());
    assert_eq!(read.headers().unwrap().iter().take(3).collect::<Vec<_>>(), ["seq", "at", "event"]);
    assert_eq!(read.records().map(|row| row.unwrap()[0].to_owned()).collect::<Vec<_>>(), ["2", "3", "4"]);
    stdout(&mut keydesk(home.path(), &["ledger", "export", "--format", "csv", "--from", "7000"]), 2);
    keydesk(home.path(), &["ledger", "verify"]).assert().success();
}

#[tokio::test]
async fn a_damaged_ledger_is_set_aside_and_its_debts_go_on() {
    let (home, path) = home_with_a_call().await;
    stdout(&mut keydesk(home.path(), &["ledger", "set-aside"]), 2);
    stdout(&mut keydesk(home.path(), &["ledger", "set-aside", "--yes"]), 3);
    let owed = |code| -> Vec<Value> {
        serde_json::from_str(&stdout(&mut keydesk(home.path(), &["debts", "--json"]), code)).unwrap()
    };
    let before = owed(0);
    assert_eq!(before.len(), 1);
    spoil(&path, 0, 100);
    stdout(&mut keydesk(home.path(), &["debts"]), 1);
    let said = stdout(&mut keydesk(home.path(), &["ledger", "set-aside", "--yes"]), 0);
    assert!(said.contains("1 open debt carried on"), "{said}");
    let after = owed(0);
    for field in ["debt", "key_id", "device", "ticket", "since", "open"] {
        assert_eq!(after[0][field], before[0][field], "{field}");
    }
    keydesk(home.path(), &["ledger", "verify"]).assert().success();
    let said = stdout(&mut keydesk(home.path(), &["ledger"]), 0);
    assert!(said.contains("set-aside  aside/") && said.contains("debt-carried"), "{said}");
}

#[tokio::test]
async fn a_ledger_that_another_desk_has_open_is_not_set_aside() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let output = keydesk(home.path(), &["ledger", "set-aside", "--yes"]).assert().code(3).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("Another desk is open"));
    drop(desk);
}
