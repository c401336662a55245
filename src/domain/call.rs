//! A call: one conversation, from first key to close. Its state is folded from the ledger rows under its id.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{caller::Claim, device::DeviceId, foreign::Foreign, guid, key::Volume, key_id::KeyId, ticket::Ticket};

guid! {
    /// One call.
    CallId
}
guid! {
    /// One recovery password shown to one technician for one ticket and reason. Also the `client-request-id` of its request.
    DisclosureId
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallState {
    Open,
    /// Put aside by the technician, or left behind by a desk that ended.
    Parked,
    Closed,
}

/// The caller was verified, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The policy's method id.
    pub method: String,
    /// The method in a note's words: "called back".
    pub words: String,
    pub claims: Vec<Claim>,
    pub at: Timestamp,
}

/// A call as the ledger tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub id: CallId,
    /// Counted up on this machine; what a person calls it.
    pub number: u32,
    pub state: CallState,
    pub opened: Timestamp,
    pub key: KeyId,
    pub volume: Volume,
    pub device: DeviceId,
    pub device_name: Foreign,
    /// How many characters of the key ID the caller read.
    pub heard: usize,
    pub verification: Option<Verification>,
    pub ticket: Option<Ticket>,
    /// The policy's reason, in its words.
    pub reason: Option<String>,
    /// When Entra handed out a key in this call, or may have.
    pub disclosed: Option<Timestamp>,
    /// Whether it certainly did: the digits were here.
    pub read: bool,
    pub in_windows: Option<Timestamp>,
    pub closed: Option<Timestamp>,
}

/// An earlier disclosure for the same device, for the card's "Before".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub at: Timestamp,
    pub key: KeyId,
    pub ticket: Ticket,
    pub reason: String,
}
