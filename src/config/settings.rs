//! The connection and the look: flags over environment over file over defaults.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    ConfigError,
    paths::{self, Paths},
    policy::{self, PolicyFile},
    profile::{self, Name, Profile, Profiles},
    written::{Host, Word},
};
use crate::domain::{
    connection::{Cloud, Connection},
    policy::Policy,
    work::{profiles::DEFAULT, sign_in::Ways},
};

/// A commented configuration file; `keydesk config template` prints it.
pub const TEMPLATE: &str = include_str!("../../assets/config.toml");

/// `config.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    tenant: String,
    client_id: Option<String>,
    cloud: Option<Word<Cloud>>,
    authority: Option<Host>,
    graph: Option<Host>,
    sign_in: Option<Word<Ways>>,
    profile: BTreeMap<Name, profile::Lines>,
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
    /// Which tenant of the file's; the other lines of a connection are then the file's too.
    pub profile: Option<String>,
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
    /// Of the profile.
    pub paths: Paths,
    /// The profile's name: `default`, or that of a `[profile.NAME]`.
    pub profile: String,
    /// All that can be switched to, this one included, `default` first.
    pub profiles: Vec<Profile>,
    /// `None` until a tenant is configured: the ledger can be read without one.
    pub connection: Option<Connection>,
    /// The ways of signing in that are offered.
    pub ways: Ways,
    pub policy: Policy,
    pub screen: Screen,
    /// Whether a session may outlive the program, in the system's own store.
    pub remembers: bool,
}

impl Overrides {
    /// The flags that say something of a connection.
    pub(super) fn connection(&self) -> Vec<&'static str> {
        let said = [
            ("--tenant", &self.tenant),
            ("--client-id", &self.client_id),
            ("--authority", &self.authority),
            ("--graph", &self.graph),
        ];
        let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        said.into_iter().filter(|(_, text)| is_given(text)).map(|(flag, _)| flag).collect()
    }
}

impl File {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::Read { path: path.into(), source }),
        };
        toml::from_str(&text).map_err(|error| ConfigError::syntax(path, &error))
    }

    /// The `[policy]` table, with the file it stands in.
    fn policy<'a>(&'a self, path: &'a Path) -> Option<(&'a Path, &'a PolicyFile)> {
        self.policy.as_ref().map(|lines| (path, lines))
    }

    fn screen(&self, overrides: &Overrides) -> Screen {
        let is_mono = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let theme = overrides.theme.unwrap_or(self.screen.theme);
        Screen { theme: if is_mono { Theme::Mono } else { theme }, ascii: self.screen.ascii || overrides.ascii }
    }

    fn profiles(&self) -> Profiles {
        let default = profile::Lines {
            label: None,
            tenant: self.tenant.clone(),
            client_id: self.client_id.clone(),
            cloud: self.cloud,
            authority: self.authority.clone(),
            graph: self.graph.clone(),
            sign_in: self.sign_in,
        };
        Profiles { default, named: self.profile.clone() }
    }
}

