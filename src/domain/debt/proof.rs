//! What proves that a key was replaced.

use jiff::{SignedDuration, Timestamp};

use super::{Debt, Key, KeyId, Proof, Volume};

/// A key that the disclosed key's listing was too early for may be stored so long before it, by Entra's clocks.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// A key that came after the disclosure and replaces `debt`'s key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    pub key: KeyId,
    pub grade: Proof,
}

/// The best replacement for `debt` among `keys`, a fresh listing of the device it was paid on. `reported` is whether the laptop said
/// to Intune that its rotation succeeded; Entra's word that the disclosed key was deleted confirms as well.
pub fn replacement(debt: &Debt, keys: &[Key], reported: bool) -> Option<Replacement> {
    // The recorded set is that of the device the key was found on; a listing that lacked an old key must not make it new. On another
    // object of the same laptop only a key stored after the disclosure is new. Both times are Entra's.
    let came_after = |key: &Key| match after(debt, key) {
        Some(after) if key.device == debt.device => after > -TOLERANCE,
        Some(after) => after > SignedDuration::ZERO,
        None => key.device == debt.device,
    };
    let is_new =
        |key: &&Key| key.id != debt.key && debt.known.iter().all(|known| known.id != key.id) && came_after(key);
    let fits =
        |key: &&Key| key.volume == debt.volume || key.volume == Volume::Unknown || debt.volume == Volume::Unknown;
    let newest = keys.iter().filter(is_new).filter(fits).max_by_key(|key| (key.volume == debt.volume, key.escrowed))?;
    let grade = match () {
        () if newest.volume != debt.volume || shares_its_kind(debt) || after(debt, newest).is_none() => Proof::Probable,
        () if reported || debt.key_deleted.is_some() => Proof::Confirmed,
        () => Proof::NewKeySeen,
    };
    Some(Replacement { key: newest.id, grade })
}

/// How long after the listing before the disclosure `key` was stored, where Entra said both times.
fn after(debt: &Debt, key: &Key) -> Option<SignedDuration> {
    let made = debt.entra_time.filter(|_| key.escrowed != Timestamp::UNIX_EPOCH)?;
    Some(key.escrowed.duration_since(made))
}

