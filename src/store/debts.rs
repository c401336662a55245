//! Debts and rotations, as the ledger tells them.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{
    TxError, all, disclosures, first, json, parsed, parsed_option,
    projection::{from_word, word},
};
use crate::domain::{
    call::CallId,
    debt::{Debt, DebtId, DebtState, KnownKey, Rotation, RotationId, RotationState, Source},
    device::{DeviceId, ManagedDeviceId, NO_DEVICE},
    event::{Carried, Event, Stamp},
    foreign::Foreign,
    key::Volume,
    key_id::KeyId,
    ticket::Ticket,
};

const WITH_ROTATION: &str = "SELECT debts.*, rotations.id AS rotation_id, rotations.state AS rotation_state,
    rotations.target, rotations.chosen, rotations.checked_in, rotations.earlier, rotations.busy
    FROM debts LEFT JOIN rotations ON rotations.id = debts.rotation";

/// Every open debt, the compromised and then the oldest first, then those that ended since `since`, the newest first.
pub fn list(conn: &Connection, since: Timestamp) -> Result<Vec<Debt>, TxError> {
    let mut debts = all(
        conn,
        &format!("{WITH_ROTATION} WHERE debts.open = 1 ORDER BY debts.compromised IS NULL, debts.since, debts.id"),
        [],
        read,
    )?;
    let ended = all(
        conn,
        &format!("{WITH_ROTATION} WHERE debts.open = 0 ORDER BY debts.since DESC, debts.id DESC LIMIT 200"),
        [],
        read,
    )?;
    debts.extend(ended.into_iter().filter(|debt| debt.ended().is_some_and(|at| at > since)));
    Ok(debts)
}

/// Every debt there ever was: the open ones as [`list`] has them, then all that ended, the newest first.
pub fn all_of_them(conn: &Connection) -> Result<Vec<Debt>, TxError> {
    let mut debts = list(conn, Timestamp::MAX)?;
    debts.extend(all(
        conn,
        &format!("{WITH_ROTATION} WHERE debts.open = 0 ORDER BY debts.since DESC, debts.id DESC"),
        [],
        read,
    )?);
    Ok(debts)
}

pub fn get(conn: &Connection, id: DebtId) -> Result<Option<Debt>, TxError> {
    first(conn, &format!("{WITH_ROTATION} WHERE debts.id = ?1"), [id.to_string()], read)
}

/// The open debt for a key: a second disclosure of the same key adds none.
pub fn open_for_key(conn: &Connection, key: KeyId) -> Result<Option<DebtId>, TxError> {
    first(conn, "SELECT id FROM debts WHERE key = ?1 AND open = 1", [key.to_string()], |row| parsed(row, "id"))
}

/// The debts a call made.
pub fn of_call(conn: &Connection, call: CallId) -> Result<Vec<Debt>, TxError> {
    // A key whose debt an earlier call made is this call's concern too.
    all(
        conn,
        &format!(
            "{WITH_ROTATION} WHERE debts.call = ?1 OR debts.id IN (SELECT debt FROM disclosures WHERE call = ?1)
             ORDER BY debts.since"
        ),
        [call.to_string()],
        read,
    )
}

/// The open debts a rotation is to pay.
pub fn of_rotation(conn: &Connection, rotation: RotationId) -> Result<Vec<Debt>, TxError> {
    all(
        conn,
        &format!("{WITH_ROTATION} WHERE debts.rotation = ?1 AND debts.open = 1 ORDER BY debts.since"),
        [rotation.to_string()],
        read,
    )
}

/// Every rotation in `tenant`, or in whatever tenant, that still has something to pay.
pub fn open_rotations(conn: &Connection, tenant: Option<Uuid>) -> Result<Vec<Rotation>, TxError> {
    all(
        conn,
        "SELECT id AS rotation_id, state AS rotation_state, target, chosen, checked_in, earlier, busy FROM rotations
         WHERE open = 1 AND (?1 IS NULL OR tenant IS NULL OR tenant = ?1)
         ORDER BY NOT EXISTS (SELECT 1 FROM debts WHERE rotation = rotations.id AND open = 1 AND compromised NOT NULL), rowid",
        [tenant.map(|tenant| tenant.to_string())],
        read_rotation,
    )
}

