//! Entra devices.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Asking, directory, failure::Failure, guid, listing::Paging};
use crate::simulation::{
    odata::{self, filter::Filter},
    tenant::Tenant,
    web,
    world::{Device, World},
};

const READ: &[&str] = &["Device.Read.All", "Directory.Read.All", "Directory.AccessAsUser.All"];
const MOST_ON_A_PAGE: usize = 999;

/// Properties that Entra filters devices by, of those the tenant has.
const FILTERABLE: &[&str] = &[
    "accountenabled",
    "approximatelastsignindatetime",
    "deviceid",
    "displayname",
    "id",
    "iscompliant",
    "ismanaged",
    "operatingsystem",
    "operatingsystemversion",
    "physicalids",
    "profiletype",
    "trusttype",
];

/// A device as Graph prints one.
fn printed(device: &Device) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    json!({
        "id": device.object_id,
        "deletedDateTime": null,
        "accountEnabled": device.enabled,
        "approximateLastSignInDateTime": device.signed_in.map(web::seconds),
        "complianceExpirationDateTime": null,
        "deviceId": device.device_id,
        "deviceOwnership": if device.managed { Value::from("Company") } else { Value::Null },
        "deviceVersion": 2,
        "displayName": device.name,
        "isCompliant": device.compliant,
        "isManaged": device.managed,
        "isRooted": null,
        "managementType": if device.managed { Value::from("MDM") } else { Value::Null },
        "manufacturer": text(&device.manufacturer),
        "model": text(&device.model),
        "onPremisesSyncEnabled": if device.trust.as_graph() == "ServerAd" { Value::from(true) } else { Value::Null },
        "operatingSystem": "Windows",
        "operatingSystemVersion": device.os_version,
        "physicalIds": device.physical_ids,
        "profileType": "RegisteredDevice",
        "registrationDateTime": device.registered.map(web::seconds),
        "systemLabels": [],
        "trustType": device.trust.as_graph(),
    })
}

