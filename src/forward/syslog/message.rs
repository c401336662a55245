//! One row as an RFC 5424 message. It is made of the row alone, so that a row has the same message whoever sends it, and when.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::{foreign::printable, outbox::Parcel, policy::forwarding::Facility};

/// What the structured data is called. Behind the @ stands whose name it is: 32473 is the number that RFC 5612 sets aside for documents and
/// examples, for this project has none of its own registered.
const STRUCTURED: &str = "keydesk@32473";
const APP_NAME: &str = "keydesk";
/// Says that UTF-8 follows.
const BOM: &str = "\u{feff}";

/// The syslog severities in use.
const WARNING: u8 = 4;
const NOTICE: u8 = 5;
/// What somebody should look at.
const WARNINGS: &[&str] = &["refused", "caller-refused", "compromised", "rotation-blocked"];

/// How much of the row the message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Whole,
    /// Its identity and its hash, for what carries no more. The hash is that of the whole row.
    Short,
}

/// The message: header, structured data, and the row behind a byte order mark.
pub(super) fn of(parcel: &Parcel, facility: Facility, length: Length) -> Vec<u8> {
    let row: Value = serde_json::from_str(&parcel.body).unwrap_or_default();
    let event = row["what"]["event"].as_str().unwrap_or_default();
    let severity = if WARNINGS.contains(&event) { WARNING } else { NOTICE };
    let stamp = &row["stamp"];
    let mut out = format!(
        "<{}>1 {} {} {APP_NAME} {} {} ",
        facility.number() * 8 + severity,
        row["at"].as_str().and_then(time).unwrap_or_else(|| "-".into()),
        word(stamp["host"].as_str(), 255),
        // One run of the program: the id by which the ledger knows it.
        word(stamp["instance"].as_str(), 128),
        word(Some(event), 32),
    );
    structured(&mut out, parcel, &row, length);
    out.push(' ');
    out.push_str(BOM);
    match length {
        Length::Whole => out.push_str(&parcel.body),
        Length::Short => out.push_str(&shortened(parcel, &row).to_string()),
    }
    out.into_bytes()
}

/// In UTC, to the millisecond.
fn time(said: &str) -> Option<String> {
    let at: Timestamp = said.parse().ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// A word of the header: printable ASCII without blanks, of at most so many characters; `-` where there is none.
fn word(said: Option<&str>, most: usize) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    let word: String = said.unwrap_or_default().chars().take(most).map(plain).collect();
    if word.is_empty() { "-".into() } else { word }
}

fn structured(out: &mut String, parcel: &Parcel, row: &Value, length: Length) {
    let what = &row["what"];
    let seq = parcel.seq.to_string();
    let parameters = [
        ("seq", Some(seq.as_str())),
        ("hash", Some(parcel.hash.as_str())),
        ("call", row["call"].as_str()),
        ("key", what["key"].as_str()),
        ("disclosure", what["disclosure"].as_str()),
        ("shortened", (length == Length::Short).then_some("true")),
    ];
    out.push('[');
    out.push_str(STRUCTURED);
    for (name, value) in parameters {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(out, " {name}=\"{}\"", escaped(value));
        }
    }
    out.push(']');
}