pub fn rotation(conn: &Connection, id: RotationId) -> Result<Option<Rotation>, TxError> {
    first(
        conn,
        "SELECT id AS rotation_id, state AS rotation_state, target, chosen, checked_in, earlier, busy FROM rotations WHERE id = ?1",
        [id.to_string()],
        read_rotation,
    )
}

/// A rotation that waits for `device` and can take another debt.
pub fn held_for_device(conn: &Connection, device: DeviceId) -> Result<Option<RotationId>, TxError> {
    first(
        conn,
        "SELECT id FROM rotations WHERE device = ?1 AND open = 1 AND json_extract(state, '$.state') = 'held'",
        [device.to_string()],
        |row| parsed(row, "id"),
    )
}

/// Another rotation under way for the same Intune object.
pub fn under_way_for(
    conn: &Connection,
    managed: ManagedDeviceId,
    except: RotationId,
) -> Result<Option<RotationId>, TxError> {
    first(
        conn,
        "SELECT id FROM rotations WHERE managed = ?1 AND id <> ?2 AND open = 1
           AND json_extract(state, '$.state') IN ('sending', 'accepted', 'reported')",
        [managed.to_string(), except.to_string()],
        |row| parsed(row, "id"),
    )
}

/// The last request for this Intune object of which nobody has learned what came of it, its rotation being over: sent when.
pub fn left_uncertain(conn: &Connection, managed: ManagedDeviceId) -> Result<Option<Timestamp>, TxError> {
    let sent = all(
        conn,
        "SELECT sending FROM rotations WHERE managed = ?1 AND open = 0 AND sending NOT NULL",
        [managed.to_string()],
        |row| parsed(row, "sending"),
    )?;
    Ok(sent.into_iter().max())
}

pub(super) struct NewDebt<'a> {
    pub id: DebtId,
    pub key: KeyId,
    pub volume: Volume,
    pub device: DeviceId,
    pub device_name: &'a Foreign,
    pub call: CallId,
    pub ticket: &'a Ticket,
    pub requested: bool,
    pub known: &'a [KnownKey],
    pub entra_time: Option<Timestamp>,
    pub source: Option<Source>,
}

/// Adds a debt. One that stands already keeps its beginning and its known keys; but where no device was known for it, this one's counts, and
/// the keys that were known of that.
pub(super) fn insert(conn: &Connection, at: Timestamp, stamp: &Stamp, new: &NewDebt<'_>) -> Result<(), TxError> {
    conn.execute(
        "INSERT INTO debts (id, key, volume, device, device_name, call, ticket, since, state, open, requested, known,
                            entra_time, tenant, source)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '{\"state\":\"owed\"}', 1, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (id) DO UPDATE SET
             requested   = max(requested, excluded.requested),
             device      = iif(device = ?14, excluded.device, device),
             device_name = iif(device = ?14, excluded.device_name, device_name),
             volume      = iif(device = ?14, excluded.volume, volume),
             known       = iif(device = ?14, excluded.known, known),
             entra_time  = iif(device = ?14, excluded.entra_time, entra_time),
             tenant      = iif(device = ?14, excluded.tenant, tenant)",
        params![
            new.id.to_string(),
            new.key.to_string(),
            word(&new.volume)?,
            new.device.to_string(),
            new.device_name.raw(),
            new.call.to_string(),
            new.ticket.as_str(),
            at.to_string(),
            new.requested,
            serde_json::to_string(new.known)?,
            new.entra_time.map(|at| at.to_string()),
            stamp.tenant.map(|tenant| tenant.to_string()),
            new.source.map(|source| word(&source)).transpose()?,
            NO_DEVICE.to_string(),
        ],
    )?;
    Ok(())
}

