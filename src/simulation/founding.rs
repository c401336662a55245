//! The first moment of a tenant: a scenario's words become people, devices and keys.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{
    dice::Dice,
    fleet,
    people::Person,
    scenario::{DeviceSpec, KeySpec, Length, ManagedSpec, PersonSpec, Scenario, TrustSpec, VolumeSpec},
    world::{Activity, Device, Entry, Habit, Key, Managed, Trust, Volume, World},
};

/// How far back the audit log of a new tenant reaches.
const AUDIT_RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Build the tenant as it stands at `now`.
pub fn found(scenario: &Scenario, seed: u64, now: Timestamp) -> World {
    let mut world = World::empty(seed);
    let mut dice = Dice::new(seed, "founding");
    for person in &scenario.people {
        world.add_person(Person::from_spec(person, &mut dice));
    }
    let reserved = reserved_starts(scenario);
    for device in &scenario.devices {
        Founder { world: &mut world, dice: &mut dice, now, reserved: &reserved }.device(device);
    }
    if let Some(fleet) = &scenario.fleet {
        let taken = scenario.devices.iter().map(|device| device.name.clone()).collect();
        let (people, devices) = fleet::muster(fleet, &scenario.tenant.domain, taken, &mut Dice::new(seed, "fleet"));
        let missing: Vec<PersonSpec> =
            people.into_iter().filter(|person| world.person_by_upn(&person.upn).is_none()).collect();
        for person in &missing {
            world.add_person(Person::from_spec(person, &mut dice));
        }
        for device in &devices {
            Founder { world: &mut world, dice: &mut dice, now, reserved: &reserved }.device(device);
        }
    }
    remember_escrows(&mut world, now);
    remember_reads(&mut world, scenario, now);
    world
}

/// The first four digits of every written key ID: no drawn key may start so, or the scenario's story would change
/// with the seed.
fn reserved_starts(scenario: &Scenario) -> Vec<String> {
    let written = scenario.devices.iter().flat_map(|device| {
        device.keys.iter().map(|key| &key.prefix).chain(&device.rotation.next).filter(|prefix| prefix.len() >= 4)
    });
    written.map(|prefix| prefix[..4].to_lowercase()).collect()
}

/// Keys escrowed within the audit log's retention have their "Add BitLocker key" record from the beginning.
fn remember_escrows(world: &mut World, now: Timestamp) {
    let since = before(now, Length(AUDIT_RETENTION));
    let mut recent: Vec<Key> = world.keys.values().filter(|key| key.created > since).cloned().collect();
    recent.sort_by_key(|key| (key.created, key.id));
    for key in recent {
        let entry =
            Entry { activity: Activity::Add, at: key.created, person: None, key: key.id, device_id: key.device_id };
        world.record(entry, SignedDuration::ZERO, false);
    }
}

/// Keys that the scenario says were read.
fn remember_reads(world: &mut World, scenario: &Scenario, now: Timestamp) {
    for read in &scenario.reads {
        let begins = read.key.to_lowercase();
        let key = world.keys.values().find(|key| key.id.to_string().starts_with(&begins));
        let Some((key, device_id)) = key.map(|key| (key.id, key.device_id)) else { continue };
        let person = read.by.as_deref().and_then(|upn| world.person_by_upn(upn)).map(|person| person.id);
        let entry = Entry { activity: Activity::Read, at: before(now, read.ago), person, key, device_id };
        world.record(entry, read.late.map_or(SignedDuration::ZERO, |late| late.0), read.doubled);
    }
}

fn before(now: Timestamp, age: Length) -> Timestamp {
    now.checked_sub(age.0).unwrap_or(Timestamp::MIN)
}

struct Founder<'a> {
    world: &'a mut World,
    dice: &'a mut Dice,
    now: Timestamp,
    reserved: &'a [String],
}

