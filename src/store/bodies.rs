//! Rows as they are stored, for whoever hands them on: bytes and hashes, not what they mean. Any version of the file has them.

use rusqlite::Connection;

use super::TxError;
use crate::domain::evidence::Stored;

/// Hands `each` every row, in order.
pub fn walk(conn: &Connection, mut each: impl FnMut(Stored)) -> Result<(), TxError> {
    let mut statement = conn.prepare_cached("SELECT seq, body, hash FROM ledger ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(read(row)?);
    }
    Ok(())
}

/// The rows of these numbers, in order. One that is not there is left out.
pub fn get(conn: &Connection, seqs: impl IntoIterator<Item = u64>) -> Result<Vec<Stored>, TxError> {
    let mut statement = conn.prepare_cached("SELECT seq, body, hash FROM ledger WHERE seq = ?1")?;
    let mut found = Vec::new();
    for seq in seqs {
        let mut rows = statement.query([seq.cast_signed()])?;
        if let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
    }
    Ok(found)
}

fn read(row: &rusqlite::Row<'_>) -> Result<Stored, TxError> {
    Ok(Stored { seq: row.get::<_, i64>(0)?.cast_unsigned(), body: row.get(1)?, hash: row.get(2)? })
}
