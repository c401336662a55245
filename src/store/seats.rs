//! Who sat at this desk last, as the ledger knows it.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{TxError, first, json, parsed};
use crate::domain::{
    event::Stamp,
    technician::{Technician, UserId},
};

/// The last person who signed in, and whether they signed out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSeat {
    pub technician: Technician,
    pub tenant: Uuid,
    pub signed_out: bool,
}

/// When somebody last proved to be at the desk: by signing in, or by asking for a key, which a locked desk does not let them. Of all
/// people, or of the one named with their tenant.
pub fn last_there(conn: &Connection, who: Option<(Uuid, UserId)>) -> Result<Option<Timestamp>, TxError> {
    let (tenant, technician) = who.map(|(tenant, technician)| (tenant.to_string(), technician.to_string())).unzip();
    first(
        conn,
        "SELECT there FROM seats
         WHERE there IS NOT NULL AND (?1 IS NULL OR technician = ?1) AND (?2 IS NULL OR tenant = ?2)
         ORDER BY there_turn DESC LIMIT 1",
        params![technician, tenant],
        |row| parsed(row, "there"),
    )
}

/// The last seat taken in `tenant`, or in any.
pub fn last(conn: &Connection, tenant: Option<Uuid>) -> Result<Option<LastSeat>, TxError> {
    first(
        conn,
        "SELECT person, tenant, signed_out FROM seats
         WHERE turn IS NOT NULL AND (?1 IS NULL OR tenant = ?1) ORDER BY turn DESC LIMIT 1",
        params![tenant.map(|tenant| tenant.to_string())],
        |row| {
            Ok(LastSeat {
                technician: json(row, "person")?,
                tenant: parsed(row, "tenant")?,
                signed_out: row.get("signed_out")?,
            })
        },
    )
}

/// Somebody signed in, or out.
pub(super) fn taken(conn: &Connection, stamp: &Stamp, signed_out: bool) -> Result<(), TxError> {
    let (Some(technician), Some(tenant)) = (&stamp.technician, stamp.tenant) else { return Ok(()) };
    conn.execute(
        "INSERT INTO seats (tenant, technician, person, signed_out, turn)
         VALUES (?1, ?2, ?3, ?4, (SELECT coalesce(max(turn), 0) + 1 FROM seats))
         ON CONFLICT DO UPDATE SET person = excluded.person, signed_out = excluded.signed_out, turn = excluded.turn",
        params![tenant.to_string(), technician.id.to_string(), serde_json::to_string(technician)?, signed_out],
    )?;
    Ok(())
}

/// Somebody proved to be at the desk.
pub(super) fn was_there(conn: &Connection, at: Timestamp, stamp: &Stamp) -> Result<(), TxError> {
    let (Some(technician), Some(tenant)) = (&stamp.technician, stamp.tenant) else { return Ok(()) };
    conn.execute(
        "INSERT INTO seats (tenant, technician, there, there_turn)
         VALUES (?1, ?2, ?3, (SELECT coalesce(max(there_turn), 0) + 1 FROM seats))
         ON CONFLICT DO UPDATE SET there = excluded.there, there_turn = excluded.there_turn",
        params![tenant.to_string(), technician.id.to_string(), at.to_string()],
    )?;
    Ok(())
}
