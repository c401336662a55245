//! Evidence packs of whole calls on the simulated tenant: what they tell, what they prove, and what is never in them.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use common::*;
use keydesk::{
    desk::Desk,
    domain::{
        call::{Call, DisclosureId, Verification},
        caller::{Claim, Compared, Fact, Knowledge},
        debt::{Block, DebtId, DebtState, Rotation, RotationId, RotationState},
        digest::sha256,
        event::{Carried, Event, External, Intent},
        evidence::Subject,
        foreign::Foreign,
        key_id::KeyPrefix,
        policy::Proof,
        ticket::Ticket,
        verdict::{Confidence, Why},
        work::{
            Kind,
            call::{Open, Verify},
            debts::{How, Settle},
            disclose::OnStage,
            evidence::Written,
        },
    },
    ops::{self, evidence::Place},
    simulation::{Fault, Running},
};
use serde_json::{Value, json};

/// A pack, opened.
struct Pack {
    written: Written,
    members: Vec<(String, String)>,
}

impl Pack {
    fn open(written: Written) -> Self {
        let bytes = std::fs::read(&written.file).unwrap();
        assert_eq!(sha256(&bytes), written.sha256);
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        let mut members = Vec::new();
        for n in 0..zip.len() {
            let mut file = zip.by_index(n).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            members.push((file.name().unwrap().into_owned(), text));
        }
        let pack = Self { written, members };
        validator().validate(&pack.json()).unwrap_or_else(|error| panic!("{error} at {}", error.instance_path()));
        pack
    }

    fn member(&self, name: &str) -> &str {
        &self.members.iter().find(|(member, _)| member == name).unwrap().1
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.member("evidence.json")).unwrap()
    }

    fn page(&self) -> &str {
        self.member("evidence.html")
    }

    fn summary(&self) -> String {
        let all = self.json()["summary"].as_array().unwrap().clone();
        all.iter().map(|sentence| sentence.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    }
}

