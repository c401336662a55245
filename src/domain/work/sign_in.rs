//! Signing in.

use std::time::Duration;

use crate::domain::{
    capability::Lights,
    technician::{Technician, Tenant},
};

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
