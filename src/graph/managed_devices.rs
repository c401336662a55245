//! Intune's devices. Source: `deviceManagement/managedDevices`, delegated `DeviceManagementManagedDevices.Read.All`.
//!
//! Intune ignores filters it does not support and returns every device, without a word. So no row is believed because it was asked for: each
//! is compared with the question.

use serde::Deserialize;

use super::{
    Ask, Edition, Graph, GraphError,
    page::select,
    wire::{Scalar, list, literal},
};
use crate::domain::{
    capability::Feature,
    device::{ActionResult, ActionState, Compliance, DeviceId, ManagedDevice, ManagedDeviceId, NO_DEVICE},
};

const FIELDS: &str = "id,azureADDeviceId,deviceName,serialNumber,model,userDisplayName,userPrincipalName,lastSyncDateTime,\
                      enrolledDateTime,complianceState,isEncrypted";
const FIELDS_AND_ACTIONS: &str = "id,azureADDeviceId,deviceName,serialNumber,model,userDisplayName,userPrincipalName,lastSyncDateTime,\
     enrolledDateTime,complianceState,isEncrypted,deviceActionResults";
const PATH: [&str; 2] = ["deviceManagement", "managedDevices"];

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Row {
    id: Scalar,
    #[serde(rename = "azureADDeviceId")]
    azure_ad_device_id: Scalar,
    device_name: Scalar,
    serial_number: Scalar,
    model: Scalar,
    user_display_name: Scalar,
    user_principal_name: Scalar,
    last_sync_date_time: Scalar,
    enrolled_date_time: Scalar,
    compliance_state: Scalar,
    is_encrypted: Scalar,
    #[serde(deserialize_with = "list")]
    device_action_results: Vec<Action>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Action {
    #[serde(rename = "actionName")]
    name: Scalar,
    #[serde(rename = "actionState")]
    state: Scalar,
    start_date_time: Scalar,
    last_updated_date_time: Scalar,
    error_code: Scalar,
}

impl Row {
    fn read(self) -> Option<ManagedDevice> {
        Some(ManagedDevice {
            id: ManagedDeviceId(self.id.real_guid()?),
            device: self.azure_ad_device_id.real_guid().map_or(NO_DEVICE, DeviceId),
            checked_in: self.last_sync_date_time.time(),
            enrolled: self.enrolled_date_time.time(),
            compliance: compliance(self.compliance_state.text().unwrap_or_default()),
            encrypted: self.is_encrypted.truth(),
            rotation: newest_rotation(self.device_action_results),
            name: self.device_name.foreign(),
            serial: self.serial_number.foreign(),
            model: self.model.foreign(),
            owner: self.user_display_name.foreign(),
            owner_upn: self.user_principal_name.foreign(),
        })
    }
}

fn compliance(said: &str) -> Compliance {
    match said.to_ascii_lowercase().as_str() {
        "compliant" => Compliance::Compliant,
        "noncompliant" => Compliance::Noncompliant,
        "ingraceperiod" => Compliance::InGracePeriod,
        "conflict" => Compliance::Conflict,
        "error" => Compliance::Error,
        _ => Compliance::Unknown,
    }
}

/// The exact name of the action is not documented; every one seen holds "bitlocker".
fn newest_rotation(actions: Vec<Action>) -> Option<ActionResult> {
    let rotations = actions
        .into_iter()
        .filter(|action| action.name.text().is_some_and(|name| name.to_ascii_lowercase().contains("bitlocker")));
    let results = rotations.map(|action| ActionResult {
        state: state(action.state.text().unwrap_or_default()),
        started: action.start_date_time.time(),
        updated: action.last_updated_date_time.time(),
        error: action.error_code.int().unwrap_or(0),
    });
    results.max_by_key(|result| (result.started, result.updated))
}

fn state(said: &str) -> ActionState {
    match said.to_ascii_lowercase().as_str() {
        "none" => ActionState::None,
        "pending" => ActionState::Pending,
        "canceled" => ActionState::Canceled,
        "active" => ActionState::Active,
        "done" => ActionState::Done,
        "failed" => ActionState::Failed,
        "notsupported" => ActionState::NotSupported,
        _ => ActionState::Unknown,
    }
}

impl Graph {
    /// Intune's objects for this Entra device: usually one. More than one means that nobody can say which is the live one.
    pub async fn managed_of_device(&self, device: DeviceId) -> Result<Vec<ManagedDevice>, GraphError> {
        if device == NO_DEVICE {
            return Ok(Vec::new());
        }
        self.managed_where(&format!("azureADDeviceId eq '{device}'"), |row| row.device == device).await
    }

    /// Devices with exactly this serial number, in any case.
    pub async fn managed_by_serial(&self, serial: &str) -> Result<Vec<ManagedDevice>, GraphError> {
        let same = |row: &ManagedDevice| same_text(row.serial.raw(), serial);
        self.managed_where(&format!("serialNumber eq {}", literal(serial.trim())), same).await
    }

    /// Devices of the user with exactly this user principal name, in any case. Without a domain, the technician's own is meant.
    pub async fn managed_by_user(&self, user: &str) -> Result<Vec<ManagedDevice>, GraphError> {
        let upn = &self.whole_upn(user.trim());
        let same = |row: &ManagedDevice| same_text(row.owner_upn.raw(), upn);
        self.managed_where(&format!("userPrincipalName eq {}", literal(upn)), same).await
    }

    /// One device with its newest BitLocker rotation: lists leave that out.
    pub async fn managed(&self, id: ManagedDeviceId) -> Result<ManagedDevice, GraphError> {
        let id_text = id.to_string();
        let url = self.url(Edition::V1, &[PATH[0], PATH[1], &id_text]);
        let answer = self.ask(Ask::get(Feature::List, select(url, FIELDS_AND_ACTIONS, &[]))).await?;
        let odd = |what| GraphError::odd(&answer, what);
        let row: Row = serde_json::from_slice(&answer.body).map_err(|_| odd("it is no device"))?;
        let device = row.read().ok_or_else(|| odd("it is no device"))?;
        if device.id == id { Ok(device) } else { Err(odd("it is another device")) }
    }

    fn whole_upn(&self, user: &str) -> String {
        let technician = self.session.technician();
        let domain = technician.as_ref().and_then(|own| own.upn.raw().split_once('@')).map(|(_, domain)| domain);
        match domain {
            Some(domain) if !user.is_empty() && !user.contains('@') => format!("{user}@{domain}"),
            _ => user.to_owned(),
        }
    }

    async fn managed_where(
        &self,
        filter: &str,
        is_meant: impl Fn(&ManagedDevice) -> bool,
    ) -> Result<Vec<ManagedDevice>, GraphError> {
        let ask = || {
            let url = self.url(Edition::V1, &PATH);
            Ask::get(Feature::List, select(url, FIELDS, &[("$filter", filter)]))
        };
        let mut found = self.all(ask, Row::read).await?.items;
        let given = found.len();
        found.retain(is_meant);
        if found.len() < given {
            tracing::warn!(given, meant = found.len(), "Intune returned devices nobody asked for");
        }
        Ok(found)
    }
}

fn same_text(a: &str, b: &str) -> bool {
    !b.trim().is_empty() && a.trim().to_lowercase() == b.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<ManagedDevice> {
        serde_json::from_str::<Row>(json).unwrap().read()
    }

    #[test]
    fn the_newest_bitlocker_action_is_the_rotation() {
        let device = read(
            r#"{"id":"705c034c-034c-705c-4c03-5c704c035c70","azureADDeviceId":"1ab40ab2-32a8-4b00-b6b5-ba724e407de9",
                "deviceActionResults":[
                  {"actionName":"rotateBitLockerKeys","actionState":"done","startDateTime":"2026-01-01T00:00:00Z","errorCode":0},
                  {"actionName":"RotateBitlockerKeys","actionState":"failed","startDateTime":"2026-02-01T00:00:00Z",
                   "lastUpdatedDateTime":"2026-02-01T00:05:00Z","errorCode":-2144272166},
                  {"actionName":"remoteLock","actionState":"pending","startDateTime":"2026-03-01T00:00:00Z"},
                  {"actionName":null,"actionState":7}]}"#,
        )
        .unwrap();
        let rotation = device.rotation.unwrap();
        assert_eq!((rotation.state, rotation.error), (ActionState::Failed, -2_144_272_166));
    }

    #[test]
    fn an_unknown_state_and_empty_dates_are_read_as_not_known() {
        let device = read(
            r#"{"id":"705c034c-034c-705c-4c03-5c704c035c70","azureADDeviceId":"00000000-0000-0000-0000-000000000000",
                "complianceState":"configManager","lastSyncDateTime":"0001-01-01T00:00:00Z","isEncrypted":null,
                "deviceActionResults":[{"actionName":"BitLocker","actionState":"dreaming","errorCode":"many"}]}"#,
        )
        .unwrap();
        assert_eq!((device.device, device.checked_in, device.compliance), (NO_DEVICE, None, Compliance::Unknown));
        let rotation = device.rotation.unwrap();
        assert_eq!((rotation.state, rotation.error), (ActionState::Unknown, 0));
    }

    #[test]
    fn a_row_that_names_no_guid_is_skipped() {
        assert!(read(r#"{"id":"Id value","azureADDeviceId":"Azure ADDevice Id value"}"#).is_none());
    }

    #[test]
    fn an_empty_question_matches_nothing() {
        assert!(!same_text("", " "));
        assert!(same_text("7kq2m ", "7KQ2M"));
    }
}
