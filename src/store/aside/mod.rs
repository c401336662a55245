//! A damaged ledger is kept as it is, and another begun that carries on what is still owed.
//!
//! In this order, so that an end at any moment loses nothing: the damaged files are copied, unchanged and durably; what can be read of them
//! is read from another copy; the new ledger is written beside, whole and durable, and gets its waiting name. From then on only names are
//! left to change, and whoever comes next does that. Last the new ledger takes the damaged one's place.

mod salvage;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{
    Ledger, StoreError,
    calls::{CarriedRefusal, REFUSED_FOR},
    chain, first,
    reading::beside,
    schema,
};
use crate::domain::{
    debt::{Debt, Rotation, RotationId, RotationState},
    digest::hex,
    event::{Carried, CarriedDisclosure, Event, Forwarded, Stamp},
};

/// The side files of a database, its note among them; the file itself has no ending.
const ENDS: [&str; 4] = ["", "-wal", "-shm", "-head"];
/// The new ledger waits under this name for the damaged one's place.
const NEXT: &str = "-next";

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where the damaged files are.
    pub folder: PathBuf,
    pub sha256: String,
    pub rows: u64,
    pub unread: Vec<(u64, u64)>,
    /// Open debts that were carried on.
    pub debts: usize,
    /// Debts that could not be read: at least so many.
    pub debts_unread: usize,
    /// How far the collectors had its rows.
    pub forwarded: Vec<Forwarded>,
}

/// What became of the wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    SetAside(SetAside),
    /// An earlier time was cut short after everything was written; now it is done.
    Finished,
    /// There is nothing wrong with it.
    Healthy,
}

/// Between the steps, so that a test can end there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Copied,
    Kept,
    Written,
    Waiting,
    LogRemoved,
    Placed,
}

/// The names of the folders with damaged ledgers, the oldest first.
pub fn folders(ledger: &Path) -> Vec<String> {
    let entries = fs::read_dir(aside(ledger)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.ends_with(PARTIAL));
    names.sort();
    names
}

/// A copy that was cut short bears this ending.
const PARTIAL: &str = ".partial";

fn aside(ledger: &Path) -> PathBuf {
    folder(ledger).join("aside")
}

fn folder(ledger: &Path) -> &Path {
    ledger.parent().unwrap_or(Path::new("."))
}

/// Whether setting aside was cut short: the new ledger waits, and nobody may write to the old one any more.
pub(super) fn is_waiting(ledger: &Path) -> bool {
    beside(ledger, NEXT).exists()
}

/// Sets the ledger aside. Nobody else may have it open: [`super::instance::Alone`].
pub fn set_aside(
    ledger: &Path,
    at: Timestamp,
    delay: SignedDuration,
    stamp: &Stamp,
    mut step: impl FnMut(Step) -> io::Result<()>,
) -> Result<Done, StoreError> {
    let disk = |error: io::Error| disk(ledger, &error);
    if is_waiting(ledger) {
        take_place(ledger, &mut step).map_err(disk)?;
        return Ok(Done::Finished);
    }
    let copy = copied(ledger).map_err(disk)?;
    let path = copy.path().join(NAME);
    if is_healthy(&path)? {
        return Ok(Done::Healthy);
    }
    step(Step::Copied).map_err(disk)?;
    let (kept, sha256) = keep(ledger, at).map_err(disk)?;
    step(Step::Kept).map_err(disk)?;
    let salvaged = salvage::salvage(&path);
    let last = salvaged.last;
    let behind = |(sink, to): (String, u64)| Forwarded { sink, to, never: (to < last).then_some((to + 1, last)) };
    let done = SetAside {
        folder: kept,
        sha256,
        rows: salvaged.rows,
        unread: salvaged.unread,
        debts: salvaged.debts.len(),
        debts_unread: salvaged.debts_unread,
        forwarded: salvaged.forwarded.into_iter().map(behind).collect(),
    };
    let name = done.folder.file_name().unwrap_or_default().to_string_lossy();
    let mut events = vec![Event::SetAside {
        folder: format!("aside/{name}"),
        sha256: done.sha256.clone(),
        rows: done.rows,
        head_seq: salvaged.head.seq,
        head_hash: salvaged.head.hash,
        unread: done.unread.clone(),
        debts: done.debts,
        debts_unread: done.debts_unread,
        forwarded: done.forwarded.clone(),
    }];
    let until = at.checked_add(delay).unwrap_or(Timestamp::MAX);
    let carry = |(debt, disclosures)| Event::DebtCarried(Box::new(carried(debt, disclosures, until)));
    events.extend(salvaged.debts.into_iter().map(carry));
    let since = at - REFUSED_FOR;
    let refusals = salvaged.refusals.into_iter().filter(|refused| refused.refusal.at > since);
    events.extend(refusals.map(|CarriedRefusal { call, device, refusal }| Event::RefusalCarried {
        of_call: call,
        device,
        at: refusal.at,
        by: refusal.by,
    }));
    begin(ledger, at, stamp, &events, &mut step)?;
    take_place(ledger, &mut step).map_err(disk)?;
    Ok(Done::SetAside(done))
}

fn disk(ledger: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull => StoreError::Full(ledger.into()),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly(ledger.into()),
        _ => StoreError::Disk { path: ledger.into(), detail: error.to_string() },
    }
}

/// What the working copy is called.
const NAME: &str = "ledger.db";

/// A copy to work on: opening a database changes it.
fn copied(ledger: &Path) -> io::Result<TempDir> {
    let copy = tempfile::Builder::new().prefix(".aside-").tempdir_in(folder(ledger))?;
    for end in ENDS {
        let from = beside(ledger, end);
        if from.exists() {
            fs::copy(from, beside(&copy.path().join(NAME), end))?;
        }
    }
    Ok(copy)
}

