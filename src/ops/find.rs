//! Finding a key or a device: the index at once, Entra and Intune when asked.

use crate::{
    desk::{Desk, Seat},
    domain::{
        device::{Device, DeviceId, DeviceSummary, Join, ManagedDevice},
        key::{Key, Place},
        key_id::KeyId,
        work::{
            Failure, Kind,
            find::{DeviceMatch, Found, KeyMatch, LookUp, Request},
        },
    },
    ops::Asking,
};

/// The longest list of devices found by name.
const MOST_DEVICES: usize = 50;

/// Asks the index. Microseconds: called on every keystroke, on the thread it is called on.
pub fn find(desk: &Desk, request: &Request) -> Result<Found, Failure> {
    let seat = desk.seat()?;
    let mut found = Found::default();
    if let Some(prefix) = &request.query.key {
        (found.keys_total, found.keys_devices, found.keys) = seat.index.by_prefix(prefix, request.limit)?;
    }
    if let Some(text) = &request.query.text {
        found.devices = seat.index.by_name(text, request.limit)?;
    }
    Ok(found)
}

/// Asks Entra and Intune themselves: by whole GUID, device name, serial or user.
pub async fn look_up(desk: &Desk, request: &LookUp, asking: &Asking) -> Result<Found, Failure> {
    let seat = asking.in_front(desk.seat()?);
    let mut found = Found::default();
    if let Some(id) = request.query.key.as_ref().and_then(crate::domain::key_id::KeyPrefix::whole) {
        by_guid(&seat, id, &mut found).await?;
    }
    if let Some(text) = &request.query.text {
        by_text(&seat, text, &mut found).await?;
    }
    Ok(found)
}

/// A whole GUID is a key ID, or else a device id.
async fn by_guid(seat: &Seat, id: KeyId, found: &mut Found) -> Result<(), Failure> {
    match seat.graph.key_metadata(id).await {
        Ok(key) => {
            let device = seat.graph.device(key.device).await?.map(|device| summary(&device));
            let place = place_among(seat, &key).await?;
            found.keys.push(KeyMatch { key, device, place });
            (found.keys_total, found.keys_devices) = (1, 1);
            Ok(())
        }
        Err(error) => {
            let failure = Failure::from(error);
            if failure.kind != Kind::NotFound {
                return Err(failure);
            }
            let device = seat.graph.device(DeviceId(id.0)).await?;
            found.devices.extend(device.map(|device| device_match(seat, &summary(&device), String::new())));
            Ok(())
        }
    }
}

async fn place_among(seat: &Seat, key: &Key) -> Result<Place, Failure> {
    let listed = seat.graph.keys_of_device(key.device).await?;
    Ok(crate::domain::key::place(&listed.keys, key.id).unwrap_or(Place { rank: 1, of: 1 }))
}

/// Name, serial and user are asked for at the same time; one that is refused does not hide the others.
async fn by_text(seat: &Seat, text: &str, found: &mut Found) -> Result<(), Failure> {
    let (named, by_serial, by_user) = tokio::join!(
        seat.graph.devices_beginning(text),
        seat.graph.managed_by_serial(text),
        seat.graph.managed_by_user(text),
    );
    let mut failure = None;
    let mut devices: Vec<DeviceMatch> = Vec::new();
    let mut add = |hit: DeviceMatch| {
        if devices.len() < MOST_DEVICES && devices.iter().all(|known| known.device.id != hit.device.id) {
            devices.push(hit);
        }
    };
    match named {
        Ok(list) => list.iter().for_each(|device| add(device_match(seat, &summary(device), String::new()))),
        Err(error) => failure = Some(Failure::from(error)),
    }
    for (list, because) in [(by_serial, Because::Serial), (by_user, Because::User)] {
        match list {
            Ok(list) => {
                let list = &list[..list.len().min(MOST_DEVICES)];
                let objects =
                    futures::future::join_all(list.iter().map(|managed| seat.graph.device(managed.device))).await;
                for (managed, object) in list.iter().zip(objects) {
                    // Deleted in Entra, or not to be seen: what Intune says stands.
                    let device = object.ok().flatten().map_or_else(|| by_intune(managed), |device| summary(&device));
                    add(device_match(seat, &device, because.words(managed)));
                }
            }
            Err(error) => failure = failure.or_else(|| Some(Failure::from(error))),
        }
    }
    match failure {
        Some(failure) if devices.is_empty() => Err(failure),
        _ => {
            found.devices = devices;
            Ok(())
        }
    }
}

fn by_intune(managed: &ManagedDevice) -> DeviceSummary {
    DeviceSummary { id: managed.device, name: managed.name.clone(), join: Join::Unknown }
}

/// Why a device matched.
#[derive(Clone, Copy)]
enum Because {
    Serial,
    User,
}

impl Because {
    fn words(self, managed: &ManagedDevice) -> String {
        match self {
            Self::Serial => format!("serial {}", managed.serial),
            Self::User => format!("user {}", managed.owner_upn),
        }
    }
}

fn device_match(seat: &Seat, device: &DeviceSummary, because: String) -> DeviceMatch {
    let keys = seat.index.keys_of(device.id).unwrap_or_default();
    DeviceMatch { device: device.clone(), because, keys }
}

/// What a list shows of a device.
pub fn summary(device: &Device) -> DeviceSummary {
    DeviceSummary { id: device.id, name: device.name.clone(), join: device.join }
}
