//! A simulated tenant and desks on it, for the journeys.
#![allow(dead_code, reason = "each test program uses its own part")]

#[cfg(unix)]
pub mod crowd;
#[cfg(target_os = "linux")]
pub mod machine;
#[cfg(unix)]
pub mod outside;
#[cfg(unix)]
pub mod pty;

use std::{ffi::OsString, path::Path, sync::Arc, time::Duration};

use keydesk::{
    config::{Paths, Settings, policy, settings::Screen},
    desk::{Clock, Desk},
    domain::{
        call::Call,
        caller::{Claim, Compared, Fact, Knowledge},
        connection::{Connection, read_host},
        debt::Debt,
        device::DeviceId,
        key_id::KeyId,
        work::{
            Failure,
            call::{Open, Verify},
            disclose::{Disclosed, Request},
            find, profiles,
            sign_in::{Prompt, SignedIn, Way, Ways},
        },
    },
    ops::{self, Asking, sign_in::Arrival},
    simulation::{self, Options, Running, Source},
};

/// The policy of the journeys: what takes minutes takes a moment.
pub const QUICK: &str = "
[timers]
rotation_delay = \"10m\"
uncertain_pause = \"4s\"
watch_first = \"100ms\"
watch_longest = \"500ms\"
[limits]
per_hour = 1000
per_day = 1000
";

/// The ordinary call's key and ticket in the small scenario.
pub const PREFIX: &str = "4F2B91C0";
pub const TICKET: &str = "INC0048213";

/// A tenant of the small scenario that approves at once and rotates within a second.
pub async fn tenant() -> Running {
    let options =
        Options { scenario: Source::Small, speed: 400.0, auto_approve: Some(Duration::ZERO), ..Options::default() };
    simulation::start(options).await.unwrap()
}

/// The small scenario, in which the technician may read Entra's log.
pub fn with_audit_role(scenario: &str) -> String {
    let without = "roles = [\"Helpdesk Administrator\"]\nintune_roles";
    assert!(scenario.contains(without));
    scenario.replacen(without, "roles = [\"Helpdesk Administrator\", \"Reports Reader\"]\nintune_roles", 1)
}

/// A tenant served from a thread of its own, for tests that block.
pub struct Served {
    pub running: Arc<Running>,
    _runtime: tokio::runtime::Runtime,
}

pub fn serve() -> Served {
    on_a_thread(tenant())
}

/// The same where things take `400 / speed` times as long.
pub fn serve_at(speed: f64) -> Served {
    on_a_thread(async move {
        let options =
            Options { scenario: Source::Small, speed, auto_approve: Some(Duration::ZERO), ..Options::default() };
        simulation::start(options).await.unwrap()
    })
}

/// The same where a person approves.
pub fn serve_people() -> Served {
    on_a_thread(async {
        simulation::start(Options { scenario: Source::Small, speed: 400.0, ..Options::default() }).await.unwrap()
    })
}

fn on_a_thread(tenant: impl Future<Output = Running>) -> Served {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let running = runtime.block_on(tenant);
    Served { running: Arc::new(running), _runtime: runtime }
}

/// The whole environment of the program under test: where its files and its tenant are, and nothing of the tester's but what the system
/// itself needs (without `SystemRoot` Windows opens no socket).
pub fn environment(home: &Path, tenant: Option<&Running>) -> Vec<(&'static str, OsString)> {
    let of_the_system = |name: &'static str| std::env::var_os(name).map(|value| (name, value));
    let mut all: Vec<_> = ["PATH", "SystemRoot"].into_iter().filter_map(of_the_system).collect();
    all.extend([("HOME", home.into()), ("KEYDESK_HOME", home.into()), ("TZ", "UTC".into())]);
    if let Some(tenant) = tenant {
        all.extend([
            ("KEYDESK_AUTHORITY", tenant.authority().into()),
            ("KEYDESK_GRAPH", tenant.graph().into()),
            ("KEYDESK_TENANT", tenant.tenant_id().to_string().into()),
            ("KEYDESK_CLIENT_ID", tenant.client_id().to_string().into()),
        ]);
    }
    all
}

pub fn settings(tenant: &Running, home: &Path, lines: &str) -> Settings {
    Settings {
        paths: Paths::find(Some(home)).unwrap(),
        profile: profiles::DEFAULT.into(),
        profiles: Vec::new(),
        ways: Ways::Ask,
        connection: Some(connection(tenant)),
        policy: policy::with_lines(lines, "the test's policy").unwrap(),
        screen: Screen::default(),
        remembers: false,
    }
}

