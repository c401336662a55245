//! A key's metadata, as listings give it: everything but the recovery password.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{device::DeviceId, key_id::KeyId};

/// Which kind of volume a key unlocks (Graph `volumeType`: 1, 2, 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Volume {
    OperatingSystem,
    FixedData,
    RemovableData,
    #[default]
    Unknown,
}

impl Volume {
    /// What a technician calls it.
    pub fn words(self) -> &'static str {
        match self {
            Self::OperatingSystem => "OS drive",
            Self::FixedData => "data drive",
            Self::RemovableData => "removable drive",
            Self::Unknown => "drive not known",
        }
    }

    /// Whether `rotateBitLockerKeys` replaces it: OS and fixed drives only (BitLocker CSP, `RotateRecoveryPasswords`).
    pub fn can_be_rotated(self) -> bool {
        self != Self::RemovableData
    }
}

/// One escrowed key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub id: KeyId,
    /// The Entra device id the key was backed up from. May name a device that no longer exists.
    pub device: DeviceId,
    /// When Entra stored it.
    pub escrowed: Timestamp,
    pub volume: Volume,
}

/// Where a key stands among those of its device and volume kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The newest of its kind on this device.
    Current,
    /// A newer key of the OS drive exists, and there is only one such drive.
    Superseded,
    /// The volume kind is not known, or a newer key of a kind that several drives may share exists.
    Unsure,
}

impl Standing {
    pub fn words(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Superseded => "superseded",
            Self::Unsure => "not sure",
        }
    }
}

/// `rank` counted from the newest, 1 to `of`, among all keys of the same device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub rank: usize,
    pub of: usize,
}

impl Place {
    /// "only one", "newest of 3", "older of 2", "3rd of 5".
    pub fn words(self) -> String {
        match self {
            Self { of: 0 | 1, .. } => "only one".into(),
            Self { rank: 1, of } => format!("newest of {of}"),
            Self { of: 2, .. } => "older of 2".into(),
            Self { rank, of } if rank == of => format!("oldest of {of}"),
            Self { rank, of } => format!("number {rank} of {of}"),
        }
    }
}

/// The place of `id` in `keys`, whatever their order; `None` when it is not among them.
pub fn place(keys: &[Key], id: KeyId) -> Option<Place> {
    let asked = keys.iter().find(|key| key.id == id)?;
    let newer = keys.iter().filter(|key| key.escrowed > asked.escrowed).count();
    Some(Place { rank: newer + 1, of: keys.len() })
}

/// The standing of `key` among `keys` of the same device.
pub fn standing(keys: &[Key], key: &Key) -> Standing {
    let newer = keys.iter().any(|other| other.volume == key.volume && other.escrowed > key.escrowed);
    match (key.volume, newer) {
        (Volume::OperatingSystem, true) => Standing::Superseded,
        // Several drives may share a kind: a newer key may belong to another one.
        (_, true) | (Volume::Unknown, false) => Standing::Unsure,
        (_, false) => Standing::Current,
    }
}

/// Newest first.
pub fn sort_newest_first(keys: &mut [Key]) {
    keys.sort_by(|a, b| b.escrowed.cmp(&a.escrowed).then(a.id.cmp(&b.id)));
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn key(id: u128, day: i64, volume: Volume) -> Key {
        Key {
            id: KeyId(uuid::Uuid::from_u128(id)),
            device: DeviceId(uuid::Uuid::from_u128(9)),
            escrowed: Timestamp::from_second(day * 86_400).unwrap(),
            volume,
        }
    }

    #[test]
    fn the_newest_key_of_the_os_drive_is_current_and_the_others_are_superseded() {
        let keys = [key(1, 10, Volume::OperatingSystem), key(2, 20, Volume::OperatingSystem)];
        assert_eq!(standing(&keys, &keys[0]), Standing::Superseded);
        assert_eq!(standing(&keys, &keys[1]), Standing::Current);
    }

    #[rstest]
    #[case(Volume::FixedData)]
    #[case(Volume::RemovableData)]
    #[case(Volume::Unknown)]
    fn an_older_key_of_any_other_kind_may_belong_to_another_drive(#[case] volume: Volume) {
        let keys = [key(1, 10, volume), key(2, 20, volume)];
        assert_eq!(standing(&keys, &keys[0]), Standing::Unsure);
    }

    #[rstest]
    #[case(Volume::FixedData, Standing::Current)]
    #[case(Volume::RemovableData, Standing::Current)]
    #[case(Volume::Unknown, Standing::Unsure)]
    fn the_newest_key_is_current_only_if_its_kind_is_known(#[case] volume: Volume, #[case] expected: Standing) {
        let keys = [key(1, 10, volume), key(2, 20, Volume::OperatingSystem)];
        assert_eq!(standing(&keys, &keys[0]), expected);
    }

    #[test]
    fn places_are_counted_from_the_newest() {
        let keys =
            [key(1, 10, Volume::OperatingSystem), key(2, 20, Volume::OperatingSystem), key(3, 5, Volume::FixedData)];
        assert_eq!(place(&keys, keys[1].id).unwrap().words(), "newest of 3");
        assert_eq!(place(&keys, keys[0].id).unwrap().words(), "number 2 of 3");
        assert_eq!(place(&keys, keys[2].id).unwrap().words(), "oldest of 3");
        assert_eq!(place(&keys, KeyId(uuid::Uuid::nil())), None);
    }
}
