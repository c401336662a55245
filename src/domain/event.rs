//! What the ledger records: one event a row. Never a digit of a key, never a token.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    call::{CallId, DisclosureId, Verification},
    caller::Claim,
    debt::{Block, DebtId, InstanceId, KnownKey, Rotation, RotationId, Source, Target},
    device::DeviceId,
    foreign::Foreign,
    key::Volume,
    key_id::KeyId,
    policy::Proof,
    technician::{Technician, UserId},
    ticket::Ticket,
    verdict::Why,
};

/// Who and where: stands in every row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Absent before sign-in, and in rows a later start appends for a desk that died.
    pub technician: Option<Technician>,
    pub tenant: Option<Uuid>,
    /// The app registration's client id.
    pub app: String,
    pub host: String,
    pub account: String,
    pub version: String,
    /// Digest of the effective policy.
    pub policy: String,
    pub instance: InstanceId,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    SignedIn {
        /// Whether it proves that they were at the desk: by credentials, or by a prompt at a desk that had not locked.
        #[serde(default)]
        there: bool,
        /// Template ids of their Entra directory roles, where the id token says them (`wids`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        roles: Option<Vec<Uuid>>,
    },
    /// The session is removed from this machine, and the index with it.
    SignedOut,
    /// What a policy's fingerprint in the stamps stands for: each line as a file would write it. Once for each fingerprint.
    PolicyInForce {
        digest: String,
        lines: BTreeMap<String, String>,
    },
    CallOpened {
        number: u32,
        key: KeyId,
        volume: Volume,
        device: DeviceId,
        device_name: Foreign,
        heard: usize,
        /// Why this device, as the card said. Absent where nobody judged it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Why>,
    },
    CallerVerified {
        method: String,
        words: String,
        claims: Vec<Claim>,
    },
    CallerRefused {
        claims: Vec<Claim>,
    },
    CallParked,
    CallResumed,
    /// Somebody else signed in at the desk and went on with the call: how the caller was verified no longer counts.
    CallTakenOver,
    InWindows,
    CallClosed,
    /// Durable before the key request leaves.
    Intended(Box<Intent>),
    /// Entra handed the key out.
    Served {
        disclosure: DisclosureId,
        rotation: RotationId,
        held_until: Timestamp,
        status: u16,
        request_id: Option<String>,
        /// Blocks that fail the check, from 1.
        faults: Vec<usize>,
    },
    /// Entra certainly handed nothing out.
    Refused {
        disclosure: DisclosureId,
        status: Option<u16>,
        code: String,
        request_id: Option<String>,
    },
    /// Nobody can say: Entra may have recorded a read.
    Unknown {
        disclosure: DisclosureId,
        rotation: RotationId,
        held_until: Timestamp,
        why: String,
    },
    Stage {
        disclosure: DisclosureId,
        what: Stage,
    },
    /// The digits were read to the wrong person: the replacement is urgent, and whoever disclosed the key cannot waive it.
    Compromised {
        disclosure: DisclosureId,
        debt: DebtId,
        /// What happened, in the technician's words. May be empty.
        words: String,
    },
    /// Entra's own record of this read, found by reconciliation.
    EntraRecord {
        disclosure: DisclosureId,
        /// The audit record's id.
        audit: String,
        /// When Entra says it was read.
        at: Timestamp,
        /// Entra logged that it failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        failed: bool,
    },
    /// A rotation for debts that have none, or a retry of one: to go out by then.
    RotationHeld {
        rotation: RotationId,
        until: Timestamp,
        debts: Vec<DebtId>,
    },
    RotationTargeted {
        rotation: RotationId,
        target: Target,
        /// By the person in the stamp, who asked the caller; else by serial number, hardware identity and check-in.
        #[serde(default)]
        chosen: bool,
    },
    /// Another rotation is under way for the same Intune object: it pays these debts too.
    RotationJoined {
        rotation: RotationId,
        into: RotationId,
    },
    /// Committed before the request leaves.
    RotationSending {
        rotation: RotationId,
        /// When the rotation Intune already remembered had started: one that starts later is ours.
        earlier: Option<Timestamp>,
    },
    RotationAccepted {
        rotation: RotationId,
        request_id: Option<String>,
        /// Found in Intune's own list at a later look, not answered to us.
        found: bool,
    },
    /// Held again, to be sent by then.
    RotationReturned {
        rotation: RotationId,
        until: Timestamp,
        why: Return,
    },
    /// The laptop says that it is done.
    RotationReported {
        rotation: RotationId,
    },
    /// The laptop checked in.
    CheckedIn {
        rotation: RotationId,
        at: Timestamp,
    },
    RotationBlocked {
        rotation: RotationId,
        why: Block,
    },
    DebtProved {
        debt: DebtId,
        grade: Proof,
        new_key: KeyId,
    },
    DebtWaived {
        debt: DebtId,
        reason: String,
    },
    /// A key was read that Entra did not hand out: it is owed a replacement all the same.
    ExternalDisclosure(Box<External>),
    /// A person says that the key was replaced: a probable proof confirmed, or a key that Entra never held.
    DebtConfirmed {
        debt: DebtId,
        new_key: Option<KeyId>,
        /// How they know.
        how: String,
    },
    /// Entra logged that the disclosed key was deleted.
    KeyDeleted {
        debt: DebtId,
        /// The audit record's id.
        audit: String,
        at: Timestamp,
    },
    /// Rows were written to a file for somebody else.
    Exported {
        /// "jsonl", "csv" or "evidence".
        format: String,
        /// The first and the last row in it.
        from: u64,
        to: u64,
        /// SHA-256 of the file, lower-case hex.
        sha256: String,
        ticket: Option<Ticket>,
    },
    /// The ledger before this one is damaged: it was kept as it is, and this one begun.
    SetAside {
        /// Below the state folder.
        folder: String,
        /// SHA-256 of its `ledger.db`, lower-case hex.
        sha256: String,
        /// How many of its rows could be read, and the last of them.
        rows: u64,
        head_seq: u64,
        head_hash: String,
        /// Rows that could not be read: each the first and the last of a gap. A debt made there may be missing here.
        unread: Vec<(u64, u64)>,
        /// How many open debts of it could be read: each has a row below.
        debts: usize,
        /// Debts that stand in its tables and that neither these nor its rows could tell. Any of them may have been open.
        #[serde(default, skip_serializing_if = "is_none")]
        debts_unread: usize,
        /// How far the collectors had its rows: what lies behind went to none, and goes to none from here.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        forwarded: Vec<Forwarded>,
    },
    /// A debt that was open in the ledger before this one.
    DebtCarried(Box<Carried>),
    /// A caller who was refused in the ledger before this one, not long ago.
    RefusalCarried {
        /// Of which this ledger has no other row.
        of_call: CallId,
        device: DeviceId,
        at: Timestamp,
        /// The technician's user principal name, where somebody sat there.
        by: Option<Foreign>,
    },
    /// Somebody asked for a replacement without reading a key: the device's current key is owed one all the same.
    ReplacementRequested {
        debt: DebtId,
        rotation: RotationId,
        held_until: Timestamp,
        key: KeyId,
        volume: Volume,
        device: DeviceId,
        device_name: Foreign,
        ticket: Ticket,
        known: Vec<KnownKey>,
        entra_time: Option<Timestamp>,
    },
}

