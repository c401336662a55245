//! The running tenant: the world behind its lock, its clock, and the handle that tests and the demo hold.

use std::{
    collections::HashMap,
    fs::File,
    io::Write,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Error, Options,
    clock::Clock,
    faults::{Fault, Faults},
    founding,
    log::{Entry, Log},
    password::recovery_password,
    rotation::{self, Pace},
    saved,
    scenario::Scenario,
    sign_in::{
        authorize::Code,
        claims::Demand,
        device_code::{Decision, Requests},
        signing::SigningKey,
    },
    web,
    world::{Key, Volume, World},
};

/// A handle on the simulated tenant. Clones share it.
#[derive(Debug, Clone)]
pub struct Tenant(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: Options,
    scenario: Scenario,
    pace: Pace,
    clock: Clock,
    state: Mutex<State>,
    signing: SigningKey,
    log: Log,
    faults: Faults,
    addr: SocketAddr,
    stopping: CancellationToken,
}

/// What a request may change.
#[derive(Debug)]
pub struct State {
    pub world: World,
    pub requests: Requests,
    /// Authorization codes of this run, by their text.
    pub codes: HashMap<String, Code>,
    /// What parts of Graph want tokens to carry.
    pub demands: Vec<Demand>,
    /// When audit queries were served lately.
    pub audit_queries: Vec<Timestamp>,
}

/// Who is on the phone in the demo, and what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingCaller {
    pub name: String,
    pub upn: String,
    pub department: String,
    pub device: String,
    pub model: String,
    pub serial: String,
    /// The key ID on the caller's screen: the device's current OS key as of now.
    pub key_id: Uuid,
    /// A sentence in the caller's words, the first eight characters of the key ID spelt out.
    pub says: String,
}

impl Tenant {
    pub(super) fn open(options: Options, addr: SocketAddr) -> Result<Self, Error> {
        let scenario = Scenario::load(&options.scenario)?;
        let name = options.scenario.to_string();
        let saved = match &options.state {
            Some(path) => saved::load(path, &name, options.seed)?,
            None => None,
        };
        let founded_off = || i64::try_from(options.clock_off.as_millis()).unwrap_or(0);
        let clock = Clock::ahead(saved.as_ref().map_or_else(founded_off, |saved| saved.offset_ms));
        let world = match saved {
            Some(saved) => saved.world,
            None => founding::found(&scenario, options.seed, clock.now()),
        };
        let tenant = Self(Arc::new(Inner {
            pace: Pace::new(scenario.rotation.clone(), scenario.audit.clone(), options.speed),
            clock,
            state: Mutex::new(State {
                world,
                requests: Requests::default(),
                codes: HashMap::new(),
                demands: Vec::new(),
                audit_queries: Vec::new(),
            }),
            signing: SigningKey::generate()?,
            log: Log::default(),
            faults: Faults::default(),
            addr,
            stopping: CancellationToken::new(),
            options,
            scenario,
        }));
        // What came due while the tenant was closed is done before the first request. A place that cannot be written
        // to is reported now rather than in the middle of a story.
        if let Some(path) = tenant.options().state.clone() {
            tenant.save(&path)?;
        }
        Ok(tenant)
    }