/// The schema, holding the program to it: a field it does not describe is wrong.
fn validator() -> jsonschema::Validator {
    fn close(schema: &mut Value) {
        if let Some(fields) = schema.as_object_mut() {
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".into(), false.into());
            }
            fields.values_mut().for_each(close);
        } else if let Some(all) = schema.as_array_mut() {
            all.iter_mut().for_each(close);
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/evidence.schema.json");
    let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    close(&mut schema);
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

async fn pack(desk: &Desk, home: &Path, subject: Subject) -> Pack {
    Pack::open(ops::evidence::make(desk, subject, Place::Folder(home.into())).await.unwrap())
}

fn ticket(text: &str) -> Subject {
    Subject::Ticket(vec![text.into()])
}

/// What anybody can call a device.
const HOSTILE: &str = "HVC<script>alert(1)</script>\u{202e}&\"496298-461032\"";

/// A call about `prefix` on a device with this name, its caller verified, judged as the card judges.
async fn call_named(desk: &Desk, prefix: &str, name: &str) -> Call {
    let found = key(desk, prefix);
    let open = Open {
        key: found.key.id,
        volume: found.key.volume,
        device: found.key.device,
        device_name: Foreign::new(name),
        heard: 8,
        why: Some(Why {
            confidence: Confidence::Sure,
            sentence: "This one, sure: it holds the key and checked in last.".into(),
            because: vec!["1 other object bears this name.".into()],
        }),
    };
    let call = ops::calls::open(desk, open).await.unwrap();
    verify(desk, &call, Some("called-back")).await;
    call
}

async fn verify(desk: &Desk, call: &Call, method: Option<&str>) {
    let compared = if method.is_some() { Compared::Match } else { Compared::Mismatch };
    let claims = vec![Claim { fact: Fact::Name, compared }];
    let verify = Verify { call: call.id, method: method.map(Into::into), claims, known: Knowledge::Facts };
    ops::calls::verify(desk, verify).await.unwrap();
}

async fn whole_call(desk: &Arc<Desk>, prefix: &str) -> Call {
    let call = call_named(desk, prefix, "HVC-LT-0421").await;
    let asked = keydesk::domain::work::disclose::Request { same_ticket_confirmed: true, ..request(&call, TICKET) };
    let disclosed = ops::disclose::disclose(desk, asked, &ops::Asking::quietly()).await.unwrap();
    let stage = OnStage { call: call.id, disclosure: disclosed.disclosure, what: keydesk::domain::event::Stage::Shown };
    ops::disclose::on_stage(desk, stage).await.unwrap();
    ops::calls::in_windows(desk, call.id).await.unwrap();
    ops::rotate::send_for_call(desk, call.id).await.unwrap();
    follow(desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    ops::calls::close(desk, call.id).await.unwrap();
    call
}

#[tokio::test]
async fn a_whole_call_is_told_from_the_first_character_to_the_new_key() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = whole_call(&desk, PREFIX).await;
    let request = key_requests(&tenant)[0].clone();
    let made = pack(&desk, home.path(), ticket(TICKET)).await;
    let (evidence, said) = (made.json(), made.summary());

    assert!(
        said.contains("Dana Reyes (dana@harborview.example) read the recovery password of key 4F2B91C0 (OS drive)"),
        "{said}"
    );
    assert!(
        said.contains("of HVC-LT-0421") && said.contains("under ticket INC0048213, reason: Windows update"),
        "{said}"
    );
    assert!(said.contains("after the caller was verified: called back."), "{said}");
    assert!(said.contains("Key 4F2B91C0: Replaced by key "), "{said}");

    let told = &evidence["calls"][0];
    assert_eq!(told["id"], call.id.to_string());
    assert_eq!(told["roles"]["names"], json!(["Helpdesk Administrator"]));
    assert_eq!(told["device"]["why"]["confidence"], "sure");
    assert_eq!(told["verifications"][0]["claims"], json!([{"fact": "name", "compared": "match: the owner"}]));
    let read = &told["disclosures"][0];
    assert_eq!(read["client_request_id"], request.client_request_id.unwrap().to_string());
    assert_eq!(read["outcome"], "served");
    assert!(read["request_id"].is_string() && read["stage"][0]["said"] == "The digits were shown.");
    assert!(read["known"].as_array().unwrap().len() > 1);

    // As the ledger's own fold has it.
    let debt = ops::debts::list(&desk).await.unwrap().remove(0);
    let keydesk::domain::debt::DebtState::Proved { grade, new_key, .. } = &debt.state else { panic!("{debt:?}") };
    let owed = &evidence["debts"][0];
    assert_eq!(owed["state"], "proved");
    assert_eq!(owed["grade"], serde_json::to_value(grade).unwrap());
    assert_eq!(owed["new_key"], new_key.unwrap().to_string());
    let events: Vec<&str> =
        owed["timeline"].as_array().unwrap().iter().map(|step| step["event"].as_str().unwrap()).collect();
    for event in ["intended", "served", "rotation-targeted", "rotation-sending", "rotation-accepted", "debt-proved"] {
        assert!(events.contains(&event), "{event} is not in {events:?}");
    }
    assert!(
        made.page().contains("This one, sure: it holds the key and checked in last. 1 other object bears this name.")
    );
}

#[tokio::test]
async fn the_rows_are_the_ledgers_own_and_the_making_is_one_of_them() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    whole_call(&desk, PREFIX).await;
    whole_call(&desk, "9E0C4471").await;
    let before = desk.ledger().head().unwrap();
    let made = pack(&desk, home.path(), Subject::CallNumber(1)).await;
    let evidence = made.json();
    assert_eq!(
        (evidence["ledger"]["seq"].as_u64(), evidence["ledger"]["head"].as_str()),
        (Some(before.seq), Some(before.hash.as_str()))
    );
    let stored = desk.ledger().rows(1).unwrap();
    let rows = evidence["rows"].as_array().unwrap();
    assert!(rows.len() < stored.len() - 4, "the other call's rows are not handed on");
    for row in rows {
        let own = stored.iter().find(|own| Some(own.seq) == row["seq"].as_u64()).unwrap();
        assert_eq!(row["hash"], own.hash);
        assert_eq!(sha256(row["body"].as_str().unwrap_or_else(|| panic!("{own:?}"))), own.hash);
        assert_eq!(row["hash_holds"], true);
        assert_ne!(row["follows"], false);
    }
    let last = stored.last().unwrap();
    let Event::Exported { format, sha256, from, to, ticket } = &last.event else { panic!("{last:?}") };
    assert_eq!((format.as_str(), sha256), ("evidence", &made.written.sha256));
    assert_eq!((Some(*from), Some(*to)), (evidence["ledger"]["first"].as_u64(), evidence["ledger"]["last"].as_u64()));
    assert_eq!(ticket.as_ref().map(Ticket::as_str), Some(TICKET));
    assert_eq!((made.written.recorded, last.seq), (Some(last.seq), before.seq + 1));
    desk.ledger().verify().unwrap().unwrap();
}

#[tokio::test]
async fn two_calls_on_one_ticket_stand_in_one_pack() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    whole_call(&desk, PREFIX).await;
    let second = call_named(&desk, "7A41C09E", "HVC-LT-0098").await;
    let again = keydesk::domain::work::disclose::Request { same_ticket_confirmed: true, ..request(&second, TICKET) };
    ops::disclose::disclose(&desk, again, &ops::Asking::quietly()).await.unwrap();
    let made = pack(&desk, home.path(), ticket("inc0048213")).await;
    let evidence = made.json();
    assert_eq!((evidence["calls"].as_array().unwrap().len(), evidence["debts"].as_array().unwrap().len()), (2, 2));
    assert_eq!(evidence["about"]["tickets"], json!([TICKET]));
    assert_eq!([&evidence["debts"][0]["state"], &evidence["debts"][1]["state"]], ["proved", "owed"]);
    let said = made.summary();
    assert!(
        said.contains("4F2B91C0") && said.contains("7A41C09E") && said.contains("Still owed when this was made"),
        "{said}"
    );
    // And the key alone names one of them.
    let one = pack(&desk, home.path(), Subject::Key(KeyPrefix::read("7a41c09e").unwrap())).await;
    assert_eq!(one.json()["calls"].as_array().unwrap().len(), 1);
    assert_ne!(one.written.file, made.written.file, "nothing is written over");
}

