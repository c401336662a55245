//! The power cut, without pulling a plug: from a trace it is known what was written and what was synced, so that at every call of a run the
//! files can be laid out as a machine may find them again, and opened.

use std::{collections::BTreeMap, fs, path::Path};

use keydesk::store::Ledger;

use super::{
    Dice,
    order::{self, Request},
    outside,
    strace::Call,
};

/// What becomes of that which was written and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsynced {
    /// Nothing of it reached the disk.
    Lost,
    /// All of it did.
    Kept,
    /// Each sector for itself.
    Torn,
}

pub const FATES: [Unsynced; 3] = [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn];
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

/// One file: as the disk certainly has it, and what has been done to it since.
#[derive(Clone, Debug, Default)]
struct File {
    synced: Vec<u8>,
    since: Vec<Change>,
    /// By which change of the folder it came, and by which it went. A file system may lose the last changes of a folder, not single ones.
    came: u64,
    went: Option<u64>,
}

impl File {
    fn settle(&mut self) {
        for change in std::mem::take(&mut self.since) {
            apply(&mut self.synced, &change);
        }
    }

    /// Whether a folder of which the changes up to `last` survived holds it.
    fn stands(&self, last: u64) -> bool {
        self.came <= last && self.went.is_none_or(|went| went > last)
    }

    /// What a machine may find in it after the power came back.
    fn found(&self, fate: Unsynced, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let survives = if fate == Unsynced::Lost { &[][..] } else { &self.since };
        for change in survives {
            match (fate, change) {
                (Unsynced::Torn, Change::Cut(_)) if dice.below(2) == 0 => {}
                (Unsynced::Torn, Change::Write { at, bytes: all }) => {
                    for (n, sector) in all.chunks(SECTOR).enumerate().filter(|_| dice.below(2) == 0) {
                        apply(&mut bytes, &Change::Write { at: at + n * SECTOR, bytes: sector.to_vec() });
                    }
                }
                (_, change) => apply(&mut bytes, change),
            }
        }
        bytes
    }
}

fn apply(file: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes } => {
            let end = at + bytes.len();
            file.resize(file.len().max(end), 0);
            file[*at..end].copy_from_slice(bytes);
        }
        Change::Cut(length) => file.resize(*length, 0),
    }
}

/// The files of a home, and which requests have left it.
struct Machine {
    home: String,
    /// The files that bore each name, one after another.
    files: BTreeMap<String, Vec<File>>,
    /// Changes of the folder so far, and how many of them are certainly on the disk.
    changes: u64,
    folder_synced: u64,
    keys: Vec<uuid::Uuid>,
    rotations: usize,
}

impl Machine {
    /// As the home was before the run.
    fn of(home: &Path, before: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(before).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            let synced = fs::read(entry.path()).unwrap();
            let name = entry.file_name().into_string().unwrap();
            files.insert(name, vec![File { synced, ..File::default() }]);
        }
        let home = home.to_str().unwrap().to_owned();
        Self { home, files, changes: 0, folder_synced: 0, keys: Vec::new(), rotations: 0 }
    }

    /// `true` when something changed that a power cut could show.
    fn take(&mut self, call: &Call) -> bool {
        match order::request(call) {
            Some(Request::Key(disclosure)) => self.keys.push(disclosure),
            Some(Request::Rotation) => self.rotations += 1,
            None => {}
        }
        if call.on == self.home && call.is_sync() && call.result == Some(0) {
            self.folder_synced = self.changes;
            return true;
        }
        let name = call.file().to_owned();
        let is_ledgers = name.starts_with("ledger.db") && !name.ends_with("-shm");
        if !call.on.starts_with(&self.home) || !is_ledgers || call.result.is_none_or(|result| result < 0) {
            return order::request(call).is_some();
        }
        let number = call.number().and_then(|n| usize::try_from(n).ok());
        let files = self.files.entry(name).or_default();
        let standing = files.last_mut().filter(|file| file.went.is_none());
        match (call.name.as_str(), standing) {
            ("unlink", Some(file)) => {
                self.changes += 1;
                file.went = Some(self.changes);
            }
            ("pwrite64" | "ftruncate", standing) => {
                let change = match call.name.as_str() {
                    "ftruncate" => Change::Cut(number.unwrap()),
                    _ => Change::Write { at: number.unwrap(), bytes: call.bytes() },
                };
                if let Some(file) = standing {
                    file.since.push(change);
                } else {
                    self.changes += 1;
                    files.push(File { since: vec![change], came: self.changes, ..File::default() });
                }
            }
            (_, Some(file)) if call.is_sync() => file.settle(),
            _ => return false,
        }
        true
    }

    /// Lays the files out as found after a power cut now, and opens them.
    fn cut(&self, fate: Unsynced, dice: &mut Dice) -> Result<(), String> {
        let found = tempfile::tempdir().unwrap();
        let last = match fate {
            Unsynced::Lost => self.folder_synced,
            Unsynced::Kept => self.changes,
            Unsynced::Torn => self.folder_synced + dice.below(self.changes - self.folder_synced + 1),
        };
        for (name, files) in self.files.iter().filter(|(name, _)| name.starts_with("ledger.db")) {
            if let Some(file) = files.iter().find(|file| file.stands(last)) {
                fs::write(found.path().join(name), file.found(fate, dice)).unwrap();
            }
        }
        let ledger = Ledger::open(&found.path().join("ledger.db")).map_err(|e| format!("it does not open: {e}"))?;
        ledger.verify().map_err(|e| e.to_string())?.map_err(|broken| broken.to_string())?;
        let rows = ledger.rows(1).map_err(|e| e.to_string())?;
        let intents = outside::intents(&rows);
        if let Some(lost) = self.keys.iter().find(|key| !intents.iter().any(|(id, _)| id.0 == **key)) {
            return Err(format!("the key request {lost} has left, and its row is gone"));
        }
        let sending = outside::sendings(&rows);
        if sending < self.rotations {
            return Err(format!("{} rotations have left, and {sending} rows are there", self.rotations));
        }
        Ok(())
    }
}

/// Cuts the power at every call of a run. How many cuts were survived by fate, or the first that was not.
pub fn cut_everywhere(
    calls: &[Call],
    home: &Path,
    before: &Path,
    seed: u64,
) -> Result<BTreeMap<Unsynced, usize>, String> {
    let (mut machine, mut dice) = (Machine::of(home, before), Dice::new(seed));
    let mut survived = BTreeMap::new();
    // What was written counts from the beginning of its call, what was synced from the end.
    let mut in_order: Vec<&Call> = calls.iter().collect();
    in_order.sort_by_key(|call| if call.is_sync() { call.ended.unwrap_or(usize::MAX) } else { call.began });
    for call in in_order {
        if !machine.take(call) {
            continue;
        }
        for fate in FATES {
            machine.cut(fate, &mut dice).map_err(|why| {
                format!(
                    "power cut after line {} ({} {}), what was not synced {fate:?}: {why}",
                    call.began + 1,
                    call.name,
                    call.file()
                )
            })?;
            *survived.entry(fate).or_insert(0) += 1;
        }
    }
    Ok(survived)
}
