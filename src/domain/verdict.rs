//! Duplicates get a verdict, not a list: which object is the laptop in the caller's hands, and why.

use jiff::Timestamp;

use super::{
    age,
    device::{Device, DeviceId, Join, ManagedDevice},
    key::Key,
};

/// A sign-in older than this may mean a stale object. Entra blurs the date by up to 19 days (14, give or take five).
const STALE_AFTER_DAYS: i64 = 60;
/// Entra keeps at most 200 keys a device; past that escrow, and so encryption, fails.
const KEYS_AT_MOST: usize = 200;
const KEYS_TO_WARN_AT: usize = 150;

/// One device object with what hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub device: Device,
    pub managed: Vec<ManagedDevice>,
    pub keys: Vec<Key>,
}

/// What one object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    ThisOne,
    /// Holds the asked key, but another object of the same hardware is the one in use.
    HoldsTheKey,
    /// Same hardware, no longer in use.
    Stale,
    /// Somebody's own registration of the same name.
    RegisteredOnly,
    Disabled,
    /// Same name; nothing says that it is the same hardware.
    SameName,
}

/// How sure the verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    Sure,
    Likely,
    /// Cannot decide: ask the caller.
    Unclear,
}

/// One object's line in the list of duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVerdict {
    pub id: DeviceId,
    pub finding: Finding,
    pub keys: usize,
}

impl ObjectVerdict {
    /// The last column: "this one", "stale: do not delete", "holds no keys".
    pub fn words(&self) -> String {
        let what = match self.finding {
            Finding::ThisOne => return "this one".into(),
            Finding::HoldsTheKey => return "holds the asked key: do not delete".into(),
            Finding::Stale => "stale",
            Finding::RegisteredOnly => "registered only",
            Finding::Disabled => "disabled",
            Finding::SameName => "same name",
        };
        if self.keys > 0 { format!("{what}: do not delete") } else { format!("{what}, holds no keys") }
    }
}

/// The verdict on a device and its duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub confidence: Confidence,
    /// "This one, sure: it holds the key and checked in last."
    pub sentence: String,
    /// Further sentences: the other objects, limits, warnings.
    pub because: Vec<String>,
    /// Asked of the caller when it cannot be decided.
    pub question: Option<String>,
    /// The asked device first.
    pub objects: Vec<ObjectVerdict>,
}

/// Judges `asked`, the object that holds the key, against `others` that bear its name or share its hardware.
pub fn judge(asked: &Candidate, others: &[Candidate], now: Timestamp) -> Verdict {
    let findings: Vec<Finding> = others.iter().map(|other| judge_other(asked, other, now)).collect();
    let rival = others.iter().zip(&findings).find(|(other, finding)| {
        matches!(finding, Finding::SameName | Finding::HoldsTheKey) && last_seen(other) > last_seen(asked)
    });
    let (confidence, sentence, question) = match rival {
        None => (Confidence::Sure, sure_sentence(asked, others), None),
        Some((other, _)) if same_hardware(asked, other) => (
            Confidence::Likely,
            "The key hangs on an old object; the same laptop has a newer one and checks in there.".to_owned(),
            None,
        ),
        Some(_) => (
            Confidence::Unclear,
            "Not clear: another object with this name was seen more recently.".to_owned(),
            Some("What does the sticker on the laptop say, the serial number?".to_owned()),
        ),
    };
    let asked_finding = if confidence == Confidence::Likely { Finding::HoldsTheKey } else { Finding::ThisOne };
    let mut objects = vec![ObjectVerdict { id: asked.device.id, finding: asked_finding, keys: asked.keys.len() }];
    objects.extend(others.iter().zip(&findings).map(|(other, &finding)| ObjectVerdict {
        id: other.device.id,
        finding: if confidence == Confidence::Likely
            && same_hardware(asked, other)
            && last_seen(other) > last_seen(asked)
        {
            Finding::ThisOne
        } else {
            finding
        },
        keys: other.keys.len(),
    }));
    Verdict { confidence, sentence, because: reasons(asked, others, &objects, now), question, objects }
}

