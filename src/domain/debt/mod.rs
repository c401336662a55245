//! What a disclosure leaves behind: this key must be replaced. A debt ends *proved* or *waived*, or stands on a visible list.

mod block;
mod fold;
mod proof;
mod rotation;
mod sentence;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    call::CallId,
    device::{DeviceId, ManagedDeviceId},
    foreign::Foreign,
    guid,
    key::{Key, Volume},
    key_id::KeyId,
    policy::Proof,
    ticket::Ticket,
};

pub use block::{Block, Candidate, is_passing};
pub use proof::{Replacement, replacement};
pub use rotation::{Decision, Next, Seen, Sight, Situation, Times, Urgency, decide};

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

/// A rotation as the ledger tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    pub id: RotationId,
    pub state: RotationState,
    /// The Intune object it is for, once chosen.
    pub target: Option<Target>,
    /// While sending: when the rotation Intune already remembered had started.
    pub earlier: Option<Timestamp>,
    /// The target was chosen by a person, who asked the caller.
    pub chosen: bool,
    /// When the laptop last checked in, as Intune said at the last look.
    pub checked_in: Option<Timestamp>,
    /// The laptop was busy, and how often in a row: it is asked again by itself.
    pub busy: Option<Busy>,
}

/// A failure that passes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    pub hresult: i32,
    /// How often in a row, from 1.
    pub times: u32,
}

impl Rotation {
    /// One of which nothing more is known than its state.
    pub fn new(id: RotationId, state: RotationState) -> Self {
        Self { id, state, target: None, earlier: None, chosen: false, checked_in: None, busy: None }
    }
}

/// A debt with the rotation that is to pay it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    pub id: DebtId,
    pub key: KeyId,
    pub volume: Volume,
    /// Where the key was found: the Entra device. [`NO_DEVICE`](super::device::NO_DEVICE) for a key read elsewhere, of a device Entra is not known to hold.
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
    /// When Entra logged that the key was deleted there, if it did.
    pub key_deleted: Option<Timestamp>,
    /// Where the key was read, if not from Entra.
    pub source: Option<Source>,
    pub rotation: Option<Rotation>,
}

/// Where a key was read that Entra did not hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The computer's object in Active Directory.
    Ad,
    /// Microsoft BitLocker Administration and Monitoring, or Configuration Manager.
    Mbam,
    /// A printout, or a file kept somewhere.
    Paper,
    /// A Microsoft portal, past this program.
    Portal,
}

impl Source {
    pub const ALL: [Self; 4] = [Self::Ad, Self::Mbam, Self::Paper, Self::Portal];

    pub fn word(self) -> &'static str {
        match self {
            Self::Ad => "ad",
            Self::Mbam => "mbam",
            Self::Paper => "paper",
            Self::Portal => "portal",
        }
    }

    /// "read from …"
    pub fn words(self) -> &'static str {
        match self {
            Self::Ad => "Active Directory",
            Self::Mbam => "MBAM",
            Self::Paper => "paper",
            Self::Portal => "a Microsoft portal",
        }
    }
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
        let is_stuck = matches!(why, Some(RotationState::Blocked { why, .. }) if *why != Block::OnHold);
        self.is_open() && (is_stuck || self.is_by_hand())
    }

    /// No remote action reaches it: a person replaces the key at the laptop and says so.
    pub fn is_by_hand(&self) -> bool {
        self.is_open() && self.source.is_some() && self.rotation.is_none()
    }

    /// The key was read to the wrong person: its replacement comes before every other.
    pub fn is_urgent(&self) -> bool {
        self.is_open() && self.compromised.is_some()
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
        self.is_open() && !sent && !self.is_by_hand()
    }

    /// One word for the list.
    pub fn word(&self) -> &'static str {
        match (&self.state, self.rotation.as_ref().map(|r| &r.state)) {
            (DebtState::Proved { .. }, _) => "proved",
            (DebtState::Waived { .. }, _) => "waived",
            (DebtState::Cancelled { .. }, _) => "not handed out",
            (DebtState::Owed, None) if self.is_by_hand() => "by hand",
            (DebtState::Owed, None | Some(RotationState::Held { .. })) => "held",
            (DebtState::Owed, Some(RotationState::Sending { .. })) => "sending",
            (DebtState::Owed, Some(RotationState::Accepted { .. })) => "accepted",
            (DebtState::Owed, Some(RotationState::Reported { .. } | RotationState::Over { .. })) => "reported",
            (DebtState::Owed, Some(RotationState::Blocked { why: Block::OnHold, .. })) => "on hold",
            (DebtState::Owed, Some(RotationState::Blocked { .. })) => "blocked",
        }
    }
}

/// Open debts for the status line: how many, the oldest's age, whether one is blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DebtSummary {
    pub open: usize,
    pub oldest: Option<Timestamp>,
    pub blocked: bool,
    /// One of them was read to the wrong person.
    pub urgent: bool,
}

impl DebtSummary {
    pub fn of(debts: &[Debt]) -> Self {
        let open = debts.iter().filter(|debt| debt.is_open());
        Self {
            open: open.clone().count(),
            oldest: open.clone().map(|debt| debt.since).min(),
            blocked: open.clone().any(Debt::is_blocked),
            urgent: open.clone().any(Debt::is_urgent),
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
