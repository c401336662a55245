//! Devices as Entra and Intune know them. Three GUIDs, three types: object id, device id, Intune's id.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{foreign::Foreign, guid};

guid! {
    /// Entra's `deviceId`: what keys and Intune refer to.
    DeviceId
}
guid! {
    /// The directory object's `id`.
    ObjectId
}
guid! {
    /// Intune's `managedDevice.id`.
    ManagedDeviceId
}
guid! {
    /// Autopilot's hardware identity (`physicalIds`, `[ZTDId]:…`): the same on two objects means the same hardware.
    ZtdId
}

impl ObjectId {
    /// The first six characters, enough to tell one duplicate from another on a screen.
    pub fn short(self) -> String {
        self.0.simple().to_string()[..6].to_owned()
    }
}

/// How a device belongs to the tenant (Graph `trustType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// `AzureAd`
    EntraJoined,
    /// `ServerAd`
    HybridJoined,
    /// `Workplace`: somebody's own device; it cannot escrow a BitLocker key by policy.
    Registered,
    #[default]
    Unknown,
}

impl Join {
    pub fn words(self) -> &'static str {
        match self {
            Self::EntraJoined => "Entra joined",
            Self::HybridJoined => "hybrid joined",
            Self::Registered => "registered",
            Self::Unknown => "join not known",
        }
    }
}

/// An Entra device object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub object: ObjectId,
    pub id: DeviceId,
    pub name: Foreign,
    pub join: Join,
    pub enabled: Option<bool>,
    pub compliant: Option<bool>,
    /// Blurred by Entra: rewritten only when the stored value is more than 14 days old, give or take five.
    pub last_sign_in: Option<Timestamp>,
    /// `None` with a hybrid join: a *pending* object, whose computer has not registered.
    pub registered: Option<Timestamp>,
    pub hardware: Option<ZtdId>,
}

impl Device {
    pub fn is_pending(&self) -> bool {
        self.join == Join::HybridJoined && self.registered.is_none()
    }
}

/// The last word on one remote action (Graph `deviceActionResults` entry).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionResult {
    pub state: ActionState,
    pub started: Option<Timestamp>,
    pub updated: Option<Timestamp>,
    /// A signed 32-bit HRESULT; 0 when all is well or nothing is known.
    pub error: i32,
}

/// Graph `actionState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionState {
    None,
    Pending,
    Canceled,
    Active,
    Done,
    Failed,
    NotSupported,
    Unknown,
}

/// An Intune object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedDevice {
    pub id: ManagedDeviceId,
    /// `azureADDeviceId`, verified to be the one that was asked for.
    pub device: DeviceId,
    pub name: Foreign,
    pub serial: Foreign,
    pub model: Foreign,
    pub owner: Foreign,
    pub owner_upn: Foreign,
    pub checked_in: Option<Timestamp>,
    pub enrolled: Option<Timestamp>,
    pub compliance: Compliance,
    pub encrypted: Option<bool>,
    /// The newest BitLocker rotation Intune remembers. Filled by a read of this one device only: lists leave it empty.
    pub rotation: Option<ActionResult>,
}

/// Graph `complianceState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compliance {
    Compliant,
    Noncompliant,
    InGracePeriod,
    Conflict,
    Error,
    #[default]
    Unknown,
}

impl Compliance {
    pub fn words(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::Noncompliant => "not compliant",
            Self::InGracePeriod => "in grace period",
            Self::Conflict => "policies in conflict",
            Self::Error => "compliance error",
            Self::Unknown => "compliance not known",
        }
    }
}

/// What the directory index keeps of a device, and what a list of matches shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSummary {
    pub id: DeviceId,
    pub name: Foreign,
    pub join: Join,
}

/// No device: Intune and Entra both write it where they mean nothing.
pub const NO_DEVICE: DeviceId = DeviceId(Uuid::nil());
