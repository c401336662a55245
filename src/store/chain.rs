//! The chain: each row is canonical JSON that names the SHA-256 of the bytes before it.

mod verify;

pub(super) use verify::verify;
pub use verify::{Break, Given, Matched, NoHead, Seen};

use jiff::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{TxError, first};
use crate::domain::{
    call::CallId,
    digest::sha256,
    event::{Event, Row, Stamp},
};

/// The version of the row's shape.
const VERSION: u32 = 1;
/// What the first row names as the hash before it.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A row as stored: serialized with sorted keys and no blanks.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    v: u32,
    seq: u64,
    prev: String,
    at: Timestamp,
    stamp: Stamp,
    call: Option<CallId>,
    what: Event,
}

/// What a row of any version says of its place.
#[derive(Debug, Deserialize)]
struct Envelope {
    seq: u64,
    prev: String,
}

/// The end of the chain: how many rows, and the last one's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: u64,
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: GENESIS.into() }
    }
}

/// One row as it is stored, whatever this version makes of it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The column's number; the bytes bear it too, unless somebody was at work.
    pub seq: u64,
    pub bytes: Vec<u8>,
    pub hash: String,
}

impl Stored {
    fn of(row: &rusqlite::Row<'_>) -> Result<Self, TxError> {
        // Whatever type a meddler gave the columns, their bytes are what is judged.
        let bytes = |column| -> Result<Vec<u8>, TxError> {
            let value = row.get_ref(column)?;
            Ok(value.as_bytes_or_null().ok().flatten().unwrap_or_default().to_vec())
        };
        Ok(Self {
            seq: row.get::<_, i64>(0)?.cast_unsigned(),
            bytes: bytes(1)?,
            hash: String::from_utf8_lossy(&bytes(2)?).into_owned(),
        })
    }

    /// The row, where this version knows its event.
    pub fn read(&self) -> Result<Row, serde_json::Error> {
        let body: Body = serde_json::from_slice(&self.bytes)?;
        let Body { seq, at, stamp, call, what, .. } = body;
        Ok(Row { seq, at, stamp, call, event: what, hash: self.hash.clone() })
    }
}

/// The head now.
pub fn head(conn: &Connection) -> Result<Head, TxError> {
    let read = |row: &rusqlite::Row<'_>| Ok(Head { seq: row.get::<_, i64>(0)?.cast_unsigned(), hash: row.get(1)? });
    Ok(first(conn, "SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1", [], read)?.unwrap_or_default())
}

/// Appends one row after the head. The caller holds the write lock.
pub(super) fn append(
    conn: &Connection,
    at: Timestamp,
    stamp: &Stamp,
    call: Option<CallId>,
    event: &Event,
) -> Result<u64, TxError> {
    let before = head(conn)?;
    let seq = before.seq + 1;
    let body = Body { v: VERSION, seq, prev: before.hash, at, stamp: stamp.clone(), call, what: event.clone() };
    // Through `Value`, whose maps are sorted: canonical.
    let bytes = serde_json::to_value(&body)?.to_string().into_bytes();
    let hash = sha256(&bytes);
    conn.prepare_cached("INSERT INTO ledger (seq, body, hash) VALUES (?1, ?2, ?3)")?.execute((
        seq.cast_signed(),
        &bytes,
        &hash,
    ))?;
    Ok(seq)
}

/// Every row from `from` on, in order.
pub(super) fn rows(conn: &Connection, from: u64) -> Result<Vec<Row>, TxError> {
    let mut rows = Vec::new();
    walk(conn, from, |row| {
        rows.push(row);
        true
    })?;
    Ok(rows)
}

/// Hands `each` every row from `from` on, in order, until it has had enough. A row that cannot be read ends the walk.
pub(super) fn walk(conn: &Connection, from: u64, mut each: impl FnMut(Row) -> bool) -> Result<(), TxError> {
    let mut unread = Ok(());
    stored(conn, from, |row| match row.read() {
        Ok(row) => each(row),
        Err(error) => {
            unread = Err(TxError::Row(format!("row {}: {error}", row.seq)));
            false
        }
    })?;
    unread
}

/// The same of the rows as they are stored, which also a newer version's are.
pub(super) fn stored(conn: &Connection, from: u64, mut each: impl FnMut(&Stored) -> bool) -> Result<(), TxError> {
    let mut statement = conn.prepare_cached("SELECT seq, body, hash FROM ledger WHERE seq >= ?1 ORDER BY seq")?;
    let mut rows = statement.query([from.cast_signed()])?;
    while let Some(row) = rows.next()? {
        if !each(&Stored::of(row)?) {
            break;
        }
    }
    Ok(())
}
