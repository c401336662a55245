//! Duplicates get a verdict, not a list: which object is the laptop in the caller's hands, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// `None`: Intune could not be asked.
    pub managed: Option<Vec<ManagedDevice>>,
    /// `None`: its keys could not be listed.
    pub keys: Option<Vec<Key>>,
}

/// The other objects that bear a device's name, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    pub seen: Vec<Candidate>,
    pub unseen: Unseen,
}

/// What is not known of the other objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unseen {
    /// All of them were looked into.
    #[default]
    None,
    /// So many were found but not looked into.
    LeftOut(usize),
    /// Entra could not be asked for them.
    NotSearched,
}

/// Sorts objects that share `asked`'s name so that those most likely to be the live one come first: the same hardware, then the newest.
pub fn sort_likeliest_first(asked: &Device, others: &mut [Device]) {
    let newest = |device: &Device| device.last_sign_in.max(device.registered);
    others.sort_by_key(|other| std::cmp::Reverse((has_same_tag(asked, other), newest(other))));
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// How many keys it holds; `None` when they could not be listed.
    pub keys: Option<usize>,
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
        match self.keys {
            Some(0) => format!("{what}, holds no keys"),
            Some(_) => format!("{what}: do not delete"),
            None => format!("{what}, keys not listed: do not delete"),
        }
    }

    /// Deleting it may lose keys, and nothing else keeps a person from it.
    pub fn warns(&self) -> bool {
        self.finding != Finding::ThisOne && self.keys != Some(0)
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

/// What a ledger row keeps of a verdict: none of it names the device or its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    pub confidence: Confidence,
    pub sentence: String,
    pub because: Vec<String>,
}

impl Verdict {
    /// What is recorded of it.
    pub fn why(&self) -> Why {
        Why { confidence: self.confidence, sentence: self.sentence.clone(), because: self.because.clone() }
    }
}

/// Another object that was seen more recently than the asked one.
#[derive(Clone, Copy)]
enum Rival {
    /// The same hardware, the laptop registered anew: its place among the others.
    SameLaptop(usize),
    Namesake,
}

/// Judges `asked`, the object that holds the key, against `others` that bear its name.
pub fn judge(asked: &Candidate, others: &Others, now: Timestamp) -> Verdict {
    let mut findings: Vec<Finding> = others.seen.iter().map(|other| judge_other(asked, other, now)).collect();
    let rival = rival(asked, &others.seen, &findings);
    let is_complete = others.unseen == Unseen::None && knows_check_ins(asked, &others.seen, &findings);
    let (confidence, sentence) = match rival {
        Some(Rival::SameLaptop(_)) => (
            Confidence::Likely,
            "The key hangs on an old object; the same laptop has a newer one, and was last seen there.".to_owned(),
        ),
        Some(Rival::Namesake) => {
            (Confidence::Unclear, "Not clear: another object with this name was seen more recently.".to_owned())
        }
        None if others.unseen == Unseen::NotSearched => {
            (Confidence::Unclear, "Not clear: other objects with this name could not be looked for.".to_owned())
        }
        None if is_complete => (Confidence::Sure, this_one("sure", asked, others)),
        None => (Confidence::Likely, this_one("likely", asked, others)),
    };
    // The one place where the asked object and its rival change places.
    let asked_finding = match rival {
        None if confidence != Confidence::Unclear => Finding::ThisOne,
        _ => Finding::HoldsTheKey,
    };
    if let Some(Rival::SameLaptop(n)) = rival {
        findings[n] = Finding::ThisOne;
    }
    let objects: Vec<ObjectVerdict> = std::iter::once((asked, asked_finding))
        .chain(others.seen.iter().zip(findings))
        .map(|(object, finding)| ObjectVerdict {
            id: object.device.id,
            finding,
            keys: object.keys.as_ref().map(Vec::len),
        })
        .collect();
    let question = (confidence == Confidence::Unclear)
        .then(|| "What does the sticker on the laptop say, the serial number?".to_owned());
    Verdict { confidence, sentence, because: reasons(asked, others, &objects, now), question, objects }
}

/// The object most likely to be the laptop instead: the same hardware before a mere namesake, of equals the one seen last.
fn rival(asked: &Candidate, others: &[Candidate], findings: &[Finding]) -> Option<Rival> {
    let is_newer = |&n: &usize| findings[n] == Finding::SameName && last_seen(&others[n]) > last_seen(asked);
    let newer = (0..others.len()).filter(is_newer).max_by_key(|&n| {
        let other = &others[n];
        (same_hardware(asked, other), last_seen(other))
    })?;
    Some(if same_hardware(asked, &others[newer]) { Rival::SameLaptop(newer) } else { Rival::Namesake })
}

