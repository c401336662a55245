//! What the ledger means: each event applied to the tables that are folded from it. The same code serves a fresh append and a rebuild.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{TxError, calls, debts, disclosures, seats};
use crate::domain::{
    call::{CallId, CallState, DisclosureId, Refusal, Verification},
    debt::{DebtId, Rotation, RotationId, RotationState},
    device::NO_DEVICE,
    event::{Event, External, Intent, Stamp},
};

/// The tables that are folded from the rows; each is compared by its first column's order.
pub(super) const TABLES: [&str; 8] =
    ["calls", "carried_refusals", "debts", "rotations", "disclosures", "entra_records", "policies", "seats"];

/// Empties every projection.
pub(super) fn clear(conn: &Connection) -> Result<(), TxError> {
    for table in TABLES {
        conn.execute(&format!("DELETE FROM {table}"), [])?;
    }
    Ok(())
}

/// Applies one event.
pub(super) fn apply(
    conn: &Connection,
    at: Timestamp,
    stamp: &Stamp,
    call: Option<CallId>,
    event: &Event,
) -> Result<(), TxError> {
    let of_call = || call.ok_or_else(|| TxError::Row("an event of a call names none".into()));
    match event {
        Event::Stage { .. } | Event::Exported { .. } | Event::SetAside { .. } => Ok(()),
        Event::SignedIn { there, .. } => {
            seats::taken(conn, stamp, false)?;
            if *there { seats::was_there(conn, at, stamp) } else { Ok(()) }
        }
        Event::SignedOut => seats::taken(conn, stamp, true),
        Event::PolicyInForce { digest, .. } => {
            conn.execute("INSERT OR IGNORE INTO policies (digest) VALUES (?1)", [digest])?;
            Ok(())
        }
        Event::CallOpened { .. }
        | Event::CallerVerified { .. }
        | Event::CallerRefused { .. }
        | Event::CallClosed
        | Event::CallParked
        | Event::CallResumed
        | Event::CallTakenOver
        | Event::InWindows => to_calls(conn, at, stamp, of_call()?, event),
        Event::Intended(_)
        | Event::Served { .. }
        | Event::Unknown { .. }
        | Event::Refused { .. }
        | Event::ExternalDisclosure(_) => to_disclosures(conn, at, stamp, of_call()?, event),
        Event::EntraRecord { disclosure, audit, at: read, failed } => {
            conn.execute(
                "INSERT OR IGNORE INTO entra_records (audit, disclosure, at) VALUES (?1, ?2, ?3)",
                params![audit, disclosure.to_string(), read.to_string()],
            )?;
            match disclosures::reopened(conn, *disclosure, *failed)? {
                Some(debt) => debts::change(conn, debt, at, event),
                None => Ok(()),
            }
        }
        Event::ReplacementRequested { .. } => requested(conn, at, stamp, of_call()?, event),
        Event::DebtCarried(carried) => debts::carry(conn, stamp, carried),
        Event::RefusalCarried { of_call, device, at, by } => {
            let refusal = Refusal { at: *at, by: by.clone() };
            calls::carry_refusal(conn, &calls::CarriedRefusal { call: *of_call, device: *device, refusal })
        }
        Event::Compromised { debt, .. }
        | Event::KeyDeleted { debt, .. }
        | Event::DebtProved { debt, .. }
        | Event::DebtConfirmed { debt, .. }
        | Event::DebtWaived { debt, .. } => debts::change(conn, *debt, at, event),
        Event::RotationHeld { .. }
        | Event::RotationTargeted { .. }
        | Event::RotationSending { .. }
        | Event::RotationAccepted { .. }
        | Event::RotationReturned { .. }
        | Event::RotationReported { .. }
        | Event::CheckedIn { .. }
        | Event::RotationBlocked { .. }
        | Event::RotationJoined { .. } => to_rotations(conn, at, event),
    }
}

