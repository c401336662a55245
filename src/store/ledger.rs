//! `ledger.db`: the only way to change it is to append an event, and its projections follow in the same transaction.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use tempfile::TempDir;

use super::{
    StoreError, TxError, chain,
    chain::{Break, Given, Head, Seen, Stored},
    compare::{Projections, compare},
    projection,
    reading::Reading,
    schema::{self, Care},
};
use crate::domain::{
    call::CallId,
    event::{Event, Row, Stamp},
    policy::Policy,
};

/// The ledger of this machine.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    /// The policy in force: its fingerprint and its lines.
    policy: Option<(String, BTreeMap<String, String>)>,
    conn: Mutex<Connection>,
    /// Where what is read was copied to, after the connection so that it is closed first.
    _copy: Option<TempDir>,
}

/// One write: appends rows and reads what they made of the projections, all in one immediate transaction.
#[derive(Debug)]
pub struct Pen<'a> {
    conn: &'a Connection,
    at: Timestamp,
    stamp: &'a Stamp,
    policy: Option<&'a (String, BTreeMap<String, String>)>,
    /// Whether the rows say what the policy's fingerprint stands for.
    explained: bool,
}

impl Ledger {
    /// Opens or makes the file.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let conn = schema::open(path, Care::Durable)?;
        Ok(Self { path: path.into(), policy: None, _copy: None, conn: Mutex::new(conn) })
    }

    /// The same, knowing the policy in force: what its fingerprint stands for is recorded before the first row that bears it.
    #[must_use]
    pub fn knowing(mut self, policy: &Policy) -> Self {
        self.policy = Some((policy.digest(), policy.lines()));
        self
    }

    /// Looks into a ledger of another desk, without changing it; `None` where there is none.
    pub fn peek(path: &Path) -> Result<Option<Self>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        let reading = Reading::of_a_desk(path)?;
        Ok(Some(Self { path: path.into(), policy: None, _copy: reading.copy, conn: Mutex::new(reading.conn) }))
    }

    /// Reads a file that lies anywhere, as it is: nothing beside it is made, and its folder may be read-only.
    pub fn open_copy(path: &Path) -> Result<Self, StoreError> {
        let reading = Reading::of_a_copy(path)?;
        Ok(Self { path: path.into(), policy: None, _copy: reading.copy, conn: Mutex::new(reading.conn) })
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
            let mut pen = Pen { conn: &tx, at, stamp, policy: self.policy.as_ref(), explained: false };
            let value = write(&mut pen)?;
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

    /// Hands `each` every row from `from` on as it is stored, also one of a newer version, until it answers `false`.
    pub fn stored(&self, from: u64, each: impl FnMut(&Stored) -> bool) -> Result<(), StoreError> {
        self.read(|conn| chain::stored(conn, from, each))
    }

    /// Walks the whole chain.
    pub fn verify(&self) -> Result<Result<Head, Break>, StoreError> {
        self.read(|conn| Ok(chain::verify(conn, None)?.map(|seen| seen.head)))
    }

    /// Walks the whole chain, looks for `given` in it, and holds the projections against the rows: all of one moment.
    pub fn examine(&self, given: Option<&Given>) -> Result<(Result<Seen, Break>, Projections), StoreError> {
        self.read(|conn| {
            let moment = conn.unchecked_transaction()?;
            Ok((chain::verify(&moment, given)?, compare(&moment)?))
        })
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
    refill_from(conn, conn)
}

/// Fills the empty projections of `into` from the rows of `from`.
pub(super) fn refill_from(from: &Connection, into: &Connection) -> Result<(), TxError> {
    let mut filled = Ok(());
    chain::walk(from, 1, |row| {
        filled = projection::apply(into, row.at, &row.stamp, row.call, &row.event);
        filled.is_ok()
    })?;
    filled
}

impl Pen<'_> {
    /// Appends one event and applies it. Returns its sequence number.
    pub fn append(&mut self, call: Option<CallId>, event: &Event) -> Result<u64, TxError> {
        self.explain_policy()?;
        self.append_only(call, event)
    }

    fn append_only(&self, call: Option<CallId>, event: &Event) -> Result<u64, TxError> {
        let seq = chain::append(self.conn, self.at, self.stamp, call, event)?;
        projection::apply(self.conn, self.at, self.stamp, call, event)?;
        Ok(seq)
    }

    /// Before the first row that bears a policy's fingerprint: what it stands for.
    fn explain_policy(&mut self) -> Result<(), TxError> {
        let Some((digest, lines)) = self.policy.filter(|(digest, _)| !self.explained && *digest == self.stamp.policy)
        else {
            return Ok(());
        };
        self.explained = true;
        let known: bool =
            self.conn
                .query_row("SELECT EXISTS (SELECT 1 FROM policies WHERE digest = ?1)", [digest], |row| row.get(0))?;
        if !known {
            self.append_only(None, &Event::PolicyInForce { digest: digest.clone(), lines: lines.clone() })?;
        }
        Ok(())
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
