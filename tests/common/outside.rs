//! A tenant in a process of its own, which outlives every desk, and the ledger's account compared with what it saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use jiff::Timestamp;
use keydesk::{
    config::{Paths, Settings, policy, settings::Screen},
    desk::{Clock, Desk},
    domain::{
        call::DisclosureId,
        connection::{Connection, read_host},
        debt::{Debt, DebtId, DebtState, RotationId, Target},
        event::{Event, Intent, Row},
        work::{profiles, sign_in::Ways},
    },
    ops,
    store::{TxError, debts},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PREFIX, follow, sign_in};

/// Every intent, with the time of its row.
pub fn intents(rows: &[Row]) -> Vec<(DisclosureId, Timestamp)> {
    with_intents(rows).map(|(intent, at)| (intent.disclosure, at)).collect()
}

fn with_intents(rows: &[Row]) -> impl Iterator<Item = (&Intent, Timestamp)> {
    rows.iter().filter_map(|row| match &row.event {
        Event::Intended(intent) => Some((&**intent, row.at)),
        _ => None,
    })
}

/// How often a rotation was committed to being sent.
pub fn sendings(rows: &[Row]) -> usize {
    rows.iter().filter(|row| matches!(row.event, Event::RotationSending { .. })).count()
}

/// Every key request that reached the tenant has its intent in the ledger of the desk that asked, and the row is older than the request.
pub fn every_key_request_has_its_row(requests: &[Seen], rows: &[Row]) {
    let intents: BTreeMap<DisclosureId, Timestamp> = intents(rows).into_iter().collect();
    for request in requests {
        let at = intents.get(&request.disclosure()).unwrap_or_else(|| panic!("no row for {request:?}"));
        assert!(*at <= request.time, "the row of {at} is later than {request:?}");
    }
}

/// No debt lost: every key request's debt is in the ledger, and has ended with a replacement that was seen; one that was cancelled is of a
/// disclosure that the tenant did not carry out.
pub fn every_debt_has_ended(requests: &[Seen], rows: &[Row], debts: &[Debt]) {
    for (intent, _) in with_intents(rows) {
        let debt = debts.iter().find(|debt| debt.id == intent.debt);
        let debt = debt.unwrap_or_else(|| panic!("the debt of {:?} is lost", intent.disclosure));
        let was_served = requests.iter().any(|seen| seen.disclosure() == intent.disclosure && seen.served);
        match debt.state {
            DebtState::Proved { .. } => {}
            DebtState::Cancelled { .. } => assert!(!was_served, "served, and its debt is cancelled: {debt:#?}"),
            _ => panic!("{debt:#?}"),
        }
    }
    for request in requests {
        assert!(intents(rows).iter().any(|(id, _)| *id == request.disclosure()), "{request:?} has no debt");
    }
}

/// A last desk follows everything to its end, as the next start would. The rows as they are then, and the debt of every intent.
pub fn settle(tenant: &Tenant, home: &Path, policy: &str) -> (Vec<Row>, Vec<Debt>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let desk = tenant.desk(home, policy).await;
        ops::rotate::send_held(&desk).await.unwrap();
        follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
        desk.ledger().verify().unwrap().unwrap();
        let before = projections(home);
        desk.ledger().rebuild().unwrap();
        assert_eq!(before, projections(home), "the projections rebuild to the same");
        let rows = desk.ledger().rows(1).unwrap();
        let owed: Vec<DebtId> = with_intents(&rows).map(|(intent, _)| intent.debt).collect();
        let debts = desk.read(move |conn| {
            let each = owed.into_iter().map(|id| Ok(debts::get(conn, id)?.unwrap_or_else(|| panic!("{id} is lost"))));
            each.collect::<Result<Vec<Debt>, TxError>>()
        });
        (rows, debts.await.unwrap())
    })
}

/// Every row of every table that is folded from the ledger.
fn projections(home: &Path) -> BTreeMap<&'static str, Vec<String>> {
    let conn = rusqlite::Connection::open(home.join("ledger.db")).unwrap();
    let rows = |table| {
        let mut statement = conn.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let text = |row: &rusqlite::Row<'_>| {
            let values: Vec<rusqlite::types::Value> = (0..columns).map(|n| row.get(n).unwrap()).collect();
            Ok(format!("{values:?}"))
        };
        let mut all: Vec<String> = statement.query_map([], text).unwrap().map(Result::unwrap).collect();
        all.sort();
        all
    };
    ["calls", "debts", "rotations", "disclosures", "entra_records", "policies"].map(|table| (table, rows(table))).into()
}

