//! Profiles: which tenant a desk opens on, through which hosts. The lines above all tables are the profile `default`; an MSP adds one
//! `[profile.NAME]` a customer.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

use super::{
    ConfigError, Overrides,
    written::{Host, Word},
};
use crate::domain::{
    connection::{Cloud, Connection, ConnectionError, read_host},
    work::{profiles::DEFAULT, sign_in::Ways},
};

/// A tenant that can be switched to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// As `--profile` names it.
    pub name: String,
    /// For the screen.
    pub label: String,
    /// Tenant id or domain.
    pub tenant: String,
}

/// The lines of one profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lines {
    pub label: Option<String>,
    pub tenant: String,
    pub client_id: Option<String>,
    pub cloud: Option<Word<Cloud>>,
    pub authority: Option<Host>,
    pub graph: Option<Host>,
    pub sign_in: Option<Word<Ways>>,
}

/// The profiles of a configuration file.
#[derive(Clone, Debug, Default)]
pub(super) struct Profiles {
    /// Whose tenant is empty where no line names it.
    pub default: Lines,
    pub named: BTreeMap<Name, Lines>,
}

/// A profile's name, which is also its folder's: small letters, digits and hyphens, nothing a system reserves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(String);

impl Name {
    const LONGEST: usize = 32;

