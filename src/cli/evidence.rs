//! `keydesk evidence`: reads a ledger alone, so it works signed out and offline.

use std::path::PathBuf;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::{debts::which::KeyPrefix, out, seat};
use crate::{
    config::Settings,
    domain::{
        age,
        evidence::Subject,
        work::{Failure, Kind, evidence::Written},
    },
    ops::{
        self,
        evidence::{Place, make, make_from, ticket},
    },
};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("about").required(true))]
pub(super) struct Evidence {
    /// Every call and replacement under this ticket
    #[arg(long, short, group = "about")]
    ticket: Option<String>,
    /// One call, by its number on this machine
    #[arg(long, group = "about", value_name = "NUMBER")]
    call: Option<u32>,
    /// Every call and replacement of a key, by its ID or the first eight characters of it
    #[arg(long, group = "about", value_name = "KEY_ID")]
    debt: Option<KeyPrefix>,
    /// Read this ledger, or a copy of one, and write nothing to it
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// The zip, or a folder for it; the current one without this. Nothing that lies there is written over
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Facts<'a> {
    file: String,
    sha256: &'a str,
    calls: usize,
    rows: usize,
    head_seq: u64,
    head: &'a str,
    chain_whole: bool,
    recorded: Option<u64>,
}

impl Evidence {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let subject = self.subject(settings)?;
        let place = match &self.out {
            None => Place::Folder(PathBuf::from(".")),
            Some(out) if out.is_dir() => Place::Folder(out.clone()),
            Some(out) => Place::File(out.clone()),
        };
        let written = if let Some(file) = &self.ledger {
            make_from(file, &subject, &place, TimeZone::system(), Timestamp::now())?
        } else {
            let desk = seat::open(settings)?;
            for sentence in ops::recover::recover(&desk).await? {
                out::note(&sentence);
            }
            make(&desk, subject, place).await?
        };
        self.print(&written)
    }

    fn subject(&self, settings: &Settings) -> Result<Subject, Failure> {
        if let Some(typed) = &self.ticket {
            return Ok(ticket(&settings.policy, typed));
        }
        if let Some(call) = self.call {
            return Ok(Subject::CallNumber(call));
        }
        // One of the three is there: the arguments' group demands it.
        let key = self.debt.as_ref().map(|key| Subject::Key(key.0.clone()));
        key.ok_or_else(|| Failure::new(Kind::Usage, "Name a ticket, a call or a key."))
    }

    fn print(&self, written: &Written) -> Result<(), Failure> {
        if let Some(broken) = &written.broken {
            out::note(&format!("The ledger's chain is broken at {broken}. The pack says so."));
        }
        if self.json {
            return out::json(&Facts {
                file: written.file.display().to_string(),
                sha256: &written.sha256,
                calls: written.calls,
                rows: written.rows,
                head_seq: written.head_seq,
                head: &written.head,
                chain_whole: written.broken.is_none(),
                recorded: written.recorded,
            });
        }
        out::line(&written.file.display().to_string())?;
        let what = format!(
            "{} and {} in it, ledger {}, head {}.",
            age::count(written.calls, "call"),
            age::count(written.rows, "row"),
            written.head_seq,
            written.head.chars().take(8).collect::<String>()
        );
        out::note(&what);
        out::note(&match written.recorded {
            Some(seq) => format!("Recorded as row {seq}, SHA-256 {}.", written.sha256),
            None => format!("Nothing was recorded: that ledger was only read. SHA-256 {}.", written.sha256),
        });
        Ok(())
    }
}
