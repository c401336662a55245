//! What our client asks and what the simulated tenant answers, held against Microsoft's own `OpenAPI` description of Graph.
//!
//! The description is not ours to ship: `GRAPH_SCHEMAS` names a folder with `graph-v1.yaml` and `graph-beta.yaml`; CONTRIBUTING.md says
//! where they come from. A whole call is walked through a recorder between the two, and every exchange is looked up: path and method must
//! exist, every query option and selected property must be declared, every answer must validate, with no property nobody declared.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    response::Response,
};
use keydesk::{
    config::Settings,
    desk::{Clock, Desk},
    domain::{
        call::DisclosureId, connection::read_host, device::ManagedDeviceId, key_id::KeyId, query::Query,
        work::find::LookUp, work::open_device, work::reconcile::Request as Reconcile,
    },
    ops::{self, Asking},
    simulation::{self, Options, Running, Source},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Where the real service differs from its description, and our tenant with it. Each must be seen, or it does not belong here.
struct Deviation {
    property: &'static str,
    why: &'static str,
    /// What the description would have said, for what was said.
    mend: fn(&Value) -> Option<Value>,
}

const DEVIATIONS: &[Deviation] = &[Deviation {
    property: "volumeType",
    why: "Described as names of an enum. Microsoft's resource page `bitlockerRecoveryKey` and every answer seen say \"1\", \"2\", \"3\".",
    mend: |said| {
        let names = ["operatingSystemVolume", "fixedDataVolume", "removableDataVolume", "unknownFutureValue"];
        let number: usize = said.as_str()?.parse().ok()?;
        names.get(number.checked_sub(1)?).map(|name| Value::from(*name))
    },
}];

/// Query options of links that Graph itself made: opaque, followed as they are (`concepts/paging.md`).
const OF_LINKS: &[&str] = &["$skiptoken"];
/// Paths that a cut of the description may leave out: checked where they are in it.
const MAYBE_CUT: &[&str] = &["/organization"];

/// One request and its answer.
#[derive(Debug)]
struct Exchange {
    method: String,
    /// Behind the edition.
    path: String,
    query: Vec<(String, String)>,
    sent: Bytes,
    status: u16,
    answer: Bytes,
}

/// Stands where the network would, and writes everything down.
#[derive(Clone)]
struct Recorder {
    tenant: String,
    client: reqwest::Client,
    exchanges: Arc<Mutex<Vec<(String, Exchange)>>>,
}

impl Recorder {
    /// The recorder and its address.
    async fn start(tenant: &Running) -> (Self, String) {
        let exchanges = Arc::default();
        let recorder = Self { tenant: tenant.graph(), client: reqwest::Client::new(), exchanges };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (recorder, address)
    }

    /// What was exchanged below an edition so far.
    fn taken(&self) -> Vec<(String, Exchange)> {
        std::mem::take(&mut *self.exchanges.lock().unwrap())
    }
}

async fn pass(State(recorder): State<Recorder>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let sent = to_bytes(body, usize::MAX).await.unwrap();
    let target = parts.uri.path_and_query().unwrap().to_string();
    let url = format!("{}{target}", recorder.tenant);
    // With the headers as they came, the host's name too: links lead here again.
    let passed = recorder.client.request(parts.method.clone(), url).headers(parts.headers).body(sent.clone());
    let came = passed.send().await.unwrap();
    let (status, headers) = (came.status(), came.headers().clone());
    let answer = came.bytes().await.unwrap();
    let url: url::Url = format!("http://x{target}").parse().unwrap();
    let (edition, path) = url.path()[1..].split_once('/').unwrap();
    if matches!(edition, "v1.0" | "beta") {
        let exchange = Exchange {
            method: parts.method.to_string().to_lowercase(),
            path: format!("/{path}"),
            query: url.query_pairs().into_owned().collect(),
            sent,
            status: status.as_u16(),
            answer: answer.clone(),
        };
        recorder.exchanges.lock().unwrap().push((edition.to_owned(), exchange));
    }
    let mut response = Response::new(answer.into());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// One edition's description.
struct Description(Value);

impl Description {
    fn read(edition: &str) -> Self {
        let folder = std::env::var_os("GRAPH_SCHEMAS").unwrap_or_else(|| panic!("GRAPH_SCHEMAS names no folder"));
        let name = if edition == "beta" { "graph-beta.yaml" } else { "graph-v1.yaml" };
        let text = std::fs::read_to_string(Path::new(&folder).join(name)).unwrap();
        let mut description: Value = serde_saphyr::from_str(&text).unwrap();
        nullable_as_types(&mut description);
        Self(description)
    }

    /// The path's entry: literal parts first, `{parameters}` for the rest.
    fn path(&self, path: &str) -> Option<&Value> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let own: Vec<&str> = template.split('/').collect();
            own.len() == parts.len()
                && own.iter().zip(&parts).all(|(own, part)| own.eq_ignore_ascii_case(part) || own.starts_with('{'))
        };
        self.0["paths"].as_object().unwrap().iter().find(|(template, _)| fits(template)).map(|(_, entry)| entry)
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let Some(name) = schema["$ref"].as_str() else { return schema };
        let name = name.rsplit('/').next().unwrap();
        let kind = if schema["$ref"].as_str().unwrap().contains("/responses/") { "responses" } else { "schemas" };
        &self.0["components"][kind][name]
    }

    /// Every property this schema declares, through what it inherits.
    fn declared(&self, schema: &Value, into: &mut BTreeMap<String, Value>) {
        let schema = self.resolve(schema);
        for part in ["allOf", "anyOf", "oneOf"].iter().filter_map(|kind| schema[kind].as_array()).flatten() {
            self.declared(part, into);
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            into.insert(name.clone(), property.clone());
        }
    }

    fn validator(&self, schema: &Value) -> jsonschema::Validator {
        let draft = "https://json-schema.org/draft/2020-12/schema";
        let whole = json!({"$schema": draft, "allOf": [schema], "components": self.0["components"]});
        jsonschema::validator_for(&whole).unwrap()
    }

    /// Everything that is wrong with this exchange.
    fn complaints(&self, exchange: &Exchange, seen: &mut BTreeSet<&'static str>) -> Vec<String> {
        let Some(entry) = self.path(&exchange.path) else {
            let is_cut = MAYBE_CUT.contains(&exchange.path.as_str());
            return if is_cut { Vec::new() } else { vec!["no such path".to_owned()] };
        };
        let Some(operation) = entry.get(&exchange.method) else { return vec!["no such method".to_owned()] };
        let mut wrong = self.complaints_of_query(entry, operation, exchange);
        if !exchange.sent.is_empty() && operation.get("requestBody").is_none() {
            wrong.push("a body nobody asked for".to_owned());
        }
        let responses = &operation["responses"];
        let class = format!("{}XX", exchange.status / 100);
        let known = [exchange.status.to_string(), class, "default".to_owned()];
        let Some(response) = known.iter().find_map(|status| responses.get(status)) else {
            wrong.push(format!("status {} is not described", exchange.status));
            return wrong;
        };
        let schema = &self.resolve(response)["content"]["application/json"]["schema"];
        match (schema, exchange.answer.is_empty()) {
            (Value::Null, true) => {}
            (Value::Null, false) => wrong.push("an answer where none is described".to_owned()),
            (schema, _) => wrong.extend(self.complaints_of_answer(schema, exchange, seen)),
        }
        wrong
    }

    fn complaints_of_query(&self, entry: &Value, operation: &Value, exchange: &Exchange) -> Vec<String> {
        let described = [&entry["parameters"], &operation["parameters"]];
        let parameters: Vec<&Value> =
            described.into_iter().filter_map(Value::as_array).flatten().map(|one| self.parameter(one)).collect();
        let mut wrong = Vec::new();
        for (name, value) in exchange.query.iter().filter(|(name, _)| !OF_LINKS.contains(&name.as_str())) {
            let Some(parameter) = parameters.iter().find(|one| one["in"] == "query" && one["name"] == name.as_str())
            else {
                wrong.push(format!("query option {name} is not described"));
                continue;
            };
            let Some(known) = parameter["schema"]["items"]["enum"].as_array() else { continue };
            wrong.extend(
                value
                    .split(',')
                    .filter(|one| !known.iter().any(|known| known == one))
                    .map(|one| format!("{name} names {one}, which is not described")),
            );
        }
        wrong
    }

    fn parameter<'a>(&'a self, one: &'a Value) -> &'a Value {
        match one["$ref"].as_str() {
            Some(name) => &self.0["components"]["parameters"][name.rsplit('/').next().unwrap()],
            None => one,
        }
    }

    fn complaints_of_answer(
        &self,
        schema: &Value,
        exchange: &Exchange,
        seen: &mut BTreeSet<&'static str>,
    ) -> Vec<String> {
        let Ok(mut body) = serde_json::from_slice::<Value>(&exchange.answer) else {
            return vec!["the answer is no JSON".to_owned()];
        };
        mend(&mut body, seen);
        let mut wrong: Vec<String> =
            self.validator(schema).iter_errors(&body).map(|e| format!("{}: {e}", e.instance_path())).collect();
        let mut declared = BTreeMap::new();
        self.declared(schema, &mut declared);
        let (rows, declared) = match (body["value"].as_array(), declared.get("value")) {
            (Some(rows), Some(value)) => {
                let mut of_row = BTreeMap::new();
                self.declared(&value["items"], &mut of_row);
                (rows.clone(), of_row)
            }
            _ => (vec![body], declared),
        };
        let names: BTreeSet<&String> = rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys()).collect();
        // What leads to other objects is described where it can be asked for, in `$expand`: its name was held against that.
        let expands = |name: &str| exchange.query.iter().any(|(option, value)| option == "$expand" && value == name);
        let unknown =
            names.into_iter().filter(|name| !name.contains('@') && !expands(name) && !declared.contains_key(*name));
        wrong.extend(unknown.map(|name| format!("property {name} is not described")));
        wrong
    }
}

