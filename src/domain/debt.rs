//! What a disclosure leaves behind: this key must be replaced. A debt ends *proved* or *waived*, or stands on a visible list.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    age,
    call::CallId,
    device::{DeviceId, ManagedDeviceId},
    foreign::Foreign,
    guid,
    key::{Key, Volume},
    key_id::KeyId,
    moment::since,
    policy::Proof,
    ticket::Ticket,
};

guid! {
    /// One debt: one disclosed key.
    DebtId
}
guid! {
    /// One rotation: the remote action that pays the debts of one device.
    RotationId
}

/// Where a debt stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum DebtState {
    Owed,
    Proved {
        grade: Proof,
        /// `None` where a person proved it and no key was seen.
        new_key: Option<KeyId>,
        at: Timestamp,
    },
    Waived {
        reason: String,
        at: Timestamp,
    },
    /// The key was certainly never handed out.
    Cancelled {
        at: Timestamp,
    },
}

/// Where a rotation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RotationState {
    /// Goes out when the caller is in Windows, at the latest then.
    Held {
        until: Timestamp,
    },
    /// Committed before the request; an answer may be missing.
    Sending {
        since: Timestamp,
    },
    /// Intune took it; now the laptop has to check in.
    Accepted {
        at: Timestamp,
    },
    /// The laptop reported: done, and Entra should show a new key soon.
    Reported {
        at: Timestamp,
    },
    Blocked {
        why: Block,
        at: Timestamp,
    },
    /// Nothing is left for it to pay.
    Over {
        at: Timestamp,
    },
}

/// Why a rotation cannot go on by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Block {
    /// Intune knows no device for this key's Entra device.
    NoManagedDevice,
    /// Several Intune objects answer to it, or to its hardware.
    SeveralManagedDevices { count: usize },
    /// A removable drive: no remote action replaces its key.
    Removable,
    /// Intune refused the technician.
    NotPermitted,
    /// The laptop reported a failure, as an HRESULT.
    Reported { hresult: i32 },
    /// Intune says that this device cannot.
    NotSupported,
    /// The technician put it on hold.
    OnHold,
    /// A new key was seen, but it may be another drive's.
    Unsure { key: KeyId },
    /// The Intune object the rotation was for is gone, or belongs to another Entra device now.
    TargetGone,
    /// Intune says that the action was cancelled.
    Cancelled,
    /// Sent long ago, and nothing came of it.
    NothingCame,
    /// Something else was answered.
    Refused { status: u16, code: String },
}

/// A rotation as the ledger tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    pub id: RotationId,
    pub state: RotationState,
    /// The Intune object it is for, once chosen.
    pub target: Option<Target>,
    /// While sending: when the rotation Intune already remembered had started.
    pub earlier: Option<Timestamp>,
    /// When the laptop last checked in, as Intune said at the last look.
    pub checked_in: Option<Timestamp>,
}

/// A debt with the rotation that is to pay it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    pub id: DebtId,
    pub key: KeyId,
    pub volume: Volume,
    /// Where the key was found: the Entra device.
    pub device: DeviceId,
    pub device_name: Foreign,
    pub call: CallId,
    pub ticket: Ticket,
    pub since: Timestamp,
    /// The tenant it is owed in; followed only while signed in there.
    pub tenant: Option<Uuid>,
    pub state: DebtState,
    /// The device's key IDs and volumes before the disclosure: what is new later is measured against them.
    pub known: Vec<KnownKey>,
    /// Entra's clock when they were listed.
    pub entra_time: Option<Timestamp>,
    /// When the key was read to the wrong person, if it was.
    pub compromised: Option<Timestamp>,
    pub rotation: Option<Rotation>,
}

/// One key of the set recorded before a disclosure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownKey {
    pub id: KeyId,
    pub volume: Volume,
}

impl KnownKey {
    pub fn of(key: &Key) -> Self {
        Self { id: key.id, volume: key.volume }
    }
}

