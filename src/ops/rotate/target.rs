//! Which Intune object a rotation goes to.

use jiff::Timestamp;

use crate::{
    desk::{Desk, Seat},
    domain::{
        debt::{Block, Debt, Rotation, Target},
        device::{DeviceId, ManagedDevice},
        event::Event,
        work::Failure,
    },
};

/// Of several Intune objects of one laptop, the one in use has checked in this much later than any other.
const CLEARLY_LATER_DAYS: i64 = 7;
/// Serial numbers shorter than this, or one of those below, are what a maker left in: they name no machine.
const SHORTEST_SERIAL: usize = 5;
const FILLERS: &[&str] =
    &["system serial number", "to be filled by o.e.m.", "default string", "not specified", "none", "00000"];

/// The Intune object of the laptop: of the device the key was found on, or of another object of the same hardware, by Autopilot identity
/// or serial number. Recorded once chosen.
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
    let target = match in_use(&candidates(seat, first.device).await?) {
        Ok(target) => target,
        Err(block) => return Ok(Err(block)),
    };
    let id = rotation.id;
    desk.record(move |pen| pen.append(None, &Event::RotationTargeted { rotation: id, target })).await?;
    Ok(Ok(target))
}

/// Every Intune object of the laptop that `device` is, or was, an object of.
async fn candidates(seat: &Seat, device: DeviceId) -> Result<Vec<ManagedDevice>, Failure> {
    let mut found = seat.graph.managed_of_device(device).await?;
    let mut more = Vec::new();
    for own in found.iter().filter(|own| names_a_machine(own.serial.raw())) {
        let same_serial = seat.graph.managed_by_serial(own.serial.raw()).await?;
        more.extend(same_serial.into_iter().filter(|other| other.model == own.model));
    }
    for twin in twins(seat, device).await? {
        more.extend(seat.graph.managed_of_device(twin).await?);
    }
    for other in more {
        if found.iter().all(|known| known.id != other.id) {
            found.push(other);
        }
    }
    Ok(found)
}

/// Other Entra objects of the same name with the same Autopilot identity.
async fn twins(seat: &Seat, device: DeviceId) -> Result<Vec<DeviceId>, Failure> {
    let Some(device) = seat.graph.device(device).await? else { return Ok(Vec::new()) };
    let Some(hardware) = device.hardware else { return Ok(Vec::new()) };
    let named = seat.graph.devices_named(device.name.raw()).await?;
    let is_twin = |other: &crate::domain::device::Device| other.id != device.id && other.hardware == Some(hardware);
    Ok(named.into_iter().filter(is_twin).map(|twin| twin.id).collect())
}

fn names_a_machine(serial: &str) -> bool {
    let serial = serial.trim().to_lowercase();
    serial.chars().count() >= SHORTEST_SERIAL && !FILLERS.contains(&serial.as_str())
}

/// The one object there is, or the one that clearly checked in last; else the question a person has to answer.
fn in_use(candidates: &[ManagedDevice]) -> Result<Target, Block> {
    let target = |managed: &ManagedDevice| Target { managed: managed.id, device: managed.device };
    let mut by_check_in: Vec<&ManagedDevice> = candidates.iter().collect();
    by_check_in.sort_by_key(|managed| std::cmp::Reverse(managed.checked_in));
    match by_check_in[..] {
        [] => Err(Block::NoManagedDevice),
        [only] => Ok(target(only)),
        // Two for one Entra device: which of them Intune would act on is not ours to guess.
        [last, next, ..] if last.device != next.device && is_clearly_later(last.checked_in, next.checked_in) => {
            let same_object = by_check_in.iter().filter(|other| other.device == last.device).count();
            if same_object == 1 { Ok(target(last)) } else { Err(Block::SeveralManagedDevices { count: same_object }) }
        }
        _ => Err(Block::SeveralManagedDevices { count: candidates.len() }),
    }
}

fn is_clearly_later(last: Option<Timestamp>, next: Option<Timestamp>) -> bool {
    match (last, next) {
        (Some(last), Some(next)) => last.duration_since(next).as_hours() >= 24 * CLEARLY_LATER_DAYS,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::device::{Compliance, ManagedDeviceId};

    fn managed(id: u128, device: u128, checked_in: Option<&str>) -> ManagedDevice {
        ManagedDevice {
            id: ManagedDeviceId(Uuid::from_u128(id)),
            device: DeviceId(Uuid::from_u128(device)),
            name: "HVC-LT-0421".into(),
            serial: "7KQ2M".into(),
            model: "Latitude 5440".into(),
            owner: "".into(),
            owner_upn: "".into(),
            checked_in: checked_in.map(|at| at.parse().unwrap()),
            enrolled: None,
            compliance: Compliance::Unknown,
            encrypted: None,
            rotation: None,
        }
    }

    #[test]
    fn the_only_object_is_the_target_whenever_it_checked_in() {
        assert_eq!(in_use(&[managed(1, 1, None)]).unwrap().managed.0, Uuid::from_u128(1));
        assert_eq!(in_use(&[]), Err(Block::NoManagedDevice));
    }

    #[test]
    fn the_object_that_clearly_checked_in_last_is_the_laptop() {
        let found = [managed(1, 1, Some("2025-11-01T00:00:00Z")), managed(2, 2, Some("2026-11-19T00:00:00Z"))];
        assert_eq!(in_use(&found).unwrap().managed.0, Uuid::from_u128(2));
        let found = [managed(1, 1, None), managed(2, 2, Some("2026-11-19T00:00:00Z"))];
        assert_eq!(in_use(&found).unwrap().managed.0, Uuid::from_u128(2));
    }

    #[test]
    fn two_that_checked_in_lately_or_hang_on_one_device_are_left_to_a_person() {
        let lately = [managed(1, 1, Some("2026-11-18T00:00:00Z")), managed(2, 2, Some("2026-11-19T00:00:00Z"))];
        assert_eq!(in_use(&lately), Err(Block::SeveralManagedDevices { count: 2 }));
        let one_device = [managed(1, 1, Some("2025-01-01T00:00:00Z")), managed(2, 1, Some("2026-11-19T00:00:00Z"))];
        assert_eq!(in_use(&one_device), Err(Block::SeveralManagedDevices { count: 2 }));
    }

    #[test]
    fn a_serial_the_maker_left_in_names_no_machine() {
        assert!(names_a_machine("7KQ2M"));
        assert!(!names_a_machine("To Be Filled By O.E.M."));
        assert!(!names_a_machine("0"));
    }
}