fn sure_sentence(asked: &Candidate, others: &[Candidate]) -> String {
    let checked_in = asked.managed.iter().any(|m| m.checked_in.is_some());
    match (others.is_empty(), checked_in) {
        (true, _) => "This one, sure: the only object with this name.".into(),
        (false, true) => "This one, sure: it holds the key and checked in last.".into(),
        (false, false) => "This one, sure: it holds the key and signed in last.".into(),
    }
}

fn judge_other(asked: &Candidate, other: &Candidate, now: Timestamp) -> Finding {
    let stale = other.device.last_sign_in.is_none_or(|at| days_between(at, now) > STALE_AFTER_DAYS);
    match () {
        () if other.device.join == Join::Registered => Finding::RegisteredOnly,
        () if other.device.enabled == Some(false) => Finding::Disabled,
        () if stale => Finding::Stale,
        () if same_hardware(asked, other) && last_seen(other) <= last_seen(asked) => Finding::Stale,
        () => Finding::SameName,
    }
}

fn reasons(asked: &Candidate, others: &[Candidate], objects: &[ObjectVerdict], now: Timestamp) -> Vec<String> {
    let mut said = Vec::new();
    if !others.is_empty() {
        said.push(match others.len() {
            1 => "1 other object bears this name.".into(),
            n => format!("{n} other objects bear this name."),
        });
    }
    for (other, object) in others.iter().zip(&objects[1..]) {
        match object.finding {
            Finding::Stale | Finding::Disabled if object.keys > 0 => said.push(format!(
                "One is {} and holds {}: do not delete it.",
                if object.finding == Finding::Stale { "stale" } else { "disabled" },
                age::count(object.keys, "old key"),
            )),
            Finding::Stale => said.push("One is stale.".into()),
            Finding::Disabled => said.push("One is disabled.".into()),
            Finding::RegisteredOnly => said.push("One is registered only.".into()),
            Finding::SameName => said.push("One is in use, under the same name.".into()),
            Finding::ThisOne | Finding::HoldsTheKey => {}
        }
        if same_hardware(asked, other) {
            let since =
                other.device.registered.map(|at| format!(", registered {}", age::ago(at, now))).unwrap_or_default();
            said.push(format!("It shares this laptop's hardware identity{since}."));
        }
    }
    match asked.keys.len() {
        n if n >= KEYS_AT_MOST => {
            said.push(format!(
                "It holds {n} keys, the most Entra keeps: a new key cannot be stored until old ones are removed."
            ));
        }
        n if n >= KEYS_TO_WARN_AT => said.push(format!("It holds {n} keys; Entra keeps {KEYS_AT_MOST} at most.")),
        _ => {}
    }
    if asked.device.enabled == Some(false) {
        said.push("This object is disabled in Entra.".into());
    }
    if asked.device.is_pending() {
        said.push("This object is pending: the computer has not registered yet.".into());
    }
    said
}

fn same_hardware(a: &Candidate, b: &Candidate) -> bool {
    let same_tag = a.device.hardware.is_some() && a.device.hardware == b.device.hardware;
    let serials = |c: &Candidate| -> Vec<String> {
        c.managed.iter().filter(|m| !m.serial.is_empty()).map(|m| m.serial.raw().to_lowercase()).collect()
    };
    let of_b = serials(b);
    same_tag || serials(a).iter().any(|serial| of_b.contains(serial))
}

/// Intune's check-in is exact; Entra's sign-in is blurred. The later of both.
fn last_seen(candidate: &Candidate) -> Option<Timestamp> {
    candidate.managed.iter().filter_map(|m| m.checked_in).chain(candidate.device.last_sign_in).max()
}

