//! The connection and the look: flags over environment over file over defaults.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{
    ConfigError,
    paths::{self, Paths},
    policy::{self, PolicyFile},
};
use crate::domain::{
    connection::{Connection, read_host},
    policy::Policy,
};

/// A commented configuration file; `keydesk config template` prints it.
pub const TEMPLATE: &str = include_str!("../../assets/config.toml");

const GLOBAL_AUTHORITY: &str = "https://login.microsoftonline.com";
const GLOBAL_GRAPH: &str = "https://graph.microsoft.com";

/// `config.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    authority: Option<String>,
    graph: Option<String>,
    tenant: Option<String>,
    client_id: Option<String>,
    screen: Screen,
    policy: Option<PolicyFile>,
}

/// How the screen looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Screen {
    pub theme: Theme,
    /// ASCII instead of drawn glyphs.
    pub ascii: bool,
}

/// The colours, by role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    #[default]
    Dark,
    Light,
    HighContrast,
    /// Attributes only.
    Mono,
}

/// What flags and environment say; each wins over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub home: Option<PathBuf>,
    pub authority: Option<String>,
    pub graph: Option<String>,
    pub tenant: Option<String>,
    pub client_id: Option<String>,
    pub theme: Option<Theme>,
    pub ascii: bool,
}

/// Everything a desk is built from.
#[derive(Clone, Debug)]
pub struct Settings {
    pub paths: Paths,
    /// `None` until a tenant is configured: the ledger can be read without one.
    pub connection: Option<Connection>,
    pub policy: Policy,
    pub screen: Screen,
    /// Whether a session may outlive the program, in the system's own store.
    pub remembers: bool,
}

impl Settings {
    /// Reads the files named by `overrides.home` or the platform's folders.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let paths = Paths::find(overrides.home.as_deref())?;
        Self::load_from(paths, overrides, &paths::machine_policy())
    }

    /// The settings under the shipped policy, for whoever looks into why the machine's is refused. No desk is opened with them.
    pub fn load_without_policy(overrides: &Overrides) -> Result<Self, ConfigError> {
        let paths = Paths::find(overrides.home.as_deref())?;
        let nowhere = paths.state.join("no-policy.toml");
        Self::load_from(paths, overrides, &nowhere)
    }

    fn load_from(paths: Paths, overrides: &Overrides, machine_policy: &Path) -> Result<Self, ConfigError> {
        let file = read_file(&paths.config)?;
        let user = file.policy.as_ref().map(|lines| (paths.config.as_path(), lines));
        let policy = policy::effective(Some(machine_policy), user)?;
        let connection = connection(&file, overrides)?;
        let mut screen = file.screen;
        screen.theme = overrides.theme.unwrap_or(screen.theme);
        screen.ascii |= overrides.ascii;
        if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            screen.theme = Theme::Mono;
        }
        Ok(Self { paths, connection, policy, screen, remembers: true })
    }

    /// The connection, or the sentence that tells how to configure one.
    pub fn connection(&self) -> Result<&Connection, ConfigError> {
        self.connection.as_ref().ok_or(ConfigError::NoTenant)
    }
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(source) => return Err(ConfigError::Read { path: path.into(), source }),
    };
    toml::from_str(&text)
        .map_err(|e| ConfigError::Syntax { path: path.into(), said: e.to_string().trim_end().to_owned() })
}

fn connection(file: &File, overrides: &Overrides) -> Result<Option<Connection>, ConfigError> {
    let pick =
        |over: &Option<String>, file: &Option<String>| over.clone().or_else(|| file.clone()).filter(|s| !s.is_empty());
    let tenant = pick(&overrides.tenant, &file.tenant);
    let client_id = pick(&overrides.client_id, &file.client_id);
    let (Some(tenant), Some(client_id)) = (tenant, client_id) else { return Ok(None) };
    let host = |name, over: &Option<String>, file: &Option<String>, default: &str| {
        let text = pick(over, file).unwrap_or_else(|| default.to_owned());
        read_host(&text).map_err(|source| ConfigError::Connection { name, source })
    };
    Ok(Some(Connection {
        authority: host("authority", &overrides.authority, &file.authority, GLOBAL_AUTHORITY)?,
        graph: host("graph", &overrides.graph, &file.graph, GLOBAL_GRAPH)?,
        tenant,
        client_id,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(config: &str, overrides: &Overrides) -> Result<Settings, ConfigError> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        let paths = Paths::find(Some(home.path())).unwrap();
        Settings::load_from(paths, overrides, &home.path().join("no-policy.toml"))
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let overrides = Overrides { tenant: Some("flag.example".into()), ..Overrides::default() };
        let settings = load("tenant = \"file.example\"\nclient_id = \"c\"", &overrides).unwrap();
        let connection = settings.connection().unwrap();
        assert_eq!((connection.tenant.as_str(), connection.client_id.as_str()), ("flag.example", "c"));
        assert_eq!(connection.graph.as_str(), "https://graph.microsoft.com/");
    }

    #[test]
    fn without_a_tenant_it_says_how_to_configure_one() {
        let settings = load("", &Overrides::default()).unwrap();
        assert!(settings.connection().unwrap_err().to_string().contains("keydesk config template"));
    }

    #[test]
    fn a_typo_in_the_file_is_named_with_its_line() {
        let said = load("tenant = \"a\"\nclinet_id = \"b\"", &Overrides::default()).unwrap_err().to_string();
        assert!(said.contains("line 2") && said.contains("clinet_id"), "{said}");
    }

    #[test]
    fn plain_http_elsewhere_is_refused_by_name() {
        let config = "tenant = \"a\"\nclient_id = \"b\"\ngraph = \"http://graph.example\"";
        let said = load(config, &Overrides::default()).unwrap_err().to_string();
        assert!(said.starts_with("graph: http://graph.example/: plain http"), "{said}");
    }

    #[test]
    fn the_template_is_a_valid_file_that_changes_nothing() {
        let file: File = toml::from_str(TEMPLATE).unwrap();
        assert!(file.tenant.is_none() && file.policy.is_none());
    }
}
