//! Which Intune object a rotation goes to.

use crate::{
    desk::{Desk, Seat},
    domain::{
        debt::{Block, Debt, Rotation, Target},
        device::{DeviceId, ManagedDevice},
        event::Event,
        work::Failure,
    },
};

/// The Intune object to send to: the one of the device the key was found on, or the only one of the same hardware. Recorded once chosen.
pub(super) async fn choose(
    desk: &Desk,
    seat: &Seat,
    rotation: &Rotation,
    owed: &[Debt],
) -> Result<Result<Target, Block>, Failure> {
    if let Some(target) = rotation.target {
        return Ok(Ok(target));
    }
    let Some(first) = owed.first() else { return Ok(Err(Block::NoManagedDevice)) };
    let mut found = targets(seat.graph.managed_of_device(first.device).await?);
    if found.is_empty() {
        found = same_hardware(seat, first.device).await?;
    }
    let [target] = found[..] else {
        return Ok(Err(match found.len() {
            0 => Block::NoManagedDevice,
            count => Block::SeveralManagedDevices { count },
        }));
    };
    let id = rotation.id;
    desk.record(move |pen| pen.append(None, &Event::RotationTargeted { rotation: id, target })).await?;
    Ok(Ok(target))
}

fn targets(managed: Vec<ManagedDevice>) -> Vec<Target> {
    managed.into_iter().map(|managed| Target { managed: managed.id, device: managed.device }).collect()
}

/// The Intune objects of other Entra objects that carry the same hardware identity.
async fn same_hardware(seat: &Seat, device: DeviceId) -> Result<Vec<Target>, Failure> {
    let Some(device) = seat.graph.device(device).await? else { return Ok(Vec::new()) };
    let Some(hardware) = device.hardware else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for twin in seat.graph.devices_named(device.name.raw()).await? {
        if twin.id != device.id && twin.hardware == Some(hardware) {
            found.extend(targets(seat.graph.managed_of_device(twin.id).await?));
        }
    }
    Ok(found)
}
