//! What happens after a rotation was asked for: pending, done or failed, then new keys, then perhaps the old ones gone.
//! Nothing runs in the background: whatever came due is done before the next request is served.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    scenario::{AuditSpec, RotationSpec},
    world::{Action, Activity, Entry, Key, Trust, Volume, World},
};

/// The name Intune gives the action.
pub const ACTION: &str = "rotateBitLockerKeys";

/// Entra keeps no more keys of one device.
const MOST_KEYS: usize = 200;

/// HRESULTs of the two failures the simulation itself can cause.
const NOT_SUPPORTED: i32 = -2_146_893_783;
const BACKUP_ENDPOINT_BUSY: i32 = -2_144_272_159;

/// Something that happens later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    /// The machine checks in and carries a requested rotation out.
    CheckIn { managed: Uuid },
    /// New keys arrive in Entra.
    Escrow { managed: Uuid },
    /// Old keys leave Entra.
    Forget { keys: Vec<Uuid> },
}

/// How long things take, already divided by the speed.
#[derive(Debug, Clone)]
pub struct Pace {
    rotation: RotationSpec,
    audit: AuditSpec,
    speed: f64,
}

impl Pace {
    pub fn new(rotation: RotationSpec, audit: AuditSpec, speed: f64) -> Self {
        Self { rotation, audit, speed }
    }

    fn scale(&self, length: SignedDuration) -> SignedDuration {
        SignedDuration::try_from_secs_f64(length.as_secs_f64() / self.speed).unwrap_or(length)
    }
}

/// Accept a rotation: the action stands as pending, the machine will check in. False where there is no such object.
pub fn request(world: &mut World, pace: &Pace, managed_id: Uuid, now: Timestamp) -> bool {
    let Some(managed) = world.managed.get_mut(&managed_id) else { return false };
    managed.actions.retain(|action| action.name != ACTION);
    managed.actions.push(Action {
        name: ACTION.to_owned(),
        state: "pending".to_owned(),
        started: now,
        updated: now,
        error_code: 0,
    });
    world.changed = true;
    if !managed.habit.never_checks_in {
        let delay = managed.habit.check_in.map_or(pace.rotation.check_in.0, SignedDuration::from_secs);
        world.schedule(later(now, pace.scale(delay)), Event::CheckIn { managed: managed_id });
    }
    true
}

/// A key was read: a machine with client-driven rotation will replace it unasked.
pub fn key_was_read(world: &mut World, pace: &Pace, device_id: Uuid, now: Timestamp) {
    let by_itself = world.managed_by_device(device_id).find(|managed| managed.habit.by_itself);
    if let Some(managed) = by_itself.map(|managed| managed.id) {
        world.schedule(later(now, pace.scale(pace.rotation.by_itself.0)), Event::Escrow { managed });
    }
}

/// Let everything happen that is due by `now`, each at its own moment.
pub fn catch_up(world: &mut World, pace: &Pace, now: Timestamp) {
    while let Some(due) = world.take_due(now) {
        match due.event {
            Event::CheckIn { managed } => check_in(world, pace, managed, due.at),
            Event::Escrow { managed } => escrow(world, pace, managed, due.at),
            Event::Forget { keys } => forget(world, pace, &keys, due.at),
        }
    }
}

fn check_in(world: &mut World, pace: &Pace, id: Uuid, at: Timestamp) {
    let Some(device_id) = world.managed.get(&id).map(|managed| managed.device_id) else { return };
    let stored = world.keys_of(device_id).count();
    let replaced = world.current_keys(device_id).len();
    let Some(managed) = world.managed.get_mut(&id) else { return };
    let error_code = match managed.habit.fails_with {
        Some(code) => code,
        None if managed.trust == Trust::Workplace => NOT_SUPPORTED,
        None if stored + replaced > MOST_KEYS => BACKUP_ENDPOINT_BUSY,
        None => 0,
    };
    managed.synced = at;
    if let Some(action) = managed.actions.iter_mut().find(|action| action.name == ACTION) {
        if error_code == 0 { "done" } else { "failed" }.clone_into(&mut action.state);
        action.updated = at;
        action.error_code = error_code;
    }
    if error_code == 0 {
        world.schedule(later(at, pace.scale(pace.rotation.escrow.0)), Event::Escrow { managed: id });
    }
}

fn escrow(world: &mut World, pace: &Pace, id: Uuid, at: Timestamp) {
    let Some(managed) = world.managed.get_mut(&id) else { return };
    let device_id = managed.device_id;
    let deletes_old = managed.habit.deletes_old;
    let prefix = if managed.habit.next.is_empty() { String::new() } else { managed.habit.next.remove(0) };
    let old: Vec<(Uuid, Volume)> = world.current_keys(device_id).iter().map(|key| (key.id, key.volume)).collect();
    for (_, volume) in &old {
        let starts = if *volume == Volume::OperatingSystem { prefix.as_str() } else { "" };
        let id = world.draw().guid_starting(starts);
        world.add_key(Key { id, device_id, volume: *volume, created: at });
        record(world, pace, Entry { activity: Activity::Add, at, person: None, key: id, device_id });
    }
    if deletes_old {
        let keys = old.into_iter().map(|(id, _)| id).collect();
        world.schedule(later(at, pace.scale(pace.rotation.delete.0)), Event::Forget { keys });
    }
}

fn forget(world: &mut World, pace: &Pace, keys: &[Uuid], at: Timestamp) {
    for id in keys {
        if let Some(key) = world.remove_key(*id) {
            let entry = Entry { activity: Activity::Delete, at, person: None, key: key.id, device_id: key.device_id };
            record(world, pace, entry);
        }
    }
}

/// Write an audit record down, late and now and then twice, as the scenario says.
pub fn record(world: &mut World, pace: &Pace, entry: Entry) {
    let spread = world.draw().between(0, pace.audit.spread.0.as_secs());
    let late = pace.audit.late.0.saturating_add(SignedDuration::from_secs(spread));
    let nth = world.audits.len() as u64 + 1;
    let doubled = pace.audit.doubled_every != 0 && nth.is_multiple_of(pace.audit.doubled_every);
    world.record(entry, pace.scale(late), doubled);
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
