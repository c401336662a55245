//! Who sat at this desk last, as the ledger knows it.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{TxError, first};
use crate::domain::technician::{Technician, UserId};

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
        "WITH rows AS (SELECT seq, CAST(body AS TEXT) AS body FROM ledger)
         SELECT body ->> '$.at' FROM rows
         WHERE (body ->> '$.what.event' = 'intended' OR body ->> '$.what.event' = 'signed-in' AND body ->> '$.what.there')
           AND (?1 IS NULL OR body ->> '$.stamp.technician.id' = ?1)
           AND (?2 IS NULL OR body ->> '$.stamp.tenant' = ?2)
         ORDER BY seq DESC LIMIT 1",
        params![technician, tenant],
        |row| {
            let at: String = row.get(0)?;
            at.parse().map_err(|error| TxError::Row(format!("at: {error}")))
        },
    )
}

/// The last seat taken in `tenant`, or in any.
pub fn last(conn: &Connection, tenant: Option<Uuid>) -> Result<Option<LastSeat>, TxError> {
    // The body is a BLOB of JSON text; as one, SQLite would take it for its own binary form.
    first(
        conn,
        "WITH rows AS (SELECT seq, CAST(body AS TEXT) AS body FROM ledger)
         SELECT body ->> '$.what.event', body -> '$.stamp.technician', body ->> '$.stamp.tenant' FROM rows
         WHERE body ->> '$.what.event' IN ('signed-in', 'signed-out')
           AND body ->> '$.stamp.technician' IS NOT NULL AND body ->> '$.stamp.tenant' IS NOT NULL
           AND (?1 IS NULL OR body ->> '$.stamp.tenant' = ?1)
         ORDER BY seq DESC LIMIT 1",
        params![tenant.map(|tenant| tenant.to_string())],
        |row| {
            let (event, technician, tenant): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(LastSeat {
                technician: serde_json::from_str(&technician)?,
                tenant: tenant.parse().map_err(|error| TxError::Row(format!("tenant: {error}")))?,
                signed_out: event == "signed-out",
            })
        },
    )
}
