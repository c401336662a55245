//! The state folder and what lies in it: ledger, index, other desks, the last sign-in.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};
use uuid::Uuid;

use super::skipped;
use crate::{
    domain::{
        age,
        debt::InstanceId,
        event::{Event, Stamp},
        work::doctor::{Check, Finding, Grade, Places, Who},
    },
    store::{Index, Ledger, StoreError, TxError, aside, instance},
};

/// What cannot be looked at without a folder.
const IN_THE_FOLDER: [(&str, &str); 4] = [
    ("state.ledger", "ledger"),
    ("state.index", "index"),
    ("state.desks", "other desks"),
    ("sign-in.last", "last sign-in"),
];

pub(super) fn examine(places: &Places) -> Vec<Check> {
    let mut checks = vec![
        Check::new("state.folder", "state folder", folder(places)),
        Check::new("state.private", "its privacy", privacy(&places.state)),
    ];
    if places.refused.is_some() {
        checks.extend(skipped(&IN_THE_FOLDER, "There is no state folder."));
        return checks;
    }
    let (ledger, last) = ledger(&places.ledger);
    checks.extend([
        Check::new("state.ledger", "ledger", ledger),
        Check::new("state.index", "index", index(&places.state)),
        Check::new("state.desks", "other desks", desks(&places.instances)),
        Check::new("sign-in.last", "last sign-in", last),
    ]);
    checks
}

fn folder(places: &Places) -> Finding {
    let path = places.state.display();
    if let Some(said) = &places.refused {
        return Finding::fix(said.clone()).by(
            Who::MachineAdministrator,
            format!("Let this account write to {path}, or name another folder in KEYDESK_HOME."),
        );
    }
    let tried = places.state.join(format!(".doctor-{}", Uuid::new_v4()));
    // As much as a call writes: an empty file finds room on a full disk.
    let written = File::create_new(&tried).and_then(|mut file| file.write_all(&vec![0; 64 * 1024]));
    match written.and(fs::remove_file(&tried)) {
        Ok(()) => Finding::well(format!("{path} can be written.")),
        Err(error) if error.kind() == ErrorKind::StorageFull => {
            Finding::fix(format!("{path} is on a disk that is full."))
                .by(Who::You, "Free some space; without a record no key is asked for.")
        }
        Err(error) => Finding::fix(format!("{path} cannot be written: {error}."))
            .by(Who::MachineAdministrator, "Let this account write there; without a record no key is asked for."),
    }
}

#[cfg(unix)]
fn privacy(state: &Path) -> Finding {
    use std::os::unix::fs::PermissionsExt as _;
    const OTHERS: u32 = 0o077;
    match fs::metadata(state).map(|found| found.permissions().mode() & 0o777) {
        Ok(mode) if (mode & OTHERS) == 0 => Finding::well(format!("For this account alone (mode {mode:o}).")),
        Ok(mode) => Finding::notice(format!(
            "Others may look into the folder (mode {mode:o}). The databases in it are for this account alone."
        ))
        .by(Who::You, format!("chmod 700 {}", state.display())),
        Err(_) => Finding::not_checked("There is no state folder."),
    }
}

#[cfg(not(unix))]
fn privacy(_: &Path) -> Finding {
    Finding::not_checked("On Windows the folder has the permissions of the profile it lies in; they are not read.")
}

/// The ledger, and who signed in last by it.
fn ledger(path: &Path) -> (Finding, Finding) {
    if !path.exists() {
        return (
            Finding::not_checked("There is none yet: the first start makes it."),
            Finding::not_checked("Nobody has signed in here yet."),
        );
    }
    match Ledger::open(path) {
        Ok(ledger) => (with_kept(whole(&ledger), path), last_sign_in(&ledger)),
        Err(error) => (unusable(&error), Finding::not_checked("The ledger cannot be read.")),
    }
}

/// Damaged ledgers that were set aside are for somebody to look at.
fn with_kept(finding: Finding, path: &Path) -> Finding {
    let kept = aside::folders(path);
    if kept.is_empty() || finding.grade != Grade::Well {
        return finding;
    }
    let said = format!("{} A damaged one before it is kept in aside/{}.", finding.seen, kept.join(", aside/"));
    Finding::notice(said).by(Who::Auditor, "Look at it, with `keydesk ledger verify`, and keep a copy elsewhere.")
}

