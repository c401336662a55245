//! What became of a rotation: read from Entra and Intune, never assumed.

use jiff::Timestamp;

use crate::{
    desk::{Desk, Seat},
    domain::{
        debt::{Block, Debt, DebtId, Replacement, Rotation, RotationId, RotationState, Target, replacement},
        device::{ActionResult, ActionState, ManagedDevice},
        event::Event,
        key::Key,
        policy::Proof,
        work::Failure,
    },
    store::debts,
};

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

    /// Whether the laptop reported that ours succeeded.
    fn is_done(&self, rotation: &Rotation) -> bool {
        self.ours(rotation).is_some_and(|action| action.state == ActionState::Done)
    }
}

pub(super) async fn see(seat: &Seat, target: Target) -> Result<Seen, Failure> {
    let (keys, managed) = tokio::join!(seat.graph.keys_of_device(target.device), seat.graph.managed(target.managed));
    Ok(Seen { keys: keys?.keys, managed: managed? })
}

/// Looks at a rotation under way: proves what can be proved, records what the laptop reported.
pub(super) async fn look(desk: &Desk, rotation: &Rotation, owed: &[Debt]) -> Result<bool, Failure> {
    let seat = desk.seat()?;
    let Some(target) = rotation.target else { return Ok(false) };
    let seen = see(&seat, target).await?;
    if prove(desk, owed, &seen.keys, seen.is_done(rotation)).await? == owed.len() {
        return Ok(true);
    }
    let news = news(rotation, owed, &seen, desk.clock.now());
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
    let Some(action) = seen.ours(rotation) else { return news };
    let block = |why| Event::RotationBlocked { rotation: id, why };
    match (action.state, &rotation.state) {
        (ActionState::Failed, _) => news.push(block(Block::Reported { hresult: action.error })),
        (ActionState::NotSupported, _) => news.push(block(Block::NotSupported)),
        (ActionState::Done, state) => {
            if !matches!(state, RotationState::Reported { .. }) {
                news.push(Event::RotationReported { rotation: id });
            }
            news.extend(after_success(id, action, owed, &seen.keys, now));
        }
        (_, RotationState::Sending { .. }) => {
            news.push(Event::RotationAccepted { rotation: id, request_id: None, found: true });
        }
        _ => {}
    }
    news
}

/// The laptop has done what was asked, and a debt is still not proved: what that means.
fn after_success(id: RotationId, action: &ActionResult, owed: &[Debt], keys: &[Key], now: Timestamp) -> Option<Event> {
    let (left, probable): (Vec<&Debt>, Vec<&Debt>) =
        owed.iter().partition(|debt| replacement(debt, keys, true).is_none());
    let made_later =
        |debt: &&Debt| matches!((debt.entra_time, action.updated), (Some(made), Some(done)) if done < made);
    if left.iter().any(made_later) {
        // It had finished before this debt was made: another one has to pay it.
        return Some(Event::RotationReturned { rotation: id, until: now });
    }
    if !left.is_empty() && left.iter().all(|debt| !debt.volume.can_be_rotated()) {
        return Some(Event::RotationBlocked { rotation: id, why: Block::Removable });
    }
    let doubtful = probable
        .iter()
        .filter_map(|debt| replacement(debt, keys, true))
        .find(|found| found.grade == Proof::Probable)?;
    Some(Event::RotationBlocked { rotation: id, why: Block::Unsure { key: doubtful.key } })
}

/// Closes every debt whose replacement is seen in the grade the policy demands. How many it closed.
pub(super) async fn prove(desk: &Desk, owed: &[Debt], keys: &[Key], reported: bool) -> Result<usize, Failure> {
    let proofs: Vec<(DebtId, Replacement)> = owed
        .iter()
        .filter_map(|debt| Some((debt.id, replacement(debt, keys, reported)?)))
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
        debt::{DebtState, KnownKey},
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
            state: DebtState::Owed,
            known: vec![KnownKey { id: KeyId(Uuid::from_u128(key)), volume }],
            entra_time: Some(at(made)),
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
