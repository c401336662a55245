//! Where keydesk's files live: XDG on Linux and macOS, `AppData` on Windows; all below one folder with `KEYDESK_HOME`.

use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};

use super::ConfigError;
use crate::domain::work::profiles::DEFAULT;

/// The folders and files of one desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    pub config: PathBuf,
    /// Ledger, index, instance locks, log.
    pub state: PathBuf,
    /// The state folder was named by a person: what else lies in it, and who may look into it, is theirs to say.
    is_chosen: bool,
}

impl Paths {
    /// `home` is `KEYDESK_HOME`, when set.
    pub fn find(home: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(home) = home {
            let home = std::path::absolute(home).map_err(|source| ConfigError::Read { path: home.into(), source })?;
            return Ok(Self { config: home.join("config.toml"), state: home, is_chosen: true });
        }
        let base = choose_base_strategy().map_err(|_| ConfigError::NoHome)?;
        // Windows has no folder for state, and its data folder roams: a ledger is this machine's, and a server cannot lock it.
        let state = base.state_dir().unwrap_or_else(|| if cfg!(windows) { base.cache_dir() } else { base.data_dir() });
        Ok(Self {
            config: base.config_dir().join("keydesk").join("config.toml"),
            state: state.join("keydesk"),
            is_chosen: false,
        })
    }

    /// The demo's own world below this one, so that it never touches a real ledger.
    #[must_use]
    pub fn demo(&self) -> Self {
        let state = self.state.join("demo");
        Self { config: state.join("config.toml"), state, is_chosen: false }
    }

    /// Where a profile's state lies: `default`'s in the state folder itself, any other's in a folder of its own.
    #[must_use]
    pub fn profile(&self, name: &str) -> Self {
        if name == DEFAULT {
            return self.clone();
        }
        let state = self.state.join("profiles").join(name);
        Self { config: self.config.clone(), state, is_chosen: false }
    }

    /// From the paths of the profile `own`, those of another.
    #[must_use]
    pub fn of_other(&self, own: &str, other: &str) -> Self {
        let above = if own == DEFAULT { None } else { self.state.parent().and_then(Path::parent) };
        let state = above.map_or_else(|| self.state.clone(), Path::to_path_buf);
        Self { state, ..self.clone() }.profile(other)
    }

    pub fn ledger(&self) -> PathBuf {
        self.state.join("ledger.db")
    }

    /// The index of one (cloud, tenant, technician): roles make listings differ.
    pub fn index(&self, whose: &str) -> PathBuf {
        self.state.join(format!("index-{whose}.db"))
    }

    pub fn instances(&self) -> PathBuf {
        self.state.join("instances")
    }

    /// What the console writes for an auditor.
    pub fn evidence(&self) -> PathBuf {
        self.state.join("evidence")
    }

    pub fn log(&self) -> PathBuf {
        self.state.join("keydesk.log")
    }

    /// Makes the state folder, for this account alone. What stands there already is tightened: our files, and the folders that are ours.
    pub fn create(&self) -> Result<(), ConfigError> {
        create_private(&self.state)?;
        create_private(&self.instances())?;
        #[cfg(unix)]
        self.tighten();
        Ok(())
    }

    /// Takes from others what an earlier version, a copy or a loose umask left them. What cannot be tightened is not this account's, and
    /// fails where it is opened.
    #[cfg(unix)]
    fn tighten(&self) {
        if !self.is_chosen {
            allow_only_owner(&self.state, 0o700);
        }
        allow_only_owner(&self.instances(), 0o700);
        let Ok(entries) = std::fs::read_dir(&self.state) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_str().is_some_and(is_private) && entry.file_type().is_ok_and(|kind| kind.is_file())
            {
                allow_only_owner(&entry.path(), 0o600);
            }
        }
    }
}