impl Founder<'_> {
    fn device(&mut self, spec: &DeviceSpec) {
        let trust = match spec.trust {
            TrustSpec::Joined => Trust::AzureAd,
            TrustSpec::Hybrid => Trust::ServerAd,
            TrustSpec::Registered => Trust::Workplace,
        };
        let object_id = self.dice.guid_starting(&spec.object_id);
        let device_id = self.dice.guid_starting(&spec.device_id);
        let managed = match &spec.managed {
            Some(written) => written.clone(),
            None if trust == Trust::Workplace || spec.registered.is_none() || spec.deleted => Vec::new(),
            None => vec![ManagedSpec::default()],
        };
        let device = Device {
            object_id,
            device_id,
            name: spec.name.clone(),
            trust,
            enabled: !spec.disabled,
            os_version: if spec.os_version.is_empty() { "10.0.26100.6899" } else { &spec.os_version }.to_owned(),
            registered: spec.registered.map(|age| before(self.now, age)),
            signed_in: spec.signed_in.map(|age| before(self.now, age)),
            compliant: spec.compliant,
            managed: !managed.is_empty(),
            owner: self.person(spec.owner.as_deref()),
            physical_ids: self.physical_ids(spec),
            manufacturer: spec.manufacturer.clone(),
            model: spec.model.clone(),
            deleted: spec.deleted,
        };
        for written in &managed {
            self.managed(spec, written, &device);
        }
        for key in &spec.keys {
            self.key(key, device_id);
        }
        let oldest = spec.keys.iter().map(|key| key.age).max().unwrap_or(Length::seconds(0));
        for n in 1..=spec.more_old_keys {
            let age = oldest.0.saturating_add(SignedDuration::from_hours(24 * i64::try_from(n).unwrap_or(i64::MAX)));
            self.key(&KeySpec { prefix: String::new(), volume: VolumeSpec::Os, age: Length(age) }, device_id);
        }
        self.world.add_device(device);
    }

    fn person(&self, upn: Option<&str>) -> Option<Uuid> {
        upn.and_then(|upn| self.world.person_by_upn(upn)).map(|person| person.id)
    }

    fn physical_ids(&mut self, spec: &DeviceSpec) -> Vec<String> {
        let (gid, hwid) = (self.dice.between(1 << 40, 1 << 52), self.dice.guid());
        let mut ids = vec![format!("[GID]:g:{gid}"), format!("[HWID]:h:{}", hwid.simple())];
        if let Some(label) = &spec.autopilot {
            let hardware = Dice::new(self.world.seed, &format!("autopilot {label}")).guid();
            // Both spellings occur in the field.
            let name = self.dice.one_of(&["ZTDId", "ZTDID"]).copied().unwrap_or("ZTDId");
            ids.push(format!("[{name}]:{hardware}"));
        }
        ids
    }

    fn managed(&mut self, spec: &DeviceSpec, written: &ManagedSpec, device: &Device) {
        let user = written.user.as_deref().or(spec.owner.as_deref());
        let age = written.synced.or(spec.signed_in).or(spec.registered).unwrap_or(Length::seconds(0));
        let rotation = &spec.rotation;
        let managed = Managed {
            id: self.dice.guid(),
            device_id: device.device_id,
            name: device.name.clone(),
            serial: written.serial.clone().unwrap_or_else(|| spec.serial.clone()),
            manufacturer: device.manufacturer.clone(),
            model: device.model.clone(),
            user: self.person(user),
            compliant: device.compliant,
            enrolled: device.registered.unwrap_or(self.now),
            synced: before(self.now, age),
            os_version: device.os_version.clone(),
            trust: device.trust,
            habit: Habit {
                never_checks_in: rotation.never_checks_in,
                fails_with: rotation.fails_with,
                check_in: rotation.check_in.map(|length| length.0.as_secs()),
                deletes_old: rotation.deletes_old,
                by_itself: rotation.by_itself,
                next: rotation.next.clone(),
            },
            actions: Vec::new(),
        };
        self.world.add_managed(managed);
    }

    fn key(&mut self, spec: &KeySpec, device_id: Uuid) {
        let volume = match spec.volume {
            VolumeSpec::Os => Volume::OperatingSystem,
            VolumeSpec::Fixed => Volume::FixedData,
            VolumeSpec::Removable => Volume::RemovableData,
            VolumeSpec::Unknown => Volume::Unknown,
        };
        let mut id = self.dice.guid_starting(&spec.prefix);
        while spec.prefix.is_empty() && self.reserved.contains(&id.to_string()[..4].to_owned()) {
            id = self.dice.guid();
        }
        self.world.add_key(Key { id, device_id, volume, created: before(self.now, spec.age) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::scenario::Source;

    fn world(source: &Source, seed: u64) -> World {
        found(&Scenario::load(source).unwrap(), seed, "2026-11-20T08:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_same_seed_founds_the_same_tenant() {
        let json = |seed| serde_json::to_value(world(&Source::OrdinaryMorning, seed)).unwrap();
        assert_eq!(json(1), json(1));
        assert_ne!(json(1), json(2));
    }

    #[test]
    fn an_ordinary_morning_has_some_400_devices_and_every_situation() {
        let world = world(&Source::OrdinaryMorning, 1);
        let devices: Vec<&Device> = world.devices.values().collect();
        assert!((380..=430).contains(&devices.len()), "{} devices", devices.len());
        let some = |what: &str, found: &dyn Fn(&Device) -> bool| {
            assert!(devices.iter().any(|device| found(device)), "no device {what}");
        };
        some("is registered only", &|device| device.trust == Trust::Workplace);
        some("is hybrid without owner", &|device| device.trust == Trust::ServerAd && device.owner.is_none());
        some("is pending", &|device| device.registered.is_none());
        some("is disabled", &|device| !device.enabled);
        some("has no Intune object", &|device| device.trust == Trust::AzureAd && !device.managed);
        some("has two Intune objects", &|device| world.managed_by_device(device.device_id).count() > 1);
        some("has 190 keys", &|device| world.keys_of(device.device_id).count() == 190);
        some("is deleted with keys", &|device| device.deleted && world.keys_of(device.device_id).count() > 0);
        some("has a right-to-left name", &|device| device.name.contains('\u{202e}'));
        some("has a control character in its name", &|device| device.name.chars().any(char::is_control));
        for volume in [Volume::OperatingSystem, Volume::FixedData, Volume::RemovableData] {
            assert!(world.keys.values().any(|key| key.volume == volume), "{volume:?}");
        }
    }

    #[test]
    fn no_drawn_key_starts_like_a_written_one_whatever_the_seed() {
        for seed in 0..5 {
            let world = world(&Source::OrdinaryMorning, seed);
            let alike = world.keys.keys().filter(|id| id.to_string().starts_with("4f2b")).count();
            assert_eq!(alike, 3);
        }
    }

    #[test]
    fn a_re_imaged_machine_shares_its_hardware_id_with_its_stale_object() {
        let world = world(&Source::Small, 1);
        let hardware = |device: &Device| {
            let id = device.physical_ids.iter().find(|id| id.to_lowercase().starts_with("[ztdid]:"));
            id.map(|id| id.to_lowercase())
        };
        let same: Vec<&Device> = world.devices.values().filter(|device| device.name == "HVC-LT-0421").collect();
        assert_eq!(same.len(), 3);
        let known: Vec<String> = same.iter().filter_map(|device| hardware(device)).collect();
        assert!(known.len() == 2 && known[0] == known[1], "{known:?}");
    }
}