/// What happens in a call.
fn to_calls(conn: &Connection, at: Timestamp, stamp: &Stamp, call: CallId, event: &Event) -> Result<(), TxError> {
    match event {
        Event::CallOpened { number, key, volume, device, device_name, heard, .. } => {
            conn.execute(
                "INSERT INTO calls (id, number, instance, state, opened, key, volume, device, device_name, heard)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    call.to_string(),
                    number,
                    stamp.instance.0.to_string(),
                    word(&CallState::Open)?,
                    at.to_string(),
                    key.to_string(),
                    word(volume)?,
                    device.to_string(),
                    device_name.raw(),
                    i64::try_from(*heard).unwrap_or(i64::MAX),
                ],
            )?;
            Ok(())
        }
        Event::CallerVerified { method, words, claims } => {
            let verification =
                Verification { method: method.clone(), words: words.clone(), claims: claims.clone(), at };
            set_call(conn, call, "verification", &serde_json::to_string(&verification)?)?;
            conn.execute(
                "UPDATE calls SET verified_by = ?2 WHERE id = ?1",
                params![call.to_string(), stamp.technician.as_ref().map(|technician| technician.id.to_string())],
            )?;
            Ok(())
        }
        Event::CallerRefused { .. } => {
            conn.execute(
                "UPDATE calls SET state = ?2, closed = ?3, refused = ?3, refused_by = ?4 WHERE id = ?1",
                params![
                    call.to_string(),
                    word(&CallState::Closed)?,
                    at.to_string(),
                    stamp.technician.as_ref().map(|technician| technician.upn.raw())
                ],
            )?;
            Ok(())
        }
        Event::CallClosed => {
            set_call(conn, call, "state", &word(&CallState::Closed)?)?;
            set_call(conn, call, "closed", &at.to_string())
        }
        Event::CallParked => set_call(conn, call, "state", &word(&CallState::Parked)?),
        Event::CallResumed => {
            set_call(conn, call, "state", &word(&CallState::Open)?)?;
            set_call(conn, call, "instance", &stamp.instance.0.to_string())
        }
        Event::CallTakenOver => {
            conn.execute("UPDATE calls SET verification = NULL WHERE id = ?1", [call.to_string()])?;
            Ok(())
        }
        Event::InWindows => set_call(conn, call, "in_windows", &at.to_string()),
        _ => Ok(()),
    }
}

/// A disclosure, and what came of it.
fn to_disclosures(conn: &Connection, at: Timestamp, stamp: &Stamp, call: CallId, event: &Event) -> Result<(), TxError> {
    match event {
        Event::Intended(intent) => intended(conn, at, stamp, call, intent),
        Event::Served { disclosure, rotation, .. } => {
            disclosures::set_state(conn, *disclosure, "served")?;
            conn.execute("UPDATE calls SET read = 1 WHERE id = ?1", [call.to_string()])?;
            set_call(conn, call, "disclosed", &at.to_string())?;
            hold_for_disclosure(conn, *disclosure, *rotation, at, event)
        }
        Event::Unknown { disclosure, rotation, .. } => {
            disclosures::set_state(conn, *disclosure, "unknown")?;
            set_call(conn, call, "disclosed", &at.to_string())?;
            hold_for_disclosure(conn, *disclosure, *rotation, at, event)
        }
        Event::Refused { disclosure, .. } => {
            disclosures::set_state(conn, *disclosure, "refused")?;
            let debt = disclosures::debt_of(conn, *disclosure)?;
            if !debts::stands(conn, debt)? {
                debts::cancel(conn, debt, at)?;
            }
            Ok(())
        }
        Event::ExternalDisclosure(external) => external_disclosure(conn, at, stamp, call, external, event),
        _ => Ok(()),
    }
}

/// How a rotation goes on.
fn to_rotations(conn: &Connection, at: Timestamp, event: &Event) -> Result<(), TxError> {
    match event {
        Event::RotationHeld { rotation, debts: owed, .. } => {
            for debt in owed {
                debts::hold(conn, *rotation, *debt, at, event)?;
            }
            Ok(())
        }
        Event::RotationTargeted { rotation, .. }
        | Event::RotationSending { rotation, .. }
        | Event::RotationAccepted { rotation, .. }
        | Event::RotationReturned { rotation, .. }
        | Event::RotationReported { rotation }
        | Event::CheckedIn { rotation, .. }
        | Event::RotationBlocked { rotation, .. } => debts::change_rotation(conn, *rotation, at, event),
        Event::RotationJoined { rotation, into } => {
            debts::join(conn, *rotation, *into)?;
            debts::change_rotation(conn, *rotation, at, event)
        }
        _ => Ok(()),
    }
}

