//! The tables, version by version. A landed version is never edited: a change is a new step.

use std::time::Duration;

use rusqlite::{Connection, config::DbConfig};
use rusqlite_migration::{HookError, M, MigrationDefinitionError, Migrations};

use super::{StoreError, TxError, ledger};

/// How long a database waits for another desk's write.
pub(super) const BUSY: Duration = Duration::from_secs(5);

fn ledger_steps() -> Migrations<'static> {
    Migrations::new(vec![
        M::up(include_str!("ledger_v1.sql")),
        M::up_with_hook(include_str!("ledger_v2.sql"), |tx| {
            ledger::refill(tx).map_err(|e| HookError::Hook(e.to_string()))
        }),
    ])
}

fn index_steps() -> Migrations<'static> {
    Migrations::new(vec![M::up(include_str!("index_v1.sql")), M::up(include_str!("index_v2.sql"))])
}

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
pub(super) fn open(path: &std::path::Path, care: Care) -> Result<Connection, StoreError> {
    super::private::make(path);
    let mut conn = Connection::open(path).map_err(|e| TxError::Sql(e).at(path))?;
    set_up(&mut conn, care).map_err(|e| TxError::Sql(e).at(path))?;
    let steps = if care == Care::Durable { ledger_steps() } else { index_steps() };
    steps.to_latest(&mut conn).map_err(|e| match e {
        rusqlite_migration::Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            StoreError::Newer(path.into())
        }
        rusqlite_migration::Error::RusqliteError { err, .. } => TxError::Sql(err).at(path),
        other => StoreError::Open { path: path.into(), detail: other.to_string() },
    })?;
    Ok(conn)
}

fn set_up(conn: &mut Connection, care: Care) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    match care {
        Care::Durable => {
            conn.pragma_update(None, "synchronous", "FULL")?;
            // macOS: an fsync alone does not reach the platter.
            conn.pragma_update(None, "fullfsync", true)?;
            conn.pragma_update(None, "checkpoint_fullfsync", true)?;
        }
        Care::Light => conn.pragma_update(None, "synchronous", "NORMAL")?,
    }
    Ok(())
}
