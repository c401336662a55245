//! What each row says, for somebody who has never seen the program. An event nobody here knows is told by its name and fields.

use jiff::Timestamp;
use serde_json::Value;

use super::row::{Row, volume_words};
use crate::domain::{
    caller::{Compared, Fact},
    debt::{Block, Source},
    key_id::KeyId,
    policy::Proof,
};

/// One row in a sentence.
pub(super) fn said(row: &Row<'_>) -> String {
    let text = |field: &str| row.text(field).unwrap_or_default();
    match row.event() {
        "signed-in" => signed_in(row),
        "signed-out" => "Signed out: the session was removed from the machine.".into(),
        "policy-in-force" => format!("The policy with the fingerprint {} was in force.", text("digest")),
        "call-opened" => call_opened(row),
        "caller-verified" => format!("The caller was verified: {}{}.", text("words"), compared(row)),
        "caller-refused" => {
            format!("The caller was not verified{}. The call ended; no key was asked for.", compared(row))
        }
        "call-parked" => "The call was put aside.".into(),
        "call-resumed" => "The call was taken up again.".into(),
        "call-taken-over" => {
            "Another technician went on with the call: how the caller had been verified no longer counted.".into()
        }
        "in-windows" => "The caller was in Windows again.".into(),
        "call-closed" => "The call was closed.".into(),
        "intended" => format!(
            "About to ask Entra for the recovery password of key {}, under {}, {}. Written before the request left.",
            short(row.what("key")),
            text("ticket"),
            text("reason_words")
        ),
        "served" => format!("Entra handed the key out{}.{}", status(row), faults(row)),
        "refused" => format!("Entra handed nothing out: {}{}.", text("code"), status(row)),
        "unknown" => format!("Nobody can say whether Entra handed the key out: {}. It counts as read.", text("why")),
        "stage" => stage(row),
        "compromised" => {
            let words = text("words");
            let said = if words.is_empty() { String::new() } else { format!(": {words}") };
            format!("The digits were read to the wrong person{said}. The replacement is urgent.")
        }
        "entra-record" => format!(
            "Entra's own audit has this read{}: record {}{}.",
            if row.what("failed").as_bool() == Some(true) { ", as failed" } else { "" },
            text("audit"),
            row.when("at").map(|at| format!(", {}", at.words)).unwrap_or_default()
        ),
        "external-disclosure" => format!(
            "Key {} was read from {}, not from Entra, under {}, {}. It is owed a replacement all the same.",
            short(row.what("key")),
            source(row.what("source")),
            text("ticket"),
            text("reason_words")
        ),
        event if event.starts_with("rotation-") || event == "checked-in" => rotation(row),
        "debt-proved" => {
            format!("Key {} was seen in Entra in its place: {}.", short(row.what("new_key")), grade(row.what("grade")))
        }
        "debt-waived" => format!("The replacement was waived: {}.", text("reason")),
        "debt-confirmed" => confirmed(row),
        "key-deleted" => format!("Entra logged that the disclosed key was deleted (audit record {}).", text("audit")),
        "debt-carried" => format!(
            "Key {} was owed already in the ledger before this one, which is damaged; it stays owed here, under {}.",
            short(row.what("key")),
            text("ticket")
        ),
        "set-aside" => {
            format!(
                "The ledger before this one was damaged and kept as it is, SHA-256 {}; this one begins here.",
                text("sha256")
            )
        }
        "exported" => format!(
            "Rows {} to {} were exported ({}), SHA-256 {}.",
            row.what("from"),
            row.what("to"),
            text("format"),
            text("sha256")
        ),
        "replacement-requested" => format!(
            "A replacement of key {} was asked for without reading it, under {}.",
            short(row.what("key")),
            text("ticket")
        ),
        "unreadable" => "This row cannot be read.".into(),
        _ => generic(row),
    }
}

fn signed_in(row: &Row<'_>) -> String {
    let there = match row.what("there").as_bool() {
        Some(true) => "and proved to be at the desk",
        _ => "going on with what was remembered or open",
    };
    format!("Signed in, {there}.")
}