/// Several drives of the debt's kind may hang on this device: a new key of that kind may be another drive's.
fn shares_its_kind(debt: &Debt) -> bool {
    let same_kind = debt.known.iter().filter(|known| known.volume == debt.volume).count();
    match debt.volume {
        Volume::OperatingSystem => false,
        Volume::FixedData | Volume::RemovableData => same_kind > 1,
        Volume::Unknown => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::debt::{DebtId, DebtState, KnownKey};
    use crate::domain::{call::CallId, device::DeviceId};
    use uuid::Uuid;

    const MADE: &str = "2026-11-20T09:00:00Z";

    fn id(n: u128) -> KeyId {
        KeyId(Uuid::from_u128(n))
    }

    fn debt(volume: Volume, known: &[(u128, Volume)]) -> Debt {
        Debt {
            id: DebtId::new(),
            key: id(1),
            volume,
            device: DeviceId(Uuid::nil()),
            device_name: "HVC-LT-0421".into(),
            call: CallId::new(),
            ticket: serde_json::from_str("\"INC0048213\"").unwrap(),
            since: Timestamp::UNIX_EPOCH,
            tenant: None,
            state: DebtState::Owed,
            known: known.iter().map(|&(n, volume)| KnownKey { id: id(n), volume }).collect(),
            entra_time: Some(MADE.parse().unwrap()),
            compromised: None,
            key_deleted: None,
            source: None,
            rotation: None,
        }
    }

    fn key(n: u128, volume: Volume) -> Key {
        Key { id: id(n), device: DeviceId(Uuid::nil()), escrowed: "2026-11-20T09:20:00Z".parse().unwrap(), volume }
    }

    #[test]
    fn a_new_key_of_the_same_kind_proves_the_debt() {
        let debt = debt(Volume::OperatingSystem, &[(1, Volume::OperatingSystem)]);
        let keys = [key(1, Volume::OperatingSystem), key(2, Volume::OperatingSystem)];
        assert_eq!(replacement(&debt, &keys, false), Some(Replacement { key: id(2), grade: Proof::NewKeySeen }));
        assert_eq!(replacement(&debt, &keys, true), Some(Replacement { key: id(2), grade: Proof::Confirmed }));
    }

    #[test]
    fn a_known_key_or_another_drives_key_proves_nothing() {
        let debt = debt(Volume::OperatingSystem, &[(1, Volume::OperatingSystem), (3, Volume::OperatingSystem)]);
        let keys = [key(1, Volume::OperatingSystem), key(3, Volume::OperatingSystem), key(4, Volume::FixedData)];
        assert_eq!(replacement(&debt, &keys, true), None);
    }

    #[test]
    fn on_another_object_of_the_laptop_only_a_key_stored_after_the_disclosure_is_new() {
        let mut debt = debt(Volume::OperatingSystem, &[(1, Volume::OperatingSystem)]);
        debt.entra_time = None;
        let mut elsewhere = key(2, Volume::OperatingSystem);
        elsewhere.device = DeviceId(Uuid::from_u128(9));
        elsewhere.escrowed = "2026-11-20T09:00:00Z".parse().unwrap();
        assert_eq!(replacement(&debt, &[elsewhere.clone()], true), None, "no time of Entra's to compare with");
        debt.entra_time = Some(MADE.parse().unwrap());
        assert_eq!(replacement(&debt, &[elsewhere.clone()], true), None);
        elsewhere.escrowed = "2026-11-20T09:00:01Z".parse().unwrap();
        assert_eq!(replacement(&debt, &[elsewhere], true).unwrap().key, id(2));
    }

    #[test]
    fn a_key_that_the_listing_lacked_but_entra_had_long_before_proves_nothing() {
        let debt = debt(Volume::OperatingSystem, &[(1, Volume::OperatingSystem)]);
        let mut overlooked = key(2, Volume::OperatingSystem);
        overlooked.escrowed = "2026-03-02T08:00:00Z".parse().unwrap();
        assert_eq!(replacement(&debt, &[overlooked.clone()], true), None);
        let keys = [overlooked.clone(), key(3, Volume::OperatingSystem)];
        assert_eq!(replacement(&debt, &keys, true), Some(Replacement { key: id(3), grade: Proof::Confirmed }));
        // Entra's own clocks differ a little.
        overlooked.escrowed = "2026-11-20T08:55:01Z".parse().unwrap();
        assert_eq!(replacement(&debt, &[overlooked.clone()], false).unwrap().grade, Proof::NewKeySeen);
        overlooked.escrowed = "2026-11-20T08:55:00Z".parse().unwrap();
        assert_eq!(replacement(&debt, &[overlooked], false), None);
    }

    #[test]
    fn without_entras_times_an_unknown_key_is_only_probably_new() {
        let mut debt = debt(Volume::OperatingSystem, &[(1, Volume::OperatingSystem)]);
        let mut timeless = key(2, Volume::OperatingSystem);
        timeless.escrowed = Timestamp::UNIX_EPOCH;
        assert_eq!(replacement(&debt, &[timeless], true).unwrap().grade, Proof::Probable);
        debt.entra_time = None;
        let found = replacement(&debt, &[key(2, Volume::OperatingSystem)], true).unwrap();
        assert_eq!(found.grade, Proof::Probable);
    }

    #[test]
    fn with_several_data_drives_a_new_key_is_only_probably_the_right_one() {
        let debt = debt(Volume::FixedData, &[(1, Volume::FixedData), (2, Volume::FixedData)]);
        let found = replacement(&debt, &[key(5, Volume::FixedData)], true).unwrap();
        assert_eq!(found.grade, Proof::Probable);
    }

    #[test]
    fn a_new_key_of_unknown_kind_is_only_probable_and_a_fitting_one_wins() {
        let debt = debt(Volume::OperatingSystem, &[(1, Volume::OperatingSystem)]);
        assert_eq!(replacement(&debt, &[key(5, Volume::Unknown)], true).unwrap().grade, Proof::Probable);
        let both = [key(5, Volume::Unknown), key(6, Volume::OperatingSystem)];
        assert_eq!(replacement(&debt, &both, true).unwrap().key, id(6));
    }
}
