//! What is in the tenant: people, devices, Intune's objects, keys, audit records, and what is about to happen.
//! Every list is indexed by what requests ask for.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{dice::Dice, people::Person, rotation::Event};

/// How a device is known to Entra; serialized as Graph prints `trustType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    AzureAd,
    ServerAd,
    Workplace,
}

impl Trust {
    pub fn as_graph(self) -> &'static str {
        match self {
            Self::AzureAd => "AzureAd",
            Self::ServerAd => "ServerAd",
            Self::Workplace => "Workplace",
        }
    }
}

/// An Entra device object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "Entra calls it the device id")]
pub struct Device {
    pub object_id: Uuid,
    pub device_id: Uuid,
    pub name: String,
    pub trust: Trust,
    pub enabled: bool,
    pub os_version: String,
    pub registered: Option<Timestamp>,
    pub signed_in: Option<Timestamp>,
    pub compliant: Option<bool>,
    pub managed: bool,
    /// Person id of the registered owner.
    pub owner: Option<Uuid>,
    pub physical_ids: Vec<String>,
    pub manufacturer: String,
    pub model: String,
    /// Deleted from the directory; its keys are still listed.
    pub deleted: bool,
}

/// An Intune managed device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Managed {
    pub id: Uuid,
    /// Entra device id, Intune's `azureADDeviceId`.
    pub device_id: Uuid,
    pub name: String,
    pub serial: String,
    pub manufacturer: String,
    pub model: String,
    /// Person id of the primary user.
    pub user: Option<Uuid>,
    pub compliant: Option<bool>,
    pub enrolled: Timestamp,
    pub synced: Timestamp,
    pub os_version: String,
    pub trust: Trust,
    pub habit: Habit,
    /// Remote actions, at most one of a name.
    pub actions: Vec<Action>,
}

/// How a machine answers a rotation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Habit {
    pub never_checks_in: bool,
    pub fails_with: Option<i32>,
    /// Seconds until it checks in; the scenario's rule where missing.
    pub check_in: Option<i64>,
    pub deletes_old: bool,
    pub by_itself: bool,
    /// Prefixes of its next keys.
    pub next: Vec<String>,
}

/// An entry of `deviceActionResults`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Action {
    pub name: String,
    /// As Graph prints it: pending, done, failed.
    pub state: String,
    pub started: Timestamp,
    pub updated: Timestamp,
    /// Signed HRESULT; 0 without one.
    pub error_code: i32,
}

/// Which drive a key unlocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Volume {
    OperatingSystem,
    FixedData,
    RemovableData,
    Unknown,
}

impl Volume {
    /// `volumeType` as Graph sends it; null for an unknown one.
    pub fn as_graph(self) -> Option<&'static str> {
        match self {
            Self::OperatingSystem => Some("1"),
            Self::FixedData => Some("2"),
            Self::RemovableData => Some("3"),
            Self::Unknown => None,
        }
    }
}

/// What Entra keeps of a recovery key, without its digits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Key {
    pub id: Uuid,
    pub device_id: Uuid,
    pub volume: Volume,
    pub created: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activity {
    Read,
    Add,
    Delete,
}

impl Activity {
    pub fn as_graph(self) -> &'static str {
        match self {
            Self::Read => "Read BitLocker key",
            Self::Add => "Add BitLocker key",
            Self::Delete => "Delete BitLocker key",
        }
    }
}

/// A record of the directory's audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Audit {
    pub id: String,
    pub correlation: Uuid,
    pub activity: Activity,
    pub at: Timestamp,
    /// Not listed before this moment.
    pub visible: Timestamp,
    /// Person id; `None` for the Device Registration Service itself.
    pub person: Option<Uuid>,
    pub key: Uuid,
    pub device_id: Uuid,
}

/// A refresh token that was handed out, by its digest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    pub person: Uuid,
    pub client_id: Uuid,
    /// As it was asked for.
    pub scope: String,
    pub issued: Timestamp,
    pub revoked: bool,
    /// The authentication contexts a person has met.
    #[serde(default)]
    pub contexts: Vec<String>,
}