#[tokio::test]
async fn a_refused_caller_is_told_though_no_ticket_was_ever_named() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = call_named(&desk, PREFIX, "HVC-LT-0421").await;
    verify(&desk, &call, None).await;
    let made = pack(&desk, home.path(), Subject::Call(call.id)).await;
    let said = made.summary();
    assert!(said.contains("could not verify the caller of call 1 about HVC-LT-0421"), "{said}");
    assert!(said.contains("(name: mismatch)") && said.contains("No key was asked for"), "{said}");
    assert_eq!(made.json()["calls"][0]["state"], "closed");
    assert!(made.page().contains("Caller NOT verified"));
    assert!(made.written.file.file_name().unwrap().to_str().unwrap().starts_with("keydesk-call-1-"));
}

#[tokio::test]
async fn what_nobody_knows_is_said_to_be_unknown_and_stays_owed() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = call_named(&desk, PREFIX, "HVC-LT-0421").await;
    let fault: Fault = serde_json::from_value(json!({"path": "select=key", "kind": "reset", "served": true})).unwrap();
    tenant.tenant().fault(fault);
    disclose(&desk, &call).await.unwrap_err();
    let made = pack(&desk, home.path(), ticket(TICKET)).await;
    let evidence = made.json();
    assert_eq!(evidence["calls"][0]["disclosures"][0]["outcome"], "unknown");
    assert_eq!(evidence["calls"][0]["disclosures"][0]["digits"], Value::Null);
    assert_eq!(evidence["debts"][0]["state"], "owed");
    assert!(made.summary().contains("may have read, the recovery password"), "{}", made.summary());
}

#[tokio::test]
async fn a_certain_refusal_leaves_nothing_to_replace() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = call_named(&desk, PREFIX, "HVC-LT-0421").await;
    let fault = json!({"path": "select=key", "kind": "status", "status": 403, "body": {"error": {"code": "authorization_error", "message": "no"}}});
    tenant.tenant().fault(serde_json::from_value(fault).unwrap());
    disclose(&desk, &call).await.unwrap_err();
    let evidence = pack(&desk, home.path(), ticket(TICKET)).await.json();
    assert_eq!(evidence["debts"][0]["state"], "cancelled");
    assert_eq!(evidence["calls"][0]["disclosures"][0]["status"], 403);
    // Read after all: owed.
    disclose(&desk, &call).await.unwrap();
    let evidence = pack(&desk, home.path(), ticket(TICKET)).await.json();
    let states: Vec<&str> =
        evidence["debts"].as_array().unwrap().iter().map(|debt| debt["state"].as_str().unwrap()).collect();
    assert!(states.contains(&"owed"), "{states:?}");
}

#[tokio::test]
async fn a_waived_debt_says_by_whom_and_why() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = call_named(&desk, PREFIX, "HVC-LT-0421").await;
    disclose(&desk, &call).await.unwrap();
    let debt = ops::debts::list(&desk).await.unwrap()[0].id;
    let settle = Settle { debt, how: How::Waive { reason: "the laptop was destroyed".into() } };
    ops::debts::settle(&desk, settle).await.unwrap();
    let made = pack(&desk, home.path(), Subject::Debt(debt)).await;
    assert_eq!(made.json()["debts"][0]["state"], "waived");
    let said = made.summary();
    assert!(
        said.contains("Not replaced: waived by dana@harborview.example") && said.contains("the laptop was destroyed"),
        "{said}"
    );
}

