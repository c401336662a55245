//! Files that only their owner may read, whatever the umask and the folder say.

use std::path::Path;

/// Makes the file at `path` for its owner alone, if it is not there yet. `SQLite` gives its side files the same mode.
///
/// One that is there is not opened: closing it would let go of the locks another connection of this process holds on it. Nothing fails
/// here: what cannot be made, `SQLite` cannot open, and it says why.
pub(super) fn make(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let _ = options.open(path);
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    #[test]
    fn databases_and_their_side_files_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let ledger = crate::store::Ledger::open(&folder.path().join("ledger.db")).unwrap();
        let index = crate::store::Index::open(&folder.path().join("index-dana.db")).unwrap();
        let mut seen = 0;
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
            seen += 1;
        }
        assert!(seen >= 4, "{seen} files, side files among them");
        drop((ledger, index));
    }
}
