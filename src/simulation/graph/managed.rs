//! Intune's managed devices, and the remote action that replaces their keys.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, Asking, failure::Failure, listing::Paging};
use crate::simulation::{
    odata::{self, filter::Filter},
    rotation,
    tenant::Tenant,
    web,
    world::{Action, Managed, Trust, World},
};

const READ: &[&str] = &["DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All"];
const ROTATE: &[&str] =
    &["DeviceManagementConfiguration.ReadWrite.All", "DeviceManagementManagedDevices.ReadWrite.All"];

/// Managed devices come on longer pages than anything else.
const PAGE_FACTOR: usize = 10;

/// An action as Graph prints one.
fn printed_action(action: &Action) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.rotateBitLockerKeysDeviceActionResult",
        "actionName": action.name,
        "actionState": action.state,
        "startDateTime": web::ticks(action.started),
        "lastUpdatedDateTime": web::ticks(action.updated),
        "errorCode": action.error_code,
    })
}

/// A managed device as Graph prints one; in listings without its action results.
fn printed(world: &World, managed: &Managed, with_actions: bool) -> Value {
    let user = managed.user.and_then(|id| world.person(id));
    let actions: Vec<Value> = managed.actions.iter().filter(|_| with_actions).map(printed_action).collect();
    let compliance = match managed.compliant {
        Some(true) => "compliant",
        Some(false) => "noncompliant",
        None => "unknown",
    };
    let enrollment = match managed.trust {
        Trust::AzureAd => "windowsAzureADJoin",
        Trust::ServerAd => "windowsCoManagement",
        Trust::Workplace => "userEnrollment",
    };
    json!({
        "id": managed.id,
        "userId": user.map(|user| user.id.to_string()).unwrap_or_default(),
        "deviceName": managed.name,
        "managedDeviceOwnerType": "company",
        "deviceActionResults": actions,
        "enrolledDateTime": web::seconds(managed.enrolled),
        "lastSyncDateTime": web::seconds(managed.synced),
        "operatingSystem": "Windows",
        "complianceState": compliance,
        "jailBroken": "Unknown",
        "managementAgent": if managed.trust == Trust::ServerAd { "configurationManagerClientMdm" } else { "mdm" },
        "osVersion": managed.os_version,
        "easActivated": false,
        "azureADRegistered": true,
        "deviceEnrollmentType": enrollment,
        "emailAddress": user.map(|user| user.upn.clone()).unwrap_or_default(),
        "azureADDeviceId": managed.device_id,
        "deviceRegistrationState": "registered",
        "isEncrypted": true,
        "userPrincipalName": user.map(|user| user.upn.clone()).unwrap_or_default(),
        "userDisplayName": user.map(|user| user.name.clone()).unwrap_or_default(),
        "model": managed.model,
        "manufacturer": managed.manufacturer,
        "serialNumber": managed.serial,
        "complianceGracePeriodExpirationDateTime": "9999-12-31T23:59:59Z",
        "exchangeLastSuccessfulSyncDateTime": "0001-01-01T00:00:00Z",
    })
}

impl Asking {
    /// `GET /deviceManagement/managedDevices`. A filter that Intune does not know is ignored without a word.
    pub fn list_managed(&self, tenant: &Tenant) -> Result<Value, Failure> {
        self.may_read_intune()?;
        let filter = self.query.get("$filter").and_then(|text| Filter::parse(text).ok());
        let select = self.query.select();
        let size = self.query.top().ok().flatten().filter(|top| *top > 0);
        let paging = Paging { size: size.unwrap_or(tenant.page_size() * PAGE_FACTOR), empty_every: 0 };
        tenant.with(|state, _| {
            let world = &state.world;
            let mut found = known(world, filter.as_ref()).unwrap_or_else(|| world.managed.values().collect());
            found.sort_by_key(|managed| managed.id);
            let print = |managed: &Managed| odata::project(printed(world, managed, false), select.as_deref());
            let entries = found.iter().map(|managed| (managed.id.to_string(), *managed));
            let mut body = self.page("deviceManagement/managedDevices", paging, entries, print)?;
            if self.place()?.after.is_empty() {
                body["@odata.count"] = found.len().into();
            }
            Ok(body)
        })
    }

    /// `GET /deviceManagement/managedDevices/{id}`, with the results of remote actions.
    pub fn managed(&self, tenant: &Tenant, id: &str) -> Result<Value, Failure> {
        self.may_read_intune()?;
        tenant.with(|state, _| {
            let managed = id.parse().ok().and_then(|id: Uuid| state.world.managed.get(&id));
            let managed = managed.ok_or_else(|| Failure::intune_not_found("deviceManagement/managedDevices"))?;
            let entity = odata::project(printed(&state.world, managed, true), self.query.select().as_deref());
            Ok(self.entity("deviceManagement/managedDevices", entity))
        })
    }

    /// `POST /beta/deviceManagement/managedDevices/{id}/rotateBitLockerKeys`. Whatever body comes is not looked at.
    pub fn rotate(&self, tenant: &Tenant, id: &str) -> Result<Answer, Failure> {
        if !self.beta {
            return Err(Failure::unknown_segment("rotateBitLockerKeys"));
        }
        let path = "deviceManagement/managedDevices/rotateBitLockerKeys";
        self.must_hold(ROTATE, path)?;
        if !self.bearer.person.rotates_keys() {
            return Err(Failure::intune_denied("User is not authorized to perform this operation", path));
        }
        let found = tenant
            .with(|state, now| id.parse().is_ok_and(|id| rotation::request(&mut state.world, tenant.pace(), id, now)));
        if found { Ok(Answer::NoContent) } else { Err(Failure::intune_not_found(path)) }
    }

    /// Refuses an application that holds none of `scopes`, as Intune words it.
    fn must_hold(&self, scopes: &[&str], path: &str) -> Result<(), Failure> {
        if self.bearer.may(scopes) {
            return Ok(());
        }
        let why = format!(
            "Application is not authorized to perform this operation. Application must have one of the following \
             scopes: {}",
            scopes.join(", ")
        );
        Err(Failure::intune_denied(&why, path))
    }

    fn may_read_intune(&self) -> Result<(), Failure> {
        let path = "deviceManagement/managedDevices";
        self.must_hold(READ, path)?;
        if self.bearer.person.reads_intune() {
            return Ok(());
        }
        let denied = Failure::intune_denied("User is not authorized to perform this operation", path);
        Err(Failure { status: StatusCode::FORBIDDEN, ..denied })
    }
}

/// The devices behind a filter that Intune knows; `None` for any other. Of several ids joined by `or` only the first
/// is looked for.
fn known<'a>(world: &'a World, filter: Option<&Filter>) -> Option<Vec<&'a Managed>> {
    let filter = match filter? {
        Filter::Or(first, _) => first,
        filter => filter,
    };
    if let Filter::Or(..) = filter {
        return known(world, Some(filter));
    }
    if let Some(id) = filter.only_eq("azureADDeviceId") {
        return Some(id.parse().map(|id| world.managed_by_device(id).collect()).unwrap_or_default());
    }
    if let Some(serial) = filter.only_eq("serialNumber") {
        return Some(world.managed_by_serial(serial).collect());
    }
    let upn = filter.only_eq("userPrincipalName")?;
    // An empty name is one of the filters that are ignored.
    let person = world.person_by_upn(upn).map(|person| person.id);
    if upn.is_empty() {
        return None;
    }
    Some(person.map(|person| world.managed_by_user(person).collect()).unwrap_or_default())
}
