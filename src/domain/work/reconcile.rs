//! What this desk recorded against what Entra recorded.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use jiff::Timestamp;

use super::Failure;
use crate::domain::{
    device::DeviceId,
    foreign::Foreign,
    key_id::KeyId,
    reconcile::{GRACE, RETENTION, Reconciliation, Terms},
};

/// Whose reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    Me,
    Everyone,
    /// Whoever has this user principal name.
    Named(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub by: By,
    /// Since when; as far back as Entra's log reaches.
    pub since: Option<Timestamp>,
    /// Other desks' ledgers.
    pub ledgers: Vec<PathBuf>,
    /// How long Entra keeps its log.
    pub retention: Duration,
    pub grace: Duration,
}

impl Default for Request {
    fn default() -> Self {
        Self { by: By::Me, since: None, ledgers: Vec::new(), retention: RETENTION, grace: GRACE }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Checked(Box<Report>),
    /// An ordinary outcome: many technicians may not read Entra's log.
    CouldNot(Box<CouldNot>),
}

/// Both records, compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub terms: Terms,
    /// "dana@harborview.example", "everyone"
    pub whose: String,
    pub result: Reconciliation,
    /// Names of devices that were read elsewhere, as the list on this machine knows them.
    pub names: BTreeMap<DeviceId, Foreign>,
    /// Disclosed keys whose deletion Entra has logged, newly learnt.
    pub deleted: Vec<KeyId>,
    /// What was found could not be written to the ledger; it is found again next time.
    pub unrecorded: Option<Failure>,
}

/// Entra's log is closed to this technician, or not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CouldNot {
    pub failure: Failure,
    /// Disclosures that were never found in Entra's log.
    pub unchecked: usize,
    /// Of these, how many Entra forgets soon.
    pub forgotten_soon: usize,
}