pub fn connection(tenant: &Running) -> Connection {
    Connection {
        authority: read_host(&tenant.authority()).unwrap(),
        graph: read_host(&tenant.graph()).unwrap(),
        tenant: tenant.tenant_id().to_string(),
        client_id: tenant.client_id().to_string(),
    }
}

/// A desk on `home`, signed in as the scenario's technician, its index filled.
pub async fn desk(tenant: &Running, home: &Path) -> Arc<Desk> {
    desk_with(tenant, home, QUICK).await
}

/// Signs in with the remembered session, or else by device code; under another name than last time that is confirmed.
pub async fn sign_in(desk: &Desk) -> Result<SignedIn, Failure> {
    let arrival = match ops::sign_in::resume(desk).await {
        Ok(Some(arrival)) => arrival,
        _ => ops::sign_in::sign_in(desk, &Prompt::by(Way::DeviceCode), &Asking::quietly()).await?,
    };
    match arrival {
        Arrival::Seated(signed_in) => Ok(signed_in),
        Arrival::Another(_) => ops::sign_in::confirm(desk).await,
    }
}

pub async fn desk_with(tenant: &Running, home: &Path, lines: &str) -> Arc<Desk> {
    let desk = Arc::new(Desk::open(&settings(tenant, home, lines), Clock::system()).unwrap());
    ops::calls::catch_up(&desk).await.unwrap();
    sign_in(&desk).await.unwrap();
    ops::sync_index::sync_index(&desk, &Asking::quietly()).await.unwrap();
    desk
}

/// The one key that begins so, as the index knows it.
pub fn key(desk: &Desk, prefix: &str) -> find::KeyMatch {
    let query = keydesk::domain::query::Query::read(prefix);
    ops::find::find(desk, &find::Request { query, limit: 10 }).unwrap().one_key().unwrap().clone()
}

/// Opens a call about `prefix` and verifies the caller.
pub async fn verified_call(desk: &Desk, prefix: &str) -> Call {
    let found = key(desk, prefix);
    let device_name = found.device.map(|device| device.name).unwrap_or_default();
    let open = Open {
        key: found.key.id,
        volume: found.key.volume,
        device: found.key.device,
        device_name,
        heard: 8,
        why: None,
    };
    let call = ops::calls::open(desk, open).await.unwrap();
    let claims = vec![Claim { fact: Fact::Name, compared: Compared::Match }];
    let verify = Verify { call: call.id, method: Some("called-back".into()), claims, known: Knowledge::Facts };
    ops::calls::verify(desk, verify).await.unwrap();
    call
}

pub fn request(call: &Call, ticket: &str) -> Request {
    Request {
        call: call.id,
        key: call.key,
        ticket: ticket.into(),
        reason: "windows-update".into(),
        same_ticket_confirmed: false,
    }
}

pub async fn disclose(desk: &Desk, call: &Call) -> Result<Disclosed, Failure> {
    ops::disclose::disclose(desk, request(call, TICKET), &Asking::quietly()).await
}

/// Waits until `done` holds of the debts, following them as the watcher does.
pub async fn follow(desk: &Arc<Desk>, done: impl Fn(&[Debt]) -> bool) -> Vec<Debt> {
    let watcher = tokio::spawn({
        let desk = Arc::clone(desk);
        async move { ops::watch::watch(&desk, |_| {}).await }
    });
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let debts = loop {
        let debts = ops::debts::list(desk).await.unwrap();
        if done(&debts) {
            break debts;
        }
        assert!(std::time::Instant::now() < deadline, "still waiting: {debts:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    watcher.abort();
    debts
}

/// Key requests the tenant carried out or began to: `GET …/recoveryKeys/{id}?$select=key`.
pub fn key_requests(tenant: &Running) -> Vec<simulation::log::Entry> {
    tenant
        .tenant()
        .log()
        .into_iter()
        .filter(|entry| entry.path.contains("recoveryKeys/") && entry.path.contains("select=key"))
        .collect()
}

/// Rotations the tenant carried out.
pub fn rotations(tenant: &Running) -> Vec<simulation::log::Entry> {
    tenant
        .tenant()
        .log()
        .into_iter()
        .filter(|entry| entry.path.contains("rotateBitLockerKeys") && entry.served)
        .collect()
}

pub fn device_of(desk: &Desk, prefix: &str) -> DeviceId {
    key(desk, prefix).key.device
}

pub fn key_id(desk: &Desk, prefix: &str) -> KeyId {
    key(desk, prefix).key.id
}

/// Keeps figures where `.ci/run` prints them from.
pub fn figures(name: &str, figures: &serde_json::Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/figures");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.json")), format!("{figures}\n")).unwrap();
}
