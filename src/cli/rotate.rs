//! `keydesk rotate DEVICE --ticket T`

use serde::Serialize;

use super::{
    debts::DebtFacts,
    out,
    seat::{self, Manner},
};
use crate::{
    config::Settings,
    desk::Desk,
    domain::work::{Failure, Kind, debts::How, debts::Settle},
    ops,
};

#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    /// Device name, serial, user or device id
    device: String,
    /// The ticket it is for
    #[arg(long, short)]
    ticket: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Facts {
    debts: Vec<DebtFacts>,
}

impl Rotate {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        settings.policy.ticket.read(&self.ticket).map_err(|e| Failure::new(Kind::Usage, e.to_string()))?;
        seat::at(settings, Manner::usual(no_input), async |desk, _| self.rotate(desk).await).await
    }

    async fn rotate(&self, desk: &Desk) -> Result<(), Failure> {
        let device = match self.device.parse() {
            Ok(id) => id,
            Err(_) => seat::one_device(desk, &self.device).await?.device.id,
        };
        let owed = |debts: Vec<crate::domain::debt::Debt>| {
            debts.into_iter().filter(move |debt| debt.device == device && debt.is_open()).collect::<Vec<_>>()
        };
        // What is owed already is sent; otherwise the device's current key is owed a replacement from now on.
        let mut waiting: Vec<_> = owed(ops::debts::list(desk).await?).into_iter().map(|debt| debt.id).collect();
        if waiting.is_empty() {
            waiting.push(ops::rotate::request(desk, device, &self.ticket).await?);
        }
        for debt in waiting.iter().copied() {
            let standing = ops::debts::list(desk).await?.into_iter().find(|other| other.id == debt);
            if standing.is_some_and(|debt| debt.is_open() && !debt.is_sent()) {
                ops::debts::settle(desk, Settle { debt, how: How::Retry }).await?;
            }
        }
        let now = desk.clock.now();
        let debts: Vec<_> =
            ops::debts::list(desk).await?.into_iter().filter(|debt| waiting.contains(&debt.id)).collect();
        if self.json {
            out::json(&Facts { debts: debts.iter().map(|debt| DebtFacts::of(debt, now, &desk.zone)).collect() })?;
        }
        for debt in debts.iter().filter(|_| !self.json) {
            out::line(&format!(
                "{}  {}: {}. {}",
                debt.key.short(),
                debt.device_name,
                debt.word(),
                super::debts::sentence(debt, now, &desk.zone)
            ))?;
        }
        if debts.iter().any(crate::domain::debt::Debt::is_blocked) {
            return Err(Failure::new(Kind::Failed, "A replacement is blocked, and stays owed."));
        }
        Ok(())
    }
}