/// Why a rotation is held again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Return {
    /// The request certainly did not begin.
    NotSent,
    /// It was done before one of its debts was made: it cannot pay that one.
    DoneTooEarly,
    /// The laptop reported a failure that passes by itself.
    Busy { hresult: i32 },
}

/// Everything a disclosure is for, and the debt it makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    pub disclosure: DisclosureId,
    pub debt: DebtId,
    pub key: KeyId,
    pub volume: Volume,
    pub device: DeviceId,
    pub device_name: Foreign,
    pub ticket: Ticket,
    /// The policy's reason id, and its words.
    pub reason: String,
    pub reason_words: String,
    /// How the caller was verified.
    pub verification: Verification,
    /// The device's keys just before, on Entra's word.
    pub known: Vec<KnownKey>,
    /// Entra's own clock when they were listed (`Date`).
    pub entra_time: Option<Timestamp>,
}

/// A key read in Active Directory, in MBAM, on paper or in a portal, and the debt it makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct External {
    pub disclosure: DisclosureId,
    pub debt: DebtId,
    pub key: KeyId,
    /// Unknown where Entra does not list it.
    pub volume: Volume,
    pub source: Source,
    /// The Entra device, where it is known: then its keys can be replaced remotely.
    pub device: Option<DeviceId>,
    pub device_name: Foreign,
    pub ticket: Ticket,
    /// The policy's reason id, and its words.
    pub reason: String,
    pub reason_words: String,
    /// How the caller was verified.
    pub verification: Verification,
    /// The device's keys in Entra, and Entra's clock when they were listed.
    pub known: Vec<KnownKey>,
    pub entra_time: Option<Timestamp>,
    /// What is to be sent to the device, and by when.
    pub rotation: Option<Held>,
}

/// A rotation that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub rotation: RotationId,
    pub until: Timestamp,
}

/// A debt as it stood in another ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    pub debt: DebtId,
    pub key: KeyId,
    pub volume: Volume,
    pub device: DeviceId,
    pub device_name: Foreign,
    /// The call that made it, of which this ledger has no other row.
    pub of_call: CallId,
    pub ticket: Ticket,
    pub since: Timestamp,
    pub tenant: Option<Uuid>,
    pub compromised: Option<Timestamp>,
    pub key_deleted: Option<Timestamp>,
    pub source: Option<Source>,
    pub known: Vec<KnownKey>,
    pub entra_time: Option<Timestamp>,
    /// What is to pay it, as far as that had come.
    pub rotation: Option<Rotation>,
    /// When its key was read, the earliest first: who did may not waive it once it is compromised, and it counts against their limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disclosures: Vec<CarriedDisclosure>,
}

/// A disclosure of a debt that was carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedDisclosure {
    pub disclosure: DisclosureId,
    pub of_call: CallId,
    pub ticket: Ticket,
    /// The reason's words.
    pub reason: String,
    pub technician: Option<UserId>,
    pub instance: InstanceId,
    pub at: Timestamp,
    /// served, unknown or external: nobody will learn any more what came of an intent without an outcome.
    pub state: String,
}

/// How far a collector had the rows of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    pub sink: String,
    /// The last row it took; 0 if none.
    pub to: u64,
    /// The first and the last row it never got.
    pub never: Option<(u64, u64)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// What happens on the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Shown,
    Concealed,
    Dropped,
    Printed,
}

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub seq: u64,
    pub at: Timestamp,
    pub stamp: Stamp,
    pub call: Option<CallId>,
    pub event: Event,
    /// SHA-256 of the stored bytes, lower-case hex.
    pub hash: String,
}