impl Debt {
    pub fn is_open(&self) -> bool {
        self.state == DebtState::Owed
    }

    /// When it ended, if it did.
    pub fn ended(&self) -> Option<Timestamp> {
        match self.state {
            DebtState::Owed => None,
            DebtState::Proved { at, .. } | DebtState::Waived { at, .. } | DebtState::Cancelled { at } => Some(at),
        }
    }

    /// Wants a person. One that was put on hold on purpose does not.
    pub fn is_blocked(&self) -> bool {
        let why = self.rotation.as_ref().map(|rotation| &rotation.state);
        self.is_open() && matches!(why, Some(RotationState::Blocked { why, .. }) if *why != Block::OnHold)
    }

    /// Its rotation is on its way or done: nothing to hold, nothing to send again.
    pub fn is_sent(&self) -> bool {
        matches!(
            self.rotation.as_ref().map(|rotation| &rotation.state),
            Some(RotationState::Sending { .. } | RotationState::Accepted { .. } | RotationState::Reported { .. })
        )
    }

    /// Not sent yet: what quitting leaves to the next start.
    pub fn is_unsent(&self) -> bool {
        let sent = matches!(
            self.rotation.as_ref().map(|r| &r.state),
            Some(
                RotationState::Accepted { .. }
                    | RotationState::Reported { .. }
                    | RotationState::Blocked { .. }
                    | RotationState::Over { .. }
            )
        );
        self.is_open() && !sent
    }

    /// One word for the list.
    pub fn word(&self) -> &'static str {
        match (&self.state, self.rotation.as_ref().map(|r| &r.state)) {
            (DebtState::Proved { .. }, _) => "proved",
            (DebtState::Waived { .. }, _) => "waived",
            (DebtState::Cancelled { .. }, _) => "not handed out",
            (DebtState::Owed, None | Some(RotationState::Held { .. })) => "held",
            (DebtState::Owed, Some(RotationState::Sending { .. })) => "sending",
            (DebtState::Owed, Some(RotationState::Accepted { .. })) => "accepted",
            (DebtState::Owed, Some(RotationState::Reported { .. } | RotationState::Over { .. })) => "reported",
            (DebtState::Owed, Some(RotationState::Blocked { why: Block::OnHold, .. })) => "on hold",
            (DebtState::Owed, Some(RotationState::Blocked { .. })) => "blocked",
        }
    }

    /// What it waits for, in a sentence or two.
    pub fn sentence(&self, now: Timestamp, zone: &TimeZone) -> String {
        match &self.state {
            DebtState::Proved { grade, new_key, at } => {
                let seen = match new_key {
                    Some(key) => format!("New key {} seen at {}", key.short(), age::clock(*at, zone)),
                    None => format!("Confirmed at {}", age::clock(*at, zone)),
                };
                match grade {
                    Proof::ByHand => format!("{seen} by a person."),
                    Proof::Confirmed => format!("{seen}; the laptop reported success."),
                    Proof::NewKeySeen => format!("{seen}."),
                    Proof::Probable => format!("{seen}; probably in its place."),
                }
            }
            DebtState::Waived { reason, at } => format!("Waived at {}: {reason}.", age::clock(*at, zone)),
            DebtState::Cancelled { .. } => "The key was not handed out: nothing to replace.".into(),
            DebtState::Owed => self
                .rotation
                .as_ref()
                .map_or_else(|| "Nothing is sent yet.".into(), |rotation| rotation.sentence(now, zone)),
        }
    }
}