    /// Do something with the state at this moment. What came due is done first; what changed is saved afterwards.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        rotation::catch_up(&mut state.world, &self.0.pace, now);
        let result = work(&mut state, now);
        if let Some(path) = self.0.options.state.as_deref().filter(|_| state.world.changed) {
            match self.write_state(path, &state.world) {
                Ok(()) => state.world.changed = false,
                Err(error) => tracing::error!(%error, "the simulated tenant could not be saved"),
            }
        }
        result
    }

    fn write_state(&self, path: &Path, world: &World) -> Result<(), Error> {
        let name = self.0.options.scenario.to_string();
        saved::save(path, &name, self.0.clock.offset_ms(), world)
    }

    pub(super) fn scenario(&self) -> &Scenario {
        &self.0.scenario
    }

    pub(super) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(super) fn pace(&self) -> &Pace {
        &self.0.pace
    }

    pub(super) fn signing(&self) -> &SigningKey {
        &self.0.signing
    }

    pub(super) fn requests_log(&self) -> &Log {
        &self.0.log
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.0.addr
    }

    /// Entries on a page of keys and devices.
    pub(super) fn page_size(&self) -> usize {
        self.0.options.page_size.unwrap_or(self.0.scenario.graph.page_size).max(1)
    }

    /// Simulated time.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Let simulated time pass at once; what comes due happens.
    pub fn advance(&self, by: Duration) {
        self.0.clock.advance(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX));
        self.with(|state, _| state.world.changed = true);
    }

    pub fn id(&self) -> Uuid {
        self.with(|state, _| state.world.tenant_id)
    }

    pub fn name(&self) -> &str {
        &self.0.scenario.tenant.name
    }

    /// The domain its people sign in under; as good as the id wherever a tenant is named.
    pub fn domain(&self) -> &str {
        &self.0.scenario.tenant.domain
    }

    pub fn client_id(&self) -> Uuid {
        self.0.scenario.tenant.client_id
    }

    /// UPN of the person who signs in when nobody is named.
    pub fn technician(&self) -> &str {
        &self.0.scenario.tenant.technician
    }

    /// The `n`-th caller of the scenario, counted from 0 and starting over at its end; `None` where nobody calls.
    /// What they read from the screen follows the rotations: it is the device's current OS key.
    pub fn incoming_caller(&self, n: usize) -> Option<IncomingCaller> {
        let callers = &self.0.scenario.callers;
        let spec = callers.get(n.checked_rem(callers.len())?)?;
        self.with(|state, _| {
            let world = &state.world;
            let person = world.person_by_upn(&spec.who)?;
            let current =
                |device_id| world.keys_of(device_id).filter(|key| key.volume == Volume::OperatingSystem).last();
            let named = world.devices.values().filter(|device| device.name == spec.device);
            let (device, key) = named
                .filter_map(|device| current(device.device_id).map(|key| (device, key)))
                .max_by_key(|(_, key)| key.created)?;
            let serial = world.managed_by_device(device.device_id).last().map(|managed| managed.serial.clone());
            Some(IncomingCaller {
                name: person.name.clone(),
                upn: person.upn.clone(),
                department: person.department.clone(),
                device: device.name.clone(),
                model: device.model.clone(),
                serial: serial.unwrap_or_default(),
                key_id: key.id,
                says: spec.says.replace("{id}", &spoken(key.id)),
            })
        })
    }

    /// The 48 digits of a key, for tests that compare; `None` for a key that is not there.
    pub fn recovery_password(&self, key_id: Uuid) -> Option<String> {
        self.with(|state, _| {
            state.world.keys.contains_key(&key_id).then(|| recovery_password(state.world.seed, key_id))
        })
    }

    /// Approve the sign-in that waits under `user_code`, as this person or else the scenario's technician.
    pub fn approve(&self, user_code: &str, upn: Option<&str>) -> Result<(), Error> {
        let upn = upn.unwrap_or(&self.0.scenario.tenant.technician);
        self.with(|state, now| {
            let person = state.world.person_by_upn(upn).ok_or_else(|| Error::Nobody(upn.to_owned()))?.id;
            state.requests.decide(user_code, Decision::Approved(person), now)
        })
    }

    /// Decline the sign-in that waits under `user_code`.
    pub fn decline(&self, user_code: &str) -> Result<(), Error> {
        self.with(|state, now| state.requests.decide(user_code, Decision::Declined, now))
    }

    /// Revoke every refresh token that was handed out.
    pub fn revoke(&self) {
        self.with(|state, _| {
            state.world.grants.values_mut().for_each(|grant| grant.revoked = true);
            state.world.changed = true;
        });
    }

    /// Let a part of Graph answer only tokens that carry an authentication context.
    pub fn demand(&self, demand: Demand) {
        self.with(|state, _| state.demands.push(demand));
    }

    /// Let requests that match go wrong from now on.
    pub fn fault(&self, fault: Fault) {
        self.0.faults.add(fault);
    }

    /// Every request so far, oldest first.
    pub fn log(&self) -> Vec<Entry> {
        self.0.log.entries()
    }

    /// The whole state, with the digits of every key.
    pub fn dump(&self) -> Value {
        self.with(|state, now| {
            let world = &state.world;
            let keys: Vec<Value> = world.keys.values().map(|key| dumped_key(key, world.seed)).collect();
            let device = |id| world.device_by_id(id).map(|device| device.name.clone());
            json!({
                "tenant": { "id": world.tenant_id, "name": self.name(), "now": web::ticks(now), "seed": world.seed },
                "people": world.people,
                "devices": world.devices.values().collect::<Vec<_>>(),
                "managedDevices": world.managed.values().collect::<Vec<_>>(),
                "keys": keys,
                "audits": world.audits.iter().map(|audit| json!({
                    "id": audit.id, "activity": audit.activity.as_graph(), "at": web::ticks(audit.at),
                    "visible": web::ticks(audit.visible), "keyId": audit.key, "deviceId": audit.device_id,
                    "device": device(audit.device_id), "personId": audit.person,
                })).collect::<Vec<_>>(),
                "due": world.due,
            })
        })
    }

    /// Write [`Tenant::dump`] to a file.
    pub fn dump_to(&self, path: &Path) -> Result<(), Error> {
        let unwritable = |source| Error::Unwritable { path: path.to_owned(), source };
        let text = serde_json::to_vec_pretty(&self.dump()).map_err(|error| unwritable(error.into()))?;
        File::create(path).and_then(|mut file| file.write_all(&text)).map_err(unwritable)
    }

    /// Save the tenant, without the digits of any key, to be opened again with [`Options::state`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        self.with(|state, _| self.write_state(path, &state.world))
    }
}

fn dumped_key(key: &Key, seed: u64) -> Value {
    json!({
        "id": key.id,
        "deviceId": key.device_id,
        "key": recovery_password(seed, key.id),
        "volumeType": key.volume.as_graph(),
        "createdDateTime": web::ticks(key.created),
    })
}

/// The first eight characters of a key ID as people say them.
fn spoken(key_id: Uuid) -> String {
    const WORDS: [&str; 16] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "alpha", "bravo", "charlie",
        "delta", "echo", "fox",
    ];
    let id = key_id.simple().to_string();
    let words = id.chars().take(8).filter_map(|c| c.to_digit(16)).map(|digit| WORDS[digit as usize]);
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_is_spoken_as_callers_speak() {
        let id = "4f2b91c0-0000-4000-8000-000000000000".parse().unwrap();
        assert_eq!(spoken(id), "four, fox, two, bravo, nine, one, charlie, zero");
    }
}