/// A replacement that was asked for without reading a key.
fn requested(conn: &Connection, at: Timestamp, stamp: &Stamp, call: CallId, event: &Event) -> Result<(), TxError> {
    let Event::ReplacementRequested {
        debt,
        rotation,
        held_until: _,
        key,
        volume,
        device,
        device_name,
        ticket,
        known,
        entra_time,
    } = event
    else {
        return Ok(());
    };
    let new = debts::NewDebt {
        id: *debt,
        key: *key,
        volume: *volume,
        device: *device,
        device_name,
        call,
        ticket,
        requested: true,
        known,
        entra_time: *entra_time,
        source: None,
    };
    debts::insert(conn, at, stamp, &new)?;
    debts::hold(conn, *rotation, *debt, at, event)
}

fn intended(conn: &Connection, at: Timestamp, stamp: &Stamp, call: CallId, intent: &Intent) -> Result<(), TxError> {
    seats::was_there(conn, at, stamp)?;
    disclosures::insert(conn, at, stamp, call, intent)?;
    let new = debts::NewDebt {
        id: intent.debt,
        key: intent.key,
        volume: intent.volume,
        device: intent.device,
        device_name: &intent.device_name,
        call,
        ticket: &intent.ticket,
        requested: false,
        known: &intent.known,
        entra_time: intent.entra_time,
        source: None,
    };
    debts::insert(conn, at, stamp, &new)?;
    set_call(conn, call, "ticket", intent.ticket.as_str())?;
    set_call(conn, call, "reason", &intent.reason_words)
}

fn hold_for_disclosure(
    conn: &Connection,
    disclosure: DisclosureId,
    rotation: RotationId,
    at: Timestamp,
    event: &Event,
) -> Result<(), TxError> {
    let debt = disclosures::debt_of(conn, disclosure)?;
    // Settled between the intent and this outcome: the key is out again, so it is owed again.
    debts::reopen(conn, debt)?;
    hold_again(conn, rotation, debt, at, event)
}

/// The key is out, maybe not for the first time.
fn hold_again(
    conn: &Connection,
    rotation: RotationId,
    debt: DebtId,
    at: Timestamp,
    event: &Event,
) -> Result<(), TxError> {
    match debts::open_rotation(conn, debt)? {
        // Whatever stood in the way of its replacement, or whoever put it on hold, did not know that the key would be read again.
        Some(Rotation { id, state: RotationState::Blocked { .. }, .. }) => debts::hold(conn, id, debt, at, event),
        // A key read twice while its replacement is under way is paid by that one.
        Some(_) => Ok(()),
        None => debts::hold(conn, rotation, debt, at, event),
    }
}

fn external_disclosure(
    conn: &Connection,
    at: Timestamp,
    stamp: &Stamp,
    call: CallId,
    external: &External,
    event: &Event,
) -> Result<(), TxError> {
    let device = external.device.unwrap_or(NO_DEVICE);
    disclosures::insert_external(conn, at, stamp, call, external)?;
    let new = debts::NewDebt {
        id: external.debt,
        key: external.key,
        volume: external.volume,
        device,
        device_name: &external.device_name,
        call,
        ticket: &external.ticket,
        requested: false,
        known: &external.known,
        entra_time: external.entra_time,
        source: Some(external.source),
    };
    debts::insert(conn, at, stamp, &new)?;
    set_call(conn, call, "ticket", external.ticket.as_str())?;
    set_call(conn, call, "reason", &external.reason_words)?;
    set_call(conn, call, "disclosed", &at.to_string())?;
    match external.rotation {
        Some(held) => hold_again(conn, held.rotation, external.debt, at, event),
        None => Ok(()),
    }
}

/// Sets one column of a call. `column` is one of ours, never input.
fn set_call(conn: &Connection, call: CallId, column: &'static str, value: &str) -> Result<(), TxError> {
    conn.execute(&format!("UPDATE calls SET {column} = ?2 WHERE id = ?1"), params![call.to_string(), value])?;
    Ok(())
}

/// A unit variant as its serde word: `"open"`.
pub(super) fn word(value: &impl serde::Serialize) -> Result<String, TxError> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(TxError::Row(format!("{other} is no word"))),
    }
}

/// The other way round.
pub(super) fn from_word<T: serde::de::DeserializeOwned>(word: String) -> Result<T, TxError> {
    Ok(serde_json::from_value(serde_json::Value::String(word))?)
}
