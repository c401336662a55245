//! What the ledger means: each event applied to the tables that are folded from it. The same code serves a fresh append and a rebuild.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{TxError, debts, disclosures};
use crate::domain::{
    call::{CallId, CallState, Verification},
    debt::{DebtId, DebtState, RotationId, RotationState},
    event::{Event, Intent, Stamp},
    policy::Proof,
};

/// Empties every projection.
pub(super) fn clear(conn: &Connection) -> Result<(), TxError> {
    conn.execute_batch(
        "DELETE FROM calls; DELETE FROM debts; DELETE FROM rotations; DELETE FROM disclosures; DELETE FROM entra_records;
         DELETE FROM policies;",
    )?;
    Ok(())
}

/// Applies one event.
#[expect(clippy::too_many_lines, reason = "one arm an event, side by side")]
pub(super) fn apply(
    conn: &Connection,
    at: Timestamp,
    stamp: &Stamp,
    call: Option<CallId>,
    event: &Event,
) -> Result<(), TxError> {
    let of_call = || call.ok_or_else(|| TxError::Row("an event of a call names none".into()));
    match event {
        Event::SignedIn { .. } | Event::SignedOut | Event::Stage { .. } | Event::Exported { .. } => Ok(()),
        Event::PolicyInForce { digest, .. } => {
            conn.execute("INSERT OR IGNORE INTO policies (digest) VALUES (?1)", [digest])?;
            Ok(())
        }
        Event::CallOpened { number, key, volume, device, device_name, heard, .. } => {
            conn.execute(
                "INSERT INTO calls (id, number, instance, state, opened, key, volume, device, device_name, heard)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    of_call()?.to_string(),
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
            set_call(conn, of_call()?, "verification", &serde_json::to_string(&verification)?)?;
            conn.execute(
                "UPDATE calls SET verified_by = ?2 WHERE id = ?1",
                params![of_call()?.to_string(), stamp.technician.as_ref().map(|technician| technician.id.to_string())],
            )?;
            Ok(())
        }
        Event::CallerRefused { .. } => {
            conn.execute(
                "UPDATE calls SET state = ?2, closed = ?3, refused = ?3, refused_by = ?4 WHERE id = ?1",
                params![
                    of_call()?.to_string(),
                    word(&CallState::Closed)?,
                    at.to_string(),
                    stamp.technician.as_ref().map(|technician| technician.upn.raw())
                ],
            )?;
            Ok(())
        }
        Event::CallClosed => {
            set_call(conn, of_call()?, "state", &word(&CallState::Closed)?)?;
            set_call(conn, of_call()?, "closed", &at.to_string())
        }
        Event::CallParked => set_call(conn, of_call()?, "state", &word(&CallState::Parked)?),
        Event::CallResumed => {
            set_call(conn, of_call()?, "state", &word(&CallState::Open)?)?;
            set_call(conn, of_call()?, "instance", &stamp.instance.0.to_string())
        }
        Event::CallTakenOver => {
            conn.execute("UPDATE calls SET verification = NULL WHERE id = ?1", [of_call()?.to_string()])?;
            Ok(())
        }
        Event::InWindows => set_call(conn, of_call()?, "in_windows", &at.to_string()),
        Event::Intended(intent) => intended(conn, at, stamp, of_call()?, intent),
        Event::Served { disclosure, rotation, held_until, .. } => {
            disclosures::set_state(conn, *disclosure, "served")?;
            conn.execute("UPDATE calls SET read = 1 WHERE id = ?1", [of_call()?.to_string()])?;
            set_call(conn, of_call()?, "disclosed", &at.to_string())?;
            hold_for_disclosure(conn, *disclosure, *rotation, *held_until)
        }
        Event::Unknown { disclosure, rotation, held_until, .. } => {
            disclosures::set_state(conn, *disclosure, "unknown")?;
            set_call(conn, of_call()?, "disclosed", &at.to_string())?;
            hold_for_disclosure(conn, *disclosure, *rotation, *held_until)
        }
        Event::Refused { disclosure, .. } => {
            disclosures::set_state(conn, *disclosure, "refused")?;
            let debt = disclosures::debt_of(conn, *disclosure)?;
            if !debts::stands(conn, debt)? {
                end_debt(conn, debt, &DebtState::Cancelled { at }, at)?;
            }
            Ok(())
        }
        Event::Compromised { debt, .. } => {
            conn.execute(
                "UPDATE debts SET compromised = coalesce(compromised, ?2) WHERE id = ?1",
                params![debt.to_string(), at.to_string()],
            )?;
            Ok(())
        }
        Event::EntraRecord { disclosure, audit, at } => {
            conn.execute(
                "INSERT OR IGNORE INTO entra_records (audit, disclosure, at) VALUES (?1, ?2, ?3)",
                params![audit, disclosure.to_string(), at.to_string()],
            )?;
            Ok(())
        }
        Event::RotationHeld { rotation, until, debts } => {
            for debt in debts {
                hold(conn, *rotation, *debt, *until)?;
                link(conn, *debt, *rotation)?;
            }
            Ok(())
        }
        Event::RotationTargeted { rotation, target } => {
            conn.execute(
                "UPDATE rotations SET target = ?2, managed = ?3 WHERE id = ?1",
                params![rotation.to_string(), serde_json::to_string(target)?, target.managed.to_string()],
            )?;
            Ok(())
        }
        Event::RotationJoined { rotation, into } => {
            conn.execute(
                "UPDATE debts SET rotation = ?2 WHERE rotation = ?1 AND open = 1",
                params![rotation.to_string(), into.to_string()],
            )?;
            set_rotation(conn, *rotation, &RotationState::Over { at })
        }
        Event::RotationSending { rotation, earlier } => {
            conn.execute(
                "UPDATE rotations SET earlier = ?2 WHERE id = ?1",
                params![rotation.to_string(), earlier.map(|at| at.to_string())],
            )?;
            set_rotation(conn, *rotation, &RotationState::Sending { since: at })
        }
        Event::RotationAccepted { rotation, .. } => set_rotation(conn, *rotation, &RotationState::Accepted { at }),
        Event::RotationReturned { rotation, until, .. } => {
            set_rotation(conn, *rotation, &RotationState::Held { until: *until })
        }
        Event::RotationReported { rotation } => set_rotation(conn, *rotation, &RotationState::Reported { at }),
        Event::CheckedIn { rotation, at } => {
            conn.execute(
                "UPDATE rotations SET checked_in = ?2 WHERE id = ?1",
                params![rotation.to_string(), at.to_string()],
            )?;
            Ok(())
        }
        Event::RotationBlocked { rotation, why } => {
            set_rotation(conn, *rotation, &RotationState::Blocked { why: why.clone(), at })
        }
        Event::DebtProved { debt, grade, new_key } => {
            end_debt(conn, *debt, &DebtState::Proved { grade: *grade, new_key: Some(*new_key), at }, at)
        }
        Event::DebtConfirmed { debt, new_key, .. } => {
            let grade = if new_key.is_some() { Proof::Probable } else { Proof::ByHand };
            end_debt(conn, *debt, &DebtState::Proved { grade, new_key: *new_key, at }, at)
        }
        Event::KeyDeleted { debt, .. } => {
            conn.execute(
                "UPDATE debts SET state = json_set(state, '$.grade', ?2)
                 WHERE id = ?1 AND json_extract(state, '$.grade') = ?3",
                params![debt.to_string(), word(&Proof::Confirmed)?, word(&Proof::NewKeySeen)?],
            )?;
            Ok(())
        }
        Event::DebtWaived { debt, reason } => {
            end_debt(conn, *debt, &DebtState::Waived { reason: reason.clone(), at }, at)
        }
        Event::ReplacementRequested {
            debt,
            rotation,
            held_until,
            key,
            volume,
            device,
            device_name,
            ticket,
            known,
            entra_time,
        } => {
            let new = debts::NewDebt {
                id: *debt,
                key: *key,
                volume: *volume,
                device: *device,
                device_name,
                call: of_call()?,
                ticket,
                requested: true,
                known,
                entra_time: *entra_time,
            };
            debts::insert(conn, at, stamp, &new)?;
            hold(conn, *rotation, *debt, *held_until)?;
            link(conn, *debt, *rotation)
        }
    }
}

fn intended(conn: &Connection, at: Timestamp, stamp: &Stamp, call: CallId, intent: &Intent) -> Result<(), TxError> {
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
    };
    debts::insert(conn, at, stamp, &new)?;
    set_call(conn, call, "ticket", intent.ticket.as_str())?;
    set_call(conn, call, "reason", &intent.reason_words)
}

