//! Who sat at this desk last, as the ledger knows it.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{TxError, first};
use crate::domain::technician::Technician;

/// The last person who signed in, and whether they signed out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSeat {
    pub technician: Technician,
    pub tenant: Uuid,
    pub signed_out: bool,
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
