//! SIGKILL at random moments of a call, against a tenant in a process of its own that lives on: no key request without a row before it,
//! no debt lost, no rotation sent twice.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use common::{
    PREFIX, QUICK, TICKET, follow,
    pty::{Term, keydesk},
    sign_in,
};
use jiff::Timestamp;
use keydesk::{
    config::{Paths, Settings, policy, settings::Screen},
    desk::{Clock, Desk},
    domain::{
        call::DisclosureId,
        connection::{Connection, read_host},
        debt::{DebtId, DebtState, RotationId, Target},
        event::{Event, Row},
        work::{profiles, sign_in::Ways},
    },
    ops,
    store::Ledger,
};
use portable_pty::CommandBuilder;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// How many desks are killed, over both lanes.
const KILLS: usize = 100;
const LANES: usize = 2;

/// What is typed, in order, and what must be on the screen before the next.
const STEPS: &[(&str, &str)] = &[
    ("", "keys,"),
    ("{prefix}", "Verdict"),
    ("\r", "They say"),
    ("mara voss\r", "match: the owner"),
    ("\t", "How"),
    ("1", "► 1"),
    ("v", "INC"),
    ("{ticket}", "fits the pattern"),
    ("\r2", "Written down before"),
    ("\r", "1 of 8"),
    ("w", "Note"),
    ("\r", "Type what the caller reads"),
];

/// What a technician may read in an hour under the shipped policy: then a new desk and a new tenant.
const READ_IN_AN_HOUR: usize = 10;

/// What was done, and how often.
#[derive(Debug, Default)]
struct Tally {
    /// Kills by the step they came after.
    killed: BTreeMap<usize, usize>,
    requests: usize,
    committed: usize,
    sent: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (step, count) in other.killed {
            *self.killed.entry(step).or_insert(0) += count;
        }
        self.requests += other.requests;
        self.committed += other.committed;
        self.sent += other.sent;
    }

    fn kills(&self) -> usize {
        self.killed.values().sum()
    }
}

/// The step that sends a rotation.
const SENDS: usize = 9;

#[test]
#[ignore = "needs a minute"]
fn a_desk_killed_at_any_moment_loses_nothing_and_repeats_nothing() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let lanes: Vec<_> = (0..LANES).map(|lane| std::thread::spawn(move || kill_lane(seed + lane as u64))).collect();
    let mut total = Tally::default();
    for lane in lanes {
        total.add(lane.join().unwrap());
    }
    println!("{total:?}");
    assert_eq!(total.kills(), KILLS);
    assert!(total.requests > KILLS / 10 && total.sent > 2, "too little was tested");
}

/// Kills its share of desks, on one ledger and one tenant after another.
fn kill_lane(seed: u64) -> Tally {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut total = Tally::default();
    while total.kills() < KILLS / LANES {
        total.add(kill_until_the_limit(&mut dice, KILLS / LANES - total.kills()));
    }
    total
}

/// Kills at most `most` desks on one ledger and one tenant, checks after each, settles at the end.
fn kill_until_the_limit(dice: &mut Dice, most: usize) -> Tally {
    let (tenant, home) = (Tenant::serve(), tempfile::tempdir().unwrap());
    let mut tally = Tally::default();
    let mut read = 0;
    while tally.kills() < most && read < READ_IN_AN_HOUR {
        // Two of three in the second half, where keys are asked for and rotations sent.
        let half = STEPS.len() / 2;
        let last = match dice.below(6) {
            0 | 1 => dice.below(half),
            2 => SENDS,
            _ => half + dice.below(STEPS.len() - half),
        };
        let moment = Duration::from_millis(dice.below(if last == SENDS { 500 } else { 350 }) as u64);
        let step = walk_and_kill(&tenant, home.path(), last, moment);
        *tally.killed.entry(step).or_insert(0) += 1;
        read = every_key_request_has_its_row(&tenant, home.path());
    }
    settle(&tenant, home.path(), &mut tally);
    tally
}

