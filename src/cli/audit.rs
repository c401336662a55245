//! `keydesk audit reconcile`

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::Subcommand;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;

use super::{
    length::length,
    out,
    seat::{self, Manner},
};
use crate::{
    config::Settings,
    desk::Desk,
    domain::{
        age,
        audit::{Actor, Record, Unreadable},
        capability::Feature,
        foreign::printable,
        reconcile::{Book, Came, Disclosure, Elsewhere, Matched, Missing, Who, words},
        work::{
            Failure, Kind,
            reconcile::{Answer, By, CouldNot, Report, Request},
        },
    },
    ops,
};

/// Hold the ledger against Entra's own record of key reads
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// List what both recorded, what was read elsewhere, and what Entra does not have
    ///
    /// Needs permission to read Entra's audit log (AuditLog.Read.All and, for example, the role Reports Reader); without it the exit code is
    /// 3. Entra's records come minutes late. docs/audit.md says what a match proves.
    Reconcile(Reconcile),
}

#[derive(Debug, clap::Args)]
pub(super) struct Reconcile {
    /// Since this day (2026-11-01), or so long ago (12h, 7d); without it as far back as Entra's log reaches
    #[arg(long, value_name = "DATE|DURATION")]
    since: Option<Since>,
    /// Whose reads: me, all, or a user principal name
    #[arg(long, value_name = "WHOM", default_value = "me")]
    by: String,
    /// Another desk's ledger.db, which is only read; once for each
    #[arg(long = "ledger", value_name = "FILE")]
    ledgers: Vec<PathBuf>,
    /// How many days Entra keeps its log: 7 without a premium licence, 30 with one
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    retention: u32,
    /// Exit with 1 where a read is not justified, or a key that was handed out is not in Entra
    #[arg(long)]
    strict: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug)]
enum Since {
    Day(Date),
    Ago(Duration),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(day) = text.parse() {
            return Ok(Self::Day(day));
        }
        length(text).map(Self::Ago).map_err(|_| "a day is written 2026-11-01, a length of time 12h or 7d".into())
    }
}

impl Since {
    fn at(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Day(day) => day.to_zoned(zone.clone()).map_or(now, |start| start.timestamp()),
            Self::Ago(length) => now.checked_sub(length).unwrap_or(Timestamp::MIN),
        }
    }
}

impl Audit {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        match self {
            Self::Reconcile(command) => {
                let manner = Manner { way: None, features: vec![Feature::Audit], no_input };
                seat::at(settings, manner.clone(), async |desk, _| command.reconcile(desk, manner).await).await
            }
        }
    }
}

impl Reconcile {
    async fn reconcile(&self, desk: &Desk, manner: Manner) -> Result<(), Failure> {
        seat::ask_for(desk, manner).await?;
        let by = match self.by.trim() {
            "me" => By::Me,
            "all" => By::Everyone,
            upn => By::Named(upn.to_owned()),
        };
        let request = Request {
            by,
            since: self.since.map(|since| since.at(desk.clock.now(), &desk.zone)),
            ledgers: self.ledgers.clone(),
            retention: Duration::from_hours(24 * u64::from(self.retention)),
            ..Request::default()
        };
        match ops::reconcile::reconcile(desk, &request, &seat::prompting()).await? {
            Answer::Checked(report) => self.print(&report, &desk.zone),
            Answer::CouldNot(could_not) => self.could_not(*could_not),
        }
    }

    fn could_not(&self, could_not: CouldNot) -> Result<(), Failure> {
        let CouldNot { failure, unchecked, forgotten_soon } = could_not;
        if self.json {
            let why = failure.to_string();
            out::json(&serde_json::json!({
                "checked": false, "why": why, "unchecked": unchecked, "forgotten_soon": forgotten_soon,
            }))?;
        }
        let waiting = match (unchecked, forgotten_soon) {
            (0, _) => String::new(),
            (n, 0) => format!(" Not checked: {}.", age::count(n, "disclosure")),
            (n, soon) => format!(" Not checked: {}, of which Entra forgets {soon} soon.", age::count(n, "disclosure")),
        };
        let means = format!("{}{waiting}", failure.means);
        Err(failure.meaning(means.trim().to_owned()))
    }

