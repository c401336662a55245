//! `keydesk debts`: reads the ledger alone, so it works signed out and offline.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::{out, seat};
use crate::{
    config::Settings,
    domain::{age, debt::Debt, work::Failure},
    ops,
};

#[derive(Debug, clap::Args)]
pub(super) struct Debts {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// A debt for a script.
#[derive(Debug, Serialize)]
pub(super) struct DebtFacts {
    debt: String,
    key_id: String,
    device_id: String,
    device: String,
    ticket: String,
    since: String,
    open: bool,
    state: &'static str,
    sentence: String,
}

impl DebtFacts {
    pub(super) fn of(debt: &Debt, now: Timestamp, zone: &TimeZone) -> Self {
        Self {
            debt: debt.id.to_string(),
            key_id: debt.key.to_string(),
            device_id: debt.device.to_string(),
            device: debt.device_name.raw().to_owned(),
            ticket: debt.ticket.to_string(),
            since: debt.since.to_string(),
            open: debt.is_open(),
            state: debt.word(),
            sentence: debt.sentence(now, zone),
        }
    }
}

impl Debts {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let desk = seat::open(settings)?;
        for sentence in ops::recover::recover(&desk).await? {
            out::note(&sentence);
        }
        let (debts, now) = (ops::debts::list(&desk).await?, desk.clock.now());
        if self.json {
            return out::json(&debts.iter().map(|debt| DebtFacts::of(debt, now, &desk.zone)).collect::<Vec<_>>());
        }
        if debts.is_empty() {
            return out::line("No debts.");
        }
        for debt in &debts {
            out::line(&format!(
                "{}  {}  {}  {}  {}",
                debt.key.short(),
                debt.device_name,
                debt.ticket,
                age::ago(debt.since, now),
                debt.word()
            ))?;
            out::line(&format!("          {}", debt.sentence(now, &desk.zone)))?;
        }
        Ok(())
    }
}