/// A parameter's value (RFC 5424, section 6.3.3); controls are written out.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in printable(value).chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// What names the row, where all of it does not fit.
fn shortened(parcel: &Parcel, row: &Value) -> Value {
    let what = &row["what"];
    let mut kept = serde_json::Map::new();
    for name in ["event", "disclosure", "debt", "key", "device", "ticket"] {
        if let Some(value) = what[name].as_str().filter(|value| value.len() <= 128) {
            kept.insert(name.into(), value.into());
        }
    }
    json!({
        "shortened": true,
        "seq": parcel.seq,
        "hash": parcel.hash,
        "prev": row["prev"],
        "at": row["at"],
        "call": row["call"],
        "technician": row["stamp"]["technician"]["id"],
        "what": kept,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use syslog_rfc5424::{SyslogFacility, SyslogMessage, SyslogSeverity, message::ProcId};

    use super::*;
    use crate::domain::digest::sha256;

    fn parcel(host: &str, event: &str, key: &str) -> Parcel {
        let row = json!({
            "v": 1, "seq": 7, "prev": "0".repeat(64), "at": "2026-11-20T09:41:07.123456789Z", "call": null,
            "stamp": { "host": host, "instance": "01934567-89ab-7cde-8f01-23456789abcd", "technician": null },
            "what": { "event": event, "key": key },
        });
        let body = row.to_string();
        Parcel { seq: 7, hash: sha256(&body), body }
    }

    fn read(message: &[u8]) -> SyslogMessage {
        std::str::from_utf8(message).unwrap().parse().unwrap()
    }

    #[test]
    fn a_row_is_a_message_of_the_standard() {
        let parcel = parcel("desk-7", "intended", "4f2b91c0-0000-4000-8000-000000000001");
        let message = of(&parcel, Facility::Audit, Length::Whole);
        let expected = format!(
            "<109>1 2026-11-20T09:41:07.123Z desk-7 keydesk 01934567-89ab-7cde-8f01-23456789abcd intended \
             [keydesk@32473 seq=\"7\" hash=\"{}\" key=\"4f2b91c0-0000-4000-8000-000000000001\"] \u{feff}{}",
            parcel.hash, parcel.body
        );
        assert_eq!(String::from_utf8(message).unwrap(), expected);
    }

    #[test]
    fn what_somebody_should_look_at_is_a_warning() {
        for (event, severity) in [
            ("refused", SyslogSeverity::SEV_WARNING),
            ("compromised", SyslogSeverity::SEV_WARNING),
            ("caller-refused", SyslogSeverity::SEV_WARNING),
            ("served", SyslogSeverity::SEV_NOTICE),
        ] {
            assert_eq!(
                read(&of(&parcel("h", event, "k"), Facility::Local3, Length::Whole)).severity,
                severity,
                "{event}"
            );
        }
    }

    #[test]
    fn a_short_form_fits_into_a_datagram_and_names_the_whole_row() {
        let mut long = parcel("desk-7", "intended", "4f2b91c0-0000-4000-8000-000000000001");
        long.body = long.body.replace("\"intended\"", &format!("\"intended\",\"known\":\"{}\"", "x".repeat(9000)));
        let message = of(&long, Facility::Audit, Length::Short);
        assert!(message.len() <= super::super::DATAGRAM, "{}", message.len());
        let read = read(&message);
        assert_eq!(read.sd.find_tuple(STRUCTURED, "shortened").map(String::as_str), Some("true"));
        let said: Value = serde_json::from_str(read.msg.trim_start_matches('\u{feff}')).unwrap();
        assert_eq!((&said["hash"], &said["seq"]), (&json!(long.hash), &json!(7)));
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_row_its_message_is_read_as_it_was_meant(host in "\\PC{0,300}|[\\x00-\\x7f]{0,20}", event in ".{0,40}", key in ".{0,60}") {
            let parcel = parcel(&host, &event, &key);
            let message = of(&parcel, Facility::Audit, Length::Whole);
            let read = read(&message);
            prop_assert_eq!(read.facility, SyslogFacility::LOG_AUDIT);
            prop_assert_eq!(read.timestamp_nanos, Some(123_000_000));
            prop_assert_eq!(read.hostname.unwrap_or_else(|| "-".into()), word(Some(&host), 255));
            prop_assert_eq!(read.msgid.unwrap_or_else(|| "-".into()), word(Some(&event), 32));
            prop_assert_eq!(read.procid, Some(ProcId::Name("01934567-89ab-7cde-8f01-23456789abcd".into())));
            prop_assert_eq!(read.sd.len(), 1);
            prop_assert_eq!(read.sd.find_tuple(STRUCTURED, "key"), Some(&printable(&key)));
            prop_assert_eq!(read.sd.find_tuple(STRUCTURED, "hash"), Some(&parcel.hash));
            prop_assert_eq!(read.msg, format!("\u{feff}{}", parcel.body));
            let has_controls = message.iter().any(u8::is_ascii_control) && !parcel.body.contains('\u{7f}');
            prop_assert!(!has_controls);
        }
    }
}
