//! One recovery password, shown to one technician, for one ticket and reason.

use jiff::Timestamp;

use crate::domain::{
    call::{CallId, DisclosureId},
    event::Stage,
    key_id::KeyId,
    recovery_password::{Fault, RecoveryPassword},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub call: CallId,
    pub key: KeyId,
    /// As typed; read against the policy.
    pub ticket: String,
    /// The policy's reason id.
    pub reason: String,
    /// Go on although the ticket was used for another device.
    pub same_ticket_confirmed: bool,
}

/// Entra handed the key out.
#[derive(Clone, Debug, PartialEq)]
pub struct Disclosed {
    pub disclosure: DisclosureId,
    pub password: RecoveryPassword,
    /// What fails Microsoft's check.
    pub faults: Vec<Fault>,
    pub at: Timestamp,
    /// The second row could not be written; the durable intent stands. In a sentence.
    pub record_warning: Option<String>,
}

/// The key was shown, concealed or dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnStage {
    pub call: CallId,
    pub disclosure: DisclosureId,
    pub what: Stage,
}
