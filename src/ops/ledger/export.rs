//! Rows written to a file for somebody else. That they were is recorded, with the file's SHA-256, before anybody has the file.

#[cfg(unix)]
use std::fs::File;
use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::csv;
use crate::{
    desk::{Desk, unblocked},
    domain::{
        digest::hex,
        event::Event,
        work::{Failure, Kind},
    },
    store::Ledger,
};

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The stored bytes, one row a line: the SHA-256 of a line without its end is the row's hash.
    Jsonl,
    /// A table, safe to open in a spreadsheet.
    Csv,
}

impl Format {
    fn word(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Request {
    pub format: Format,
    pub from: u64,
    /// The last row; else the last there is.
    pub to: Option<u64>,
    /// A file that is not there yet. Without one, [`Export::write_to`] hands the rows over once they are recorded.
    pub file: Option<PathBuf>,
}

/// What was exported, and recorded.
#[derive(Clone, Debug)]
pub struct Export {
    pub format: Format,
    pub from: u64,
    pub to: u64,
    pub sha256: String,
}

/// Exports rows: writes them, makes them durable, records that, and only then gives the file its name.
pub async fn export(desk: &Desk, request: Request) -> Result<Export, Failure> {
    let Request { format, from, to, file } = request;
    let ledger = desk.ledger().clone();
    let (export, written) = unblocked(move || {
        let to = range(&ledger, from, to)?;
        let export = |sha256| Export { format, from, to, sha256 };
        let Some(path) = file else {
            // Hashed now, written once it is recorded: rows never change.
            let (_, sha256) = write(&ledger, &export(String::new()), io::sink())?;
            return Ok::<_, Failure>((export(sha256), None));
        };
        let beside = Written::begin(&path)?;
        let (written, sha256) = write(&ledger, &export(String::new()), BufWriter::new(beside.file.as_file()))?;
        written.map_err(|error| cannot_write(&path, &error))?;
        beside.file.as_file().sync_all().map_err(|error| cannot_write(&path, &error))?;
        Ok((export(sha256), Some(beside)))
    })
    .await?;
    let exported = Event::Exported {
        format: format.word().into(),
        from: export.from,
        to: export.to,
        sha256: export.sha256.clone(),
        ticket: None,
    };
    desk.record(move |pen| pen.append(None, &exported)).await?;
    if let Some(written) = written {
        unblocked(move || written.hand_over()).await?;
    }
    Ok(export)
}

impl Export {
    /// The same bytes again.
    pub fn write_to(&self, desk: &Desk, to: impl Write) -> Result<io::Result<()>, Failure> {
        match write(desk.ledger(), self, BufWriter::new(to)) {
            Ok((written, _)) => Ok(written),
            Err(failure) => Err(failure),
        }
    }
}

/// A file under a passing name, in the folder where it will stand.
struct Written {
    file: NamedTempFile,
    path: PathBuf,
}

impl Written {
    fn begin(path: &Path) -> Result<Self, Failure> {
        if path.exists() {
            return Err(Failure::new(Kind::Usage, format!("{} exists already.", path.display()))
                .next("Name another file; an export overwrites none."));
        }
        let file = NamedTempFile::new_in(folder(path)).map_err(|error| cannot_write(path, &error))?;
        Ok(Self { file, path: path.into() })
    }

    fn hand_over(self) -> Result<(), Failure> {
        let Self { file, path } = self;
        file.persist_noclobber(&path).map_err(|error| cannot_write(&path, &error.error))?;
        // Its name too is to survive a power cut. Windows syncs no folders.
        #[cfg(unix)]
        File::open(folder(&path)).and_then(|folder| folder.sync_all()).map_err(|error| cannot_write(&path, &error))?;
        Ok(())
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Kind::Failed, format!("{} cannot be written: {error}.", path.display()))
        .meaning("Nothing was handed over.")
        .next("Name a file in a folder that this account can write to.")
}

fn range(ledger: &Ledger, from: u64, to: Option<u64>) -> Result<u64, Failure> {
    let last = ledger.head()?.seq;
    let to = to.unwrap_or(last);
    if from == 0 || from > to || to > last {
        let said = format!("Rows {from} to {to} are not there: the ledger has rows 1 to {last}.");
        return Err(Failure::new(Kind::Usage, said).next("Name rows with --from and --to."));
    }
    Ok(to)
}

/// Writes the rows, and hashes what is written. What `to` refuses is told apart from what the ledger does.
fn write(ledger: &Ledger, export: &Export, to: impl Write) -> Result<(io::Result<()>, String), Failure> {
    let mut hashed = Hashed { to, hash: Sha256::new() };
    let written = match export.format {
        Format::Jsonl => lines(ledger, export, &mut hashed),
        Format::Csv => table(ledger, export, &mut hashed),
    }?;
    let written = written.and_then(|()| hashed.flush());
    Ok((written, hex(&hashed.hash.finalize())))
}

fn lines(ledger: &Ledger, export: &Export, to: &mut impl Write) -> Result<io::Result<()>, Failure> {
    let mut written = Ok(());
    ledger.stored(export.from, |row| {
        if row.seq > export.to {
            return false;
        }
        written = to.write_all(&row.bytes).and_then(|()| to.write_all(b"\n"));
        written.is_ok()
    })?;
    Ok(written)
}

fn table(ledger: &Ledger, export: &Export, to: &mut impl Write) -> Result<io::Result<()>, Failure> {
    let mut table = match csv::begin(to) {
        Ok(table) => table,
        Err(error) => return Ok(Err(error.into())),
    };
    let mut written = Ok(());
    ledger.stored(export.from, |row| {
        if row.seq > export.to {
            return false;
        }
        written = csv::write(&mut table, row);
        written.is_ok()
    })?;
    Ok(written.map_err(io::Error::from).and_then(|()| table.flush()))
}

/// Writes and hashes.
struct Hashed<W> {
    to: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
