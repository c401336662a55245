//! The machine: given a rotation, its debts and what was seen, what to write down and what to do next. It asks nobody; the op that asks
//! tells it what came, and asks again.

use std::time::Duration;

use jiff::Timestamp;

use super::{Block, Debt, Proof, Replacement, Rotation, RotationState, Target, is_passing, replacement};
use crate::domain::{
    device::{ActionResult, ActionState, ManagedDevice},
    event::{Event, Return},
    key::Key,
    moment::{later, since},
    policy::Policy,
};

/// A rotation that was sent this long ago and paid nothing wants a person.
const PATIENCE: Duration = Duration::from_hours(14 * 24);
/// A laptop that is busy is asked again so often before a person is.
const BUSY_TRIES: u32 = 4;

/// What of the policy decides.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub rotation_delay: Duration,
    pub uncertain_pause: Duration,
    pub watch_longest: Duration,
    pub closes: Proof,
}

impl Times {
    pub fn of(policy: &Policy) -> Self {
        Self {
            rotation_delay: policy.rotation_delay,
            uncertain_pause: policy.uncertain_pause,
            watch_longest: policy.watch_longest,
            closes: policy.closes,
        }
    }

    /// How long a held rotation still waits. A time further off than any pause of ours was set by a clock that has jumped: it is due.
    pub fn waits(&self, until: Timestamp, now: Timestamp) -> Duration {
        let left = since(now, until);
        if left > self.rotation_delay.max(self.busy_pause(BUSY_TRIES)) { Duration::ZERO } else { left }
    }

    /// The pause before a busy laptop is asked for the time after `times`: each is twice the one before.
    fn busy_pause(&self, times: u32) -> Duration {
        self.watch_longest.saturating_mul(1 << times.saturating_sub(1).min(BUSY_TRIES))
    }
}

/// Whether a held rotation may wait on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Send what is held, whatever its time.
    Now,
    /// Send what is held when its time has come.
    WhenDue,
}

/// What Intune and Entra say now of the rotation's target.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    Seen(Box<Seen>),
    /// The Intune object is gone, or belongs to another Entra device now.
    Gone,
}

/// The keys of the target's Entra device, and the managed device with its newest rotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub keys: Vec<Key>,
    pub managed: ManagedDevice,
}

/// Everything that is known when a rotation is taken further.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    pub rotation: &'a Rotation,
    /// The open debts it is to pay.
    pub owed: &'a [Debt],
    pub now: Timestamp,
    pub urgency: Urgency,
    pub times: Times,
    /// What choosing a target came to, once it was asked for.
    pub choice: Option<Result<Target, Block>>,
    /// What looking came to, once it was asked for. Where Entra or Intune could not be asked, nobody decides: the rotation stays.
    pub sight: Option<Sight>,
}

/// What to write down, and what to do then.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// In one transaction: proofs if their debt is still open, the rest if the rotation still stands as it was.
    pub events: Vec<Event>,
    pub next: Next,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, until somebody looks again.
    Rest,
    /// Choose the target, then decide again.
    Choose,
    /// Look at Entra and Intune, then decide again.
    Look(Target),
    /// Commit *sending*, then send.
    Send { target: Target, earlier: Option<Timestamp> },
}

impl Decision {
    fn next(next: Next) -> Self {
        Self { events: Vec::new(), next }
    }

    fn write(events: Vec<Event>) -> Self {
        Self { events, next: Next::Rest }
    }
}

/// Decides.
pub fn decide(situation: &Situation<'_>) -> Decision {
    let Situation { rotation, owed, now, times, .. } = situation;
    if owed.is_empty() {
        return Decision::next(Next::Rest);
    }
    match rotation.state {
        RotationState::Held { until } => {
            let is_due = times.waits(until, *now).is_zero();
            if situation.urgency == Urgency::Now || is_due { to_send(situation) } else { Decision::next(Next::Rest) }
        }
        RotationState::Sending { since: at } => {
            let decision = look(situation);
            // A time in the future was set by a clock that has jumped back.
            let pause_over = since(at, *now) >= times.uncertain_pause || since(*now, at) > times.uncertain_pause;
            match (&situation.sight, rotation.target) {
                (Some(Sight::Seen(seen)), Some(target)) if pause_over && is_quiet(&decision) => {
                    Decision { next: send(target, seen), ..decision }
                }
                _ => decision,
            }
        }
        RotationState::Accepted { .. } | RotationState::Reported { .. } => look(situation),
        RotationState::Blocked { .. } | RotationState::Over { .. } => Decision::next(Next::Rest),
    }
}