impl Rotation {
    fn sentence(&self, now: Timestamp, zone: &TimeZone) -> String {
        match &self.state {
            RotationState::Held { until } => {
                if *until > now {
                    format!("Held until the caller is in Windows, or {} at the latest.", age::clock(*until, zone))
                } else {
                    format!("Due since {}; it goes out as soon as Intune can be asked.", age::clock(*until, zone))
                }
            }
            RotationState::Sending { since: at } => {
                format!("Being sent since {}; Intune's answer is not known yet.", age::clock(*at, zone))
            }
            RotationState::Accepted { at } => {
                let sent = age::ago(*at, now);
                match self.checked_in {
                    Some(seen) if seen >= *at => {
                        format!("Sent {sent}; the laptop checked in at {}.", age::clock(seen, zone))
                    }
                    Some(seen) if since(seen, now) < Duration::from_hours(24) => {
                        format!("Sent {sent}; the laptop has not checked in since {}.", age::clock(seen, zone))
                    }
                    Some(seen) => format!("Sent {sent}; the laptop last checked in {}.", age::ago(seen, now)),
                    None => format!("Sent {sent}; the laptop has not checked in since."),
                }
            }
            RotationState::Reported { at } => {
                format!("The laptop reported success at {}; waiting for the new key in Entra.", age::clock(*at, zone))
            }
            RotationState::Blocked { why, .. } => why.sentence(),
            RotationState::Over { .. } => "Nothing is left to send.".into(),
        }
    }
}

impl Block {
    /// What happened, who can change it, what to press then.
    pub fn sentence(&self) -> String {
        match self {
            Self::NoManagedDevice => {
                "Intune knows no laptop for this key. Ask the caller for the serial on the sticker; \
                                      find that device and replace its key there, or waive this with a reason."
                    .into()
            }
            Self::SeveralManagedDevices { count } => format!(
                "{count} Intune objects answer to this device. Ask the caller for the serial on the sticker; \
                 an Intune administrator must retire the others, then: t try again."
            ),
            Self::Removable => {
                "A removable drive's key cannot be replaced remotely. Have the owner re-encrypt the drive, then waive \
                                this with a reason."
                    .into()
            }
            Self::NotPermitted => "Intune does not let you replace keys. A colleague with Help Desk Operator can, \
                                   or activate that role, then: t try again."
                .into(),
            Self::Reported { hresult } => hresult_sentence(*hresult),
            Self::NotSupported => {
                "Intune says this device cannot replace its key remotely. It needs Windows 10 1909 or later, and \
                                   must be Entra or hybrid joined."
                    .into()
            }
            Self::OnHold => "Put on hold. t sends it.".into(),
            Self::Unsure { key } => format!(
                "New key {} was seen, but several drives could own it. Compare it with the laptop, then waive this with a reason.",
                key.short()
            ),
            Self::TargetGone => {
                "The laptop has left Intune, or was enrolled anew, since this was sent. t looks for it again and sends."
                    .into()
            }
            Self::Cancelled => "Intune says that the replacement was cancelled there. t sends it again.".into(),
            Self::NothingCame => {
                "Sent two weeks ago, and no new key has come. Is the laptop still in use? t sends it again; \
                                  if it is gone for good, waive this with a reason."
                    .into()
            }
            Self::Refused { status, code } => {
                format!("Intune refused ({status}, {code}). Nothing was sent. Wait a little, then: t try again.")
            }
        }
    }
}

/// A laptop's failure in words. Codes as seen in `deviceActionResults`; texts are Windows' `FVE_E_*` meanings.
fn hresult_sentence(hresult: i32) -> String {
    let code = format!("0x{:08X}", hresult.cast_unsigned());
    let meaning = match hresult.cast_unsigned() {
        0x8031_00DA => {
            "the policy does not require backup to Entra. An Intune administrator must change it, then: t try again."
        }
        0x8031_00DB => {
            "the policy does not require backup of data drives to Entra. An Intune administrator must change it, then: t try again."
        }
        0x8031_00E1 => "the service that stores keys was busy. t tries again.",
        0x8031_0008 => "BitLocker is not turned on for this drive.",
        0x8031_0000 => "the drive was locked. Once the caller is in Windows: t try again.",
        0x8031_0059 => "BitLocker is busy on this drive, encrypting or decrypting. Later: t try again.",
        0x8031_004A => "BitLocker's system files on the laptop are damaged. It needs Startup Repair.",
        0x8009_0029 => "the laptop does not support this.",
        0x8007_0490 => "the laptop found no key to replace. Later: t try again.",
        0x8007_0057 => "the laptop did not understand the request.",
        _ => "a failure this program has no words for. An Intune administrator can look it up; t tries again.",
    };
    format!("Intune reports {code}: {meaning}")
}

