//! The steps of a call that leave a ledger row.

use crate::domain::{
    call::{Call, CallId},
    caller::{Claim, Knowledge},
    debt::Debt,
    device::DeviceId,
    foreign::Foreign,
    key::Volume,
    key_id::KeyId,
    verdict::Why,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub key: KeyId,
    pub volume: Volume,
    pub device: DeviceId,
    pub device_name: Foreign,
    /// How many characters of the key ID the caller read.
    pub heard: usize,
    /// Why this device, where it was judged.
    pub why: Option<Why>,
}

/// The technician's word on the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    pub call: CallId,
    /// The policy's method id; `None` refuses the caller and closes the call.
    pub method: Option<String>,
    pub claims: Vec<Claim>,
    /// What there was to compare with.
    pub known: Knowledge,
}

/// "In Windows again": the digits are gone, the rotation goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InWindows {
    pub call: CallId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Park {
    pub call: CallId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    pub call: CallId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    pub call: CallId,
}

/// A call with its debts and its note so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub call: Call,
    pub debts: Vec<Debt>,
    pub note: crate::domain::note::Note,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub call: Call,
    pub note: crate::domain::note::Note,
}

/// What was left from before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaughtUp {
    /// Calls not closed: parked, or left behind when a desk ended.
    pub calls: Vec<Call>,
    pub debts: Vec<Debt>,
    /// What recovery did, in sentences: outcomes that are now known to be unknown.
    pub recovered: Vec<String>,
}

/// Who calls next in the demo, and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingCaller {
    pub name: String,
    /// Their laptop's model, and the serial on its sticker: what a caller can answer when asked.
    pub model: String,
    pub serial: String,
    /// What they say first.
    pub says: String,
}
