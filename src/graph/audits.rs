//! Entra's audit log. Source: `auditLogs/directoryAudits`, delegated `AuditLog.Read.All`.
//!
//! Filtered by documented properties only. No complete record of a key read is published, and two places are known for the key's ID, so
//! both are looked at, and a record that lacks something is kept as [`Unreadable`]: it may be the very read somebody asks about.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::{
    Ask, Edition, Graph, GraphError, Link,
    wire::{Scalar, literal, with_query},
};
use crate::domain::{
    audit::{Activity, Actor, Log, Record, Unreadable},
    capability::Feature,
    device::DeviceId,
    key_id::KeyId,
    technician::UserId,
};

const PATH: [&str; 2] = ["auditLogs", "directoryAudits"];
/// Records on a page: the fewest requests that the log allows.
const LARGEST_PAGE: &str = "999";
/// More pages than a month of reads fills: a service that ignores a filter sends its whole log.
const MOST_PAGES: usize = 200;
/// Entra serves five requests in ten seconds to one app in one tenant, so to all desks together. One is left for another desk.
const AT_ONCE: usize = 4;
const WITHIN: Duration = Duration::from_secs(10);
/// What a record's text says before the device's id.
const FROM_DEVICE: &str = "from device";

/// Which records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditQuery {
    pub activity: Activity,
    pub by: ByWhom,
    pub from: Timestamp,
    pub to: Option<Timestamp>,
}

/// Whose records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByWhom {
    Anyone,
    Id(UserId),
    /// User principal name.
    Named(String),
}

impl AuditQuery {
    fn filter(&self) -> String {
        let mut parts = vec![format!("activityDisplayName eq '{}'", self.activity.name())];
        match &self.by {
            ByWhom::Anyone => {}
            ByWhom::Id(id) => parts.push(format!("initiatedBy/user/id eq '{id}'")),
            ByWhom::Named(upn) => parts.push(format!("initiatedBy/user/userPrincipalName eq {}", literal(upn))),
        }
        parts.push(format!("activityDateTime ge {}", seconds(self.from)));
        parts.extend(self.to.map(|to| format!("activityDateTime le {}", seconds(to))));
        parts.join(" and ")
    }
}

fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Keeps requests of one kind to so many within a span of time, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<VecDeque<Instant>>);

impl Pace {
    /// Returns when one more may leave.
    async fn turn(&self, most: usize, within: Duration) {
        // Held while waiting: whoever comes later waits behind.
        let mut lately = self.0.lock().await;
        if lately.len() >= most
            && let Some(first) = lately.pop_front()
        {
            sleep_until(first + within).await;
        }
        lately.push_back(Instant::now());
    }
}

impl Graph {
    /// Every record that the query asks for, newest first as Entra sends them; `tell` hears how many have come, page by page.
    pub async fn audits(&self, query: &AuditQuery, tell: impl Fn(usize)) -> Result<Log, GraphError> {
        let url = || with_query(self.url(Edition::V1, &PATH), &[("$filter", &query.filter()), ("$top", LARGEST_PAGE)]);
        let (mut log, mut seen, mut link) = (Log::default(), HashSet::new(), None::<Link>);
        loop {
            self.audit_pace.turn(AT_ONCE, WITHIN).await;
            let ask = Ask::get(Feature::Audit, url()).telling();
            let page = self.page(ask, link.as_ref(), |row: Value| Some(read(&row, query.activity))).await?;
            for entry in page.items {
                match entry {
                    Entry::Of(record) => log.records.push(record),
                    Entry::Unreadable(unreadable) => log.unreadable.push(unreadable),
                    Entry::Another => {}
                }
            }
            tell(log.records.len());
            let Some(next) = page.next else { return Ok(log) };
            if seen.len() == MOST_PAGES || !seen.insert(next.as_str().to_owned()) {
                return Err(GraphError::endless());
            }
            link = Some(next);
        }
    }
}

/// One row.
#[derive(Debug, PartialEq)]
enum Entry {
    Of(Record),
    /// Of another activity than was asked for: some services ignore a filter.
    Another,
    Unreadable(Unreadable),
}

fn read(row: &Value, activity: Activity) -> Entry {
    let id = text(&row["id"]).filter(|id| !id.trim().is_empty());
    let at = scalar(&row["activityDateTime"]).time();
    let unreadable = |lacks| Entry::Unreadable(Unreadable { id: id.clone(), at, lacks });
    match text(&row["activityDisplayName"]) {
        Some(said) if !said.trim().eq_ignore_ascii_case(activity.name()) => return Entry::Another,
        Some(_) => {}
        None => return unreadable("what was done"),
    }
    let details: Vec<String> = list(&row["additionalDetails"]).filter_map(|detail| text(&detail["value"])).collect();
    let (Some(record), Some(at)) = (&id, at) else {
        return unreadable(if id.is_none() { "its own id" } else { "when it was" });
    };
    let Some(key) = key_in(&details).or_else(|| key_of_target(row)) else { return unreadable("the key's ID") };
    Entry::Of(Record {
        id: record.clone(),
        at,
        actor: actor(&row["initiatedBy"]),
        key,
        device: details.iter().find_map(|said| guid_after(said, FROM_DEVICE)).map(DeviceId),
        correlation: scalar(&row["correlationId"]).real_guid(),
        failed: text(&row["result"]).is_some_and(|result| result.eq_ignore_ascii_case("failure")),
    })
}

