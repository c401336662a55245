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
struct Facts<'a> {
    /// As in every ledger row.
    digest: String,
    lines: Vec<LineFacts<'a>>,
}

#[derive(Serialize)]
struct LineFacts<'a> {
    line: &'static str,
    value: &'a Value,
    /// shipped, machine or user
    from: &'static str,
    file: Option<String>,
    user_may: &'static str,
    /// What the user's table wanted beyond that, without effect.
    ignored: Option<&'a Value>,
}

impl<'a> Facts<'a> {
    fn of(effective: &'a Effective) -> Self {
        let facts = |entry: &'a InForce| LineFacts {
            line: entry.line.name,
            value: &entry.value,
            from: word(&entry.from),
            file: entry.from.file().map(|file| file.display().to_string()),
            user_may: entry.line.user_may,
            ignored: entry.ignored.as_ref(),
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
    let from = |from: &Source| from.file().map_or_else(|| "shipped".to_owned(), |file| file.display().to_string());
    let rows = effective.lines.iter().map(|entry| vec![entry.line.name.into(), from(&entry.from), brief(&entry.value)]);
    out::table(&["line", "from", "value"], &rows.collect::<Vec<_>>())?;
    for entry in &effective.lines {
        if let Some(ignored) = &entry.ignored {
            let what = format!("{} = {}", entry.line.name, brief(ignored));
            out::line(&format!("ignored, for it is looser: {what}"))?;
        }
    }
    out::line(&format!("digest {}, as in every ledger row", effective.policy.digest()))
}

/// One line of a terminal: of a list of tables, the ids.
fn brief(value: &Value) -> String {
    let list = value.as_array().filter(|list| list.iter().any(Value::is_table));
    let ids = list.map(|list| list.iter().filter_map(|one| one.get("id")?.as_str()).collect::<Vec<_>>().join(", "));
    printable(&ids.unwrap_or_else(|| value.to_string()))
}