/// Whether Intune said of every object that could be the laptop when it checked in. With one such object there is nothing to compare.
fn knows_check_ins(asked: &Candidate, others: &[Candidate], findings: &[Finding]) -> bool {
    let mut could_be = others.iter().zip(findings).filter(|(_, finding)| is_a_computer_in_use(**finding)).peekable();
    could_be.peek().is_none() || (asked.managed.is_some() && could_be.all(|(other, _)| other.managed.is_some()))
}

/// Whether check-ins could make this object the laptop.
fn is_a_computer_in_use(finding: Finding) -> bool {
    !matches!(finding, Finding::RegisteredOnly | Finding::Disabled)
}

fn this_one(sure: &str, asked: &Candidate, others: &Others) -> String {
    let why = if others.seen.is_empty() && others.unseen == Unseen::None {
        "the only object with this name"
    } else if managed(asked).any(|m| m.checked_in.is_some()) {
        "it holds the key and checked in last"
    } else {
        "it holds the key and signed in last"
    };
    format!("This one, {sure}: {why}.")
}

/// What another object is by itself; whether it is the laptop is for [`judge`] to say.
fn judge_other(asked: &Candidate, other: &Candidate, now: Timestamp) -> Finding {
    let stale = last_seen(other).is_none_or(|at| days_between(at, now) > STALE_AFTER_DAYS);
    match () {
        () if other.device.join == Join::Registered => Finding::RegisteredOnly,
        () if other.device.enabled == Some(false) => Finding::Disabled,
        () if stale => Finding::Stale,
        () if same_hardware(asked, other) && last_seen(other) <= last_seen(asked) => Finding::Stale,
        () => Finding::SameName,
    }
}

