//! A stored row, opened: what every story is told from. Whatever looks like digits of a key is gone from it.

use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize as _;
use serde_json::Value;

use super::{
    Happening, KeyFacts, Person, RowCopy, When,
    select::{ids, rotations},
    words,
};
use crate::domain::{
    call::{CallId, DisclosureId},
    debt::{DebtId, RotationId},
    digest::sha256,
    event::Event,
    key::Volume,
    recovery_password::{blocks_in, withheld},
};

/// A row as the ledger stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub seq: u64,
    pub body: Vec<u8>,
    pub hash: String,
}

pub(super) struct Row<'a> {
    stored: &'a Stored,
    /// Without digits of a key.
    body: Value,
    zone: &'a TimeZone,
}

impl<'a> Row<'a> {
    /// What cannot be read as JSON has no fields.
    pub fn open(stored: &'a Stored, zone: &'a TimeZone) -> Self {
        let mut body = serde_json::from_slice(&stored.body).unwrap_or_default();
        withhold(&mut body);
        Self { stored, body, zone }
    }

    pub fn seq(&self) -> u64 {
        self.stored.seq
    }

    pub fn event(&self) -> &str {
        self.what("event").as_str().unwrap_or("unreadable")
    }

    /// A field of the event.
    pub fn what(&self, field: &str) -> &Value {
        &self.body["what"][field]
    }

    /// The event with all its fields.
    pub fn what_whole(&self) -> &Value {
        &self.body["what"]
    }

    pub fn text(&self, field: &str) -> Option<String> {
        self.what(field).as_str().map(str::to_owned)
    }

    pub fn stamp(&self, field: &str) -> &Value {
        &self.body["stamp"][field]
    }

    pub fn stamped(&self, field: &str) -> String {
        self.stamp(field).as_str().unwrap_or_default().to_owned()
    }

    pub fn technician(&self) -> Option<Person> {
        let who = self.stamp("technician");
        let field = |name: &str| who[name].as_str().unwrap_or_default().to_owned();
        who.is_object().then(|| Person { id: field("id"), upn: field("upn"), name: field("name") })
    }

    pub fn call(&self) -> Option<CallId> {
        ids(&self.body, &["call"]).first().copied()
    }

    pub fn debts(&self) -> Vec<DebtId> {
        ids(&self.body["what"], &["debt", "debts"])
    }

    pub fn disclosure(&self) -> Option<DisclosureId> {
        ids(&self.body["what"], &["disclosure"]).first().copied()
    }

    pub fn rotations(&self) -> Vec<RotationId> {
        rotations(&self.body["what"])
    }

    pub fn at(&self) -> Option<When> {
        self.time(&self.body["at"])
    }

    /// A time in a field of the event.
    pub fn when(&self, field: &str) -> Option<When> {
        self.time(self.what(field))
    }

    fn time(&self, value: &Value) -> Option<When> {
        let at: Timestamp = value.as_str()?.parse().ok()?;
        Some(When::new(at, self.zone))
    }

    /// This time, on both clocks.
    pub fn moment(&self, at: Timestamp) -> When {
        When::new(at, self.zone)
    }

    /// The event, where this version reads it.
    pub fn read(&self) -> Option<Event> {
        Event::deserialize(self.what_whole()).ok()
    }

    pub fn key(&self) -> Option<KeyFacts> {
        Some(KeyFacts { id: words::key_id(self.what("key"))?, volume: volume_words(self.what("volume")) })
    }

    pub fn told(&self) -> Happening {
        let mut fields = self.body["what"].clone();
        if let Some(fields) = fields.as_object_mut() {
            fields.remove("event");
        }
        Happening {
            seq: self.seq(),
            at: self.at(),
            event: self.event().to_owned(),
            by: self.technician().map(|who| who.upn),
            host: self.stamped("host"),
            said: words::said(self),
            fields,
        }
    }

    /// The row itself. `before`: the hash of the row before, if that is in the pack.
    pub fn copy(&self, before: Option<&str>) -> RowCopy {
        let text = std::str::from_utf8(&self.stored.body);
        let body = text.ok().filter(|text| blocks_in(text).is_empty()).map(str::to_owned);
        let why = match (&body, text) {
            (Some(_), _) => None,
            (None, Err(_)) => Some("Its bytes are no text."),
            (None, Ok(_)) => Some("Its bytes hold what looks like digits of a recovery password; the ledger has them."),
        };
        let prev = self.body["prev"].as_str().unwrap_or_default().to_owned();
        RowCopy {
            seq: self.seq(),
            at: self.at(),
            event: self.event().to_owned(),
            follows: before.map(|before| before == prev),
            prev,
            hash: self.stored.hash.clone(),
            hash_holds: sha256(&self.stored.body) == self.stored.hash,
            body,
            withheld: why.map(str::to_owned),
        }
    }
}

pub(super) fn volume_words(value: &Value) -> String {
    serde_json::from_value::<Volume>(value.clone())
        .map_or_else(|_| value.as_str().unwrap_or("not recorded").to_owned(), |volume| volume.words().to_owned())
}

/// Takes digits of a key out of every text, names of fields included.
fn withhold(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(clean) = withheld(text) {
                *text = clean;
            }
        }
        Value::Array(all) => all.iter_mut().for_each(withhold),
        Value::Object(fields) => {
            for (name, mut value) in std::mem::take(fields) {
                withhold(&mut value);
                fields.insert(withheld(&name).into_owned(), value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
