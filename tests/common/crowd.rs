//! Several desks on one store, each a process of its own: the test program started again in a role. A policy that lets a technician read
//! keys without end is none that a machine has, so that it is not the `keydesk` binary that plays them, but its library.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Arc,
    time::{Duration, Instant},
};

use keydesk::{
    desk::Desk,
    domain::{
        caller::{Claim, Compared, Fact, Knowledge},
        device::DeviceId,
        key::Volume,
        key_id::KeyId,
        work::{
            Failure, Kind,
            call::{Open, Verify},
            disclose::{OnStage, Request},
        },
    },
    ops::{self, Asking},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::outside::{Printed, Tenant};

/// Names the file in which a child finds its part.
const PART: &str = "KEYDESK_TEST_PART";

pub const POLICY: &str =
    "[timers]\nrotation_delay = \"10m\"\nuncertain_pause = \"20s\"\nwatch_first = \"500ms\"\nwatch_longest = \"2s\"\n
    [limits]\nper_hour = 1000000\nper_day = 1000000\n";

/// One key and the device it belongs to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Owned {
    pub key: Uuid,
    pub device: Uuid,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Reads these keys, one call each, and sends their replacements. `number` makes its tickets its own.
    Discloses { number: u32, keys: Vec<Owned> },
    /// Lists the tenant over and over.
    Lists,
    /// Follows what is owed.
    Watches,
}

#[derive(Debug, Serialize, Deserialize)]
struct Part {
    role: Role,
    tenant: Printed,
    home: PathBuf,
    seconds: u64,
    out: PathBuf,
}

/// What a role came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Played {
    /// How long each disclosure took from the question to the key, in microseconds.
    pub disclosed: Vec<u64>,
    /// Keys that another desk's replacement had removed meanwhile.
    pub gone: usize,
    pub listings: usize,
}

/// A scenario of that many ordinary machines.
pub fn scenario(folder: &Path, machines: usize) -> PathBuf {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/scenarios/ordinary-morning.toml"));
    let mut in_fleet = false;
    let text = text.unwrap();
    let plain = text.lines().map(|line| {
        in_fleet = if line.starts_with('[') { line == "[fleet]" } else { in_fleet };
        let Some((name, value)) = line.split_once(" = ").filter(|_| in_fleet) else { return line.to_owned() };
        match value.parse::<usize>() {
            Ok(_) if name == "machines" => format!("machines = {machines}"),
            // Nothing of what makes a morning hard.
            Ok(_) => format!("{name} = 0"),
            Err(_) => line.to_owned(),
        }
    });
    let path = folder.join("fleet.toml");
    std::fs::write(&path, plain.collect::<Vec<_>>().join("\n")).unwrap();
    path
}

/// The newest key of every machine's own drive, in an order that says nothing.
pub fn keys(tenant: &Tenant) -> Vec<Owned> {
    let dump: Value = tenant.get("/_sim/dump");
    let id = |value: &Value| value.as_str().unwrap().parse::<Uuid>().unwrap();
    let mut managed: BTreeMap<Uuid, usize> = BTreeMap::new();
    for device in dump["managedDevices"].as_array().unwrap() {
        // One that never checks in, fails, or is quicker than any rotation pays no debt here.
        let habit = &device["habit"];
        let is_plain =
            habit["never_checks_in"] == false && habit["by_itself"] == false && habit["fails_with"].is_null();
        *managed.entry(id(&device["device_id"])).or_insert(0) += if is_plain { 1 } else { 2 };
    }
    let mut newest: BTreeMap<Uuid, (String, Owned)> = BTreeMap::new();
    for key in dump["keys"].as_array().unwrap().iter().filter(|key| key["volumeType"] == "1" || key["volumeType"] == 1)
    {
        let (device, made) = (id(&key["deviceId"]), key["createdDateTime"].as_str().unwrap().to_owned());
        let is_newer = newest.get(&device).is_none_or(|(other, _)| *other < made);
        if is_newer && managed.get(&device) == Some(&1) {
            newest.insert(device, (made, Owned { key: id(&key["id"]), device }));
        }
    }
    newest.into_values().map(|(_, owned)| owned).collect()
}

/// A role's process.
pub struct Playing {
    child: Child,
    out: PathBuf,
}

