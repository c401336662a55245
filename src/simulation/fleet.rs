//! Machines by the number: a fleet's counts become device specs and the people who own them.

use std::collections::{HashSet, VecDeque};

use super::{
    dice::Dice,
    scenario::{
        DeviceRotationSpec, DeviceSpec, FleetSpec, KeySpec, Length, ManagedSpec, PersonSpec, TrustSpec, VolumeSpec,
    },
};

const DAY: i64 = 86_400;

/// What is special about a machine; at most one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    ReImaged,
    HandedOn,
    Twin,
    Pending,
    Disabled,
    WithoutIntune,
    EnrolledTwice,
    WithoutKey,
    Deleted,
    OfflineForGood,
}

/// Traits that any machine may have besides.
struct Traits {
    trust: TrustSpec,
    owned: bool,
    data_drive: bool,
    removable_drive: bool,
}

/// The people and devices of the fleet. Names in `taken` are not used again.
pub fn muster(
    fleet: &FleetSpec,
    domain: &str,
    mut taken: HashSet<String>,
    dice: &mut Dice,
) -> (Vec<PersonSpec>, Vec<DeviceSpec>) {
    let count = fleet.machines;
    let mut situations = situations(fleet);
    let mut plan = vec![None; count];
    for place in dice.order(count) {
        plan[place] = situations.pop_front();
    }
    let hybrid = first(dice, count, fleet.hybrid);
    let unowned: HashSet<usize> = {
        let mut all: Vec<usize> = hybrid.iter().copied().collect();
        all.sort_unstable();
        all.into_iter().take(fleet.hybrid_without_owner).collect()
    };
    let data = first(dice, count, fleet.with_data_drive);
    let removable = first(dice, count, fleet.with_removable_drive);
    let mut people = Roll { taken: HashSet::new(), people: Vec::new() };
    let mut devices = Vec::new();
    for (n, situation) in plan.into_iter().enumerate() {
        let is_hybrid = hybrid.contains(&n) || situation == Some(Situation::Pending);
        let traits = Traits {
            trust: if is_hybrid { TrustSpec::Hybrid } else { TrustSpec::Joined },
            owned: !unowned.contains(&n),
            data_drive: data.contains(&n),
            removable_drive: removable.contains(&n),
        };
        let owner = people.engage(fleet, domain, dice);
        let machine = machine(fleet, &owner, &traits, &mut taken, dice);
        devices.extend(objects(machine, situation, &owner, || people.engage(fleet, domain, dice)));
    }
    (people.people, devices)
}

fn situations(fleet: &FleetSpec) -> VecDeque<Situation> {
    let counts = [
        (fleet.re_imaged, Situation::ReImaged),
        (fleet.handed_on, Situation::HandedOn),
        (fleet.twins, Situation::Twin),
        (fleet.pending, Situation::Pending),
        (fleet.disabled, Situation::Disabled),
        (fleet.without_intune, Situation::WithoutIntune),
        (fleet.enrolled_twice, Situation::EnrolledTwice),
        (fleet.without_key, Situation::WithoutKey),
        (fleet.deleted, Situation::Deleted),
        (fleet.offline_for_good, Situation::OfflineForGood),
    ];
    counts.into_iter().flat_map(|(count, situation)| std::iter::repeat_n(situation, count)).collect()
}

fn first(dice: &mut Dice, of: usize, count: usize) -> HashSet<usize> {
    dice.order(of).into_iter().take(count).collect()
}

struct Roll {
    taken: HashSet<String>,
    people: Vec<PersonSpec>,
}

impl Roll {
    /// A new person of the organisation; gives their UPN.
    fn engage(&mut self, fleet: &FleetSpec, domain: &str, dice: &mut Dice) -> String {
        let given = dice.one_of(&fleet.given_names).cloned().unwrap_or_default();
        let family = dice.one_of(&fleet.family_names).cloned().unwrap_or_default();
        let local = |name: &str| name.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
        let stem = format!("{}.{}", local(&given), local(&family));
        let mut upn = format!("{stem}@{domain}");
        let mut n = 1;
        while !self.taken.insert(upn.clone()) {
            n += 1;
            upn = format!("{stem}{n}@{domain}");
        }
        self.people.push(PersonSpec {
            upn: upn.clone(),
            name: format!("{given} {family}"),
            department: dice.one_of(&fleet.departments).cloned().unwrap_or_default(),
            ..PersonSpec::default()
        });
        upn
    }
}