/// Every page hangs together, the chain is whole, and the rows that were written here are there. One of a newer version, and one that only
/// cannot be reached, is not ours to judge.
fn is_healthy(copy: &Path) -> Result<bool, StoreError> {
    let ledger = match Ledger::open(copy) {
        Ok(ledger) => ledger,
        Err(StoreError::Damaged { .. } | StoreError::Row { .. } | StoreError::Sql { .. }) => return Ok(false),
        Err(other) => return Err(other),
    };
    match ledger.verify() {
        Ok(verdict) => Ok(verdict.is_ok()),
        Err(StoreError::Damaged { .. } | StoreError::Row { .. } | StoreError::Sql { .. }) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Copies the files as they are into a folder of their own: durably, read-only, with their SHA-256. Where it is, and the ledger's hash.
fn keep(ledger: &Path, at: Timestamp) -> io::Result<(PathBuf, String)> {
    let above = aside(ledger);
    make_private(&above)?;
    let name = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let names = std::iter::once(name.clone()).chain((2..1000).map(|n| format!("{name}-{n}")));
    let free = |name: &String| !above.join(name).exists() && !above.join(format!("{name}{PARTIAL}")).exists();
    let name = names.into_iter().find(free).ok_or(io::ErrorKind::AlreadyExists)?;
    let partial = above.join(format!("{name}{PARTIAL}"));
    make_private(&partial)?;
    let (mut sums, mut own) = (String::new(), String::new());
    for end in ENDS {
        let from = beside(ledger, end);
        if !from.exists() {
            continue;
        }
        let to = beside(&partial.join(NAME), end);
        fs::copy(&from, &to)?;
        File::options().write(true).open(&to)?.sync_all()?;
        let sum = hash(&from)?;
        if hash(&to)? != sum {
            return Err(io::Error::other(format!("{} is not as it was read", to.display())));
        }
        shield(&to)?;
        sums.extend([sum.as_str(), "  ", NAME, end, "\n"]);
        if end.is_empty() {
            own = sum;
        }
    }
    let list = partial.join("SHA256SUMS");
    fs::write(&list, sums)?;
    File::options().write(true).open(&list)?.sync_all()?;
    shield(&list)?;
    sync_folder(&partial)?;
    let kept = above.join(name);
    fs::rename(&partial, &kept)?;
    sync_folder(&above)?;
    sync_folder(folder(ledger))?;
    Ok((kept, own))
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}

/// Nobody writes to it by a slip.
fn shield(path: &Path) -> io::Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    permissions.set_readonly(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        permissions.set_mode(0o400);
    }
    fs::set_permissions(path, permissions)
}

fn hash(path: &Path) -> io::Result<String> {
    let (mut file, mut sum, mut part) = (File::open(path)?, Sha256::new(), vec![0; 64 * 1024]);
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            return Ok(hex(&sum.finalize()));
        }
        sum.update(&part[..read]);
    }
}

/// Makes the names in a folder durable. Windows has no such thing.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The debt as this ledger takes it over. What was not on its way yet is held until then.
fn carried(debt: Debt, disclosures: Vec<CarriedDisclosure>, until: Timestamp) -> Carried {
    let under_way = debt.rotation.filter(|rotation| !matches!(rotation.state, RotationState::Over { .. }));
    let rotation = match (under_way, debt.source) {
        // A key of another source is replaced by hand.
        (None, Some(_)) => None,
        (None, None) => Some(Rotation::new(RotationId::new(), RotationState::Held { until })),
        (under_way, _) => under_way,
    };
    Carried {
        debt: debt.id,
        key: debt.key,
        volume: debt.volume,
        device: debt.device,
        device_name: debt.device_name,
        of_call: debt.call,
        ticket: debt.ticket,
        since: debt.since,
        tenant: debt.tenant,
        compromised: debt.compromised,
        key_deleted: debt.key_deleted,
        source: debt.source,
        known: debt.known,
        entra_time: debt.entra_time,
        rotation,
        disclosures,
    }
}

/// Writes the new ledger beside the damaged one, whole and durable, and only then gives it its waiting name.
fn begin(
    ledger: &Path,
    at: Timestamp,
    stamp: &Stamp,
    events: &[Event],
    step: &mut impl FnMut(Step) -> io::Result<()>,
) -> Result<(), StoreError> {
    let disk = |error: io::Error| disk(ledger, &error);
    let bench = tempfile::Builder::new().prefix(".aside-").tempdir_in(folder(ledger)).map_err(disk)?;
    let path = bench.path().join(NAME);
    let new = Ledger::open(&path)?;
    new.write(at, stamp, |pen| events.iter().try_for_each(|event| pen.append(None, event).map(drop)))?;
    // Into the one file: its log stays behind.
    new.read(|conn| Ok(conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?))?;
    drop(new);
    File::options().write(true).open(&path).and_then(|file| file.sync_all()).map_err(disk)?;
    step(Step::Written).map_err(disk)?;
    fs::rename(&path, beside(ledger, NEXT)).map_err(disk)?;
    sync_folder(folder(ledger)).map_err(disk)?;
    step(Step::Waiting).map_err(disk)
}

/// Puts the waiting ledger into the damaged one's place, which is kept by now. The damaged log goes first: it must never be taken for the
/// new file's.
fn take_place(ledger: &Path, step: &mut impl FnMut(Step) -> io::Result<()>) -> io::Result<()> {
    for end in ENDS.into_iter().filter(|end| !end.is_empty()) {
        match fs::remove_file(beside(ledger, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sync_folder(folder(ledger))?;
    step(Step::LogRemoved)?;
    fs::rename(beside(ledger, NEXT), ledger)?;
    sync_folder(folder(ledger))?;
    step(Step::Placed)
}
