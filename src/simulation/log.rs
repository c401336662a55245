//! Every request the tenant saw: what tests read to know what a client really sent.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use serde::Serialize;
use uuid::Uuid;

/// The oldest requests are forgotten beyond this many.
const MOST: usize = 200_000;

/// One request. Bodies and tokens are not kept.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Grows by one from request to request.
    pub number: u64,
    /// Simulated time at which it arrived, RFC 3339.
    pub time: String,
    pub method: String,
    /// Path and query as they came, not decoded.
    pub path: String,
    pub client_request_id: Option<Uuid>,
    pub request_id: Uuid,
    pub user_agent: Option<String>,
    /// `ocp-client-name` and `ocp-client-version`, where both came.
    pub client: Option<String>,
    /// UPN of the bearer; `None` without a token that holds.
    pub who: Option<String>,
    /// `None` as long as it is not answered, and where a fault kept the answer back.
    pub status: Option<u16>,
    /// Whether the tenant carried it out, answered or not.
    pub served: bool,
    /// The fault that struck it.
    pub fault: Option<String>,
    /// Of a flood, the bytes that went out so far.
    pub flooded: u64,
}

#[derive(Debug, Default)]
pub struct Log(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Entry>,
    next: u64,
}

impl Log {
    /// Note a request as it arrives; gives its number.
    pub fn arrived(&self, mut entry: Entry) -> u64 {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entry.number = kept.next;
        kept.next += 1;
        kept.entries.push_back(entry);
        if kept.entries.len() > MOST {
            kept.entries.pop_front();
        }
        kept.next - 1
    }

    /// Add to a request what became of it.
    pub fn amend(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.entries.front().map_or(0, |entry| entry.number);
        let place = number.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        if let Some(entry) = place.and_then(|place| kept.entries.get_mut(place)) {
            change(entry);
        }
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entries.iter().cloned().collect()
    }
}
