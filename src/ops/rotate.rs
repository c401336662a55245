//! Rotations: how a debt is paid. Each step looks before it acts and commits before it sends.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::{
    desk::{Desk, Seat},
    domain::{
        call::CallId,
        debt::{Block, Debt, DebtId, KnownKey, Replacement, Rotation, RotationId, RotationState, Target, replacement},
        device::{ActionResult, ActionState, DeviceId, ManagedDevice},
        event::Event,
        key::{Key, Volume},
        moment::{later, since},
        policy::Proof,
        ticket::Ticket,
        work::{Failure, Kind},
    },
    graph::RotateError,
    store::{TxError, calls, debts},
};

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

/// A replacement somebody asks for without reading a key: `keydesk rotate`. The debt it makes.
pub async fn request(desk: &Desk, device: DeviceId, ticket: &str) -> Result<DebtId, Failure> {
    let seat = desk.seat()?;
    let ticket = desk.policy.ticket.read(ticket).map_err(|e| Failure::new(Kind::Usage, e.to_string()))?;
    let listed = seat.graph.keys_of_device(device).await?;
    let current = listed
        .keys
        .iter()
        .filter(|key| key.volume.can_be_rotated())
        .max_by_key(|key| (key.volume == Volume::OperatingSystem, key.escrowed));
    let Some(current) = current.cloned() else {
        return Err(Failure::new(Kind::NotFound, "Entra holds no key of this device that could be replaced."));
    };
    let name = seat.graph.device(device).await?.map(|device| device.name).unwrap_or_default();
    let known = listed.keys.iter().map(|key| KnownKey { id: key.id, volume: key.volume }).collect();
    let wanted = Wanted { device, name, ticket, key: current, known, entra_time: listed.entra_time };
    let debt = record_request(desk, wanted).await?;
    desk.debts_changed();
    Ok(debt)
}

struct Wanted {
    device: DeviceId,
    name: crate::domain::foreign::Foreign,
    ticket: Ticket,
    key: Key,
    known: Vec<KnownKey>,
    entra_time: Option<Timestamp>,
}

async fn record_request(desk: &Desk, wanted: Wanted) -> Result<DebtId, Failure> {
    let debt = desk
        .record(move |pen| {
            if let Some(standing) = debts::open_for_key(pen.conn(), wanted.key.id)? {
                return Ok(standing);
            }
            let (debt, call) = (DebtId::new(), CallId::new());
            let number = calls::next_number(pen.conn())?;
            let opened = Event::CallOpened {
                number,
                key: wanted.key.id,
                volume: wanted.key.volume,
                device: wanted.device,
                device_name: wanted.name.clone(),
                heard: 0,
            };
            pen.append(Some(call), &opened)?;
            let requested = Event::ReplacementRequested {
                debt,
                rotation: debts::held_for_device(pen.conn(), wanted.device)?.unwrap_or_else(RotationId::new),
                held_until: pen.at(),
                key: wanted.key.id,
                volume: wanted.key.volume,
                device: wanted.device,
                device_name: wanted.name,
                ticket: wanted.ticket,
                known: wanted.known,
                entra_time: wanted.entra_time,
            };
            pen.append(Some(call), &requested)?;
            pen.append(Some(call), &Event::CallClosed)?;
            Ok(debt)
        })
        .await?;
    Ok(debt)
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

/// What Intune and Entra say now.
struct Seen {
    keys: Vec<Key>,
    managed: ManagedDevice,
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

async fn see(seat: &Seat, target: Target) -> Result<Seen, Failure> {
    let (keys, managed) = tokio::join!(seat.graph.keys_of_device(target.device), seat.graph.managed(target.managed));
    Ok(Seen { keys: keys?.keys, managed: managed? })
}

/// Chooses the target, looks once more, commits, sends.
async fn send(desk: &Desk, rotation: &Rotation, owed: &[Debt]) -> Result<bool, Failure> {
    let seat = desk.seat()?;
    let id = rotation.id;
    if owed.iter().all(|debt| !debt.volume.can_be_rotated()) {
        return block(desk, id, Block::Removable).await;
    }
    let target = match target(desk, &seat, rotation, owed).await? {
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

/// Looks at a rotation under way: proves what can be proved, records what the laptop reported.
async fn look(desk: &Desk, rotation: &Rotation, owed: &[Debt]) -> Result<bool, Failure> {
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
async fn prove(desk: &Desk, owed: &[Debt], keys: &[Key], reported: bool) -> Result<usize, Failure> {
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

async fn block(desk: &Desk, rotation: RotationId, why: Block) -> Result<bool, Failure> {
    desk.record(move |pen| pen.append(None, &Event::RotationBlocked { rotation, why })).await?;
    desk.debts_changed();
    Ok(true)
}

/// The Intune object to send to: the one of the device the key was found on, or the only one of the same hardware. Recorded once chosen.
async fn target(
    desk: &Desk,
    seat: &Seat,
    rotation: &Rotation,
    owed: &[Debt],
) -> Result<Result<Target, Block>, Failure> {
    if let Some(target) = rotation.target {
        return Ok(Ok(target));
    }
    let Some(first) = owed.first() else { return Ok(Err(Block::NoManagedDevice)) };
    let mut found = targets(seat.graph.managed_of_device(first.device).await?);
    if found.is_empty() {
        found = same_hardware(seat, first.device).await?;
    }
    let [target] = found[..] else {
        return Ok(Err(match found.len() {
            0 => Block::NoManagedDevice,
            count => Block::SeveralManagedDevices { count },
        }));
    };
    let id = rotation.id;
    desk.record(move |pen| pen.append(None, &Event::RotationTargeted { rotation: id, target })).await?;
    Ok(Ok(target))
}

fn targets(managed: Vec<ManagedDevice>) -> Vec<Target> {
    managed.into_iter().map(|managed| Target { managed: managed.id, device: managed.device }).collect()
}

/// The Intune objects of other Entra objects that carry the same hardware identity.
async fn same_hardware(seat: &Seat, device: DeviceId) -> Result<Vec<Target>, Failure> {
    let Some(device) = seat.graph.device(device).await? else { return Ok(Vec::new()) };
    let Some(hardware) = device.hardware else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for twin in seat.graph.devices_named(device.name.raw()).await? {
        if twin.id != device.id && twin.hardware == Some(hardware) {
            found.extend(targets(seat.graph.managed_of_device(twin.id).await?));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        debt::DebtState,
        device::{Compliance, ManagedDeviceId},
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
