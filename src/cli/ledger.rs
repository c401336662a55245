//! `keydesk ledger`

use super::{out, seat};
use crate::{
    config::Settings,
    domain::{
        age,
        event::Row,
        work::{Failure, Kind},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Ledger {
    /// One JSON document a row
    #[arg(long)]
    json: bool,
    /// Start at this sequence number
    #[arg(long, default_value_t = 1, value_name = "SEQ")]
    from: u64,
}

impl Ledger {
    pub(super) fn run(self, settings: &Settings) -> Result<(), Failure> {
        let desk = seat::open(settings)?;
        // Judged before a row is read: where the chain is broken, a row may be unreadable.
        let verdict = desk.ledger().verify()?;
        let mut written = Ok(());
        let read = desk.ledger().walk(self.from, |row| {
            let text = if self.json { as_json(&row) } else { as_text(&row, &desk.zone) };
            written = out::line(&text);
            written.is_ok()
        });
        written?;
        match verdict {
            Ok(head) => {
                read?;
                out::note(&format!(
                    "{}, the chain is whole, head {}",
                    age::count(usize::try_from(head.seq).unwrap_or(0), "row"),
                    head.hash
                ));
                Ok(())
            }
            Err(broken) => {
                if let Err(error) = read {
                    out::note(&format!("No row is printed beyond here: {error}"));
                }
                Err(Failure::new(Kind::Failed, format!("The chain is broken at {broken}."))
                    .meaning("Rows after it prove nothing.")
                    .next("Copy the file aside and tell whoever keeps the records."))
            }
        }
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
    facts.to_string()
}

fn as_text(row: &Row, zone: &jiff::tz::TimeZone) -> String {
    let who = row.stamp.technician.as_ref().map_or_else(|| "-".to_owned(), |technician| technician.upn.to_string());
    // An event that was read from JSON can be written as JSON.
    let what = serde_json::to_value(&row.event).unwrap_or_default();
    let name = what.get("event").and_then(serde_json::Value::as_str).unwrap_or_default();
    let detail = ["ticket", "device_name", "words", "reason_words", "code", "why", "what"]
        .iter()
        .filter_map(|field| what.get(field).and_then(serde_json::Value::as_str))
        .map(crate::domain::foreign::printable)
        .collect::<Vec<_>>()
        .join(", ");
    format!("{:>5}  {} {}  {who}  {name}  {detail}", row.seq, age::date(row.at, zone), age::clock(row.at, zone))
        .trim_end()
        .to_owned()
}