impl Settings {
    /// Reads the files named by `overrides.home` or the platform's folders.
    ///
    /// # Errors
    /// What the files or flags say cannot be, the policy is not believed, or it does not allow what they ask for.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::load_from(&Paths::find(overrides.home.as_deref())?, overrides, &paths::machine_policy())
    }

    /// The settings under the shipped policy, for whoever looks into why the machine's is refused. No desk is opened with them.
    pub fn load_without_policy(overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::load_alone(&Paths::find(overrides.home.as_deref())?, overrides)
    }

    fn load_alone(paths: &Paths, overrides: &Overrides) -> Result<Self, ConfigError> {
        let file = File::read(&paths.config)?;
        let effective = policy::without_machine(file.policy(&paths.config))?;
        Self::assemble(paths, overrides, &file, effective)
    }

    fn load_from(paths: &Paths, overrides: &Overrides, machine_policy: &Path) -> Result<Self, ConfigError> {
        let file = File::read(&paths.config)?;
        let effective = policy::effective(machine_policy, file.policy(&paths.config))?;
        Self::assemble(paths, overrides, &file, effective)
    }

    /// What the file and the flags say, as far as the policy allows it.
    fn assemble(
        paths: &Paths,
        overrides: &Overrides,
        file: &File,
        effective: policy::Effective,
    ) -> Result<Self, ConfigError> {
        let profiles = file.profiles();
        profiles.refuse_twins(&paths.config)?;
        let chosen = profiles.choose(overrides)?;
        if let Some(connection) = &chosen.connection {
            effective.admit(connection)?;
        }
        Ok(Self {
            paths: paths.profile(&chosen.name),
            profiles: profiles.list(overrides),
            profile: chosen.name,
            connection: chosen.connection,
            ways: effective.narrow(chosen.ways)?,
            policy: effective.policy,
            screen: file.screen(overrides),
            remembers: true,
        })
    }

    /// For the demo: no tenant, and the shipped policy, whatever the organisation's says; its keys are nobody's.
    pub fn for_demo(overrides: &Overrides) -> Result<Self, ConfigError> {
        let paths = Paths::find(overrides.home.as_deref())?.demo();
        let file = File::read(&Paths::find(overrides.home.as_deref())?.config)?;
        Ok(Self {
            paths,
            profile: DEFAULT.into(),
            profiles: Vec::new(),
            connection: None,
            ways: Ways::Ask,
            policy: policy::with_lines("", "the shipped policy")?,
            screen: file.screen(overrides),
            remembers: false,
        })
    }

    /// Where the files of the profile lie.
    pub fn paths(overrides: &Overrides) -> Result<Paths, ConfigError> {
        let paths = Paths::find(overrides.home.as_deref())?;
        let chosen = File::read(&paths.config)?.profiles().choose(overrides)?;
        Ok(paths.profile(&chosen.name))
    }

    /// The policy in force with where each line comes from; nothing is connected to.
    pub fn policy_in_force(overrides: &Overrides) -> Result<policy::Effective, ConfigError> {
        let paths = Paths::find(overrides.home.as_deref())?;
        let file = File::read(&paths.config)?;
        policy::effective(&paths::machine_policy(), file.policy(&paths.config))
    }

    /// The connection, or the sentence that tells how to configure one.
    pub fn connection(&self) -> Result<&Connection, ConfigError> {
        self.connection.as_ref().ok_or(ConfigError::NoTenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(config: &str, overrides: &Overrides) -> Result<Settings, ConfigError> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        let paths = Paths::find(Some(home.path())).unwrap();
        Settings::load_alone(&paths, overrides)
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
        assert!(said.contains("line 3") && said.contains("http://graph.example/: plain http"), "{said}");
    }

    #[test]
    fn the_template_is_a_valid_file_that_changes_nothing() {
        let file: File = toml::from_str(TEMPLATE).unwrap();
        assert!(file.tenant.is_empty() && file.policy.is_none());
    }

    const TWO: &str = "tenant = \"harborview.example\"\nclient_id = \"c\"\nsign_in = \"browser\"\n\
                       [profile.contoso]\nlabel = \"Contoso Ltd\"\ntenant = \"contoso.example\"\ncloud = \"us-gov\"\n\
                       [profile.alpine]\ntenant = \"alpine.example\"\nclient_id = \"d\"\nsign_in = \"device-code\"\n";

    fn profile(name: &str) -> Overrides {
        Overrides { profile: Some(name.into()), ..Overrides::default() }
    }

    #[test]
    fn each_profile_has_its_tenant_its_hosts_and_its_state() {
        let default = load(TWO, &Overrides::default()).unwrap();
        let names: Vec<&str> = default.profiles.iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!((default.profile.as_str(), names), ("default", vec!["default", "alpine", "contoso"]));
        assert_eq!(default.ways, Ways::Browser);

        let contoso = load(TWO, &profile("contoso")).unwrap();
        let connection = contoso.connection().unwrap();
        assert_eq!((connection.tenant.as_str(), connection.client_id.as_str()), ("contoso.example", "c"));
        assert_eq!((Cloud::of(connection), contoso.ways), (Cloud::UsGov, Ways::Browser));
        assert!(contoso.paths.state.ends_with("profiles/contoso") && contoso.profiles == default.profiles);
        assert_eq!(contoso.profiles[2].label, "Contoso Ltd");

        let alpine = load(TWO, &profile("alpine")).unwrap();
        assert_eq!((alpine.connection().unwrap().client_id.as_str(), alpine.ways), ("d", Ways::DeviceCode));
        assert_ne!(alpine.paths.ledger(), contoso.paths.ledger());
    }

    #[test]
    fn without_lines_above_all_tables_the_first_profile_opens() {
        let named = TWO.split_once("[profile.contoso]").unwrap().1;
        let settings = load(&format!("client_id = \"c\"\n[profile.contoso]{named}"), &Overrides::default()).unwrap();
        assert_eq!((settings.profile.as_str(), settings.profiles.len()), ("alpine", 2));
    }

    #[test]
    fn a_profile_and_a_flag_are_not_both_believed() {
        let both = Overrides { graph: Some("http://localhost:1".into()), ..profile("contoso") };
        let said = load(TWO, &both).unwrap_err().to_string();
        assert!(said.contains("contoso") && said.contains("--graph"), "{said}");
        let said = load(TWO, &profile("../x")).unwrap_err().to_string();
        assert_eq!(said, "No profile is called ../x. Known: default, alpine, contoso.");
    }

    #[test]
    fn a_profile_that_cannot_be_is_named_with_its_line() {
        for (more, at, what) in [
            ("[profile.contoso]\ntenant = \"x\"", "line 12", "contoso"),
            ("[profile.\"../x\"]\ntenant = \"x\"", "line 12", "cannot name a profile"),
            ("[profile.default]\ntenant = \"x\"", "line 12", "above all tables"),
            ("[profile.new]\nlabel = \"x\"", "line 12", "tenant"),
            ("[profile.new]\ntenant = \"x\"\ncloud = \"mars\"", "line 14", "us-gov-dod"),
            ("[profile.new]\ntenant = \"x\"\nsign_in = \"knock\"", "line 14", "device-code"),
            ("[profile.new]\ntenant = \"CONTOSO.example\"", "config.toml", "are one tenant"),
        ] {
            let said = load(&format!("{TWO}{more}"), &Overrides::default()).unwrap_err().to_string();
            assert!(said.contains(at) && said.contains(what), "{said}");
        }
    }

    #[test]
    fn a_flag_that_names_a_known_authority_brings_its_graph() {
        let config = "tenant = \"a\"\nclient_id = \"b\"\ncloud = \"china\"";
        let overrides =
            Overrides { authority: Some("https://login.microsoftonline.us".into()), ..Overrides::default() };
        let settings = load(config, &overrides).unwrap();
        assert_eq!(settings.connection().unwrap().graph.as_str(), "https://graph.microsoft.us/");
        let china = load(config, &Overrides::default()).unwrap();
        assert_eq!(Cloud::of(china.connection().unwrap()), Cloud::China);
    }

    #[cfg(unix)]
    #[test]
    fn the_machines_pins_hold_against_file_flags_and_profiles_and_an_open_policy_opens_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can lay down what only root may write");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), TWO).unwrap();
        let machine = home.path().join("machine.toml");
        std::fs::write(&machine, "[pins]\ntenants = [\"harborview.example\"]\n[sign_in]\nways = [\"browser\"]")
            .unwrap();
        std::fs::set_permissions(&machine, std::fs::Permissions::from_mode(0o644)).unwrap();
        let load =
            |overrides: &Overrides| Settings::load_from(&Paths::find(Some(home.path())).unwrap(), overrides, &machine);
        assert_eq!(load(&Overrides::default()).unwrap().ways, Ways::Browser);
        let flag = Overrides { tenant: Some("evil.example".into()), ..Overrides::default() };
        for (overrides, line) in [(flag, "pins.tenants"), (profile("contoso"), "pins.tenants")] {
            let said = load(&overrides).unwrap_err().to_string();
            assert!(said.contains(line) && said.contains("machine.toml"), "{said}");
        }
        std::fs::set_permissions(&machine, std::fs::Permissions::from_mode(0o666)).unwrap();
        let failure = crate::domain::work::Failure::from(load(&Overrides::default()).unwrap_err());
        assert!(failure.happened.contains("can be written by everybody"), "{failure}");
        assert!(failure.next.contains("sudo chmod go-w"), "{failure}");
    }
}
