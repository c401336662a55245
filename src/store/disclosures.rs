//! Disclosures: the rows a reveal leaves, and what the policy asks of them.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{TxError, all, first, parsed, parsed_option, projection::from_word};
use crate::domain::{
    call::{CallId, DisclosureId, Earlier},
    debt::{DebtId, InstanceId},
    device::{DeviceId, NO_DEVICE},
    event::{Carried, CarriedDisclosure, External, Intent, Stamp},
    foreign::Foreign,
    key_id::KeyId,
    technician::UserId,
    ticket::Ticket,
};

/// An intent without an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlight {
    pub disclosure: DisclosureId,
    pub call: CallId,
    pub device: DeviceId,
    pub key: KeyId,
    pub instance: InstanceId,
}

/// Every intent without an outcome.
pub fn in_flight(conn: &Connection) -> Result<Vec<InFlight>, TxError> {
    all(conn, "SELECT * FROM disclosures WHERE state = 'intended' ORDER BY rowid", [], |row| {
        Ok(InFlight {
            disclosure: parsed(row, "id")?,
            call: parsed(row, "call")?,
            device: parsed(row, "device")?,
            key: KeyId(parsed(row, "key")?),
            instance: InstanceId(parsed(row, "instance")?),
        })
    })
}

/// When this technician's disclosures since `since` were made, the oldest first. Refused ones do not count, nor keys Entra did not give.
pub fn times_since(conn: &Connection, technician: UserId, since: Timestamp) -> Result<Vec<Timestamp>, TxError> {
    // Compared as times, not as text: RFC 3339 with and without a fraction does not sort as text.
    let times = all(
        conn,
        "SELECT at FROM disclosures WHERE technician = ?1 AND state NOT IN ('refused', 'external')",
        [technician.to_string()],
        |row| parsed::<Timestamp>(row, "at"),
    )?;
    let mut times: Vec<Timestamp> = times.into_iter().filter(|at| *at > since).collect();
    times.sort_unstable();
    Ok(times)
}

/// The last use of `ticket` for another device than `device`.
pub fn other_use_of_ticket(
    conn: &Connection,
    ticket: &Ticket,
    device: DeviceId,
) -> Result<Option<(Foreign, Timestamp)>, TxError> {
    first(
        conn,
        "SELECT device_name, at FROM disclosures WHERE ticket = ?1 AND device <> ?2 ORDER BY rowid DESC LIMIT 1",
        [ticket.as_str(), &device.to_string()],
        |row| Ok((Foreign::new(row.get::<_, String>(0)?), parsed(row, "at")?)),
    )
}

/// Earlier disclosures for `device`, newest first.
pub fn for_device(conn: &Connection, device: DeviceId) -> Result<Vec<Earlier>, TxError> {
    all(
        conn,
        "SELECT * FROM disclosures WHERE device = ?1 AND state <> 'refused' ORDER BY rowid DESC LIMIT 20",
        [device.to_string()],
        |row| {
            Ok(Earlier {
                at: parsed(row, "at")?,
                key: KeyId(parsed(row, "key")?),
                ticket: from_word(row.get("ticket")?)?,
                reason: row.get("reason")?,
            })
        },
    )
}

pub(super) fn insert(
    conn: &Connection,
    at: Timestamp,
    stamp: &Stamp,
    call: CallId,
    intent: &Intent,
) -> Result<(), TxError> {
    conn.execute(
        "INSERT INTO disclosures
            (id, call, debt, key, device, device_name, ticket, reason, technician, instance, at, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'intended')",
        params![
            intent.disclosure.to_string(),
            call.to_string(),
            intent.debt.to_string(),
            intent.key.to_string(),
            intent.device.to_string(),
            intent.device_name.raw(),
            intent.ticket.as_str(),
            intent.reason_words,
            stamp.technician.as_ref().map(|technician| technician.id.to_string()),
            stamp.instance.0.to_string(),
            at.to_string(),
        ],
    )?;
    Ok(())
}

