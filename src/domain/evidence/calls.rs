//! A call's story, and those of its disclosures.

use serde_json::Value;
use uuid::Uuid;

use super::{
    CallStory, ClaimFacts, DeviceFacts, DisclosureStory, EntraRecord, EntraRecords, KeyFacts, Outcome, Person, Roles,
    VerificationStory, When,
    row::{Row, volume_words},
    words,
};
use crate::domain::{
    call::{CallId, DisclosureId},
    technician::role_name,
};

pub(super) fn story(call: CallId, rows: &[Row<'_>]) -> CallStory {
    let own: Vec<&Row<'_>> = rows.iter().filter(|row| row.call() == Some(call)).collect();
    let opened = own.iter().copied().find(|row| row.event() == "call-opened");
    let disclosures: Vec<DisclosureStory> =
        own.iter().copied().filter(|row| is_read(row)).filter_map(|row| disclosure(row, rows)).collect();
    // A call without an opening row tells of its key in the first that names one.
    let about = opened.or_else(|| own.iter().copied().find(|row| row.key().is_some()));
    let first = own.first();
    let stamped = |field: &str| first.map(|row| row.stamped(field)).unwrap_or_default();
    CallStory {
        id: call.to_string(),
        number: opened.and_then(|row| row.what("number").as_u64()),
        opened: first.and_then(|row| row.at()),
        state: state(&own),
        technicians: technicians(&own),
        roles: roles(first.copied(), rows),
        tenant: first.and_then(|row| row.stamp("tenant").as_str()).map(str::to_owned),
        app: stamped("app"),
        host: stamped("host"),
        account: stamped("account"),
        version: stamped("version"),
        policy: stamped("policy"),
        key: about.and_then(Row::key),
        device: about.and_then(device),
        heard: opened.and_then(|row| row.what("heard").as_u64()),
        verifications: own.iter().filter_map(|row| verification(row)).collect(),
        disclosures,
        steps: own.iter().map(|row| row.told()).collect(),
    }
}

/// Whether it begins a disclosure: of Entra's, or of somebody else's.
fn is_read(row: &Row<'_>) -> bool {
    matches!(row.event(), "intended" | "external-disclosure")
}

fn state(own: &[&Row<'_>]) -> &'static str {
    own.iter().fold("open", |state, row| match row.event() {
        "call-parked" => "parked",
        "call-resumed" => "open",
        "call-closed" | "caller-refused" => "closed",
        _ => state,
    })
}

fn technicians(own: &[&Row<'_>]) -> Vec<Person> {
    let mut all: Vec<Person> = Vec::new();
    for who in own.iter().filter_map(|row| row.technician()) {
        if !all.contains(&who) {
            all.push(who);
        }
    }
    all
}

fn device(row: &Row<'_>) -> Option<DeviceFacts> {
    Some(DeviceFacts {
        id: row.text("device")?,
        name: row.text("device_name").unwrap_or_default(),
        why: serde_json::from_value(row.what("why").clone()).ok(),
    })
}

/// What the token said at the sign-in under which the call was opened.
fn roles(first: Option<&Row<'_>>, rows: &[Row<'_>]) -> Roles {
    let none = |said: &str| Roles { recorded: false, names: Vec::new(), said: said.into() };
    let Some(first) = first else { return none("Not recorded.") };
    let same = |row: &&Row<'_>| {
        let who = |row: &Row<'_>| (row.technician().map(|who| who.id), row.stamped("instance"));
        row.event() == "signed-in" && row.seq() < first.seq() && who(row) == who(first)
    };
    let Some(signed_in) = rows.iter().rev().find(same) else {
        return none("Not recorded: no sign-in stands in the ledger before this call.");
    };
    let Some(ids) = signed_in.what("roles").as_array() else {
        return none(
            "Not recorded: Entra's sign-in token does not say roles unless the app registration asks for them.",
        );
    };
    let name = |id: &Value| {
        let text = id.as_str().unwrap_or_default();
        let known = text.parse::<Uuid>().ok().and_then(role_name);
        known.map_or_else(|| format!("role {text}"), str::to_owned)
    };
    let names: Vec<String> = ids.iter().map(name).collect();
    let said = if names.is_empty() {
        "Entra's sign-in token named no directory role.".to_owned()
    } else {
        format!("{}, as Entra's sign-in token said.", names.join(", "))
    };
    let limits = " A role of Intune's own, or one activated after signing in, does not stand in it.";
    Roles { recorded: true, names, said: said + limits }
}

fn verification(row: &Row<'_>) -> Option<VerificationStory> {
    let verified = match row.event() {
        "caller-verified" => true,
        "caller-refused" => false,
        _ => return None,
    };
    let claims = row.what("claims").as_array().into_iter().flatten().map(words::claim_words);
    Some(VerificationStory {
        at: row.at()?,
        verified,
        by: row.technician(),
        method: row.text("method"),
        words: row.text("words"),
        claims: claims.map(|(fact, compared)| ClaimFacts { fact, compared }).collect(),
    })
}

fn disclosure(intended: &Row<'_>, rows: &[Row<'_>]) -> Option<DisclosureStory> {
    let id = intended.disclosure()?;
    let of: Vec<&Row<'_>> = rows.iter().filter(|row| row.disclosure() == Some(id)).collect();
    let end = of.iter().copied().find(|row| matches!(row.event(), "served" | "refused" | "unknown"));
    let outcome = match end.map(Row::event) {
        Some("served") => Outcome::Served,
        Some("refused") => Outcome::Refused,
        Some(_) => Outcome::Unknown,
        None if intended.event() == "external-disclosure" => Outcome::External,
        None => Outcome::Intended,
    };
    let not_ended = match outcome {
        Outcome::External => format!("Read from {}: Entra was not asked.", words::source(intended.what("source"))),
        _ => "No outcome is recorded yet: the program had written down that it would ask, and no more.".into(),
    };
    let text = |field: &str| intended.text(field).unwrap_or_default();
    Some(DisclosureStory {
        id: id.to_string(),
        client_request_id: id.to_string(),
        debt: intended.text("debt"),
        key: intended.key()?,
        device: device(intended).unwrap_or_else(|| DeviceFacts {
            id: String::new(),
            name: text("device_name"),
            why: None,
        }),
        asked: intended.at()?,
        technician: intended.technician(),
        ticket: text("ticket"),
        reason: text("reason"),
        reason_words: text("reason_words"),
        verified_by_method: intended.what("verification")["words"].as_str().unwrap_or("not recorded").to_owned(),
        known: known(intended),
        entra_time: intended.what("entra_time").as_str().and_then(|at| at.parse().ok()),
        outcome,
        outcome_at: end.and_then(Row::at),
        outcome_words: end.map_or(not_ended, words::said),
        status: end.and_then(|row| row.what("status").as_u64()),
        request_id: end.and_then(|row| row.text("request_id")),
        digits: (outcome == Outcome::Served).then(|| digits(end)),
        stage: of.iter().filter(|row| row.event() == "stage").map(|row| row.told()).collect(),
        entra: entra(id, outcome, rows),
        compromised: of.iter().find(|row| row.event() == "compromised").map(|row| row.told()),
    })
}

fn known(intended: &Row<'_>) -> Vec<KeyFacts> {
    let all = intended.what("known").as_array().into_iter().flatten();
    let key = |key: &Value| Some(KeyFacts { id: words::key_id(&key["id"])?, volume: volume_words(&key["volume"]) });
    all.filter_map(key).collect()
}

fn digits(served: Option<&Row<'_>>) -> String {
    let faults: Vec<String> =
        served.and_then(|row| row.what("faults").as_array()).into_iter().flatten().map(Value::to_string).collect();
    if faults.is_empty() {
        return "Eight blocks of six digits, each a multiple of eleven, as Microsoft makes them.".into();
    }
    format!("Microsoft's check fails on block {}; read as Entra holds it.", faults.join(", "))
}

fn entra(id: DisclosureId, outcome: Outcome, rows: &[Row<'_>]) -> EntraRecords {
    let records = rows.iter().filter(|row| row.event() == "entra-record" && row.disclosure() == Some(id));
    let found: Vec<EntraRecord> =
        records.map(|row| EntraRecord { audit: row.text("audit").unwrap_or_default(), at: row.when("at") }).collect();
    let said = match (found.is_empty(), outcome) {
        (false, _) => "Entra's own audit log has this read; the record stands there under the id below.",
        (true, Outcome::External) => "None is expected: the key did not come from Entra.",
        (true, Outcome::Refused) => "None is expected: Entra handed nothing out.",
        (true, _) => {
            "Not looked up yet, or not found. `keydesk audit reconcile` finds it and writes it down; in the Entra portal it is the audit \
             activity \"Read BitLocker key\" of this technician, for this key ID, at this time."
        }
    };
    EntraRecords { found, said: said.into() }
}

/// The first moment a call's rows tell of.
pub(super) fn when(call: &CallStory) -> Option<&When> {
    call.opened.as_ref()
}