fn days_between(then: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(then).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        device::{Compliance, ManagedDeviceId, ObjectId, ZtdId},
        key::Volume,
        key_id::KeyId,
    };

    fn now() -> Timestamp {
        "2026-11-20T09:00:00Z".parse().unwrap()
    }

    fn object(n: u128, days_ago: i64, join: Join, keys: usize) -> Candidate {
        Candidate {
            device: Device {
                object: ObjectId(Uuid::from_u128(n)),
                id: DeviceId(Uuid::from_u128(n)),
                name: "HVC-LT-0421".into(),
                join,
                enabled: Some(true),
                compliant: Some(true),
                last_sign_in: Some(now() - SignedDuration::from_hours(24 * days_ago)),
                registered: Some(now() - SignedDuration::from_hours(24 * 200)),
                hardware: None,
            },
            managed: Vec::new(),
            keys: (0..keys)
                .map(|i| Key {
                    id: KeyId(Uuid::from_u128(1000 * n + i as u128)),
                    device: DeviceId(Uuid::from_u128(n)),
                    escrowed: now(),
                    volume: Volume::OperatingSystem,
                })
                .collect(),
        }
    }

    #[test]
    fn the_only_object_is_this_one() {
        let verdict = judge(&object(1, 2, Join::EntraJoined, 3), &[], now());
        assert_eq!(verdict.sentence, "This one, sure: the only object with this name.");
        assert_eq!(verdict.because, Vec::<String>::new());
    }

    #[test]
    fn a_stale_twin_with_keys_must_not_be_deleted_and_a_registration_is_named() {
        let others = [object(2, 210, Join::EntraJoined, 3), object(3, 1, Join::Registered, 0)];
        let verdict = judge(&object(1, 2, Join::EntraJoined, 3), &others, now());
        assert_eq!(verdict.confidence, Confidence::Sure);
        assert_eq!(
            verdict.because,
            [
                "2 other objects bear this name.",
                "One is stale and holds 3 old keys: do not delete it.",
                "One is registered only."
            ]
        );
        let words: Vec<String> = verdict.objects.iter().map(ObjectVerdict::words).collect();
        assert_eq!(words, ["this one", "stale: do not delete", "registered only, holds no keys"]);
    }

    #[test]
    fn a_more_recent_object_of_the_same_name_leaves_it_to_the_caller() {
        let verdict = judge(&object(1, 40, Join::EntraJoined, 1), &[object(2, 1, Join::EntraJoined, 1)], now());
        assert_eq!(verdict.confidence, Confidence::Unclear);
        assert!(verdict.question.unwrap().contains("serial"));
    }

    #[test]
    fn a_newer_object_of_the_same_hardware_is_the_laptop_and_the_old_one_holds_the_key() {
        let mut old = object(1, 40, Join::EntraJoined, 1);
        let mut new = object(2, 1, Join::EntraJoined, 1);
        old.device.hardware = Some(ZtdId(Uuid::from_u128(7)));
        new.device.hardware = old.device.hardware;
        let verdict = judge(&old, &[new], now());
        assert_eq!(verdict.confidence, Confidence::Likely);
        assert_eq!(verdict.objects[0].finding, Finding::HoldsTheKey);
        assert_eq!(verdict.objects[1].finding, Finding::ThisOne);
    }

    #[test]
    fn near_the_limit_of_200_keys_it_warns() {
        let verdict = judge(&object(1, 2, Join::EntraJoined, 190), &[], now());
        assert!(
            verdict.because.iter().any(|s| s.contains("190 keys; Entra keeps 200 at most")),
            "{:?}",
            verdict.because
        );
    }

    #[test]
    fn two_objects_with_one_serial_are_one_laptop() {
        let managed = |n: u128| ManagedDevice {
            id: ManagedDeviceId(Uuid::from_u128(n)),
            device: DeviceId(Uuid::from_u128(n)),
            name: "x".into(),
            serial: "7KQ2M".into(),
            model: "".into(),
            owner: "".into(),
            owner_upn: "".into(),
            checked_in: None,
            enrolled: None,
            compliance: Compliance::Unknown,
            encrypted: None,
            rotation: None,
        };
        let (mut a, mut b) = (object(1, 2, Join::EntraJoined, 1), object(2, 50, Join::EntraJoined, 1));
        a.managed.push(managed(1));
        b.managed.push(managed(2));
        assert_eq!(judge(&a, &[b], now()).objects[1].finding, Finding::Stale);
    }
}
