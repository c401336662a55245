//! How far each sink has taken the rows, and whose turn it is to send. Not folded from the ledger: to lose it costs a repetition.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{TxError, all, first, instance, parsed_option};
use crate::domain::{
    debt::InstanceId,
    moment::{later, since},
    outbox::{Cursor, Parcel, Waiting},
};

/// How far `sink` is; at the beginning, where nothing is known of it.
pub fn cursor(conn: &Connection, sink: &str) -> Result<Cursor, TxError> {
    let found = first(conn, "SELECT seq, at, failures, error FROM forwarded WHERE sink = ?1", [sink], |row| {
        Ok(Cursor {
            seq: row.get::<_, i64>("seq")?.cast_unsigned(),
            at: parsed_option(row, "at")?,
            failures: row.get("failures")?,
            error: row.get("error")?,
        })
    })?;
    Ok(found.unwrap_or_default())
}

/// How far each sink is.
pub(super) fn cursors(conn: &Connection) -> Result<Vec<(String, u64)>, TxError> {
    all(conn, "SELECT sink, seq FROM forwarded ORDER BY sink", [], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })
}

/// At most `most` rows after `after`, up to `last`, in order.
pub fn parcels(conn: &Connection, after: u64, last: u64, most: usize) -> Result<Vec<Parcel>, TxError> {
    let sql = "SELECT seq, body, hash FROM ledger WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    all(conn, sql, (after.cast_signed(), i64::try_from(last).unwrap_or(i64::MAX), most), |row| {
        let seq = row.get::<_, i64>(0)?.cast_unsigned();
        let body = String::from_utf8(row.get(1)?).map_err(|_| TxError::Row(format!("row {seq} is no text")))?;
        Ok(Parcel { seq, hash: row.get(2)?, body })
    })
}

/// What lies after `after`.
pub fn waiting(conn: &Connection, after: u64) -> Result<Waiting, TxError> {
    let count = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(0)?.cast_unsigned());
    let rows = first(conn, "SELECT count(*) FROM ledger WHERE seq > ?1", [after.cast_signed()], count)?;
    let oldest = parcels(conn, after, u64::MAX, 1)?;
    let since = oldest.first().and_then(|parcel| {
        let body: serde_json::Value = serde_json::from_str(&parcel.body).ok()?;
        body["at"].as_str()?.parse().ok()
    });
    Ok(Waiting { rows: rows.unwrap_or(0), since })
}

