//! What the signed-in technician can do here: four lights, each with its evidence.

/// One thing the desk does on the technician's behalf, each with a scope of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// List keys' metadata and devices.
    List,
    /// Read a recovery password.
    Reveal,
    /// Ask Intune to replace a device's keys.
    Rotate,
    /// Read Entra's own record of key reads.
    Audit,
}

impl Feature {
    pub const ALL: [Self; 4] = [Self::List, Self::Reveal, Self::Rotate, Self::Audit];

    /// The word on the status line.
    pub fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Reveal => "reveal",
            Self::Rotate => "rotate",
            Self::Audit => "audit",
        }
    }
}

/// What is known about a [`Feature`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Light {
    Yes,
    /// Refused: what was said, and who can help.
    No(String),
    #[default]
    NotAsked,
    /// Asked for and granted by sign-in, not yet tried: a role may still be missing.
    Unknown,
}

/// The four lights, in the order of the status line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lights([Light; 4]);

impl Lights {
    pub fn of(&self, feature: Feature) -> &Light {
        &self.0[feature as usize]
    }

    pub fn set(&mut self, feature: Feature, light: Light) {
        self.0[feature as usize] = light;
    }
}