impl Asking {
    /// `GET /devices`
    pub fn list_devices(&self, tenant: &Tenant) -> Result<Value, Failure> {
        self.may_read_devices()?;
        let eventual = self.header("ConsistencyLevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
        let filter = self.device_filter(eventual)?;
        let search = self.query.get("$search").map(|text| searched_words(text, eventual)).transpose()?;
        let size = self.page_size(tenant)?;
        let select = self.query.select();
        let expand = self.expands_owners()?;
        tenant.with(|state, _| {
            let world = &state.world;
            let found: Vec<&Device> = match filter.as_ref().and_then(|filter| filter.only_eq("deviceId")) {
                Some(id) => guid(id, "deviceId").ok().and_then(|id| world.device_by_id(id)).into_iter().collect(),
                None => world.devices.values().collect(),
            };
            let passes = |device: &&Device| {
                !device.deleted
                    && filter.as_ref().is_none_or(|filter| filter.passes(&printed(device)))
                    && search.as_ref().is_none_or(|words| matches_words(&device.name, words))
            };
            let found: BTreeMap<String, &Device> =
                found.into_iter().filter(passes).map(|device| (self.sort_key(device), device)).collect();
            let count = found.len();
            let first = self.place()?.after.is_empty();
            let print = |device: &Device| shaped(world, device, select.as_deref(), expand.as_deref());
            let paging = Paging { size, empty_every: 0 };
            let mut body = self.page("devices", paging, found.into_iter(), print)?;
            if self.query.counts() && eventual && first {
                body["@odata.count"] = count.into();
            }
            Ok(body)
        })
    }

    /// `GET /devices/{object id}`
    pub fn device(&self, tenant: &Tenant, id: &str) -> Result<Value, Failure> {
        self.may_read_devices()?;
        let id = guid(id, "object identifier")?;
        tenant.with(|state, _| self.one(&state.world, state.world.devices.get(&id), id))
    }

    /// `GET /devices(deviceId='…')`
    pub fn device_by_key(&self, tenant: &Tenant, id: Uuid) -> Result<Value, Failure> {
        self.may_read_devices()?;
        tenant.with(|state, _| self.one(&state.world, state.world.device_by_id(id), id))
    }

    /// `GET /devices/{object id}/registeredOwners`
    pub fn registered_owners(&self, tenant: &Tenant, id: &str) -> Result<Value, Failure> {
        self.may_read_devices()?;
        let id = guid(id, "object identifier")?;
        tenant.with(|state, _| self.owners(&state.world, state.world.devices.get(&id), id))
    }

    /// `GET /devices(deviceId='…')/registeredOwners`
    pub fn registered_owners_by_key(&self, tenant: &Tenant, id: Uuid) -> Result<Value, Failure> {
        self.may_read_devices()?;
        tenant.with(|state, _| self.owners(&state.world, state.world.device_by_id(id), id))
    }

    fn may_read_devices(&self) -> Result<(), Failure> {
        if self.bearer.may(READ) { Ok(()) } else { Err(Failure::directory_denied()) }
    }

    fn one(&self, world: &World, device: Option<&Device>, id: Uuid) -> Result<Value, Failure> {
        let device = device.filter(|device| !device.deleted);
        let device = device.ok_or_else(|| Failure::directory_not_found(&id.to_string()))?;
        let (select, expand) = (self.query.select(), self.expands_owners()?);
        Ok(self.entity("devices", shaped(world, device, select.as_deref(), expand.as_deref())))
    }

    fn owners(&self, world: &World, device: Option<&Device>, id: Uuid) -> Result<Value, Failure> {
        let device = device.filter(|device| !device.deleted);
        let device = device.ok_or_else(|| Failure::directory_not_found(&id.to_string()))?;
        let owners = printed_owners(world, device, self.query.select().as_deref());
        Ok(json!({ "@odata.context": self.context("directoryObjects"), "value": owners }))
    }

    /// The options in `$expand=registeredOwners(…)`; an empty text without any.
    fn expands_owners(&self) -> Result<Option<String>, Failure> {
        let Some(expand) = self.query.get("$expand").map(str::trim) else { return Ok(None) };
        let options = expand.strip_prefix("registeredOwners").or_else(|| expand.strip_prefix("registeredUsers"));
        let options = options.map(|rest| rest.trim_start_matches('(').trim_end_matches(')').to_owned());
        let unknown = || {
            Failure::bad_filter(format!("Could not find a property named '{expand}' on type 'microsoft.graph.device'."))
        };
        options.map(Some).ok_or_else(unknown)
    }

    fn device_filter(&self, eventual: bool) -> Result<Option<Filter>, Failure> {
        let Some(text) = self.query.get("$filter") else { return Ok(None) };
        let filter =
            Filter::parse(text).map_err(|error| Failure::bad_filter(format!("Invalid filter clause: {error}")))?;
        let strange = filter.paths().into_iter().find(|path| !FILTERABLE.contains(&path.to_ascii_lowercase().as_str()));
        if let Some(path) = strange {
            let text = format!(
                "Unsupported or invalid query filter clause specified for property '{path}' of resource 'Device'."
            );
            return Err(Failure::unsupported_query(text));
        }
        let advanced = filter.is_advanced() || self.query.get("$orderby").is_some();
        if advanced && !(eventual && self.query.counts()) {
            let text = "Operator or function is only supported with the header 'ConsistencyLevel: eventual' and the \
                        query option '$count=true'.";
            return Err(Failure::unsupported_query(text));
        }
        Ok(Some(filter))
    }

    fn page_size(&self, tenant: &Tenant) -> Result<usize, Failure> {
        match self.query.top() {
            Ok(None) => Ok(tenant.page_size()),
            Ok(Some(top)) if (1..=MOST_ON_A_PAGE).contains(&top) => Ok(top),
            Ok(Some(top)) => Err(Failure::bad_filter(format!(
                "Invalid page size specified: '{top}'. Must be between 1 and 999 inclusive."
            ))),
            Err(text) => Err(Failure::bad_filter(format!("Invalid value '{text}' for $top query option found."))),
        }
    }

    /// What tells a device's place in the listing: its id, behind its name where `$orderby=displayName` asks for it.
    fn sort_key(&self, device: &Device) -> String {
        match self.query.get("$orderby") {
            Some(order) if order.trim().to_lowercase().starts_with("displayname") => {
                format!("{}\u{1}{}", device.name.to_lowercase(), device.object_id)
            }
            _ => device.object_id.to_string(),
        }
    }
}

/// A device with what was selected of it, and its owners where they were asked for.
fn shaped(world: &World, device: &Device, select: Option<&[&str]>, expand: Option<&str>) -> Value {
    let mut entity = odata::project(printed(device), select);
    if let Some(options) = expand {
        let inner = odata::Query::parse(Some(&options.replace(';', "&")));
        entity["registeredOwners"] = printed_owners(world, device, inner.select().as_deref()).into();
    }
    entity
}

fn printed_owners(world: &World, device: &Device, select: Option<&[&str]>) -> Vec<Value> {
    let owner = device.owner.and_then(|id| world.person(id));
    let print = |person| {
        let mut user = odata::project(directory::printed(person), select);
        user["@odata.type"] = "#microsoft.graph.user".into();
        user
    };
    owner.map(print).into_iter().collect()
}

/// The words of `"displayName:…"`; refused without the header that advanced queries need.
fn searched_words(text: &str, eventual: bool) -> Result<Vec<String>, Failure> {
    if !eventual {
        let text = "Request with $search query parameter only works through MSGraph with a special request header: \
                    'ConsistencyLevel: eventual'";
        return Err(Failure::unsupported_query(text));
    }
    let inner = text.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let clause =
        inner.and_then(|inner| inner.split_once(':')).filter(|(name, _)| name.eq_ignore_ascii_case("displayName"));
    let (_, words) = clause.ok_or_else(|| Failure::bad_filter("Syntax error: unexpected $search clause."))?;
    Ok(tokens(&words.replace("\\\"", "\"").replace("\\\\", "\\")))
}

/// Entra searches by words: a name matches when each searched word begins one of its own.
fn matches_words(name: &str, words: &[String]) -> bool {
    let own = tokens(name);
    words.iter().all(|word| own.iter().any(|token| token.starts_with(word)))
}

fn tokens(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_names_by_the_beginnings_of_their_words() {
        let found = |search| matches_words("HVC-LT-0421", &searched_words(search, true).unwrap());
        assert!(found("\"displayName:0421\"") && found("\"displayName:hvc-lt\"") && found("\"displayName:lt 04\""));
        assert!(!found("\"displayName:421\""));
        assert_eq!(searched_words("\"displayName:x\"", false).unwrap_err().status, 400);
    }
}