fn hold_for_disclosure(
    conn: &Connection,
    disclosure: crate::domain::call::DisclosureId,
    rotation: RotationId,
    until: Timestamp,
) -> Result<(), TxError> {
    let debt = disclosures::debt_of(conn, disclosure)?;
    // A key read twice while its replacement is under way is paid by that one.
    if debts::has_open_rotation(conn, debt)? {
        return Ok(());
    }
    // Settled between the intent and this outcome: the key is out again, so it is owed again.
    debts::reopen(conn, debt)?;
    hold(conn, rotation, debt, until)?;
    link(conn, debt, rotation)
}

/// A rotation for this debt's device that waits; its target is chosen when it is sent. One that is under way stays as it is.
fn hold(conn: &Connection, rotation: RotationId, debt: DebtId, until: Timestamp) -> Result<(), TxError> {
    let state = serde_json::to_string(&RotationState::Held { until })?;
    conn.execute(
        "INSERT INTO rotations (id, device, tenant, state, open) SELECT ?1, device, tenant, ?3, 1 FROM debts WHERE id = ?2
         ON CONFLICT (id) DO UPDATE SET state = ?3, open = 1, target = NULL, managed = NULL
         WHERE json_extract(state, '$.state') IN ('held', 'blocked')",
        params![rotation.to_string(), debt.to_string(), state],
    )?;
    Ok(())
}

fn link(conn: &Connection, debt: DebtId, rotation: RotationId) -> Result<(), TxError> {
    conn.execute("UPDATE debts SET rotation = ?2 WHERE id = ?1", params![debt.to_string(), rotation.to_string()])?;
    Ok(())
}

fn set_rotation(conn: &Connection, rotation: RotationId, state: &RotationState) -> Result<(), TxError> {
    let open = !matches!(state, RotationState::Over { .. });
    conn.execute(
        "UPDATE rotations SET state = ?2, open = ?3 WHERE id = ?1",
        params![rotation.to_string(), serde_json::to_string(state)?, open],
    )?;
    Ok(())
}

/// Ends a debt; its rotation is over when no other debt is left on it.
fn end_debt(conn: &Connection, debt: DebtId, state: &DebtState, at: Timestamp) -> Result<(), TxError> {
    conn.execute(
        "UPDATE debts SET state = ?2, open = 0 WHERE id = ?1",
        params![debt.to_string(), serde_json::to_string(state)?],
    )?;
    conn.execute(
        "UPDATE rotations SET state = ?2, open = 0
         WHERE id = (SELECT rotation FROM debts WHERE id = ?1)
           AND NOT EXISTS (SELECT 1 FROM debts WHERE rotation = rotations.id AND open = 1)",
        params![debt.to_string(), serde_json::to_string(&RotationState::Over { at })?],
    )?;
    Ok(())
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