/// Takes over a debt that was open in another ledger, and what is to pay it.
pub(super) fn carry(conn: &Connection, stamp: &Stamp, carried: &Carried) -> Result<(), TxError> {
    let new = NewDebt {
        id: carried.debt,
        key: carried.key,
        volume: carried.volume,
        device: carried.device,
        device_name: &carried.device_name,
        call: carried.of_call,
        ticket: &carried.ticket,
        // What is told of its disclosures may not be all, so no refusal here ends it.
        requested: true,
        known: &carried.known,
        entra_time: carried.entra_time,
        source: carried.source,
    };
    insert(conn, carried.since, &Stamp { tenant: carried.tenant, ..stamp.clone() }, &new)?;
    let debt = carried.debt.to_string();
    conn.execute(
        "UPDATE debts SET compromised = ?2, key_deleted = ?3, rotation = ?4 WHERE id = ?1",
        params![
            debt,
            carried.compromised.map(|at| at.to_string()),
            carried.key_deleted.map(|at| at.to_string()),
            carried.rotation.as_ref().map(|rotation| rotation.id.to_string())
        ],
    )?;
    for disclosure in &carried.disclosures {
        disclosures::insert_carried(conn, carried, disclosure)?;
    }
    let Some(rotation) = &carried.rotation else { return Ok(()) };
    // Several debts may hang on one.
    conn.execute(
        "INSERT OR IGNORE INTO rotations (id, device, tenant, state, open) SELECT ?1, device, tenant, '', 1 FROM debts
         WHERE id = ?2",
        params![rotation.id.to_string(), debt],
    )?;
    write_rotation(conn, rotation)
}

/// Whether a debt stands for anything but the disclosure just refused.
pub(super) fn stands(conn: &Connection, debt: DebtId) -> Result<bool, TxError> {
    Ok(conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM disclosures WHERE debt = ?1 AND state <> 'refused')
             OR EXISTS (SELECT 1 FROM debts WHERE id = ?1 AND requested = 1)",
        [debt.to_string()],
        |row| row.get(0),
    )?)
}

/// What was to pay this debt and is not over: its rotation.
pub(super) fn open_rotation(conn: &Connection, debt: DebtId) -> Result<Option<Rotation>, TxError> {
    let rotation = get(conn, debt)?.and_then(|debt| debt.rotation);
    Ok(rotation.filter(|rotation| !rotation.is_over()))
}

/// A settled debt is owed again.
pub(super) fn reopen(conn: &Connection, debt: DebtId) -> Result<(), TxError> {
    conn.execute(
        "UPDATE debts SET state = '{\"state\":\"owed\"}', open = 1, rotation = NULL WHERE id = ?1 AND open = 0",
        [debt.to_string()],
    )?;
    Ok(())
}

/// Applies `event` to the debt it names; where that ends it, its rotation is over unless it pays another.
pub(super) fn change(conn: &Connection, id: DebtId, at: Timestamp, event: &Event) -> Result<(), TxError> {
    change_with(conn, id, at, |debt| debt.apply(at, event))
}

/// The key was certainly never handed out.
pub(super) fn cancel(conn: &Connection, id: DebtId, at: Timestamp) -> Result<(), TxError> {
    change_with(conn, id, at, |debt| debt.cancel(at))
}

fn change_with(conn: &Connection, id: DebtId, at: Timestamp, change: impl FnOnce(&mut Debt)) -> Result<(), TxError> {
    let Some(mut debt) = get(conn, id)? else { return Err(TxError::Row(format!("no debt {id}"))) };
    change(&mut debt);
    conn.execute(
        "UPDATE debts SET state = ?2, open = ?3, compromised = ?4, key_deleted = ?5 WHERE id = ?1",
        params![
            id.to_string(),
            serde_json::to_string(&debt.state)?,
            debt.is_open(),
            debt.compromised.map(|at| at.to_string()),
            debt.key_deleted.map(|at| at.to_string()),
        ],
    )?;
    let Some(mut rotation) = debt.rotation.filter(|_| debt.state != DebtState::Owed) else { return Ok(()) };
    if of_rotation(conn, rotation.id)?.is_empty() && !rotation.is_over() {
        rotation.end(at);
        write_rotation(conn, &rotation)?;
    }
    Ok(())
}

/// Applies `event` to the rotation it names.
pub(super) fn change_rotation(conn: &Connection, id: RotationId, at: Timestamp, event: &Event) -> Result<(), TxError> {
    let Some(mut rotation) = rotation(conn, id)? else { return Err(TxError::Row(format!("no rotation {id}"))) };
    rotation.apply(at, event);
    write_rotation(conn, &rotation)
}

