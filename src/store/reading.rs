//! Opening a ledger only to read it: another desk's, or a copy somebody was sent.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;
use url::Url;

use super::{StoreError, TxError};

/// How often a file that changes under the copying is copied again.
const TRIES: usize = 3;

/// A connection that writes nothing, and the copy it stands on, where one was needed.
pub(super) struct Reading {
    pub conn: Connection,
    pub copy: Option<TempDir>,
}

impl Reading {
    /// A ledger that a desk may have open at this moment.
    pub(super) fn of_a_desk(path: &Path) -> Result<Self, StoreError> {
        match plain(path) {
            Ok(conn) => Ok(Self { conn, copy: None }),
            // Beside a database with a write-ahead log SQLite makes files, also to read it: where it cannot, it reads a copy.
            Err(error) if is_shut(&error) => Self::of_a_copy(path),
            Err(error) => Err(TxError::Sql(error).at(path)),
        }
    }

    /// A file that lies anywhere, with or without its write-ahead log: nothing is made beside it.
    pub(super) fn of_a_copy(path: &Path) -> Result<Self, StoreError> {
        let open = |detail: io::Error| StoreError::Open { path: path.into(), detail: detail.to_string() };
        let log = beside(path, "-wal");
        // Without a log, what stands in the file is all there is.
        let result = if fs::metadata(&log).is_ok_and(|found| found.len() > 0) {
            let copied = copied(path, &log, || Ok((standing(path)?, standing(&log)?))).map_err(open)?;
            // Half of it would be of another moment than the rest.
            let copy = copied.ok_or_else(|| StoreError::Busy(path.into()))?;
            plain(&copy.path().join(NAME)).map(|conn| Self { conn, copy: Some(copy) })
        } else {
            fs::File::open(path).map_err(open)?;
            alone(path).map(|conn| Self { conn, copy: None })
        };
        result.map_err(|error| TxError::Sql(error).at(path))
    }
}

/// What the copy is called.
const NAME: &str = "ledger.db";

/// `path` with `end` after its name, as `SQLite` names its side files.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

fn plain(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(super::schema::BUSY)?;
    looked_at(conn)
}

/// The file and nothing beside it; it must not change meanwhile.
fn alone(path: &Path) -> rusqlite::Result<Connection> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let mut url = Url::from_file_path(&absolute).map_err(|()| rusqlite::Error::InvalidPath(path.into()))?.to_string();
    url.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    looked_at(Connection::open_with_flags(url, flags)?)
}

/// Opening reads nothing yet: whether it can be read shows at the first look.
fn looked_at(conn: Connection) -> rusqlite::Result<Connection> {
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(conn)
}

fn is_shut(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
}

/// Copies the file and its log into a folder that goes with the value. Where a desk writes meanwhile, again; `None` where it never stood still.
fn copied<S: PartialEq>(
    path: &Path,
    log: &Path,
    mut standing: impl FnMut() -> io::Result<S>,
) -> io::Result<Option<TempDir>> {
    let folder = tempfile::tempdir()?;
    let to = folder.path().join(NAME);
    for _ in 0..TRIES {
        let before = standing()?;
        fs::copy(path, &to)?;
        fs::copy(log, beside(&to, "-wal"))?;
        if before == standing()? {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

fn standing(path: &Path) -> io::Result<(u64, Option<SystemTime>)> {
    let found = fs::metadata(path)?;
    Ok((found.len(), found.modified().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_two_moments_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (path, log) = (folder.path().join("ledger.db"), folder.path().join("ledger.db-wal"));
        fs::write(&path, "file").unwrap();
        fs::write(&log, "log").unwrap();
        let changing = |times: usize| {
            let mut looks = 0..;
            move || Ok(looks.next().map(|look: usize| look.min(times)))
        };
        assert!(copied(&path, &log, changing(100)).unwrap().is_none());
        let copy = copied(&path, &log, changing(2)).unwrap().unwrap();
        assert_eq!(fs::read(copy.path().join("ledger.db-wal")).unwrap(), b"log");
    }
}
