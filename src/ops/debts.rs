//! What is owed, and what a person does about it.

use std::time::Duration;

use rusqlite::Connection;

use crate::{
    desk::Desk,
    domain::{
        call::{CallId, DisclosureId},
        debt::{Block, Debt, DebtId, RotationId, RotationState},
        event::Event,
        foreign::printable,
        key_id::KeyId,
        work::{
            Failure, Kind,
            debts::{How, Settle, WrongPerson},
        },
    },
    ops::rotate::{self, Urgency},
    store::{Pen, TxError, debts, disclosures},
};

/// Ended debts stay on the list this long.
const SHOWN_AFTER_END: Duration = Duration::from_hours(24);

/// Every open debt, the compromised and then the oldest first, then those that ended in the last day.
pub async fn list(desk: &Desk) -> Result<Vec<Debt>, Failure> {
    let since = desk.clock.now().checked_sub(SHOWN_AFTER_END).unwrap_or(jiff::Timestamp::MIN);
    desk.read(move |conn| debts::list(conn, since)).await
}

/// Does what a person decided. The list afterwards. A retry is sent at once, and so is what was chosen or compromised.
pub async fn settle(desk: &Desk, request: Settle) -> Result<Vec<Debt>, Failure> {
    let Settle { debt, how } = request;
    match how {
        How::Waive { reason } => waive(desk, debt, &reason).await?,
        How::Hold => hold(desk, debt).await?,
        How::Retry => {
            let rotation = desk.record(move |pen| retry(pen, debt)).await?;
            rotate::advance(desk, rotation, Urgency::Now).await?;
        }
        How::Confirm { new_key, how } => confirm(desk, debt, new_key, &how).await?,
        How::Target { managed } => target(desk, debt, managed).await?,
        How::Compromised { words } => compromised(desk, None, ByWhat::Debt(debt), words).await?,
    }
    desk.debts_changed();
    list(desk).await
}

/// The digits of this disclosure were read to the wrong person.
pub async fn wrong_person(desk: &Desk, request: WrongPerson) -> Result<Vec<Debt>, Failure> {
    let WrongPerson { call, disclosure, words } = request;
    super::disclose::write_unwritten(desk).await;
    compromised(desk, Some(call), ByWhat::Disclosure(disclosure), words).await?;
    desk.debts_changed();
    list(desk).await
}

async fn waive(desk: &Desk, debt: DebtId, reason: &str) -> Result<(), Failure> {
    let reason = said(reason, "A debt is waived with a reason: say why no replacement is needed.")?;
    desk.record(move |pen| {
        let owed = open_debt(pen.conn(), debt)?;
        not_by_its_discloser(pen, &owed)?;
        pen.append(Some(owed.call), &Event::DebtWaived { debt, reason })
    })
    .await?;
    Ok(())
}

async fn hold(desk: &Desk, debt: DebtId) -> Result<(), Failure> {
    desk.record(move |pen| {
        let owed = open_debt(pen.conn(), debt)?;
        match &owed.rotation {
            _ if owed.is_sent() => Err(TxError::Conflict("The replacement is sent already: it cannot be held.".into())),
            _ if owed.is_urgent() => Err(TxError::Conflict(
                "The key was read to the wrong person: its replacement is urgent and cannot be held.".into(),
            )),
            Some(rotation) => pen.append(None, &Event::RotationBlocked { rotation: rotation.id, why: Block::OnHold }),
            None => Err(TxError::Conflict("Nothing is going to be sent for this yet.".into())),
        }
    })
    .await?;
    Ok(())
}

/// Held until now: the caller sends it.
fn retry(pen: &mut Pen<'_>, debt: DebtId) -> Result<RotationId, TxError> {
    let owed = open_debt(pen.conn(), debt)?;
    if owed.is_sent() {
        return Err(TxError::Conflict("The replacement is under way already: wait for the laptop.".into()));
    }
    if owed.is_by_hand() {
        return Err(TxError::Conflict(
            "No remote action reaches this key: have it replaced at the laptop, then confirm it.".into(),
        ));
    }
    hold_until_now(pen, &owed)
}

fn hold_until_now(pen: &mut Pen<'_>, owed: &Debt) -> Result<RotationId, TxError> {
    let standing = owed.rotation.as_ref().filter(|rotation| !matches!(rotation.state, RotationState::Over { .. }));
    let rotation = standing.map_or_else(RotationId::new, |rotation| rotation.id);
    pen.append(None, &Event::RotationHeld { rotation, until: pen.at(), debts: vec![owed.id] })?;
    Ok(rotation)
}