/// The debt is this rotation's to pay, which waits as `event` says; made here where there is none yet.
pub(super) fn hold(
    conn: &Connection,
    id: RotationId,
    debt: DebtId,
    at: Timestamp,
    event: &Event,
) -> Result<(), TxError> {
    let known = rotation(conn, id)?;
    let is_new = known.is_none();
    // Due at the end of time until the event says otherwise.
    let mut rotation = known.unwrap_or_else(|| Rotation::new(id, RotationState::Held { until: Timestamp::MAX }));
    rotation.apply(at, event);
    if is_new {
        conn.execute(
            "INSERT INTO rotations (id, device, tenant, state, open) SELECT ?1, device, tenant, '', 1 FROM debts
             WHERE id = ?2",
            params![id.to_string(), debt.to_string()],
        )?;
    }
    write_rotation(conn, &rotation)?;
    conn.execute("UPDATE debts SET rotation = ?2 WHERE id = ?1", params![debt.to_string(), id.to_string()])?;
    Ok(())
}

/// What `rotation` was to pay is `into`'s.
pub(super) fn join(conn: &Connection, rotation: RotationId, into: RotationId) -> Result<(), TxError> {
    conn.execute(
        "UPDATE debts SET rotation = ?2 WHERE rotation = ?1 AND open = 1",
        params![rotation.to_string(), into.to_string()],
    )?;
    Ok(())
}

fn write_rotation(conn: &Connection, rotation: &Rotation) -> Result<(), TxError> {
    let is_open = !rotation.is_over();
    let sending = match rotation.state {
        RotationState::Sending { since } => Some(since.to_string()),
        _ => None,
    };
    conn.execute(
        "UPDATE rotations SET sending = iif(?3, ?10, sending), state = ?2, open = ?3, target = ?4, managed = ?5, chosen = ?6, checked_in = ?7, earlier = ?8,
                              busy = ?9
         WHERE id = ?1",
        params![
            rotation.id.to_string(),
            serde_json::to_string(&rotation.state)?,
            is_open,
            rotation.target.map(|target| serde_json::to_string(&target)).transpose()?,
            rotation.target.map(|target| target.managed.to_string()),
            rotation.chosen,
            rotation.checked_in.map(|at| at.to_string()),
            rotation.earlier.map(|at| at.to_string()),
            rotation.busy.map(|busy| serde_json::to_string(&busy)).transpose()?,
            sending,
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Debt, TxError> {
    let has_rotation = row.get::<_, Option<String>>("rotation_id")?.is_some();
    Ok(Debt {
        id: parsed(row, "id")?,
        key: KeyId(parsed(row, "key")?),
        volume: from_word(row.get("volume")?)?,
        device: parsed(row, "device")?,
        device_name: Foreign::new(row.get::<_, String>("device_name")?),
        call: parsed(row, "call")?,
        ticket: from_word(row.get("ticket")?)?,
        since: parsed(row, "since")?,
        tenant: parsed_option(row, "tenant")?,
        state: json(row, "state")?,
        known: json(row, "known")?,
        entra_time: parsed_option(row, "entra_time")?,
        compromised: parsed_option(row, "compromised")?,
        key_deleted: parsed_option(row, "key_deleted")?,
        source: row.get::<_, Option<String>>("source")?.map(from_word).transpose()?,
        rotation: has_rotation.then(|| read_rotation(row)).transpose()?,
    })
}

fn read_rotation(row: &Row<'_>) -> Result<Rotation, TxError> {
    let (target, busy): (Option<String>, Option<String>) = (row.get("target")?, row.get("busy")?);
    Ok(Rotation {
        id: parsed(row, "rotation_id")?,
        state: json::<RotationState>(row, "rotation_state")?,
        target: target.map(|text| serde_json::from_str(&text)).transpose()?,
        checked_in: parsed_option(row, "checked_in")?,
        earlier: parsed_option(row, "earlier")?,
        chosen: row.get("chosen")?,
        busy: busy.map(|text| serde_json::from_str(&text)).transpose()?,
    })
}
