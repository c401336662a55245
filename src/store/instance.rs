//! Which processes live. Each holds a lock on a file of its own; the system lets go of it when the process ends, however it ends.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::domain::debt::InstanceId;

/// This process, for as long as the value lives.
#[derive(Debug)]
pub struct Instance {
    pub id: InstanceId,
    path: PathBuf,
    file: Option<File>,
}

impl Instance {
    /// Makes and locks this process's file in `folder`.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let id = InstanceId(Uuid::now_v7());
        let path = file_of(folder, id);
        let file = File::create_new(&path)?;
        file.lock()?;
        Ok(Self { id, path, file: Some(file) })
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
    let Ok(file) = File::open(&path) else { return false };
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
        assert!(is_alive(folder.path(), id));
        drop(instance);
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
}
