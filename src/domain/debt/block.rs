//! Why a rotation cannot go on by itself: what happened, who can change it, what to press then.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DeviceId, Foreign, KeyId, ManagedDeviceId};
use crate::domain::{age, device::ManagedDevice};

/// Candidates named in a sentence; the list itself holds all.
const NAMED: usize = 2;

/// Why a rotation cannot go on by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Block {
    /// Intune knows no device for this key's Entra device.
    NoManagedDevice,
    /// Several Intune objects answer to it, or to its hardware.
    SeveralManagedDevices {
        count: usize,
        #[serde(default)]
        candidates: Vec<Candidate>,
    },
    /// The Intune object names no Entra device: a new key would go nowhere.
    NotJoined,
    /// Entra's object of the laptop is deleted; its keys are still listed.
    DeviceDeleted,
    /// A removable drive: no remote action replaces its key.
    Removable,
    /// Intune refused the technician.
    NotPermitted,
    /// The laptop reported a failure, as an HRESULT.
    Reported {
        hresult: i32,
        /// How often it was asked, where the failure is one that passes by itself.
        #[serde(default)]
        times: u32,
    },
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

/// An Intune object that may be the laptop. No serial: that is the caller's to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub managed: ManagedDeviceId,
    pub device: DeviceId,
    pub name: Foreign,
    pub checked_in: Option<Timestamp>,
}

impl Candidate {
    pub fn of(managed: &ManagedDevice) -> Self {
        Self { managed: managed.id, device: managed.device, name: managed.name.clone(), checked_in: managed.checked_in }
    }

    fn words(&self, now: Timestamp) -> String {
        match self.checked_in {
            Some(at) => format!("{}, checked in {}", self.name, age::ago(at, now)),
            None => format!("{}, never checked in", self.name),
        }
    }
}

impl Block {
    /// The Intune objects to choose among, if that is the question.
    pub fn candidates(&self) -> &[Candidate] {
        match self {
            Self::SeveralManagedDevices { candidates, .. } => candidates,
            _ => &[],
        }
    }

    /// What happened, who can change it, what to press then.
    pub fn sentence(&self, now: Timestamp) -> String {
        match self {
            Self::NoManagedDevice => "Intune knows no laptop for this key. Ask the caller for the serial on the \
                                      sticker; find that device and replace its key there, or waive this with a \
                                      reason."
                .into(),
            Self::SeveralManagedDevices { count, candidates } => which(*count, candidates, now),
            Self::NotJoined => "Intune's object for this laptop names no Entra device, so a new key would go nowhere. \
                                An Entra administrator must join it again, then: t try again."
                .into(),
            Self::DeviceDeleted => "This laptop is deleted in Entra, so a new key would go nowhere. An Entra \
                                    administrator can restore it for 30 days, then: t try again; or waive this with a \
                                    reason."
                .into(),
            Self::Removable => "A removable drive's key cannot be replaced remotely. Have the owner re-encrypt the \
                                drive, then waive this with a reason."
                .into(),
            Self::NotPermitted => "Intune does not let you replace keys. A colleague with Help Desk Operator can, or \
                                   activate that role, then: t try again."
                .into(),
            Self::Reported { hresult, times } => failed(*hresult, *times),
            Self::NotSupported => "Intune says this device cannot replace its key remotely. It needs Windows 10 1909 \
                                   or later, and must be Entra or hybrid joined."
                .into(),
            Self::OnHold => "Put on hold. t sends it.".into(),
            Self::Unsure { key } => format!(
                "New key {} was seen, but several drives could own it. Compare it with the laptop, then confirm it; \
                 or waive this with a reason.",
                key.short()
            ),
            Self::TargetGone => "The laptop has left Intune, or was enrolled anew, since this was sent. t looks for \
                                 it again and sends."
                .into(),
            Self::Cancelled => "Intune says that the replacement was cancelled there. t sends it again.".into(),
            Self::NothingCame => "Sent two weeks ago, and no new key has come. Is the laptop still in use? t sends it \
                                  again; if it is gone for good, waive this with a reason."
                .into(),
            Self::Refused { status, code } => {
                format!("Intune refused ({status}, {code}). Nothing was sent. Wait a little, then: t try again.")
            }
        }
    }
}

/// The question to ask the caller.
fn which(count: usize, candidates: &[Candidate], now: Timestamp) -> String {
    let named: Vec<String> = candidates.iter().take(NAMED).map(|candidate| candidate.words(now)).collect();
    let more = match count.saturating_sub(named.len()) {
        _ if named.is_empty() => String::new(),
        0 => format!(": {}", named.join("; ")),
        n => format!(": {}; and {n} more", named.join("; ")),
    };
    format!(
        "{count} Intune objects answer to this key{more}. Ask the caller for the serial on the sticker, compare it in \
         Intune and choose that one; or have the others retired, then: t try again."
    )
}

/// A failure of the laptop that passes by itself: it is asked again without a person, a few times.
pub fn is_passing(hresult: i32) -> bool {
    matches!(hresult.cast_unsigned(), 0x8031_00E1 | 0x8031_0059)
}

/// Why a laptop that is asked again could not yet.
pub(super) fn passing_words(hresult: i32) -> &'static str {
    match hresult.cast_unsigned() {
        0x8031_0059 => "BitLocker was still working on the drive",
        _ => "the service that stores keys was busy",
    }
}

