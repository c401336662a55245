//! Opening a device: its keys listed afresh, its duplicates judged.

use jiff::Timestamp;

use crate::domain::{
    call::{Earlier, Refusal},
    caller::Knowledge,
    device::{Device, DeviceId, ManagedDevice},
    escrow::Escrow,
    key::Key,
    key_id::KeyId,
    verdict::Verdict,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub device: DeviceId,
    /// The key the caller read, when one was found.
    pub asked: Option<KeyId>,
}

/// The device card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub id: DeviceId,
    /// `None`: deleted in Entra; its keys live on.
    pub device: Option<Device>,
    /// What Intune knows of it. Usually one, sometimes none.
    pub managed: Vec<ManagedDevice>,
    /// Why Intune could not be asked, when it could not.
    pub managed_failure: Option<String>,
    /// Newest first, as Entra listed them just now.
    pub keys: Vec<Key>,
    pub asked: Option<KeyId>,
    /// The other objects that bear its name, in the order of `verdict.objects` after the first.
    pub duplicates: Vec<Duplicate>,
    pub verdict: Option<Verdict>,
    pub escrow: Escrow,
    /// Earlier disclosures for this device on this machine, newest first.
    pub earlier: Vec<Earlier>,
    /// Callers for this device who could not be verified on this machine in the last 30 days, newest first.
    pub refusals: Vec<Refusal>,
    pub seen: Timestamp,
}

/// Another object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    pub device: Device,
    /// How many keys it holds; `None` when they could not be listed.
    pub keys: Option<usize>,
}

impl Card {
    /// The key the call is about.
    pub fn asked_key(&self) -> Option<&Key> {
        self.keys.iter().find(|key| Some(key.id) == self.asked)
    }

    /// What there is to compare a caller's claims with.
    pub fn knowledge(&self) -> Knowledge {
        if self.managed_failure.is_some() { Knowledge::NotAsked } else { Knowledge::of(&self.managed) }
    }

    /// The newest check-in Intune knows.
    pub fn checked_in(&self) -> Option<Timestamp> {
        self.managed.iter().filter_map(|managed| managed.checked_in).max()
    }
}
