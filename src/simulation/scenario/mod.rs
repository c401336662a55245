//! A scenario file: who works in the tenant, which devices it has, how it behaves. Durations, never dates, so that a
//! scenario reads the same on every day it is played.

mod check;

use std::{fmt, fs, path::PathBuf, str::FromStr};

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::Deserialize;
use uuid::Uuid;

/// Where a scenario comes from. Parses from the name of a built-in one or else from a path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// Some 400 devices with the variety a real morning has.
    #[default]
    OrdinaryMorning,
    /// About a dozen devices, each situation once, with fixed names and key-ID prefixes.
    Small,
    /// A file of the user's own.
    File(PathBuf),
    /// TOML text at hand, for tests of one situation.
    Text(String),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "ordinary-morning" => Self::OrdinaryMorning,
            "small" => Self::Small,
            path => Self::File(PathBuf::from(path)),
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OrdinaryMorning => f.write_str("ordinary-morning"),
            Self::Small => f.write_str("small"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Text(_) => f.write_str("text"),
        }
    }
}

/// Why a scenario could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the scenario {path} could not be read: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// The parser's own words, with line and column.
    #[error("the scenario {name} is not understood: {source}")]
    NotUnderstood { name: String, source: Box<toml::de::Error> },
    /// It parses, but speaks of something that is not there.
    #[error("the scenario contradicts itself: {0}")]
    Contradiction(String),
}

/// A stretch of time as written in a scenario, such as `"263d"` or `"3h 20m"`; a day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Length(pub SignedDuration);

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let span: Span = text.parse().map_err(|_| format!("\"{text}\" is no duration such as \"3h 20m\""))?;
        let length =
            span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| format!("\"{text}\" is too long"))?;
        if length.is_negative() { Err(format!("\"{text}\" is negative")) } else { Ok(Self(length)) }
    }
}

impl Length {
    pub const fn seconds(seconds: i64) -> Self {
        Self(SignedDuration::from_secs(seconds))
    }
}

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub tenant: TenantSpec,
    #[serde(default)]
    pub sign_in: SignInSpec,
    #[serde(default)]
    pub graph: GraphSpec,
    #[serde(default)]
    pub rotation: RotationSpec,
    #[serde(default)]
    pub audit: AuditSpec,
    #[serde(default, rename = "app")]
    pub apps: Vec<AppSpec>,
    #[serde(default, rename = "person")]
    pub people: Vec<PersonSpec>,
    #[serde(default, rename = "device")]
    pub devices: Vec<DeviceSpec>,
    #[serde(default, rename = "caller")]
    pub callers: Vec<CallerSpec>,
    #[serde(default, rename = "read")]
    pub reads: Vec<ReadSpec>,
    pub fleet: Option<FleetSpec>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantSpec {
    pub name: String,
    pub domain: String,
    /// The app registration that technicians' consoles use.
    pub client_id: Uuid,
    /// UPN of the person who signs in when nobody is named.
    pub technician: String,
}

/// Another application that may sign people in here, such as Microsoft's own command-line tools.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppSpec {
    pub name: String,
    pub client_id: Uuid,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignInSpec {
    /// Between two polls of a device code, whole seconds.
    pub interval: Length,
    pub device_code: Length,
    pub access_token: Length,
    pub refresh_token: Length,
    /// Answer `slow_down` to a client that polls faster than `interval`. Entra is not known to.
    pub slow_down: bool,
    /// Graph scopes for which nobody has consented yet.
    pub without_consent: Vec<String>,
}

