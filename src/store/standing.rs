//! Whether the ledger under this desk's hands is still the one at its path, and whether it still has the rows that were written here.
//!
//! `SQLite` goes on writing to a file that was deleted or moved away: such a row would be no record. And where a write-ahead log is lost or
//! damaged, it drops the rows in it without a word. So after each write the end of the chain is noted beside the file, and looked for when
//! the file is opened.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{
    StoreError, TxError,
    chain::{self, Break, Given, Head},
    first,
    reading::beside,
};

/// What stands for a file whatever its name is.
#[cfg(unix)]
pub(super) type Identity = (u64, u64);
/// Windows deletes no open file.
#[cfg(not(unix))]
pub(super) type Identity = ();

/// The files as they were opened.
#[derive(Debug)]
pub(super) struct Standing {
    path: PathBuf,
    opened: [Option<Identity>; 2],
}

impl Standing {
    /// Of a database that is open, its write-ahead log too.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.into(), opened: identities(path) }
    }

    /// Whether the path still leads to the files that were opened.
    pub(super) fn holds(&self) -> bool {
        let now = identities(&self.path);
        self.opened.iter().zip(now).all(|(opened, now)| opened.is_none() || *opened == now)
    }
}

fn identities(path: &Path) -> [Option<Identity>; 2] {
    [identity(path), identity(&beside(path, "-wal"))]
}

#[cfg(unix)]
pub(super) fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
pub(super) fn identity(_: &Path) -> Option<Identity> {
    None
}

/// Where the end of the chain is noted.
fn note_of(path: &Path) -> PathBuf {
    beside(path, "-head")
}

/// Notes the end of the chain. Best effort: a note that is older than the chain, or none, says nothing wrong.
pub(super) fn note(path: &Path, head: &Head) {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    // Always as long: a shorter one never leaves an end of the one before.
    let line = format!("{:020} {}\n", head.seq, head.hash);
    if let Err(error) = options.open(note_of(path)).and_then(|mut file| file.write_all(line.as_bytes())) {
        tracing::warn!(%error, "the end of the chain is not noted");
    }
}

/// The end of the chain as it was noted last; `None` where there is no note, or none that can be read.
pub(super) fn noted(path: &Path) -> Option<Head> {
    let text = fs::read_to_string(note_of(path)).ok()?;
    let (seq, hash) = text.trim_end().split_once(' ')?;
    (hash.len() == 64).then_some(Head { seq: seq.parse().ok()?, hash: hash.into() })
}

/// What is wrong where the row that was noted is not in the file any more, or is another.
pub(super) fn lost(conn: &Connection, noted: &Head) -> Result<Option<Break>, TxError> {
    let read = |row: &rusqlite::Row<'_>| Ok(row.get::<_, String>(0)?);
    let found = first(conn, "SELECT hash FROM ledger WHERE seq = ?1", [noted.seq.cast_signed()], read)?;
    Ok(match found {
        Some(hash) if hash == noted.hash => None,
        Some(_) => Some(Break::Another { seq: noted.seq, given: Given::of(noted) }),
        None => Some(Break::Truncated { end: chain::head(conn)?.seq, given: Given::of(noted) }),
    })
}

/// Fails where rows that were written here are not in the file any more.
pub(super) fn must_hold(conn: &Connection, path: &Path, noted: Option<&Head>) -> Result<(), StoreError> {
    let Some(noted) = noted else { return Ok(()) };
    match lost(conn, noted).map_err(|error| error.at(path))? {
        Some(lost) => Err(StoreError::Damaged { path: path.into(), detail: lost.to_string() }),
        None => Ok(()),
    }
}