#[tokio::test]
async fn what_others_write_about_a_read_stands_in_its_pack() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = call_named(&desk, PREFIX, "HVC-LT-0421").await;
    let disclosure = disclose(&desk, &call).await.unwrap().disclosure;
    let debt = ops::debts::list(&desk).await.unwrap()[0].id;
    let new_key = key_id(&desk, "A1093C55");
    let at = desk.clock.now();
    let audit = "Directory_9f1c".to_owned();
    desk.record(move |pen| {
        pen.append(Some(call.id), &Event::Compromised { disclosure, debt, words: "a stranger listened in".into() })?;
        pen.append(None, &Event::EntraRecord { disclosure, audit: audit.clone(), at, failed: false })?;
        pen.append(None, &Event::DebtProved { debt, grade: Proof::NewKeySeen, new_key })?;
        pen.append(None, &Event::KeyDeleted { debt, audit, at })
    })
    .await
    .unwrap();
    let made = pack(&desk, home.path(), ticket(TICKET)).await;
    let evidence = made.json();
    let read = &evidence["calls"][0]["disclosures"][0];
    assert_eq!(read["entra"]["found"][0]["audit"], "Directory_9f1c");
    assert!(read["compromised"]["said"].as_str().unwrap().contains("a stranger listened in"));
    assert_eq!(
        (&evidence["debts"][0]["compromised"], &evidence["debts"][0]["grade"]),
        (&true.into(), &"confirmed".into())
    );
    assert_eq!(evidence["policies"][0]["lines"]["limits.per_hour"], "1000", "the policy's own row");
    assert!(made.page().contains("Audit record") && made.page().contains("read to the wrong person"));
}

/// The pack's debts say what the ledger's own tables say.
async fn agrees(desk: &Desk, home: &Path) {
    let made = pack(desk, home, ticket(TICKET)).await.json();
    let owed = ops::history::all(desk).await.unwrap();
    assert_eq!(made["debts"].as_array().unwrap().len(), owed.len());
    for debt in owed {
        let told = made["debts"].as_array().unwrap().iter().find(|told| told["id"] == debt.id.to_string()).unwrap();
        let state = serde_json::to_value(&debt.state).unwrap();
        assert_eq!(told["state"], state["state"], "{told:#}");
        assert_eq!(told["grade"], state["grade"], "{told:#}");
        assert_eq!(told["compromised"], debt.compromised.is_some(), "{told:#}");
        assert_eq!(told["since"]["utc"], debt.since.to_string());
        assert_eq!(told["ended"]["utc"].as_str(), debt.ended().map(|at| at.to_string()).as_deref(), "{told:#}");
        let new_key = state["new_key"].as_str().map(str::to_uppercase);
        assert_eq!(told["new_key"].as_str(), new_key.as_deref(), "{told:#}");
    }
}

