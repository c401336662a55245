//! Opening a device: its keys listed afresh, its Intune object read, its duplicates judged.

use crate::{
    desk::{Desk, Seat},
    domain::{
        device::{Device, DeviceId},
        escrow::Escrow,
        key,
        verdict::{self, Candidate, Others, Unseen},
        work::{
            Failure, Kind,
            open_device::{Card, Duplicate, Request},
        },
    },
    graph::GraphError,
    ops::{Asking, find::summary},
    store::{calls, disclosures},
};

/// At most so many objects of one name are looked into, the likeliest; the verdict says how many were left out.
const MOST_DUPLICATES: usize = 12;

/// The card of a device. What Intune or the search for duplicates refuses is left out and said; keys are the point.
pub async fn open_device(desk: &Desk, request: Request, asking: &Asking) -> Result<Card, Failure> {
    let seat = asking.in_front(desk.seat()?);
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
        None => Others::default(),
    };
    let now = desk.clock.now();
    let asked = device.as_ref().map(|device| Candidate {
        device: device.clone(),
        managed: managed_failure.is_none().then(|| managed.clone()),
        keys: Some(keys.clone()),
    });
    let verdict = asked.map(|asked| verdict::judge(&asked, &others, now));
    if let Some(device) = &device {
        let (index, device, keys) = (seat.index.clone(), summary(device), keys.clone());
        // Best effort: the card does not need the index.
        if let Err(error) = crate::desk::unblocked(move || index.refresh_device(&device, &keys)).await {
            tracing::warn!(%error, "index not refreshed");
        }
    }
    let (earlier, refusals) = desk
        .read(move |conn| {
            Ok((disclosures::for_device(conn, id)?, calls::refusals_for(conn, id, now - calls::REFUSED_FOR)?))
        })
        .await?;
    let encrypted = managed.iter().find_map(|managed| managed.encrypted);
    Ok(Card {
        id,
        escrow: Escrow::of(&keys, encrypted),
        duplicates: others
            .seen
            .into_iter()
            .map(|other| Duplicate { keys: other.keys.as_ref().map(Vec::len), device: other.device })
            .collect(),
        device,
        managed,
        managed_failure,
        keys,
        asked: request.asked,
        verdict,
        earlier,
        refusals,
        seen: now,
    })
}

/// The other objects of this name, each with its keys and its Intune objects. What cannot be read is said to be unknown.
async fn others(seat: &Seat, device: &Device) -> Others {
    let mut named = match seat.graph.devices_named(device.name.raw()).await {
        Ok(named) => named,
        Err(error) => {
            tracing::warn!(%error, "duplicates not searched");
            return Others { seen: Vec::new(), unseen: Unseen::NotSearched };
        }
    };
    named.retain(|other| other.id != device.id);
    let mut unseen = Unseen::None;
    if named.len() > MOST_DUPLICATES {
        unseen = Unseen::LeftOut(named.len() - MOST_DUPLICATES);
        verdict::sort_likeliest_first(device, &mut named);
        named.truncate(MOST_DUPLICATES);
    }
    let seen = futures::future::join_all(named.into_iter().map(|other| candidate(seat, other))).await;
    Others { seen, unseen }
}

async fn candidate(seat: &Seat, device: Device) -> Candidate {
    let (keys, managed) = tokio::join!(seat.graph.keys_of_device(device.id), seat.graph.managed_of_device(device.id));
    let known =
        |what, id: DeviceId| move |error: &GraphError| tracing::warn!(%error, %id, "{what} of a duplicate not read");
    Candidate {
        keys: keys.inspect_err(known("keys", device.id)).ok().map(|listed| listed.keys),
        managed: managed.inspect_err(known("Intune objects", device.id)).ok(),
        device,
    }
}
