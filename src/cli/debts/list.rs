//! `keydesk debts list`

use jiff::Timestamp;

use super::DebtFacts;
use crate::{
    cli::{out, seat},
    config::Settings,
    desk::Desk,
    domain::{age, debt::Debt, work::Failure},
    ops,
};

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Print as JSON
    #[arg(long)]
    json: bool,
    /// Also those that ended before the last day
    #[arg(long)]
    all: bool,
}

impl List {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let desk = seat::open(settings)?;
        for sentence in ops::recover::recover(&desk).await? {
            out::note(&sentence);
        }
        let debts = if self.all { ops::history::all(&desk).await? } else { ops::debts::list(&desk).await? };
        let now = desk.clock.now();
        let (mut open, ended): (Vec<Debt>, Vec<Debt>) = debts.into_iter().partition(Debt::is_open);
        open.sort_by_key(|debt| (!debt.is_urgent(), debt.since));
        if self.json {
            let all = open.iter().chain(&ended).map(|debt| DebtFacts::of(debt, now, &desk.zone));
            return out::json(&all.collect::<Vec<_>>());
        }
        if open.is_empty() {
            out::line(if ended.is_empty() { "No debts." } else { "No open debts." })?;
        } else {
            let order = if open.iter().any(Debt::is_urgent) { ", the urgent first" } else { ", the oldest first" };
            let order = if open.len() > 1 { order } else { "" };
            out::line(&format!("{} open{order}:", age::count(open.len(), "debt")))?;
        }
        each(&desk, &open, now)?;
        if !ended.is_empty() {
            let when = if self.all { "" } else { " in the last day" };
            out::line(&format!("{} ended{when}:", age::count(ended.len(), "debt")))?;
        }
        each(&desk, &ended, now)
    }
}

fn each(desk: &Desk, debts: &[Debt], now: Timestamp) -> Result<(), Failure> {
    for debt in debts {
        let (ago, urgent) = (age::ago(debt.since, now), if debt.is_urgent() { "urgent, " } else { "" });
        let (key, device, ticket, word) = (debt.key.short(), &debt.device_name, &debt.ticket, debt.word());
        out::line(&format!("{key}  {device}  {ticket}  {ago}  {urgent}{word}"))?;
        out::hanging(&format!("          {}", super::sentence(debt, now, &desk.zone)), "          ")?;
    }
    Ok(())
}
