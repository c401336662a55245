//! The watcher: follows what is open, and only that, with growing pauses. No debt is forgotten while a desk runs.

use std::{collections::HashMap, time::Duration};

use crate::{
    desk::Desk,
    domain::{
        debt::{Debt, DebtState, Rotation, RotationId, RotationState},
        work::{Failure, Kind, News},
    },
    ops::rotate::{self, Urgency},
    store::debts,
};

/// How much longer each pause is than the one before, in percent.
const GROWTH: u32 = 150;
/// With nothing open, the ledger is looked at this often: another desk may have added to it.
const QUIET: Duration = Duration::from_mins(1);

/// When each open rotation is looked at next.
#[derive(Debug, Default)]
struct Schedule {
    pauses: HashMap<RotationId, Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    /// On the desk's own clock, which does not jump.
    next: Duration,
    length: Duration,
    failed: bool,
}

/// What a look brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Changed,
    Same,
    /// Entra or Intune could not be asked.
    Failed,
}

/// Runs until it is dropped. `tell` hears of every change.
pub async fn watch(desk: &Desk, tell: impl Fn(News) + Send + Sync) {
    let mut schedule = Schedule::default();
    // What is proved in the first round is news too.
    let mut known: Vec<Debt> = super::debts::list(desk).await.unwrap_or_default();
    tell(News::Debts(known.clone()));
    loop {
        let wait = match round(desk, &mut schedule).await {
            Ok(wait) => wait,
            Err(failure) => {
                tracing::warn!(%failure, "the watcher could not look");
                if failure.kind == Kind::SignIn {
                    tell(News::SignedOut);
                }
                QUIET
            }
        };
        if let Ok(debts) = super::debts::list(desk).await
            && debts != known
        {
            for sentence in changes(&known, &debts) {
                tell(News::Debt(sentence));
            }
            known.clone_from(&debts);
            tell(News::Debts(debts));
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = desk.until_debts_change() => schedule.wake(),
        }
    }
}

/// Takes everything that is due one step further, once: for a command, which does not stay to watch. A sentence for every debt that was
/// proved or came to need a person.
pub async fn once(desk: &Desk) -> Result<Vec<String>, Failure> {
    let before = super::debts::list(desk).await?;
    round(desk, &mut Schedule::default()).await?;
    Ok(changes(&before, &super::debts::list(desk).await?))
}

/// Takes every rotation that is due one step further. How long until the next is due.
async fn round(desk: &Desk, schedule: &mut Schedule) -> Result<Duration, Failure> {
    super::disclose::write_unwritten(desk).await;
    let Ok(seat) = desk.seat() else { return Ok(QUIET) };
    let tenant = seat.tenant.id;
    let open = desk.read(move |conn| debts::open_rotations(conn, tenant)).await?;
    schedule.pauses.retain(|id, _| open.iter().any(|rotation| rotation.id == *id));
    let mut wait = QUIET;
    for rotation in open {
        let Some(until) = due_in(desk, schedule, &rotation) else { continue };
        if until.is_zero() {
            let outcome = rotate::advance(desk, rotation.id, Urgency::WhenDue).await;
            if let Err(failure) = &outcome
                && failure.kind == Kind::SignIn
            {
                return outcome.map(|_| QUIET);
            }
            let step = match outcome {
                Ok(true) => Step::Changed,
                Ok(false) => Step::Same,
                Err(failure) => {
                    tracing::warn!(%failure, "a replacement could not be followed");
                    Step::Failed
                }
            };
            let moment = desk.clock.moment();
            schedule.after(rotation.id, moment.up, step, desk.policy.watch_first, desk.policy.watch_longest);
            wait = wait.min(schedule.left(rotation.id, moment.up));
        } else {
            wait = wait.min(until);
        }
    }
    Ok(wait)
}

/// How long until this rotation is due; `None` when it waits for a person.
fn due_in(desk: &Desk, schedule: &Schedule, rotation: &Rotation) -> Option<Duration> {
    let moment = desk.clock.moment();
    match rotation.state {
        RotationState::Blocked { .. } | RotationState::Over { .. } => None,
        RotationState::Held { until } => Some(rotate::waits(desk, until).max(schedule.left(rotation.id, moment.up))),
        RotationState::Sending { .. } | RotationState::Accepted { .. } | RotationState::Reported { .. } => {
            Some(schedule.left(rotation.id, moment.up))
        }
    }
}

impl Schedule {
    fn left(&self, id: RotationId, up: Duration) -> Duration {
        self.pauses.get(&id).map_or(Duration::ZERO, |pause| pause.next.saturating_sub(up))
    }

    /// After a look: soon again when something changed, later and later when nothing does.
    fn after(&mut self, id: RotationId, up: Duration, step: Step, first: Duration, longest: Duration) {
        let length = match self.pauses.get(&id) {
            Some(pause) if step != Step::Changed => (pause.length * GROWTH / 100).min(longest),
            _ => first,
        };
        self.pauses.insert(id, Pause { next: up + length, length, failed: step == Step::Failed });
    }

    /// Somebody signed in, or something was sent or settled: what failed is tried again at once.
    fn wake(&mut self) {
        self.pauses.retain(|_, pause| !pause.failed);
    }
}

/// One sentence for each debt that was proved, or came to need a person.
fn changes(before: &[Debt], after: &[Debt]) -> Vec<String> {
    let mut said = Vec::new();
    for debt in after {
        let Some(old) = before.iter().find(|old| old.id == debt.id) else { continue };
        match &debt.state {
            DebtState::Proved { new_key, .. } if old.is_open() => {
                said.push(match new_key {
                    Some(key) => format!("{}: new key {} seen, the debt is paid.", debt.device_name, key.short()),
                    None => format!("{}: the debt is paid.", debt.device_name),
                });
            }
            DebtState::Owed if debt.is_blocked() && !old.is_blocked() => {
                said.push(format!("{}: the replacement is blocked. F2 says why.", debt.device_name));
            }
            _ => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(20);
    const LONGEST: Duration = Duration::from_mins(1);

    #[test]
    fn pauses_grow_while_nothing_changes_and_shrink_when_something_does() {
        let (mut schedule, id) = (Schedule::default(), RotationId::new());
        assert_eq!(schedule.left(id, Duration::ZERO), Duration::ZERO);
        let mut lengths = Vec::new();
        for _ in 0..5 {
            schedule.after(id, Duration::ZERO, Step::Same, FIRST, LONGEST);
            lengths.push(schedule.left(id, Duration::ZERO).as_secs());
        }
        assert_eq!(lengths, [20, 30, 45, 60, 60]);
        schedule.after(id, Duration::ZERO, Step::Changed, FIRST, LONGEST);
        assert_eq!(schedule.left(id, Duration::ZERO), FIRST);
    }

    #[test]
    fn what_failed_is_tried_again_as_soon_as_somebody_signs_in() {
        let (mut schedule, failed, same) = (Schedule::default(), RotationId::new(), RotationId::new());
        schedule.after(failed, Duration::ZERO, Step::Failed, FIRST, LONGEST);
        schedule.after(same, Duration::ZERO, Step::Same, FIRST, LONGEST);
        schedule.wake();
        assert_eq!(
            (schedule.left(failed, Duration::ZERO), schedule.left(same, Duration::ZERO)),
            (Duration::ZERO, FIRST)
        );
    }
}
