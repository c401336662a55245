//! `keydesk config`

use serde::Serialize;
use toml::Value;

use super::{misconfigured, out};
use crate::{
    config::{
        Overrides, Paths, Settings, paths,
        policy::{Effective, InForce, Source},
        settings,
    },
    domain::{foreign::printable, work::Failure},
};

#[derive(Debug, clap::Args)]
pub(super) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// A commented configuration file to start from
    Template,
    /// Where the files are looked for
    Path,
    /// The policy in force, line by line, and who said each
    Policy {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

impl Config {
    pub(super) fn run(self, overrides: &Overrides) -> Result<(), Failure> {
        match self.what {
            What::Template => out::line(settings::TEMPLATE.trim_end()),
            What::Path => path(overrides),
            What::Policy { json } => {
                let effective = Settings::policy_in_force(overrides).map_err(misconfigured)?;
                if json { out::json(&Facts::of(&effective)) } else { print(&effective) }
            }
        }
    }
}

/// Told also where a file has a mistake: then it is needed most.
fn path(overrides: &Overrides) -> Result<(), Failure> {
    let found = match Settings::paths(overrides) {
        Ok(found) => found,
        Err(error) => {
            let found = Paths::find(overrides.home.as_deref()).map_err(misconfigured)?;
            out::note(&format!("keydesk: {error}"));
            found
        }
    };
    for (what, path) in
        [("configuration", &found.config), ("policy", &paths::machine_policy()), ("state", &found.state)]
    {
        let missing = if path.exists() { "" } else { "  (not there)" };
        out::line(&format!("{what:<13}  {}{missing}", path.display()))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Facts {
    /// As in every ledger row.
    digest: String,
    lines: Vec<LineFacts>,
}

#[derive(Serialize)]
struct LineFacts {
    line: &'static str,
    value: Value,
    /// shipped, machine or user
    from: &'static str,
    file: Option<String>,
    user_may: &'static str,
    /// What the user's table wanted beyond that, without effect.
    ignored: Option<Value>,
}

impl Facts {
    fn of(effective: &Effective) -> Self {
        let facts = |entry: &InForce| LineFacts {
            line: entry.line.name,
            value: entry.line.tell(&entry.value),
            from: word(&entry.from),
            file: entry.from.file().map(|file| file.display().to_string()),
            user_may: entry.line.user_may,
            ignored: entry.ignored.as_ref().map(|ignored| entry.line.tell(ignored)),
        };
        Self { digest: effective.policy.digest(), lines: effective.lines.iter().map(facts).collect() }
    }
}

fn word(from: &Source) -> &'static str {
    match from {
        Source::Shipped => "shipped",
        Source::Machine(_) => "machine",
        Source::User(_) => "user",
    }
}

fn print(effective: &Effective) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for entry in &effective.lines {
        let mut first = [entry.line.name, word(&entry.from)];
        for part in broken(&brief(&entry.line.tell(&entry.value))) {
            rows.push(first.iter().map(ToString::to_string).chain([part]).collect());
            first = ["", ""];
        }
    }
    out::table(&["line", "from", "value"], &rows)?;
    for entry in &effective.lines {
        if let Some(ignored) = &entry.ignored {
            let what = format!("{} = {}", entry.line.name, brief(&entry.line.tell(ignored)));
            out::line(&format!("ignored, for it is looser: {what}"))?;
        }
    }
    let mut told: Vec<&Source> = Vec::new();
    for from in effective.lines.iter().map(|entry| &entry.from) {
        if let Some(file) = from.file().filter(|_| !told.contains(&from)) {
            out::line(&format!("{} is {}", word(from), file.display()))?;
            told.push(from);
        }
    }
    out::line(&format!("digest {}, as in every ledger row", effective.policy.digest()))
}

/// A list in lines that fit beside two columns in a terminal of 80, broken after commas alone: what is no list is told whole.
fn broken(list: &str) -> Vec<String> {
    const WIDTH: usize = 45;
    let mut lines = vec![String::new()];
    for part in list.split_inclusive(", ") {
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.chars().count() + part.trim_end().chars().count() <= WIDTH => {
                line.push_str(part);
            }
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

/// What is said of a value: of a list of tables, the ids.
fn brief(value: &Value) -> String {
    let list = value.as_array().filter(|list| list.iter().any(Value::is_table));
    let ids = list.map(|list| list.iter().filter_map(|one| one.get("id")?.as_str()).collect::<Vec<_>>().join(", "));
    printable(&ids.unwrap_or_else(|| value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_goes_on_below_and_loses_nothing() {
        let list = "firmware, windows-update, dock, mainboard, pin-forgotten, wrong-pin, drive-moved, unknown";
        let lines = broken(list);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.trim_end().len() <= 45), "{lines:?}");
        assert_eq!(lines.concat(), list);
        assert_eq!(broken(""), [""]);
    }
}
