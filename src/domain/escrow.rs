//! Whether a device's recovery password is with Entra.

use jiff::Timestamp;

use super::key::{Key, Volume};

/// The state of a device's backup to Entra, and what it was concluded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Escrow {
    /// Entra holds a key of the OS drive: the newest, and when it was stored.
    Escrowed(Timestamp),
    /// Entra holds keys, none of them known to be the OS drive's.
    OtherDrivesOnly,
    /// Encrypted by Intune's account, nothing in Entra yet.
    Pending,
    /// No key in Entra, and nothing says that one is coming.
    NotAvailable,
}

impl Escrow {
    /// From a fresh listing and what Intune says of the drive (`isEncrypted`).
    pub fn of(keys: &[Key], encrypted: Option<bool>) -> Self {
        let newest_os = keys.iter().filter(|k| k.volume == Volume::OperatingSystem).map(|k| k.escrowed).max();
        match (newest_os, keys.is_empty(), encrypted) {
            (Some(at), ..) => Self::Escrowed(at),
            (None, false, _) => Self::OtherDrivesOnly,
            (None, true, Some(true)) => Self::Pending,
            (None, true, _) => Self::NotAvailable,
        }
    }

    pub fn words(&self) -> &'static str {
        match self {
            Self::Escrowed(_) => "escrowed, seen in Entra just now",
            Self::OtherDrivesOnly => "only keys of other drives are in Entra",
            Self::Pending => "pending: Intune says encrypted, Entra has no key",
            Self::NotAvailable => "not available: Entra has no key of this device",
        }
    }
}
