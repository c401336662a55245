//! The ledger is the outbox: its rows leave in order, and each sink says how far it has taken them.

use std::time::Duration;

use jiff::Timestamp;

/// No collector gets longer to take what it is offered.
pub const LIMIT: Duration = Duration::from_secs(10);

/// A row as it leaves: what is stored, byte for byte, and the hash that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    pub seq: u64,
    /// SHA-256 of `body`, lower-case hex: the row's identity, wherever it arrives and however often.
    pub hash: String,
    /// The stored JSON.
    pub body: String,
}

/// How far a sink has taken the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The last row taken; 0 before the first.
    pub seq: u64,
    /// When it was.
    pub at: Option<Timestamp>,
    /// Attempts since then that failed.
    pub failures: u32,
    /// Why the last one did.
    pub error: Option<String>,
}

/// What a sink has not taken yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub rows: u64,
    /// When the oldest of them was written.
    pub since: Option<Timestamp>,
}
