//! What somebody with the file and a database shell can do to a chain, and what it is called when it is found.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    chain::{Break, Given},
    compare::Projections,
    tests::Desk,
    *,
};
use crate::domain::{digest::sha256, event::Event};

/// A ledger of a whole call, nine rows, that somebody has opened by hand: nothing refuses them any more.
fn opened() -> (Desk, Connection) {
    let mut desk = Desk::new();
    desk.whole_call();
    let conn = Connection::open(&desk.path).unwrap();
    conn.execute_batch("DROP TRIGGER ledger_is_never_updated; DROP TRIGGER ledger_is_never_deleted;").unwrap();
    (desk, conn)
}

fn body(conn: &Connection, seq: i64) -> String {
    let bytes: Vec<u8> = conn.query_row("SELECT body FROM ledger WHERE seq = ?1", [seq], |row| row.get(0)).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Puts other bytes into a row, with the hash they have.
fn rewrite(conn: &Connection, seq: i64, body: &str) {
    let set = "UPDATE ledger SET body = ?2, hash = ?3 WHERE seq = ?1";
    assert_eq!(conn.execute(set, params![seq, body.as_bytes(), sha256(body)]).unwrap(), 1);
}

fn insert(conn: &Connection, seq: i64, body: &str) {
    let put = "INSERT INTO ledger (seq, body, hash) VALUES (?1, ?2, ?3)";
    conn.execute(put, params![seq, body.as_bytes(), sha256(body)]).unwrap();
}

/// Makes room: the rows from `from` on are numbered `by` higher.
fn shift(conn: &Connection, from: i64, by: i64) {
    conn.execute("UPDATE ledger SET seq = seq + 1000 WHERE seq >= ?1", [from]).unwrap();
    conn.execute("UPDATE ledger SET seq = seq - 1000 + ?1 WHERE seq >= 1000", [by]).unwrap();
}

fn swap(conn: &Connection, one: i64, other: i64) {
    for (from, to) in [(one, 9999), (other, one), (9999, other)] {
        conn.execute("UPDATE ledger SET seq = ?2 WHERE seq = ?1", [from, to]).unwrap();
    }
}

fn edit(conn: &Connection, seq: i64, from: &str, to: &str) {
    let (before, after) = (body(conn, seq), body(conn, seq).replace(from, to));
    assert_ne!(before, after);
    rewrite(conn, seq, &after);
}

fn run(conn: &Connection, sql: &str) {
    assert!(conn.execute(sql, []).unwrap() > 0, "{sql}");
}

type Deed = fn(&Connection);

#[test]
fn what_was_done_is_named_at_its_row() {
    const EDIT: &str =
        "UPDATE ledger SET body = CAST(replace(CAST(body AS TEXT), 'INC0048213', 'INC0048214') AS BLOB) WHERE seq = 2";
    let no_row = Break::NoRow(3, "missing field `seq` at line 1 column 2".into());
    let deeds: [(&str, Deed, Break); 16] = [
        ("a row's bytes", |conn| run(conn, EDIT), Break::Edited(2)),
        ("the last row's hash", |conn| run(conn, "UPDATE ledger SET hash = 'x' WHERE seq = 9"), Break::Edited(9)),
        ("a row and its hash", |conn| edit(conn, 2, "INC0048213", "INC0048214"), Break::Rehashed(2)),
        ("the first row and its hash", |conn| edit(conn, 1, "\"dana\"", "\"omar\""), Break::Rehashed(1)),
        ("the number in the bytes", |conn| edit(conn, 4, "\"seq\":4", "\"seq\":5"), Break::Rehashed(4)),
        ("a row that is none", |conn| rewrite(conn, 3, "{}"), no_row),
        ("out", |conn| run(conn, "DELETE FROM ledger WHERE seq = 2"), Break::Deleted { first: 2, last: 2 }),
        ("the first out", |conn| run(conn, "DELETE FROM ledger WHERE seq < 4"), Break::Deleted { first: 1, last: 3 }),
        (
            "out, and the rest numbered anew",
            |conn| {
                run(conn, "DELETE FROM ledger WHERE seq IN (4, 5)");
                shift(conn, 6, -2);
            },
            Break::Deleted { first: 4, last: 5 },
        ),
        (
            "a forged row in between",
            |conn| {
                let forged = body(conn, 4).replace("in-windows", "call-parked");
                shift(conn, 4, 1);
                insert(conn, 4, &forged);
            },
            Break::Inserted(4),
        ),
        (
            "a made-up row in between",
            |conn| {
                shift(conn, 4, 1);
                insert(conn, 4, r#"{"prev":"ab","seq":4}"#);
            },
            Break::Inserted(4),
        ),
        (
            "a row a second time",
            |conn| {
                let copy = body(conn, 2);
                shift(conn, 6, 1);
                insert(conn, 6, &copy);
            },
            Break::Inserted(6),
        ),
        ("a row before the first", |conn| insert(conn, 0, r#"{"prev":"ab","seq":0}"#), Break::Inserted(0)),
        ("two rows in each other's place", |conn| swap(conn, 4, 5), Break::Reordered(4)),
        ("moved to the end", |conn| run(conn, "UPDATE ledger SET seq = 11 WHERE seq = 3"), Break::Reordered(4)),
        ("numbered higher", |conn| run(conn, "UPDATE ledger SET seq = 99 WHERE seq = 9"), Break::Reordered(99)),
    ];
    for (what, deed, expected) in deeds {
        let (desk, conn) = opened();
        deed(&conn);
        assert_eq!(desk.ledger.verify().unwrap(), Err(expected), "{what}");
    }
}

#[test]
fn rows_cut_off_the_end_show_against_a_head_kept_elsewhere_and_only_there() {
    let (desk, conn) = opened();
    let kept = desk.ledger.head().unwrap();
    conn.execute("DELETE FROM ledger WHERE seq > 6", []).unwrap();
    assert_eq!(desk.ledger.verify().unwrap().unwrap().seq, 6, "what is left is whole");
    for text in [kept.hash.clone(), kept.hash[..8].to_owned(), format!("{}:{}", kept.seq, &kept.hash[..8])] {
        let given: Given = text.parse().unwrap();
        let broken = desk.ledger.examine(Some(&given)).unwrap().0.unwrap_err();
        assert_eq!(broken, Break::Truncated { end: 6, given });
    }
}

#[test]
fn a_chain_computed_anew_shows_against_a_head_kept_elsewhere() {
    let (mut desk, conn) = opened();
    let kept = desk.ledger.head().unwrap();
    conn.execute("DELETE FROM ledger WHERE seq > 6", []).unwrap();
    for _ in 0..6 {
        desk.append(None, &Event::SignedOut).unwrap();
    }
    let given: Given = format!("{}:{}", kept.seq, kept.hash).parse().unwrap();
    let broken = desk.ledger.examine(Some(&given)).unwrap().0.unwrap_err();
    assert_eq!(broken, Break::Another { seq: kept.seq, given });
}

#[test]
fn a_head_of_long_ago_is_found_where_it_stands() {
    let (mut desk, _) = opened();
    let kept = desk.ledger.head().unwrap();
    desk.append(None, &Event::SignedOut).unwrap();
    let given: Given = kept.hash[..8].to_ascii_uppercase().parse().unwrap();
    let seen = desk.ledger.examine(Some(&given)).unwrap().0.unwrap();
    let matched = seen.given.unwrap();
    assert_eq!((seen.head.seq, matched.row, matched.prefix), (kept.seq + 1, kept, true));
}

#[test]
fn less_than_a_note_prints_is_no_head() {
    for text in ["", "9c41e07", "9c41e07g", "x:9c41e07a", "15:", &"a".repeat(65)] {
        assert!(text.parse::<Given>().is_err(), "{text}");
    }
    assert!(" 15:9C41E07A ".parse::<Given>().is_ok());
}

#[test]
fn a_row_of_a_newer_version_is_no_break_and_is_read_as_it_stands() {
    let (desk, conn) = opened();
    let head = desk.ledger.head().unwrap();
    let newer = format!(r#"{{"prev":"{}","seq":{},"v":2,"what":{{"event":"beamed-up"}}}}"#, head.hash, head.seq + 1);
    insert(&conn, i64::try_from(head.seq + 1).unwrap(), &newer);
    assert_eq!(desk.ledger.verify().unwrap().unwrap().seq, head.seq + 1);
    let mut raw = Vec::new();
    desk.ledger
        .stored(head.seq + 1, |row| {
            raw.push((row.read().is_err(), String::from_utf8(row.bytes.clone()).unwrap()));
            true
        })
        .unwrap();
    assert_eq!(raw, [(true, newer)]);
    let (_, projections) = desk.ledger.examine(None).unwrap();
    assert!(matches!(projections, Projections::NotCompared(_)), "{projections}");
}

#[test]
fn projections_that_say_something_else_than_the_rows_are_told_apart_from_a_broken_chain() {
    let (desk, conn) = opened();
    assert_eq!(desk.ledger.examine(None).unwrap().1, Projections::AsTheRows);
    conn.execute("UPDATE debts SET open = 0", []).unwrap();
    conn.execute("DELETE FROM seats", []).unwrap();
    let (chain, projections) = desk.ledger.examine(None).unwrap();
    assert!(chain.is_ok());
    assert_eq!(projections, Projections::Differ(vec!["debts", "seats"]));
    desk.ledger.rebuild().unwrap();
    assert_eq!(desk.ledger.examine(None).unwrap().1, Projections::AsTheRows);
}

#[test]
fn a_copy_is_read_as_it_lies_with_its_log_or_without_and_nothing_is_made_beside_it() {
    let mut desk = Desk::new();
    desk.whole_call();
    let head = desk.ledger.head().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let names = || {
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    // Windows has no such name.
    let copy = folder.path().join(if cfg!(windows) { "sent by mail#1.db" } else { "sent?by mail#1.db" });
    let log = reading::beside(&copy, "-wal");
    std::fs::copy(&desk.path, &copy).unwrap();
    std::fs::copy(reading::beside(&desk.path, "-wal"), &log).unwrap();
    let read = Ledger::open_copy(&copy).unwrap();
    assert_eq!(read.verify().unwrap().unwrap(), head);
    assert!(read.write(desk.now, &desk.stamp, |pen| pen.append(None, &Event::SignedOut)).is_err());
    drop(read);
    assert_eq!(names().len(), 2);
    // Everything in one file, as a desk that was closed leaves it.
    let whole = Connection::open(&desk.path).unwrap();
    whole.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    std::fs::remove_file(&log).unwrap();
    std::fs::copy(&desk.path, &copy).unwrap();
    assert_eq!(Ledger::open_copy(&copy).unwrap().verify().unwrap().unwrap(), head);
    assert_eq!(names().len(), 1);
    let missing = Ledger::open_copy(&folder.path().join("missing.db"));
    assert!(matches!(missing, Err(StoreError::Open { .. })));
}
