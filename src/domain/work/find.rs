//! Finding a key or a device.

use crate::domain::{
    device::DeviceSummary,
    key::{Key, Place},
    query::Query,
};

/// Ask the index: answered in microseconds, on every keystroke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub query: Query,
    /// At most so many matches; the totals are counted all the same.
    pub limit: usize,
}

/// Ask Entra and Intune.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp {
    pub query: Query,
}

/// A key whose ID begins as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMatch {
    pub key: Key,
    /// `None`: the directory has no such device any more, or has not been listed yet.
    pub device: Option<DeviceSummary>,
    pub place: Place,
}

/// A device that matches by name, serial, user or GUID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceMatch {
    pub device: DeviceSummary,
    /// What matched beside the name: "serial 7KQ2M", "mara.voss@…". Empty for a name.
    pub because: String,
    /// How many keys the index knows of it.
    pub keys: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub keys: Vec<KeyMatch>,
    pub keys_total: usize,
    /// On how many devices those keys are.
    pub keys_devices: usize,
    pub devices: Vec<DeviceMatch>,
}

impl Found {
    /// The one key on one device, when that is what was found.
    pub fn one_key(&self) -> Option<&KeyMatch> {
        (self.keys_total == 1).then(|| self.keys.first()).flatten()
    }

    pub fn is_empty(&self) -> bool {
        self.keys_total == 0 && self.devices.is_empty()
    }
}
