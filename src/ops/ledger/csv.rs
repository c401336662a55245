//! Rows as a table: the same columns whatever the event, and after them the event whole.

use std::io::Write;

use serde_json::Value;

use crate::{domain::cell::cell, store::chain::Stored};

/// The columns, in their order, each with where its value stands in the row. They only grow at the end.
pub const COLUMNS: [(&str, &[&str]); 24] = [
    ("seq", &["/seq"]),
    ("at", &["/at"]),
    ("event", &["/what/event"]),
    ("call", &["/call"]),
    ("technician_id", &["/stamp/technician/id"]),
    ("technician_upn", &["/stamp/technician/upn"]),
    ("technician_name", &["/stamp/technician/name"]),
    ("tenant", &["/stamp/tenant"]),
    ("app", &["/stamp/app"]),
    ("host", &["/stamp/host"]),
    ("account", &["/stamp/account"]),
    ("version", &["/stamp/version"]),
    ("policy", &["/stamp/policy"]),
    ("instance", &["/stamp/instance"]),
    ("device", &["/what/device"]),
    ("device_name", &["/what/device_name"]),
    ("key", &["/what/key"]),
    ("ticket", &["/what/ticket"]),
    ("reason", &["/what/reason_words", "/what/reason"]),
    ("disclosure", &["/what/disclosure"]),
    ("debt", &["/what/debt"]),
    ("rotation", &["/what/rotation"]),
    ("what", &["/what"]),
    ("hash", &[]),
];

/// A table with its header line.
pub(super) fn begin<W: Write>(to: W) -> Result<csv::Writer<W>, csv::Error> {
    let mut table = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(to);
    table.write_record(COLUMNS.map(|(name, _)| name))?;
    Ok(table)
}

/// One row. Of one that is no JSON, its bytes stand under `what`.
pub(super) fn write<W: Write>(table: &mut csv::Writer<W>, row: &Stored) -> Result<(), csv::Error> {
    let body: Option<Value> = serde_json::from_slice(&row.bytes).ok();
    table.write_record(COLUMNS.map(|(name, paths)| {
        let found = body.as_ref().and_then(|body| paths.iter().find_map(|path| body.pointer(path)));
        match (name, found) {
            ("seq", _) => row.seq.to_string(),
            ("hash", _) => cell(&row.hash),
            ("what", None) => cell(&String::from_utf8_lossy(&row.bytes)),
            (_, None | Some(Value::Null)) => String::new(),
            (_, Some(Value::String(text))) => cell(text),
            (_, Some(other)) => cell(&other.to_string()),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(bytes: &str) -> Vec<csv::StringRecord> {
        let row = Stored { seq: 3, bytes: bytes.into(), hash: "ab".into() };
        let mut out = Vec::new();
        let mut table = begin(&mut out).unwrap();
        write(&mut table, &row).unwrap();
        table.flush().unwrap();
        drop(table);
        csv::ReaderBuilder::new().has_headers(false).from_reader(&out[..]).records().map(Result::unwrap).collect()
    }

    #[test]
    fn names_from_outside_are_no_formulas_and_drive_nothing() {
        let rows = table(
            r#"{"seq":3,"at":"2026-11-20T09:00:00Z","stamp":{"host":"@SUM(1)","technician":null},
                "what":{"event":"intended","device_name":"=cmd|' /C calc'!A0\u202e\u001b[2J","ticket":"INC1;+2"}}"#,
        );
        let at = |name: &str| {
            let column = rows[0].iter().position(|cell| cell == name).unwrap();
            rows[1][column].to_owned()
        };
        assert_eq!(at("seq"), "3");
        assert_eq!(at("host"), "'@SUM(1)");
        assert_eq!(at("device_name"), "'=cmd|' /C calc'!A0\\u{202e}\\u{1b}[2J");
        assert_eq!(at("ticket"), "INC1;'+2");
        assert_eq!((at("technician_upn"), at("hash")), (String::new(), "ab".into()));
        assert!(at("what").starts_with("{\"device_name\":\"'=cmd"), "{}", at("what"));
    }

    #[test]
    fn a_row_that_is_no_json_stands_there_as_it_is() {
        let rows = table("no json at all");
        assert_eq!(&rows[1][COLUMNS.len() - 2], "no json at all");
    }
}