/// "… associated with key ID: '…'. Backed up from device: '…'": names what it means, so it goes first.
fn key_in(details: &[String]) -> Option<KeyId> {
    let before_device = |said: &String| {
        let end = said.to_ascii_lowercase().find(FROM_DEVICE).unwrap_or(said.len());
        guid_after(&said[..end], "key id")
    };
    details.iter().find_map(before_device).map(KeyId)
}

fn key_of_target(row: &Value) -> Option<KeyId> {
    let names = list(&row["targetResources"]).map(|target| scalar(&target["displayName"]));
    names.filter_map(|name| name.real_guid()).map(KeyId).next()
}

fn actor(initiated_by: &Value) -> Actor {
    let user = &initiated_by["user"];
    let id = scalar(&user["id"]).real_guid().map(UserId);
    let upn = scalar(&user["userPrincipalName"]).foreign();
    if id.is_some() || !upn.is_empty() {
        return Actor::Person { id, upn };
    }
    let app = &initiated_by["app"];
    let names = ["displayName", "servicePrincipalName", "appId", "servicePrincipalId"];
    let name = names.into_iter().map(|name| scalar(&app[name]).foreign()).find(|name| !name.is_empty());
    name.map_or(Actor::Nobody, |name| Actor::App { name })
}

/// The GUID that follows these words; they are in lower case, and found in any.
fn guid_after(said: &str, words: &str) -> Option<Uuid> {
    let at = said.to_ascii_lowercase().find(words)?;
    let hex = |c: char| c.is_ascii_hexdigit() || c == '-';
    let guid =
        said[at + words.len()..].split(|c| !hex(c)).filter(|word| word.len() == 36).find_map(|word| word.parse().ok());
    guid.filter(|guid: &Uuid| !guid.is_nil())
}

