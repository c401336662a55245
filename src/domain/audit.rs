//! Entra's own record of what was done with keys, as its audit log tells it.

use jiff::Timestamp;
use uuid::Uuid;

use super::{device::DeviceId, foreign::Foreign, key_id::KeyId, technician::UserId};

/// What Entra records of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Activity {
    Read,
    Added,
    Deleted,
}

impl Activity {
    /// As Entra writes it. A query's case counts; what is read is compared without.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "Read BitLocker key",
            Self::Added => "Add BitLocker key",
            Self::Deleted => "Delete BitLocker key",
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// One of the two is there.
    Person {
        id: Option<UserId>,
        /// User principal name; may be empty.
        upn: Foreign,
    },
    /// An application on its own, without a person.
    App { name: Foreign },
    /// The record names nobody.
    Nobody,
}

/// One record that says what it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Entra's id of the record. Two records of one read have two.
    pub id: String,
    /// On Entra's clock.
    pub at: Timestamp,
    pub actor: Actor,
    pub key: KeyId,
    /// Where the key was backed up from.
    pub device: Option<DeviceId>,
    pub correlation: Option<Uuid>,
    /// Entra says that it did not succeed.
    pub failed: bool,
}

/// A record that lacks what it takes to judge it. It may be of a read all the same, so it is counted and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub id: Option<String>,
    pub at: Option<Timestamp>,
    /// "the key's ID"
    pub lacks: &'static str,
}

/// What a query of the log brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    pub records: Vec<Record>,
    pub unreadable: Vec<Unreadable>,
}
