//! `keydesk doctor`

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::out;
use crate::{
    config::{ConfigError, Overrides, Paths, Settings, paths, policy},
    domain::{
        policy::Policy,
        work::{
            Failure, Kind,
            doctor::{Check, FileSeen, Grade, NoConnection, Places, Report, Setup},
            profiles::DEFAULT,
        },
    },
    ops, runtime,
};

#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    /// Print as JSON, for a ticket
    #[arg(long)]
    json: bool,
}

/// The whole report. Field names are stable; docs/doctor.md describes them.
#[derive(Serialize)]
struct Facts<'a> {
    version: &'static str,
    system: String,
    at: Timestamp,
    well: bool,
    checks: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    name: &'a str,
    grade: &'static str,
    seen: &'a str,
    fix: Option<&'a str>,
    who: Option<&'static str>,
    took_ms: Option<u64>,
}

impl Doctor {
    pub(super) async fn run(self, overrides: &Overrides) -> Result<(), Failure> {
        let (mut setup, ascii) = setup(overrides);
        setup.terminal = runtime::look();
        let report = ops::doctor::examine(setup).await;
        if self.json {
            out::json(&facts(&report))?;
        } else {
            print(&report, ascii)?;
        }
        match report.count(Grade::Fix) {
            0 => Ok(()),
            1 => Err(Failure::new(Kind::Failed, "One thing is to be fixed.")),
            n => Err(Failure::new(Kind::Failed, format!("{n} things are to be fixed."))),
        }
    }
}

/// What the files say, each on its own: one that is broken hides none of the others.
fn setup(overrides: &Overrides) -> (Setup, bool) {
    let machine = paths::machine_policy();
    let policy_alone = policy::effective(&machine, None);
    let loaded = Settings::load(overrides);
    let found = Paths::find(overrides.home.as_deref());
    let config = found.as_ref().map(|paths| paths.config.clone()).unwrap_or_default();
    let (refused, mend) = match (&loaded, &policy_alone) {
        // A policy that is refused by itself is no fault of the configuration.
        (Err(error), Ok(_)) => said(error),
        _ => (None, None),
    };
    let settings = loaded.or_else(|_| Settings::load_without_policy(overrides));
    // A profile has a folder of its own.
    let found = settings.as_ref().map(|settings| settings.paths.clone()).or(found);
    let (policy_refused, policy_mend) = policy_alone.as_ref().err().map_or((None, None), said);
    let setup = Setup {
        config: FileSeen { is_there: config.exists(), path: config, refused, mend },
        // Where the settings cannot be read, the machine's policy can still be told.
        digest: settings
            .as_ref()
            .map(|settings| &settings.policy)
            .or(policy_alone.as_ref().map(|alone| &alone.policy))
            .ok()
            .map(Policy::digest),
        forward: settings.as_ref().map(|settings| settings.policy.forward.clone()).unwrap_or_default(),
        policy: FileSeen { is_there: machine.exists(), path: machine, refused: policy_refused, mend: policy_mend },
        profile: settings.as_ref().map_or_else(|_| DEFAULT.to_owned(), |settings| settings.profile.clone()),
        has_several_profiles: settings.as_ref().is_ok_and(|settings| settings.profiles.len() > 1),
        connection: match &settings {
            Ok(settings) => settings.connection.clone().ok_or(NoConnection::NoTenant),
            Err(_) => Err(NoConnection::Unreadable),
        },
        places: places(found),
        remembers: settings.as_ref().is_ok_and(|settings| settings.remembers),
        terminal: None,
    };
    (setup, overrides.ascii || settings.is_ok_and(|settings| settings.screen.ascii))
}

/// An error's words, and the command that mends it.
fn said(error: &ConfigError) -> (Option<String>, Option<String>) {
    match error {
        ConfigError::Policy { path, what, mend } => (Some(format!("{} {what}.", path.display())), Some(mend.clone())),
        other => (Some(other.to_string()), None),
    }
}

fn places(found: Result<Paths, ConfigError>) -> Places {
    match found {
        Ok(paths) => Places {
            refused: paths.create().err().map(|error| error.to_string()),
            ledger: paths.ledger(),
            instances: paths.instances(),
            state: paths.state,
        },
        Err(error) => {
            let nowhere = || Path::new("").to_path_buf();
            Places { state: nowhere(), refused: Some(error.to_string()), ledger: nowhere(), instances: nowhere() }
        }
    }
}

fn facts(report: &Report) -> Facts<'_> {
    Facts {
        version: env!("CARGO_PKG_VERSION"),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        at: Timestamp::now(),
        well: report.is_well(),
        checks: report.checks().map(line).collect(),
    }
}

fn line(check: &Check) -> Line<'_> {
    let finding = &check.finding;
    Line {
        id: check.id,
        name: &check.name,
        grade: finding.grade.word(),
        seen: &finding.seen,
        fix: finding.fix.as_ref().map(|(_, what)| what.as_str()),
        who: finding.fix.as_ref().map(|(who, _)| who.words()),
        took_ms: finding.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn print(report: &Report, ascii: bool) -> Result<(), Failure> {
    for (n, (heading, checks)) in report.sections.iter().enumerate() {
        if n > 0 {
            out::line("")?;
        }
        out::line(heading)?;
        for alike in checks.chunk_by(said_at_once) {
            print_checks(alike, ascii)?;
        }
    }
    out::line("")?;
    out::line(&format!(
        "{} well, {} to fix, {} to know about, {} not checked.",
        report.count(Grade::Well),
        report.count(Grade::Fix),
        report.count(Grade::Notice),
        report.count(Grade::NotChecked)
    ))
}

/// Whether two checks were not made for the same reason: that is said once.
fn said_at_once(one: &Check, next: &Check) -> bool {
    one.finding.grade == Grade::NotChecked && one.finding == next.finding
}

/// Checks with one finding in common.
fn print_checks(checks: &[Check], ascii: bool) -> Result<(), Failure> {
    let Some(Check { finding, .. }) = checks.first() else { return Ok(()) };
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    let took = finding.took.map_or_else(String::new, |took| format!(" ({} ms)", took.as_millis()));
    out::hanging(&format!("  {} {}: {}{took}", finding.grade.mark(ascii), names.join(", "), finding.seen), "    ")?;
    match &finding.fix {
        Some((who, what)) => {
            out::hanging(&format!("      {} {}: {what}", if ascii { "->" } else { "→" }, who.words()), "        ")
        }
        None => Ok(()),
    }
}