fn reasons(asked: &Candidate, others: &Others, objects: &[ObjectVerdict], now: Timestamp) -> Vec<String> {
    let mut said = how_many(others);
    let findings: Vec<Finding> = objects[1..].iter().map(|object| object.finding).collect();
    if !knows_check_ins(asked, &others.seen, &findings) {
        said.push("Not every check-in is known: Intune could not be asked.".into());
    }
    for (other, object) in others.seen.iter().zip(&objects[1..]) {
        said.extend(reason(object));
        if same_hardware(asked, other) {
            let since =
                other.device.registered.map(|at| format!(", registered {}", age::ago(at, now))).unwrap_or_default();
            said.push(format!("It shares this laptop's hardware identity{since}."));
        }
    }
    match asked.keys.as_ref().map_or(0, Vec::len) {
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

fn how_many(others: &Others) -> Vec<String> {
    let left_out = if let Unseen::LeftOut(n) = others.unseen { n } else { 0 };
    let bear = match others.seen.len() + left_out {
        0 => return Vec::new(),
        1 => "1 other object bears this name".to_owned(),
        n => format!("{n} other objects bear this name"),
    };
    vec![match left_out {
        0 => format!("{bear}."),
        n => format!("{bear}; {n} of them not looked into."),
    }]
}

/// What is to be said of one of the others.
fn reason(object: &ObjectVerdict) -> Option<String> {
    let is = match object.finding {
        Finding::Stale => "is stale",
        Finding::Disabled => "is disabled",
        Finding::RegisteredOnly => "is registered only",
        Finding::SameName => "is in use, under the same name",
        Finding::ThisOne | Finding::HoldsTheKey => return None,
    };
    let is_old = matches!(object.finding, Finding::Stale | Finding::Disabled);
    Some(match object.keys {
        None => format!("One {is}; its keys could not be listed: do not delete it."),
        Some(keys) if keys > 0 && is_old => {
            format!("One {is} and holds {}: do not delete it.", age::count(keys, "old key"))
        }
        Some(_) => format!("One {is}."),
    })
}

fn managed(candidate: &Candidate) -> impl Iterator<Item = &ManagedDevice> {
    candidate.managed.iter().flatten()
}

fn has_same_tag(a: &Device, b: &Device) -> bool {
    a.hardware.is_some() && a.hardware == b.hardware
}

fn same_hardware(a: &Candidate, b: &Candidate) -> bool {
    let serials = |c: &Candidate| -> Vec<String> {
        managed(c).filter(|m| !m.serial.is_empty()).map(|m| m.serial.raw().to_lowercase()).collect()
    };
    let of_b = serials(b);
    has_same_tag(&a.device, &b.device) || serials(a).iter().any(|serial| of_b.contains(serial))
}

/// The latest sign of life. Intune's check-in is exact; Entra's sign-in is blurred, and a new object has none yet: its registration counts.
fn last_seen(candidate: &Candidate) -> Option<Timestamp> {
    let device = &candidate.device;
    managed(candidate).filter_map(|m| m.checked_in).chain(device.last_sign_in).chain(device.registered).max()
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
            managed: Some(Vec::new()),
            keys: Some(
                (0..keys)
                    .map(|i| Key {
                        id: KeyId(Uuid::from_u128(1000 * n + i as u128)),
                        device: DeviceId(Uuid::from_u128(n)),
                        escrowed: now(),
                        volume: Volume::OperatingSystem,
                    })
                    .collect(),
            ),
        }
    }

    #[test]
    fn the_only_object_is_this_one() {
        let verdict = judge(&object(1, 2, Join::EntraJoined, 3), &Others::default(), now());
        assert_eq!(verdict.sentence, "This one, sure: the only object with this name.");
        assert_eq!(verdict.because, Vec::<String>::new());
    }

    #[test]
    fn a_stale_twin_with_keys_must_not_be_deleted_and_a_registration_is_named() {
        let others = all([object(2, 210, Join::EntraJoined, 3), object(3, 1, Join::Registered, 0)]);
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
        let verdict = judge(&object(1, 40, Join::EntraJoined, 1), &all([object(2, 1, Join::EntraJoined, 1)]), now());
        assert_eq!(verdict.confidence, Confidence::Unclear);
        assert!(verdict.question.unwrap().contains("serial"));
    }

    #[test]
    fn a_newer_object_of_the_same_hardware_is_the_laptop_and_the_old_one_holds_the_key() {
        let mut old = object(1, 40, Join::EntraJoined, 1);
        let mut new = object(2, 1, Join::EntraJoined, 1);
        old.device.hardware = Some(ZtdId(Uuid::from_u128(7)));
        new.device.hardware = old.device.hardware;
        let verdict = judge(&old, &all([new]), now());
        assert_eq!(verdict.confidence, Confidence::Likely);
        assert_eq!(verdict.objects[0].finding, Finding::HoldsTheKey);
        assert_eq!(verdict.objects[1].finding, Finding::ThisOne);
    }

    #[test]
    fn near_the_limit_of_200_keys_it_warns() {
        let verdict = judge(&object(1, 2, Join::EntraJoined, 190), &Others::default(), now());
        assert!(
            verdict.because.iter().any(|s| s.contains("190 keys; Entra keeps 200 at most")),
            "{:?}",
            verdict.because
        );
    }

    fn all<const N: usize>(seen: [Candidate; N]) -> Others {
        Others { seen: seen.into(), unseen: Unseen::None }
    }

    fn managed_as(n: u128, serial: &str, checked_in_days_ago: Option<i64>) -> ManagedDevice {
        ManagedDevice {
            id: ManagedDeviceId(Uuid::from_u128(n)),
            device: DeviceId(Uuid::from_u128(n)),
            name: "x".into(),
            serial: serial.into(),
            model: "".into(),
            owner: "".into(),
            owner_upn: "".into(),
            checked_in: checked_in_days_ago.map(|days| now() - SignedDuration::from_hours(24 * days)),
            enrolled: None,
            compliance: Compliance::Unknown,
            encrypted: None,
            rotation: None,
        }
    }

    #[test]
    fn two_objects_with_one_serial_are_one_laptop() {
        let (mut a, mut b) = (object(1, 2, Join::EntraJoined, 1), object(2, 50, Join::EntraJoined, 1));
        a.managed = Some(vec![managed_as(1, "7KQ2M", None)]);
        b.managed = Some(vec![managed_as(2, "7kq2m", None)]);
        assert_eq!(judge(&a, &all([b]), now()).objects[1].finding, Finding::Stale);
    }

    #[test]
    fn an_object_that_checks_in_is_not_stale_although_its_sign_in_is_old() {
        let mut other = object(2, 210, Join::EntraJoined, 1);
        other.managed = Some(vec![managed_as(2, "9ZZ9Z", Some(0))]);
        let verdict = judge(&object(1, 40, Join::EntraJoined, 1), &all([other]), now());
        assert_eq!((verdict.confidence, verdict.objects[1].finding), (Confidence::Unclear, Finding::SameName));
        assert_eq!(verdict.objects[0].words(), "holds the asked key: do not delete");
    }

    #[test]
    fn a_laptop_registered_anew_is_a_rival_although_it_never_signed_in() {
        let mut new = object(2, 0, Join::EntraJoined, 0);
        new.device.last_sign_in = None;
        new.device.registered = Some(now() - SignedDuration::from_hours(1));
        let old = object(1, 2, Join::EntraJoined, 1);
        assert_eq!(judge(&old, &all([new.clone()]), now()).confidence, Confidence::Unclear);
        let (mut old, mut new) = (old, new);
        old.device.hardware = Some(ZtdId(Uuid::from_u128(7)));
        new.device.hardware = old.device.hardware;
        let verdict = judge(&old, &all([new]), now());
        assert_eq!((verdict.confidence, verdict.objects[1].finding), (Confidence::Likely, Finding::ThisOne));
    }

    #[test]
    fn the_same_hardware_is_the_rival_before_a_mere_namesake_seen_later() {
        let mut old = object(1, 40, Join::EntraJoined, 1);
        let namesake = object(2, 0, Join::EntraJoined, 1);
        let mut same = object(3, 3, Join::EntraJoined, 1);
        old.device.hardware = Some(ZtdId(Uuid::from_u128(7)));
        same.device.hardware = old.device.hardware;
        let verdict = judge(&old, &all([namesake, same]), now());
        let findings: Vec<Finding> = verdict.objects.iter().map(|object| object.finding).collect();
        assert_eq!(verdict.confidence, Confidence::Likely);
        assert_eq!(findings, [Finding::HoldsTheKey, Finding::SameName, Finding::ThisOne]);
    }

    #[test]
    fn without_a_search_it_is_not_the_only_object_and_not_clear() {
        let others = Others { seen: Vec::new(), unseen: Unseen::NotSearched };
        let verdict = judge(&object(1, 2, Join::EntraJoined, 3), &others, now());
        assert_eq!(verdict.confidence, Confidence::Unclear);
        assert_eq!(verdict.sentence, "Not clear: other objects with this name could not be looked for.");
        assert!(verdict.question.is_some());
    }

    #[test]
    fn keys_that_could_not_be_listed_keep_an_object_from_being_deleted() {
        let others = [object(2, 210, Join::EntraJoined, 0), object(3, 1, Join::Registered, 0)]
            .map(|other| Candidate { keys: None, ..other });
        let verdict = judge(&object(1, 2, Join::EntraJoined, 3), &all(others), now());
        assert_eq!(verdict.objects[1].words(), "stale, keys not listed: do not delete");
        assert_eq!(verdict.objects[2].words(), "registered only, keys not listed: do not delete");
        assert!(verdict.objects[1].warns() && verdict.objects[2].warns());
        assert_eq!(verdict.because[1], "One is stale; its keys could not be listed: do not delete it.");
    }

    #[test]
    fn objects_left_out_are_counted_and_leave_a_doubt() {
        let others = Others { seen: vec![object(2, 210, Join::EntraJoined, 0)], unseen: Unseen::LeftOut(3) };
        let verdict = judge(&object(1, 2, Join::EntraJoined, 3), &others, now());
        assert_eq!(verdict.sentence, "This one, likely: it holds the key and signed in last.");
        assert_eq!(verdict.because[0], "4 other objects bear this name; 3 of them not looked into.");
        assert_eq!(verdict.objects[0].finding, Finding::ThisOne);
    }

    #[test]
    fn where_intune_could_not_be_asked_a_twin_leaves_a_doubt_and_a_registration_none() {
        let unread = |other: Candidate| Candidate { managed: None, ..other };
        let asked = object(1, 2, Join::EntraJoined, 3);
        let verdict = judge(&asked, &all([unread(object(2, 210, Join::EntraJoined, 0))]), now());
        assert_eq!(verdict.confidence, Confidence::Likely);
        assert!(verdict.because.iter().any(|said| said.contains("Intune could not be asked")), "{verdict:?}");
        let verdict = judge(&asked, &all([unread(object(2, 1, Join::Registered, 0))]), now());
        assert_eq!(verdict.confidence, Confidence::Sure);
        let verdict = judge(&unread(asked), &Others::default(), now());
        assert_eq!(verdict.sentence, "This one, sure: the only object with this name.");
    }

    #[test]
    fn the_likeliest_of_many_come_first() {
        let mut asked = object(1, 2, Join::EntraJoined, 0).device;
        let mut others: Vec<Device> =
            [(2, 90), (3, 1), (4, 300)].map(|(n, d)| object(n, d, Join::EntraJoined, 0).device).into();
        asked.hardware = Some(ZtdId(Uuid::from_u128(7)));
        others[2].hardware = asked.hardware;
        sort_likeliest_first(&asked, &mut others);
        assert_eq!(others.iter().map(|device| device.id.0.as_u128()).collect::<Vec<_>>(), [4, 3, 2]);
    }
}
