//! Which processes live. Each holds a lock on a file of its own; the system lets go of it when the process ends, however it ends.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::domain::debt::InstanceId;

/// Held by whoever starts.
const GATE: &str = "starting";

/// This process, for as long as the value lives.
#[derive(Debug)]
pub struct Instance {
    pub id: InstanceId,
    path: PathBuf,
    file: Option<File>,
}

impl Instance {
    /// Makes and locks this process's file in `folder`, and removes those that killed processes left.
    pub fn start(folder: &Path) -> io::Result<Self> {
        // Between making its file and locking it a process looks dead: nobody collects meanwhile.
        let gate = File::create(folder.join(GATE))?;
        gate.lock()?;
        collect(folder);
        let id = InstanceId(Uuid::now_v7());
        let path = file_of(folder, id);
        let file = File::create_new(&path)?;
        file.lock()?;
        Ok(Self { id, path, file: Some(file) })
    }
}

/// Nobody else lives, and nobody starts, for as long as the value lives.
#[derive(Debug)]
pub struct Alone {
    _gate: File,
}

impl Alone {
    /// `None`: another process lives.
    pub fn take(folder: &Path) -> io::Result<Option<Self>> {
        let gate = File::create(folder.join(GATE))?;
        gate.lock()?;
        Ok((!any_alive(folder)).then_some(Self { _gate: gate }))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Unlocked first: Windows deletes no open file.
        self.file.take();
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "instance file left behind");
        }
    }
}

/// Whether the process named `id` still lives. Removes the file of a dead one.
pub fn is_alive(folder: &Path, id: InstanceId) -> bool {
    let path = file_of(folder, id);
    let file = match File::open(&path) {
        Ok(file) => file,
        // Only a file that is not there says that its process ended. One that cannot be opened (no rights, no handles left) says nothing.
        Err(error) => return error.kind() != io::ErrorKind::NotFound,
    };
    match file.try_lock() {
        // An error of the file system says nothing about its process: then its intents are left alone too.
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
        Ok(()) => {
            drop(file);
            let _ = std::fs::remove_file(&path);
            false
        }
    }
}

/// Removes the files of dead processes, also of those that no row names: nobody else would ever ask for them.
fn collect(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let names = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for id in names {
        is_alive(folder, InstanceId(id));
    }
}

/// Whether any process lives that marks itself in `folder`.
pub fn any_alive(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.map(InstanceId).any(|id| is_alive(folder, id))
}

fn file_of(folder: &Path, id: InstanceId) -> PathBuf {
    folder.join(id.0.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_until_its_lock_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::start(folder.path()).unwrap();
        let id = instance.id;
        assert!(is_alive(folder.path(), id) && any_alive(folder.path()));
        drop(instance);
        assert!(!any_alive(folder.path()));
        assert!(!is_alive(folder.path(), id));
    }

    #[test]
    fn a_file_left_behind_without_a_lock_is_a_dead_process() {
        let folder = tempfile::tempdir().unwrap();
        let id = InstanceId(Uuid::now_v7());
        File::create(file_of(folder.path(), id)).unwrap();
        assert!(!is_alive(folder.path(), id));
        assert!(!file_of(folder.path(), id).exists());
    }

    #[test]
    fn starting_removes_what_killed_processes_left_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let living = Instance::start(folder.path()).unwrap();
        let killed = file_of(folder.path(), InstanceId(Uuid::now_v7()));
        File::create(&killed).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let started = Instance::start(folder.path()).unwrap();
        assert!(!killed.exists());
        assert!(folder.path().join("notes.txt").exists());
        assert!(is_alive(folder.path(), living.id) && is_alive(folder.path(), started.id));
    }

    #[test]
    fn who_is_alone_keeps_others_from_starting_and_is_refused_beside_one() {
        let folder = tempfile::tempdir().unwrap();
        let alone = Alone::take(folder.path()).unwrap().unwrap();
        std::thread::scope(|scope| {
            let starting = scope.spawn(|| Instance::start(folder.path()).unwrap());
            std::thread::sleep(std::time::Duration::from_millis(100));
            assert!(!starting.is_finished() && !any_alive(folder.path()));
            drop(alone);
            let started = starting.join().unwrap();
            assert!(Alone::take(folder.path()).unwrap().is_none());
            drop(started);
        });
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_cannot_be_opened_is_no_proof_of_death() {
        let folder = tempfile::tempdir().unwrap();
        let id = InstanceId(Uuid::now_v7());
        // A loop of links: there, and nobody can open it, whatever their rights.
        std::os::unix::fs::symlink(file_of(folder.path(), id), file_of(folder.path(), id)).unwrap();
        assert!(is_alive(folder.path(), id));
    }
}
