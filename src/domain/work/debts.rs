//! What a person does about a debt.

use crate::domain::{
    call::{CallId, DisclosureId},
    debt::DebtId,
    device::ManagedDeviceId,
    key_id::KeyId,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    pub debt: DebtId,
    pub how: How,
}

/// The digits of a disclosure were read to the wrong person, in a call that still goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongPerson {
    pub call: CallId,
    pub disclosure: DisclosureId,
    /// What happened; may be empty.
    pub words: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Send it now, or again.
    Retry,
    /// Do not send it before `Retry`.
    Hold,
    Waive {
        reason: String,
    },
    /// A person says that the key was replaced, and how they know: closes a probable proof, or a key that Entra never held.
    Confirm {
        new_key: Option<KeyId>,
        how: String,
    },
    /// The caller's serial says which Intune object the laptop is: sent to that one.
    Target {
        managed: ManagedDeviceId,
    },
    /// The digits were read to the wrong person: sent at once, and not for the discloser to waive.
    Compromised {
        /// What happened; may be empty.
        words: String,
    },
}