/// The tenant's data. Serializes to a state file: no digits of any key, no token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct World {
    pub seed: u64,
    pub tenant_id: Uuid,
    pub people: Vec<Person>,
    pub devices: BTreeMap<Uuid, Device>,
    pub managed: BTreeMap<Uuid, Managed>,
    pub keys: BTreeMap<Uuid, Key>,
    pub audits: Vec<Audit>,
    pub grants: HashMap<String, Grant>,
    /// What is about to happen, in no order.
    pub due: Vec<Due>,
    /// How many things were drawn since the tenant began, so that the next draw is a new one.
    pub drawn: u64,
    #[serde(skip)]
    index: Index,
    /// Changed since it was last saved.
    #[serde(skip)]
    pub changed: bool,
}

/// Something that will happen at a moment of simulated time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Due {
    pub at: Timestamp,
    pub event: Event,
}

#[derive(Debug, Clone, Default)]
struct Index {
    people: HashMap<Uuid, usize>,
    people_by_upn: HashMap<String, usize>,
    device_by_id: HashMap<Uuid, Uuid>,
    managed_by_device: HashMap<Uuid, Vec<Uuid>>,
    managed_by_serial: HashMap<String, Vec<Uuid>>,
    managed_by_user: HashMap<Uuid, Vec<Uuid>>,
    keys_by_device: HashMap<Uuid, Vec<Uuid>>,
}

impl World {
    pub fn empty(seed: u64) -> Self {
        Self {
            seed,
            tenant_id: Dice::new(seed, "tenant").guid(),
            people: Vec::new(),
            devices: BTreeMap::new(),
            managed: BTreeMap::new(),
            keys: BTreeMap::new(),
            audits: Vec::new(),
            grants: HashMap::new(),
            due: Vec::new(),
            drawn: 0,
            index: Index::default(),
            changed: true,
        }
    }

    /// Build the indexes anew, after loading.
    pub fn reindex(&mut self) {
        let mut index = Index::default();
        for (place, person) in self.people.iter().enumerate() {
            index.people.insert(person.id, place);
            index.people_by_upn.insert(person.upn.to_lowercase(), place);
        }
        for device in self.devices.values() {
            index.device_by_id.insert(device.device_id, device.object_id);
        }
        for managed in self.managed.values() {
            index.add_managed(managed);
        }
        let mut keys: Vec<&Key> = self.keys.values().collect();
        // The sort is stable: among keys of one moment the order of ids decides, as ever.
        keys.sort_by_key(|key| key.created);
        for key in keys {
            index.keys_by_device.entry(key.device_id).or_default().push(key.id);
        }
        self.index = index;
    }

    pub fn add_person(&mut self, person: Person) -> Uuid {
        let (id, place) = (person.id, self.people.len());
        self.index.people.insert(id, place);
        self.index.people_by_upn.insert(person.upn.to_lowercase(), place);
        self.people.push(person);
        id
    }

    pub fn add_device(&mut self, device: Device) {
        self.index.device_by_id.insert(device.device_id, device.object_id);
        self.devices.insert(device.object_id, device);
    }

    pub fn add_managed(&mut self, managed: Managed) {
        self.index.add_managed(&managed);
        self.managed.insert(managed.id, managed);
    }

    pub fn add_key(&mut self, key: Key) {
        let ids = self.index.keys_by_device.entry(key.device_id).or_default();
        let older = |id: &Uuid| self.keys.get(id).is_some_and(|other| other.created <= key.created);
        ids.insert(ids.partition_point(older), key.id);
        self.keys.insert(key.id, key);
        self.changed = true;
    }

    pub fn remove_key(&mut self, id: Uuid) -> Option<Key> {
        let key = self.keys.remove(&id)?;
        if let Some(ids) = self.index.keys_by_device.get_mut(&key.device_id) {
            ids.retain(|other| *other != id);
        }
        self.changed = true;
        Some(key)
    }

