//! Rotations: how a debt is paid. Each step looks before it acts and commits before it sends.

mod look;
mod request;
mod target;

use std::time::Duration;

use jiff::Timestamp;

pub use request::request;

use crate::{
    desk::{Desk, Seat},
    domain::{
        call::CallId,
        capability::Feature,
        debt::{Block, Debt, Rotation, RotationId, RotationState, Target},
        event::{Event, Return},
        moment::{Deadline, later, since},
        work::{Failure, call::Note},
    },
    graph::RotateError,
    ops::calls,
    store::{TxError, debts},
};
use look::{look, prove, see};

/// The caller is in Windows again: recorded, what the call holds sent, the note as of then.
pub async fn in_windows(desk: &Desk, call: CallId) -> Result<Note, Failure> {
    calls::in_windows(desk, call).await?;
    send_for_call(desk, call).await?;
    calls::note(desk, call).await
}

/// Sends what a call holds: the caller is in Windows. Returns once each has been sent, blocked or left to the watcher.
pub async fn send_for_call(desk: &Desk, call: CallId) -> Result<(), Failure> {
    super::disclose::write_unwritten(desk).await;
    let owed = desk.read(move |conn| debts::of_call(conn, call)).await?;
    send_each(desk, owed).await
}

/// Sends everything held: before the program ends.
pub async fn send_held(desk: &Desk) -> Result<(), Failure> {
    super::disclose::write_unwritten(desk).await;
    let owed = super::debts::list(desk).await?;
    send_each(desk, owed).await
}

async fn send_each(desk: &Desk, owed: Vec<Debt>) -> Result<(), Failure> {
    let tenant = desk.seat()?.tenant.id;
    let mut held: Vec<RotationId> = owed
        .into_iter()
        .filter(|debt| debt.is_open() && debt.tenant.is_none_or(|owed_in| owed_in == tenant))
        .filter_map(|debt| debt.rotation)
        .filter(|rotation| matches!(rotation.state, RotationState::Held { .. }))
        .map(|rotation| rotation.id)
        .collect();
    held.sort_unstable();
    held.dedup();
    for rotation in held {
        // What fails here stays held: the watcher and the next start go on with it.
        if let Err(failure) = advance(desk, rotation, Urgency::Now).await {
            tracing::warn!(%failure, "replacement not sent yet");
        }
    }
    Ok(())
}

/// Whether a held rotation may wait on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Send what is held, whatever its time.
    Now,
    /// Send what is held when its time has come.
    WhenDue,
}

/// How long a held rotation still waits. A time further off than the policy's delay was set by a clock that has jumped: it is due.
pub(super) fn waits(until: Timestamp, now: Timestamp, delay: Duration) -> Duration {
    let left = since(now, until);
    if left > delay { Duration::ZERO } else { left }
}

/// Takes one rotation as far as it goes now. `true` when something changed.
pub async fn advance(desk: &Desk, id: RotationId, urgency: Urgency) -> Result<bool, Failure> {
    let (rotation, owed) =
        desk.read(move |conn| Ok((debts::rotation(conn, id)?, debts::of_rotation(conn, id)?))).await?;
    let Some(rotation) = rotation else { return Ok(false) };
    if owed.is_empty() {
        return Ok(false);
    }
    let seat = match urgency {
        Urgency::Now => desk.seat()?,
        Urgency::WhenDue => desk.seat()?.behind(),
    };
    let now = desk.clock.now();
    match rotation.state {
        RotationState::Held { until } => {
            let is_due = waits(until, now, desk.policy.rotation_delay).is_zero();
            if urgency == Urgency::Now || is_due { send(desk, &seat, &rotation, &owed).await } else { Ok(false) }
        }
        RotationState::Sending { since: at } => {
            if look(desk, &seat, &rotation, &owed).await? {
                return Ok(true);
            }
            // A time in the future was set by a clock that has jumped back.
            let is_over = since(at, now) >= desk.policy.uncertain_pause || since(now, at) > desk.policy.uncertain_pause;
            if is_over { send(desk, &seat, &rotation, &owed).await } else { Ok(false) }
        }
        RotationState::Accepted { .. } | RotationState::Reported { .. } => look(desk, &seat, &rotation, &owed).await,
        RotationState::Blocked { .. } | RotationState::Over { .. } => Ok(false),
    }
}

/// Chooses the target, looks once more, commits, sends.
async fn send(desk: &Desk, seat: &Seat, rotation: &Rotation, owed: &[Debt]) -> Result<bool, Failure> {
    let id = rotation.id;
    if owed.iter().all(|debt| !debt.volume.can_be_rotated()) {
        return block(desk, rotation, Block::Removable).await;
    }
    let target = match target::choose(desk, seat, rotation, owed).await? {
        Ok(target) => target,
        Err(why) => return block(desk, rotation, why).await,
    };
    let Some(seen) = see(seat, target).await? else { return block(desk, rotation, Block::TargetGone).await };
    // Windows replaces a used password by itself where policy says so: then there is nothing to send.
    let owed = desk.read(move |conn| debts::of_rotation(conn, id)).await?;
    if prove(desk, &owed, &seen, rotation).await? == owed.len() {
        return Ok(true);
    }
    // Whatever may take long is done before the commit: from there on the request has to be quick.
    if let Err(error) = seat.graph.session().token(Feature::Rotate).await {
        return Err(error.into());
    }
    let earlier = seen.managed.rotation.as_ref().and_then(|action| action.started);
    let Some(committed) = commit_sending(desk, rotation, target, earlier).await? else { return Ok(true) };
    let outcome = post(desk, seat, target, committed.send_before).await;
    record_sent(desk, id, committed.since, outcome).await
}