fn call_opened(row: &Row<'_>) -> String {
    let heard = row.what("heard").as_u64().unwrap_or(0);
    let heard =
        if heard == 0 { String::new() } else { format!(", {heard} characters of its ID heard from the caller") };
    let why = row.what("why")["sentence"].as_str().map(|why| format!(" {why}")).unwrap_or_default();
    format!(
        "Call {} about key {} ({}) of {}{heard}.{why}",
        row.what("number"),
        short(row.what("key")),
        volume_words(row.what("volume")),
        row.text("device_name").unwrap_or_default(),
    )
}

fn stage(row: &Row<'_>) -> String {
    match row.text("what").as_deref() {
        Some("shown") => "The digits were shown.".into(),
        Some("concealed") => "The digits were concealed.".into(),
        Some("dropped") => "The digits were wiped from the program's memory.".into(),
        Some("printed") => "The digits were printed.".into(),
        other => format!("The digits: {}.", other.unwrap_or("not said").replace('-', " ")),
    }
}

fn rotation(row: &Row<'_>) -> String {
    let until = || row.when("until").map_or_else(|| "later".to_owned(), |at| at.words);
    match row.event() {
        "rotation-held" => {
            format!("The replacement waits until the caller is in Windows, or {} at the latest.", until())
        }
        "rotation-targeted" => {
            let managed = row.what("target")["managed"].as_str().unwrap_or_default();
            let chosen = row.what("chosen").as_bool() == Some(true);
            format!(
                "The replacement is for the Intune object {managed}{}.",
                if chosen { ", chosen by the technician" } else { "" }
            )
        }
        "rotation-joined" => {
            "Another replacement was under way for the same laptop: it counts for this key too.".into()
        }
        "rotation-sending" => "About to send the replacement to Intune. Written before the request left.".into(),
        "rotation-accepted" if row.what("found").as_bool() == Some(true) => {
            "Intune's own list shows that it took the replacement.".into()
        }
        "rotation-accepted" => "Intune took the replacement; the laptop has to check in.".into(),
        "rotation-returned" => format!("{} It waits again, until {} at the latest.", returned(row), until()),
        "rotation-reported" => "The laptop reported that it replaced its key.".into(),
        "checked-in" => row
            .when("at")
            .map_or_else(|| "The laptop checked in.".into(), |at| format!("The laptop checked in, {}.", at.words)),
        "rotation-blocked" => format!("The replacement cannot go on by itself: {}.", blocked(row.what("why"))),
        _ => generic(row),
    }
}

