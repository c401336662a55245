//! What can still be read of a damaged ledger. Works on a copy, and changes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::Connection;

use super::{chain, first, schema};
use crate::{
    domain::{
        debt::{Debt, DebtId},
        digest::sha256,
        event::CarriedDisclosure,
    },
    store::{
        TxError,
        calls::{self, CarriedRefusal, RefusalsIn},
        chain::{Head, Stored},
        debts, disclosures, forwarded, projection,
    },
};

/// After so many rows in turn that cannot be read nothing more is looked for.
const PATIENCE: u64 = 10_000;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    pub rows: u64,
    /// The last row that can be read.
    pub head: Head,
    pub unread: Vec<(u64, u64)>,
    /// The greatest number that any row may have.
    pub last: u64,
    /// Open debts, the oldest first, each with the disclosures of its key.
    pub debts: Vec<(Debt, Vec<CarriedDisclosure>)>,
    /// At least so many more stand in the tables, and may be open.
    pub debts_unread: usize,
    /// Callers who were refused, the oldest first.
    pub refusals: Vec<CarriedRefusal>,
    /// How far each collector had the rows.
    pub forwarded: Vec<(String, u64)>,
}

/// Reads row by row, around what is damaged. Where every row can be read, they alone say what is owed; else what the tables folded from
/// them still say is owed counts too: rather one debt too many than one forgotten.
pub(super) fn salvage(copy: &Path) -> Salvaged {
    let Ok(conn) = open(copy) else { return Salvaged::default() };
    let (rows, last) = rows(&conn);
    let unread = gaps(&rows, last);
    let head = rows.last().map(|row| Head { seq: row.seq, hash: row.hash.clone() }).unwrap_or_default();
    let mut found = Found::default();
    let folded = folded(&rows).inspect_err(|error| tracing::warn!(%error, "the rows cannot be folded")).ok();
    if !unread.is_empty() || rows.is_empty() {
        // First: how far its replacement had come may stand in a row that is lost.
        found.take(&conn, folded.as_ref());
    }
    if let Some(folded) = &folded {
        found.take(folded, None);
    }
    let forwarded = forwarded::cursors(&conn)
        .inspect_err(|error| tracing::warn!(%error, "how far the rows were forwarded cannot be read"));
    let forwarded = forwarded.unwrap_or_default();
    let Found { debts, debts_unread, disclosures, refusals } = found;
    let with_disclosures = |debt: Debt| {
        let mut of_it: Vec<_> =
            disclosures.values().filter(|(id, _)| *id == debt.id).map(|(_, of)| of.clone()).collect();
        of_it.sort_by_key(|disclosure| disclosure.at);
        (debt, of_it)
    };
    let mut debts: Vec<_> = debts.into_values().map(with_disclosures).collect();
    debts.sort_by_key(|(debt, _)| debt.since);
    let mut refusals: Vec<_> = refusals.into_values().collect();
    refusals.sort_by_key(|refused| refused.refusal.at);
    Salvaged { rows: rows.len() as u64, head, unread, last, debts, debts_unread, refusals, forwarded }
}

/// What stands in tables, by its id: whichever are read first are right.
#[derive(Debug, Default)]
struct Found {
    debts: BTreeMap<String, Debt>,
    debts_unread: usize,
    disclosures: BTreeMap<String, (DebtId, CarriedDisclosure)>,
    refusals: BTreeMap<String, CarriedRefusal>,
}

impl Found {
    /// Reads one by one what can be read. A debt that cannot is none of the unread where `other` tells what became of it.
    fn take(&mut self, conn: &Connection, other: Option<&Connection>) {
        let (ids, lost) = ids(conn, "debts");
        let mut unread = 0;
        for id in ids {
            match debt(conn, &id) {
                Ok(Some(debt)) if debt.is_open() => drop(self.debts.entry(id).or_insert(debt)),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, debt = id, "a debt of the damaged ledger cannot be read");
                    unread += usize::from(!other.is_some_and(|other| matches!(debt(other, &id), Ok(Some(_)))));
                }
            }
        }
        self.debts_unread += lost.max(unread);
        for id in self::ids(conn, "disclosures").0 {
            match disclosures::to_carry(conn, &id) {
                Ok(Some(found)) => drop(self.disclosures.entry(id).or_insert(found)),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, disclosure = id, "a disclosure cannot be read"),
            }
        }
        for table in [RefusalsIn::Carried, RefusalsIn::Calls] {
            match calls::refusals_in(conn, table) {
                Ok(refusals) => {
                    for refused in refusals {
                        self.refusals.entry(refused.call.to_string()).or_insert(refused);
                    }
                }
                // Also of a file that an earlier version left: the rows have them.
                Err(error) => tracing::debug!(%error, ?table, "refusals cannot be read"),
            }
        }
    }
}

/// A debt; where what was to pay it cannot be read, without that.
fn debt(conn: &Connection, id: &str) -> Result<Option<Debt>, TxError> {
    let Ok(parsed) = id.parse() else { return Err(TxError::Row(format!("no id of a debt: {id:?}"))) };
    debts::get(conn, parsed).or_else(|error| {
        // A copy, which nothing else is read from.
        match conn.execute("UPDATE main.debts SET rotation = NULL WHERE id = ?1", [id]) {
            Ok(_) => debts::get(conn, parsed),
            Err(_) => Err(error),
        }
    })
}

