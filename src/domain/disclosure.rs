//! What came of a key request.

use uuid::Uuid;

use super::{
    call::{CallId, DisclosureId},
    device::DeviceId,
    technician::Technician,
};

/// The three ways it can end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Handed out. `faults`: blocks that fail the check, from 1.
    Served { status: u16, request_id: Option<String>, faults: Vec<usize> },
    /// Certainly not handed out.
    Refused { status: Option<u16>, code: String, request_id: Option<String> },
    /// Nobody can say.
    Unknown { why: String },
}

/// An outcome that belongs in the ledger, now or as soon as it can be written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritten {
    pub call: CallId,
    pub disclosure: DisclosureId,
    pub device: DeviceId,
    /// Who asked for the key: the row is theirs, whoever sits here when it is written.
    pub technician: Technician,
    pub tenant: Uuid,
    pub outcome: Outcome,
}