    pub fn person(&self, id: Uuid) -> Option<&Person> {
        self.index.people.get(&id).and_then(|place| self.people.get(*place))
    }

    pub fn person_by_upn(&self, upn: &str) -> Option<&Person> {
        self.index.people_by_upn.get(&upn.to_lowercase()).and_then(|place| self.people.get(*place))
    }

    /// The device object with this Entra device id, deleted ones too.
    pub fn device_by_id(&self, device_id: Uuid) -> Option<&Device> {
        self.index.device_by_id.get(&device_id).and_then(|object| self.devices.get(object))
    }

    pub fn managed_by_device(&self, device_id: Uuid) -> impl Iterator<Item = &Managed> {
        self.managed_of(self.index.managed_by_device.get(&device_id))
    }

    /// Serial numbers are compared without regard to case.
    pub fn managed_by_serial(&self, serial: &str) -> impl Iterator<Item = &Managed> {
        self.managed_of(self.index.managed_by_serial.get(&serial.to_lowercase()))
    }

    pub fn managed_by_user(&self, person: Uuid) -> impl Iterator<Item = &Managed> {
        self.managed_of(self.index.managed_by_user.get(&person))
    }

    fn managed_of<'a>(&'a self, ids: Option<&'a Vec<Uuid>>) -> impl Iterator<Item = &'a Managed> {
        ids.into_iter().flatten().filter_map(|id| self.managed.get(id))
    }

    /// The keys backed up from a device, oldest first.
    pub fn keys_of(&self, device_id: Uuid) -> impl Iterator<Item = &Key> {
        self.index.keys_by_device.get(&device_id).into_iter().flatten().filter_map(|id| self.keys.get(id))
    }

    /// The newest key of each volume that a rotation replaces.
    pub fn current_keys(&self, device_id: Uuid) -> Vec<&Key> {
        let newest = |volume| self.keys_of(device_id).filter(|key| key.volume == volume).max_by_key(|key| key.created);
        [Volume::OperatingSystem, Volume::FixedData].into_iter().filter_map(newest).collect()
    }

    /// Fresh chance for one draw at run time.
    pub fn draw(&mut self) -> Dice {
        self.drawn += 1;
        self.changed = true;
        Dice::new(self.seed, &format!("draw {}", self.drawn))
    }

    pub fn schedule(&mut self, at: Timestamp, event: Event) {
        self.due.push(Due { at, event });
        self.changed = true;
    }

    /// The earliest thing that is due by `now`, taken off the list.
    pub fn take_due(&mut self, now: Timestamp) -> Option<Due> {
        let (place, _) = self.due.iter().enumerate().filter(|(_, due)| due.at <= now).min_by_key(|(_, due)| due.at)?;
        self.changed = true;
        Some(self.due.remove(place))
    }

    /// Write a record down that becomes visible `late` after it happened.
    pub fn record(&mut self, entry: Entry, late: SignedDuration, doubled: bool) {
        let mut dice = self.draw();
        let visible = entry.at.checked_add(late).unwrap_or(entry.at);
        let correlation = dice.guid();
        for copy in 0..=u8::from(doubled) {
            let tail = dice.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 5);
            self.audits.push(Audit {
                id: format!("Directory_{}_{tail}_{}", dice.guid(), 10_000_000 + self.drawn * 2 + u64::from(copy)),
                correlation,
                activity: entry.activity,
                at: entry.at,
                visible,
                person: entry.person,
                key: entry.key,
                device_id: entry.device_id,
            });
        }
    }
}

/// What an audit record says.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub activity: Activity,
    pub at: Timestamp,
    pub person: Option<Uuid>,
    pub key: Uuid,
    pub device_id: Uuid,
}

impl Index {
    fn add_managed(&mut self, managed: &Managed) {
        self.managed_by_device.entry(managed.device_id).or_default().push(managed.id);
        self.managed_by_serial.entry(managed.serial.to_lowercase()).or_default().push(managed.id);
        if let Some(user) = managed.user {
            self.managed_by_user.entry(user).or_default().push(managed.id);
        }
    }
}
