//! The call note: what goes into the ticket when a call closes. No digits of a key, ever.

use jiff::{Timestamp, tz::TimeZone};

use super::{age, call::Call, foreign::Foreign};

/// What a note is written from, beside the call itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteFacts {
    pub technician: Option<Foreign>,
    pub ended: Timestamp,
    /// One clause on the rotation: "replacement sent", "new key 5D20B8F3 seen".
    pub replacement: String,
    /// The digits were read to the wrong person.
    pub wrong_person: bool,
    /// Sequence number and hash of the ledger's head.
    pub ledger_seq: u64,
    pub ledger_head: String,
}

/// A note, ready to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub lines: Vec<String>,
}

impl Note {
    pub fn of(call: &Call, facts: &NoteFacts, zone: &TimeZone) -> Self {
        let clock = |at| age::clock(at, zone);
        let ticket = call.ticket.as_ref().map_or_else(|| "No ticket".to_owned(), ToString::to_string);
        let who = facts.technician.as_ref().map_or_else(|| "not signed in".to_owned(), ToString::to_string);
        let verified = call.verification.as_ref().map_or_else(
            || "Caller not verified.".to_owned(),
            |verification| format!("Caller verified: {}.", verification.words),
        );
        let read = match (call.read, call.disclosed) {
            _ if facts.wrong_person => "read to the wrong person",
            (true, _) => "read aloud",
            (false, Some(_)) => "asked for, none came",
            (false, None) => "not read",
        };
        let mut outcome = call.reason.as_ref().map(|reason| format!("{reason}. ")).unwrap_or_default();
        if let Some(at) = call.in_windows {
            outcome.push_str("In Windows again ");
            outcome.push_str(&clock(at));
            outcome.push_str(", ");
        }
        outcome += &facts.replacement;
        outcome.push('.');
        let head: String = facts.ledger_head.chars().take(8).collect();
        Self {
            lines: vec![
                format!("{ticket}, {} to {}, {who}", clock(call.opened), clock(facts.ended)),
                verified,
                format!("{}, key {}, {}: {read}.", call.device_name, call.key.short(), call.volume.words()),
                capitalised(&outcome),
                format!("Ledger {}, head {head}.", facts.ledger_seq),
            ],
        }
    }

    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
