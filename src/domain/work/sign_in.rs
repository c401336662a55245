//! Signing in.

use std::time::Duration;

use crate::domain::{
    capability::Lights,
    technician::{Technician, Tenant},
};

/// How a person signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    DeviceCode,
    Browser,
}

/// Which ways the settings offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    DeviceCode,
    Browser,
    Ask,
}

/// What Entra wants the technician to type, and where. The code is shown, not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCode {
    pub user_code: String,
    pub address: String,
    pub expires_in: Duration,
}

/// Signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    pub technician: Technician,
    pub tenant: Tenant,
    pub lights: Lights,
    /// Whether the session outlives the program.
    pub remembered: bool,
}

impl Way {
    pub const ALL: [Self; 2] = [Self::DeviceCode, Self::Browser];

    /// As the settings and the policy write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::DeviceCode => "device-code",
            Self::Browser => "browser",
        }
    }
}

impl Ways {
    pub const ALL: [Self; 3] = [Self::DeviceCode, Self::Browser, Self::Ask];

    /// As the settings write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::DeviceCode => Way::DeviceCode.word(),
            Self::Browser => Way::Browser.word(),
            Self::Ask => "ask",
        }
    }
}
