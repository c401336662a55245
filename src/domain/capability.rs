//! What the signed-in technician can do here: four lights, each with its evidence, and the one table of what stands behind them.
//!
//! Source: Microsoft's permissions file and the reference pages. They disagree on `rotateBitLockerKeys`: the page names
//! `DeviceManagementManagedDevices.ReadWrite.All`, the file also the narrower-sounding `DeviceManagementConfiguration.ReadWrite.All`. Both
//! name the first, so it is asked for first, and the other where nobody has consented to it. Of the audit log one page says
//! `AuditLog.Read.All` and another that `Directory.Read.All` is needed as well; the file lets either do, so the narrower is asked for.

use jiff::Timestamp;

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

/// What one [`Feature`] needs, and what the screens say about it.
#[derive(Debug)]
pub struct Capability {
    pub feature: Feature,
    /// What the desk can do with it.
    pub does: &'static str,
    pub permissions: &'static [Permission],
    /// Roles in Entra, by the names they are assigned under; any one is enough, the least that serves a technician first.
    pub entra_roles: &'static [&'static str],
    /// The same in Intune.
    pub intune_roles: &'static [&'static str],
    /// What does not work without it, and what does.
    pub without: &'static str,
}

/// What an endpoint needs of the app registration.
#[derive(Debug)]
pub struct Permission {
    /// Method, edition and path.
    pub endpoint: &'static str,
    /// Asked for: the first, then each other in turn where nobody has consented to the one before.
    pub asks: &'static [&'static str],
    /// Wider ones that are never asked for, and suffice where they were granted.
    pub also: &'static [&'static str],
    /// Without it the feature does not work at all; otherwise it only says less.
    pub required: bool,
}

/// Who may read keys and their metadata. Microsoft's pages disagree at the edges; this is the newest list (the Graph pages of July 2025).
const READERS: &[&str] = &[
    "Helpdesk Administrator",
    "Cloud Device Administrator",
    "Security Reader",
    "Global Reader",
    "Intune Administrator",
    "Security Administrator",
];

/// The table. `docs/permissions.md` repeats it, and a test holds it to this one.
pub const CAPABILITIES: [Capability; 4] = [
    Capability {
        feature: Feature::List,
        does: "List the keys' IDs and the devices",
        permissions: &[
            Permission {
                endpoint: "GET /v1.0/informationProtection/bitlocker/recoveryKeys",
                asks: &["BitlockerKey.ReadBasic.All"],
                also: &["BitlockerKey.Read.All"],
                required: true,
            },
            Permission {
                endpoint: "GET /v1.0/devices",
                asks: &["Device.Read.All"],
                also: &["Directory.Read.All", "Directory.AccessAsUser.All"],
                required: true,
            },
            Permission {
                endpoint: "GET /v1.0/deviceManagement/managedDevices",
                asks: &["DeviceManagementManagedDevices.Read.All"],
                also: &["DeviceManagementManagedDevices.ReadWrite.All"],
                required: false,
            },
            Permission {
                endpoint: "GET /v1.0/me, GET /v1.0/organization",
                asks: &["User.Read"],
                also: &["User.ReadBasic.All", "User.Read.All", "Directory.Read.All"],
                required: false,
            },
        ],
        entra_roles: READERS,
        intune_roles: &["Help Desk Operator"],
        without: "No key can be found here. Hand the call to a colleague who can.",
    },
    Capability {
        feature: Feature::Reveal,
        does: "Read a recovery password",
        permissions: &[Permission {
            endpoint: "GET /v1.0/informationProtection/bitlocker/recoveryKeys/{id}?$select=key",
            asks: &["BitlockerKey.Read.All"],
            also: &[],
            required: true,
        }],
        entra_roles: READERS,
        intune_roles: &[],
        without: "Keys can be found here, and none can be read. Hand the call over once the device is found.",
    },
    Capability {
        feature: Feature::Rotate,
        does: "Have Intune replace a device's keys",
        permissions: &[Permission {
            endpoint: "POST /beta/deviceManagement/managedDevices/{id}/rotateBitLockerKeys",
            asks: &["DeviceManagementManagedDevices.ReadWrite.All", "DeviceManagementConfiguration.ReadWrite.All"],
            also: &[],
            required: true,
        }],
        entra_roles: &[],
        intune_roles: &[
            "Help Desk Operator",
            "Endpoint Security Manager",
            "a custom role with Remote tasks / Rotate BitLockerKeys",
        ],
        without: "A key that was read here stays owed until the device replaces it by itself or a colleague has it replaced.",
    },
    Capability {
        feature: Feature::Audit,
        does: "Read Entra's own record of key reads",
        permissions: &[Permission {
            endpoint: "GET /v1.0/auditLogs/directoryAudits",
            asks: &["AuditLog.Read.All"],
            also: &["Directory.Read.All"],
            required: true,
        }],
        entra_roles: &["Reports Reader", "Security Reader", "Security Administrator"],
        intune_roles: &[],
        without: "Calls work as ever. What Entra itself recorded of them has to be looked up in the Entra portal.",
    },
];

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

    /// Its row of the table.
    pub fn capability(self) -> &'static Capability {
        &CAPABILITIES[self as usize]
    }
}