/// A key that came after the disclosure and replaces `debt`'s key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    pub key: KeyId,
    pub grade: Proof,
}

/// The best replacement for `debt` among `keys`, a fresh listing of the device it was paid on. `reported` is whether the laptop said
/// to Intune that its rotation succeeded.
pub fn replacement(debt: &Debt, keys: &[Key], reported: bool) -> Option<Replacement> {
    // The recorded set is that of the device the key was found on. On another object of the same laptop only a key stored after the
    // disclosure is new; both times are Entra's.
    let came_after = |key: &Key| key.device == debt.device || debt.entra_time.is_some_and(|made| key.escrowed > made);
    let is_new = |key: &&Key| debt.known.iter().all(|known| known.id != key.id) && came_after(key);
    let fits =
        |key: &&Key| key.volume == debt.volume || key.volume == Volume::Unknown || debt.volume == Volume::Unknown;
    let newest = keys.iter().filter(is_new).filter(fits).max_by_key(|key| (key.volume == debt.volume, key.escrowed))?;
    let grade = match () {
        () if newest.volume != debt.volume || shares_its_kind(debt) => Proof::Probable,
        () if reported => Proof::Confirmed,
        () => Proof::NewKeySeen,
    };
    Some(Replacement { key: newest.id, grade })
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

/// Open debts for the status line: how many, the oldest's age, whether one is blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DebtSummary {
    pub open: usize,
    pub oldest: Option<Timestamp>,
    pub blocked: bool,
}

impl DebtSummary {
    pub fn of(debts: &[Debt]) -> Self {
        let open = debts.iter().filter(|debt| debt.is_open());
        Self {
            open: open.clone().count(),
            oldest: open.clone().map(|debt| debt.since).min(),
            blocked: open.clone().any(Debt::is_blocked),
        }
    }
}

/// A rotation's debts are owed to one Intune object; this names it in events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub managed: ManagedDeviceId,
    /// The Entra device it belongs to now: where the new key will appear.
    pub device: DeviceId,
}

/// A process that writes to the ledger. It holds a file lock named so while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub Uuid);

#[cfg(test)]
mod tests {
    use super::*;

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
            entra_time: None,
            compromised: None,
            rotation: None,
        }
    }

    fn key(n: u128, volume: Volume) -> Key {
        Key { id: id(n), device: DeviceId(Uuid::nil()), escrowed: Timestamp::UNIX_EPOCH, volume }
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
        let mut elsewhere = key(2, Volume::OperatingSystem);
        elsewhere.device = DeviceId(Uuid::from_u128(9));
        elsewhere.escrowed = "2026-11-20T09:00:00Z".parse().unwrap();
        assert_eq!(replacement(&debt, &[elsewhere.clone()], true), None, "no time of Entra's to compare with");
        debt.entra_time = Some("2026-11-20T09:00:00Z".parse().unwrap());
        assert_eq!(replacement(&debt, &[elsewhere.clone()], true), None);
        elsewhere.escrowed = "2026-11-20T09:00:01Z".parse().unwrap();
        assert_eq!(replacement(&debt, &[elsewhere], true).unwrap().key, id(2));
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

    #[test]
    fn failures_have_their_code_and_a_sentence() {
        let said = Block::Reported { hresult: -2_144_272_166 }.sentence();
        assert!(said.starts_with("Intune reports 0x803100DA: the policy does not require backup to Entra."), "{said}");
    }
}
