//! A call: one conversation, from first key to close. Its state is folded from the ledger rows under its id.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{age, caller::Claim, device::DeviceId, foreign::Foreign, guid, key::Volume, key_id::KeyId, ticket::Ticket};

guid! {
    /// One call.
    CallId
}
guid! {
    /// One recovery password shown to one technician for one ticket and reason. Also the `client-request-id` of its request.
    DisclosureId
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallState {
    Open,
    /// Put aside by the technician, or left behind by a desk that ended.
    Parked,
    Closed,
}

/// The caller was verified, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The policy's method id.
    pub method: String,
    /// The method in a note's words: "called back".
    pub words: String,
    pub claims: Vec<Claim>,
    pub at: Timestamp,
}

/// A call as the ledger tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub id: CallId,
    /// Counted up on this machine; what a person calls it.
    pub number: u32,
    pub state: CallState,
    pub opened: Timestamp,
    pub key: KeyId,
    pub volume: Volume,
    pub device: DeviceId,
    pub device_name: Foreign,
    /// How many characters of the key ID the caller read.
    pub heard: usize,
    pub verification: Option<Verification>,
    pub ticket: Option<Ticket>,
    /// The policy's reason, in its words.
    pub reason: Option<String>,
    /// When Entra handed out a key in this call, or may have.
    pub disclosed: Option<Timestamp>,
    /// Whether it certainly did: the digits were here.
    pub read: bool,
    pub in_windows: Option<Timestamp>,
    pub closed: Option<Timestamp>,
}

/// An earlier disclosure for the same device, for the card's "Before".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub at: Timestamp,
    pub key: KeyId,
    pub ticket: Ticket,
    pub reason: String,
}

/// A caller who asked for a key of this device and could not be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub at: Timestamp,
    /// The technician's user principal name, where somebody sat there.
    pub by: Option<Foreign>,
}

impl Refusal {
    /// "Refused by omar at 08:51 today: the caller could not be verified."
    pub fn sentence(&self, now: Timestamp, zone: &TimeZone) -> String {
        let by = self.by.as_ref().map(|upn| Foreign::new(upn.raw().split('@').next().unwrap_or_default()));
        let by = by.map_or_else(String::new, |name| format!(" by {name}"));
        let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
        let when = match day(now).since(day(self.at)).map_or(i32::MAX, |span| span.get_days()) {
            0 => format!("at {} today", age::clock(self.at, zone)),
            1 => format!("at {} yesterday", age::clock(self.at, zone)),
            _ => format!("on {}", age::day(self.at, zone)),
        };
        format!("Refused{by} {when}: the caller could not be verified.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_who_refused_and_when() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let refusal = Refusal { at: at("2026-11-20T08:51:07Z"), by: Some("omar@harborview.example".into()) };
        let said = |now: &str| refusal.sentence(at(now), &TimeZone::UTC);
        assert_eq!(said("2026-11-20T09:00:00Z"), "Refused by omar at 08:51 today: the caller could not be verified.");
        assert_eq!(
            said("2026-11-21T00:01:00Z"),
            "Refused by omar at 08:51 yesterday: the caller could not be verified."
        );
        assert_eq!(said("2026-12-01T09:00:00Z"), "Refused by omar on 20 Nov: the caller could not be verified.");
        let nobody = Refusal { by: None, ..refusal };
        assert!(nobody.sentence(at("2026-11-20T09:00:00Z"), &TimeZone::UTC).starts_with("Refused at 08:51 today"));
    }
}