/// A person compared the new key with the laptop, or replaced the key there.
async fn confirm(desk: &Desk, debt: DebtId, new_key: Option<KeyId>, how: &str) -> Result<(), Failure> {
    let how = said(how, "A replacement is confirmed with how you know: say who saw the new key, and where.")?;
    desk.record(move |pen| {
        let owed = open_debt(pen.conn(), debt)?;
        let new_key = new_key.or_else(|| owed.doubted());
        if new_key.is_some_and(|key| key == owed.key || owed.known.iter().any(|known| known.id == key)) {
            return Err(TxError::Conflict("That key was there before: a replacement has another key ID.".into()));
        }
        // Without a key that Entra shows, a confirmation of one's own is a waiver under another name.
        if new_key.is_none() || new_key != owed.doubted() {
            not_by_its_discloser(pen, &owed)?;
        }
        pen.append(Some(owed.call), &Event::DebtConfirmed { debt, new_key, how })
    })
    .await?;
    Ok(())
}

/// The caller named the serial: the replacement goes to this Intune object.
async fn target(desk: &Desk, debt: DebtId, managed: crate::domain::device::ManagedDeviceId) -> Result<(), Failure> {
    let target = rotate::chosen(&desk.seat()?, managed).await?;
    let rotation = desk
        .record(move |pen| {
            let owed = open_debt(pen.conn(), debt)?;
            if owed.is_sent() {
                return Err(TxError::Conflict("The replacement is under way already: wait for the laptop.".into()));
            }
            let rotation = hold_until_now(pen, &owed)?;
            pen.append(Some(owed.call), &Event::RotationTargeted { rotation, target, chosen: true })?;
            Ok(rotation)
        })
        .await?;
    rotate::advance(desk, rotation, Urgency::Now).await?;
    Ok(())
}

enum ByWhat {
    Debt(DebtId),
    Disclosure(DisclosureId),
}

/// On record first; then sent at once. What cannot be sent now is due, and the watcher's.
async fn compromised(desk: &Desk, call: Option<CallId>, by: ByWhat, words: String) -> Result<(), Failure> {
    let words = printable(words.trim());
    let due = desk
        .record(move |pen| {
            let (debt, disclosure) = match by {
                ByWhat::Debt(debt) => (debt, disclosures::last_of_debt(pen.conn(), debt)?),
                ByWhat::Disclosure(disclosure) => (disclosures::debt_of(pen.conn(), disclosure)?, Some(disclosure)),
            };
            let Some(disclosure) = disclosure else {
                return Err(TxError::Conflict(
                    "No key was read for this debt: a replacement was only asked for.".into(),
                ));
            };
            let call = call.or(debts::get(pen.conn(), debt)?.map(|owed| owed.call));
            pen.append(call, &Event::Compromised { disclosure, debt, words })?;
            let owed = debts::get(pen.conn(), debt)?.ok_or_else(|| TxError::Conflict(NO_SUCH_DEBT.into()))?;
            // A new key that waits for a person to compare it is there already.
            let waits = owed.is_open() && !owed.is_sent() && !owed.is_by_hand() && owed.doubted().is_none();
            if waits { hold_until_now(pen, &owed).map(Some) } else { Ok(None) }
        })
        .await?;
    if let Some(rotation) = due
        && let Err(failure) = rotate::advance(desk, rotation, Urgency::Now).await
    {
        tracing::warn!(%failure, "an urgent replacement is not sent yet");
    }
    Ok(())
}

const NO_SUCH_DEBT: &str = "There is no such debt in the ledger.";

fn open_debt(conn: &Connection, id: DebtId) -> Result<Debt, TxError> {
    let debt = debts::get(conn, id)?.ok_or_else(|| TxError::Conflict(NO_SUCH_DEBT.into()))?;
    if debt.is_open() { Ok(debt) } else { Err(TxError::Conflict("This debt is settled already.".into())) }
}

/// Whoever read a key to the wrong person does not settle what follows from it.
fn not_by_its_discloser(pen: &Pen<'_>, owed: &Debt) -> Result<(), TxError> {
    if !owed.is_urgent() {
        return Ok(());
    }
    let Some(technician) = &pen.stamp().technician else {
        return Err(TxError::Conflict(
            "The key was read to the wrong person: sign in, so that the ledger knows that it is not its discloser who \
             settles this debt."
                .into(),
        ));
    };
    if disclosures::disclosed_by(pen.conn(), owed.id, technician.id)? {
        return Err(TxError::Conflict(
            "The key was read to the wrong person, and you disclosed it: you cannot waive this debt. A colleague can."
                .into(),
        ));
    }
    Ok(())
}

/// A person's words, without what a terminal would obey.
fn said(words: &str, otherwise: &str) -> Result<String, Failure> {
    let words = printable(words.trim());
    if words.is_empty() { Err(Failure::new(Kind::Usage, otherwise)) } else { Ok(words) }
}
