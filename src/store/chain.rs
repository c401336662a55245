//! The chain: each row is canonical JSON that names the SHA-256 of the bytes before it.

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

/// Where and how a chain breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    #[error("row {0}: its bytes do not have the hash that is stored beside them (edited)")]
    Edited(u64),
    #[error("row {0}: it does not follow the row before it (deleted, inserted or reordered)")]
    Unlinked(u64),
    #[error("row {0}: it is not of a form this version reads: {1}")]
    Unreadable(u64, String),
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
    super::all(conn, "SELECT seq, body, hash FROM ledger WHERE seq >= ?1 ORDER BY seq", [from.cast_signed()], |row| {
        let bytes: Vec<u8> = row.get(1)?;
        let body: Body = serde_json::from_slice(&bytes)?;
        Ok(Row { seq: body.seq, at: body.at, stamp: body.stamp, call: body.call, event: body.what, hash: row.get(2)? })
    })
}

/// Hands `each` every row from `from` on, in order, until it has had enough. A row that cannot be read ends the walk.
pub(super) fn walk(conn: &Connection, from: u64, mut each: impl FnMut(Row) -> bool) -> Result<(), TxError> {
    let mut statement = conn.prepare_cached("SELECT body, hash FROM ledger WHERE seq >= ?1 ORDER BY seq")?;
    let mut rows = statement.query([from.cast_signed()])?;
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(0)?;
        let body: Body = serde_json::from_slice(&bytes)?;
        let row =
            Row { seq: body.seq, at: body.at, stamp: body.stamp, call: body.call, event: body.what, hash: row.get(1)? };
        if !each(row) {
            break;
        }
    }
    Ok(())
}

/// Walks the whole chain. The head when every row follows the one before it, the first break otherwise.
pub(super) fn verify(conn: &Connection) -> Result<Result<Head, Break>, TxError> {
    let mut statement = conn.prepare("SELECT seq, body, hash FROM ledger ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut before = Head::default();
    while let Some(row) = rows.next()? {
        let (seq, bytes, stored): (i64, Vec<u8>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let seq = seq.cast_unsigned();
        if sha256(&bytes) != stored {
            return Ok(Err(Break::Edited(seq)));
        }
        let body: Body = match serde_json::from_slice(&bytes) {
            Ok(body) => body,
            Err(e) => return Ok(Err(Break::Unreadable(seq, e.to_string()))),
        };
        if body.prev != before.hash || body.seq != seq || seq != before.seq + 1 {
            return Ok(Err(Break::Unlinked(seq)));
        }
        before = Head { seq, hash: stored };
    }
    Ok(Ok(before))
}
