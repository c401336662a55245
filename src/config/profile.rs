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
    work::sign_in::Ways,
};

/// The profile of the lines above all tables.
pub const DEFAULT: &str = "default";

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
        let (authority, graph) = hosts.resolve().map_err(|source| ConfigError::Connection { name: "hosts", source })?;
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
    /// Where to sign in, and where Graph is: the missing one follows the cloud, or the other where it is known.
    fn resolve(self) -> Result<(Url, Url), ConnectionError> {
        let Self { cloud, authority, graph } = self;
        let by_graph = graph.as_ref().and_then(Cloud::with_graph);
        let followed = cloud.or_else(|| match &authority {
            Some(url) => by_graph.filter(|cloud| cloud.has_authority(url)).or_else(|| Cloud::with_authority(url)),
            None if graph.is_some() => by_graph,
            None => Some(Cloud::Global),
        });
        let missing = |given: &Option<Url>, what| {
            given.clone().map_or(ConnectionError::Nowhere(what, String::new()), |url| {
                ConnectionError::Nowhere(what, url.to_string())
            })
        };
        let read = |host: Option<&&str>, error| host.map_or(Err(error), |host| read_host(host));
        let authority_of =
            || read(followed.and_then(|cloud| cloud.authorities().first()), missing(&graph, "authority"));
        let graph_of = || read(followed.and_then(Cloud::graph).as_ref(), missing(&authority, "graph"));
        let (authority, graph) = match (&authority, &graph) {
            (Some(authority), Some(graph)) => (authority.clone(), graph.clone()),
            (Some(authority), None) => (authority.clone(), graph_of()?),
            (None, Some(graph)) => (authority_of()?, graph.clone()),
            (None, None) => (authority_of()?, graph_of()?),
        };
        let fits = |cloud: Cloud| {
            (Cloud::with_authority(&authority).is_none() || cloud.has_authority(&authority))
                && (Cloud::with_graph(&graph).is_none() || Cloud::with_graph(&graph) == Some(cloud))
        };
        let is_known = Cloud::with_authority(&authority).is_some() || Cloud::with_graph(&graph).is_some();
        let agree = cloud.map_or(!is_known || Cloud::NAMED.into_iter().any(fits), fits);
        if agree { Ok((authority, graph)) } else { Err(ConnectionError::Clouds(authority.into(), graph.into())) }
    }
}

/// An empty text, as a variable that is set to nothing gives it, says nothing.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