fn whole(ledger: &Ledger) -> Finding {
    match ledger.verify() {
        Ok(Ok(head)) => match tried(ledger) {
            Ok(()) => Finding::well(format!(
                "{}, the chain is whole, and a row can be written (tried and taken back).",
                age::count(usize::try_from(head.seq).unwrap_or(usize::MAX), "row")
            )),
            Err(error) => unusable(&error),
        },
        Ok(Err(broken)) => Finding::fix(format!("The chain is broken: {broken}. Rows after it prove nothing."))
            .by(Who::Auditor, "Copy the file aside before anything else is done to it."),
        Err(error) => unusable(&error),
    }
}

/// Writes a row and takes it back: nothing of a write stands that ends in an error.
fn tried(ledger: &Ledger) -> Result<(), StoreError> {
    const TAKEN_BACK: &str = "taken back";
    let written = ledger.write(Timestamp::now(), &nobody(), |pen| {
        pen.append(None, &Event::SignedIn { there: false, roles: None })?;
        Err::<(), _>(TxError::Conflict(TAKEN_BACK.into()))
    });
    match written {
        Err(StoreError::Conflict(said)) if said == TAKEN_BACK => Ok(()),
        other => other,
    }
}

/// Stands in a row that never lands.
fn nobody() -> Stamp {
    Stamp {
        technician: None,
        tenant: None,
        app: String::new(),
        host: String::new(),
        account: String::new(),
        version: env!("CARGO_PKG_VERSION").into(),
        policy: String::new(),
        instance: InstanceId(Uuid::nil()),
    }
}

fn unusable(error: &StoreError) -> Finding {
    let finding = Finding::fix(format!("{error}. Without a record no key is asked for."));
    match error {
        StoreError::Busy(_) => finding.by(Who::You, "Close the other desk, or wait a moment, and look again."),
        StoreError::Damaged { .. } | StoreError::Row { .. } => {
            finding.by(Who::Auditor, "`keydesk ledger set-aside` keeps it as it is and begins another.")
        }
        StoreError::Newer(_) => finding.by(Who::MachineAdministrator, "Update keydesk on this machine."),
        StoreError::Full(_) => finding.by(Who::You, "Free some space."),
        _ => finding
            .by(Who::MachineAdministrator, "Let this account read and write the file, and see that its disk has room."),
    }
}

fn last_sign_in(ledger: &Ledger) -> Finding {
    let mut last = None;
    let read = ledger.walk(1, |row| {
        if matches!(row.event, Event::SignedIn { .. }) {
            last = row.stamp.technician.map(|technician| (technician, row.at));
        }
        true
    });
    match (read, last) {
        (Ok(()), Some((technician, at))) => {
            let zone = TimeZone::system();
            let when = format!("{} {}", age::date(at, &zone), age::clock(at, &zone));
            Finding::well(format!("{}, {when} ({})", technician.upn, age::ago(at, Timestamp::now())))
        }
        (Ok(()), None) => Finding::not_checked("Nobody has signed in here yet."),
        (Err(_), _) => Finding::not_checked("The ledger cannot be read."),
    }
}

fn index(state: &Path) -> Finding {
    let files = indexes(state);
    if files.is_empty() {
        return Finding::not_checked("There is none yet: the first sign-in fills it.");
    }
    let mut words = Vec::new();
    for path in files {
        match Index::open_as_it_is(&path).and_then(|index| index.listing()) {
            Ok(listing) => words.push(format!(
                "{} on {}, {}",
                age::count(listing.keys, "key"),
                age::count(listing.devices, "device"),
                listing.complete_since.map_or_else(
                    || "not complete yet".to_owned(),
                    |since| format!("complete, listed {}", age::ago(since, Timestamp::now()))
                )
            )),
            Err(error) => {
                return Finding::notice(format!("{error}. Entra itself can be asked meanwhile."))
                    .by(Who::You, format!("Delete {}: the next sign-in fills it again.", path.display()));
            }
        }
    }
    Finding::well(format!("{}.", words.join("; ")))
}

fn indexes(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state).into_iter().flatten().flatten();
    let is_index = |name: &str| name.strip_prefix("index-").is_some_and(|rest| rest.strip_suffix(".db").is_some());
    let mut found: Vec<PathBuf> =
        entries.filter(|entry| entry.file_name().to_str().is_some_and(is_index)).map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn desks(instances: &Path) -> Finding {
    if instance::any_alive(instances) {
        Finding::well("Another desk is open on these files. That is no harm: both write to the one ledger.")
    } else {
        Finding::well("None is open on these files.")
    }
}
