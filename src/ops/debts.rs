//! What is owed, and what a person does about it.

use std::time::Duration;

use crate::{
    desk::Desk,
    domain::{
        debt::{Block, Debt, DebtId, RotationId},
        event::Event,
        work::{
            Failure, Kind,
            debts::{How, Settle},
        },
    },
    ops::rotate::Urgency,
    store::{TxError, debts},
};

/// Ended debts stay on the list this long.
const SHOWN_AFTER_END: Duration = Duration::from_hours(24);

/// Every open debt, the oldest first, then those that ended in the last day.
pub async fn list(desk: &Desk) -> Result<Vec<Debt>, Failure> {
    let since = desk.clock.now().checked_sub(SHOWN_AFTER_END).unwrap_or(jiff::Timestamp::MIN);
    desk.read(move |conn| debts::list(conn, since)).await
}

/// Retries, holds or waives. The list afterwards. A retry is sent at once.
pub async fn settle(desk: &Desk, request: Settle) -> Result<Vec<Debt>, Failure> {
    let Settle { debt, how } = request;
    match how {
        How::Waive { reason } => {
            let reason = crate::domain::foreign::printable(reason.trim());
            if reason.is_empty() {
                return Err(Failure::new(
                    Kind::Usage,
                    "A debt is waived with a reason: say why no replacement is needed.",
                ));
            }
            desk.record(move |pen| {
                open_debt(pen.conn(), debt)?;
                pen.append(None, &Event::DebtWaived { debt, reason })
            })
            .await?;
        }
        How::Hold => {
            desk.record(move |pen| {
                let owed = open_debt(pen.conn(), debt)?;
                match &owed.rotation {
                    _ if owed.is_sent() => {
                        Err(TxError::Conflict("The replacement is sent already: it cannot be held.".into()))
                    }
                    Some(rotation) => {
                        pen.append(None, &Event::RotationBlocked { rotation: rotation.id, why: Block::OnHold })
                    }
                    None => Err(TxError::Conflict("Nothing is going to be sent for this yet.".into())),
                }
            })
            .await?;
        }
        How::Retry => {
            let rotation = desk
                .record(move |pen| {
                    let owed = open_debt(pen.conn(), debt)?;
                    if owed.is_sent() {
                        return Err(TxError::Conflict(
                            "The replacement is under way already: wait for the laptop.".into(),
                        ));
                    }
                    let rotation = owed.rotation.map_or_else(RotationId::new, |rotation| rotation.id);
                    pen.append(None, &Event::RotationHeld { rotation, until: pen.at(), debts: vec![debt] })?;
                    Ok(rotation)
                })
                .await?;
            super::rotate::advance(desk, rotation, Urgency::Now).await?;
        }
    }
    desk.debts_changed();
    list(desk).await
}

fn open_debt(conn: &rusqlite::Connection, id: DebtId) -> Result<Debt, TxError> {
    let debt = debts::get(conn, id)?.ok_or_else(|| TxError::Conflict("There is no such debt in the ledger.".into()))?;
    if debt.is_open() { Ok(debt) } else { Err(TxError::Conflict("This debt is settled already.".into())) }
}