/// The live object of an ordinary machine.
fn machine(
    fleet: &FleetSpec,
    owner: &str,
    traits: &Traits,
    taken: &mut HashSet<String>,
    dice: &mut Dice,
) -> DeviceSpec {
    let Some(model) = dice.one_weighted(&fleet.models, |model| model.share) else { return DeviceSpec::default() };
    let mut name = format!("{}{:04}", model.name_prefix, dice.between(100, 9999));
    while !taken.insert(name.clone()) {
        name = format!("{}{:04}", model.name_prefix, dice.between(100, 9999));
    }
    let registered = dice.between(40, 900) * DAY + dice.between(0, DAY);
    let mut keys = Vec::new();
    let mut age = registered;
    for _ in 0..dice.between(1, 3) {
        keys.push(key(VolumeSpec::Os, age));
        age = dice.between(DAY, age);
    }
    if traits.data_drive {
        keys.push(key(VolumeSpec::Fixed, registered - dice.between(60, DAY)));
    }
    if traits.removable_drive {
        keys.push(key(VolumeSpec::Removable, dice.between(DAY, registered)));
    }
    DeviceSpec {
        trust: traits.trust,
        owner: traits.owned.then(|| owner.to_owned()),
        registered: Some(Length::seconds(registered)),
        signed_in: Some(Length::seconds(dice.between(600, 13 * DAY))),
        compliant: Some(dice.between(1, 100) <= 93),
        autopilot: (traits.trust == TrustSpec::Joined).then(|| name.clone()),
        manufacturer: model.manufacturer.clone(),
        model: model.model.clone(),
        serial: dice.text("0123456789BCDFGHJKLMNPQRSTVWXYZ", 7),
        os_version: dice
            .one_of(&["10.0.26100.6899", "10.0.26100.6584", "10.0.22631.6060", "10.0.19045.6456"])
            .map(ToString::to_string)
            .unwrap_or_default(),
        rotation: DeviceRotationSpec {
            check_in: Some(Length::seconds(dice.between(60, 900))),
            deletes_old: dice.between(1, 3) == 1,
            ..DeviceRotationSpec::default()
        },
        keys,
        name,
        ..DeviceSpec::default()
    }
}

fn key(volume: VolumeSpec, age_seconds: i64) -> KeySpec {
    KeySpec { prefix: String::new(), volume, age: Length::seconds(age_seconds) }
}

/// The Entra objects that a machine in this situation has left behind, the live one last.
fn objects(
    mut live: DeviceSpec,
    situation: Option<Situation>,
    owner: &str,
    mut somebody_else: impl FnMut() -> String,
) -> Vec<DeviceSpec> {
    let registered = live.registered.map_or(0, |age| age.0.as_secs());
    let mut before = Vec::new();
    match situation {
        None => {}
        Some(Situation::ReImaged) => {
            let hardware = live.name.clone();
            live.autopilot = Some(hardware);
            before.push(stale_object(&live, registered));
        }
        Some(Situation::HandedOn) => {
            live.owner = Some(somebody_else());
            live.more_old_keys = 2;
        }
        Some(Situation::Twin) => before.push(DeviceSpec {
            name: live.name.clone(),
            trust: TrustSpec::Registered,
            owner: Some(owner.to_owned()),
            registered: Some(Length::seconds(registered + 20 * DAY)),
            signed_in: Some(Length::seconds(DAY)),
            manufacturer: live.manufacturer.clone(),
            model: live.model.clone(),
            os_version: live.os_version.clone(),
            ..DeviceSpec::default()
        }),
        Some(Situation::Pending) => {
            live.registered = None;
            live.signed_in = None;
            live.owner = None;
            live.compliant = None;
            live.keys.clear();
        }
        Some(Situation::Disabled) => live.disabled = true,
        Some(Situation::WithoutIntune) => {
            live.managed = Some(Vec::new());
            live.compliant = None;
        }
        Some(Situation::EnrolledTwice) => {
            let older = ManagedSpec { synced: Some(Length::seconds(registered)), ..ManagedSpec::default() };
            live.managed = Some(vec![older, ManagedSpec::default()]);
        }
        Some(Situation::WithoutKey) => live.keys.clear(),
        Some(Situation::Deleted) => live.deleted = true,
        Some(Situation::OfflineForGood) => live.rotation.never_checks_in = true,
    }
    before.push(live);
    before
}

/// What the machine was before it was set up anew: same hardware, old keys, an Intune object that never syncs again.
fn stale_object(live: &DeviceSpec, registered: i64) -> DeviceSpec {
    DeviceSpec {
        registered: Some(Length::seconds(registered + 300 * DAY)),
        signed_in: Some(Length::seconds(registered + 6 * DAY)),
        compliant: Some(false),
        keys: vec![key(VolumeSpec::Os, registered + 299 * DAY), key(VolumeSpec::Os, registered + 90 * DAY)],
        rotation: DeviceRotationSpec { never_checks_in: true, ..DeviceRotationSpec::default() },
        ..live.clone()
    }
}