#[tokio::test]
async fn a_debt_stands_in_its_pack_as_it_stands_in_the_ledger() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = call_named(&desk, PREFIX, "HVC-LT-0421").await;
    let disclosure = disclose(&desk, &call).await.unwrap().disclosure;
    let debt = ops::debts::list(&desk).await.unwrap()[0].clone();
    let confirmed = |debt, new_key| Event::DebtConfirmed { debt, new_key: Some(new_key), how: "compared".into() };
    let (doubted, now) = (key_id(&desk, "A1093C55"), desk.clock.now());
    let why = Block::Unsure { key: doubted };
    let carried = Carried {
        debt: DebtId::new(),
        key: key_id(&desk, "C70E55A1"),
        volume: debt.volume,
        device: debt.device,
        device_name: debt.device_name.clone(),
        of_call: call.id,
        ticket: debt.ticket.clone(),
        since: now - jiff::SignedDuration::from_hours(50),
        tenant: debt.tenant,
        compromised: Some(now),
        key_deleted: None,
        source: None,
        known: Vec::new(),
        entra_time: None,
        rotation: Some(Rotation::new(RotationId::new(), RotationState::Blocked { why: why.clone(), at: now })),
        disclosures: Vec::new(),
    };
    let (second, audit) = (DisclosureId::new(), "Directory_9f1c".to_owned());
    let again = Intent {
        disclosure: second,
        debt: carried.debt,
        key: carried.key,
        volume: carried.volume,
        device: carried.device,
        device_name: carried.device_name.clone(),
        ticket: carried.ticket.clone(),
        reason: "2".into(),
        reason_words: "Recovery screen".into(),
        verification: Verification { method: "called-back".into(), words: "called".into(), claims: vec![], at: now },
        known: Vec::new(),
        entra_time: None,
    };
    let refused =
        |disclosure| Event::Refused { disclosure, status: Some(403), code: "Forbidden".into(), request_id: None };
    let fresh = Intent { disclosure: DisclosureId::new(), debt: DebtId::new(), ..again.clone() };
    let read = fresh.disclosure;
    let rotation = debt.rotation.as_ref().unwrap().id;
    let more = Intent { disclosure: DisclosureId::new(), debt: debt.id, key: debt.key, ..again.clone() };
    let served = Event::Served {
        disclosure: more.disclosure,
        rotation,
        held_until: now,
        status: 200,
        request_id: None,
        faults: Vec::new(),
    };
    for (call, event) in [
        // Read again while a person was asked to compare: nobody is asked any more.
        (None, Event::RotationBlocked { rotation, why }),
        (Some(call.id), Event::Intended(Box::new(more))),
        (Some(call.id), served),
        (Some(call.id), Event::DebtWaived { debt: debt.id, reason: "the drive was shredded".into() }),
        // Who waived it did not know.
        (Some(call.id), Event::Compromised { disclosure, debt: debt.id, words: String::new() }),
        // A key that nobody was asked to compare, then one that somebody was.
        (Some(call.id), confirmed(debt.id, doubted)),
        (None, Event::DebtCarried(Box::new(carried.clone()))),
        // It stands for a read of another ledger.
        (Some(call.id), Event::Intended(Box::new(again))),
        (Some(call.id), refused(second)),
        (Some(call.id), confirmed(carried.debt, doubted)),
        // Refused, and read all the same.
        (Some(call.id), Event::Intended(Box::new(fresh))),
        (Some(call.id), refused(read)),
        (Some(call.id), Event::EntraRecord { disclosure: read, audit, at: now, failed: false }),
    ] {
        desk.record(move |pen| pen.append(call, &event).map(drop)).await.unwrap();
        agrees(&desk, home.path()).await;
    }
    let grades: Vec<_> = ops::history::all(&desk).await.unwrap().into_iter().map(|debt| debt.state).collect();
    let has =
        |wanted: Proof| grades.iter().any(|state| matches!(state, DebtState::Proved { grade, .. } if *grade == wanted));
    assert!(has(Proof::ByHand) && has(Proof::Probable) && grades.contains(&DebtState::Owed), "{grades:?}");
}

#[tokio::test]
async fn a_key_read_elsewhere_is_told_as_such_and_owed() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = call_named(&desk, PREFIX, "HVC-LT-0421").await;
    let external = External {
        disclosure: DisclosureId::new(),
        debt: keydesk::domain::debt::DebtId::new(),
        key: call.key,
        volume: call.volume,
        source: keydesk::domain::debt::Source::Ad,
        device: None,
        device_name: "HVC-LT-0421".into(),
        ticket: desk.policy.ticket.read(TICKET).unwrap(),
        reason: "windows-update".into(),
        reason_words: "Windows update".into(),
        verification: keydesk::domain::call::Verification {
            method: "called-back".into(),
            words: "called back".into(),
            claims: vec![],
            at: desk.clock.now(),
        },
        known: vec![],
        entra_time: None,
        rotation: None,
    };
    let event = Event::ExternalDisclosure(Box::new(external));
    desk.record(move |pen| pen.append(Some(call.id), &event)).await.unwrap();
    let made = pack(&desk, home.path(), ticket(TICKET)).await;
    let evidence = made.json();
    assert_eq!(evidence["calls"][0]["disclosures"][0]["outcome"], "external");
    assert_eq!(evidence["debts"][0]["state"], "owed");
    let said = made.summary();
    assert!(said.contains("Read from Active Directory: Entra was not asked."), "{said}");
}

#[tokio::test]
async fn an_event_of_a_newer_version_is_told_by_its_name_and_fields() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = call_named(&desk, PREFIX, "HVC-LT-0421").await;
    let disclosure = disclose(&desk, &call).await.unwrap().disclosure;
    let debt = ops::debts::list(&desk).await.unwrap()[0].id;
    let copy = copy_of(&desk, home.path());
    append(&copy, &json!({"event": "fax-received", "debt": debt, "from_number": "555-0100"}));
    append(&copy, &json!({"event": "pigeon-sent", "ticket": TICKET, "ring": "NL-26"}));
    let made = Pack::open(from(&copy, &ticket(TICKET), home.path()));
    let evidence = made.json();
    let last = evidence["debts"][0]["timeline"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["event"], "fax-received");
    assert!(
        last["said"].as_str().unwrap().starts_with("Fax received: ")
            && last["said"].as_str().unwrap().contains("from number: 555-0100")
    );
    assert_eq!(last["fields"]["from_number"], "555-0100");
    assert_eq!(evidence["others"][0]["event"], "pigeon-sent");
    assert!(made.page().contains("NL-26"));
    assert_ne!(disclosure, DisclosureId(uuid::Uuid::nil()));
}

