//! `ledger.db`: the only way to change it is to append an event, and its projections follow in the same transaction.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{
    StoreError, TxError, chain,
    chain::{Break, Head},
    projection,
    schema::{self, Care},
};
use crate::domain::{
    call::CallId,
    event::{Event, Row, Stamp},
};

/// The ledger of this machine.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    conn: Mutex<Connection>,
}

/// One write: appends rows and reads what they made of the projections, all in one immediate transaction.
#[derive(Debug)]
pub struct Pen<'a> {
    conn: &'a Connection,
    at: Timestamp,
    stamp: &'a Stamp,
}

impl Ledger {
    /// Opens or makes the file.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.into(), conn: Mutex::new(schema::open(path, Care::Durable)?) })
    }

    /// Looks into a ledger of another desk, without changing it; `None` where there is none.
    pub fn peek(path: &Path) -> Result<Option<Self>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).map_err(|e| TxError::Sql(e).at(path))?;
        Ok(Some(Self { path: path.into(), conn: Mutex::new(conn) }))
    }

    /// Runs `write` in one `BEGIN IMMEDIATE`; on any error nothing of it stands.
    pub fn write<T>(
        &self,
        at: Timestamp,
        stamp: &Stamp,
        write: impl FnOnce(&mut Pen<'_>) -> Result<T, TxError>,
    ) -> Result<T, StoreError> {
        let mut conn = self.conn();
        let run = || -> Result<T, TxError> {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = write(&mut Pen { conn: &tx, at, stamp })?;
            tx.commit()?;
            Ok(value)
        };
        run().map_err(|e| e.at(&self.path))
    }

    /// Reads the projections.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, TxError>) -> Result<T, StoreError> {
        read(&self.conn()).map_err(|e| e.at(&self.path))
    }

    /// The end of the chain.
    pub fn head(&self) -> Result<Head, StoreError> {
        self.read(chain::head)
    }

    /// Every row from sequence number `from` on.
    pub fn rows(&self, from: u64) -> Result<Vec<Row>, StoreError> {
        self.read(|conn| chain::rows(conn, from))
    }

    /// Hands `each` every row from `from` on, one at a time, until it answers `false` or a row cannot be read.
    pub fn walk(&self, from: u64, each: impl FnMut(Row) -> bool) -> Result<(), StoreError> {
        self.read(|conn| chain::walk(conn, from, each))
    }

    /// Walks the whole chain.
    pub fn verify(&self) -> Result<Result<Head, Break>, StoreError> {
        self.read(chain::verify)
    }

    /// Throws the projections away and makes them again from the rows.
    pub fn rebuild(&self) -> Result<(), StoreError> {
        let mut conn = self.conn();
        let mut run = || -> Result<(), TxError> {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            projection::clear(&tx)?;
            refill(&tx)?;
            tx.commit()?;
            Ok(())
        };
        run().map_err(|e| e.at(&self.path))
    }

    fn conn(&self) -> MutexGuard<'_, Connection> {
        // A panic in a transaction rolled it back: the connection is sound.
        self.conn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fills empty projections from the rows.
pub(super) fn refill(conn: &Connection) -> Result<(), TxError> {
    let mut filled = Ok(());
    chain::walk(conn, 1, |row| {
        filled = projection::apply(conn, row.at, &row.stamp, row.call, &row.event);
        filled.is_ok()
    })?;
    filled
}

impl Pen<'_> {
    /// Appends one event and applies it. Returns its sequence number.
    pub fn append(&mut self, call: Option<CallId>, event: &Event) -> Result<u64, TxError> {
        let seq = chain::append(self.conn, self.at, self.stamp, call, event)?;
        projection::apply(self.conn, self.at, self.stamp, call, event)?;
        Ok(seq)
    }

    /// The projections, as this transaction sees them.
    pub fn conn(&self) -> &Connection {
        self.conn
    }

    pub fn at(&self) -> Timestamp {
        self.at
    }

    pub fn stamp(&self) -> &Stamp {
        self.stamp
    }
}