/// Says what a documented deviation meant, wherever it stands.
fn mend(value: &mut Value, seen: &mut BTreeSet<&'static str>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mend(item, seen)),
        Value::Object(properties) => {
            for (name, property) in properties {
                let deviation = DEVIATIONS.iter().find(|one| one.property == name);
                match deviation.and_then(|one| Some((one, (one.mend)(property)?))) {
                    Some((deviation, meant)) => {
                        seen.insert(deviation.property);
                        *property = meant;
                    }
                    None => mend(property, seen),
                }
            }
        }
        _ => {}
    }
}

/// `OpenAPI` 3.0's `nullable` as a JSON Schema says it.
fn nullable_as_types(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(nullable_as_types),
        Value::Object(schema) => {
            if schema.get("nullable") == Some(&Value::Bool(true))
                && let Some(kind) = schema.get("type").and_then(Value::as_str)
            {
                let both = json!([kind, "null"]);
                schema.insert("type".to_owned(), both);
            }
            schema.values_mut().for_each(nullable_as_types);
        }
        _ => {}
    }
}

/// A tenant in small pages, the recorder before it, and a desk that knows only the recorder.
async fn recorded(home: &Path) -> (Running, Recorder, Arc<Desk>) {
    let options = Options {
        scenario: Source::Text(common::with_audit_role(include_str!("../assets/scenarios/small.toml"))),
        page_size: Some(60),
        speed: 400.0,
        auto_approve: Some(Duration::ZERO),
        ..Options::default()
    };
    let tenant = simulation::start(options).await.unwrap();
    let (recorder, address) = Recorder::start(&tenant).await;
    let mut settings: Settings = common::settings(&tenant, home, common::QUICK);
    let connection = settings.connection.as_mut().unwrap();
    (connection.authority, connection.graph) = (read_host(&address).unwrap(), read_host(&address).unwrap());
    let desk = Arc::new(Desk::open(&settings, Clock::system()).unwrap());
    (tenant, recorder, desk)
}

