//! The tables, version by version. A landed version is never edited: a change is a new step.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, config::DbConfig};
use rusqlite_migration::{HookError, M, MigrationDefinitionError, Migrations};

use super::{
    StoreError, TxError, ledger,
    standing::{Identity, identity},
};

/// How long a database waits for another desk's write.
pub(super) const BUSY: Duration = Duration::from_secs(5);

fn ledger_steps() -> Migrations<'static> {
    Migrations::new(vec![
        M::up(include_str!("ledger_v1.sql")),
        M::up_with_hook(include_str!("ledger_v2.sql"), |tx| {
            ledger::refill(tx).map_err(|error| match error {
                // A full disk or another desk's lock keeps its kind; what is left is a row that cannot be read, or fits nowhere.
                TxError::Sql(error) => HookError::RusqliteError(error),
                other => HookError::Hook(other.to_string()),
            })
        }),
    ])
}

fn index_steps() -> Migrations<'static> {
    Migrations::new(vec![M::up(include_str!("index_v1.sql")), M::up(include_str!("index_v2.sql"))])
}

/// How many steps today's ledger has taken.
pub(super) const LEDGER: u32 = 2;

/// Today's tables of the ledger, empty, in memory.
pub(super) fn in_memory() -> Result<Connection, TxError> {
    let mut conn = Connection::open_in_memory()?;
    ledger_steps().to_latest(&mut conn).map_err(|error| TxError::Row(error.to_string()))?;
    Ok(conn)
}

/// How many steps the file has taken.
pub(super) fn version_of(conn: &Connection) -> Result<u32, TxError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// How careful a database is about losing its last write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// The ledger: an answered write is on the disk.
    Durable,
    /// The index: a write may be lost with the power.
    Light,
}

/// Opens `path`, sets its pragmas and brings its tables up to date.
pub(super) fn open(path: &Path, care: Care) -> Result<Connection, StoreError> {
    super::private::make(path);
    let mut conn = Connection::open(path).map_err(|e| TxError::Sql(e).at(path))?;
    patiently(|| set_up(&mut conn, care)).map_err(|e| TxError::Sql(e).at(path))?;
    let steps = if care == Care::Durable { ledger_steps() } else { index_steps() };
    if care == Care::Durable {
        // A newer one is not ours to judge. A damaged one is not to be changed, so this comes before its tables are.
        if version_of(&conn).map_err(|error| error.at(path))? > LEDGER {
            return Err(StoreError::Newer(path.into()));
        }
        must_be_sound(&conn, path)?;
    }
    migrate(&steps, &mut conn).map_err(|e| match e {
        rusqlite_migration::Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            StoreError::Newer(path.into())
        }
        rusqlite_migration::Error::RusqliteError { err, .. } => TxError::Sql(err).at(path),
        rusqlite_migration::Error::Hook(detail) => StoreError::Damaged { path: path.into(), detail },
        other => StoreError::Open { path: path.into(), detail: other.to_string() },
    })?;
    Ok(conn)
}

/// What stands for the state of a file: which one it is, how long, and when it was changed.
type State = (PathBuf, Option<Identity>, u64, Option<SystemTime>);

/// The files whose pages this process has looked at: they are read once in each state, not each time a desk is opened on them.
static LOOKED_AT: LazyLock<Mutex<HashSet<State>>> = LazyLock::new(Mutex::default);

fn state_of(path: &Path) -> Option<State> {
    let found = std::fs::metadata(path).ok()?;
    Some((path.into(), identity(path), found.len(), found.modified().ok()))
}

fn must_be_sound(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let looked_at = || LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner);
    // Before the look: a file that is changed meanwhile is looked at again.
    let state = state_of(path);
    if state.as_ref().is_some_and(|state| looked_at().contains(state)) {
        return Ok(());
    }
    sound(conn).map_err(|error| error.at(path))?.map_err(|detail| StoreError::Damaged { path: path.into(), detail })?;
    looked_at().extend(state);
    Ok(())
}

/// Whether every page of the file hangs together; else what does not. A page that no write comes by is damaged all the same.
fn sound(conn: &Connection) -> Result<Result<(), String>, TxError> {
    let said: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(if said == "ok" { Ok(()) } else { Err(said) })
}

/// Brings the tables up to date. Of several processes that start at once one does it and the others wait; the version is read before they
/// wait, so that what fails then is looked at once more: it has been done.
fn migrate(steps: &Migrations<'_>, conn: &mut Connection) -> rusqlite_migration::Result<()> {
    conn.set_transaction_behavior(TransactionBehavior::Immediate);
    let done = steps.to_latest(conn).or_else(|error| match error {
        rusqlite_migration::Error::RusqliteError { .. } => steps.to_latest(conn),
        other => Err(other),
    });
    conn.set_transaction_behavior(TransactionBehavior::Deferred);
    done
}

/// Waits for another desk where `SQLite` itself does not: when several switch a new file to its write-ahead log at once.
fn patiently(mut step: impl FnMut() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    let until = Instant::now() + BUSY;
    loop {
        match step() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

fn set_up(conn: &mut Connection, care: Care) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    match care {
        Care::Durable => {
            // As FULL; and where the write-ahead log cannot be had (its making failed, a file system without shared memory), the folder is
            // synced too once the rollback journal is gone from it: a power cut must not bring the journal back and take the last rows away.
            conn.pragma_update(None, "synchronous", "EXTRA")?;
            // macOS: an fsync alone does not reach the platter.
            conn.pragma_update(None, "fullfsync", true)?;
            conn.pragma_update(None, "checkpoint_fullfsync", true)?;
        }
        Care::Light => conn.pragma_update(None, "synchronous", "NORMAL")?,
    }
    Ok(())
}
