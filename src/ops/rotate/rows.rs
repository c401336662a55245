//! What a rotation writes, each in one transaction.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    domain::{
        debt::{Rotation, RotationState, Target},
        event::Event,
        moment::since,
    },
    store::{Pen, TxError, debts},
};

/// Proofs of debts that are still open, and the rest if the rotation still stands as `before`: a late word must not undo a newer one.
/// `false` when another desk was faster.
pub fn decided(pen: &mut Pen<'_>, before: &Rotation, events: &[Event]) -> Result<bool, TxError> {
    let stands = debts::rotation(pen.conn(), before.id)?.is_some_and(|now| now.state == before.state);
    for event in events {
        match event {
            Event::DebtProved { debt, .. } if !debts::get(pen.conn(), *debt)?.is_some_and(|debt| debt.is_open()) => {}
            Event::DebtProved { .. } => pen.append(None, event).map(drop)?,
            // What Intune waits for already may be another rotation of ours.
            Event::RotationAccepted { found: true, .. } if stands && is_held(before) => {
                let joined = match before.target {
                    Some(target) => debts::under_way_for(pen.conn(), target.managed, before.id)?,
                    None => None,
                };
                let joined = joined.map(|into| Event::RotationJoined { rotation: before.id, into });
                pen.append(None, joined.as_ref().unwrap_or(event))?;
            }
            // The proof just written may have been its last, where somebody settled the others.
            _ if stands && !is_over(pen, before)? => pen.append(None, event).map(drop)?,
            _ => {}
        }
    }
    Ok(stands)
}

fn is_over(pen: &Pen<'_>, rotation: &Rotation) -> Result<bool, TxError> {
    Ok(debts::rotation(pen.conn(), rotation.id)?.is_none_or(|now| now.is_over()))
}

fn is_held(rotation: &Rotation) -> bool {
    matches!(rotation.state, RotationState::Held { .. })
}

/// *Sending*: since when. `None` when another desk was faster, or another rotation already serves this target, which then pays these debts
/// too; or when a request of a rotation whose debts were settled meanwhile may still be on its way: then this one stays held.
pub fn sending(
    pen: &mut Pen<'_>,
    before: &Rotation,
    target: Target,
    earlier: Option<Timestamp>,
    uncertain_pause: Duration,
) -> Result<Option<Timestamp>, TxError> {
    let id = before.id;
    let now = debts::rotation(pen.conn(), id)?.ok_or_else(|| TxError::Row(format!("no rotation {id}")))?;
    if now.state != before.state {
        return Ok(None);
    }
    if let Some(into) = debts::under_way_for(pen.conn(), target.managed, id)? {
        pen.append(None, &Event::RotationJoined { rotation: id, into })?;
        return Ok(None);
    }
    if let Some(at) = debts::left_uncertain(pen.conn(), target.managed)?
        && since(at, pen.at()).max(since(pen.at(), at)) < uncertain_pause
    {
        return Ok(None);
    }
    pen.append(None, &Event::RotationSending { rotation: id, earlier })?;
    Ok(Some(pen.at()))
}