/// Whether a file of this name in the state folder is the ledger, an index, one of their side files, or the log.
#[cfg(unix)]
fn is_private(name: &str) -> bool {
    let is_database = name.starts_with("ledger.db") || (name.starts_with("index-") && name.contains(".db"));
    is_database || name == "keydesk.log"
}

#[cfg(unix)]
fn allow_only_owner(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(found) = std::fs::metadata(path) else { return };
    if found.permissions().mode() & 0o077 != 0
        && let Err(error) = std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    {
        tracing::warn!(path = %path.display(), %error, "others may read this");
    }
}

/// Makes a folder that only its owner can read, from the first moment on. One that is there stays as it is.
pub fn create_private(folder: &Path) -> Result<(), ConfigError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(|source| ConfigError::Create { path: folder.into(), source })
}

/// The machine-wide policy file. No variable and no setting moves it: they are the user's.
pub fn machine_policy() -> PathBuf {
    #[cfg(windows)]
    let folder = super::trust::program_data();
    #[cfg(target_os = "macos")]
    let folder = PathBuf::from("/Library/Application Support");
    #[cfg(not(any(windows, target_os = "macos")))]
    let folder = PathBuf::from("/etc");
    folder.join("keydesk").join("policy.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_a_home_everything_lies_below_it() {
        let paths = Paths::find(Some(Path::new("/tmp/desk"))).unwrap();
        let absolute = std::path::absolute("/tmp/desk").unwrap();
        for path in [paths.ledger(), paths.config.clone(), paths.demo().ledger(), paths.index("x")] {
            assert!(path.starts_with(&absolute), "{path:?}");
        }
    }

    #[test]
    fn from_any_profile_every_other_is_found() {
        let default = Paths::find(Some(Path::new("/tmp/desk"))).unwrap();
        let legal = default.profile("legal");
        assert_eq!(legal.of_other("legal", "default").ledger(), default.ledger());
        assert_eq!(legal.of_other("legal", "clinic").ledger(), default.profile("clinic").ledger());
        assert_eq!(default.of_other("default", "legal").ledger(), legal.ledger());
    }

    #[cfg(windows)]
    #[test]
    fn settings_roam_with_their_user_and_a_ledger_stays_on_its_machine() {
        let paths = Paths::find(None).unwrap();
        let below = |path: &Path, folder: &str| path.starts_with(std::env::var_os(folder).unwrap());
        assert!(below(&paths.config, "APPDATA") && !below(&paths.config, "LOCALAPPDATA"), "{paths:?}");
        assert!(below(&paths.ledger(), "LOCALAPPDATA") && !below(&paths.ledger(), "APPDATA"), "{paths:?}");
    }

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[cfg(unix)]
    #[test]
    fn the_state_folder_is_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::find(Some(&home.path().join("new"))).unwrap();
        paths.create().unwrap();
        assert_eq!((mode(&paths.state), mode(&paths.instances())), (0o700, 0o700));
    }

    #[cfg(unix)]
    #[test]
    fn in_a_folder_that_others_may_read_our_files_are_tightened_and_the_rest_is_left() {
        use std::{fs, os::unix::fs::PermissionsExt as _};
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::find(Some(home.path())).unwrap();
        let theirs = home.path().join("notes.txt");
        let ours = [paths.ledger(), home.path().join("ledger.db-wal"), paths.index("dana"), paths.log()];
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for file in ours.iter().chain([&theirs]) {
            fs::write(file, "").unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        }
        paths.create().unwrap();
        assert_eq!(ours.map(|file| mode(&file)), [0o600; 4]);
        assert_eq!((mode(&theirs), mode(home.path())), (0o644, 0o755));
        // The demo's folder is ours wherever it lies.
        let demo = paths.demo();
        fs::create_dir(&demo.state).unwrap();
        fs::set_permissions(&demo.state, fs::Permissions::from_mode(0o755)).unwrap();
        demo.create().unwrap();
        assert_eq!(mode(&demo.state), 0o700);
    }
}