fn scalar(value: &Value) -> Scalar {
    Scalar::deserialize(value).unwrap_or_default()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const KEY: &str = "b465e4e8-e4e8-b465-e8e4-65b4e8e465b4";
    const DEVICE: &str = "1ab40ab2-32a8-4b00-b6b5-ba724e407de9";
    const USER: &str = "5f5aa9d0-1f61-4b5e-9d7e-0a8a5d6f0c11";

    /// As put together from Microsoft's published form and what queries in the field read.
    fn row() -> Value {
        let info = format!(
            "Successfully retrieved BitLocker recovery key associated with key ID: '{KEY}'. Backed up from device: '{DEVICE}'"
        );
        json!({
            "id": "Directory_1", "category": "KeyManagement", "correlationId": "b662f17a-4e4d-4e1c-9248-cdec180024b2",
            "result": "success", "resultReason": "", "activityDisplayName": "Read BitLocker key",
            "activityDateTime": "2026-11-20T09:41:19.5796748Z", "loggedByService": "Device Registration Service",
            "operationType": "Read",
            "initiatedBy": {"app": null, "user": {"id": USER, "displayName": null, "userPrincipalName": "dana@x.example"}},
            "targetResources": [{"id": "?", "displayName": KEY, "type": "Other", "modifiedProperties": []}],
            "additionalDetails": [{"key": "AdditionalInfo", "value": info}],
        })
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut row = row();
        *row.pointer_mut(pointer).unwrap() = value;
        row
    }

    fn record(row: &Value) -> Record {
        match read(row, Activity::Read) {
            Entry::Of(record) => record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_record_is_read_with_who_which_key_where_and_when() {
        let record = record(&row());
        assert_eq!((record.key, record.device), (KeyId(KEY.parse().unwrap()), Some(DeviceId(DEVICE.parse().unwrap()))));
        assert_eq!(
            record.actor,
            Actor::Person { id: Some(UserId(USER.parse().unwrap())), upn: "dana@x.example".into() }
        );
        assert!(record.correlation.is_some() && !record.failed);
    }

    #[rstest]
    #[case::no_details(with("/additionalDetails", json!([])))]
    #[case::details_of_another_kind(with("/additionalDetails", json!([null, 7, {"key": "User-Agent", "value": "x"}])))]
    #[case::details_missing(with("/additionalDetails", Value::Null))]
    #[case::no_target(with("/targetResources", json!([])))]
    #[case::a_target_by_another_name(with("/targetResources/0/displayName", json!("HVC-LT-0421")))]
    #[case::another_case(with("/targetResources/0/displayName", json!(KEY.to_uppercase())))]
    #[case::another_case_of_the_activity(with("/activityDisplayName", json!("READ BITLOCKER KEY")))]
    #[case::the_device_as_target(with("/targetResources/0/displayName", json!(DEVICE)))]
    fn the_key_is_found_in_either_place(#[case] row: Value) {
        assert_eq!(record(&row).key, KeyId(KEY.parse().unwrap()));
    }

    #[rstest]
    #[case(with("/additionalDetails/0/value", json!(format!("KEY id: {} backed up From Device: none", KEY.to_uppercase()))), true)]
    #[case(with("/additionalDetails/0/value", json!(format!("key ID: 'unknown'. Backed up from device: '{DEVICE}'"))), false)]
    #[case(with("/additionalDetails/0/value", json!(format!("key ID unknown backed up from device {DEVICE}"))), false)]
    fn a_devices_guid_is_never_taken_for_a_keys(#[case] mut row: Value, #[case] named: bool) {
        assert_eq!(record(&row).key, KeyId(KEY.parse().unwrap()));
        row["targetResources"] = json!([]);
        match read(&row, Activity::Read) {
            Entry::Of(found) => assert!(named && found.key == KeyId(KEY.parse().unwrap())),
            other => assert!(!named && matches!(other, Entry::Unreadable(Unreadable { lacks: "the key's ID", .. }))),
        }
    }

    #[rstest]
    #[case(with("/id", Value::Null), "its own id")]
    #[case(with("/activityDateTime", json!("0001-01-01T00:00:00Z")), "when it was")]
    #[case(with("/activityDisplayName", Value::Null), "what was done")]
    #[case(json!("x"), "what was done")]
    fn what_cannot_be_judged_is_kept(#[case] row: Value, #[case] missing: &str) {
        assert!(matches!(read(&row, Activity::Read), Entry::Unreadable(unreadable) if unreadable.lacks == missing));
    }

    #[rstest]
    #[case(json!({"user": null, "app": {"displayName": "Sweeper", "appId": null}}), Actor::App { name: "Sweeper".into() })]
    #[case(json!({"user": {"id": null, "userPrincipalName": "a@x.example"}, "app": null}), Actor::Person { id: None, upn: "a@x.example".into() })]
    #[case(json!({"user": {"id": "00000000-0000-0000-0000-000000000000", "userPrincipalName": null}}), Actor::Nobody)]
    #[case(Value::Null, Actor::Nobody)]
    #[case(json!("somebody"), Actor::Nobody)]
    fn who_it_was_is_a_person_an_app_or_nobody(#[case] initiated_by: Value, #[case] expected: Actor) {
        assert_eq!(record(&with("/initiatedBy", initiated_by)).actor, expected);
    }

    #[test]
    fn rows_of_another_activity_are_no_answer() {
        assert_eq!(read(&with("/activityDisplayName", json!("Update user")), Activity::Read), Entry::Another);
    }

    #[test]
    fn a_query_names_documented_properties_only_and_a_quote_stays_inside() {
        let query = AuditQuery {
            activity: Activity::Read,
            by: ByWhom::Named("o'neill@x.example".into()),
            from: "2026-11-20T09:00:00.25Z".parse().unwrap(),
            to: Some("2026-11-20T10:00:00Z".parse().unwrap()),
        };
        assert_eq!(
            query.filter(),
            "activityDisplayName eq 'Read BitLocker key' and initiatedBy/user/userPrincipalName eq 'o''neill@x.example' \
             and activityDateTime ge 2026-11-20T09:00:00Z and activityDateTime le 2026-11-20T10:00:00Z"
        );
    }

    #[tokio::test]
    async fn no_more_leave_within_a_span_than_may() {
        let (pace, within) = (Pace::default(), Duration::from_millis(150));
        let begun = Instant::now();
        for _ in 0..3 {
            pace.turn(3, within).await;
        }
        assert!(begun.elapsed() < within, "three at once");
        for _ in 0..4 {
            pace.turn(3, within).await;
        }
        assert!(begun.elapsed() >= within * 2, "the seventh waits for the fourth: {:?}", begun.elapsed());
    }

    proptest! {
        #[test]
        fn no_row_brings_it_down(id in ".*", said in ".*", name in ".*", at in ".*") {
            let row = json!({"id": id, "activityDisplayName": "Read BitLocker key", "activityDateTime": at,
                "targetResources": [{"displayName": name}], "additionalDetails": [{"value": format!("{said} key ID {said}")}]});
            let _ = read(&row, Activity::Read);
        }
    }
}
