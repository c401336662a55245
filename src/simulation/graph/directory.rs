//! People and the organisation.

use serde_json::{Value, json};

use super::{Asking, failure::Failure};
use crate::simulation::{odata, people::Person, tenant::Tenant};

const READ_SELF: &[&str] = &["User.Read", "User.Read.All", "User.ReadBasic.All", "Directory.Read.All"];
const READ_USERS: &[&str] = &["User.Read.All", "User.ReadBasic.All", "Directory.Read.All"];
const READ_ORGANIZATION: &[&str] = &["User.Read", "Organization.Read.All", "Directory.Read.All"];

/// A user as Graph prints one.
pub fn printed(person: &Person) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    let (given, family) = person.name.split_once(' ').unwrap_or((person.name.as_str(), ""));
    json!({
        "businessPhones": [],
        "displayName": person.name,
        "givenName": given,
        "surname": text(family),
        "jobTitle": text(&person.job),
        "department": text(&person.department),
        "mail": person.upn,
        "mobilePhone": null,
        "officeLocation": null,
        "preferredLanguage": "en",
        "userPrincipalName": person.upn,
        "id": person.id,
    })
}

impl Asking {
    /// `GET /me`
    pub fn me(&self, _: &Tenant) -> Result<Value, Failure> {
        if !self.bearer.may(READ_SELF) {
            return Err(Failure::directory_denied());
        }
        let user = odata::project(printed(&self.bearer.person), self.query.select().as_deref());
        Ok(self.entity("users", user))
    }

    /// `GET /users/{id or UPN}`
    pub fn user(&self, tenant: &Tenant, id: &str) -> Result<Value, Failure> {
        if !self.bearer.may(READ_USERS) {
            return Err(Failure::directory_denied());
        }
        let found = tenant.with(|state, _| {
            let by_id = id.parse().ok().and_then(|id| state.world.person(id));
            by_id.or_else(|| state.world.person_by_upn(id)).map(printed)
        });
        let user = found.ok_or_else(|| Failure::directory_not_found(id))?;
        Ok(self.entity("users", odata::project(user, self.query.select().as_deref())))
    }

    /// `GET /organization`
    pub fn organization(&self, tenant: &Tenant) -> Result<Value, Failure> {
        if !self.bearer.may(READ_ORGANIZATION) {
            return Err(Failure::directory_denied());
        }
        let organization = json!({
            "id": tenant.id(),
            "displayName": tenant.name(),
            "tenantType": "AAD",
            "verifiedDomains": [{
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": true,
                "isInitial": true,
                "name": tenant.scenario().tenant.domain,
                "type": "Managed",
            }],
        });
        let organization = odata::project(organization, self.query.select().as_deref());
        Ok(json!({ "@odata.context": self.context("organization"), "value": [organization] }))
    }
}
