//! `keydesk ledger`: every row, and whether the chain is whole.

use jiff::tz::TimeZone;

use super::super::out;
use crate::{
    config::Overrides,
    domain::{
        age,
        event::Row,
        foreign::{escaped_json, printable},
        work::Failure,
    },
    ops,
};

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// One JSON document a row
    #[arg(long)]
    json: bool,
    /// Start at this sequence number
    #[arg(long, default_value_t = 1, value_name = "SEQ")]
    from: u64,
}

impl Show {
    pub(super) fn run(self, overrides: &Overrides) -> Result<(), Failure> {
        let path = super::own(overrides)?;
        let zone = TimeZone::system();
        // Judged before a row is printed: where the chain is broken, the rows say less than they seem to.
        let verdict = ops::ledger::examine_own(&path, None)?;
        let mut written = Ok(());
        ops::ledger::rows(&path, self.from, |seq, bytes, hash, row| {
            let text = match (row, self.json) {
                (Some(row), true) => as_json(row),
                (Some(row), false) => as_text(row, &zone),
                (None, true) => raw_as_json(seq, bytes, hash),
                (None, false) => raw_as_text(seq, bytes),
            };
            written = out::line(&text);
            written.is_ok()
        })?;
        written?;
        let seen = ops::ledger::whole(verdict.chain)?;
        out::note(&format!(
            "{}, the chain is whole, head {}",
            age::count(usize::try_from(seen.head.seq).unwrap_or(0), "row"),
            seen.head.hash
        ));
        Ok(())
    }
}

fn as_json(row: &Row) -> String {
    let facts = serde_json::json!({
        "seq": row.seq,
        "at": row.at,
        "stamp": row.stamp,
        "call": row.call,
        "what": row.event,
        "hash": row.hash,
    });
    escaped_json(&facts.to_string()).into_owned()
}

/// A row of another version: its body as it is stored, as JSON where it is some, else as text.
fn raw_as_json(seq: u64, bytes: &[u8], hash: &str) -> String {
    let body = serde_json::from_slice(bytes)
        .unwrap_or_else(|_| serde_json::Value::String(String::from_utf8_lossy(bytes).into_owned()));
    escaped_json(&serde_json::json!({ "seq": seq, "body": body, "hash": hash }).to_string()).into_owned()
}

fn as_text(row: &Row, zone: &TimeZone) -> String {
    let who = row.stamp.technician.as_ref().map_or_else(|| "-".to_owned(), |technician| technician.upn.to_string());
    // An event that was read from JSON can be written as JSON.
    let what = serde_json::to_value(&row.event).unwrap_or_default();
    let name = what.get("event").and_then(serde_json::Value::as_str).unwrap_or_default();
    let detail =
        ["ticket", "device_name", "words", "reason_words", "code", "why", "what", "digest", "format", "folder"]
            .iter()
            .filter_map(|field| what.get(field).and_then(serde_json::Value::as_str))
            .map(printable)
            .collect::<Vec<_>>()
            .join(", ");
    format!("{:>5}  {} {}  {who}  {name}  {detail}", row.seq, age::date(row.at, zone), age::clock(row.at, zone))
        .trim_end()
        .to_owned()
}

fn raw_as_text(seq: u64, bytes: &[u8]) -> String {
    format!("{seq:>5}  (not of a form this version reads)  {}", printable(&String::from_utf8_lossy(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_newer_version_is_printed_as_it_is_stored_and_drives_no_terminal() {
        let bytes = "{\"what\":{\"event\":\"beamed-up\",\"by\":\"\u{202e}\u{9b}2J\"}}".as_bytes();
        let text = raw_as_text(7, bytes);
        assert!(
            text.starts_with("    7  (not of a form this version reads)  {\"what\":{\"event\":\"beamed-up\""),
            "{text}"
        );
        let json = raw_as_json(7, bytes, "ab");
        assert!(!text.contains(['\u{202e}', '\u{9b}']) && !json.contains(['\u{202e}', '\u{9b}']), "{text} {json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["body"]["what"]["event"], "beamed-up");
        assert_eq!(raw_as_json(7, b"\xff", "ab"), "{\"body\":\"\u{fffd}\",\"hash\":\"ab\",\"seq\":7}");
    }
}