#[tokio::test]
async fn a_broken_chain_is_said_on_the_first_page_and_a_pack_is_made_all_the_same() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    whole_call(&desk, PREFIX).await;
    let copy = copy_of(&desk, home.path());
    let edited = rusqlite::Connection::open(&copy).unwrap();
    edited.execute_batch("DROP TRIGGER ledger_is_never_updated").unwrap();
    let edit = "UPDATE ledger SET body = CAST(replace(CAST(body AS TEXT), 'windows-update', 'firmware') AS BLOB)
                WHERE CAST(body AS TEXT) LIKE '%\"intended\"%'";
    assert_eq!(edited.execute(edit, []).unwrap(), 1);
    drop(edited);
    let made = Pack::open(from(&copy, &ticket(TICKET), home.path()));
    assert!(made.written.broken.as_ref().unwrap().contains("edited"));
    let evidence = made.json();
    assert_eq!(evidence["ledger"]["whole"], false);
    let rows = evidence["rows"].as_array().unwrap();
    assert_eq!(rows.iter().filter(|row| row["hash_holds"] == false).count(), 1);
    let first = made.page().find("THE CHAIN IS BROKEN").unwrap();
    assert!(first < made.page().find("class=\"summary\"").unwrap());
    assert!(made.page().contains("the row was edited"));
}

#[tokio::test]
async fn a_copy_of_a_ledger_is_only_read() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    whole_call(&desk, PREFIX).await;
    let copy = copy_of(&desk, home.path());
    let before = std::fs::read(&copy).unwrap();
    let mut quiet = std::fs::metadata(&copy).unwrap().permissions();
    quiet.set_readonly(true);
    std::fs::set_permissions(&copy, quiet).unwrap();
    let made = Pack::open(from(&copy, &ticket(TICKET), home.path()));
    assert_eq!(made.written.recorded, None);
    assert_eq!(made.json()["made"]["source"], "file");
    assert_eq!(std::fs::read(&copy).unwrap(), before);
    let zone = jiff::tz::TimeZone::UTC;
    let place = Place::Folder(home.path().into());
    let missing =
        ops::evidence::make_from(&copy, &ticket("INC0000001"), &place, zone.clone(), desk.clock.now()).unwrap_err();
    assert_eq!((missing.kind, missing.kind.exit_code()), (Kind::NotFound, 4));
    let nowhere =
        ops::evidence::make_from(&home.path().join("none.db"), &ticket(TICKET), &place, zone, desk.clock.now());
    assert_eq!(nowhere.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn a_ledger_that_cannot_record_the_making_gives_no_pack() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    whole_call(&desk, PREFIX).await;
    let other = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    other.execute_batch("CREATE TRIGGER full BEFORE INSERT ON ledger BEGIN SELECT RAISE(ABORT, 'no'); END;").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let failure = ops::evidence::make(&desk, ticket(TICKET), Place::Folder(folder.path().into())).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Record);
    assert!(failure.next.contains("--ledger"), "{failure}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "not even a file without a name");
}