/// Types the call up to and including step `last`, waits a moment, kills. The step it came to.
fn walk_and_kill(tenant: &Tenant, home: &Path, last: usize, moment: Duration) -> usize {
    let prefix = tenant.current_prefix();
    let mut term = Term::spawn(tenant.command(home), 80, 24);
    for (step, (keys, expected)) in STEPS.iter().enumerate() {
        // Keys that come faster than fingers decide nothing.
        std::thread::sleep(Duration::from_millis(60));
        term.send(&keys.replace("{prefix}", &prefix).replace("{ticket}", &TICKET["INC".len()..]));
        if step == last {
            std::thread::sleep(moment);
            term.kill();
            return step;
        }
        if !term.sees(expected, Duration::from_secs(30)) {
            let seen = tenant.log();
            let last: Vec<String> = seen.iter().rev().take(12).map(|seen| format!("{seen:?}")).collect();
            panic!("{expected:?} never came; the tenant saw, last first:\n{}\n{}", last.join("\n"), term.screen());
        }
        if step == 4 {
            // The list drops what comes within a quarter of a second.
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    unreachable!("the last step is one of them")
}

/// Every key request that reached the tenant has its intent in the ledger of the desk that was killed.
///
/// That the row is there at all is what counts: the desk is dead, so nothing writes it afterwards, and a desk that sent first and wrote later
/// would be killed in between now and then. The times add little: a row's is taken before its transaction begins, so it is earlier
/// than the request's arrival also where the commit was not. And a process that is killed loses nothing it has written, synced or not:
/// what a power cut leaves is not tested here.
/// How many intents there are.
fn every_key_request_has_its_row(tenant: &Tenant, home: &Path) -> usize {
    let ledger = Ledger::open(&home.join("ledger.db")).unwrap();
    ledger.verify().unwrap().unwrap();
    let rows = ledger.rows(1).unwrap();
    let intents: BTreeMap<DisclosureId, Timestamp> = rows
        .iter()
        .filter_map(|row| match &row.event {
            Event::Intended(intent) => Some((intent.disclosure, row.at)),
            _ => None,
        })
        .collect();
    for request in tenant.key_requests() {
        let at = intents.get(&request.disclosure()).unwrap_or_else(|| panic!("no row for {request:?}"));
        assert!(*at <= request.time, "the row of {at} is later than {request:?}");
    }
    intents.len()
}

/// A last desk follows everything to its end; then the accounts are compared.
fn settle(tenant: &Tenant, home: &Path, tally: &mut Tally) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (rows, debts) = runtime.block_on(async {
        let desk = tenant.desk(home).await;
        ops::rotate::send_held(&desk).await.unwrap();
        let debts = follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
        let rows = desk.ledger().rows(1).unwrap();
        desk.ledger().rebuild().unwrap();
        let rebuilt = ops::debts::list(&desk).await.unwrap();
        assert_eq!(format!("{debts:?}"), format!("{rebuilt:?}"), "the projections rebuild to the same");
        (rows, debts)
    });

    // No debt lost: every key request's debt is in the ledger, and has ended as it should.
    let debt_of: BTreeMap<DisclosureId, DebtId> = rows
        .iter()
        .filter_map(|row| match &row.event {
            Event::Intended(intent) => Some((intent.disclosure, intent.debt)),
            _ => None,
        })
        .collect();
    let requests = tenant.key_requests();
    for request in &requests {
        let debt = debt_of[&request.disclosure()];
        let ended = debts.iter().find(|other| other.id == debt).unwrap();
        assert!(matches!(ended.state, DebtState::Proved { .. }), "{ended:#?}");
    }
    (tally.sent, tally.committed) = no_rotation_is_sent_twice(tenant, &rows);
    tally.requests = requests.len();
}

/// For each Intune object: no more requests carried out than were committed and not taken back, and between two of them a new key.
/// How many were sent, and how many committed.
fn no_rotation_is_sent_twice(tenant: &Tenant, rows: &[Row]) -> (usize, usize) {
    let committed = committed(rows);
    let sent = tenant.rotations();
    let new_keys = tenant.new_keys();
    for (managed, times) in &sent {
        let (device, allowed) = committed.get(managed).unwrap_or_else(|| panic!("no row for a rotation of {managed}"));
        assert!(times.len() <= *allowed, "{managed}: sent at {times:?}, committed {allowed} times");
        for two in times.windows(2) {
            let between = new_keys.iter().any(|(of, made)| of == device && (two[0]..=two[1]).contains(made));
            assert!(between, "{managed}: sent at {} and, with no new key since, at {}", two[0], two[1]);
        }
    }
    (sent.values().map(Vec::len).sum(), committed.values().map(|(_, count)| count).sum())
}

/// For each Intune object its Entra device, and how often a rotation was committed to sending and not certainly left unsent.
fn committed(rows: &[Row]) -> BTreeMap<Uuid, (Uuid, usize)> {
    let mut targets: BTreeMap<RotationId, Target> = BTreeMap::new();
    let mut sending: BTreeSet<RotationId> = BTreeSet::new();
    let mut committed = BTreeMap::new();
    for row in rows {
        match &row.event {
            Event::RotationTargeted { rotation, target, .. } => {
                targets.insert(*rotation, *target);
            }
            Event::RotationSending { rotation, .. } => {
                let target = targets[rotation];
                committed.entry(target.managed.0).or_insert((target.device.0, 0)).1 += 1;
                sending.insert(*rotation);
            }
            // Straight after *sending* this says that the request certainly never left; later, that another has to follow.
            Event::RotationReturned { rotation, .. } if sending.remove(rotation) => {
                committed.get_mut(&targets[rotation].managed.0).unwrap().1 -= 1;
            }
            Event::RotationAccepted { rotation, .. }
            | Event::RotationReported { rotation }
            | Event::RotationBlocked { rotation, .. } => {
                sending.remove(rotation);
            }
            _ => {}
        }
    }
    committed
}

/// `keydesk simulation serve`, as a process of its own: what happens to a desk does not happen to it.
struct Tenant {
    process: Child,
    connection: Printed,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// The line it prints.
#[derive(Deserialize)]
struct Printed {
    authority: String,
    graph: String,
    tenant_id: String,
    client_id: String,
}

/// A request as the tenant saw it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    time: Timestamp,
    path: String,
    client_request_id: Option<Uuid>,
    status: Option<u16>,
    served: bool,
}

impl Seen {
    fn disclosure(&self) -> DisclosureId {
        DisclosureId(self.client_request_id.unwrap())
    }
}

impl Tenant {
    fn serve() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_keydesk"))
            .args(["simulation", "serve", "--scenario", "small", "--auto-approve", "0"])
            // Slow enough that the next desk finds a rotation still under way.
            .args(["--speed", "60"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = serde_json::from_str(&line).unwrap();
        let tenant = Self { process, connection, client: reqwest::Client::new(), runtime };
        // Carried out at once, answered late: many a kill falls between the two.
        tenant.answer_late("rotateBitLockerKeys", 0.3);
        tenant.answer_late("select=key", 0.1);
        tenant
    }

    fn answer_late(&self, path: &str, seconds: f64) {
        let fault = json!({ "path": path, "kind": "stall", "served": true, "seconds": seconds, "count": 1_000_000 });
        let send = self.client.post(format!("{}/_sim/fault", self.connection.graph)).json(&fault).send();
        assert!(self.runtime.block_on(send).unwrap().status().is_success());
    }

    /// A console on this tenant.
    fn command(&self, home: &Path) -> CommandBuilder {
        let mut command = keydesk(home, None);
        command.env("KEYDESK_AUTHORITY", &self.connection.authority);
        command.env("KEYDESK_GRAPH", &self.connection.graph);
        command.env("KEYDESK_TENANT", &self.connection.tenant_id);
        command.env("KEYDESK_CLIENT_ID", &self.connection.client_id);
        command
    }

    /// A desk in this process, caught up and signed in.
    async fn desk(&self, home: &Path) -> Arc<Desk> {
        let settings = Settings {
            paths: Paths::find(Some(home)).unwrap(),
            profile: profiles::DEFAULT.into(),
            profiles: Vec::new(),
            ways: Ways::Ask,
            connection: Some(Connection {
                authority: read_host(&self.connection.authority).unwrap(),
                graph: read_host(&self.connection.graph).unwrap(),
                tenant: self.connection.tenant_id.clone(),
                client_id: self.connection.client_id.clone(),
            }),
            policy: policy::with_lines(QUICK, "the test's policy").unwrap(),
            screen: Screen::default(),
            remembers: false,
        };
        let desk = Arc::new(Desk::open(&settings, Clock::system()).unwrap());
        ops::calls::catch_up(&desk).await.unwrap();
        sign_in(&desk).await.unwrap();
        desk
    }

    fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        let address = format!("{}{path}", self.connection.graph);
        let answer = async { self.client.get(address).send().await.unwrap().json().await.unwrap() };
        self.runtime.block_on(answer)
    }

    fn log(&self) -> Vec<Seen> {
        self.get("/_sim/log")
    }

    /// Key requests that reached it, carried out or not.
    fn key_requests(&self) -> Vec<Seen> {
        let asks = |seen: &Seen| seen.path.contains("recoveryKeys/") && seen.path.contains("select=key");
        self.log().into_iter().filter(asks).collect()
    }

    /// When rotations were carried out, by Intune object, whether or not anybody was left to hear the answer.
    fn rotations(&self) -> BTreeMap<Uuid, Vec<Timestamp>> {
        let mut times: BTreeMap<Uuid, Vec<Timestamp>> = BTreeMap::new();
        for seen in self.log() {
            let carried_out = seen.served && seen.status.is_none_or(|status| (200..300).contains(&status));
            let Some(before) = seen.path.strip_suffix("/rotateBitLockerKeys").filter(|_| carried_out) else { continue };
            times.entry(before.rsplit('/').next().unwrap().parse().unwrap()).or_default().push(seen.time);
        }
        times
    }

    /// Every key that came to a device, also one that is gone again: device and time.
    fn new_keys(&self) -> Vec<(Uuid, Timestamp)> {
        let dump: Value = self.get("/_sim/dump");
        let added = dump["audits"].as_array().unwrap().iter().filter(|audit| audit["activity"] == "Add BitLocker key");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        added.map(|audit| (text(&audit["deviceId"]).parse().unwrap(), text(&audit["at"]).parse().unwrap())).collect()
    }

    /// What the caller would read now: the newest key of the ordinary laptop.
    fn current_prefix(&self) -> String {
        let dump: Value = self.get("/_sim/dump");
        let keys = dump["keys"].as_array().unwrap();
        let is_first = |key: &&Value| key["id"].as_str().unwrap().to_uppercase().starts_with(PREFIX);
        let laptop = keys.iter().find(is_first).unwrap()["deviceId"].clone();
        let newest = keys
            .iter()
            .filter(|key| key["deviceId"] == laptop)
            .max_by_key(|key| key["createdDateTime"].as_str().unwrap().to_owned())
            .unwrap();
        newest["id"].as_str().unwrap()[..8].to_uppercase()
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A small generator of its own: the seed is printed, so a failure can be walked again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }
}
