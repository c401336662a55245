//! Opening a device: its keys listed afresh, its Intune object read, its duplicates judged.

use crate::{
    desk::{Desk, Seat},
    domain::{
        device::{Device, DeviceId, ManagedDevice},
        escrow::Escrow,
        key::{self, Key},
        verdict::{self, Candidate},
        work::{
            Failure, Kind,
            open_device::{Card, Duplicate, Request},
        },
    },
    graph::GraphError,
    ops::find::summary,
    store::disclosures,
};

/// More objects of one name than this are not looked into: the verdict could say nothing of them.
const MOST_DUPLICATES: usize = 12;

/// The card of a device. What Intune or the search for duplicates refuses is left out and said; keys are the point.
pub async fn open_device(desk: &Desk, request: Request) -> Result<Card, Failure> {
    let seat = desk.seat()?;
    let id = request.device;
    let (listed, device, managed) =
        tokio::join!(seat.graph.keys_of_device(id), seat.graph.device(id), seat.graph.managed_of_device(id));
    let mut keys = listed?.keys;
    key::sort_newest_first(&mut keys);
    let device = match device {
        Ok(device) => device,
        Err(GraphError::Forbidden { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if device.is_none() && keys.is_empty() {
        return Err(Failure::new(Kind::NotFound, "Entra has no such device, and no key of it."));
    }
    let (managed, managed_failure) = match managed {
        Ok(managed) => (managed, None),
        Err(error) => (Vec::new(), Some(Failure::from(error).to_string())),
    };
    let others = match &device {
        Some(device) => others(&seat, device).await,
        None => Vec::new(),
    };
    let now = desk.clock.now();
    let asked = device.as_ref().map(|device| Candidate {
        device: device.clone(),
        managed: managed.clone(),
        keys: keys.clone(),
    });
    let verdict = asked.map(|asked| verdict::judge(&asked, &others, now));
    if let Some(device) = &device {
        let (index, device, keys) = (seat.index.clone(), summary(device), keys.clone());
        // Best effort: the card does not need the index.
        if let Err(error) = crate::desk::unblocked(move || index.refresh_device(&device, &keys)).await {
            tracing::warn!(%error, "index not refreshed");
        }
    }
    let earlier = desk.read(move |conn| disclosures::for_device(conn, id)).await?;
    let encrypted = managed.iter().find_map(|managed| managed.encrypted);
    Ok(Card {
        id,
        escrow: Escrow::of(&keys, encrypted),
        duplicates: others
            .into_iter()
            .map(|other| Duplicate { keys: other.keys.len(), device: other.device })
            .collect(),
        device,
        managed,
        managed_failure,
        keys,
        asked: request.asked,
        verdict,
        earlier,
        seen: now,
    })
}

/// The other objects of this name, each with its keys and its Intune objects. What cannot be read counts as absent.
async fn others(seat: &Seat, device: &Device) -> Vec<Candidate> {
    let named = match seat.graph.devices_named(device.name.raw()).await {
        Ok(named) => named,
        Err(error) => {
            tracing::warn!(%error, "duplicates not searched");
            return Vec::new();
        }
    };
    let others = named.into_iter().filter(|other| other.id != device.id).take(MOST_DUPLICATES);
    futures::future::join_all(others.map(|other| async {
        let (keys, managed) = tokio::join!(keys(seat, other.id), managed(seat, other.id));
        Candidate { device: other, keys, managed }
    }))
    .await
}

async fn keys(seat: &Seat, id: DeviceId) -> Vec<Key> {
    seat.graph.keys_of_device(id).await.map(|listed| listed.keys).unwrap_or_default()
}

async fn managed(seat: &Seat, id: DeviceId) -> Vec<ManagedDevice> {
    seat.graph.managed_of_device(id).await.unwrap_or_default()
}
