//! An evidence pack: gathered from a ledger, looked through for digits, on record, and only then handed over.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    desk::{Desk, unblocked},
    domain::{
        event::Event,
        evidence::{Evidence, Input, Selection, Source, Subject, Trace, select},
        policy::Policy,
        technician::Technician,
        work::{Failure, Kind, evidence::Written},
    },
    evidence::{Pack, PackError, pack},
    store::{Ledger, StoreError, bodies, chain},
};

/// So many files of one name at most lie in one folder.
const MOST_OF_ONE_NAME: usize = 1000;

/// Where a pack is written. A file that is there is never written over: the new one's name gets a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Folder(PathBuf),
    File(PathBuf),
}

/// A ticket as typed, and as the policy completes it: the record has the latter, a ledger from elsewhere may have either.
pub fn ticket(policy: &Policy, typed: &str) -> Subject {
    let mut spellings = vec![policy.ticket.complete(typed), typed.trim().to_owned()];
    spellings.dedup();
    Subject::Ticket(spellings)
}

/// Makes a pack from this desk's ledger, which records that it was made. Works signed out and offline.
pub async fn make(desk: &Desk, subject: Subject, place: Place) -> Result<Written, Failure> {
    let maker = Maker {
        now: desk.clock.now(),
        zone: desk.zone.clone(),
        by: desk.technician(),
        source: Source::Desk,
        ledger: desk.paths.ledger(),
    };
    let made = unblocked(move || prepare(&maker, &subject, &place)).await?;
    let exported = Event::Exported {
        format: "evidence".into(),
        from: made.evidence.ledger.first,
        to: made.evidence.ledger.last,
        sha256: made.pack.sha256.clone(),
        ticket: made.ticket.clone().and_then(|ticket| desk.policy.ticket.read(&ticket).ok()),
    };
    // On record before anybody can have it.
    let seq = desk.record(move |pen| pen.append(None, &exported)).await.map_err(not_recorded)?;
    unblocked(move || made.hand_over(Some(seq))).await
}

/// Makes a pack from any ledger file, which stays as it is: nothing is recorded.
pub fn make_from(
    file: &Path,
    subject: &Subject,
    place: &Place,
    zone: TimeZone,
    now: Timestamp,
) -> Result<Written, Failure> {
    let maker = Maker { now, zone, by: None, source: Source::File, ledger: file.into() };
    prepare(&maker, subject, place)?.hand_over(None)
}

fn not_recorded(failure: Failure) -> Failure {
    Failure::new(Kind::Record, failure.happened)
        .meaning("An evidence pack is on record before it is handed over, so none was written.")
        .next("Or make it from a copy of the ledger, which records nothing: keydesk evidence --ledger FILE.")
}

struct Maker {
    now: Timestamp,
    zone: TimeZone,
    by: Option<Technician>,
    source: Source,
    ledger: PathBuf,
}

/// A pack in a file that has no name yet.
struct Prepared {
    evidence: Evidence,
    pack: Pack,
    ticket: Option<String>,
    broken: Option<String>,
    file: tempfile::NamedTempFile,
    target: PathBuf,
}

fn prepare(maker: &Maker, subject: &Subject, place: &Place) -> Result<Prepared, Failure> {
    // A reader of its own: however long the ledger, nobody at the desk waits for this.
    let ledger = match maker.source {
        Source::Desk => Ledger::peek(&maker.ledger).map_err(|error| unreadable(&error))?,
        Source::File if maker.ledger.exists() => {
            Some(Ledger::open_copy(&maker.ledger).map_err(|error| unreadable(&error))?)
        }
        Source::File => None,
    };
    let ledger = ledger.ok_or_else(|| no_ledger(&maker.ledger))?;
    let (selection, rows, head) = ledger
        .read(|conn| {
            // One state of the file for all of it.
            let conn = conn.unchecked_transaction()?;
            let mut traces = Vec::new();
            bodies::walk(&conn, |seq, body| traces.extend(Trace::read(seq, body)))?;
            let selection: Selection = select(&traces, subject);
            let rows = bodies::get(&conn, selection.rows.iter().copied())?;
            Ok((selection, rows, chain::head(&conn)?))
        })
        .map_err(|error| unreadable(&error))?;
    if rows.is_empty() {
        return Err(Failure::new(Kind::NotFound, format!("This ledger has nothing of {}.", subject.words()))
            .meaning("It knows what was done at this machine alone.")
            .next("Check how it is written; or ask for the ledger of the machine where the call was taken."));
    }
    let broken = ledger.verify().map_err(|error| unreadable(&error))?.err().map(|broken| broken.to_string());
    let evidence = Evidence::of(&Input {
        subject,
        selection: &selection,
        rows: &rows,
        head: (head.seq, head.hash),
        broken: broken.clone(),
        now: maker.now,
        zone: &maker.zone,
        by: maker.by.clone(),
        host: whoami::hostname().unwrap_or_default(),
        account: whoami::account().unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").into(),
        source: maker.source,
    });
    let pack = pack(&evidence)?;
    let target = match place {
        Place::File(file) => file.clone(),
        Place::Folder(folder) => {
            let date = maker.now.to_zoned(maker.zone.clone()).strftime("%Y-%m-%d").to_string();
            folder.join(format!("keydesk-{}-{date}.zip", evidence.name()))
        }
    };
    let file = unnamed(&target, &pack).map_err(|error| unwritable(&target, &error))?;
    Ok(Prepared { ticket: evidence.about.tickets.first().cloned(), evidence, pack, broken, file, target })
}

