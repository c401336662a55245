//! The last look before a row is written: whatever path a person's words came by, no digits of a key get into the chain, where they would
//! stay, and from where they would be forwarded. Who asks for words refuses them earlier, and says so in the words of the place.

use serde_json::Value;
use uuid::Uuid;

use super::TxError;
use crate::domain::{event::Event, recovery_password};

const REFUSED: &str =
    "This holds digits of a recovery password: nothing of it is written down. Say it without the digits.";
/// Fields that hold a SHA-256.
const HASHES: [&str; 3] = ["digest", "head_hash", "sha256"];
/// Fields that hold what Entra, Intune or a proxy says. Anybody may name a laptop: that must not keep its key from being read, nor its
/// outcome from being written.
const FROM_OUTSIDE: [&str; 5] = ["audit", "code", "device_name", "name", "request_id"];

/// Refuses an event with three blocks of a recovery password in any of its texts.
pub(super) fn check(event: &Event) -> Result<(), TxError> {
    if holds_digits(&serde_json::to_value(event)?) { Err(TxError::Conflict(REFUSED.into())) } else { Ok(()) }
}

fn holds_digits(value: &Value) -> bool {
    match value {
        Value::String(text) => !is_guid(text) && recovery_password::is_in(text),
        Value::Array(items) => items.iter().any(holds_digits),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, value)| !(HASHES.contains(&name.as_str()) && is_hash(value)))
            .filter(|(name, value)| !(FROM_OUTSIDE.contains(&name.as_str()) && value.is_string()))
            .any(|(name, value)| recovery_password::is_in(name) || holds_digits(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A GUID's digits may make blocks by chance: a key with such an ID must be read like any other.
fn is_guid(text: &str) -> bool {
    text.len() == uuid::fmt::Hyphenated::LENGTH && Uuid::try_parse(text).is_ok()
}

fn is_hash(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        call::{CallId, DisclosureId, Verification},
        debt::{Block, Candidate, DebtId, KnownKey, RotationId},
        device::{DeviceId, ManagedDeviceId},
        event::{Carried, Intent},
        key::Volume,
        key_id::KeyId,
    };

    /// GUIDs, and half of the time one of decimal digits alone, the likeliest to look like blocks.
    fn guid() -> impl Strategy<Value = Uuid> {
        let decimal = "[0-9]{32}".prop_map(|digits| Uuid::parse_str(&digits).unwrap());
        prop_oneof![any::<u128>().prop_map(Uuid::from_u128), decimal]
    }

    fn hash() -> impl Strategy<Value = String> {
        prop_oneof!["[0-9a-f]{64}", "[0-9]{64}"]
    }

    fn time() -> impl Strategy<Value = Timestamp> {
        (0_i64..4_000_000_000, 0_i32..1_000_000_000).prop_map(|(s, ns)| Timestamp::new(s, ns).unwrap())
    }

    fn intent(ids: &[Uuid], at: Timestamp, words: &str, name: &str, ticket: &str) -> Event {
        let verification = Verification { method: "called-back".into(), words: words.into(), claims: Vec::new(), at };
        Event::Intended(Box::new(Intent {
            disclosure: DisclosureId(ids[0]),
            debt: DebtId(ids[1]),
            key: KeyId(ids[2]),
            volume: Volume::OperatingSystem,
            device: DeviceId(ids[3]),
            device_name: name.into(),
            ticket: serde_json::from_value(ticket.into()).unwrap(),
            reason: "windows-update".into(),
            reason_words: words.into(),
            verification,
            known: ids.iter().map(|id| KnownKey { id: KeyId(*id), volume: Volume::Unknown }).collect(),
            entra_time: Some(at),
        }))
    }

    /// Every kind of text an event holds, `word` in each of them in turn.
    fn events(ids: &[Uuid], hash: &str, at: Timestamp, word: &str) -> Vec<Event> {
        let (disclosure, debt, rotation) = (DisclosureId(ids[0]), DebtId(ids[1]), RotationId(ids[2]));
        let candidate = Candidate {
            managed: ManagedDeviceId(ids[3]),
            device: DeviceId(ids[0]),
            name: word.into(),
            checked_in: Some(at),
        };
        vec![
            intent(ids, at, word, "HVC-LT-0421", "INC0048213"),
            intent(ids, at, "Windows update", word, "INC0048213"),
            intent(ids, at, "Windows update", "HVC-LT-0421", word),
            Event::PolicyInForce { digest: hash.into(), lines: BTreeMap::from([("runbook".into(), word.into())]) },
            Event::PolicyInForce { digest: hash.into(), lines: BTreeMap::from([(word.into(), "1".into())]) },
            Event::Unknown { disclosure, rotation, held_until: at, why: word.into() },
            Event::Refused { disclosure, status: Some(403), code: word.into(), request_id: Some(ids[0].to_string()) },
            Event::Refused { disclosure, status: Some(403), code: "no".into(), request_id: Some(word.into()) },
            Event::Compromised { disclosure, debt, words: word.into() },
            Event::EntraRecord { disclosure, audit: word.into(), at, failed: false },
            Event::DebtWaived { debt, reason: word.into() },
            Event::DebtConfirmed { debt, new_key: Some(KeyId(ids[3])), how: word.into() },
            Event::RotationBlocked {
                rotation,
                why: Block::SeveralManagedDevices { count: 1, candidates: vec![candidate] },
            },
            Event::Exported { format: word.into(), from: 1, to: u64::MAX, sha256: hash.into(), ticket: None },
            Event::RefusalCarried { of_call: CallId(ids[0]), device: DeviceId(ids[1]), at, by: Some(word.into()) },
            Event::SetAside {
                folder: word.into(),
                sha256: hash.into(),
                rows: u64::MAX,
                head_seq: 7,
                head_hash: hash.into(),
                unread: vec![(1, u64::MAX)],
                debts: 1,
                debts_unread: 0,
                forwarded: Vec::new(),
            },
            Event::DebtCarried(Box::new(Carried {
                debt,
                key: KeyId(ids[3]),
                volume: Volume::Unknown,
                device: DeviceId(ids[0]),
                device_name: word.into(),
                of_call: CallId(ids[1]),
                ticket: serde_json::from_value("INC0048213".into()).unwrap(),
                since: at,
                tenant: Some(ids[2]),
                compromised: None,
                key_deleted: Some(at),
                source: None,
                known: Vec::new(),
                entra_time: None,
                rotation: None,
                disclosures: Vec::new(),
            })),
            Event::RefusalCarried { of_call: CallId(ids[1]), device: DeviceId(ids[0]), at, by: Some(word.into()) },
        ]
    }

    fn without_what_is_said_elsewhere(value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(without_what_is_said_elsewhere).collect(),
            Value::Object(fields) => {
                let kept = fields.into_iter().filter(|(name, value)| {
                    !(value.is_string()
                        && ["audit", "code", "device_name", "name", "request_id"].contains(&name.as_str()))
                });
                kept.map(|(name, value)| (name, without_what_is_said_elsewhere(value))).collect()
            }
            other => other,
        }
    }

    #[test]
    fn a_laptop_that_somebody_named_by_digits_has_its_rows_all_the_same() {
        let named = "011000-022000-033000-044000-055000-066000-077000-088000";
        let event = intent(&[Uuid::nil(); 4], Timestamp::UNIX_EPOCH, "Windows update", named, "INC0048213");
        assert!(check(&event).is_ok());
    }

    proptest! {
        #[test]
        fn what_people_and_machines_write_otherwise_is_written(
            ids in prop::array::uniform4(guid()),
            hash in hash(),
            at in time(),
            word in "[a-z ]{0,12}[0-9]{0,12}[a-z ,.]{0,12}",
        ) {
            for event in events(&ids, &hash, at, &word) {
                prop_assert!(check(&event).is_ok(), "{event:?}");
            }
            for event in events(&ids, &hash, at, &at.to_string()) {
                prop_assert!(check(&event).is_ok(), "{event:?}");
            }
        }

        #[test]
        fn a_recovery_password_in_any_text_keeps_the_row_from_being_written(
            ids in prop::array::uniform4(guid()),
            hash in hash(),
            at in time(),
            numbers in prop::collection::vec(1_u32..65_536, 3..=8),
            mark in "(-|| - |, )",
            before in "[ a-z]{0,9}",
            after in "[ a-z]{0,9}",
        ) {
            let blocks: Vec<String> = numbers.iter().map(|number| format!("{:06}", number * 11)).collect();
            let text = format!("{before}{}{after}", blocks.join(&mark));
            for event in events(&ids, &hash, at, &text) {
                let typed = without_what_is_said_elsewhere(serde_json::to_value(&event).unwrap()).to_string();
                let refused = check(&event);
                prop_assert_eq!(matches!(refused, Err(TxError::Conflict(_))), typed.contains(&text), "{:?}", event);
            }
        }
    }
}
