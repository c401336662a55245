//! What became of a rotation: read from Entra and Intune, never assumed.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    desk::{Desk, Seat},
    domain::{
        debt::{Block, Debt, DebtId, Replacement, Rotation, RotationState, Target, replacement},
        device::{ActionResult, ActionState, ManagedDevice},
        event::{Event, Return},
        key::Key,
        moment::since,
        policy::Proof,
        work::Failure,
    },
    graph::GraphError,
    store::debts,
};

/// A rotation that was sent this long ago and paid nothing wants a person.
const PATIENCE: Duration = Duration::from_hours(14 * 24);

/// What Intune and Entra say now.
pub(super) struct Seen {
    pub(super) keys: Vec<Key>,
    pub(super) managed: ManagedDevice,
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

/// Reads both. `None`: the Intune object is gone, or belongs to another Entra device now.
pub(super) async fn see(seat: &Seat, target: Target) -> Result<Option<Seen>, Failure> {
    let (keys, managed) = tokio::join!(seat.graph.keys_of_device(target.device), seat.graph.managed(target.managed));
    if let Ok(listed) = &keys {
        note(seat, listed.keys.clone()).await;
    }
    let managed = match managed {
        Err(GraphError::NotFound { .. }) => return Ok(None),
        managed => managed?,
    };
    Ok((managed.device == target.device).then_some(Seen { keys: keys?.keys, managed }))
}

/// The new key is found by its prefix from now on. Best effort: the index is no record.
async fn note(seat: &Seat, keys: Vec<Key>) {
    let index = seat.index.clone();
    if let Err(error) = crate::desk::unblocked(move || index.note_keys(&keys)).await {
        tracing::warn!(%error, "index not refreshed");
    }
}

/// Looks at a rotation under way: proves what can be proved, records what the laptop reported.
pub(super) async fn look(desk: &Desk, seat: &Seat, rotation: &Rotation, owed: &[Debt]) -> Result<bool, Failure> {
    let Some(target) = rotation.target else { return Ok(false) };
    let news = match see(seat, target).await? {
        None => vec![Event::RotationBlocked { rotation: rotation.id, why: Block::TargetGone }],
        Some(seen) => {
            if prove(desk, owed, &seen, rotation).await? == owed.len() {
                return Ok(true);
            }
            news(rotation, owed, &seen, desk.clock.now())
        }
    };
    if news.is_empty() {
        return Ok(false);
    }
    let (before, changed) = (rotation.clone(), news.iter().any(|event| !matches!(event, Event::CheckedIn { .. })));
    desk.record(move |pen| {
        // Another desk may have been faster.
        if debts::rotation(pen.conn(), before.id)?.is_some_and(|now| now.state == before.state) {
            for event in news {
                pen.append(None, &event)?;
            }
        }
        Ok(())
    })
    .await?;
    Ok(changed)
}

/// What a look tells of a rotation whose debts are not all proved.
fn news(rotation: &Rotation, owed: &[Debt], seen: &Seen, now: Timestamp) -> Vec<Event> {
    let id = rotation.id;
    let mut news = Vec::new();
    if let Some(at) = seen.managed.checked_in.filter(|at| Some(*at) > rotation.checked_in) {
        news.push(Event::CheckedIn { rotation: id, at });
    }
    let block = |why| Event::RotationBlocked { rotation: id, why };
    let ours = seen.ours(rotation);
    match (ours.map(|action| action.state), &rotation.state) {
        (Some(ActionState::Failed), _) => {
            news.push(block(Block::Reported { hresult: ours.map_or(0, |action| action.error) }));
        }
        (Some(ActionState::NotSupported), _) => news.push(block(Block::NotSupported)),
        (Some(ActionState::Canceled), _) => news.push(block(Block::Cancelled)),
        (Some(ActionState::Done), state) => {
            if !matches!(state, RotationState::Reported { .. }) {
                news.push(Event::RotationReported { rotation: id });
            }
            news.extend(after_success(rotation, owed, seen, now));
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
        && sent.is_some_and(|at| since(at, now) > PATIENCE)
    {
        news.push(block(Block::NothingCame));
    }
    news
}

/// The laptop has done what was asked, and a debt is still not proved: what that means.
fn after_success(rotation: &Rotation, owed: &[Debt], seen: &Seen, now: Timestamp) -> Option<Event> {
    let id = rotation.id;
    let (left, probable): (Vec<&Debt>, Vec<&Debt>) =
        owed.iter().partition(|debt| seen.replacement(debt, rotation).is_none());
    let done = seen.ours(rotation).and_then(|action| action.updated);
    let made_later = |debt: &&Debt| matches!((debt.entra_time, done), (Some(made), Some(done)) if done < made);
    if left.iter().any(made_later) {
        return Some(Event::RotationReturned { rotation: id, until: now, why: Return::DoneTooEarly });
    }
    if !left.is_empty() && left.iter().all(|debt| !debt.volume.can_be_rotated()) {
        return Some(Event::RotationBlocked { rotation: id, why: Block::Removable });
    }
    let mut found = probable.iter().filter_map(|debt| seen.replacement(debt, rotation));
    let doubtful = found.find(|found| found.grade == Proof::Probable)?;
    Some(Event::RotationBlocked { rotation: id, why: Block::Unsure { key: doubtful.key } })
}

/// Closes every debt whose replacement is seen in the grade the policy demands. How many it closed.
pub(super) async fn prove(desk: &Desk, owed: &[Debt], seen: &Seen, rotation: &Rotation) -> Result<usize, Failure> {
    let proofs: Vec<(DebtId, Replacement)> = owed
        .iter()
        .filter_map(|debt| Some((debt.id, seen.replacement(debt, rotation)?)))
        .filter(|(_, found)| found.grade >= desk.policy.closes && found.grade > Proof::Probable)
        .collect();
    if proofs.is_empty() {
        return Ok(0);
    }
    let count = proofs.len();
    desk.record(move |pen| {
        for (debt, found) in proofs {
            if debts::get(pen.conn(), debt)?.is_some_and(|debt| debt.is_open()) {
                pen.append(None, &Event::DebtProved { debt, grade: found.grade, new_key: found.key })?;
            }
        }
        Ok(())
    })
    .await?;
    desk.debts_changed();
    Ok(count)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        call::CallId,
        debt::{DebtId, DebtState, KnownKey, RotationId},
        device::{Compliance, DeviceId, ManagedDeviceId},
        key::Volume,
        key_id::KeyId,
    };

    const DONE: &str = "2026-11-20T09:10:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn rotation(state: RotationState) -> Rotation {
        Rotation { id: RotationId(Uuid::from_u128(1)), state, target: None, checked_in: None, earlier: None }
    }

    fn debt(key: u128, volume: Volume, made: &str) -> Debt {
        Debt {
            id: DebtId(Uuid::from_u128(key)),
            key: KeyId(Uuid::from_u128(key)),
            volume,
            device: DeviceId(Uuid::nil()),
            device_name: "HVC-LT-0421".into(),
            call: CallId::new(),
            ticket: serde_json::from_str("\"INC0048213\"").unwrap(),
            since: at(made),
            tenant: None,
            state: DebtState::Owed,
            known: vec![KnownKey { id: KeyId(Uuid::from_u128(key)), volume }],
            entra_time: Some(at(made)),
            compromised: None,
            rotation: None,
        }
    }

    fn seen(state: ActionState, error: i32) -> Seen {
        let action = ActionResult { state, started: Some(at("2026-11-20T09:05:00Z")), updated: Some(at(DONE)), error };
        Seen {
            keys: Vec::new(),
            managed: ManagedDevice {
                id: ManagedDeviceId(Uuid::nil()),
                device: DeviceId(Uuid::nil()),
                name: "HVC-LT-0421".into(),
                serial: "".into(),
                model: "".into(),
                owner: "".into(),
                owner_upn: "".into(),
                checked_in: None,
                enrolled: None,
                compliance: Compliance::Compliant,
                encrypted: None,
                rotation: Some(action),
            },
        }
    }

    fn accepted() -> Rotation {
        rotation(RotationState::Accepted { at: at("2026-11-20T09:05:00Z") })
    }

    #[test]
    fn a_debt_made_after_the_rotation_had_finished_has_it_sent_again() {
        let owed = [debt(7, Volume::OperatingSystem, "2026-11-20T09:11:00Z")];
        let told = news(&accepted(), &owed, &seen(ActionState::Done, 0), at("2026-11-20T09:12:00Z"));
        assert!(matches!(told[..], [Event::RotationReported { .. }, Event::RotationReturned { .. }]), "{told:?}");
    }

    #[test]
    fn a_debt_made_before_it_waits_for_its_key_once_the_laptop_has_reported() {
        let owed = [debt(7, Volume::OperatingSystem, "2026-11-20T09:00:00Z")];
        let told = news(&accepted(), &owed, &seen(ActionState::Done, 0), at("2026-11-20T09:12:00Z"));
        assert!(matches!(told[..], [Event::RotationReported { .. }]), "{told:?}");
        let reported = rotation(RotationState::Reported { at: at(DONE) });
        assert_eq!(news(&reported, &owed, &seen(ActionState::Done, 0), at("2026-11-20T09:12:00Z")), []);
    }

    #[test]
    fn a_rotation_that_was_cancelled_or_paid_nothing_for_two_weeks_wants_a_person() {
        let owed = [debt(7, Volume::OperatingSystem, "2026-11-20T09:00:00Z")];
        let told = news(&accepted(), &owed, &seen(ActionState::Canceled, 0), at("2026-11-20T09:12:00Z"));
        assert!(matches!(told[..], [Event::RotationBlocked { why: Block::Cancelled, .. }]), "{told:?}");
        let pending = seen(ActionState::Pending, 0);
        assert_eq!(news(&accepted(), &owed, &pending, at("2026-12-03T09:12:00Z")), []);
        let told = news(&accepted(), &owed, &pending, at("2026-12-05T09:12:00Z"));
        assert!(matches!(told[..], [Event::RotationBlocked { why: Block::NothingCame, .. }]), "{told:?}");
    }

    #[test]
    fn success_confirms_only_a_debt_that_was_there_when_the_laptop_acted() {
        let mut seen = seen(ActionState::Done, 0);
        seen.keys.push(Key {
            id: KeyId(Uuid::from_u128(99)),
            device: DeviceId(Uuid::nil()),
            escrowed: at(DONE),
            volume: Volume::OperatingSystem,
        });
        let grade = |made| seen.replacement(&debt(7, Volume::OperatingSystem, made), &accepted()).unwrap().grade;
        assert_eq!(grade("2026-11-20T09:00:00Z"), Proof::Confirmed);
        assert_eq!(grade("2026-11-20T09:11:00Z"), Proof::NewKeySeen);
    }

    #[test]
    fn a_removable_drives_debt_is_left_to_a_person() {
        let owed = [debt(7, Volume::RemovableData, "2026-11-20T09:00:00Z")];
        let told = news(&accepted(), &owed, &seen(ActionState::Done, 0), at("2026-11-20T09:12:00Z"));
        assert!(matches!(told[..], [_, Event::RotationBlocked { why: Block::Removable, .. }]), "{told:?}");
    }

    #[test]
    fn a_rotation_of_before_is_not_taken_for_ours() {
        let mut sending = rotation(RotationState::Sending { since: at(DONE) });
        sending.earlier = Some(at("2026-11-20T09:05:00Z"));
        let owed = [debt(7, Volume::OperatingSystem, "2026-11-20T09:00:00Z")];
        assert_eq!(news(&sending, &owed, &seen(ActionState::Failed, -1), at("2026-11-20T09:12:00Z")), []);
        sending.earlier = None;
        let told = news(&sending, &owed, &seen(ActionState::Pending, 0), at("2026-11-20T09:12:00Z"));
        assert!(matches!(told[..], [Event::RotationAccepted { found: true, .. }]), "{told:?}");
    }
}
