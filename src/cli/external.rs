//! `keydesk external`: a key that was read in Active Directory, in MBAM, on paper or in a portal.

use super::{
    debts::DebtFacts,
    out,
    reveal::{Said, compared},
    seat::{self, Manner},
};
use crate::{
    config::Settings,
    desk::Desk,
    domain::{
        caller::Compared,
        debt::Source,
        device::DeviceId,
        key_id::{KeyId, KeyPrefix},
        work::{Failure, Kind, external::Request},
    },
    ops,
};

#[derive(Debug, clap::Args)]
pub(super) struct External {
    /// The whole key ID
    #[arg(long, value_name = "GUID", value_parser = key_id)]
    key_id: KeyId,
    /// The laptop's name
    #[arg(long, value_name = "NAME")]
    device: String,
    /// Where the key was read: ad, mbam, paper or portal
    #[arg(long, value_parser = source)]
    source: Source,
    /// The caller's ticket
    #[arg(long, short)]
    ticket: String,
    /// Why the key was needed: an id of the policy's list
    #[arg(long, short)]
    reason: String,
    /// How the caller was verified: an id of the policy's list
    #[arg(long, value_name = "METHOD")]
    verified: String,
    /// What the caller claimed, compared with what Intune knows: name=…, model=… or serial=…; needs --entra-device
    #[arg(long = "claim", value_name = "FACT=SAID", requires = "entra_device")]
    claims: Vec<Said>,
    /// The laptop's device id in Entra, where it has one: its keys are then replaced remotely
    #[arg(long, value_name = "GUID")]
    entra_device: Option<DeviceId>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

fn key_id(text: &str) -> Result<KeyId, String> {
    let whole = KeyPrefix::read(text).and_then(|prefix| prefix.whole());
    whole.ok_or_else(|| "the whole key ID is needed, as in 4f2b91c0-6e1d-4c0b-9f7a-0b5d8b3c2a11".to_owned())
}

fn source(text: &str) -> Result<Source, String> {
    let known = Source::ALL.map(Source::word).join(", ");
    let found = Source::ALL.into_iter().find(|source| source.word() == text);
    found.ok_or_else(|| format!("known are {known}"))
}

impl External {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        settings.policy.ticket.read(&self.ticket).map_err(|e| Failure::new(Kind::Usage, e.to_string()))?;
        seat::at(settings, Manner::usual(no_input), async |desk, _| self.record(desk).await).await
    }

    async fn record(&self, desk: &Desk) -> Result<(), Failure> {
        let managed = match self.entra_device {
            Some(device) if !self.claims.is_empty() => desk.seat()?.graph.managed_of_device(device).await?,
            _ => Vec::new(),
        };
        let claims = if self.claims.is_empty() { Vec::new() } else { compared(&self.claims, &managed) };
        for claim in claims.iter().filter(|claim| claim.compared == Compared::Mismatch) {
            let fact = claim.fact.label().to_lowercase();
            out::note(&format!("The caller's {fact} is not what Intune knows. It is written down all the same."));
        }
        let request = Request {
            key: self.key_id,
            source: self.source,
            device_name: self.device.trim().into(),
            device: self.entra_device,
            ticket: self.ticket.clone(),
            reason: self.reason.clone(),
            method: self.verified.clone(),
            claims,
        };
        let debt = ops::external::record(desk, request).await?;
        let now = desk.clock.now();
        if self.json {
            return out::json(&DebtFacts::of(&debt, now, &desk.zone));
        }
        out::line(&format!(
            "{}  {}: {}. {}",
            debt.key.short(),
            debt.device_name,
            debt.word(),
            super::debts::sentence(&debt, now, &desk.zone)
        ))
    }
}
