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

/// Entra's directory roles that matter here, by their template ids: the same in every tenant.
const ROLES: &[(u128, &str)] = &[
    (0x62e9_0394_69f5_4237_9190_0121_7714_5e10, "Global Administrator"),
    (0xf2ef_992c_3afb_46b9_b7cf_a126_ee74_c451, "Global Reader"),
    (0x7298_27e3_9c14_49f7_bb1b_9608_f156_bbb8, "Helpdesk Administrator"),
    (0x7698_a772_787b_4ac8_901f_60d6_b08a_ffd2, "Cloud Device Administrator"),
    (0x3a2c_62db_5318_420d_8d74_23af_fee5_d9d5, "Intune Administrator"),
    (0x194a_e4cb_b126_40b2_bd5b_6091_b380_977d, "Security Administrator"),
    (0x5d6b_6bb7_de71_4623_b4af_9638_0a35_2509, "Security Reader"),
    (0x4a5d_8f65_41da_4de4_8968_e035_b653_39cf, "Reports Reader"),
    (0xfe93_0be7_5e62_47db_91af_98c3_a49a_38b1, "User Administrator"),
];

/// The role's name, where it is one of those.
pub fn role_name(template: Uuid) -> Option<&'static str> {
    ROLES.iter().find(|(id, _)| Uuid::from_u128(*id) == template).map(|(_, name)| *name)
}