    fn print(&self, report: &Report, zone: &TimeZone) -> Result<(), Failure> {
        let findings = report.result.findings();
        if self.json {
            out::json(&Facts::of(report, zone))?;
        } else {
            in_words(report, zone)?;
        }
        if let Some(failure) = &report.unrecorded {
            out::note(&format!("Not all of it is in the ledger: {failure} The next reconciliation finds it again."));
        }
        if self.strict && findings > 0 {
            return Err(Failure::new(Kind::Failed, format!("{} to explain.", age::count(findings, "finding"))));
        }
        Ok(())
    }
}

fn in_words(report: &Report, zone: &TimeZone) -> Result<(), Failure> {
    let result = &report.result;
    let (from, to) = (words::moment(report.terms.from, zone), words::moment(report.terms.now, zone));
    out::line(&format!("Key reads of {}, {from} to {to}: {}.", report.whose, result.summary()))?;
    section(
        "Matched",
        &result.matched,
        |one| {
            let own = &one.disclosure;
            (one.at(), own.key.short(), format!("{}  {}", own.device_name, own.ticket), one.sentence(zone))
        },
        zone,
    )?;
    section(
        "Read elsewhere",
        &result.elsewhere,
        |read| {
            let device = read.first.device.and_then(|id| report.names.get(&id));
            let device = device.map_or_else(|| "a device not listed here".to_owned(), ToString::to_string);
            (read.first.at, read.first.key.short(), format!("{device}  {}", read.word()), read.sentence(zone))
        },
        zone,
    )?;
    section(
        "Justified here, not in Entra",
        &result.missing,
        |missing| {
            let own = &missing.disclosure;
            let what = format!("{}  {}  {}", own.device_name, own.ticket, missing.word());
            (own.expected(), own.key.short(), what, missing.sentence(zone))
        },
        zone,
    )?;
    if !result.unclear.is_empty() {
        out::line(&format!("\nUnclear: {}", result.unclear.len()))?;
        for unreadable in &result.unclear {
            out::line(&format!("  {}", unreadable.sentence(zone)))?;
        }
    }
    for key in &report.deleted {
        out::line(&format!("\nEntra has logged that {} was deleted: it opens nothing Entra knows of.", key.short()))?;
    }
    if result.forgotten_soon() > 0 {
        let count = age::count(result.forgotten_soon(), "disclosure");
        out::note(&format!("Entra soon forgets the time of {count} without a record: look again before."));
    }
    Ok(())
}

/// One list: each line, and what it means below it.
fn section<T>(
    title: &str,
    lines: &[T],
    of: impl Fn(&T) -> (Timestamp, String, String, String),
    zone: &TimeZone,
) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    out::line(&format!("\n{title}: {}", lines.len()))?;
    for line in lines {
        let (at, key, what, sentence) = of(line);
        out::line(&format!("  {}  {key}  {what}", words::short_moment(at, zone)))?;
        out::hanging(&format!("                {sentence}"), "                ")?;
    }
    Ok(())
}

/// The comparison for a script.
#[derive(Serialize)]
struct Facts {
    checked: bool,
    from: Timestamp,
    to: Timestamp,
    by: String,
    findings: usize,
    matched: Vec<MatchedFacts>,
    elsewhere: Vec<ElsewhereFacts>,
    missing: Vec<MissingFacts>,
    unclear: Vec<UnclearFacts>,
    deleted: Vec<String>,
}

#[derive(Serialize)]
struct DisclosureFacts {
    disclosure: String,
    /// Where it is another desk's: the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<String>,
    technician: Option<String>,
    key_id: String,
    device_id: String,
    device: String,
    ticket: String,
    at: Timestamp,
    outcome: &'static str,
}

#[derive(Serialize)]
struct MatchedFacts {
    #[serde(flatten)]
    disclosure: DisclosureFacts,
    entra_at: Timestamp,
    records: Vec<String>,
    same_request_id: bool,
    sentence: String,
}

#[derive(Serialize)]
struct ElsewhereFacts {
    how: &'static str,
    unjustified: bool,
    by: Option<String>,
    by_id: Option<String>,
    app: Option<String>,
    key_id: String,
    device_id: Option<String>,
    device: Option<String>,
    at: Timestamp,
    failed: bool,
    records: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    justified_by: Option<DisclosureFacts>,
    sentence: String,
}

#[derive(Serialize)]
struct MissingFacts {
    #[serde(flatten)]
    disclosure: DisclosureFacts,
    why: &'static str,
    forgotten: Option<Timestamp>,
    sentence: String,
}

#[derive(Serialize)]
struct UnclearFacts {
    record: Option<String>,
    at: Option<Timestamp>,
    lacks: &'static str,
}