#[tokio::test]
async fn a_pack_is_for_its_owner_alone_and_the_same_evidence_gives_the_same_bytes() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    whole_call(&desk, PREFIX).await;
    let copy = copy_of(&desk, home.path());
    let now = desk.clock.now();
    let make = || {
        let place = Place::File(home.path().join("pack.zip"));
        ops::evidence::make_from(&copy, &ticket(TICKET), &place, jiff::tz::TimeZone::UTC, now).unwrap()
    };
    let (first, second) = (make(), make());
    assert_eq!(first.sha256, second.sha256);
    assert_eq!((first.file, second.file.clone()), (home.path().join("pack.zip"), home.path().join("pack-2.zip")));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&second.file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn no_twelve_digits_of_any_key_and_no_token_are_in_any_file_of_a_pack() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    for prefix in [PREFIX, "7A41C09E", "C70E55A1", "9E0C4471"] {
        let call = call_named(&desk, prefix, HOSTILE).await;
        let asked = keydesk::domain::work::disclose::Request { same_ticket_confirmed: true, ..request(&call, TICKET) };
        let disclosed = ops::disclose::disclose(&desk, asked, &ops::Asking::quietly()).await.unwrap();
        let stage =
            OnStage { call: call.id, disclosure: disclosed.disclosure, what: keydesk::domain::event::Stage::Shown };
        ops::disclose::on_stage(&desk, stage).await.unwrap();
    }
    // What must not happen, and is tried: somebody pastes the digits into a reason, hyphens and all, or with blanks.
    let debts = ops::debts::list(&desk).await.unwrap();
    for (debt, mark) in debts.iter().zip(["-", " ", "", ". "]) {
        let digits = tenant.tenant().recovery_password(debt.key.0).unwrap().replace('-', mark);
        let reason = format!("the caller typed {digits}, and it worked");
        let refused =
            ops::debts::settle(&desk, Settle { debt: debt.id, how: How::Waive { reason } }).await.unwrap_err();
        assert!(refused.happened.contains("digits of a recovery password"), "{refused}");
    }
    let made = pack(&desk, home.path(), ticket(TICKET)).await;
    let passwords = passwords(&tenant);
    assert!(passwords.len() > 20, "{} passwords", passwords.len());
    for (name, text) in &made.members {
        let found = digits_found(text, &passwords);
        assert!(found.is_empty(), "{name} holds {found:?}");
        assert!(!text.contains("token") || name != "evidence.json" || !text.contains("access_token"), "{name}");
        assert!(!text.contains("eyJ"), "{name} holds what looks like a token");
    }
    let evidence = made.json();
    let withheld = evidence["rows"].as_array().unwrap().iter().filter(|row| row["body"].is_null());
    // Every row that names the device, whose name holds two blocks.
    assert!(withheld.clone().count() >= 4, "rows with digits are not handed on");
    assert!(withheld.clone().all(|row| row["withheld"].is_string() && row["hash_holds"] == true));
    assert!(made.summary().contains("[digits withheld]"), "{}", made.summary());
}

#[test]
fn the_search_for_digits_finds_them_plain_and_marked_off() {
    let password = vec!["496298461032321464595518463221173943033616139579".to_owned()];
    for planted in ["x032321464595518x", "4 9 6 2 9 8 4 6 1 0 3 2", "139579".repeat(2).as_str(), "461032-321464"] {
        let is_in = planted != "139579139579";
        assert_eq!(!digits_found(planted, &password).is_empty(), is_in, "{planted}");
    }
}

#[tokio::test]
async fn a_devices_name_can_neither_script_the_page_nor_turn_its_lines() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = call_named(&desk, PREFIX, HOSTILE).await;
    disclose(&desk, &call).await.unwrap();
    let made = pack(&desk, home.path(), ticket(TICKET)).await;
    let page = made.page();
    assert!(!page.contains("<script") && page.contains("HVC&#60;script&#62;"), "{page}");
    assert!(!made.members.iter().any(|(_, text)| text.contains('\u{202e}')));
    assert!(page.contains("\\u{202e}"));
    // Nothing is fetched from anywhere, and nothing but the one style is let in.
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
    for word in ["src=", "href=", "url(", "@import", " on", "style="] {
        let tags = page.split('<').skip(1).filter_map(|tag| tag.split('>').next());
        assert!(!tags.clone().any(|tag| tag.contains(word) && !tag.starts_with("meta")), "{word} in a tag");
    }
    assert_eq!(made.json()["calls"][0]["device"]["name"], HOSTILE.replace("496298-461032", "[digits withheld]"));
}

#[tokio::test]
#[ignore = "needs python3"]
async fn the_script_in_the_pack_agrees_with_the_program_and_finds_an_edit() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    whole_call(&desk, PREFIX).await;
    let made = pack(&desk, home.path(), ticket(TICKET)).await;
    let script = home.path().join("verify.py");
    std::fs::write(&script, made.member("verify.py")).unwrap();
    let run = |arguments: &[&Path]| {
        let output = Command::new("python3").arg(&script).args(arguments).output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        )
    };
    let copy = copy_of(&desk, home.path());
    let (flag, zip) = (Path::new("--ledger"), made.written.file.as_path());
    let (well, said) = run(&[zip, flag, &copy]);
    assert!(well && said.contains(&made.written.head), "{said}");

    // One word of a row in the pack.
    std::fs::write(
        home.path().join("evidence.json"),
        made.member("evidence.json").replace("windows-update", "firmware"),
    )
    .unwrap();
    let (well, said) = run(&[]);
    assert!(!well && said.contains("edited"), "{said}");
    // Another ledger than the pack's.
    let other = rusqlite::Connection::open(&copy).unwrap();
    other.execute_batch("DROP TRIGGER ledger_is_never_deleted; DELETE FROM ledger WHERE seq = 3").unwrap();
    drop(other);
    let (well, said) = run(&[zip, flag, &copy]);
    assert!(!well && said.contains("WRONG: the ledger's chain breaks at row 4"), "{said}");
}