/// Takes the turn at `sink` until `until`, or keeps it. `false` where a living process has it. Inside a `BEGIN IMMEDIATE`.
pub fn take_turn(
    conn: &Connection,
    sink: &str,
    own: InstanceId,
    instances: &Path,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, TxError> {
    let held = first(conn, "SELECT instance, until FROM forwarded WHERE sink = ?1", [sink], |row| {
        Ok(parsed_option(row, "instance")?.map(InstanceId).zip(parsed_option::<Timestamp>(row, "until")?))
    })?;
    // One that ends much later than any given now was given under a clock that has been set back since.
    let latest = later(until, since(now, until));
    if let Some((holder, held_until)) = held.flatten()
        && holder != own
        && now < held_until
        && held_until <= latest
        && instance::is_alive(instances, holder)
    {
        return Ok(false);
    }
    conn.execute(
        "INSERT INTO forwarded (sink, seq, failures, instance, until) VALUES (?1, 0, 0, ?2, ?3)
         ON CONFLICT (sink) DO UPDATE SET instance = ?2, until = ?3",
        params![sink, own.0.to_string(), until.to_string()],
    )?;
    Ok(true)
}

/// Gives the turn back, if it is this process's.
pub fn end_turn(conn: &Connection, sink: &str, own: InstanceId) -> Result<(), TxError> {
    conn.execute(
        "UPDATE forwarded SET instance = NULL, until = NULL WHERE sink = ?1 AND instance = ?2",
        [sink, &own.0.to_string()],
    )?;
    Ok(())
}

/// `sink` has taken everything up to `seq`. Never goes back.
pub fn advance(conn: &Connection, sink: &str, seq: u64, at: Timestamp) -> Result<(), TxError> {
    conn.execute(
        "UPDATE forwarded SET seq = ?2, at = ?3, failures = 0, error = NULL WHERE sink = ?1 AND seq < ?2",
        params![sink, seq.cast_signed(), at.to_string()],
    )?;
    Ok(())
}

/// `sink` did not take what came next.
pub fn failed(conn: &Connection, sink: &str, error: &str) -> Result<(), TxError> {
    conn.execute("UPDATE forwarded SET failures = failures + 1, error = ?2 WHERE sink = ?1", [sink, error])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::event::{Event, Stamp},
        store::{Instance, Ledger, Pen},
    };

    const SINK: &str = "webhook https://collector.example/";
    const TURN: Duration = Duration::from_mins(1);

    fn ledger(folder: &Path, rows: usize) -> Ledger {
        let ledger = Ledger::open(&folder.join("ledger.db")).unwrap();
        write(&ledger, |pen| (0..rows).try_for_each(|_| pen.append(None, &Event::SignedOut).map(drop)));
        ledger
    }

    fn write<T>(ledger: &Ledger, write: impl FnOnce(&mut Pen<'_>) -> Result<T, TxError>) -> T {
        let stamp = Stamp {
            technician: None,
            tenant: None,
            app: String::new(),
            host: String::new(),
            account: String::new(),
            version: String::new(),
            policy: String::new(),
            instance: InstanceId(Uuid::nil()),
        };
        ledger.write(at("09:00"), &stamp, write).unwrap()
    }

    fn at(clock: &str) -> Timestamp {
        format!("2026-11-20T{clock}:00Z").parse().unwrap()
    }

    #[test]
    fn what_waits_lies_behind_the_cursor_and_the_cursor_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, own) = (ledger(folder.path(), 5), InstanceId(Uuid::from_u128(1)));
        write(&ledger, |pen| {
            let conn = pen.conn();
            assert_eq!(cursor(conn, SINK)?, Cursor::default());
            assert_eq!(waiting(conn, 0)?, Waiting { rows: 5, since: Some(at("09:00")) });
            assert!(take_turn(conn, SINK, own, folder.path(), at("09:00"), at("09:01"))?);
            failed(conn, SINK, "no")?;
            assert_eq!(cursor(conn, SINK)?.failures, 1);
            advance(conn, SINK, 3, at("09:02"))?;
            advance(conn, SINK, 2, at("09:03"))?;
            assert_eq!(cursor(conn, SINK)?, Cursor { seq: 3, at: Some(at("09:02")), failures: 0, error: None });
            let numbers = |last, most| -> Result<Vec<u64>, TxError> {
                Ok(parcels(conn, 3, last, most)?.iter().map(|parcel| parcel.seq).collect())
            };
            assert_eq!((numbers(u64::MAX, 9)?, numbers(4, 9)?, numbers(u64::MAX, 1)?), (vec![4, 5], vec![4], vec![4]));
            assert_eq!(waiting(conn, 5)?, Waiting::default());
            Ok(())
        });
    }

    #[test]
    fn one_living_process_has_the_turn_until_it_ends_it_or_its_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path(), 1);
        let living = Instance::start(folder.path()).unwrap();
        let (first, second) = (living.id, InstanceId(Uuid::from_u128(2)));
        let takes =
            |own, now| write(&ledger, |pen| take_turn(pen.conn(), SINK, own, folder.path(), now, later(now, TURN)));
        assert!(takes(first, at("09:00")));
        assert!(!takes(second, at("09:00")));
        assert!(!takes(second, at("08:59")), "its clock was read before, and its turn asked for after");
        assert!(takes(first, at("09:00")), "whoever has it keeps it");
        assert!(takes(second, at("08:00")), "a clock that was set back holds nobody up");
        assert!(takes(first, at("08:00")), "the second does not live");
        assert!(takes(second, at("08:01")), "the first's time is over");
        assert!(takes(first, at("08:01")));
        write(&ledger, |pen| end_turn(pen.conn(), SINK, second));
        assert!(!takes(second, at("08:01")), "nobody ends another's turn");
        write(&ledger, |pen| end_turn(pen.conn(), SINK, first));
        assert!(takes(second, at("08:01")) && takes(first, at("08:01")));
        drop(living);
        assert!(takes(second, at("08:01")), "the first has ended");
    }
}
