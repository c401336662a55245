//! Rows as they are stored, for whoever hands them on: bytes and hashes, not what they mean. Any version of the file has them.

use rusqlite::Connection;

use super::{TxError, chain};
use crate::domain::evidence::Stored;

/// Hands `each` every row, in order.
pub fn walk(conn: &Connection, mut each: impl FnMut(u64, &[u8])) -> Result<(), TxError> {
    chain::stored(conn, 1, |row| {
        each(row.seq, &row.bytes);
        true
    })
}

/// The rows of these numbers, in order. One that is not there is left out.
pub fn get(conn: &Connection, seqs: impl IntoIterator<Item = u64>) -> Result<Vec<Stored>, TxError> {
    let mut found = Vec::new();
    for seq in seqs {
        chain::stored(conn, seq, |row| {
            if row.seq == seq {
                found.push(Stored { seq, body: row.bytes.clone(), hash: row.hash.clone() });
            }
            false
        })?;
    }
    Ok(found)
}
