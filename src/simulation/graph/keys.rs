//! BitLocker recovery keys: listings never show digits; one exact `$select` on one key does, and is audited.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Asking, failure::Failure, guid, listing::Paging};
use crate::simulation::{
    odata::{self, filter::Filter},
    password::recovery_password,
    rotation,
    tenant::{State, Tenant},
    web,
    world::{Activity, Entry, Key},
};

const METADATA: &[&str] = &["BitlockerKey.ReadBasic.All", "BitlockerKey.Read.All"];
const DIGITS: &[&str] = &["BitlockerKey.Read.All"];
const CONTEXT: &str = "informationProtection/bitlocker/recoveryKeys";

fn printed(key: &Key) -> Value {
    json!({
        "id": key.id,
        "createdDateTime": web::ticks(key.created),
        "volumeType": key.volume.as_graph(),
        "deviceId": key.device_id,
    })
}

impl Asking {
    /// `GET /informationProtection/bitlocker/recoveryKeys`
    pub fn list_keys(&self, tenant: &Tenant) -> Result<Value, Failure> {
        self.may_ask_bitlocker(tenant)?;
        let unsupported = ["$top", "$skip", "$count", "$orderby", "$expand", "$search"];
        if let Some(option) = self.query.first_of(&unsupported) {
            return Err(Failure::bad_request(format!("The query option '{option}' is not supported.")));
        }
        let select = self.query.select();
        let print = |key: &Key| odata::project(printed(key), select.as_deref());
        let paging = Paging { size: tenant.page_size(), empty_every: tenant.scenario().graph.empty_page_every };
        let wanted = self.query.get("$filter").map(filtered_device).transpose()?;
        tenant.with(|state, _| {
            let world = &state.world;
            let place = self.place()?;
            let owns = |device_id: Uuid| self.owns(state, device_id);
            if let Some(device_id) = wanted {
                if !self.bearer.person.reads_all_keys() && !owns(device_id) {
                    return Err(Failure::bitlocker_denied());
                }
                let mut keys: Vec<&Key> = world.keys_of(device_id).collect();
                keys.sort_by_key(|key| key.id);
                let paging = Paging { empty_every: 0, ..paging };
                return self.page(CONTEXT, paging, keys.into_iter().map(|key| (key.id.to_string(), key)), print);
            }
            let after = place.after.parse().unwrap_or(Uuid::nil());
            let mine = |key: &&Key| self.bearer.person.reads_all_keys() || owns(key.device_id);
            let keys = world.keys.range(after..).map(|(_, key)| key).filter(mine);
            self.page(CONTEXT, paging, keys.map(|key| (key.id.to_string(), key)), print)
        })
    }

    /// `GET /informationProtection/bitlocker/recoveryKeys/{id}`: metadata without `$select`; the digits with exactly
    /// `$select=key`; with any other `$select` no digits, and an audit record all the same.
    pub fn key(&self, tenant: &Tenant, id: &str) -> Result<Value, Failure> {
        self.may_ask_bitlocker(tenant)?;
        let id = guid(id, "key id")?;
        let selected = self.query.get("$select");
        let digits = selected == Some("key");
        if digits && !self.bearer.may(DIGITS) {
            return Err(Failure::bitlocker_denied());
        }
        let select = self.query.select().filter(|_| !digits);
        tenant.with(|state, now| {
            let key = state.world.keys.get(&id).cloned().ok_or_else(|| Failure::key_not_found(id))?;
            if !self.bearer.person.reads_all_keys() && !self.owns(state, key.device_id) {
                return Err(Failure::bitlocker_denied());
            }
            let mut entity = odata::project(printed(&key), select.as_deref());
            if digits {
                entity["key"] = recovery_password(state.world.seed, id).into();
                rotation::key_was_read(&mut state.world, tenant.pace(), key.device_id, now);
            }
            if selected.is_some() {
                let entry = Entry {
                    activity: Activity::Read,
                    at: now,
                    person: Some(self.bearer.person.id),
                    key: id,
                    device_id: key.device_id,
                };
                rotation::record(&mut state.world, tenant.pace(), entry);
            }
            Ok(self.entity(CONTEXT, entity))
        })
    }

    fn may_ask_bitlocker(&self, tenant: &Tenant) -> Result<(), Failure> {
        let named = self.header("ocp-client-name").is_some() && self.header("ocp-client-version").is_some();
        if tenant.scenario().graph.insist_on_client_headers && !named {
            let text = "The headers 'ocp-client-name' and 'ocp-client-version' must be present.";
            return Err(Failure::bad_request(text));
        }
        if self.bearer.may(METADATA) { Ok(()) } else { Err(Failure::bitlocker_denied()) }
    }

    fn owns(&self, state: &State, device_id: Uuid) -> bool {
        state.world.device_by_id(device_id).is_some_and(|device| device.owner == Some(self.bearer.person.id))
    }
}

/// The one filter that is served: `deviceId eq '…'`.
fn filtered_device(text: &str) -> Result<Uuid, Failure> {
    let filter = Filter::parse(text).map_err(|error| Failure::bad_request(error.to_string()))?;
    match filter.only_eq("deviceId") {
        Some(id) => guid(id, "deviceId").map_err(|failure| Failure::bad_request(failure.message)),
        None => Err(Failure::bad_request("Only 'deviceId eq' is supported in $filter.")),
    }
}
