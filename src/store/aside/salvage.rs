//! What can still be read of a damaged ledger. Works on a copy, and changes it.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use rusqlite::Connection;

use super::{chain, first, schema};
use crate::{
    domain::{debt::Debt, digest::sha256},
    store::{
        TxError,
        chain::{Head, Stored},
        debts, projection,
    },
};

/// After so many rows in turn that cannot be read nothing more is looked for.
const PATIENCE: u64 = 10_000;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    pub rows: u64,
    /// The last row that can be read.
    pub head: Head,
    pub unread: Vec<(u64, u64)>,
    /// Open debts, the oldest first.
    pub debts: Vec<Debt>,
}

/// Reads row by row, around what is damaged. Where every row can be read, they alone say what is owed; else what the tables folded from
/// them still say is owed counts too: rather one debt too many than one forgotten.
pub(super) fn salvage(copy: &Path) -> Salvaged {
    let Ok(conn) = open(copy) else { return Salvaged::default() };
    let (rows, last) = rows(&conn);
    let unread = gaps(&rows, last);
    let head = rows.last().map(|row| Head { seq: row.seq, hash: row.hash.clone() }).unwrap_or_default();
    let mut debts: BTreeMap<String, Debt> = BTreeMap::new();
    let mut add = |found: Result<Vec<Debt>, TxError>| {
        for debt in found.unwrap_or_default() {
            debts.entry(debt.id.to_string()).or_insert(debt);
        }
    };
    if !unread.is_empty() || rows.is_empty() {
        // How far its replacement had come may stand in a row that is lost.
        add(open_debts(&conn));
    }
    add(folded(&rows));
    let mut debts: Vec<Debt> = debts.into_values().collect();
    debts.sort_by_key(|debt| debt.since);
    Salvaged { rows: rows.len() as u64, head, unread, debts }
}

/// However it can be opened. The log is read where it can be: a damaged one is left out.
fn open(copy: &Path) -> rusqlite::Result<Connection> {
    let looks = |conn: &Connection| conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    let conn = Connection::open(copy)?;
    if looks(&conn).is_ok() {
        return Ok(conn);
    }
    drop(conn);
    mend_header(copy);
    let conn = Connection::open(copy)?;
    looks(&conn).map(|()| conn)
}

/// The first hundred bytes are the same in every ledger but for what `SQLite` counts in them: with those of a new one, and the size that the
/// file has, the pages behind them can be reached again.
fn mend_header(copy: &Path) {
    const HEADER: usize = 100;
    let mended = || -> Option<()> {
        let folder = tempfile::tempdir().ok()?;
        let model = folder.path().join("model.db");
        let conn = schema::open(&model, schema::Care::Durable).ok()?;
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).ok()?;
        drop(conn);
        let mut header = std::fs::read(&model).ok()?;
        header.truncate(HEADER);
        let mut bytes = std::fs::read(copy).ok()?;
        let page = usize::from(u16::from_be_bytes([*header.get(16)?, *header.get(17)?]));
        let pages = u32::try_from(bytes.len() / page).ok()?;
        header.get_mut(28..32)?.copy_from_slice(&pages.to_be_bytes());
        // No free pages: what they hold is of no use here.
        header.get_mut(32..40)?.fill(0);
        bytes.get_mut(..HEADER)?.copy_from_slice(&header);
        std::fs::write(copy, bytes).ok()
    };
    if mended().is_none() {
        tracing::warn!("the header of the damaged ledger cannot be mended");
    }
}

/// Every row that can be read and has its hash, and the greatest number that any row may have.
fn rows(conn: &Connection) -> (Vec<Stored>, u64) {
    let mut rows: Vec<Stored> = Vec::new();
    let last = first(conn, "SELECT max(seq) FROM ledger", [], |row| Ok(row.get::<_, Option<i64>>(0)?));
    let known = last.ok().flatten().flatten().map_or(0, i64::cast_unsigned);
    let mut next = 1;
    let mut failed = 0;
    // As far as it goes in one walk; then row by row over what stops it, then on.
    while failed < PATIENCE {
        let walked = chain::stored(conn, next, |row| {
            rows.push(row.clone());
            true
        });
        if walked.is_ok() {
            break;
        }
        next = rows.last().map_or(next, |row| next.max(row.seq + 1));
        while failed < PATIENCE && !can_be_read(conn, next) {
            next += 1;
            failed += 1;
        }
    }
    rows.retain(|row| sha256(&row.bytes) == row.hash);
    let last = rows.last().map_or(0, |row| row.seq).max(known);
    (rows, last)
}

/// Whether the walk can begin here: the row is there and whole.
fn can_be_read(conn: &Connection, seq: u64) -> bool {
    let read = |row: &rusqlite::Row<'_>| Ok(row.get::<_, Vec<u8>>(0)?);
    first(conn, "SELECT body FROM ledger WHERE seq = ?1", [seq.cast_signed()], read).is_ok_and(|row| row.is_some())
}

/// The numbers up to `last` that no row bears.
fn gaps(rows: &[Stored], last: u64) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut next = 1;
    for row in rows {
        if row.seq > next {
            gaps.push((next, row.seq - 1));
        }
        next = row.seq + 1;
    }
    if next <= last {
        gaps.push((next, last));
    }
    gaps
}

/// What the rows say is owed. One that fits nowhere, because a row before it is lost, is passed over.
fn folded(rows: &[Stored]) -> Result<Vec<Debt>, TxError> {
    let beside = schema::in_memory()?;
    for row in rows.iter().filter_map(|row| row.read().ok()) {
        if let Err(error) = projection::apply(&beside, row.at, &row.stamp, row.call, &row.event) {
            tracing::debug!(%error, seq = row.seq, "a row of the damaged ledger fits nowhere");
        }
    }
    open_debts(&beside)
}

fn open_debts(conn: &Connection) -> Result<Vec<Debt>, TxError> {
    // Nothing has ended after the end of time: what is open is left.
    debts::list(conn, Timestamp::MAX)
}