    fn read(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > Self::LONGEST || !text.chars().all(fits) || text.starts_with('-') {
            return Err(format!(
                "{text:?} cannot name a profile; write at most {} small letters, digits and hyphens",
                Self::LONGEST
            ));
        }
        if text == DEFAULT {
            return Err("\"default\" is the profile of the lines above all tables; give this one another name".into());
        }
        // Windows takes these for devices, whatever folder they are asked for in.
        let is_port = ["com", "lpt"]
            .iter()
            .any(|port| text.strip_prefix(port).is_some_and(|n| n.len() == 1 && n.chars().all(|c| c.is_ascii_digit())));
        if is_port || ["con", "prn", "aux", "nul"].contains(&text) {
            return Err(format!("{text:?} cannot name a folder on Windows; give this profile another name"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The profile a desk opens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub name: String,
    /// `None`: no tenant is configured.
    pub connection: Option<Connection>,
    pub ways: Ways,
}

impl Profiles {
    /// All that name a tenant, `default` first.
    pub fn list(&self, overrides: &Overrides) -> Vec<Profile> {
        let tenant = given(overrides.tenant.as_deref()).unwrap_or(&self.default.tenant);
        let default =
            (!tenant.is_empty()).then(|| Profile { name: DEFAULT.into(), label: tenant.into(), tenant: tenant.into() });
        let named = self.named.iter().map(|(name, lines)| Profile {
            name: name.0.clone(),
            label: lines.label.clone().unwrap_or_else(|| name.0.clone()),
            tenant: lines.tenant.clone(),
        });
        default.into_iter().chain(named).collect()
    }

    /// One tenant under two names would have two ledgers, and its limits would be counted twice.
    pub fn refuse_twins(&self, path: &Path) -> Result<(), ConfigError> {
        let all: Vec<Profile> = self.list(&Overrides::default());
        for (n, profile) in all.iter().enumerate() {
            if let Some(twin) = all[..n].iter().find(|other| other.tenant.eq_ignore_ascii_case(&profile.tenant)) {
                let said =
                    format!("the profiles {:?} and {:?} are one tenant; keep one of them", twin.name, profile.name);
                return Err(ConfigError::Value { path: path.into(), said });
            }
        }
        Ok(())
    }

    /// The profile the flags name, with what they say of its connection; without a name `default`, or the first there is.
    pub fn choose(&self, overrides: &Overrides) -> Result<Chosen, ConfigError> {
        let flags = overrides.connection();
        let name = given(overrides.profile.as_deref());
        let first = || self.named.keys().next().map(|name| name.0.as_str());
        let has_default = !self.default.tenant.is_empty() || !flags.is_empty();
        match name.or_else(|| if has_default { None } else { first() }) {
            None | Some(DEFAULT) => self.default(overrides),
            Some(name) => {
                let lines = self.named.iter().find(|(known, _)| known.0 == name).ok_or_else(|| {
                    let known: Vec<String> = self.list(overrides).into_iter().map(|profile| profile.name).collect();
                    ConfigError::UnknownProfile { name: name.to_owned(), known: known.join(", ") }
                })?;
                if let Some(flag) = flags.first() {
                    return Err(ConfigError::ProfileAndFlag { name: name.to_owned(), flag });
                }
                self.named(name, lines.1)
            }
        }
    }

    fn default(&self, overrides: &Overrides) -> Result<Chosen, ConfigError> {
        let lines = &self.default;
        let flag = |name, text: Option<&str>| {
            let read = |text| read_host(text).map_err(|source| ConfigError::Connection { name, source });
            given(text).map(read).transpose()
        };
        let authority = flag("authority", overrides.authority.as_deref())?;
        let graph = flag("graph", overrides.graph.as_deref())?;
        let text = |over: &Option<String>, line: &str| given(over.as_deref()).unwrap_or(line).to_owned();
        let tenant = text(&overrides.tenant, &lines.tenant);
        let client_id = text(&overrides.client_id, lines.client_id.as_deref().unwrap_or_default());
        // A flag that names another authority has left the file's cloud, and a known one brings its own Graph.
        let leaves = authority.is_some();
        let brings_graph = authority.as_ref().is_some_and(|url| Cloud::with_authority(url).is_some());
        let hosts = Hosts {
            cloud: lines.cloud.map(|word| word.0).filter(|_| !leaves),
            authority: authority.or_else(|| lines.authority.clone().map(|host| host.0)),
            graph: graph.or_else(|| lines.graph.clone().filter(|_| !brings_graph).map(|host| host.0)),
        };
        let (authority, graph) = hosts.resolve().map_err(ConfigError::Hosts)?;
        let is_whole = !tenant.is_empty() && !client_id.is_empty();
        Ok(Chosen {
            name: DEFAULT.into(),
            connection: is_whole.then_some(Connection { authority, graph, tenant, client_id }),
            ways: lines.sign_in.map_or(Ways::Ask, |word| word.0),
        })
    }

    /// A named profile. The app and the way of signing in may stand once, above all tables; hosts never come from another profile.
    fn named(&self, name: &str, lines: &Lines) -> Result<Chosen, ConfigError> {
        let client_id = lines.client_id.clone().or_else(|| self.default.client_id.clone());
        let client_id = client_id.ok_or_else(|| ConfigError::ProfileWithoutApp(name.to_owned()))?;
        let hosts = Hosts {
            cloud: lines.cloud.map(|word| word.0),
            authority: lines.authority.clone().map(|host| host.0),
            graph: lines.graph.clone().map(|host| host.0),
        };
        let (authority, graph) =
            hosts.resolve().map_err(|source| ConfigError::ProfileHosts { name: name.to_owned(), source })?;
        let ways = lines.sign_in.or(self.default.sign_in).map_or(Ways::Ask, |word| word.0);
        let connection = Connection { authority, graph, tenant: lines.tenant.clone(), client_id };
        Ok(Chosen { name: name.to_owned(), connection: Some(connection), ways })
    }
}

/// Hosts as they are written: each may be missing.
#[derive(Clone, Debug, Default)]
struct Hosts {
    cloud: Option<Cloud>,
    authority: Option<Url>,
    graph: Option<Url>,
}

impl Hosts {
    /// Where to sign in, and where Graph is: the missing one follows the cloud, or the other where that is Microsoft's own.
    fn resolve(self) -> Result<(Url, Url), ConnectionError> {
        let (authority, graph) = match (self.authority, self.graph) {
            (Some(authority), Some(graph)) => (authority, graph),
            (Some(authority), None) => {
                let cloud = self.cloud.or_else(|| Cloud::with_authority(&authority));
                let graph = follow(cloud.and_then(Cloud::graph), "graph", &authority)?;
                (authority, graph)
            }
            (None, Some(graph)) => {
                let cloud = self.cloud.or_else(|| Cloud::with_graph(&graph));
                let authority = follow(cloud.and_then(Cloud::authority), "authority", &graph)?;
                (authority, graph)
            }
            (None, None) => {
                let cloud = self.cloud.unwrap_or(Cloud::Global);
                let host = |host: Option<&str>| read_host(host.unwrap_or_default());
                (host(cloud.authority())?, host(cloud.graph())?)
            }
        };
        let fits = |cloud: Cloud| {
            (Cloud::with_authority(&authority).is_none() || cloud.has_authority(&authority))
                && Cloud::with_graph(&graph).is_none_or(|of_graph| of_graph == cloud)
        };
        // A host of nobody's fits every cloud: a gateway may stand before either.
        let agree = self.cloud.map_or_else(|| Cloud::NAMED.into_iter().any(fits), fits);
        if agree { Ok((authority, graph)) } else { Err(ConnectionError::Clouds(authority.into(), graph.into())) }
    }
}

/// The host that follows from `other`, or the sentence that `what` is missing.
fn follow(host: Option<&str>, what: &'static str, other: &Url) -> Result<Url, ConnectionError> {
    host.map_or_else(|| Err(ConnectionError::Nowhere(what, other.to_string())), read_host)
}

/// An empty text, as a variable that is set to nothing gives it, says nothing.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GLOBAL: (&str, &str) = ("https://login.microsoftonline.com/", "https://graph.microsoft.com/");

    fn resolved(cloud: Option<Cloud>, authority: &str, graph: &str) -> Result<(String, String), ConnectionError> {
        let url = |text: &str| (!text.is_empty()).then(|| read_host(text).unwrap());
        let hosts = Hosts { cloud, authority: url(authority), graph: url(graph) };
        hosts.resolve().map(|(authority, graph)| (authority.into(), graph.into()))
    }

    #[rstest]
    #[case::nothing_said(None, "", "", GLOBAL)]
    #[case::a_cloud(
        Some(Cloud::UsGov),
        "",
        "",
        ("https://login.microsoftonline.us/", "https://graph.microsoft.us/")
    )]
    #[case::dod(
        Some(Cloud::UsGovDod),
        "",
        "",
        ("https://login.microsoftonline.us/", "https://dod-graph.microsoft.us/")
    )]
    #[case::china(
        Some(Cloud::China),
        "",
        "",
        ("https://login.partner.microsoftonline.cn/", "https://microsoftgraph.chinacloudapi.cn/")
    )]
    #[case::the_other_host_of_china(
        None,
        "https://login.chinacloudapi.cn",
        "",
        ("https://login.chinacloudapi.cn/", "https://microsoftgraph.chinacloudapi.cn/")
    )]
    #[case::an_authority_of_two_clouds_with_the_graph_of_the_second(
        None,
        "https://login.microsoftonline.us",
        "https://dod-graph.microsoft.us",
        ("https://login.microsoftonline.us/", "https://dod-graph.microsoft.us/")
    )]
    #[case::a_graph_alone(
        None,
        "",
        "https://dod-graph.microsoft.us",
        ("https://login.microsoftonline.us/", "https://dod-graph.microsoft.us/")
    )]
    #[case::another_name_of_an_authority(
        None,
        "https://login.windows.net",
        "",
        ("https://login.windows.net/", "https://graph.microsoft.com/")
    )]
    #[case::a_gateway_before_a_cloud(
        Some(Cloud::China),
        "https://login.gateway.example",
        "",
        ("https://login.gateway.example/", "https://microsoftgraph.chinacloudapi.cn/")
    )]
    #[case::hosts_of_ones_own(
        None,
        "http://127.0.0.1:1",
        "http://127.0.0.1:2",
        ("http://127.0.0.1:1/", "http://127.0.0.1:2/")
    )]
    fn the_host_that_is_not_named_follows(
        #[case] cloud: Option<Cloud>,
        #[case] authority: &str,
        #[case] graph: &str,
        #[case] (a, g): (&str, &str),
    ) {
        assert_eq!(resolved(cloud, authority, graph), Ok((a.to_owned(), g.to_owned())));
    }

    #[rstest]
    #[case::two_clouds(None, "https://login.microsoftonline.com", "https://graph.microsoft.us", "different clouds")]
    #[case::not_the_clouds_authority(Some(Cloud::China), "https://login.microsoftonline.us", "", "different clouds")]
    #[case::not_the_clouds_graph(Some(Cloud::UsGov), "", "https://dod-graph.microsoft.us", "different clouds")]
    #[case::nothing_follows(None, "https://login.example", "", "graph is missing")]
    #[case::nor_from_a_graph(None, "", "http://localhost", "authority is missing")]
    fn hosts_that_cannot_be_meant_together_are_refused(
        #[case] cloud: Option<Cloud>,
        #[case] authority: &str,
        #[case] graph: &str,
        #[case] said: &str,
    ) {
        let found = resolved(cloud, authority, graph).unwrap_err().to_string();
        assert!(found.contains(said), "{found}");
    }

    #[test]
    fn a_name_that_could_be_another_folder_is_refused() {
        for name in
            ["", "..", ".", "a/b", r"a\b", "A", "-x", "c:", "con", "nul", "com1", "lpt9", DEFAULT, "é", "a b", "a\0"]
        {
            assert!(Name::read(name).is_err(), "{name:?}");
        }
        assert!(Name::read(&"a".repeat(33)).is_err());
        for name in ["contoso", "a-1", "0", "com", "com10", "console"] {
            assert!(Name::read(name).is_ok(), "{name:?}");
        }
    }
}
