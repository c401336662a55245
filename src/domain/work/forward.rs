//! Copies of the ledger's rows for the security team: how far each collector has taken them.

use jiff::Timestamp;

use crate::domain::{
    age,
    outbox::{Cursor, Waiting},
};

/// One collector, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkState {
    /// `webhook https://… (fingerprint)`, `syslog tls://…`
    pub sink: String,
    pub cursor: Cursor,
    pub waiting: Waiting,
}

impl SinkState {
    /// In one sentence.
    pub fn sentence(&self, now: Timestamp) -> String {
        let rows = age::count(usize::try_from(self.waiting.rows).unwrap_or(usize::MAX), "row");
        let Some(since) = self.waiting.since else {
            return match self.cursor.at {
                Some(at) => format!("It has every row; the last, {}, {}.", self.cursor.seq, age::ago(at, now)),
                None => "There is no row yet.".into(),
            };
        };
        let waits = if self.waiting.rows == 1 { "waits" } else { "wait" };
        let why = self.cursor.error.as_ref().map_or_else(String::new, |error| format!(" The last attempt: {error}"));
        format!("{rows} {waits}, the oldest written {}.{why}", age::ago(since, now))
    }
}
