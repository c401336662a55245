//! The effective policy: the shipped one, the machine's lines in place of its own, the user's where they are stricter; each line with where
//! it comes from.

mod file;

use std::path::{Path, PathBuf};

use toml::Value;

pub use file::PolicyFile;

use super::{ConfigError, trust};
use crate::domain::{
    connection::Connection,
    policy::{LINES, Line, LineError, Policy},
    work::sign_in::{Way, Ways},
};

/// The policy keydesk ships with.
pub const SHIPPED: &str = include_str!("../../../assets/policy.toml");

/// Who said what stands in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Shipped,
    /// The machine-wide file.
    Machine(PathBuf),
    /// The `[policy]` table of the user's configuration.
    User(PathBuf),
}

impl Source {
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Shipped => None,
            Self::Machine(path) | Self::User(path) => Some(path),
        }
    }
}

/// One line as it is in force.
#[derive(Clone, Debug)]
pub struct InForce {
    pub line: &'static Line,
    pub value: Value,
    pub from: Source,
    /// What the user's table wanted beyond that: looser, and without effect.
    pub ignored: Option<Value>,
}

/// The policy with where each line comes from.
#[derive(Clone, Debug)]
pub struct Effective {
    pub policy: Policy,
    /// Every line, in the table's order.
    pub lines: Vec<InForce>,
}

/// Reads the machine's policy, if there is one, and lets `user` tighten it.
///
/// # Errors
/// [`ConfigError::Policy`] where an ordinary user could write the machine's file, or a line of it cannot be read; a user's table that
/// leaves nothing of a list.
pub fn effective(machine: &Path, user: Option<(&Path, &PolicyFile)>) -> Result<Effective, ConfigError> {
    let text = trust::read(machine)?;
    let file = text.map(|text| PolicyFile::parse(&text, machine)).transpose().map_err(half_understood)?;
    combine(file.as_ref().map(|file| (machine, file)), user)
}

fn half_understood(error: ConfigError) -> ConfigError {
    match error {
        ConfigError::Syntax { path, said } => {
            ConfigError::Policy { path, what: format!("has a mistake: {said}"), mend: "correct that line".into() }
        }
        other => other,
    }
}

/// The shipped policy, tightened by `user`: for looking at a desk whose machine's policy is not believed, never for working at it.
pub fn without_machine(user: Option<(&Path, &PolicyFile)>) -> Result<Effective, ConfigError> {
    combine(None, user)
}

/// The shipped policy with `lines` in place of its own: a scenario's, for the demo. `named` is who says so, for errors.
pub fn with_lines(lines: &str, named: &str) -> Result<Policy, ConfigError> {
    let named = Path::new(named);
    Ok(combine(Some((named, &PolicyFile::parse(lines, named)?)), None)?.policy)
}

fn combine(
    machine: Option<(&Path, &PolicyFile)>,
    user: Option<(&Path, &PolicyFile)>,
) -> Result<Effective, ConfigError> {
    let named = Path::new("the shipped policy");
    let shipped = PolicyFile::parse(SHIPPED, named)?;
    let over = |line: &Line| machine.and_then(|(path, file)| Some((path, file.get(line)?)));
    let mut policy = Policy::of(|line| over(line).map(|(_, value)| value).or_else(|| shipped.get(line)))
        .map_err(|error| ConfigError::line(machine.map_or(named, |(path, _)| path), &error))?;
    let mut lines = Vec::with_capacity(LINES.len());
    for line in LINES {
        let from = over(line).map_or(Source::Shipped, |(path, _)| Source::Machine(path.into()));
        let of_user = user.and_then(|(path, file)| Some((path, file.get(line)?)));
        lines.push(match of_user {
            None => InForce { line, value: line.show(&policy), from, ignored: None },
            Some((path, wanted)) => {
                hear(line, &mut policy, from, path, wanted).map_err(|error| ConfigError::line(path, &error))?
            }
        });
    }
    let effective = Effective { policy, lines };
    effective.policy.forward.check().map_err(|said| effective.unfit("forward.when", named, said))?;
    Ok(effective)
}

