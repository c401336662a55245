//! What this desk is told before it starts: files, environment and flags become [`Settings`]; files become the effective policy.

pub mod logging;
pub mod paths;
pub mod policy;
mod profile;
pub mod settings;
mod trust;
mod written;

pub use paths::Paths;
pub use profile::Profile;
pub use settings::{Overrides, Settings};

use std::path::{Path, PathBuf};

use crate::domain::{
    policy::LineError,
    work::{Failure, Kind},
};

/// Why the program cannot start as configured. Names the file and, for a typo, its line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path} cannot be read: {source}", path = .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} cannot be made: {source}", path = .path.display())]
    Create { path: PathBuf, source: std::io::Error },
    /// `said` is the parser's own report with line, column and the line itself.
    #[error("{path}: {said}", path = .path.display())]
    Syntax { path: PathBuf, said: String },
    #[error("{path}: {said}", path = .path.display())]
    Value { path: PathBuf, said: String },
    #[error("{name}: {source}")]
    Connection { name: &'static str, source: crate::domain::connection::ConnectionError },
    /// The machine's policy is there and not to be relied on: a user could loosen it, or it cannot be read to its end. `mend` is what ends
    /// that, a command where there is one.
    #[error("{path} {what}. An administrator mends it: {mend}", path = .path.display())]
    Policy { path: PathBuf, what: String, mend: String },
    /// `place` is the policy's line and file.
    #[error("The {what} {wanted} is not allowed by the policy ({place}): {allowed} is.")]
    Pinned { what: &'static str, wanted: String, allowed: String, place: String },
    #[error("Sign-in and Graph addresses: {0}.")]
    Hosts(crate::domain::connection::ConnectionError),
    #[error("[profile.{name}]: {source}")]
    ProfileHosts { name: String, source: crate::domain::connection::ConnectionError },
    #[error("No profile is called {name}. Known: {known}.", name = crate::domain::foreign::printable(.name))]
    UnknownProfile { name: String, known: String },
    #[error("[profile.{0}] has no client_id, and none stands above all tables.")]
    ProfileWithoutApp(String),
    #[error("The profile {name} says where to connect, and so does {flag} or its variable: leave one of them out.")]
    ProfileAndFlag { name: String, flag: &'static str },
    #[error("No tenant is configured. Set tenant and client_id (`keydesk config template`), or try `keydesk demo`.")]
    NoTenant,
    #[error("No home folder is known here. Set KEYDESK_HOME to a folder for keydesk's files.")]
    NoHome,
    #[error("The log {0} cannot be opened: {1}")]
    Log(PathBuf, String),
}

impl ConfigError {
    pub(crate) fn syntax(path: &Path, error: &toml::de::Error) -> Self {
        Self::Syntax { path: path.into(), said: error.to_string().trim_end().to_owned() }
    }

    fn line(path: &Path, error: &LineError) -> Self {
        Self::Value { path: path.into(), said: error.to_string() }
    }
}

/// What it means and what to do, for what no setting can mend.
impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match &error {
            ConfigError::Policy { path, what, mend } => Self::new(
                Kind::Refused,
                format!("The organisation's policy cannot be relied on: {} {what}.", path.display()),
            )
            .meaning("Nobody works here without it, so keydesk connects to no tenant. The demo still opens.")
            .next(format!("An administrator mends it: {mend}")),
            ConfigError::Pinned { .. } => Self::new(Kind::Refused, error.to_string())
                .meaning("Settings, flags and variables may narrow the policy, never leave it.")
                .next("Leave the setting out, or ask whoever keeps the policy."),
            _ => Self::new(Kind::Usage, error.to_string()),
        }
    }
}
