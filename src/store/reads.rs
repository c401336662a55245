//! What a ledger tells of reads, to be held against Entra's own record.
//!
//! Folded from the rows themselves: another desk's ledger may be of another version, and its projections are not asked.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{Ledger, StoreError, TxError, all, parsed};
use crate::domain::{
    call::{CallId, DisclosureId},
    debt::DebtId,
    event::{Event, Row},
    foreign::Foreign,
    key_id::KeyId,
    reconcile::{Book, Came, Disclosure},
    technician::UserId,
};

/// Everything one ledger tells of one tenant.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// In the order of the rows.
    pub disclosures: Vec<Disclosure>,
    /// Whoever sat at this desk, by the name they last had.
    pub technicians: BTreeMap<UserId, Foreign>,
}

/// Where each disclosure stands in the list.
type Places = BTreeMap<DisclosureId, usize>;

/// Folds a whole ledger.
pub fn told(ledger: &Ledger, book: &Book, tenant: Uuid) -> Result<Told, StoreError> {
    let mut told = Told::default();
    let mut places = Places::new();
    ledger.walk(1, |row| {
        if row.stamp.tenant.is_none_or(|of| of == tenant) {
            told.take(row, book, &mut places);
        }
        true
    })?;
    Ok(told)
}

impl Told {
    fn take(&mut self, row: Row, book: &Book, places: &mut Places) {
        if let Some(technician) = &row.stamp.technician {
            self.technicians.insert(technician.id, technician.upn.clone());
        }
        match row.event {
            Event::Intended(intent) => {
                let Some(call) = row.call else { return };
                places.insert(intent.disclosure, self.disclosures.len());
                self.disclosures.push(Disclosure {
                    id: intent.disclosure,
                    book: book.clone(),
                    technician: row.stamp.technician,
                    key: intent.key,
                    device: intent.device,
                    device_name: intent.device_name,
                    ticket: intent.ticket,
                    call,
                    at: row.at,
                    entra_time: intent.entra_time,
                    came: Came::Asked,
                    known: BTreeMap::new(),
                });
            }
            Event::Served { disclosure, .. } => self.of(places, disclosure, |one| one.came = Came::Served),
            Event::Refused { disclosure, status, .. } => {
                self.of(places, disclosure, |one| one.came = Came::Refused { status });
            }
            Event::Unknown { disclosure, .. } => self.of(places, disclosure, |one| one.came = Came::Unknown),
            Event::EntraRecord { disclosure, audit, at, .. } => {
                self.of(places, disclosure, |one| one.known.extend([(audit, at)]));
            }
            _ => {}
        }
    }

    fn of(&mut self, places: &Places, disclosure: DisclosureId, change: impl FnOnce(&mut Disclosure)) {
        if let Some(one) = places.get(&disclosure).and_then(|place| self.disclosures.get_mut(*place)) {
            change(one);
        }
    }
}

/// Whether this record of Entra's stands in the ledger already.
pub fn is_recorded(conn: &Connection, audit: &str) -> Result<bool, TxError> {
    Ok(conn.query_row("SELECT EXISTS (SELECT 1 FROM entra_records WHERE audit = ?1)", [audit], |row| row.get(0))?)
}

/// A disclosed key that may be deleted from Entra any day, as far as this ledger knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletable {
    pub debt: DebtId,
    pub call: CallId,
    pub key: KeyId,
    pub since: Timestamp,
}

/// Debts, owed or proved, of whose key Entra has not been heard to log the deletion.
pub fn deletable(conn: &Connection, tenant: Uuid) -> Result<Vec<Deletable>, TxError> {
    all(
        conn,
        "SELECT id, call, key, since FROM debts
         WHERE key_deleted IS NULL AND (open = 1 OR json_extract(state, '$.state') = 'proved')
           AND (tenant IS NULL OR tenant = ?1)",
        params![tenant.to_string()],
        |row| {
            Ok(Deletable {
                debt: parsed(row, "id")?,
                call: parsed(row, "call")?,
                key: KeyId(parsed(row, "key")?),
                since: parsed(row, "since")?,
            })
        },
    )
}