/// A rotation committed as *sending*.
struct Committed {
    since: Timestamp,
    /// Not sent later than this: the machine may have slept in between, and another desk may have looked and sent.
    send_before: Deadline,
}

/// *Sending*, durably, before the request leaves. `None` when another desk was faster, or another rotation already serves this target.
async fn commit_sending(
    desk: &Desk,
    rotation: &Rotation,
    target: Target,
    earlier: Option<Timestamp>,
) -> Result<Option<Committed>, Failure> {
    let before = rotation.clone();
    let send_before = desk.clock.moment().in_(desk.policy.uncertain_pause / 4);
    let won = desk
        .record(move |pen| {
            let id = before.id;
            let now = debts::rotation(pen.conn(), id)?.ok_or_else(|| TxError::Row(format!("no rotation {id}")))?;
            if now.state != before.state {
                return Ok(None);
            }
            if let Some(into) = debts::under_way_for(pen.conn(), target.managed, id)? {
                pen.append(None, &Event::RotationJoined { rotation: id, into })?;
                return Ok(None);
            }
            pen.append(None, &Event::RotationSending { rotation: id, earlier })?;
            Ok(Some(pen.at()))
        })
        .await?;
    Ok(won.map(|since| Committed { since, send_before }))
}

/// Sends the request: begun in the first quarter of the uncertain pause and given up before its end, so that it is over when
/// anybody looks.
async fn post(desk: &Desk, seat: &Seat, target: Target, send_before: Deadline) -> Outcome {
    if send_before.passed(desk.clock.moment()) {
        return Outcome::NotSent { wait: desk.policy.watch_first };
    }
    match seat.graph.rotate(target.managed, desk.policy.uncertain_pause / 2).await {
        Ok(accepted) => Outcome::Accepted { request_id: accepted.request_id },
        Err(RotateError::Refused { status: 403, .. }) => Outcome::Blocked(Block::NotPermitted),
        Err(RotateError::Refused { status, code, .. }) => Outcome::Blocked(Block::Refused { status, code }),
        Err(RotateError::NotServed { retry_after, .. }) => {
            Outcome::NotSent { wait: retry_after.unwrap_or_default().max(desk.policy.watch_first) }
        }
        Err(RotateError::NotSent { .. } | RotateError::SignIn(_)) => Outcome::NotSent { wait: desk.policy.watch_first },
        Err(RotateError::Uncertain { .. }) => Outcome::Uncertain,
    }
}

/// What became of the request.
enum Outcome {
    Accepted {
        request_id: Option<String>,
    },
    Blocked(Block),
    /// Certainly not begun; worth another try after this long.
    NotSent {
        wait: Duration,
    },
    /// Perhaps begun: the next look tells.
    Uncertain,
}

async fn record_sent(
    desk: &Desk,
    rotation: RotationId,
    committed: Timestamp,
    outcome: Outcome,
) -> Result<bool, Failure> {
    let event = match outcome {
        Outcome::Accepted { request_id } => Event::RotationAccepted { rotation, request_id, found: false },
        Outcome::Blocked(why) => Event::RotationBlocked { rotation, why },
        Outcome::NotSent { wait } => {
            Event::RotationReturned { rotation, until: later(desk.clock.now(), wait), why: Return::NotSent }
        }
        Outcome::Uncertain => return Ok(true),
    };
    append_if(desk, rotation, RotationState::Sending { since: committed }, event).await
}

async fn block(desk: &Desk, rotation: &Rotation, why: Block) -> Result<bool, Failure> {
    append_if(desk, rotation.id, rotation.state.clone(), Event::RotationBlocked { rotation: rotation.id, why }).await
}

/// Appends `event` if the rotation still stands as this desk last knew it: a late word must not undo a newer one.
async fn append_if(desk: &Desk, rotation: RotationId, expected: RotationState, event: Event) -> Result<bool, Failure> {
    desk.record(move |pen| {
        if debts::rotation(pen.conn(), rotation)?.is_some_and(|now| now.state == expected) {
            pen.append(None, &event)?;
        }
        Ok(())
    })
    .await?;
    desk.debts_changed();
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_rotation_waits_until_its_time_and_a_jumped_clock_makes_it_due() {
        let (now, delay): (Timestamp, _) = ("2026-11-20T09:00:00Z".parse().unwrap(), Duration::from_mins(30));
        assert_eq!(waits(later(now, Duration::from_mins(10)), now, delay), Duration::from_mins(10));
        assert_eq!(waits(now, later(now, Duration::from_mins(1)), delay), Duration::ZERO);
        let years_ahead = later(now, Duration::from_hours(24 * 900));
        assert_eq!(waits(years_ahead, now, delay), Duration::ZERO);
    }
}