impl Facts {
    fn of(report: &Report, zone: &TimeZone) -> Self {
        let result = &report.result;
        Self {
            checked: true,
            from: report.terms.from,
            to: report.terms.now,
            by: report.whose.clone(),
            findings: result.findings(),
            matched: result.matched.iter().map(|one| MatchedFacts::of(one, zone)).collect(),
            elsewhere: result.elsewhere.iter().map(|read| ElsewhereFacts::of(read, report, zone)).collect(),
            missing: result.missing.iter().map(|one| MissingFacts::of(one, zone)).collect(),
            unclear: result.unclear.iter().map(UnclearFacts::of).collect(),
            deleted: report.deleted.iter().map(ToString::to_string).collect(),
        }
    }
}

impl DisclosureFacts {
    fn of(one: &Disclosure) -> Self {
        let outcome = match one.came {
            Came::Asked => "intended",
            Came::Served => "served",
            Came::Refused { .. } => "refused",
            Came::Unknown => "unknown",
        };
        let ledger = match &one.book {
            Book::Own => None,
            Book::Other(file) => Some(file.clone()),
        };
        Self {
            disclosure: one.id.to_string(),
            ledger,
            technician: one.technician.as_ref().map(|technician| technician.upn.raw().to_owned()),
            key_id: one.key.to_string(),
            device_id: one.device.to_string(),
            device: one.device_name.raw().to_owned(),
            ticket: one.ticket.to_string(),
            at: one.at,
            outcome,
        }
    }
}

impl MatchedFacts {
    fn of(one: &Matched, zone: &TimeZone) -> Self {
        let known = one.disclosure.known.keys();
        let mut records: Vec<String> = one.records.iter().map(|record| &record.id).chain(known).cloned().collect();
        records.sort();
        records.dedup();
        Self {
            disclosure: DisclosureFacts::of(&one.disclosure),
            entra_at: one.at(),
            records,
            same_request_id: one.same_id,
            sentence: one.sentence(zone),
        }
    }
}

impl ElsewhereFacts {
    fn of(read: &Elsewhere, report: &Report, zone: &TimeZone) -> Self {
        let Record { id, at, actor, key, device, failed, .. } = &read.first;
        let (by, by_id, app) = match actor {
            Actor::Person { id, upn } => (Some(upn.raw().to_owned()), id.map(|id| id.to_string()), None),
            Actor::App { name } => (None, None, Some(name.raw().to_owned())),
            Actor::Nobody => (None, None, None),
        };
        let justified_by = match &read.who {
            Who::OtherDesk(disclosure) => Some(DisclosureFacts::of(disclosure)),
            _ => None,
        };
        Self {
            how: read.word(),
            unjustified: read.is_unjustified(),
            by: by.filter(|upn| !upn.is_empty()),
            by_id,
            app,
            key_id: key.to_string(),
            device_id: device.map(|device| device.to_string()),
            device: device.and_then(|id| report.names.get(&id)).map(|name| name.raw().to_owned()),
            at: *at,
            failed: *failed,
            records: std::iter::once(id).chain(read.again.iter().map(|record| &record.id)).cloned().collect(),
            justified_by,
            sentence: read.sentence(zone),
        }
    }
}

impl MissingFacts {
    fn of(missing: &Missing, zone: &TimeZone) -> Self {
        Self {
            disclosure: DisclosureFacts::of(&missing.disclosure),
            why: missing.word(),
            forgotten: missing.forgotten,
            sentence: missing.sentence(zone),
        }
    }
}

impl UnclearFacts {
    fn of(unreadable: &Unreadable) -> Self {
        let Unreadable { id, at, lacks } = unreadable;
        Self { record: id.as_deref().map(printable), at: *at, lacks }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2026-11-01", "2026-11-01T00:00:00Z")]
    #[case("12h", "2026-11-20T00:00:00Z")]
    #[case("7d", "2026-11-13T12:00:00Z")]
    #[case("1d 12h", "2026-11-19T00:00:00Z")]
    fn since_is_a_day_or_a_length_of_time(#[case] said: &str, #[case] expected: Timestamp) {
        let since: Since = said.parse().unwrap();
        assert_eq!(since.at("2026-11-20T12:00:00Z".parse().unwrap(), &TimeZone::UTC), expected);
    }

    #[rstest]
    #[case("yesterday")]
    #[case("-7d")]
    #[case("")]
    fn anything_else_is_refused(#[case] said: &str) {
        assert!(said.parse::<Since>().is_err());
    }
}