/// A laptop's failure in words: what it means, and who does what. Codes as seen in `deviceActionResults`; texts are Windows'
/// `FVE_E_*` meanings.
fn failed(hresult: i32, times: u32) -> String {
    let code = format!("0x{:08X}", hresult.cast_unsigned());
    let meaning = match hresult.cast_unsigned() {
        0 => {
            "a failure without a code. t tries again; if that fails too, an Intune administrator looks at the laptop's \
             BitLocker policy."
        }
        0x8031_00DA => {
            "the policy does not require backup to Entra. An Intune administrator must change it, then: t try again."
        }
        0x8031_00DB => {
            "the policy does not require backup of data drives to Entra. An Intune administrator must change it, then: \
             t try again."
        }
        0x8031_00E1 => "the service that stores keys was busy each time. In an hour: t try again.",
        0x8031_0059 => {
            "BitLocker was encrypting or decrypting the drive each time. Once that has finished on the laptop: t try \
             again."
        }
        0x8031_0008 => {
            "BitLocker is not turned on for this drive, so nothing protects it. An Intune administrator must have it \
             encrypted; then waive this with a reason."
        }
        0x8031_0000 => "the drive was locked. Once the caller is in Windows: t try again.",
        0x8031_0012 => {
            "the drive holds what the laptop starts from and cannot be encrypted. Somebody at the laptop must look at \
             its drives; then: t try again."
        }
        0x8031_002D => {
            "the drive is encrypted with other settings than the policy's. An Intune administrator must match the \
             policy to it, then: t try again."
        }
        0x8031_004A => {
            "BitLocker's system files on the laptop are damaged. Have it run Startup Repair, then: t try again."
        }
        0x8009_0029 => {
            "the laptop does not support this. It needs Windows 10 1909 or later; somebody replaces the key at the \
             laptop, then confirm it."
        }
        0x8007_0490 => {
            "the laptop found no key to replace. Somebody at the laptop checks that the drive has a recovery password, \
             then: t try again."
        }
        0x8007_0057 => "the laptop did not understand the request. Have Windows brought up to date, then: t try again.",
        0x8000_4005 => "a general failure. Have the laptop restarted, then: t try again.",
        0x8000_FFFF => {
            "an unexpected failure inside Windows. Have the laptop restarted, then: t try again; if it stays, \
             somebody replaces the key at the laptop."
        }
        _ => "a failure this program has no words for. An Intune administrator can look the code up; t tries again.",
    };
    let asked = if times > 1 { format!(" (asked {times} times)") } else { String::new() };
    format!("Intune reports {code}{asked}: {meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code seen in the field, and 0 for a failure without one.
    const SEEN: [u32; 15] = [
        0x8007_0490,
        0x8031_00DA,
        0x8031_00DB,
        0x8031_00E1,
        0x8031_0008,
        0x8031_0000,
        0x8031_0059,
        0x8031_004A,
        0x8031_0012,
        0x8031_002D,
        0x8009_0029,
        0x8007_0057,
        0x8000_4005,
        0x8000_FFFF,
        0,
    ];

    fn said(hresult: u32) -> String {
        Block::Reported { hresult: hresult.cast_signed(), times: 0 }.sentence(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn every_code_seen_in_the_field_has_words_of_its_own_and_says_what_to_do() {
        let unknown = said(0x8031_0FFF);
        let mut words = Vec::new();
        for code in SEEN {
            let said = said(code);
            let (head, meaning) = said.split_once(": ").unwrap();
            assert_eq!(head, format!("Intune reports 0x{code:08X}"));
            assert!(!unknown.ends_with(meaning), "{said}");
            assert!(
                said.contains("t trie") || said.contains("t try") || said.contains("confirm") || said.contains("waive"),
                "{said}"
            );
            words.push(meaning.to_owned());
        }
        words.sort();
        words.dedup();
        assert_eq!(words.len(), SEEN.len(), "two codes say the same");
    }

    #[test]
    fn an_unknown_code_says_so_with_its_hex() {
        let said = said(0x8031_0FFF);
        assert!(said.starts_with("Intune reports 0x80310FFF: a failure this program has no words for."), "{said}");
    }

    #[test]
    fn a_failure_that_passes_says_how_often_it_was_asked() {
        let said = Block::Reported { hresult: 0x8031_0059_u32.cast_signed(), times: 5 }.sentence(Timestamp::UNIX_EPOCH);
        assert!(said.starts_with("Intune reports 0x80310059 (asked 5 times): BitLocker was encrypting"), "{said}");
        assert!(SEEN.iter().filter(|code| is_passing(code.cast_signed())).count() == 2);
    }

    #[test]
    fn several_objects_leave_a_question_for_the_caller_and_name_no_serial() {
        let candidate = |n, name: &str, at: Option<&str>| Candidate {
            managed: ManagedDeviceId(uuid::Uuid::from_u128(n)),
            device: DeviceId(uuid::Uuid::from_u128(n)),
            name: name.into(),
            checked_in: at.map(|at| at.parse().unwrap()),
        };
        let candidates =
            vec![candidate(1, "HVC-LT-0421", Some("2026-11-18T09:00:00Z")), candidate(2, "HVC-LT-0098", None)];
        let block = Block::SeveralManagedDevices { count: 3, candidates };
        let said = block.sentence("2026-11-20T10:00:00Z".parse().unwrap());
        assert!(
            said.starts_with(
                "3 Intune objects answer to this key: HVC-LT-0421, checked in 2 days ago; HVC-LT-0098, never checked \
                 in; and 1 more. Ask the caller for the serial on the sticker"
            ),
            "{said}"
        );
    }

    #[test]
    fn a_block_written_before_candidates_were_kept_is_still_read() {
        let read = |text| serde_json::from_str::<Block>(text).unwrap();
        assert_eq!(
            read(r#"{"why":"several-managed-devices","count":2}"#),
            Block::SeveralManagedDevices { count: 2, candidates: vec![] }
        );
        assert_eq!(read(r#"{"why":"reported","hresult":-1}"#), Block::Reported { hresult: -1, times: 0 });
    }
}
