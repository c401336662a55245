//! `keydesk keys DEVICE`

use serde::Serialize;

use super::{
    out,
    seat::{self, Manner},
};
use crate::{
    config::Settings,
    desk::Desk,
    domain::{
        age, key,
        work::{
            Failure,
            open_device::{Card, Request},
        },
    },
    ops,
};

#[derive(Debug, clap::Args)]
pub(super) struct Keys {
    /// Device name, serial, user or device id
    device: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Facts {
    device_id: String,
    /// `null` when the device is deleted in Entra.
    device: Option<String>,
    verdict: Option<String>,
    escrow: &'static str,
    /// Callers for it who could not be verified on this machine in the last 30 days.
    refused: Vec<RefusalFacts>,
    keys: Vec<KeyFacts>,
}

#[derive(Serialize)]
struct RefusalFacts {
    at: String,
    by: Option<String>,
}

#[derive(Serialize)]
struct KeyFacts {
    key_id: String,
    volume: &'static str,
    escrowed: String,
    standing: &'static str,
}

impl Keys {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        seat::at(settings, Manner::usual(no_input), async |desk, _| self.list(desk).await).await
    }

    async fn list(&self, desk: &Desk) -> Result<(), Failure> {
        // A device id works for a deleted device too, whose keys live on.
        let device = match self.device.parse() {
            Ok(id) => id,
            Err(_) => seat::one_device(desk, &self.device).await?.device.id,
        };
        let card = ops::open_device::open_device(desk, Request { device, asked: None }, &seat::prompting()).await?;
        if self.json { print_json(&card) } else { print(&card, &desk.zone) }
    }
}

fn print(card: &Card, zone: &jiff::tz::TimeZone) -> Result<(), Failure> {
    let name = card.device.as_ref().map_or_else(|| "(deleted in Entra)".to_owned(), |device| device.name.to_string());
    out::line(&format!("{name}, device id {}", card.id))?;
    if let Some(verdict) = &card.verdict {
        out::line(&verdict.sentence)?;
        for sentence in &verdict.because {
            out::line(&format!("  {sentence}"))?;
        }
    }
    for refusal in &card.refusals {
        out::line(&refusal.sentence(card.seen, zone))?;
    }
    if card.keys.is_empty() {
        return out::line(&format!("Escrow: {}", card.escrow.words()));
    }
    let rows: Vec<Vec<String>> = card
        .keys
        .iter()
        .map(|key| {
            vec![
                key.id.to_string(),
                key.volume.words().to_owned(),
                age::date(key.escrowed, zone),
                key::standing(&card.keys, key).words().to_owned(),
            ]
        })
        .collect();
    out::table(&["Key ID", "Drive", "Escrowed", "State"], &rows)
}

fn print_json(card: &Card) -> Result<(), Failure> {
    out::json(&Facts {
        device_id: card.id.to_string(),
        device: card.device.as_ref().map(|device| device.name.raw().to_owned()),
        verdict: card.verdict.as_ref().map(|verdict| verdict.sentence.clone()),
        escrow: card.escrow.words(),
        refused: card
            .refusals
            .iter()
            .map(|refusal| RefusalFacts {
                at: refusal.at.to_string(),
                by: refusal.by.as_ref().map(|upn| upn.raw().to_owned()),
            })
            .collect(),
        keys: card
            .keys
            .iter()
            .map(|key| KeyFacts {
                key_id: key.id.to_string(),
                volume: key.volume.words(),
                escrowed: key.escrowed.to_string(),
                standing: key::standing(&card.keys, key).words(),
            })
            .collect(),
    })
}