/// Everything the desk does in a call, and the questions that are refused.
async fn a_whole_call(desk: &Arc<Desk>) {
    let quietly = Asking::quietly();
    ops::calls::catch_up(desk).await.unwrap();
    common::sign_in(desk).await.unwrap();
    ops::sync_index::sync_index(desk, &quietly).await.unwrap();
    let call = common::verified_call(desk, common::PREFIX).await;
    let whole_key = call.key.0.to_string();
    for text in ["HVC-LT-0421", "7KQ2M", "mara.voss@harborview.example", "O'Brien & Söhne", &whole_key] {
        let _ = ops::find::look_up(desk, &LookUp { query: Query::read(text) }, &quietly).await;
    }
    let asked = open_device::Request { device: call.device, asked: Some(call.key) };
    ops::open_device::open_device(desk, asked, &quietly).await.unwrap();
    common::disclose(desk, &call).await.unwrap();
    ops::rotate::in_windows(desk, call.id).await.unwrap();
    common::follow(desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    let graph = desk.seat().unwrap().graph;
    graph.me().await.unwrap();
    graph.devices_search("MICROSCOPY").await.unwrap();
    graph.key_metadata(KeyId(Uuid::from_u128(7))).await.unwrap_err();
    graph.managed(ManagedDeviceId(Uuid::from_u128(7))).await.unwrap_err();
    graph.rotate(ManagedDeviceId(Uuid::from_u128(7)), Duration::from_secs(5)).await.unwrap_err();
}

#[tokio::test]
#[ignore = "needs GRAPH_SCHEMAS"]
async fn a_whole_call_is_asked_and_answered_as_microsoft_describes_it() {
    let home = tempfile::tempdir().unwrap();
    let (tenant, recorder, desk) = recorded(home.path()).await;
    a_whole_call(&desk).await;
    // A read that the ledger knows nothing of, so that Entra and Intune are asked whose device it is.
    let graph = desk.seat().unwrap().graph;
    graph.reveal(common::key_id(&desk, "C70E55A1"), DisclosureId::new()).await.unwrap();
    tenant.tenant().advance(Duration::from_mins(10));
    ops::reconcile::reconcile(&desk, &Reconcile::default(), &Asking::quietly()).await.unwrap();
    let exchanges = recorder.taken();
    let descriptions: BTreeMap<&str, Description> =
        ["v1.0", "beta"].into_iter().map(|edition| (edition, Description::read(edition))).collect();
    let mut seen = BTreeSet::new();
    let mut wrong = BTreeSet::new();
    for (edition, exchange) in &exchanges {
        for complaint in descriptions[edition.as_str()].complaints(exchange, &mut seen) {
            wrong.insert(format!("{} {edition}{} {}: {complaint}", exchange.method, exchange.path, exchange.status));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for deviation in DEVIATIONS {
        assert!(seen.contains(deviation.property), "not seen any more: {} ({})", deviation.property, deviation.why);
    }
    // What a call consists of was really walked.
    let asked = |method: &str, part: &str, status: u16| {
        exchanges.iter().any(|(_, one)| one.method == method && one.path.contains(part) && one.status == status)
    };
    assert!(asked("get", "/bitlocker/recoveryKeys", 200) && asked("get", "/bitlocker/recoveryKeys/", 404));
    assert!(asked("get", "/devices", 200) && asked("get", "/deviceManagement/managedDevices", 200));
    assert!(asked("get", "/auditLogs/directoryAudits", 200));
    assert!(exchanges.iter().any(|(_, one)| one.query.iter().any(|(name, _)| name == "$expand")));
    assert!(asked("post", "/rotateBitLockerKeys", 204) && asked("post", "/rotateBitLockerKeys", 404));
    assert!(exchanges.iter().any(|(_, one)| one.query.iter().any(|(name, _)| name == "$skiptoken")));
}

#[tokio::test]
#[ignore = "needs GRAPH_SCHEMAS"]
async fn the_contract_complains_of_what_is_not_described() {
    let description = Description::read("v1.0");
    let of = |path: &str, query: &[(&str, &str)], answer: &str| Exchange {
        method: "get".to_owned(),
        path: path.to_owned(),
        query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        sent: Bytes::new(),
        status: 200,
        answer: Bytes::from(answer.to_owned()),
    };
    let complaints = |exchange: Exchange| description.complaints(&exchange, &mut BTreeSet::new()).join("; ");
    assert_eq!(complaints(of("/devicesss", &[], "")), "no such path");
    assert_eq!(complaints(of("/devices", &[("$select", "id,displayName")], r#"{"value":[]}"#)), "");
    assert!(complaints(of("/devices", &[("$select", "id,serial")], r#"{"value":[]}"#)).contains("serial"));
    assert!(complaints(of("/devices", &[("$filtre", "x")], r#"{"value":[]}"#)).contains("$filtre"));
    assert!(complaints(of("/devices", &[], "{}")).contains("value"));
    assert!(complaints(of("/devices", &[], r#"{"value":[{"accountEnabled":"yes"}]}"#)).contains("accountEnabled"));
    assert!(complaints(of("/devices", &[], r#"{"value":[{"displayNamen":"x"}]}"#)).contains("displayNamen"));
}