/// The bytes, durably, beside where they will stand, for this account alone.
fn unnamed(target: &Path, pack: &Pack) -> std::io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(".keydesk-").suffix(".tmp").tempfile_in(folder_of(target))?;
    file.write_all(&pack.bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Prepared {
    /// Gives it its name. What stands under that name already stays.
    fn hand_over(self, recorded: Option<u64>) -> Result<Written, Failure> {
        let Self { evidence, pack, mut file, target, broken, .. } = self;
        for nth in 1..=MOST_OF_ONE_NAME {
            let name = numbered(&target, nth);
            match file.persist_noclobber(&name) {
                Ok(_) => {
                    sync_folder(folder_of(&name));
                    return Ok(Written {
                        file: std::path::absolute(&name).unwrap_or(name),
                        sha256: pack.sha256,
                        calls: evidence.calls.len(),
                        rows: evidence.rows.len(),
                        head_seq: evidence.ledger.seq,
                        head: evidence.ledger.head,
                        broken,
                        recorded,
                    });
                }
                Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => file = error.file,
                Err(error) => return Err(unwritable(&name, &error.error)),
            }
        }
        Err(Failure::new(Kind::Failed, format!("{} lies there a thousand times already.", target.display()))
            .next("Say another place with --out."))
    }
}

/// `pack.zip`, `pack-2.zip`, `pack-3.zip` …
fn numbered(target: &Path, nth: usize) -> PathBuf {
    if nth == 1 {
        return target.into();
    }
    let part = |part: Option<&std::ffi::OsStr>| part.map(|text| text.to_string_lossy().into_owned());
    let stem = part(target.file_stem()).unwrap_or_default();
    let end = part(target.extension()).map(|end| format!(".{end}")).unwrap_or_default();
    target.with_file_name(format!("{stem}-{nth}{end}"))
}

/// The name itself, durably, where a folder can be synced.
fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = std::fs::File::open(folder)
        && let Err(error) = folder.sync_all()
    {
        tracing::warn!(%error, "the folder of an evidence pack was not synced");
    }
    #[cfg(not(unix))]
    let _ = folder;
}

fn no_ledger(file: &Path) -> Failure {
    Failure::new(Kind::NotFound, format!("There is no ledger at {}.", file.display()))
}

fn unreadable(error: &StoreError) -> Failure {
    Failure::new(Kind::Failed, format!("{error}."))
        .meaning("The ledger could not be read, so no evidence was written. It was not changed.")
        .next("If it is damaged, do not delete it: copy it aside and tell whoever keeps the records.")
}

fn unwritable(target: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Kind::Failed, format!("{} cannot be written: {error}.", target.display()))
        .meaning("There is no evidence pack.")
        .next("Free some space or name another place, then try again.")
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        let failure = Self::new(Kind::Refused, format!("No evidence pack was written: {error}."));
        match error {
            PackError::Digits(_) => failure
                .meaning("A pack that is handed on must have none of a key. The ledger itself is untouched.")
                .next(
                    "Tell whoever keeps the records that a row may hold digits of a key, and have that key replaced.",
                ),
            _ => Self { kind: Kind::Failed, ..failure }.next("Report this."),
        }
    }
}