/// A key that was read elsewhere.
pub(super) fn insert_external(
    conn: &Connection,
    at: Timestamp,
    stamp: &Stamp,
    call: CallId,
    external: &External,
) -> Result<(), TxError> {
    conn.execute(
        "INSERT INTO disclosures
            (id, call, debt, key, device, device_name, ticket, reason, technician, instance, at, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'external')",
        params![
            external.disclosure.to_string(),
            call.to_string(),
            external.debt.to_string(),
            external.key.to_string(),
            external.device.unwrap_or(NO_DEVICE).to_string(),
            external.device_name.raw(),
            external.ticket.as_str(),
            external.reason_words,
            stamp.technician.as_ref().map(|technician| technician.id.to_string()),
            stamp.instance.0.to_string(),
            at.to_string(),
        ],
    )?;
    Ok(())
}

/// A disclosure of a debt that was carried.
pub(super) fn insert_carried(conn: &Connection, debt: &Carried, carried: &CarriedDisclosure) -> Result<(), TxError> {
    conn.execute(
        "INSERT INTO disclosures
            (id, call, debt, key, device, device_name, ticket, reason, technician, instance, at, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            carried.disclosure.to_string(),
            carried.of_call.to_string(),
            debt.debt.to_string(),
            debt.key.to_string(),
            debt.device.to_string(),
            debt.device_name.raw(),
            carried.ticket.as_str(),
            carried.reason,
            carried.technician.map(|technician| technician.to_string()),
            carried.instance.0.to_string(),
            carried.at.to_string(),
            carried.state,
        ],
    )?;
    Ok(())
}

/// A disclosure with its debt, as another ledger takes it over; `None` where there is none, or it was certainly refused.
pub(super) fn to_carry(conn: &Connection, id: &str) -> Result<Option<(DebtId, CarriedDisclosure)>, TxError> {
    first(conn, "SELECT * FROM disclosures WHERE id = ?1 AND state <> 'refused'", [id], |row| {
        let state: String = row.get("state")?;
        let carried = CarriedDisclosure {
            disclosure: parsed(row, "id")?,
            of_call: parsed(row, "call")?,
            ticket: from_word(row.get("ticket")?)?,
            reason: row.get("reason")?,
            technician: parsed_option(row, "technician")?.map(UserId),
            instance: InstanceId(parsed(row, "instance")?),
            at: parsed(row, "at")?,
            state: if state == "intended" { "unknown".into() } else { state },
        };
        Ok((parsed(row, "debt")?, carried))
    })
}

/// The last disclosure of a debt's key that was not certainly refused.
pub fn last_of_debt(conn: &Connection, debt: DebtId) -> Result<Option<DisclosureId>, TxError> {
    first(
        conn,
        "SELECT id FROM disclosures WHERE debt = ?1 AND state <> 'refused' ORDER BY rowid DESC LIMIT 1",
        [debt.to_string()],
        |row| parsed(row, "id"),
    )
}

/// Whether this technician disclosed the debt's key, in any of its disclosures.
pub fn disclosed_by(conn: &Connection, debt: DebtId, technician: UserId) -> Result<bool, TxError> {
    Ok(conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM disclosures WHERE debt = ?1 AND technician = ?2 AND state <> 'refused')",
        [debt.to_string(), technician.to_string()],
        |row| row.get(0),
    )?)
}

/// Closes an intent. One that has an outcome already keeps it.
pub(super) fn set_state(conn: &Connection, id: DisclosureId, state: &str) -> Result<(), TxError> {
    let changed = conn.execute(
        "UPDATE disclosures SET state = ?2 WHERE id = ?1 AND state = 'intended'",
        params![id.to_string(), state],
    )?;
    if changed == 0 {
        return Err(TxError::Conflict("This disclosure was closed by another desk.".into()));
    }
    Ok(())
}

/// Entra logged a read of a disclosure: one that was refused here may have been handed out all the same. Its debt then.
pub(super) fn reopened(conn: &Connection, id: DisclosureId, failed: bool) -> Result<Option<DebtId>, TxError> {
    if failed {
        return Ok(None);
    }
    // From now on it stands for its debt, whatever becomes of other requests for the same key.
    first(
        conn,
        "UPDATE disclosures SET state = 'unknown' WHERE id = ?1 AND state = 'refused' RETURNING debt",
        [id.to_string()],
        |row| parsed(row, "debt"),
    )
}

/// The debt a disclosure made, or joined.
pub fn debt_of(conn: &Connection, id: DisclosureId) -> Result<DebtId, TxError> {
    first(conn, "SELECT debt FROM disclosures WHERE id = ?1", [id.to_string()], |row| parsed(row, "debt"))?
        .ok_or_else(|| TxError::Row(format!("no disclosure {id}")))
}
