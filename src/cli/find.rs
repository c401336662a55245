//! `keydesk find TEXT`

use serde::Serialize;

use super::{
    out,
    seat::{self, Manner},
};
use crate::{
    config::Settings,
    desk::Desk,
    domain::{
        age,
        query::Query,
        work::{
            Failure, Kind,
            find::{DeviceMatch, Found, KeyMatch, LookUp, Request},
        },
    },
    ops,
};

/// More matches than this are counted, not listed.
const LISTED: usize = 50;

#[derive(Debug, clap::Args)]
pub(super) struct Find {
    /// What the caller reads, a device name, a serial, a user or a whole GUID
    #[arg(required = true)]
    text: Vec<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Facts {
    keys_total: usize,
    keys: Vec<KeyFacts>,
    devices: Vec<DeviceFacts>,
}

#[derive(Serialize)]
struct KeyFacts {
    key_id: String,
    device_id: String,
    /// `null` when the device is deleted or not listed.
    device: Option<String>,
    volume: &'static str,
    escrowed: String,
    /// 1 is the newest of the device's keys.
    rank: usize,
    of: usize,
}

#[derive(Serialize)]
struct DeviceFacts {
    device_id: String,
    device: String,
    join: &'static str,
    because: String,
}

impl Find {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        let query = Query::read(&self.text.join(" "));
        if query.is_empty() {
            return Err(Failure::new(Kind::Usage, "This is neither the beginning of a key ID nor a name.")
                .next("Type what the caller reads, a device name, a serial or a user."));
        }
        seat::at(settings, Manner::usual(no_input), async |desk, _| self.find(desk, query).await).await
    }

    async fn find(&self, desk: &Desk, query: Query) -> Result<(), Failure> {
        let whole = query.key.as_ref().is_some_and(|key| key.whole().is_some());
        let mut found = Found::default();
        if query.key.is_some() && !whole {
            seat::with_index(desk).await?;
            found = ops::find::find(desk, &Request { query: query.clone(), limit: LISTED })?;
        }
        if found.keys.is_empty() {
            found = ops::find::look_up(desk, &LookUp { query }, &seat::prompting()).await?;
        }
        if found.is_empty() {
            return Err(Failure::new(Kind::NotFound, "No key and no device was found.")
                .next("Have the key ID read again, or ask for the name on the sticker."));
        }
        if self.json { print_json(&found) } else { print(&found, &desk.zone) }
    }
}

fn print(found: &Found, zone: &jiff::tz::TimeZone) -> Result<(), Failure> {
    if !found.keys.is_empty() {
        let rows: Vec<Vec<String>> = found.keys.iter().map(|hit| key_row(hit, zone)).collect();
        out::table(&["Key ID", "Device", "Drive", "Escrowed", "Place"], &rows)?;
    }
    if found.keys_total > found.keys.len() {
        out::note(&format!(
            "{} begin so; the first {} are listed.",
            age::count(found.keys_total, "key"),
            found.keys.len()
        ));
    }
    if found.keys.is_empty() && !found.devices.is_empty() {
        let rows: Vec<Vec<String>> = found.devices.iter().map(device_row).collect();
        out::table(&["Device", "Device id", "Join", ""], &rows)?;
    }
    Ok(())
}

fn key_row(hit: &KeyMatch, zone: &jiff::tz::TimeZone) -> Vec<String> {
    vec![
        hit.key.id.to_string(),
        hit.device.as_ref().map_or_else(|| "(not in the directory)".to_owned(), |device| device.name.to_string()),
        hit.key.volume.words().to_owned(),
        age::date(hit.key.escrowed, zone),
        hit.place.words(),
    ]
}

fn device_row(hit: &DeviceMatch) -> Vec<String> {
    vec![
        hit.device.name.to_string(),
        hit.device.id.to_string(),
        hit.device.join.words().to_owned(),
        hit.because.clone(),
    ]
}

fn print_json(found: &Found) -> Result<(), Failure> {
    out::json(&Facts {
        keys_total: found.keys_total,
        keys: found
            .keys
            .iter()
            .map(|hit| KeyFacts {
                key_id: hit.key.id.to_string(),
                device_id: hit.key.device.to_string(),
                device: hit.device.as_ref().map(|device| device.name.raw().to_owned()),
                volume: hit.key.volume.words(),
                escrowed: hit.key.escrowed.to_string(),
                rank: hit.place.rank,
                of: hit.place.of,
            })
            .collect(),
        devices: found
            .devices
            .iter()
            .map(|hit| DeviceFacts {
                device_id: hit.device.id.to_string(),
                device: hit.device.name.raw().to_owned(),
                join: hit.device.join.words(),
                because: hit.because.clone(),
            })
            .collect(),
    })
}