/// For each Intune object: no more requests carried out than were committed and not taken back, and between two of them a new key.
/// How many were sent, and how many committed.
pub fn no_rotation_is_sent_twice(tenant: &Tenant, rows: &[Row]) -> (usize, usize) {
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
pub fn committed(rows: &[Row]) -> BTreeMap<Uuid, (Uuid, usize)> {
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
pub struct Tenant {
    process: Child,
    pub connection: Printed,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// The line it prints.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Printed {
    pub authority: String,
    pub graph: String,
    pub tenant_id: String,
    pub client_id: String,
}

impl Printed {
    /// A desk in this process, caught up and signed in.
    pub async fn desk(&self, home: &Path, policy: &str) -> Arc<Desk> {
        let settings = Settings {
            paths: Paths::find(Some(home)).unwrap(),
            profile: profiles::DEFAULT.into(),
            profiles: Vec::new(),
            ways: Ways::Ask,
            connection: Some(Connection {
                authority: read_host(&self.authority).unwrap(),
                graph: read_host(&self.graph).unwrap(),
                tenant: self.tenant_id.clone(),
                client_id: self.client_id.clone(),
            }),
            policy: policy::with_lines(policy, "the test's policy").unwrap(),
            screen: Screen::default(),
            remembers: false,
        };
        let desk = Arc::new(Desk::open(&settings, Clock::system()).unwrap());
        ops::calls::catch_up(&desk).await.unwrap();
        sign_in(&desk).await.unwrap();
        desk
    }
}

/// A request as the tenant saw it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    pub time: Timestamp,
    pub path: String,
    pub client_request_id: Option<Uuid>,
    /// `None` while it is not answered.
    pub status: Option<u16>,
    /// The tenant carried it out, answered or not.
    pub served: bool,
}

impl Seen {
    pub fn disclosure(&self) -> DisclosureId {
        DisclosureId(self.client_request_id.unwrap())
    }
}

impl Tenant {
    /// Serves `scenario`, so many times faster than life.
    pub fn serve(scenario: &str, speed: &str) -> Self {
        Self::serve_at(scenario, speed, "127.0.0.1:0")
    }

    /// The same at an address: what another tenant left free there.
    pub fn serve_at(scenario: &str, speed: &str, address: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_keydesk"))
            .args(["simulation", "serve", "--auto-approve", "0", "--scenario", scenario, "--speed", speed])
            .args(["--addr", address])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = serde_json::from_str(&line).unwrap_or_else(|e| panic!("no tenant at {address}: {e}: {line}"));
        Self { process, connection, client: reqwest::Client::new(), runtime }
    }

    /// Ends it and frees its address.
    pub fn end(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.connection.graph.trim_start_matches("http://")
    }

    /// Requests to this part are carried out at once and answered late: many a kill falls between the two.
    pub fn answer_late(&self, path: &str, seconds: f64) {
        let fault = json!({ "path": path, "kind": "stall", "served": true, "seconds": seconds, "count": 1_000_000 });
        let send = self.client.post(format!("{}/_sim/fault", self.connection.graph)).json(&fault).send();
        assert!(self.runtime.block_on(send).unwrap().status().is_success());
    }

    /// What the program's environment says of it.
    pub fn environment(&self) -> [(&'static str, &str); 4] {
        let Printed { authority, graph, tenant_id, client_id } = &self.connection;
        [
            ("KEYDESK_AUTHORITY", authority),
            ("KEYDESK_GRAPH", graph),
            ("KEYDESK_TENANT", tenant_id),
            ("KEYDESK_CLIENT_ID", client_id),
        ]
    }

    /// A desk in this process, caught up and signed in.
    pub async fn desk(&self, home: &Path, policy: &str) -> Arc<Desk> {
        self.connection.desk(home, policy).await
    }

    pub fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        let address = format!("{}{path}", self.connection.graph);
        let answer = async { self.client.get(address).send().await.unwrap().json().await.unwrap() };
        self.runtime.block_on(answer)
    }

    pub fn log(&self) -> Vec<Seen> {
        self.get("/_sim/log")
    }

    /// Key requests that reached it, carried out or not.
    pub fn key_requests(&self) -> Vec<Seen> {
        let asks = |seen: &Seen| seen.path.contains("recoveryKeys/") && seen.path.contains("select=key");
        self.log().into_iter().filter(asks).collect()
    }

    /// When rotations were carried out, by Intune object, whether or not anybody was left to hear the answer.
    pub fn rotations(&self) -> BTreeMap<Uuid, Vec<Timestamp>> {
        let mut times: BTreeMap<Uuid, Vec<Timestamp>> = BTreeMap::new();
        for seen in self.log() {
            let carried_out = seen.served && seen.status.is_none_or(|status| (200..300).contains(&status));
            let Some(before) = seen.path.strip_suffix("/rotateBitLockerKeys").filter(|_| carried_out) else { continue };
            times.entry(before.rsplit('/').next().unwrap().parse().unwrap()).or_default().push(seen.time);
        }
        times
    }

    /// Every key that came to a device, also one that is gone again: device and time.
    pub fn new_keys(&self) -> Vec<(Uuid, Timestamp)> {
        let dump: Value = self.get("/_sim/dump");
        let added = dump["audits"].as_array().unwrap().iter().filter(|audit| audit["activity"] == "Add BitLocker key");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        added.map(|audit| (text(&audit["deviceId"]).parse().unwrap(), text(&audit["at"]).parse().unwrap())).collect()
    }

    /// Every recovery password it holds, by key ID.
    pub fn passwords(&self) -> BTreeMap<Uuid, String> {
        let dump: Value = self.get("/_sim/dump");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let keys = dump["keys"].as_array().unwrap().iter();
        keys.map(|key| (text(&key["id"]).parse().unwrap(), text(&key["key"]))).collect()
    }

    /// What the caller would read now: the newest key of the ordinary laptop.
    pub fn current_prefix(&self) -> String {
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
        self.end();
    }
}
