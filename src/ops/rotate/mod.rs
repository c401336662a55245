//! Rotations: how a debt is paid. Each step looks before it acts and commits before it sends.

mod request;
pub mod rows;
mod step;
mod target;

pub use crate::domain::debt::Urgency;
pub use request::request;
pub use step::advance;
pub(super) use target::chosen;

use crate::{
    desk::Desk,
    domain::{
        call::CallId,
        debt::{Debt, RotationId, RotationState, Times},
        work::{Failure, call::Note},
    },
    ops::calls,
    store::debts,
};

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
    // The most urgent first, as they are listed; one rotation pays several debts.
    let mut seen = std::collections::HashSet::new();
    held.retain(|rotation| seen.insert(*rotation));
    for rotation in held {
        // What fails here stays held: the watcher and the next start go on with it.
        if let Err(failure) = advance(desk, rotation, Urgency::Now).await {
            tracing::warn!(%failure, "replacement not sent yet");
        }
    }
    Ok(())
}

/// How long a held rotation still waits.
pub(super) fn waits(desk: &Desk, until: jiff::Timestamp) -> std::time::Duration {
    Times::of(&desk.policy).waits(until, desk.clock.now())
}
