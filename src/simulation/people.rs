//! The people of the tenant and what their roles allow. The lists are those of the Graph documentation.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{dice::Dice, scenario::PersonSpec};

/// A user of the directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    pub id: Uuid,
    pub upn: String,
    pub name: String,
    pub department: String,
    pub job: String,
    /// Entra directory roles by name.
    pub roles: Vec<String>,
    /// Intune roles by name.
    pub intune_roles: Vec<String>,
    /// AADSTS number their sign-in ends with.
    pub refused_with: Option<u32>,
}

/// Entra roles the simulation knows, with the template ids that stand in a token's `wids`.
const DIRECTORY_ROLES: &[(&str, &str)] = &[
    ("Cloud Device Administrator", "7698a772-787b-4ac8-901f-60d6b08affd2"),
    ("Global Administrator", "62e90394-69f5-4237-9190-012177145e10"),
    ("Global Reader", "f2ef992c-3afb-46b9-b7cf-a126ee74c451"),
    ("Helpdesk Administrator", "729827e3-9c14-49f7-bb1b-9608f156bbb8"),
    ("Intune Administrator", "3a2c62db-5318-420d-8d74-23affee5d9d5"),
    ("Reports Reader", "4a5d8f65-41da-4de4-8968-e035b65339cf"),
    ("Security Administrator", "194ae4cb-b126-40b2-bd5b-6091b380977d"),
    ("Security Reader", "5d6b6bb7-de71-4623-b4af-96380a352509"),
];

/// The template id of "User", which everybody's token carries.
const EVERY_USER: &str = "b79fbf4d-3ef9-4689-8143-76b194e85509";

const INTUNE_ROLES: &[&str] = &["Endpoint Security Manager", "Help Desk Operator", "Read Only Operator"];

/// May read the BitLocker keys of devices that are not their own.
const READ_KEYS: &[&str] = &[
    "Cloud Device Administrator",
    "Global Administrator",
    "Global Reader",
    "Helpdesk Administrator",
    "Intune Administrator",
    "Security Administrator",
    "Security Reader",
];

/// May read the directory's audit log.
const READ_AUDIT: &[&str] = &[
    "Cloud Device Administrator",
    "Global Administrator",
    "Global Reader",
    "Reports Reader",
    "Security Administrator",
    "Security Reader",
];

/// Entra roles that reach into Intune: reading, and remote actions.
const READ_INTUNE: &[&str] =
    &["Global Administrator", "Global Reader", "Intune Administrator", "Security Administrator", "Security Reader"];
const ACT_IN_INTUNE: &[&str] = &["Global Administrator", "Intune Administrator"];

/// Whether scenarios may name this Entra role.
pub fn is_directory_role(name: &str) -> bool {
    DIRECTORY_ROLES.iter().any(|(role, _)| *role == name)
}

/// Whether scenarios may name this Intune role.
pub fn is_intune_role(name: &str) -> bool {
    INTUNE_ROLES.contains(&name)
}

impl Person {
    pub fn from_spec(spec: &PersonSpec, dice: &mut Dice) -> Self {
        Self {
            id: dice.guid(),
            upn: spec.upn.clone(),
            name: spec.name.clone(),
            department: spec.department.clone(),
            job: spec.job.clone(),
            roles: spec.roles.clone(),
            intune_roles: spec.intune_roles.clone(),
            refused_with: spec.refused_with,
        }
    }

    fn has_one_of(&self, roles: &[&str]) -> bool {
        self.roles.iter().any(|role| roles.contains(&role.as_str()))
    }

    pub fn reads_all_keys(&self) -> bool {
        self.has_one_of(READ_KEYS)
    }

    pub fn reads_audit(&self) -> bool {
        self.has_one_of(READ_AUDIT)
    }

    pub fn reads_intune(&self) -> bool {
        self.has_one_of(READ_INTUNE) || !self.intune_roles.is_empty()
    }

    pub fn rotates_keys(&self) -> bool {
        let operator = |role: &String| role == "Help Desk Operator" || role == "Endpoint Security Manager";
        self.has_one_of(ACT_IN_INTUNE) || self.intune_roles.iter().any(operator)
    }

    /// The `wids` claim: template ids of the person's directory roles.
    pub fn role_templates(&self) -> Vec<&'static str> {
        let held = DIRECTORY_ROLES.iter().filter(|(name, _)| self.roles.iter().any(|role| role == name));
        held.map(|(_, template)| *template).chain([EVERY_USER]).collect()
    }

    /// For the sign-in page: what somebody who has to choose a person should know about them.
    pub fn standing(&self) -> String {
        let mut parts: Vec<&str> = self.roles.iter().chain(&self.intune_roles).map(String::as_str).collect();
        if parts.is_empty() {
            parts.push(if self.job.is_empty() { "no role" } else { &self.job });
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(roles: &[&str], intune: &[&str]) -> Person {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let spec = PersonSpec { roles: own(roles), intune_roles: own(intune), ..PersonSpec::default() };
        Person::from_spec(&spec, &mut Dice::new(1, "people"))
    }

    #[test]
    fn a_helpdesk_administrator_reads_keys_and_cannot_read_the_audit_log() {
        let dana = person(&["Helpdesk Administrator"], &["Help Desk Operator"]);
        assert!(dana.reads_all_keys() && dana.rotates_keys() && dana.reads_intune());
        assert!(!dana.reads_audit());
    }

    #[test]
    fn a_security_reader_reads_keys_and_rotates_none() {
        let reader = person(&["Security Reader"], &[]);
        assert!(reader.reads_all_keys() && reader.reads_audit() && !reader.rotates_keys());
    }

    #[test]
    fn a_person_without_roles_is_an_ordinary_user() {
        let mara = person(&[], &[]);
        assert!(!mara.reads_all_keys() && !mara.reads_intune() && !mara.rotates_keys());
        assert_eq!(mara.role_templates(), vec![EVERY_USER]);
    }
}
