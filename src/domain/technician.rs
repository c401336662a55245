//! Who sits at this desk.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{foreign::Foreign, guid};

guid! {
    /// An Entra user's object id.
    UserId
}

/// The person signed in, as Entra names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Technician {
    pub id: UserId,
    /// User principal name: `dana@harborview.example`.
    pub upn: Foreign,
    pub name: Foreign,
}

impl Technician {
    /// What the status line shows: the part before the at sign.
    pub fn short_name(&self) -> Foreign {
        Foreign::new(self.upn.raw().split('@').next().unwrap_or_default())
    }
}

/// The organisation the technician signed in to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub id: Uuid,
    pub name: Foreign,
}
