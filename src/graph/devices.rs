//! Entra's devices. Source: `GET /devices`, delegated `Device.Read.All`; any user may read them in a tenant with default settings.

use serde::Deserialize;

use super::{
    Ask, Edition, Graph, GraphError, Link, Page,
    page::select,
    wire::{Scalar, list, literal},
};
use crate::domain::{
    capability::Feature,
    device::{Device, DeviceId, Join, ObjectId, ZtdId},
    technician::UserId,
};

const FIELDS: &str = "id,deviceId,displayName,trustType,accountEnabled,isCompliant,approximateLastSignInDateTime,\
                      registrationDateTime,physicalIds";
/// The largest page Entra gives of directory objects.
const LARGEST_PAGE: &str = "999";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Row {
    id: Scalar,
    device_id: Scalar,
    display_name: Scalar,
    trust_type: Scalar,
    account_enabled: Scalar,
    is_compliant: Scalar,
    approximate_last_sign_in_date_time: Scalar,
    registration_date_time: Scalar,
    #[serde(deserialize_with = "list")]
    physical_ids: Vec<Scalar>,
}

impl Row {
    fn read(self) -> Option<Device> {
        Some(Device {
            object: ObjectId(self.id.real_guid()?),
            id: DeviceId(self.device_id.guid()?),
            join: join(self.trust_type.text().unwrap_or_default()),
            enabled: self.account_enabled.truth(),
            compliant: self.is_compliant.truth(),
            last_sign_in: self.approximate_last_sign_in_date_time.time(),
            registered: self.registration_date_time.time(),
            hardware: self.physical_ids.iter().filter_map(Scalar::text).find_map(ztd_id),
            name: self.display_name.foreign(),
        })
    }
}

fn join(trust_type: &str) -> Join {
    match trust_type.to_ascii_lowercase().as_str() {
        "azuread" => Join::EntraJoined,
        "serverad" => Join::HybridJoined,
        "workplace" => Join::Registered,
        _ => Join::Unknown,
    }
}

/// `[ZTDId]:guid`, its case varying.
fn ztd_id(physical_id: &str) -> Option<ZtdId> {
    let (label, guid) = physical_id.split_once(':')?;
    label.eq_ignore_ascii_case("[ZTDId]").then(|| guid.parse().ok()).flatten()
}

/// A device with whom it is registered to.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Owned {
    device_id: Scalar,
    #[serde(deserialize_with = "list")]
    registered_owners: Vec<Owner>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Owner {
    id: Scalar,
}

impl Graph {
    /// Whom Entra has registered as this device's owner. Without a permission for users their ids come all the same.
    pub async fn owners_of_device(&self, id: DeviceId) -> Result<Vec<UserId>, GraphError> {
        let filter = format!("deviceId eq '{id}'");
        let options = [("$filter", filter.as_str()), ("$expand", "registeredOwners")];
        let ask = || Ask::get(Feature::List, select(self.url(Edition::V1, &["devices"]), "id,deviceId", &options));
        let rows = self.all(ask, |row: Owned| (row.device_id.guid() == Some(id.0)).then_some(row.registered_owners));
        let owners = rows.await?.items.into_iter().flatten();
        Ok(owners.filter_map(|owner| owner.id.real_guid()).map(UserId).collect())
    }

    /// The device with this device id. `None`: deleted, or never there.
    pub async fn device(&self, id: DeviceId) -> Result<Option<Device>, GraphError> {
        let found = self.devices_where(&format!("deviceId eq '{id}'")).await?;
        Ok(found.into_iter().find(|device| device.id == id))
    }

    /// Devices of exactly this name, in any case.
    pub async fn devices_named(&self, name: &str) -> Result<Vec<Device>, GraphError> {
        self.devices_where(&format!("displayName eq {}", literal(name))).await
    }

    /// Devices whose name begins so: at most one page of them.
    pub async fn devices_beginning(&self, prefix: &str) -> Result<Vec<Device>, GraphError> {
        let filter = format!("startswith(displayName,{})", literal(prefix));
        let ask = self.devices_ask(&[("$filter", &filter)]);
        Ok(self.page(ask, None, Row::read).await?.items)
    }

    /// Devices whose name holds these words, from Entra's search index, which may lag: at most one page of them.
    pub async fn devices_search(&self, words: &str) -> Result<Vec<Device>, GraphError> {
        let quoted = words.replace('\\', "\\\\").replace('"', "\\\"");
        let search = format!("\"displayName:{quoted}\"");
        let ask = self.devices_ask(&[("$search", &search), ("$count", "true")]).eventual();
        Ok(self.page(ask, None, Row::read).await?.items)
    }

    /// One page of all devices.
    pub async fn devices_page(&self, link: Option<&Link>) -> Result<Page<Device>, GraphError> {
        self.page(self.devices_ask(&[("$top", LARGEST_PAGE)]), link, Row::read).await
    }

    async fn devices_where(&self, filter: &str) -> Result<Vec<Device>, GraphError> {
        Ok(self.all(|| self.devices_ask(&[("$filter", filter)]), Row::read).await?.items)
    }

    fn devices_ask(&self, options: &[(&str, &str)]) -> Ask {
        Ask::get(Feature::List, select(self.url(Edition::V1, &["devices"]), FIELDS, options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Device> {
        serde_json::from_str::<Row>(json).unwrap().read()
    }

    #[test]
    fn a_device_is_read_with_its_hardware_identity() {
        let device = read(
            r#"{"id":"6a30ed7b-247b-4d26-86b5-2f405e55ea42","deviceId":"1ab40ab2-32a8-4b00-b6b5-ba724e407de9",
                "displayName":"HVC-LT-0421","trustType":"AzureAd","accountEnabled":true,"isCompliant":null,
                "approximateLastSignInDateTime":"2026-05-01T08:00:00Z","registrationDateTime":"0001-01-01T00:00:00Z",
                "physicalIds":["[OrderID]:x",7,"[ZTDID]:2ef04ef1-23b0-4e00-a3a5-ab345e567ab6"]}"#,
        )
        .unwrap();
        assert_eq!((device.join, device.enabled, device.compliant), (Join::EntraJoined, Some(true), None));
        assert_eq!(device.hardware.unwrap().to_string(), "2ef04ef1-23b0-4e00-a3a5-ab345e567ab6");
        assert!(device.last_sign_in.is_some() && device.registered.is_none());
    }

    #[test]
    fn a_row_of_nearly_nothing_is_still_a_device_and_a_row_without_ids_is_none() {
        let bare = r#"{"id":"6a30ed7b-247b-4d26-86b5-2f405e55ea42","deviceId":"1ab40ab2-32a8-4b00-b6b5-ba724e407de9",
                       "trustType":"SomethingNew","physicalIds":null}"#;
        assert_eq!(read(bare).unwrap().join, Join::Unknown);
        assert!(read(r#"{"displayName":"contoso_Android","deviceVersion":1}"#).is_none());
    }
}
