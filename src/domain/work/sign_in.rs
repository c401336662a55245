//! Signing in.

use std::time::Duration;

use crate::domain::{
    capability::{Feature, Lights},
    technician::{Technician, Tenant},
};

/// How a person signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// A code is shown here and approved in a browser, anywhere.
    DeviceCode,
    /// A browser on this machine, which is sent back here.
    Browser,
}

/// Which ways the settings offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ways {
    DeviceCode,
    Browser,
    /// Both: the technician chooses.
    #[default]
    Ask,
}

/// What is asked of Entra at a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prompt {
    pub way: Way,
    /// What consent is asked for, beside listing: the features whose scopes go into the prompt.
    pub features: Vec<Feature>,
    /// Entra must ask for credentials again, whatever its browser session says (unlocking).
    pub fresh: bool,
}

impl Prompt {
    /// Signing in for listing alone, which is all a shift begins with.
    pub fn by(way: Way) -> Self {
        Self { way, features: Vec::new(), fresh: false }
    }
}

/// What Entra wants the technician to type, and where. The code is shown, not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCode {
    pub user_code: String,
    pub address: String,
    pub expires_in: Duration,
}

/// The page that was opened, or is to be opened, for a sign-in in the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserPage {
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