/// A user's word in one line: what it changed, and what of it was ignored.
fn hear(
    line: &'static Line,
    policy: &mut Policy,
    from: Source,
    path: &Path,
    wanted: &Value,
) -> Result<InForce, LineError> {
    let before = line.show(policy);
    line.tighten(policy, wanted)?;
    let value = line.show(policy);
    let wanted = line.canonical(wanted)?;
    // A pattern of the user's stands beside the organisation's.
    let is_heard = value == wanted || value.as_array().is_some_and(|all| all.contains(&wanted));
    let from = if value == before { from } else { Source::User(path.into()) };
    Ok(InForce { line, value, from, ignored: (!is_heard).then_some(wanted) })
}

impl Effective {
    /// A line that does not go with another one: the fault of whoever wrote it.
    fn unfit(&self, name: &'static str, otherwise: &Path, said: String) -> ConfigError {
        let file = self.lines.iter().find(|entry| entry.line.name == name).and_then(|entry| entry.from.file());
        ConfigError::line(file.unwrap_or(otherwise), &LineError { line: name, said })
    }

    /// Where a line stands, for a sentence: "pins.tenants in /etc/keydesk/policy.toml".
    fn place(&self, name: &str) -> String {
        let file = self.lines.iter().find(|entry| entry.line.name == name).and_then(|entry| entry.from.file());
        file.map_or_else(|| name.to_owned(), |file| format!("{name} in {}", file.display()))
    }

    /// Refuses a connection to what is not pinned, whoever asked for it.
    pub fn admit(&self, connection: &Connection) -> Result<(), ConfigError> {
        let pins = &self.policy.pins;
        let host = |url: &url::Url| url.as_str().trim_end_matches('/').to_lowercase();
        let hosts = |urls: &[url::Url]| urls.iter().map(host).collect::<Vec<_>>();
        let asked = [
            ("tenant", "pins.tenants", connection.tenant.to_lowercase(), pins.tenants.clone()),
            ("sign-in address", "pins.authorities", host(&connection.authority), hosts(&pins.authorities)),
            ("Graph address", "pins.graphs", host(&connection.graph), hosts(&pins.graphs)),
        ];
        for (what, line, wanted, pinned) in asked {
            if !pinned.is_empty() && !pinned.iter().any(|pin| pin.eq_ignore_ascii_case(&wanted)) {
                let wanted = crate::domain::foreign::printable(&wanted);
                return Err(ConfigError::Pinned { what, wanted, allowed: pinned.join(", "), place: self.place(line) });
            }
        }
        Ok(())
    }

    /// Of the ways the settings offer, those the policy allows.
    pub fn narrow(&self, ways: Ways) -> Result<Ways, ConfigError> {
        let allowed = &self.policy.ways;
        let only = |way: Way, ways| {
            if allowed.contains(&way) { Ok(ways) } else { Err(self.not_allowed(ways)) }
        };
        match (ways, &allowed[..]) {
            (Ways::DeviceCode, _) => only(Way::DeviceCode, ways),
            (Ways::Browser, _) => only(Way::Browser, ways),
            (Ways::Ask, [Way::DeviceCode]) => Ok(Ways::DeviceCode),
            (Ways::Ask, [Way::Browser]) => Ok(Ways::Browser),
            (Ways::Ask, _) => Ok(Ways::Ask),
        }
    }

    fn not_allowed(&self, ways: Ways) -> ConfigError {
        let allowed: Vec<&str> = self.policy.ways.iter().map(|way| way.word()).collect();
        let (wanted, allowed) = (ways.word().to_owned(), allowed.join(", "));
        ConfigError::Pinned { what: "way of signing in", wanted, allowed, place: self.place("sign_in.ways") }
    }
}

#[cfg(test)]
mod loosening;
#[cfg(test)]
mod tests;