#[test]
fn the_command_makes_a_pack_signed_out_and_offline_and_says_where_there_is_none() {
    let (served, home, out) = (serve(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keydesk = |online: bool, arguments: &[&str]| {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_keydesk"));
        command.env_clear().envs(environment(home.path(), online.then_some(&served.running))).current_dir(out.path());
        command.args(arguments).assert()
    };
    let claim = ["--reason", "windows-update", "--verified", "manager", "--claim", "name=mara voss"];
    keydesk(true, &[&["reveal", PREFIX, "--print", "--ticket", TICKET][..], &claim].concat()).success();
    let made = keydesk(false, &["evidence", "--ticket", "0048213", "--json"]).success();
    let facts: Value = serde_json::from_slice(&made.get_output().stdout).unwrap();
    assert_eq!((&facts["calls"], &facts["chain_whole"]), (&1.into(), &true.into()));
    let file = PathBuf::from(facts["file"].as_str().unwrap());
    assert!(file.parent().unwrap().ends_with(out.path().file_name().unwrap()));
    let text = std::fs::read(&file).unwrap();
    assert_eq!(sha256(&text), facts["sha256"].as_str().unwrap());

    let ledger = home.path().join("ledger.db");
    let from_file =
        keydesk(false, &["evidence", "--call", "1", "--ledger", ledger.to_str().unwrap(), "--out", "x.zip"]).success();
    let said = String::from_utf8(from_file.get_output().stderr.clone()).unwrap();
    assert!(said.contains("Nothing was recorded") && out.path().join("x.zip").exists(), "{said}");
    keydesk(false, &["evidence", "--ticket", "INC7654321"]).code(4);
    keydesk(false, &["evidence", "--debt", "4F2"]).code(2);
    keydesk(false, &["evidence"]).code(2);
}

/// A copy of the desk's ledger, whole.
fn copy_of(desk: &Desk, folder: &Path) -> PathBuf {
    let copy = folder.join("copy.db");
    let ledger = rusqlite::Connection::open(desk.paths.ledger()).unwrap();
    ledger.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    copy
}

fn from(ledger: &Path, subject: &Subject, folder: &Path) -> Written {
    let place = Place::Folder(folder.into());
    ops::evidence::make_from(ledger, subject, &place, jiff::tz::TimeZone::UTC, jiff::Timestamp::now()).unwrap()
}

/// Appends a row as another version would.
fn append(ledger: &Path, what: &Value) {
    let ledger = rusqlite::Connection::open(ledger).unwrap();
    let last = "SELECT seq, hash, CAST(body AS TEXT) FROM ledger ORDER BY seq DESC LIMIT 1";
    let (seq, prev, body): (i64, String, String) =
        ledger.query_row(last, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let before: Value = serde_json::from_str(&body).unwrap();
    let body = json!({"v": 1, "seq": seq + 1, "prev": prev, "at": before["at"], "stamp": before["stamp"], "call": null, "what": what});
    let body = body.to_string();
    ledger
        .execute("INSERT INTO ledger (seq, body, hash) VALUES (?1, ?2, ?3)", (seq + 1, body.as_bytes(), sha256(&body)))
        .unwrap();
}

/// Every recovery password of the tenant, its digits alone.
fn passwords(tenant: &Running) -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                if digits.len() == 48 && text.chars().all(|c| c.is_ascii_digit() || c == '-') {
                    found.push(digits);
                }
            }
            Value::Array(all) => all.iter().for_each(|value| collect(value, found)),
            Value::Object(all) => all.values().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&tenant.tenant().dump(), &mut found);
    found
}

/// Twelve digits of a password in a row, alone or with any one character between two of them.
fn digits_found(text: &str, passwords: &[String]) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut condensed = String::new();
    for (n, c) in chars.iter().enumerate() {
        let digit = |c: Option<&char>| c.is_some_and(char::is_ascii_digit);
        if c.is_ascii_digit() {
            condensed.push(*c);
        } else if !(n > 0 && digit(chars.get(n - 1)) && digit(chars.get(n + 1))) {
            condensed.push(' ');
        }
    }
    let twelves = passwords.iter().flat_map(|password| (0..=password.len() - 12).map(|at| &password[at..at + 12]));
    twelves.filter(|twelve| text.contains(*twelve) || condensed.contains(*twelve)).map(str::to_owned).collect()
}
