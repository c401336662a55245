//! The one thing that is changed: a device's keys are replaced.
//! Source: beta `managedDevices/{id}/rotateBitLockerKeys`, no body, 204. It is in no released edition.

use std::time::Duration;

use super::{Ask, Edition, Graph, RotateError};
use crate::{
    domain::{capability::Feature, device::ManagedDeviceId},
    http::{Repeat, Turn},
};

/// Intune took the request. The laptop has still to hear of it: this proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub request_id: Option<String>,
}

impl Graph {
    /// Asks Intune to replace the keys of this device: once, and given up after `within`, so that whoever comes to look later can be
    /// sure that nothing of it is still on its way. It waits behind no listing, whoever asks: its time is short.
    pub async fn rotate(&self, device: ManagedDeviceId, within: Duration) -> Result<Accepted, RotateError> {
        let id = device.to_string();
        let url = self.url(Edition::Beta, &["deviceManagement", "managedDevices", &id, "rotateBitLockerKeys"]);
        let ask = Ask::post(Feature::Rotate, url).repeat(Repeat::Never).telling();
        let in_front = Self { http: self.http.with_turn(Turn::Front), ..self.clone() };
        let late = || RotateError::Uncertain { why: "no answer came in time".into(), report: None };
        let answer = tokio::time::timeout(within, in_front.send(ask)).await.map_err(|_| late())??;
        if answer.is_success() {
            Ok(Accepted { request_id: answer.request_id })
        } else {
            Err(RotateError::from_answer(&answer))
        }
    }
}
