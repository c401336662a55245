//! A key read somewhere else than in Entra.

use crate::domain::{caller::Claim, debt::Source, device::DeviceId, foreign::Foreign, key_id::KeyId};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub key: KeyId,
    pub source: Source,
    /// As the caller or the sticker says.
    pub device_name: Foreign,
    /// Where Entra has the laptop: then its keys can be replaced remotely.
    pub device: Option<DeviceId>,
    /// As typed; read against the policy.
    pub ticket: String,
    /// The policy's reason id, and its id of how the caller was verified.
    pub reason: String,
    pub method: String,
    pub claims: Vec<Claim>,
}
