//! What is owed, and what a person does about it.

pub mod rows;

use std::time::Duration;

use crate::{
    desk::Desk,
    domain::{
        call::CallId,
        debt::{Debt, DebtId},
        device::ManagedDeviceId,
        foreign::printable,
        key_id::KeyId,
        recovery_password::blocks_in,
        work::{
            Failure, Kind,
            debts::{How, Settle, WrongPerson},
        },
    },
    ops::rotate::{self, Urgency},
    store::debts,
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
        How::Hold => desk.record(move |pen| rows::hold(pen, debt)).await?,
        How::Retry => {
            let rotation = desk.record(move |pen| rows::retry(pen, debt)).await?;
            rotate::advance(desk, rotation, Urgency::Now).await?;
        }
        How::Confirm { new_key, how } => confirm(desk, debt, new_key, &how).await?,
        How::Target { managed } => target(desk, debt, managed).await?,
        How::Compromised { words } => compromised(desk, None, rows::ByWhat::Debt(debt), words).await?,
    }
    desk.debts_changed();
    list(desk).await
}

/// The digits of this disclosure were read to the wrong person.
pub async fn wrong_person(desk: &Desk, request: WrongPerson) -> Result<Vec<Debt>, Failure> {
    let WrongPerson { call, disclosure, words } = request;
    super::disclose::write_unwritten(desk).await;
    compromised(desk, Some(call), rows::ByWhat::Disclosure(disclosure), words).await?;
    desk.debts_changed();
    list(desk).await
}

async fn waive(desk: &Desk, debt: DebtId, reason: &str) -> Result<(), Failure> {
    let reason = said(reason, "A debt is waived with a reason: say why no replacement is needed.")?;
    desk.record(move |pen| rows::waive(pen, debt, reason)).await
}

/// A person compared the new key with the laptop, or replaced the key there.
async fn confirm(desk: &Desk, debt: DebtId, new_key: Option<KeyId>, how: &str) -> Result<(), Failure> {
    let how = said(how, "A replacement is confirmed with how you know: say who saw the new key, and where.")?;
    desk.record(move |pen| rows::confirm(pen, debt, new_key, how)).await
}

/// The caller named the serial: the replacement goes to this Intune object.
async fn target(desk: &Desk, debt: DebtId, managed: ManagedDeviceId) -> Result<(), Failure> {
    let target = rotate::chosen(&desk.seat()?, managed).await?;
    let rotation = desk.record(move |pen| rows::target(pen, debt, target)).await?;
    rotate::advance(desk, rotation, Urgency::Now).await?;
    Ok(())
}

/// On record first; then sent at once. What cannot be sent now is due, and the watcher's.
async fn compromised(desk: &Desk, call: Option<CallId>, by: rows::ByWhat, words: String) -> Result<(), Failure> {
    let words = without_digits(&words)?;
    let due = desk.record(move |pen| rows::compromised(pen, call, by, words)).await?;
    if let Some(rotation) = due
        && let Err(failure) = rotate::advance(desk, rotation, Urgency::Now).await
    {
        tracing::warn!(%failure, "an urgent replacement is not sent yet");
    }
    Ok(())
}

/// A person's words, without what a terminal would obey.
fn said(words: &str, otherwise: &str) -> Result<String, Failure> {
    let words = without_digits(words)?;
    if words.is_empty() { Err(Failure::new(Kind::Usage, otherwise)) } else { Ok(words) }
}

/// The same, perhaps empty; never digits of a key, which would stand in the ledger for good and be forwarded.
fn without_digits(words: &str) -> Result<String, Failure> {
    let words = printable(words.trim());
    if blocks_in(&words).is_empty() { Ok(words) } else { Err(Failure::digits_in_words()) }
}