impl Capability {
    /// What is asked for: one list an alternative, to be tried in turn until one has consent.
    pub fn asks(&self) -> Vec<Vec<&'static str>> {
        let turns = self.permissions.iter().map(|permission| permission.asks.len()).max().unwrap_or(0);
        let nth = |n: usize| {
            self.permissions.iter().filter_map(move |permission| permission.asks.get(n).or(permission.asks.last()))
        };
        (0..turns).map(|n| nth(n).copied().collect()).collect()
    }

    /// Whether `granted`, bare or with a host before it, is enough.
    pub fn suffices(&self, granted: &[impl AsRef<str>]) -> bool {
        self.permissions.iter().filter(|permission| permission.required).all(|permission| {
            granted.iter().any(|scope| {
                let bare = scope.as_ref().rsplit('/').next().unwrap_or_default();
                permission.asks.iter().chain(permission.also).any(|name| name.eq_ignore_ascii_case(bare))
            })
        })
    }

    /// The required permissions, as an administrator reads them.
    pub fn permission_names(&self) -> String {
        let required = self.permissions.iter().filter(|permission| permission.required);
        required.filter_map(|permission| permission.asks.first()).copied().collect::<Vec<_>>().join(", ")
    }

    /// Who can help where consent is missing.
    pub fn without_consent(&self) -> Evidence {
        Evidence {
            said: format!("Nobody has consented to {}.", self.permission_names()),
            at: None,
            help: "An Entra administrator can consent to it for the app.".into(),
        }
    }

    /// Who can help where a role is missing.
    pub fn role_help(&self) -> String {
        match (self.entra_roles.first(), self.intune_roles.first()) {
            (Some(name), _) => format!(
                "If you are eligible for {name}, activate it in PIM; otherwise an Entra administrator can assign it."
            ),
            (None, Some(name)) => format!("An Intune administrator can give you the role {name} for these devices."),
            (None, None) => String::new(),
        }
    }
}

/// Why a light is what it is, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// What was answered.
    pub said: String,
    pub at: Option<Timestamp>,
    /// Who can change it, or what to do. May be empty.
    pub help: String,
}

/// What is known about a [`Feature`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Light {
    /// It worked.
    Yes(Evidence),
    /// Refused.
    No(Evidence),
    #[default]
    NotAsked,
    /// Asked for and granted by sign-in, not yet tried: a role may still be missing.
    Unknown,
}

/// The four lights, in the order of the status line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lights(Box<[Light; 4]>);

impl Lights {
    pub fn of(&self, feature: Feature) -> &Light {
        &self.0[feature as usize]
    }

    pub fn set(&mut self, feature: Feature, light: Light) {
        self.0[feature as usize] = light;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_finds_its_own_row_and_every_row_can_be_read_out() {
        for (feature, row) in Feature::ALL.into_iter().zip(&CAPABILITIES) {
            assert_eq!((feature.capability().feature, row.feature), (feature, feature));
            assert!(
                row.without.ends_with('.')
                    && !(row.entra_roles.is_empty() && row.intune_roles.is_empty())
                    && !row.permissions.is_empty()
            );
            assert!(row.permissions.iter().all(|permission| !permission.asks.is_empty()));
        }
    }

    #[test]
    fn rotation_has_a_second_way_to_be_granted_and_the_others_one() {
        let turns = Feature::ALL.map(|feature| feature.capability().asks().len());
        assert_eq!(turns, [1, 1, 2, 1]);
        assert!(Feature::Rotate.capability().suffices(&["DeviceManagementConfiguration.ReadWrite.All"]));
    }

    #[test]
    fn granted_scopes_are_read_bare_or_with_a_host_in_any_case() {
        let granted = ["https://graph.microsoft.com/bitlockerkey.readbasic.all", "Device.Read.All", "openid"];
        assert!(Feature::List.capability().suffices(&granted));
        assert!(!Feature::Reveal.capability().suffices(&granted));
        assert!(!Feature::List.capability().suffices(&["Device.Read.All"]));
    }

    #[test]
    fn no_feature_asks_for_what_another_is_there_for() {
        let asked = Feature::List.capability().asks().concat();
        for feature in [Feature::Reveal, Feature::Rotate, Feature::Audit] {
            assert!(feature.capability().asks().concat().iter().all(|name| !asked.contains(name)), "{feature:?}");
        }
    }
}