pub fn start(role: Role, tenant: &Tenant, home: &Path, seconds: u64) -> Playing {
    let id = Uuid::now_v7();
    let (out, written) = (home.with_extension(format!("{id}-out")), home.with_extension(format!("{id}-part")));
    let part = Part { role, tenant: tenant.connection.clone(), home: home.into(), seconds, out: out.clone() };
    std::fs::write(&written, serde_json::to_vec(&part).unwrap()).unwrap();
    let child = Command::new(std::env::current_exe().unwrap()).env(PART, written).spawn().unwrap();
    Playing { child, out }
}

impl Playing {
    /// Waits for its end.
    pub fn played(mut self) -> Played {
        assert!(self.child.wait().unwrap().success(), "a desk failed");
        serde_json::from_slice(&std::fs::read(&self.out).unwrap()).unwrap()
    }
}

impl Playing {
    /// Ends it in the middle.
    pub fn end(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Plays the part this process was started for, if it was for one.
pub fn play() -> bool {
    let Ok(part) = std::env::var(PART) else { return false };
    let part: Part = serde_json::from_slice(&std::fs::read(part).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let played = runtime.block_on(async {
        let desk = part.tenant.desk(&part.home, POLICY).await;
        let until = Instant::now() + Duration::from_secs(part.seconds);
        match part.role {
            Role::Discloses { number, keys } => discloses(&desk, number, keys, until).await,
            Role::Lists => lists(&desk, until).await,
            Role::Watches => {
                let _ = tokio::time::timeout_at(until.into(), ops::watch::watch(&desk, |_| {})).await;
                Played::default()
            }
        }
    });
    std::fs::write(&part.out, serde_json::to_vec(&played).unwrap()).unwrap();
    true
}

async fn lists(desk: &Desk, until: Instant) -> Played {
    let mut played = Played::default();
    while Instant::now() < until {
        ops::sync_index::sync_index(desk, &Asking::quietly()).await.unwrap();
        played.listings += 1;
    }
    played
}

async fn discloses(desk: &Arc<Desk>, number: u32, keys: Vec<Owned>, until: Instant) -> Played {
    let mut played = Played::default();
    for (n, owned) in keys.into_iter().enumerate() {
        if Instant::now() >= until {
            return played;
        }
        match one_call(desk, owned, format!("INC{number}{:06}", n + 1)).await {
            Ok(took) => played.disclosed.push(u64::try_from(took.as_micros()).unwrap()),
            Err(failure) if failure.kind == Kind::NotFound => played.gone += 1,
            Err(failure) => panic!("{failure:?}"),
        }
    }
    panic!("all keys are read before the time is over");
}

/// A call from its opening to its close. How long its disclosure took.
pub async fn one_call(desk: &Desk, owned: Owned, ticket: String) -> Result<Duration, Failure> {
    let open = Open {
        key: KeyId(owned.key),
        volume: Volume::OperatingSystem,
        device: DeviceId(owned.device),
        device_name: "".into(),
        heard: 8,
        why: None,
    };
    let call = ops::calls::open(desk, open).await?;
    let claims = vec![Claim { fact: Fact::Name, compared: Compared::Match }];
    let verify = Verify { call: call.id, method: Some("called-back".into()), claims, known: Knowledge::Facts };
    ops::calls::verify(desk, verify).await?;
    let request =
        Request { call: call.id, key: call.key, ticket, reason: "windows-update".into(), same_ticket_confirmed: false };
    let asked = Instant::now();
    let disclosed = ops::disclose::disclose(desk, request, &Asking::quietly()).await;
    let took = asked.elapsed();
    if let Ok(disclosed) = &disclosed {
        let what = keydesk::domain::event::Stage::Shown;
        ops::disclose::on_stage(desk, OnStage { call: call.id, disclosure: disclosed.disclosure, what }).await?;
        ops::rotate::in_windows(desk, call.id).await?;
    }
    ops::calls::close(desk, call.id).await?;
    disclosed.map(|_| took)
}

/// The median, the slowest but one in a hundred, and the slowest, in milliseconds.
pub fn spread(micros: &mut [u64]) -> Value {
    micros.sort_unstable();
    let at = |percent: usize| {
        let place = (micros.len() * percent / 100).min(micros.len().saturating_sub(1));
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a test")]
        let milliseconds = micros.get(place).copied().unwrap_or_default() as f64 / 1_000.0;
        milliseconds
    };
    serde_json::json!({ "count": micros.len(), "median_ms": at(50), "p99_ms": at(99), "max_ms": at(100) })
}
