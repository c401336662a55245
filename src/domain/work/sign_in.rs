//! Signing in.

use std::time::Duration;

use super::Failure;
use crate::domain::{
    call::Call,
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

impl Way {
    pub const ALL: [Self; 2] = [Self::DeviceCode, Self::Browser];

    /// As the settings and the policy write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::DeviceCode => "device-code",
            Self::Browser => "browser",
        }
    }

    /// "by device code"
    pub fn words(self) -> &'static str {
        match self {
            Self::DeviceCode => "by device code",
            Self::Browser => "by browser",
        }
    }

    /// Of those `offered`, the one to unlock with: a browser's page can be told to ask for a password, a code's cannot.
    pub fn to_unlock(offered: &[Self]) -> Option<Self> {
        offered.iter().find(|way| **way == Self::Browser).or(offered.first()).copied()
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::DeviceCode => Self::Browser,
            Self::Browser => Self::DeviceCode,
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

    /// What is offered where the policy allows only some, the one to begin with first. The policy wins: what it leaves is offered even where
    /// the settings name another way.
    pub fn within(self, allowed: &[Way]) -> Vec<Way> {
        let wanted: &[Way] = match self {
            Self::DeviceCode => &[Way::DeviceCode],
            Self::Browser => &[Way::Browser],
            Self::Ask => &Way::ALL,
        };
        let both: Vec<Way> = wanted.iter().copied().filter(|way| allowed.contains(way)).collect();
        if both.is_empty() { allowed.to_vec() } else { both }
    }
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
    /// Nobody was here for so long that a reveal wants a fresh sign-in.
    pub locked: bool,
}

/// Somebody else than last time has signed in: the desk is theirs only once that is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnotherName {
    pub now: Technician,
    pub before: Technician,
}

/// What came of asking for tokens ahead of need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    pub lights: Lights,
    /// What a person who signs in may still open: consent is missing, or Entra wants to see them.
    pub lacking: Vec<Feature>,
}

/// Signed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOut {
    /// Every call that waits; the one that was open is parked now.
    pub calls: Vec<Call>,
    /// The credential store did not let the session go.
    pub kept: Option<Failure>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::both(Ways::Ask, &Way::ALL, &[Way::DeviceCode, Way::Browser])]
    #[case::the_policy_narrows(Ways::Ask, &[Way::Browser], &[Way::Browser])]
    #[case::the_settings_narrow(Ways::Browser, &Way::ALL, &[Way::Browser])]
    #[case::the_policy_wins(Ways::DeviceCode, &[Way::Browser], &[Way::Browser])]
    fn what_is_offered_is_wanted_and_allowed(#[case] ways: Ways, #[case] allowed: &[Way], #[case] offered: &[Way]) {
        assert_eq!(ways.within(allowed), offered);
    }

    #[test]
    fn a_desk_is_unlocked_by_browser_where_one_is_offered() {
        assert_eq!(Way::to_unlock(&Way::ALL), Some(Way::Browser));
        assert_eq!(Way::to_unlock(&[Way::DeviceCode]), Some(Way::DeviceCode));
    }
}