/// Nothing was seen that changes what the rotation is about: at most that the laptop checked in, or that some of its debts are paid.
fn is_quiet(decision: &Decision) -> bool {
    decision.next == Next::Rest
        && decision.events.iter().all(|event| matches!(event, Event::CheckedIn { .. } | Event::DebtProved { .. }))
}

/// A held rotation whose time has come: a target, a look, then the request.
fn to_send(situation: &Situation<'_>) -> Decision {
    let Situation { rotation, owed, .. } = situation;
    let block = |why| Decision::write(vec![Event::RotationBlocked { rotation: rotation.id, why }]);
    if owed.iter().all(|debt| !debt.volume.can_be_rotated()) {
        return block(Block::Removable);
    }
    let (target, chosen_now) = match (rotation.target, &situation.choice) {
        (Some(target), _) => (target, None),
        (None, Some(Ok(target))) => (*target, Some(*target)),
        (None, Some(Err(why))) => return block(why.clone()),
        (None, None) => return Decision::next(Next::Choose),
    };
    let targeted = chosen_now.map(|target| Event::RotationTargeted { rotation: rotation.id, target, chosen: false });
    match &situation.sight {
        None => Decision { events: targeted.into_iter().collect(), next: Next::Look(target) },
        Some(Sight::Gone) => block(Block::TargetGone),
        Some(Sight::Seen(seen)) => {
            // Windows replaces a used password by itself where policy says so: then there is nothing to send.
            let events = proofs(situation, seen);
            match () {
                () if events.len() == owed.len() => Decision { events, next: Next::Rest },
                // Asked for already, and not begun: it pays these debts too.
                () if is_under_way(seen, situation.now) => {
                    let found = Event::RotationAccepted { rotation: rotation.id, request_id: None, found: true };
                    Decision { events: events.into_iter().chain([found]).collect(), next: Next::Rest }
                }
                () => Decision { events, next: send(target, seen) },
            }
        }
    }
}

/// Intune waits for the laptop to carry out a rotation that somebody asked for lately.
fn is_under_way(seen: &Seen, now: Timestamp) -> bool {
    let waits = |action: &&ActionResult| matches!(action.state, ActionState::Pending | ActionState::Active);
    let started = seen.managed.rotation.as_ref().filter(waits).and_then(|action| action.started);
    started.is_some_and(|at| since(at, now) < PATIENCE)
}

fn send(target: Target, seen: &Seen) -> Next {
    Next::Send { target, earlier: seen.managed.rotation.as_ref().and_then(|action| action.started) }
}

/// A rotation under way: what can be proved is proved, what the laptop reported is written down.
fn look(situation: &Situation<'_>) -> Decision {
    let Situation { rotation, owed, .. } = situation;
    let Some(target) = rotation.target else { return Decision::next(Next::Rest) };
    match &situation.sight {
        None => Decision::next(Next::Look(target)),
        Some(Sight::Gone) => {
            Decision::write(vec![Event::RotationBlocked { rotation: rotation.id, why: Block::TargetGone }])
        }
        Some(Sight::Seen(seen)) => {
            let mut events = proofs(situation, seen);
            if events.len() < owed.len() {
                events.extend(news(situation, seen));
            }
            Decision::write(events)
        }
    }
}

/// Every debt whose replacement is seen in the grade the policy demands.
fn proofs(situation: &Situation<'_>, seen: &Seen) -> Vec<Event> {
    let closes = |found: &Replacement| found.grade >= situation.times.closes && found.grade > Proof::Probable;
    let proof = |debt: &Debt| {
        let found = seen.replacement(debt, situation.rotation).filter(closes)?;
        Some(Event::DebtProved { debt: debt.id, grade: found.grade, new_key: found.key })
    };
    situation.owed.iter().filter_map(proof).collect()
}

impl Seen {
    /// The rotation Intune remembers, if it started after the one remembered before ours.
    fn ours(&self, rotation: &Rotation) -> Option<&ActionResult> {
        self.managed.rotation.as_ref().filter(|action| action.started > rotation.earlier)
    }

