//! Databases that earlier versions left: each opens, migrates, and keeps what it was made for.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use keydesk::{
    domain::{
        debt::{Block, DebtState, RotationState},
        event::Event,
        key_id::KeyPrefix,
        policy::Proof,
    },
    store::{Index, Ledger, StoreError, aside, calls, compare::Projections, debts, disclosures, seats},
};
use tempfile::TempDir;

/// A copy of a file as an earlier version left it.
fn copy(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.db");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name), &path).unwrap();
    (folder, path)
}

fn version(path: &Path) -> i64 {
    rusqlite::Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn rows(ledger: &Ledger) -> Vec<(u64, Vec<u8>, String)> {
    let mut rows = Vec::new();
    ledger
        .stored(1, |row| {
            rows.push((row.seq, row.bytes.clone(), row.hash.clone()));
            true
        })
        .unwrap();
    rows
}

/// Of a desk of the first version: a debt proved, one blocked on the laptop, one waived, one of an unknown outcome after a refusal, one
/// held, one whose desk ended in the middle; and a caller who was refused.
#[test]
fn a_ledger_of_the_first_version_keeps_every_row_and_every_debt() {
    let (_folder, path) = copy("ledger_v1.db");
    assert_eq!(version(&path), 1);
    let before = Ledger::open_copy(&path).unwrap();
    let (written, head) = (rows(&before), before.verify().unwrap().unwrap());
    assert!(matches!(before.examine(None).unwrap().1, Projections::NotCompared(_)));
    drop(before);
    assert_eq!(version(&path), 1, "reading changes nothing");

    let ledger = Ledger::open(&path).unwrap();
    assert!(version(&path) > 1);
    assert_eq!(rows(&ledger), written, "not a byte of a row has changed");
    let (chain, projections) = ledger.examine(None).unwrap();
    assert_eq!(chain.unwrap().head, head);
    assert_eq!(projections, Projections::AsTheRows);

    let known = ledger.read(|conn| debts::list(conn, Timestamp::UNIX_EPOCH)).unwrap();
    let debt = |key: &str| {
        let mut of_key = known.iter().filter(|debt| debt.key.short() == key);
        let debt = of_key.next().unwrap();
        (&debt.state, debt.rotation.as_ref().map(|rotation| &rotation.state))
    };
    assert_eq!(known.iter().filter(|debt| debt.is_open()).count(), 4);
    assert!(matches!(debt("4F2B91C0").0, DebtState::Proved { grade: Proof::Confirmed, new_key: Some(_), .. }));
    assert!(matches!(debt("35B7C4E8").0, DebtState::Waived { reason, .. } if reason == "scrapped"));
    assert!(matches!(
        debt("C70E55A1"),
        (DebtState::Owed, Some(RotationState::Blocked { why: Block::Reported { .. }, .. }))
    ));
    for held in ["7A41C09E", "9E0C4471"] {
        assert!(matches!(debt(held), (DebtState::Owed, Some(RotationState::Held { .. }))), "{held}");
    }
    assert!(matches!(debt("A1093C55"), (DebtState::Owed, None)));
    assert!(known.iter().any(|debt| matches!(debt.state, DebtState::Cancelled { .. })));
    let in_flight = ledger.read(disclosures::in_flight).unwrap();
    assert_eq!(in_flight.len(), 1, "the next start closes it as unknown");

    let read = |conn: &rusqlite::Connection| {
        let refused_device = in_flight[0].device;
        Ok((calls::refusals_for(conn, refused_device, Timestamp::UNIX_EPOCH)?, seats::last(conn, None)?))
    };
    let (refusals, last) = ledger.read(read).unwrap();
    assert_eq!(refusals[0].by.as_ref().unwrap().raw(), "dana@harborview.example");
    assert_eq!(last.unwrap().technician.upn.raw(), "dana@harborview.example");
}

#[test]
fn a_damaged_ledger_of_the_first_version_is_left_as_it_is_and_set_aside_with_every_debt() {
    let open = |ledger: &Ledger| -> BTreeSet<String> {
        let debts = ledger.read(|conn| debts::list(conn, Timestamp::MAX)).unwrap();
        debts.iter().map(|debt| debt.id.to_string()).collect()
    };
    let (_whole, path) = copy("ledger_v1.db");
    let ledger = Ledger::open(&path).unwrap();
    let (owed, stamp) = (open(&ledger), ledger.rows(1).unwrap()[0].stamp.clone());
    let mut intents = ledger.rows(1).unwrap().into_iter().filter_map(|row| match row.event {
        Event::Intended(intent) if owed.contains(&intent.debt.to_string()) => Some((row.seq, intent.debt)),
        _ => None,
    });
    let (seq, debt) = intents.next_back().unwrap();
    let seq = seq.cast_signed();

    let (_folder, path) = copy("ledger_v1.db");
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("DROP TRIGGER ledger_is_never_updated").unwrap();
    conn.execute("UPDATE ledger SET body = X'7B5A' WHERE seq = ?1", [seq]).unwrap();
    drop(conn);
    let error = Ledger::open(&path).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { detail, .. } if detail.contains(&format!("row {seq}"))), "{error}");
    assert_eq!(version(&path), 1, "a migration that fails leaves nothing");

    let at = "2026-11-20T12:00:00Z".parse().unwrap();
    let done = aside::set_aside(&path, at, SignedDuration::from_mins(30), &stamp, |_| Ok(())).unwrap();
    let aside::Done::SetAside(done) = done else { panic!("{done:?}") };
    assert_eq!(done.unread, [(seq.cast_unsigned(), seq.cast_unsigned())]);
    assert_eq!(done.debts_unread, 0);
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(open(&ledger), owed);
    assert!(ledger.read(|conn| disclosures::last_of_debt(conn, debt)).unwrap().is_some(), "from the tables");
}

#[test]
fn indexes_of_every_version_open_and_find_their_keys() {
    for (name, was) in [("index_v1.db", 1), ("index_v2.db", 2)] {
        let (_folder, path) = copy(name);
        assert_eq!(version(&path), was);
        let index = Index::open_as_it_is(&path).unwrap();
        assert_eq!(index.by_prefix(&KeyPrefix::read("4F2B91C0").unwrap(), 10).unwrap().0, 1, "{name}");
        assert!(index.listing().unwrap().complete_since.is_some(), "{name}");
        assert!(version(&path) >= was);
    }
}

#[test]
fn a_ledger_of_a_later_version_is_left_as_it_is() {
    let (_folder, path) = copy("ledger_v1.db");
    drop(Ledger::open(&path).unwrap());
    let later = version(&path) + 1;
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", later).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(matches!(Ledger::open(&path), Err(StoreError::Newer(_))));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(Ledger::open_copy(&path).unwrap().verify().unwrap().is_ok(), "its chain can be verified all the same");
}
