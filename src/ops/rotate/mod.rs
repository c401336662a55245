//! Rotations: how a debt is paid. Each step looks before it acts and commits before it sends.

mod look;
mod request;
mod target;

use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use request::request;

use crate::{
    desk::Desk,
    domain::{
        call::CallId,
        debt::{Block, Debt, Rotation, RotationId, RotationState, Target},
        event::Event,
        moment::{later, since},
        work::Failure,
    },
    graph::RotateError,
    store::{TxError, debts},
};
use look::{look, prove, see};

/// A request that could not leave this soon after it was committed is not sent any more: the machine may have slept in between,
/// and somebody else may have looked and sent.
const SEND_WITHIN: Duration = Duration::from_secs(20);

/// Sends what a call holds: the caller is in Windows. Returns once each has been sent, blocked or left to the watcher.
pub async fn send_for_call(desk: &Desk, call: CallId) -> Result<(), Failure> {
    let owed = desk.read(move |conn| debts::of_call(conn, call)).await?;
    send_each(desk, owed).await
}

/// Sends everything held: before the program ends.
pub async fn send_held(desk: &Desk) -> Result<(), Failure> {
    let owed = super::debts::list(desk).await?;
    send_each(desk, owed).await
}

async fn send_each(desk: &Desk, owed: Vec<Debt>) -> Result<(), Failure> {
    let mut held: Vec<RotationId> = owed
        .into_iter()
        .filter(Debt::is_open)
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

/// Takes one rotation as far as it goes now. `true` when something changed.
pub async fn advance(desk: &Desk, id: RotationId, urgency: Urgency) -> Result<bool, Failure> {
    let (rotation, owed) =
        desk.read(move |conn| Ok((debts::rotation(conn, id)?, debts::of_rotation(conn, id)?))).await?;
    let Some(rotation) = rotation else { return Ok(false) };
    if owed.is_empty() {
        return Ok(false);
    }
    let now = desk.clock.now();
    match rotation.state {
        RotationState::Held { until } if urgency == Urgency::WhenDue && until > now => Ok(false),
        RotationState::Held { .. } => send(desk, &rotation, &owed).await,
        RotationState::Sending { since: at } => {
            if look(desk, &rotation, &owed).await? {
                return Ok(true);
            }
            let waited = since(at, now);
            if waited >= desk.policy.uncertain_pause { send(desk, &rotation, &owed).await } else { Ok(false) }
        }
        RotationState::Accepted { .. } | RotationState::Reported { .. } => look(desk, &rotation, &owed).await,
        RotationState::Blocked { .. } | RotationState::Over { .. } => Ok(false),
    }
}

/// Chooses the target, looks once more, commits, sends.
async fn send(desk: &Desk, rotation: &Rotation, owed: &[Debt]) -> Result<bool, Failure> {
    let seat = desk.seat()?;
    let id = rotation.id;
    if owed.iter().all(|debt| !debt.volume.can_be_rotated()) {
        return block(desk, id, Block::Removable).await;
    }
    let target = match target::choose(desk, &seat, rotation, owed).await? {
        Ok(target) => target,
        Err(why) => return block(desk, id, why).await,
    };
    let seen = see(&seat, target).await?;
    // Windows replaces a used password by itself where policy says so: then there is nothing to send.
    let owed = desk.read(move |conn| debts::of_rotation(conn, id)).await?;
    if prove(desk, &owed, &seen.keys, false).await? == owed.len() {
        return Ok(true);
    }
    let earlier = seen.managed.rotation.as_ref().and_then(|action| action.started);
    let Some(committed) = commit_sending(desk, rotation, target, earlier).await? else { return Ok(true) };
    if committed.elapsed() > SEND_WITHIN {
        return Ok(false);
    }
    let event = match seat.graph.rotate(target.managed).await {
        Ok(accepted) => Event::RotationAccepted { rotation: id, request_id: accepted.request_id, found: false },
        Err(RotateError::Refused { status: 401 | 403, .. }) => {
            Event::RotationBlocked { rotation: id, why: Block::NotPermitted }
        }
        Err(RotateError::Refused { status, code, .. }) => {
            Event::RotationBlocked { rotation: id, why: Block::Refused { status, code } }
        }
        // Certainly not sent: held again, and tried soon.
        Err(RotateError::NotSent { .. } | RotateError::SignIn(_)) => {
            let until = later(desk.clock.now(), desk.policy.watch_first);
            Event::RotationReturned { rotation: id, until }
        }
        // Perhaps sent: the next look tells.
        Err(RotateError::Uncertain { .. }) => return Ok(true),
    };
    desk.record(move |pen| pen.append(None, &event)).await?;
    desk.debts_changed();
    Ok(true)
}

/// *Sending*, durably, before the request leaves. `None` when another desk was faster, or another rotation already serves this target.
async fn commit_sending(
    desk: &Desk,
    rotation: &Rotation,
    target: Target,
    earlier: Option<Timestamp>,
) -> Result<Option<Instant>, Failure> {
    let before = rotation.clone();
    let won = desk
        .record(move |pen| {
            let id = before.id;
            let now = debts::rotation(pen.conn(), id)?.ok_or_else(|| TxError::Row(format!("no rotation {id}")))?;
            if now.state != before.state {
                return Ok(false);
            }
            if let Some(into) = debts::under_way_for(pen.conn(), target.managed, id)? {
                pen.append(None, &Event::RotationJoined { rotation: id, into })?;
                return Ok(false);
            }
            pen.append(None, &Event::RotationSending { rotation: id, earlier })?;
            Ok(true)
        })
        .await?;
    Ok(won.then(Instant::now))
}

async fn block(desk: &Desk, rotation: RotationId, why: Block) -> Result<bool, Failure> {
    desk.record(move |pen| pen.append(None, &Event::RotationBlocked { rotation, why })).await?;
    desk.debts_changed();
    Ok(true)
}