    /// What replaces this debt's key. The laptop's success confirms it only for a debt that was there when the laptop acted.
    fn replacement(&self, debt: &Debt, rotation: &Rotation) -> Option<Replacement> {
        let done = self.ours(rotation).filter(|action| action.state == ActionState::Done);
        let confirms = done.is_some_and(|action| match (action.updated, debt.entra_time) {
            (Some(done), Some(made)) => done >= made,
            _ => false,
        });
        replacement(debt, &self.keys, confirms)
    }
}

/// What a look tells of a rotation whose debts are not all proved.
fn news(situation: &Situation<'_>, seen: &Seen) -> Vec<Event> {
    let Situation { rotation, now, .. } = situation;
    let id = rotation.id;
    let mut news = Vec::new();
    if let Some(at) = seen.managed.checked_in.filter(|at| Some(*at) > rotation.checked_in) {
        news.push(Event::CheckedIn { rotation: id, at });
    }
    let block = |why| Event::RotationBlocked { rotation: id, why };
    let ours = seen.ours(rotation);
    match (ours.map(|action| action.state), &rotation.state) {
        (Some(ActionState::Failed), _) => news.push(failed(situation, ours.map_or(0, |action| action.error))),
        (Some(ActionState::NotSupported), _) => news.push(block(Block::NotSupported)),
        (Some(ActionState::Canceled), _) => news.push(block(Block::Cancelled)),
        (Some(ActionState::Done), state) => {
            if !matches!(state, RotationState::Reported { .. }) {
                news.push(Event::RotationReported { rotation: id });
            }
            news.extend(after_success(situation, seen));
        }
        (Some(_), RotationState::Sending { .. }) => {
            news.push(Event::RotationAccepted { rotation: id, request_id: None, found: true });
        }
        _ => {}
    }
    let sent = match rotation.state {
        RotationState::Accepted { at } | RotationState::Reported { at } => Some(at),
        _ => None,
    };
    if news.iter().all(|event| matches!(event, Event::CheckedIn { .. }))
        && sent.is_some_and(|at| since(at, *now) > PATIENCE)
    {
        news.push(block(Block::NothingCame));
    }
    news
}

/// The laptop reported a failure: asked again by itself where that helps, a few times.
fn failed(situation: &Situation<'_>, hresult: i32) -> Event {
    let Situation { rotation, now, times, .. } = situation;
    let before = rotation.busy.map_or(0, |busy| busy.times);
    match is_passing(hresult) {
        true if before < BUSY_TRIES => Event::RotationReturned {
            rotation: rotation.id,
            until: later(*now, times.busy_pause(before + 1)),
            why: Return::Busy { hresult },
        },
        true => Event::RotationBlocked { rotation: rotation.id, why: Block::Reported { hresult, times: before + 1 } },
        false => Event::RotationBlocked { rotation: rotation.id, why: Block::Reported { hresult, times: 0 } },
    }
}

/// The laptop has done what was asked, and a debt is still not proved: what that means.
fn after_success(situation: &Situation<'_>, seen: &Seen) -> Option<Event> {
    let Situation { rotation, owed, now, .. } = situation;
    let id = rotation.id;
    let (left, found): (Vec<&Debt>, Vec<&Debt>) =
        owed.iter().partition(|debt| seen.replacement(debt, rotation).is_none());
    let done = seen.ours(rotation).and_then(|action| action.updated);
    let made_later = |debt: &&Debt| matches!((debt.entra_time, done), (Some(made), Some(done)) if done < made);
    if left.iter().any(made_later) {
        return Some(Event::RotationReturned { rotation: id, until: *now, why: Return::DoneTooEarly });
    }
    if !left.is_empty() && left.iter().all(|debt| !debt.volume.can_be_rotated()) {
        return Some(Event::RotationBlocked { rotation: id, why: Block::Removable });
    }
    let mut found = found.iter().filter_map(|debt| seen.replacement(debt, rotation));
    let doubtful = found.find(|found| found.grade == Proof::Probable)?;
    Some(Event::RotationBlocked { rotation: id, why: Block::Unsure { key: doubtful.key } })
}

#[cfg(test)]
mod tests;
