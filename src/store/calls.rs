//! Calls, as the ledger tells them.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, params};

use super::{TxError, all, first, parsed, parsed_option, projection::from_word};
use crate::domain::{
    call::{Call, CallId, CallState, Refusal, Verification},
    debt::InstanceId,
    device::DeviceId,
    foreign::Foreign,
    technician::UserId,
    ticket::Ticket,
};

/// A caller who was refused is shown to whoever opens the device for so long.
pub const REFUSED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// One call.
pub fn get(conn: &Connection, id: CallId) -> Result<Option<Call>, TxError> {
    first(conn, "SELECT * FROM calls WHERE id = ?1", [id.to_string()], read)
}

/// The calls not closed yet, the oldest first, each with the process that last had it.
pub fn unfinished(conn: &Connection) -> Result<Vec<(Call, InstanceId)>, TxError> {
    all(conn, "SELECT * FROM calls WHERE state <> 'closed' ORDER BY number", [], |row| {
        Ok((read(row)?, InstanceId(parsed(row, "instance")?)))
    })
}

/// The calls open at this process.
pub fn open_at(conn: &Connection, instance: InstanceId) -> Result<Vec<CallId>, TxError> {
    let open =
        |(call, holder): (Call, InstanceId)| (call.state == CallState::Open && holder == instance).then_some(call.id);
    Ok(unfinished(conn)?.into_iter().filter_map(open).collect())
}

/// The process that last had the call.
pub fn holder(conn: &Connection, id: CallId) -> Result<Option<InstanceId>, TxError> {
    first(conn, "SELECT instance FROM calls WHERE id = ?1", [id.to_string()], |row| {
        Ok(InstanceId(parsed(row, "instance")?))
    })
}

/// Who verified this call's caller last.
pub fn verified_by(conn: &Connection, id: CallId) -> Result<Option<UserId>, TxError> {
    let read = |row: &Row<'_>| Ok(parsed_option(row, "verified_by")?.map(UserId));
    Ok(first(conn, "SELECT verified_by FROM calls WHERE id = ?1", [id.to_string()], read)?.flatten())
}

/// Whose caller could not be verified when they asked for a key of `device`, since `since`; the newest first.
pub fn refusals_for(conn: &Connection, device: DeviceId, since: Timestamp) -> Result<Vec<Refusal>, TxError> {
    let read = |row: &Row<'_>| {
        let by: Option<String> = row.get("refused_by")?;
        Ok(Refusal { at: parsed(row, "refused")?, by: by.map(Foreign::new) })
    };
    let sql = "SELECT refused, refused_by FROM calls WHERE device = ?1 AND refused IS NOT NULL ORDER BY number DESC";
    let mut refusals = all(conn, sql, [device.to_string()], read)?;
    let carried = "SELECT refused, refused_by FROM carried_refusals WHERE device = ?1 ORDER BY rowid DESC";
    refusals.extend(all(conn, carried, [device.to_string()], read)?);
    // Compared as times, not as text.
    Ok(refusals.into_iter().filter(|refusal| refusal.at > since).collect())
}

/// A refusal that another ledger takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CarriedRefusal {
    pub call: CallId,
    pub device: DeviceId,
    pub refusal: Refusal,
}

/// Every refusal of a caller in one of the tables that have them, the oldest first.
pub(super) fn refusals_in(conn: &Connection, table: RefusalsIn) -> Result<Vec<CarriedRefusal>, TxError> {
    let sql = match table {
        RefusalsIn::Calls => {
            "SELECT id AS call, device, refused, refused_by FROM calls WHERE refused IS NOT NULL ORDER BY number"
        }
        RefusalsIn::Carried => "SELECT call, device, refused, refused_by FROM carried_refusals ORDER BY rowid",
    };
    all(conn, sql, [], |row| {
        let by: Option<String> = row.get("refused_by")?;
        Ok(CarriedRefusal {
            call: parsed(row, "call")?,
            device: parsed(row, "device")?,
            refusal: Refusal { at: parsed(row, "refused")?, by: by.map(Foreign::new) },
        })
    })
}

/// Where refusals stand.
#[derive(Clone, Copy, Debug)]
pub(super) enum RefusalsIn {
    Calls,
    /// Those of a ledger before this one.
    Carried,
}

/// A caller who was refused in the ledger before this one.
pub(super) fn carry_refusal(conn: &Connection, refused: &CarriedRefusal) -> Result<(), TxError> {
    conn.execute(
        "INSERT INTO carried_refusals (call, device, refused, refused_by) VALUES (?1, ?2, ?3, ?4)",
        params![
            refused.call.to_string(),
            refused.device.to_string(),
            refused.refusal.at.to_string(),
            refused.refusal.by.as_ref().map(Foreign::raw),
        ],
    )?;
    Ok(())
}

/// The number the next call gets.
pub fn next_number(conn: &Connection) -> Result<u32, TxError> {
    let last: Option<u32> = conn.query_row("SELECT max(number) FROM calls", [], |row| row.get(0))?;
    Ok(last.unwrap_or(0) + 1)
}

fn read(row: &Row<'_>) -> Result<Call, TxError> {
    let verification: Option<String> = row.get("verification")?;
    let ticket: Option<String> = row.get("ticket")?;
    Ok(Call {
        id: parsed(row, "id")?,
        number: row.get("number")?,
        state: from_word(row.get("state")?)?,
        opened: parsed(row, "opened")?,
        key: crate::domain::key_id::KeyId(parsed(row, "key")?),
        volume: from_word(row.get("volume")?)?,
        device: parsed(row, "device")?,
        device_name: Foreign::new(row.get::<_, String>("device_name")?),
        heard: usize::try_from(row.get::<_, i64>("heard")?).unwrap_or(0),
        verification: verification.map(|text| serde_json::from_str::<Verification>(&text)).transpose()?,
        ticket: ticket.map(from_word::<Ticket>).transpose()?,
        reason: row.get("reason")?,
        disclosed: parsed_option(row, "disclosed")?,
        read: row.get("read")?,
        in_windows: parsed_option(row, "in_windows")?,
        closed: parsed_option(row, "closed")?,
    })
}
