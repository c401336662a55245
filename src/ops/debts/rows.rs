//! What a person's decision writes, each in one transaction, and what it refuses.

use rusqlite::Connection;

use crate::{
    domain::{
        call::{CallId, DisclosureId},
        debt::{Block, Debt, DebtId, RotationId, Target},
        event::Event,
        key_id::KeyId,
    },
    store::{Pen, TxError, debts, disclosures},
};

const NO_SUCH_DEBT: &str = "There is no such debt in the ledger.";
const UNDER_WAY: &str = "The replacement is under way already: wait for the laptop.";

fn refused<T>(said: &str) -> Result<T, TxError> {
    Err(TxError::Conflict(said.into()))
}

pub fn waive(pen: &mut Pen<'_>, debt: DebtId, reason: String) -> Result<(), TxError> {
    let owed = open_debt(pen.conn(), debt)?;
    not_by_its_discloser(pen, &owed)?;
    pen.append(Some(owed.call), &Event::DebtWaived { debt, reason }).map(drop)
}

pub fn hold(pen: &mut Pen<'_>, debt: DebtId) -> Result<(), TxError> {
    let owed = open_debt(pen.conn(), debt)?;
    match &owed.rotation {
        _ if owed.is_sent() => refused("The replacement is sent already: it cannot be held."),
        _ if owed.is_urgent() => {
            refused("The key was read to the wrong person: its replacement is urgent and cannot be held.")
        }
        // One replacement pays them all.
        Some(rotation) if debts::of_rotation(pen.conn(), rotation.id)?.iter().any(Debt::is_urgent) => refused(
            "Another key of this laptop was read to the wrong person: the replacement of both is urgent and cannot be \
             held.",
        ),
        Some(rotation) => {
            pen.append(None, &Event::RotationBlocked { rotation: rotation.id, why: Block::OnHold }).map(drop)
        }
        None => refused("Nothing is going to be sent for this yet."),
    }
}

/// Held until now: whoever asks sends it.
pub fn retry(pen: &mut Pen<'_>, debt: DebtId) -> Result<RotationId, TxError> {
    let owed = open_debt(pen.conn(), debt)?;
    if owed.is_sent() {
        return refused(UNDER_WAY);
    }
    if owed.is_by_hand() {
        return refused("No remote action reaches this key: have it replaced at the laptop, then confirm it.");
    }
    hold_until_now(pen, &owed)
}

fn hold_until_now(pen: &mut Pen<'_>, owed: &Debt) -> Result<RotationId, TxError> {
    let standing = owed.rotation.as_ref().filter(|rotation| !rotation.is_over());
    let rotation = standing.map_or_else(RotationId::new, |rotation| rotation.id);
    pen.append(None, &Event::RotationHeld { rotation, until: pen.at(), debts: vec![owed.id] })?;
    Ok(rotation)
}

/// A person compared the new key with the laptop, or replaced the key there.
pub fn confirm(pen: &mut Pen<'_>, debt: DebtId, new_key: Option<KeyId>, how: String) -> Result<(), TxError> {
    let owed = open_debt(pen.conn(), debt)?;
    let new_key = new_key.or_else(|| owed.doubted());
    if new_key.is_some_and(|key| key == owed.key || owed.known.iter().any(|known| known.id == key)) {
        return refused("That key was there before: a replacement has another key ID.");
    }
    // Without a key that Entra shows, a confirmation of one's own is a waiver under another name.
    if new_key.is_none() || new_key != owed.doubted() {
        not_by_its_discloser(pen, &owed)?;
    }
    pen.append(Some(owed.call), &Event::DebtConfirmed { debt, new_key, how }).map(drop)
}

/// A person chose the Intune object, after asking the caller.
pub fn target(pen: &mut Pen<'_>, debt: DebtId, target: Target) -> Result<RotationId, TxError> {
    let owed = open_debt(pen.conn(), debt)?;
    if owed.is_sent() {
        return refused(UNDER_WAY);
    }
    let rotation = hold_until_now(pen, &owed)?;
    pen.append(Some(owed.call), &Event::RotationTargeted { rotation, target, chosen: true })?;
    Ok(rotation)
}

/// What was read to the wrong person.
#[derive(Clone, Copy, Debug)]
pub enum ByWhat {
    Debt(DebtId),
    Disclosure(DisclosureId),
}

/// The rotation that is due now, unless one is under way or none can be.
pub fn compromised(
    pen: &mut Pen<'_>,
    call: Option<CallId>,
    by: ByWhat,
    words: String,
) -> Result<Option<RotationId>, TxError> {
    let (debt, disclosure) = match by {
        ByWhat::Debt(debt) => (debt, disclosures::last_of_debt(pen.conn(), debt)?),
        ByWhat::Disclosure(disclosure) => (disclosures::debt_of(pen.conn(), disclosure)?, Some(disclosure)),
    };
    let Some(disclosure) = disclosure else {
        return refused("No key was read for this debt: a replacement was only asked for.");
    };
    let call = call.or(debts::get(pen.conn(), debt)?.map(|owed| owed.call));
    pen.append(call, &Event::Compromised { disclosure, debt, words })?;
    let owed = debts::get(pen.conn(), debt)?.ok_or_else(|| TxError::Conflict(NO_SUCH_DEBT.into()))?;
    // A new key that waits for a person to compare it is there already.
    let waits = owed.is_open() && !owed.is_sent() && !owed.is_by_hand() && owed.doubted().is_none();
    if waits { hold_until_now(pen, &owed).map(Some) } else { Ok(None) }
}

fn open_debt(conn: &Connection, id: DebtId) -> Result<Debt, TxError> {
    let debt = debts::get(conn, id)?.ok_or_else(|| TxError::Conflict(NO_SUCH_DEBT.into()))?;
    if debt.is_open() { Ok(debt) } else { refused("This debt is settled already.") }
}

/// Whoever read a key to the wrong person does not settle what follows from it.
fn not_by_its_discloser(pen: &Pen<'_>, owed: &Debt) -> Result<(), TxError> {
    if !owed.is_urgent() {
        return Ok(());
    }
    let Some(technician) = &pen.stamp().technician else {
        return refused(
            "The key was read to the wrong person: sign in, so that the ledger knows that it is not its discloser who \
             settles this debt.",
        );
    };
    if disclosures::disclosed_by(pen.conn(), owed.id, technician.id)? {
        return refused(
            "The key was read to the wrong person, and you disclosed it: you cannot waive this debt. A colleague can.",
        );
    }
    Ok(())
}
