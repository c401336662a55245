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
    let target = Target { managed: ManagedDeviceId(Uuid::nil()), device: DeviceId(Uuid::nil()) };
    Rotation { target: Some(target), ..Rotation::new(RotationId(Uuid::from_u128(1)), state) }
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
        key_deleted: None,
        source: None,
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

const TIMES: Times = Times {
    rotation_delay: Duration::from_mins(30),
    uncertain_pause: Duration::from_mins(2),
    watch_longest: Duration::from_mins(15),
    closes: Proof::NewKeySeen,
};

fn decided(rotation: &Rotation, owed: &[Debt], sight: Option<Sight>, now: Timestamp) -> Decision {
    let urgency = Urgency::WhenDue;
    decide(&Situation { rotation, owed, now, urgency, times: TIMES, choice: None, sight })
}

fn news(rotation: &Rotation, owed: &[Debt], seen: &Seen, now: Timestamp) -> Vec<Event> {
    decided(rotation, owed, Some(Sight::Seen(Box::new(seen.clone()))), now).events
}

#[test]
fn a_held_rotation_waits_until_its_time_and_a_jumped_clock_makes_it_due() {
    let now = at("2026-11-20T09:00:00Z");
    assert_eq!(TIMES.waits(later(now, Duration::from_mins(10)), now), Duration::from_mins(10));
    assert_eq!(TIMES.waits(now, later(now, Duration::from_mins(1))), Duration::ZERO);
    assert_eq!(TIMES.waits(later(now, Duration::from_hours(24 * 900)), now), Duration::ZERO);
}

#[test]
fn a_held_rotation_is_taken_further_question_by_question() {
    let owed = [debt(7, Volume::OperatingSystem, "2026-11-20T09:00:00Z")];
    let (early, due) = (at("2026-11-20T09:00:00Z"), at("2026-11-20T09:30:00Z"));
    let mut held = rotation(RotationState::Held { until: due });
    let target = held.target.take().unwrap();
    assert_eq!(decided(&held, &owed, None, early), Decision::next(Next::Rest));
    assert_eq!(decided(&held, &owed, None, due), Decision::next(Next::Choose));
    let choice = Some(Ok(target));
    let chosen = decide(&Situation {
        rotation: &held,
        owed: &owed,
        now: due,
        urgency: Urgency::WhenDue,
        times: TIMES,
        choice,
        sight: None,
    });
    let targeted = Event::RotationTargeted { rotation: held.id, target, chosen: false };
    assert_eq!(chosen, Decision { events: vec![targeted], next: Next::Look(target) });
    held.target = Some(target);
    let looked = decided(&held, &owed, Some(Sight::Seen(Box::new(seen(ActionState::Failed, -1)))), due);
    let earlier = Some(at("2026-11-20T09:05:00Z"));
    assert_eq!(looked, Decision::next(Next::Send { target, earlier }), "a failure of before is not ours");
}

#[test]
fn an_uncertain_request_is_repeated_after_the_pause_and_a_look_only() {
    let owed = [debt(7, Volume::OperatingSystem, "2026-11-20T09:00:00Z")];
    let mut sending = rotation(RotationState::Sending { since: at("2026-11-20T09:05:00Z") });
    sending.earlier = Some(at("2026-11-20T09:05:00Z"));
    let target = sending.target.unwrap();
    let sight = Sight::Seen(Box::new(seen(ActionState::Done, 0)));
    let (soon, later) = (at("2026-11-20T09:06:59Z"), at("2026-11-20T09:07:00Z"));
    assert_eq!(decided(&sending, &owed, None, later), Decision::next(Next::Look(target)));
    assert_eq!(decided(&sending, &owed, Some(sight.clone()), soon).next, Next::Rest);
    assert!(matches!(decided(&sending, &owed, Some(sight.clone()), later).next, Next::Send { .. }));
    // The laptop has begun what was asked: it was taken.
    sending.earlier = None;
    assert_eq!(decided(&sending, &owed, Some(sight), later).next, Next::Rest);
}

#[test]
fn a_laptop_that_is_busy_is_asked_again_with_growing_pauses_before_a_person_is() {
    let owed = [debt(7, Volume::OperatingSystem, "2026-11-20T09:00:00Z")];
    let now = at("2026-11-20T09:12:00Z");
    let busy = seen(ActionState::Failed, 0x8031_0059_u32.cast_signed());
    let mut waiting = accepted();
    let mut pauses = Vec::new();
    for _ in 0..BUSY_TRIES {
        let told = news(&waiting, &owed, &busy, now);
        let [returned @ Event::RotationReturned { until, why: Return::Busy { .. }, .. }] = &told[..] else {
            panic!("{told:?}")
        };
        pauses.push(since(now, *until).as_secs() / 60);
        waiting.apply(now, returned);
        assert!(TIMES.waits(*until, now) == since(now, *until), "a pause of ours is no clock that jumped");
        waiting.state = accepted().state;
    }
    assert_eq!(pauses, [15, 30, 60, 120]);
    let told = news(&waiting, &owed, &busy, now);
    assert!(matches!(told[..], [Event::RotationBlocked { why: Block::Reported { times: 5, .. }, .. }]), "{told:?}");
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
