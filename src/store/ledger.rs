//! `ledger.db`: the only way to change it is to append an event, and its projections follow in the same transaction.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, config::DbConfig};
use tempfile::TempDir;

use super::{
    StoreError, TxError, aside, chain,
    chain::{Break, Given, Head, Seen, Stored},
    compare::{Projections, compare},
    no_digits, projection,
    reading::Reading,
    schema::{self, Care},
    standing::{self, Standing},
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
    open: Mutex<Open>,
    /// Where what is read was copied to, after the connection so that it is closed first.
    _copy: Option<TempDir>,
}

/// The connection, and what it was opened on.
#[derive(Debug)]
struct Open {
    conn: Connection,
    /// `None` where it is only read.
    standing: Option<Standing>,
}

impl Open {
    fn at(path: &Path) -> Result<Self, StoreError> {
        if aside::is_waiting(path) {
            let detail = "setting it aside was cut short; `keydesk ledger set-aside` finishes it".into();
            return Err(StoreError::Damaged { path: path.into(), detail });
        }
        // Noted before it is looked for: another desk may write meanwhile.
        let noted = standing::noted(path);
        let conn = schema::open(path, Care::Durable)?;
        standing::must_hold(&conn, path, noted.as_ref())?;
        Ok(Self { conn, standing: Some(Standing::of(path)) })
    }

    fn must_stand(&self, path: &Path) -> Result<(), StoreError> {
        match &self.standing {
            Some(standing) if !standing.holds() => Err(StoreError::Gone(path.into())),
            _ => Ok(()),
        }
    }

    /// Lets go of a file that was taken away. What stands at its path now is opened for the next write; nothing is made where nothing is.
    fn open_again(&mut self, path: &Path) {
        self.leave_alone();
        if path.exists() {
            match Self::at(path) {
                Ok(open) => *self = open,
                Err(error) => tracing::warn!(%error, "what stands in the ledger's place cannot be opened"),
            }
        }
    }

    /// At its end a connection deletes the write-ahead log by name: here that would be the log of another file.
    fn leave_alone(&self) {
        if let Err(error) = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
            tracing::warn!(%error, "the log's name is not left alone");
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.standing.as_ref().is_some_and(|standing| !standing.holds()) {
            self.leave_alone();
        }
    }
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
        let open = Open::at(path)?;
        Ok(Self { path: path.into(), policy: None, _copy: None, open: Mutex::new(open) })
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
        Ok(Some(Self::of(path, reading)))
    }

    /// Reads a file that lies anywhere, as it is: nothing beside it is made, and its folder may be read-only.
    pub fn open_copy(path: &Path) -> Result<Self, StoreError> {
        let reading = Reading::of_a_copy(path)?;
        Ok(Self::of(path, reading))
    }

    fn of(path: &Path, reading: Reading) -> Self {
        let open = Open { conn: reading.conn, standing: None };
        Self { path: path.into(), policy: None, _copy: reading.copy, open: Mutex::new(open) }
    }

    /// The end of the chain as the last write on this machine noted it, where there is a note.
    pub fn noted(path: &Path) -> Option<Head> {
        standing::noted(path)
    }

    /// Runs `write` in one `BEGIN IMMEDIATE`; on any error nothing of it stands.
    pub fn write<T>(
        &self,
        at: Timestamp,
        stamp: &Stamp,
        write: impl FnOnce(&mut Pen<'_>) -> Result<T, TxError>,
    ) -> Result<T, StoreError> {
        let mut open = self.hold();
        let sql = |e: TxError| e.at(&self.path);
        let run = |open: &mut Open| -> Result<(T, Head), StoreError> {
            open.must_stand(&self.path)?;
            let tx = begin(&mut open.conn).map_err(sql)?;
            // A later keydesk may have changed the tables since this desk opened them; from here on nobody does.
            if schema::version_of(&tx).map_err(sql)? > schema::LEDGER {
                return Err(StoreError::Newer(self.path.clone()));
            }
            let mut pen = Pen { conn: &tx, at, stamp, policy: self.policy.as_ref(), explained: false };
            let value = write(&mut pen).map_err(sql)?;
            let head = chain::head(&tx).map_err(sql)?;
            // Once more, as late as can be: a row in a file that is gone would be no record.
            if open.standing.as_ref().is_some_and(|standing| !standing.holds()) {
                return Err(StoreError::Gone(self.path.clone()));
            }
            tx.commit().map_err(|e| sql(e.into()))?;
            Ok((value, head))
        };
        let written = run(&mut open);
        if matches!(written, Err(StoreError::Gone(_))) {
            open.open_again(&self.path);
        }
        let (value, head) = written?;
        if head.seq > 0 {
            standing::note(&self.path, &head);
        }
        Ok(value)
    }

    /// Reads the projections.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, TxError>) -> Result<T, StoreError> {
        read(&self.hold().conn).map_err(|e| e.at(&self.path))
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

    /// What is wrong where rows that were written on this machine, up to `noted`, are not in the file.
    pub fn lost(&self, noted: &Head) -> Result<Option<Break>, StoreError> {
        self.read(|conn| standing::lost(conn, noted))
    }

    /// Throws the projections away and makes them again from the rows.
    pub fn rebuild(&self) -> Result<(), StoreError> {
        let mut open = self.hold();
        let sql = |e: TxError| e.at(&self.path);
        let tx = begin(&mut open.conn).map_err(sql)?;
        if schema::version_of(&tx).map_err(sql)? > schema::LEDGER {
            return Err(StoreError::Newer(self.path.clone()));
        }
        projection::clear(&tx).and_then(|()| refill(&tx)).map_err(sql)?;
        tx.commit().map_err(|e| sql(e.into()))
    }

    fn hold(&self) -> MutexGuard<'_, Open> {
        // A panic in a transaction rolled it back: the connection is sound.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begin(conn: &mut Connection) -> Result<Transaction<'_>, TxError> {
    Ok(conn.transaction_with_behavior(TransactionBehavior::Immediate)?)
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
    /// Appends one event and applies it; refuses one with digits of a key in it. Returns its sequence number.
    pub fn append(&mut self, call: Option<CallId>, event: &Event) -> Result<u64, TxError> {
        self.explain_policy()?;
        self.append_only(call, event)
    }

    fn append_only(&self, call: Option<CallId>, event: &Event) -> Result<u64, TxError> {
        no_digits::check(event)?;
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