fn returned(row: &Row<'_>) -> &'static str {
    match row.text("why").as_deref() {
        Some("not-sent") => "The request certainly did not begin.",
        Some("done-too-early") => "The laptop had replaced its key before this one was read.",
        _ if row.what("why")["busy"].is_object() => "The laptop was busy with something that passes by itself.",
        _ => "It was not done.",
    }
}

/// Why a replacement stands still, for a reader who cannot press a key about it.
fn blocked(why: &Value) -> String {
    let plain = match why["why"].as_str().unwrap_or_default() {
        "no-managed-device" => "Intune knows no device for this key",
        "several-managed-devices" => "several Intune objects answer to this device",
        "removable" => "no remote action replaces a removable drive's key",
        "not-permitted" => "Intune did not let the technician replace keys",
        "not-supported" => "Intune says that this device cannot replace its key remotely",
        "on-hold" => "a technician put it on hold",
        "target-gone" => "the laptop has left Intune, or was enrolled anew",
        "cancelled" => "Intune says that it was cancelled there",
        "nothing-came" => "it was sent long ago, and no new key came",
        "not-joined" => "Intune's object for this laptop names no Entra device, so a new key would go nowhere",
        "device-deleted" => "the laptop is deleted in Entra, so a new key would go nowhere",
        "reported" => {
            // What it means; what a technician does about it is not for this reader.
            let block = serde_json::from_value::<Block>(why.clone()).map(|block| block.sentence(Timestamp::UNIX_EPOCH));
            let said = block.unwrap_or_else(|_| plain_fields(why, &[]));
            return said.split(". ").next().unwrap_or_default().trim_end_matches('.').to_owned();
        }
        "unsure" => return format!("new key {} was seen, but several drives could own it", short(&why["key"])),
        "refused" => {
            return format!("Intune refused ({}, {})", why["status"], why["code"].as_str().unwrap_or_default());
        }
        _ => return plain_fields(why, &[]),
    };
    plain.into()
}

/// Where a key was read that Entra did not hand out.
pub(super) fn source(value: &Value) -> String {
    serde_json::from_value::<Source>(value.clone())
        .map_or_else(|_| value.as_str().unwrap_or("elsewhere").to_owned(), |source| source.words().to_owned())
}

fn confirmed(row: &Row<'_>) -> String {
    let how = row.text("how").unwrap_or_default();
    let new_key = row.what("new_key");
    if new_key.is_string() {
        return format!("A person confirmed that key {} is in its place: {how}.", short(new_key));
    }
    format!("A person said that the key was replaced: {how}.")
}

/// "; name: match, serial: not asked"
fn compared(row: &Row<'_>) -> String {
    let all = row.what("claims").as_array().map(Vec::as_slice).unwrap_or_default();
    let said: Vec<String> = all.iter().map(claim_words).map(|(fact, how)| format!("{fact}: {how}")).collect();
    if said.is_empty() { String::new() } else { format!("; {}", said.join(", ")) }
}

/// A claim's fact, and how it compared.
pub(super) fn claim_words(claim: &Value) -> (String, String) {
    let plain = |field: &str| claim[field].as_str().unwrap_or("not recorded").replace('-', " ");
    let fact = serde_json::from_value::<Fact>(claim["fact"].clone());
    let how = serde_json::from_value::<Compared>(claim["compared"].clone());
    match (fact, how) {
        (Ok(fact), Ok(how)) => (fact.label().to_lowercase(), how.words(fact).to_owned()),
        _ => (plain("fact"), plain("compared")),
    }
}

fn status(row: &Row<'_>) -> String {
    row.what("status").as_u64().map(|status| format!(" (status {status})")).unwrap_or_default()
}

fn faults(row: &Row<'_>) -> String {
    let blocks: Vec<String> = row.what("faults").as_array().into_iter().flatten().map(Value::to_string).collect();
    match blocks.as_slice() {
        [] => String::new(),
        [one] => format!(" Block {one} of its digits fails Microsoft's check."),
        several => format!(" Blocks {} of its digits fail Microsoft's check.", several.join(", ")),
    }
}

/// "replaced and confirmed"
pub(super) fn grade(grade: &Value) -> String {
    serde_json::from_value::<Proof>(grade.clone()).map_or_else(
        |_| grade.as_str().unwrap_or("no grade recorded").replace('-', " "),
        |proof| proof.words().to_owned(),
    )
}

/// A key ID, as everything here writes it.
pub(super) fn key_id(key: &Value) -> Option<String> {
    let text = key.as_str()?;
    Some(text.parse().map_or_else(|_| text.to_owned(), |id| KeyId(id).to_string()))
}

/// A key ID's first eight characters.
pub(super) fn short(key: &Value) -> String {
    let text = key.as_str().unwrap_or("not recorded");
    text.parse().map_or_else(|_| text.to_owned(), |id| KeyId(id).short())
}

fn generic(row: &Row<'_>) -> String {
    let mut name = row.event().replace('-', " ");
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let fields = plain_fields(row.what_whole(), &["event"]);
    if fields.is_empty() { format!("{name}.") } else { format!("{name}: {fields}.") }
}

/// "key: 4F2B…, words: read over the phone"
fn plain_fields(value: &Value, without: &[&str]) -> String {
    let Some(fields) = value.as_object() else { return value.to_string() };
    let told = fields.iter().filter(|(name, value)| !without.contains(&name.as_str()) && !value.is_null());
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    told.map(|(name, value)| format!("{}: {}", name.replace('_', " "), plain(value))).collect::<Vec<_>>().join(", ")
}
