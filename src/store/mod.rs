//! Two databases. `ledger.db` is the truth: an append-only, hash-chained table and projections of it. `index.db` can be thrown away.
//!
//! Everything here is synchronous; ops call it through `spawn_blocking`, except the index, which answers in microseconds.

pub mod aside;
pub mod bodies;
pub mod calls;
pub mod chain;
pub mod compare;
pub mod debts;
pub mod disclosures;
pub mod forwarded;
pub mod index;
pub mod instance;
pub mod ledger;
mod no_digits;
mod private;
mod projection;
mod reading;
pub mod reads;
mod schema;
pub mod seats;
mod standing;
#[cfg(test)]
mod tampering;
#[cfg(test)]
mod tests;
pub mod watch;

pub use index::Index;
pub use instance::Instance;
pub use ledger::{Ledger, Pen};

use std::path::PathBuf;

/// Why a database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("The disk is full: {}", .0.display())]
    Full(PathBuf),
    #[error("The file cannot be written: {}", .0.display())]
    ReadOnly(PathBuf),
    #[error("Another desk holds the file: {}", .0.display())]
    Busy(PathBuf),
    #[error("The file is damaged: {} ({detail})", .path.display())]
    Damaged { path: PathBuf, detail: String },
    #[error("The disk fails at the file: {} ({detail})", .path.display())]
    Disk { path: PathBuf, detail: String },
    /// Moved, deleted or replaced while it was open.
    #[error("The file was taken away or replaced while this desk had it open: {}", .0.display())]
    Gone(PathBuf),
    #[error("The file was written by a newer keydesk: {}", .0.display())]
    Newer(PathBuf),
    #[error("The file cannot be opened: {} ({detail})", .path.display())]
    Open { path: PathBuf, detail: String },
    /// What was asked does not fit what is recorded; a sentence.
    #[error("{0}")]
    Conflict(String),
    #[error("{}: {source}", .path.display())]
    Sql { path: PathBuf, source: rusqlite::Error },
    #[error("a row of {} cannot be read: {detail}", .path.display())]
    Row { path: PathBuf, detail: String },
}

/// A failure inside a transaction, before the file's name is known.
#[derive(Debug, thiserror::Error)]
pub enum TxError {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Row(String),
    #[error("{0}")]
    Conflict(String),
}

impl TxError {
    fn at(self, path: &std::path::Path) -> StoreError {
        use rusqlite::ErrorCode;
        let path = path.to_path_buf();
        match self {
            Self::Conflict(said) => StoreError::Conflict(said),
            Self::Json(e) => StoreError::Row { path, detail: e.to_string() },
            Self::Row(detail) => StoreError::Row { path, detail },
            Self::Sql(source) => match source.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => StoreError::Full(path),
                Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly(path),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
                    StoreError::Busy(path)
                }
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    StoreError::Damaged { path, detail: source.to_string() }
                }
                Some(ErrorCode::SystemIoFailure) => StoreError::Disk { path, detail: source.to_string() },
                Some(ErrorCode::CannotOpen) => StoreError::Open { path, detail: source.to_string() },
                _ => StoreError::Sql { path, source },
            },
        }
    }
}

/// Reads a column written by `Display`: the row says which, the type says how.
fn parsed<T: std::str::FromStr>(row: &rusqlite::Row<'_>, column: &str) -> Result<T, TxError>
where
    T::Err: std::fmt::Display,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|e| TxError::Row(format!("{column}: {e}")))
}

/// The same for a column that may be null.
fn parsed_option<T: std::str::FromStr>(row: &rusqlite::Row<'_>, column: &str) -> Result<Option<T>, TxError>
where
    T::Err: std::fmt::Display,
{
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|e| TxError::Row(format!("{column}: {e}")))).transpose()
}

/// A JSON column.
fn json<T: serde::de::DeserializeOwned>(row: &rusqlite::Row<'_>, column: &str) -> Result<T, TxError> {
    let text: String = row.get(column)?;
    Ok(serde_json::from_str(&text)?)
}

/// Every row of a query, through `read`.
fn all<T>(
    conn: &rusqlite::Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T, TxError>,
) -> Result<Vec<T>, TxError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(read(row)?);
    }
    Ok(out)
}

/// The first row of a query, through `read`.
fn first<T>(
    conn: &rusqlite::Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T, TxError>,
) -> Result<Option<T>, TxError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}
