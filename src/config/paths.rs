//! Where keydesk's files live: XDG on Linux, Apple's folders on macOS, `AppData` on Windows; all below one folder with `KEYDESK_HOME`.

use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};

use super::ConfigError;

/// The folders and files of one desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    pub config: PathBuf,
    /// Ledger, index, instance locks, log.
    pub state: PathBuf,
}

impl Paths {
    /// `home` is `KEYDESK_HOME`, when set.
    pub fn find(home: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(home) = home {
            let home = std::path::absolute(home).map_err(|source| ConfigError::Read { path: home.into(), source })?;
            return Ok(Self { config: home.join("config.toml"), state: home });
        }
        let base = choose_base_strategy().map_err(|_| ConfigError::NoHome)?;
        let state = base.state_dir().unwrap_or_else(|| base.data_dir());
        Ok(Self { config: base.config_dir().join("keydesk").join("config.toml"), state: state.join("keydesk") })
    }

    /// The demo's own world below this one, so that it never touches a real ledger.
    #[must_use]
    pub fn demo(&self) -> Self {
        let state = self.state.join("demo");
        Self { config: state.join("config.toml"), state }
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

    pub fn log(&self) -> PathBuf {
        self.state.join("keydesk.log")
    }

    /// Makes the state folder, for this account alone.
    pub fn create(&self) -> Result<(), ConfigError> {
        create_private(&self.state)?;
        create_private(&self.instances())
    }
}

/// Makes a folder that only its owner can read, from the first moment on.
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

/// The machine-wide policy file.
pub fn machine_policy() -> PathBuf {
    if cfg!(windows) {
        let data = std::env::var_os("ProgramData").map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from);
        data.join("keydesk").join("policy.toml")
    } else if cfg!(target_os = "macos") {
        PathBuf::from("/Library/Application Support/keydesk/policy.toml")
    } else {
        PathBuf::from("/etc/keydesk/policy.toml")
    }
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

    #[cfg(unix)]
    #[test]
    fn the_state_folder_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::find(Some(&home.path().join("new"))).unwrap();
        paths.create().unwrap();
        assert_eq!(std::fs::metadata(&paths.state).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