impl Default for SignInSpec {
    fn default() -> Self {
        Self {
            interval: Length::seconds(5),
            device_code: Length::seconds(900),
            access_token: Length::seconds(3600),
            refresh_token: Length::seconds(90 * 86_400),
            slow_down: false,
            without_consent: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GraphSpec {
    /// Entries on a page of recovery keys and of devices. Managed devices come ten times as many.
    pub page_size: usize,
    /// Every n-th page of a listing is empty and has a next link; 0 for never.
    pub empty_page_every: usize,
    /// Most records on a page of the audit log, whatever `$top` says.
    pub audit_page_size: usize,
    /// Audit queries that are served within ten seconds; 0 for any number.
    pub audit_queries_in_ten_seconds: usize,
    /// Refuse BitLocker requests without `ocp-client-name` and `ocp-client-version` with 400.
    pub insist_on_client_headers: bool,
}

impl Default for GraphSpec {
    fn default() -> Self {
        Self {
            page_size: 100,
            empty_page_every: 0,
            audit_page_size: 1000,
            audit_queries_in_ten_seconds: 0,
            insist_on_client_headers: false,
        }
    }
}

/// What follows a `rotateBitLockerKeys` that a device does not say otherwise about.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RotationSpec {
    /// From the request until the device checks in and reports.
    pub check_in: Length,
    /// From the report until the new key is listed.
    pub escrow: Length,
    /// From the new key until the old one is gone, where a device deletes it.
    pub delete: Length,
    /// From a read until a device that rotates by itself checks in.
    pub by_itself: Length,
}

impl Default for RotationSpec {
    fn default() -> Self {
        Self {
            check_in: Length::seconds(240),
            escrow: Length::seconds(20),
            delete: Length::seconds(30),
            by_itself: Length::seconds(600),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSpec {
    /// How long a record takes to appear, at least.
    pub late: Length,
    /// And how much longer it may take.
    pub spread: Length,
    /// Every n-th record appears twice, under two ids; 0 for never.
    pub doubled_every: u64,
}

impl Default for AuditSpec {
    fn default() -> Self {
        Self { late: Length::seconds(120), spread: Length::seconds(180), doubled_every: 0 }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonSpec {
    pub upn: String,
    pub name: String,
    #[serde(default)]
    pub department: String,
    #[serde(default)]
    pub job: String,
    /// Names of Entra directory roles, as the portal prints them.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Names of Intune roles.
    #[serde(default)]
    pub intune_roles: Vec<String>,
    /// An AADSTS number with which this person's sign-in ends, such as 53003.
    pub refused_with: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrustSpec {
    #[default]
    Joined,
    Hybrid,
    Registered,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSpec {
    pub name: String,
    /// First hexadecimal digits of the object id; the seed gives the rest.
    #[serde(default)]
    pub object_id: String,
    /// First hexadecimal digits of the device id.
    #[serde(default)]
    pub device_id: String,
    #[serde(default)]
    pub trust: TrustSpec,
    /// UPN of the registered owner.
    pub owner: Option<String>,
    /// How long ago it was registered; missing for an object that is still pending.
    pub registered: Option<Length>,
    /// How long ago it signed in, as Entra remembers; missing for never.
    pub signed_in: Option<Length>,
    pub compliant: Option<bool>,
    #[serde(default)]
    pub disabled: bool,
    /// Deleted from Entra: 404 in Graph, its keys live on.
    #[serde(default)]
    pub deleted: bool,
    /// Any label: two devices with the same one carry the same Autopilot `ZTDId`.
    pub autopilot: Option<String>,
    #[serde(default)]
    pub manufacturer: String,
    #[serde(default)]
    pub model: String,
    #[serde(default)]
    pub serial: String,
    #[serde(default)]
    pub os_version: String,
    /// Intune's objects for it. Missing: one, as for every enrolled device; `[]`: none.
    pub managed: Option<Vec<ManagedSpec>>,
    #[serde(default)]
    pub rotation: DeviceRotationSpec,
    #[serde(default, rename = "key")]
    pub keys: Vec<KeySpec>,
    /// So many superseded keys of the OS drive besides the written ones, one a day back in time.
    #[serde(default)]
    pub more_old_keys: usize,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedSpec {
    /// How long ago it checked in; missing: as the device signed in.
    pub synced: Option<Length>,
    /// UPN of the primary user; missing: the owner.
    pub user: Option<String>,
    /// Missing: the device's.
    pub serial: Option<String>,
}

/// How this device answers a rotation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceRotationSpec {
    /// Offline for good: the action stays pending.
    pub never_checks_in: bool,
    /// The HRESULT it fails with, as a signed number.
    pub fails_with: Option<i32>,
    pub check_in: Option<Length>,
    /// The old key disappears after the new one is stored.
    pub deletes_old: bool,
    /// Windows replaces a key that was read, without being asked.
    pub by_itself: bool,
    /// First hexadecimal digits of the next keys of the OS drive.
    pub next: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeSpec {
    #[default]
    Os,
    Fixed,
    Removable,
    /// Neither of them: Graph leaves the property null.
    Unknown,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    /// First hexadecimal digits of the key ID.
    #[serde(default)]
    pub prefix: String,
    #[serde(default)]
    pub volume: VolumeSpec,
    /// How long ago it was backed up.
    pub age: Length,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerSpec {
    /// UPN of the person on the phone.
    pub who: String,
    /// Name of the device in front of them.
    pub device: String,
    /// What they say first; `{id}` becomes the first eight characters of the key ID, spoken.
    pub says: String,
}

/// A key that was read before the story begins, by whatever way: it stands in the audit log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadSpec {
    /// First hexadecimal digits of the key ID.
    pub key: String,
    /// UPN of the person who read it; missing: an application on its own.
    pub by: Option<String>,
    /// How long ago.
    pub ago: Length,
    /// How long the record takes to appear; missing: at once.
    pub late: Option<Length>,
    /// The record appears twice, under two ids.
    #[serde(default)]
    pub doubled: bool,
}

/// Machines by the number: each has one owner, and some of them a history.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetSpec {
    pub machines: usize,
    /// Machines that were set up anew: a stale object with the same `ZTDId` keeps old keys.
    #[serde(default)]
    pub re_imaged: usize,
    /// Machines that Autopilot handed to another owner: one object, keys from the owner before.
    #[serde(default)]
    pub handed_on: usize,
    /// Machines whose owner had registered them first: a Workplace object of the same name.
    #[serde(default)]
    pub twins: usize,
    #[serde(default)]
    pub hybrid: usize,
    /// Of the hybrid ones, so many without an owner.
    #[serde(default)]
    pub hybrid_without_owner: usize,
    /// Hybrid objects that were synchronised and never registered.
    #[serde(default)]
    pub pending: usize,
    #[serde(default)]
    pub disabled: usize,
    #[serde(default)]
    pub without_intune: usize,
    /// Machines with a second, older Intune object for the same Entra id.
    #[serde(default)]
    pub enrolled_twice: usize,
    #[serde(default)]
    pub with_data_drive: usize,
    #[serde(default)]
    pub with_removable_drive: usize,
    #[serde(default)]
    pub without_key: usize,
    /// Deleted from Entra, their keys live on.
    #[serde(default)]
    pub deleted: usize,
    #[serde(default)]
    pub offline_for_good: usize,
    #[serde(rename = "model")]
    pub models: Vec<ModelSpec>,
    pub departments: Vec<String>,
    pub given_names: Vec<String>,
    pub family_names: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    pub manufacturer: String,
    pub model: String,
    /// Of the device name, before its four digits.
    pub name_prefix: String,
    /// Share of the fleet, against the other models' shares.
    pub share: u32,
}

impl Scenario {
    /// Read, parse and check a scenario.
    pub fn load(source: &Source) -> Result<Self, Error> {
        match source {
            Source::OrdinaryMorning => {
                Self::parse("ordinary-morning", include_str!("../../../assets/scenarios/ordinary-morning.toml"))
            }
            Source::Small => Self::parse("small", include_str!("../../../assets/scenarios/small.toml")),
            Source::File(path) => {
                let text =
                    fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.clone(), source })?;
                Self::parse(&path.display().to_string(), &text)
            }
            Source::Text(text) => Self::parse("text", text),
        }
    }

    fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let scenario: Self = toml::from_str(text)
            .map_err(|source| Error::NotUnderstood { name: name.to_owned(), source: Box::new(source) })?;
        scenario.check()?;
        Ok(scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_scenarios_that_ship_are_understood() {
        for source in [Source::OrdinaryMorning, Source::Small] {
            Scenario::load(&source).unwrap();
        }
    }

    #[test]
    fn a_misspelt_setting_is_named_with_its_line() {
        let text = "[tenant]\nname = 'N'\ndomain = 'n.example'\nclient_id = 'b0b00000-0000-4000-8000-000000000001'\n\
                    technician = 'a@n.example'\n[graph]\npage_sise = 3\n";
        let error = Scenario::load(&Source::Text(text.to_owned())).unwrap_err().to_string();
        assert!(error.contains("page_sise") && error.contains("line 7"), "{error}");
    }

    #[test]
    fn a_technician_who_is_nobody_is_refused() {
        let text = "[tenant]\nname = 'N'\ndomain = 'n.example'\nclient_id = 'b0b00000-0000-4000-8000-000000000001'\n\
                    technician = 'a@n.example'\n";
        let error = Scenario::load(&Source::Text(text.to_owned())).unwrap_err().to_string();
        assert!(error.contains("a@n.example"), "{error}");
    }

    #[test]
    fn a_length_counts_days_of_24_hours() {
        let length = Length::try_from("2d 3h 20m".to_owned()).unwrap();
        assert_eq!(length.0.as_secs(), 2 * 86_400 + 3 * 3600 + 20 * 60);
        assert!(Length::try_from("-3h".to_owned()).is_err());
        assert!(Length::try_from("soon".to_owned()).is_err());
    }
}
