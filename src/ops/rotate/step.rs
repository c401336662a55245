//! One rotation taken as far as it goes now: [`decide`] says what, this does it.

use std::time::Duration;

use jiff::Timestamp;

use super::{rows, target};
use crate::{
    desk::{Desk, Seat},
    domain::{
        capability::Feature,
        debt::{
            Block, Next, Rotation, RotationId, RotationState, Seen, Sight, Situation, Target, Times, Urgency, decide,
        },
        event::{Event, Return},
        key::Key,
        moment::{Deadline, later},
        work::Failure,
    },
    graph::{GraphError, RotateError},
    store::debts,
};

/// Takes one rotation as far as it goes now. `true` when something changed.
pub async fn advance(desk: &Desk, id: RotationId, urgency: Urgency) -> Result<bool, Failure> {
    let (rotation, owed) =
        desk.read(move |conn| Ok((debts::rotation(conn, id)?, debts::of_rotation(conn, id)?))).await?;
    let Some(mut rotation) = rotation else { return Ok(false) };
    if owed.is_empty() {
        return Ok(false);
    }
    let seat = match urgency {
        Urgency::Now => desk.seat()?,
        Urgency::WhenDue => desk.seat()?.behind(),
    };
    let (mut choice, mut sight, mut changed) = (None, None, false);
    // Each question is asked once, so this ends.
    loop {
        let situation = Situation {
            rotation: &rotation,
            owed: &owed,
            now: desk.clock.now(),
            urgency,
            times: Times::of(&desk.policy),
            choice: choice.clone(),
            sight: sight.clone(),
        };
        let decision = decide(&situation);
        // That the laptop checked in is worth a row, but does not make the watcher look sooner.
        changed |= decision.events.iter().any(|event| !matches!(event, Event::CheckedIn { .. }));
        if !write(desk, &rotation, decision.events).await? {
            return Ok(true);
        }
        match decision.next {
            Next::Rest => return Ok(changed),
            Next::Choose => choice = Some(target::choose(&seat, &owed).await?),
            Next::Look(target) => {
                rotation.target = Some(target);
                sight = Some(see(&seat, target).await?);
            }
            Next::Send { target, earlier } => {
                send(desk, &seat, &rotation, target, earlier).await?;
                return Ok(true);
            }
        }
    }
}

/// Writes what was decided; `false` when another desk was faster.
async fn write(desk: &Desk, rotation: &Rotation, events: Vec<Event>) -> Result<bool, Failure> {
    if events.is_empty() {
        return Ok(true);
    }
    let before = rotation.clone();
    let stands = desk.record(move |pen| rows::decided(pen, &before, &events)).await?;
    desk.debts_changed();
    Ok(stands)
}

/// What Intune and Entra say of the target.
async fn see(seat: &Seat, target: Target) -> Result<Sight, Failure> {
    let (keys, managed) = tokio::join!(seat.graph.keys_of_device(target.device), seat.graph.managed(target.managed));
    if let Ok(listed) = &keys {
        note(seat, listed.keys.clone()).await;
    }
    let managed = match managed {
        Err(GraphError::NotFound { .. }) => return Ok(Sight::Gone),
        managed => managed?,
    };
    if managed.device == target.device {
        Ok(Sight::Seen(Box::new(Seen { keys: keys?.keys, managed })))
    } else {
        Ok(Sight::Gone)
    }
}

/// The new key is found by its prefix from now on. Best effort: the index is no record.
async fn note(seat: &Seat, keys: Vec<Key>) {
    let index = seat.index.clone();
    if let Err(error) = crate::desk::unblocked(move || index.note_keys(&keys)).await {
        tracing::warn!(%error, "index not refreshed");
    }
}

/// Commits, then sends.
async fn send(
    desk: &Desk,
    seat: &Seat,
    rotation: &Rotation,
    target: Target,
    earlier: Option<Timestamp>,
) -> Result<(), Failure> {
    // Whatever may take long is done before the commit: from there on the request has to be quick.
    if let Err(error) = seat.graph.session().token(Feature::Rotate).await {
        return Err(error.into());
    }
    let Some(committed) = commit_sending(desk, rotation, target, earlier).await? else { return Ok(()) };
    let outcome = post(desk, seat, target, committed.send_before).await;
    record_sent(desk, rotation.id, committed.since, outcome).await
}

/// A rotation committed as *sending*.
struct Committed {
    since: Timestamp,
    /// Not sent later than this: the machine may have slept in between, and another desk may have looked and sent.
    send_before: Deadline,
}

/// *Sending*, durably, before the request leaves.
async fn commit_sending(
    desk: &Desk,
    rotation: &Rotation,
    target: Target,
    earlier: Option<Timestamp>,
) -> Result<Option<Committed>, Failure> {
    let before = rotation.clone();
    let send_before = desk.clock.moment().in_(desk.policy.uncertain_pause / 4);
    let pause = desk.policy.uncertain_pause;
    let won = desk.record(move |pen| rows::sending(pen, &before, target, earlier, pause)).await?;
    desk.debts_changed();
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

async fn record_sent(desk: &Desk, rotation: RotationId, committed: Timestamp, outcome: Outcome) -> Result<(), Failure> {
    let event = match outcome {
        Outcome::Accepted { request_id } => Event::RotationAccepted { rotation, request_id, found: false },
        Outcome::Blocked(why) => Event::RotationBlocked { rotation, why },
        Outcome::NotSent { wait } => {
            Event::RotationReturned { rotation, until: later(desk.clock.now(), wait), why: Return::NotSent }
        }
        Outcome::Uncertain => return Ok(()),
    };
    let committed = Rotation::new(rotation, RotationState::Sending { since: committed });
    write(desk, &committed, vec![event]).await?;
    Ok(())
}
