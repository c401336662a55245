//! Which Intune object a rotation goes to.

use jiff::Timestamp;

use crate::{
    desk::Seat,
    domain::{
        debt::{Block, Candidate, Debt, Target},
        device::{DeviceId, ManagedDevice, ManagedDeviceId, NO_DEVICE},
        work::{Failure, Kind},
    },
    graph::GraphError,
};

/// Of several Intune objects of one laptop, the one in use has checked in this much later than any other.
const CLEARLY_LATER_DAYS: i64 = 7;
/// Serial numbers shorter than this, or one of those below, are what a maker left in: they name no machine.
const SHORTEST_SERIAL: usize = 5;
const FILLERS: &[&str] =
    &["system serial number", "to be filled by o.e.m.", "default string", "not specified", "none", "00000"];

/// The Intune object of the laptop: of the device the key was found on, or of another object of the same hardware, by Autopilot identity
/// or serial number. Where that is unclear: what to ask.
pub(super) async fn choose(seat: &Seat, owed: &[Debt]) -> Result<Result<Target, Block>, Failure> {
    let Some(first) = owed.first() else { return Ok(Err(Block::NoManagedDevice)) };
    let choice = in_use(&candidates(seat, first.device).await?);
    // A laptop whose Entra object is deleted can store no key there, and loses its Intune object with it.
    let device = match &choice {
        Ok(target) => target.device,
        Err(Block::NoManagedDevice) => first.device,
        Err(_) => return Ok(choice),
    };
    let is_deleted = device != NO_DEVICE && seat.graph.device(device).await?.is_none();
    Ok(if is_deleted { Err(Block::DeviceDeleted) } else { choice })
}

/// The one a person chose, as Intune knows it.
pub(in crate::ops) async fn chosen(seat: &Seat, managed: ManagedDeviceId) -> Result<Target, Failure> {
    let found = match seat.graph.managed(managed).await {
        Err(GraphError::NotFound { .. }) => {
            return Err(Failure::new(Kind::NotFound, "Intune has no such object.")
                .next("`keydesk debts --json` lists the ones to choose among."));
        }
        found => found?,
    };
    if found.device == NO_DEVICE {
        return Err(Failure::new(Kind::Refused, Block::NotJoined.sentence(Timestamp::UNIX_EPOCH)));
    }
    Ok(Target { managed, device: found.device })
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
fn in_use(found: &[ManagedDevice]) -> Result<Target, Block> {
    let mut by_check_in: Vec<&ManagedDevice> = found.iter().collect();
    by_check_in.sort_by_key(|managed| std::cmp::Reverse(managed.checked_in));
    let last = match by_check_in[..] {
        [] => return Err(Block::NoManagedDevice),
        [only] => only,
        // Two for one Entra device: which of them Intune would act on is not ours to guess. Nor is it whether a laptop that another
        // person has now is still the caller's.
        [last, next, ..] => {
            let alone = by_check_in.iter().filter(|other| other.device == last.device).count() == 1;
            let clearly = is_clearly_later(last.checked_in, next.checked_in);
            if alone && clearly && by_check_in.iter().all(|other| same_owner(last, other)) {
                last
            } else {
                let candidates = by_check_in.iter().map(|managed| Candidate::of(managed)).collect();
                return Err(Block::SeveralManagedDevices { count: by_check_in.len(), candidates });
            }
        }
    };
    if last.device == NO_DEVICE {
        return Err(Block::NotJoined);
    }
    Ok(Target { managed: last.id, device: last.device })
}

/// Not known to be two people's.
fn same_owner(one: &ManagedDevice, other: &ManagedDevice) -> bool {
    let (one, other) = (&one.owner_upn, &other.owner_upn);
    one.is_empty() || other.is_empty() || one.raw().eq_ignore_ascii_case(other.raw())
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
    use crate::domain::device::Compliance;

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
        assert!(
            matches!(in_use(&lately), Err(Block::SeveralManagedDevices { count: 2, candidates }) if candidates.len() == 2)
        );
        let one_device = [managed(1, 1, Some("2025-01-01T00:00:00Z")), managed(2, 1, Some("2026-11-19T00:00:00Z"))];
        assert!(matches!(in_use(&one_device), Err(Block::SeveralManagedDevices { count: 2, .. })));
    }

    #[test]
    fn a_serial_the_maker_left_in_names_no_machine() {
        assert!(names_a_machine("7KQ2M"));
        assert!(!names_a_machine("To Be Filled By O.E.M."));
        assert!(!names_a_machine("0"));
    }
}