/// The ids in `table`, and how many more there are at least.
fn ids(conn: &Connection, table: &str) -> (BTreeSet<String>, usize) {
    let (mut ids, mut lost) = (BTreeSet::new(), 0);
    // The index of the ids has all of them, also where a page of the table is damaged.
    if each(conn, &format!("SELECT id FROM main.{table} ORDER BY id"), |id| ids.extend([id])).is_ok() {
        return (ids, 0);
    }
    let greatest = first(conn, &format!("SELECT max(rowid) FROM main.{table}"), [], |row| Ok(row.get::<_, i64>(0)?));
    let Ok(Some(greatest)) = greatest else { return (ids, 1) };
    for rowid in 1..=greatest {
        match first(conn, &format!("SELECT id FROM main.{table} WHERE rowid = ?1"), [rowid], |row| Ok(row.get(0)?)) {
            Ok(id) => ids.extend::<Option<String>>(id),
            Err(_) => lost += 1,
        }
    }
    (ids, lost)
}

/// Hands `take` one text a row, as far as it goes.
fn each(conn: &Connection, sql: &str, mut take: impl FnMut(String)) -> Result<(), TxError> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row.get(0)?);
    }
    Ok(())
}

/// The tables of an earlier version lack columns. Nothing is migrated, which could fail at what is damaged: they are read through views.
fn read_as_of_today(conn: &Connection) {
    let views = [
        ("debts", "source", "NULL AS compromised, NULL AS key_deleted, NULL AS source"),
        ("rotations", "busy", "0 AS chosen, NULL AS busy"),
    ];
    for (table, column, lacking) in views {
        let sql = format!("SELECT 1 FROM pragma_table_info('{table}', 'main') WHERE name = ?1");
        if matches!(first(conn, &sql, [column], |_| Ok(())), Ok(None)) {
            let view = format!("CREATE TEMP VIEW {table} AS SELECT *, {lacking} FROM main.{table}");
            if let Err(error) = conn.execute(&view, []) {
                tracing::warn!(%error, table, "a table of an earlier version cannot be read");
            }
        }
    }
}

/// However it can be opened. The log is read where it can be: a damaged one is left out.
fn open(copy: &Path) -> rusqlite::Result<Connection> {
    let looks = |conn: &Connection| conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    let conn = Connection::open(copy)?;
    if looks(&conn).is_ok() {
        read_as_of_today(&conn);
        return Ok(conn);
    }
    drop(conn);
    mend_header(copy);
    let conn = Connection::open(copy)?;
    looks(&conn)?;
    read_as_of_today(&conn);
    Ok(conn)
}

/// The first hundred bytes are the same in every ledger but for what `SQLite` counts in them: with those of a new one, and the size that the
/// file has, the pages behind them can be reached again.
fn mend_header(copy: &Path) {
    const HEADER: usize = 100;
    let mended = || -> Option<()> {
        let folder = tempfile::tempdir().ok()?;
        let model = folder.path().join("model.db");
        let conn = schema::open(&model, schema::Care::Durable).ok()?;
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).ok()?;
        drop(conn);
        let mut header = std::fs::read(&model).ok()?;
        header.truncate(HEADER);
        let mut bytes = std::fs::read(copy).ok()?;
        let page = usize::from(u16::from_be_bytes([*header.get(16)?, *header.get(17)?]));
        let pages = u32::try_from(bytes.len() / page).ok()?;
        header.get_mut(28..32)?.copy_from_slice(&pages.to_be_bytes());
        // No free pages: what they hold is of no use here.
        header.get_mut(32..40)?.fill(0);
        bytes.get_mut(..HEADER)?.copy_from_slice(&header);
        std::fs::write(copy, bytes).ok()
    };
    if mended().is_none() {
        tracing::warn!("the header of the damaged ledger cannot be mended");
    }
}

/// Every row that this version can read and that has its hash, and the greatest number that any row may have.
fn rows(conn: &Connection) -> (Vec<Stored>, u64) {
    let mut rows: Vec<Stored> = Vec::new();
    let last = first(conn, "SELECT max(seq) FROM ledger", [], |row| Ok(row.get::<_, Option<i64>>(0)?));
    let known = last.ok().flatten().flatten().map_or(0, i64::cast_unsigned);
    let mut next = 1;
    let mut failed = 0;
    // As far as it goes in one walk; then row by row over what stops it, then on.
    while failed < PATIENCE {
        let walked = chain::stored(conn, next, |row| {
            rows.push(row.clone());
            true
        });
        if walked.is_ok() {
            break;
        }
        next = rows.last().map_or(next, |row| next.max(row.seq + 1));
        while failed < PATIENCE && !can_be_read(conn, next) {
            next += 1;
            failed += 1;
        }
    }
    rows.retain(|row| sha256(&row.bytes) == row.hash && row.read().is_ok());
    let last = rows.last().map_or(0, |row| row.seq).max(known);
    (rows, last)
}

/// Whether the walk can begin here: the row is there and whole.
fn can_be_read(conn: &Connection, seq: u64) -> bool {
    let read = |row: &rusqlite::Row<'_>| Ok(row.get::<_, Vec<u8>>(0)?);
    first(conn, "SELECT body FROM ledger WHERE seq = ?1", [seq.cast_signed()], read).is_ok_and(|row| row.is_some())
}

/// The numbers up to `last` that no row bears.
fn gaps(rows: &[Stored], last: u64) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut next = 1;
    for row in rows {
        if row.seq > next {
            gaps.push((next, row.seq - 1));
        }
        next = row.seq + 1;
    }
    if next <= last {
        gaps.push((next, last));
    }
    gaps
}

/// What the rows say, in tables. One that fits nowhere, because a row before it is lost, is passed over.
fn folded(rows: &[Stored]) -> Result<Connection, TxError> {
    let beside = schema::in_memory()?;
    for row in rows.iter().filter_map(|row| row.read().ok()) {
        if let Err(error) = projection::apply(&beside, row.at, &row.stamp, row.call, &row.event) {
            tracing::debug!(%error, seq = row.seq, "a row of the damaged ledger fits nowhere");
        }
    }
    Ok(beside)
}
