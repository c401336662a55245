//! Reconciling with Entra's own record, against the simulated tenant over HTTP.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{path::Path, sync::Arc, time::Duration};

use common::*;
use jiff::tz::TimeZone;
use keydesk::{
    desk::Desk,
    domain::{
        call::DisclosureId,
        capability::{Feature, Light},
        debt::{DebtId, DebtState},
        event::{Event, Intent},
        policy::Proof,
        reconcile::{Absence, Who},
        work::{
            Kind,
            reconcile::{Answer, By, CouldNot, Report, Request},
        },
    },
    ops::{self, Asking},
    simulation::{self, Fault, Options, Running, Source},
};
use serde_json::json;
use tempfile::TempDir;

const SMALL: &str = include_str!("../assets/scenarios/small.toml");
/// All records are to be seen by then.
const LATE: Duration = Duration::from_mins(6);
const LOG: &str = "directoryAudits";

/// The small tenant at life's own speed, its technician allowed to read the log, with these changes to its scenario.
async fn ground(changes: &[(&str, &str)]) -> (Running, TempDir, Arc<Desk>) {
    ground_of(changes, true).await
}

async fn ground_of(changes: &[(&str, &str)], reads_log: bool) -> (Running, TempDir, Arc<Desk>) {
    let mut text = if reads_log { with_audit_role(SMALL) } else { SMALL.to_owned() };
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let options = Options { scenario: Source::Text(text), auto_approve: Some(Duration::ZERO), ..Options::default() };
    let tenant = simulation::start(options).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let desk = desk(&tenant, home.path()).await;
    (tenant, home, desk)
}

async fn ask(desk: &Desk, request: Request) -> Report {
    match ops::reconcile::reconcile(desk, &request, &Asking::quietly()).await.unwrap() {
        Answer::Checked(report) => *report,
        Answer::CouldNot(could_not) => panic!("{could_not:?}"),
    }
}

async fn refused(desk: &Desk) -> CouldNot {
    match ops::reconcile::reconcile(desk, &Request::default(), &Asking::quietly()).await.unwrap() {
        Answer::CouldNot(could_not) => *could_not,
        Answer::Checked(report) => panic!("{report:?}"),
    }
}

fn everyone() -> Request {
    Request { by: By::Everyone, ..Request::default() }
}

/// As if every record that can come had come.
fn settled() -> Request {
    Request { grace: Duration::ZERO, ..Request::default() }
}

fn fault(value: serde_json::Value) -> Fault {
    serde_json::from_value(value).unwrap()
}

/// Discloses the key that begins so, closes the call, and gives the call's number of rows that name a record of Entra's.
async fn read(desk: &Desk, prefix: &str, ticket: &str) {
    let call = verified_call(desk, prefix).await;
    ops::disclose::disclose(desk, request(&call, ticket), &Asking::quietly()).await.unwrap();
    ops::calls::close(desk, call.id).await.unwrap();
}

fn entra_rows(desk: &Desk) -> usize {
    let rows = desk.ledger().rows(1).unwrap();
    rows.iter().filter(|row| matches!(row.event, Event::EntraRecord { .. })).count()
}

/// Requests to the log, and how many of them were turned away for their number.
fn log_requests(tenant: &Running) -> usize {
    tenant.tenant().log().iter().filter(|entry| entry.path.contains(LOG)).count()
}

#[tokio::test]
async fn a_record_that_comes_late_is_waited_for_then_matched_and_written_down_once() {
    let (tenant, _home, desk) = ground(&[("doubled_every = 3", "doubled_every = 0")]).await;
    read(&desk, PREFIX, TICKET).await;
    let before = ask(&desk, Request::default()).await;
    assert!(matches!(before.result.missing[0].why, Absence::MayCome { .. }), "{before:?}");
    assert_eq!((before.result.findings(), entra_rows(&desk)), (0, 0));

    tenant.tenant().advance(LATE);
    // A pair by time is shown at once, and written down when no better record can come.
    let guess = ask(&desk, Request::default()).await;
    assert_eq!((guess.result.matched.len(), entra_rows(&desk)), (1, 0));
    let after = ask(&desk, settled()).await;
    assert_eq!((after.result.matched.len(), after.result.missing.len(), entra_rows(&desk)), (1, 0, 1));
    let sentence = after.result.matched[0].sentence(&TimeZone::UTC);
    assert!(sentence.starts_with("Entra logged this read at"), "{sentence}");
    assert!(matches!(desk.lights().unwrap().of(Feature::Audit), Light::Yes(_)));

    // Once more finds nothing new, also where the projections were made again.
    desk.ledger().rebuild().unwrap();
    assert_eq!(ask(&desk, settled()).await.result.matched.len(), 1);
    assert_eq!(entra_rows(&desk), 1);
    desk.ledger().verify().unwrap().unwrap();
}

#[tokio::test]
async fn two_records_of_one_read_are_one_read_and_two_reads_are_two() {
    let (tenant, _home, desk) = ground(&[("doubled_every = 3", "doubled_every = 1")]).await;
    read(&desk, PREFIX, TICKET).await;
    read(&desk, PREFIX, TICKET).await;
    tenant.tenant().advance(LATE);
    let report = ask(&desk, settled()).await;
    let records: Vec<usize> = report.result.matched.iter().map(|matched| matched.records.len()).collect();
    assert_eq!((records, report.result.elsewhere.len()), (vec![2, 2], 0), "{report:#?}");
    assert_eq!(entra_rows(&desk), 4);
}

#[tokio::test]
async fn an_owners_self_service_and_a_colleagues_portal_are_told_apart() {
    let reads = "
[[read]]
key = \"B7D40E12\"
by = \"tomas.lind@harborview.example\"
ago = \"3h\"

[[read]]
key = \"63A8D95E\"
by = \"ines@harborview.example\"
ago = \"5h\"
doubled = true

[[read]]
key = \"C70E55A1\"
ago = \"6h\"

# ---- who calls";
    let (_tenant, _home, desk) = ground(&[("# ---- who calls", reads)]).await;
    let own = ask(&desk, Request::default()).await;
    assert!(own.result.elsewhere.is_empty(), "{own:?}");

    let report = ask(&desk, everyone()).await;
    let who: Vec<(&Who, usize)> = report.result.elsewhere.iter().map(|read| (&read.who, read.again.len())).collect();
    assert_eq!(who, [(&Who::Owner, 0), (&Who::Stranger { is_owner_known: true }, 1), (&Who::App, 0)]);
    assert_eq!(report.result.findings(), 2);
    let names: Vec<String> = report.names.values().map(ToString::to_string).collect();
    assert!(names.contains(&"HVC-LT-1180".to_owned()), "{names:?}");
    assert!(report.result.elsewhere[1].sentence(&TimeZone::UTC).contains("ines@harborview.example"));

    let one = Request { by: By::Named("INES@harborview.example".into()), ..Request::default() };
    assert_eq!(ask(&desk, one).await.result.elsewhere.len(), 1);
    let since = Request { since: Some(desk.clock.now() - jiff::SignedDuration::from_hours(4)), ..everyone() };
    assert_eq!(ask(&desk, since).await.result.elsewhere.len(), 1);
}

#[tokio::test]
async fn a_technicians_read_past_the_desk_stands_out_until_another_ledger_justifies_it() {
    let (tenant, _home, desk) = ground(&[("doubled_every = 3", "doubled_every = 0")]).await;
    let second_home = tempfile::tempdir().unwrap();
    let second = common::desk(&tenant, second_home.path()).await;
    read(&second, PREFIX, TICKET).await;
    let graph = desk.seat().unwrap().graph;
    graph.reveal(key_id(&desk, "C70E55A1"), DisclosureId::new()).await.unwrap();
    tenant.tenant().advance(LATE);

    let alone = ask(&desk, Request::default()).await;
    assert!(alone.result.elsewhere.iter().all(|read| read.who == Who::Technician), "{alone:#?}");
    assert_eq!((alone.result.elsewhere.len(), alone.result.findings()), (2, 2));

    let file = second_home.path().join("ledger.db");
    let before = std::fs::read(&file).unwrap();
    let with = Request { ledgers: vec![file.clone()], ..Request::default() };
    let both = ask(&desk, with.clone()).await;
    assert_eq!((both.result.elsewhere.len(), both.result.findings()), (2, 1));
    let desks: Vec<_> = both.result.elsewhere.iter().filter(|read| !read.is_unjustified()).collect();
    assert!(desks[0].sentence(&TimeZone::UTC).contains(TICKET), "{desks:#?}");
    // What is found for another desk is written to neither ledger.
    assert_eq!((entra_rows(&desk), entra_rows(&second)), (0, 0));
    assert_eq!(std::fs::read(&file).unwrap(), before);

    // A ledger that was tampered with justifies nothing.
    drop(second);
    let forged = rusqlite::Connection::open(&file).unwrap();
    let names: Vec<String> = {
        let mut statement = forged.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for name in names {
        forged.execute_batch(&format!("DROP TRIGGER \"{name}\"")).unwrap();
    }
    forged
        .execute("UPDATE ledger SET body = CAST(replace(CAST(body AS TEXT), 'INC0048213', 'INC0099999') AS BLOB)", [])
        .unwrap();
    let failure = ops::reconcile::reconcile(&desk, &with, &Asking::quietly()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Usage);
    assert!(failure.happened.contains("chain") && failure.happened.contains("broken"), "{failure}");
    let nowhere = Request { ledgers: vec![Path::new("/nowhere/ledger.db").into()], ..Request::default() };
    assert!(ops::reconcile::reconcile(&desk, &nowhere, &Asking::quietly()).await.is_err());
}

/// Asked for, and refused with this status.
async fn refused_request(desk: &Desk, status: Option<u16>) -> DisclosureId {
    let call = verified_call(desk, PREFIX).await;
    let disclosure = DisclosureId::new();
    let verification = keydesk::domain::call::Verification {
        method: "called-back".into(),
        words: "called back".into(),
        claims: Vec::new(),
        at: desk.clock.now(),
    };
    let intent = Intent {
        disclosure,
        debt: DebtId::new(),
        key: call.key,
        volume: call.volume,
        device: call.device,
        device_name: call.device_name.clone(),
        ticket: desk.policy.ticket.read(TICKET).unwrap(),
        reason: "2".into(),
        reason_words: "Recovery screen".into(),
        verification,
        known: Vec::new(),
        entra_time: Some(desk.clock.now()),
    };
    desk.record(move |pen| {
        pen.append(Some(call.id), &Event::Intended(Box::new(intent)))?;
        let code = if status.is_none() { "not-forwarded" } else { "Forbidden" }.to_owned();
        pen.append(Some(call.id), &Event::Refused { disclosure, status, code, request_id: None })
    })
    .await
    .unwrap();
    disclosure
}

#[tokio::test]
async fn a_portal_read_after_a_request_that_never_left_is_read_elsewhere_and_to_explain() {
    let (tenant, _home, desk) = ground(&[("doubled_every = 3", "doubled_every = 0")]).await;
    refused_request(&desk, None).await;
    desk.seat().unwrap().graph.reveal(key_id(&desk, PREFIX), DisclosureId::new()).await.unwrap();
    tenant.tenant().advance(LATE);
    let report = ask(&desk, settled()).await;
    let result = &report.result;
    assert_eq!((result.matched.len(), result.elsewhere.len(), result.findings()), (0, 1, 1), "{result:#?}");
    assert!(result.elsewhere[0].sentence(&TimeZone::UTC).contains("a request here for INC0048213 was refused"));
    assert_eq!((result.missing[0].why, entra_rows(&desk)), (Absence::NoneExpected, 0));
}

#[tokio::test]
async fn a_read_that_entra_logged_of_a_refused_request_is_to_explain_and_owed_again() {
    let (tenant, _home, desk) = ground(&[("doubled_every = 3", "doubled_every = 0")]).await;
    refused_request(&desk, Some(403)).await;
    let debt = ops::history::all(&desk).await.unwrap().remove(0);
    assert!(matches!(debt.state, DebtState::Cancelled { .. }));
    desk.seat().unwrap().graph.reveal(key_id(&desk, PREFIX), DisclosureId::new()).await.unwrap();
    tenant.tenant().advance(LATE);
    let report = ask(&desk, settled()).await;
    assert_eq!((report.result.matched.len(), report.result.findings(), entra_rows(&desk)), (1, 1, 1));
    let sentence = report.result.matched[0].sentence(&TimeZone::UTC);
    assert!(sentence.starts_with("Entra refused here (403), and logged a read by the same person at"), "{sentence}");

    let owed = ops::debts::list(&desk).await.unwrap();
    assert_eq!((owed.len(), owed[0].id, &owed[0].state), (1, debt.id, &DebtState::Owed));
    assert!(owed[0].rotation.is_some(), "its replacement is due");
    desk.ledger().rebuild().unwrap();
    assert_eq!(ops::debts::list(&desk).await.unwrap(), owed);
    // Found once more it is the same record.
    ask(&desk, settled()).await;
    assert_eq!((entra_rows(&desk), ops::debts::list(&desk).await.unwrap()), (1, owed));
    desk.ledger().verify().unwrap().unwrap();
}

#[tokio::test]
async fn without_the_role_it_says_so_as_an_ordinary_answer_and_what_was_never_checked() {
    let (_tenant, _home, desk) = ground_of(&[], false).await;
    read(&desk, PREFIX, TICKET).await;
    let CouldNot { failure, unchecked, forgotten_soon } = refused(&desk).await;
    assert_eq!((failure.kind, unchecked, forgotten_soon), (Kind::Refused, 1, 0));
    assert!(failure.happened.contains("your role may not read Entra's audit log"), "{failure}");
    assert!(failure.next.contains("Reports Reader"), "{failure}");
    assert!(matches!(desk.lights().unwrap().of(Feature::Audit), Light::No(_)));
}

#[tokio::test]
async fn a_cloud_without_the_log_is_an_ordinary_answer_too() {
    let (tenant, _home, desk) = ground(&[]).await;
    for (status, code) in [(404, "ResourceNotFound"), (400, "BadRequest")] {
        let body = json!({"error": {"code": code, "message": "Resource not found for the segment 'auditLogs'."}});
        tenant.tenant().fault(fault(json!({"path": LOG, "kind": "status", "status": status, "body": body})));
        let could_not = refused(&desk).await;
        assert!(could_not.failure.happened.contains("does not offer"), "{:?}", could_not.failure);
    }
}

#[tokio::test]
async fn too_many_requests_are_waited_out_with_and_without_a_time() {
    let (tenant, _home, desk) = ground(&[]).await;
    for headers in [json!({"Retry-After": "1"}), json!({})] {
        let before = log_requests(&tenant);
        let body = json!({"error": {"code": "TooManyRequests", "message": "Too many requests."}});
        tenant
            .tenant()
            .fault(fault(json!({"path": LOG, "kind": "status", "status": 429, "headers": headers, "body": body})));
        ask(&desk, Request::default()).await;
        assert_eq!(log_requests(&tenant) - before, 2, "refused once, then served");
    }
}

#[tokio::test]
async fn a_web_page_instead_of_the_log_is_a_failure_and_never_an_empty_log() {
    let (tenant, _home, desk) = ground(&[]).await;
    read(&desk, PREFIX, TICKET).await;
    tenant.tenant().fault(fault(json!({"path": LOG, "kind": "html"})));
    let failure = ops::reconcile::reconcile(&desk, &Request::default(), &Asking::quietly()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Failed);
    assert!(failure.happened.contains("web page"), "{failure}");
    // Nor is a log whose rows say nothing.
    tenant
        .tenant()
        .fault(fault(json!({"path": LOG, "kind": "status", "status": 200, "body": {"value": [{"id": "x"}, 7]}})));
    let report = ask(&desk, Request::default()).await;
    assert_eq!((report.result.unclear.len(), report.result.findings()), (2, 2));
}

#[tokio::test]
async fn a_log_of_many_pages_is_read_whole_and_no_faster_than_entra_serves() {
    let reads: Vec<String> = (1..=11)
        .map(|n| format!("[[read]]\nkey = \"C70E55A1\"\nby = \"sam@harborview.example\"\nago = \"{n}h\"\n\n"))
        .collect();
    let (tenant, _home, desk) = ground(&[
        ("# ---- who calls", &format!("{}# ---- who calls", reads.concat())),
        ("page_size = 100", "page_size = 100\naudit_page_size = 2\naudit_queries_in_ten_seconds = 5"),
    ])
    .await;
    let begun = std::time::Instant::now();
    let report = ask(&desk, everyone()).await;
    assert_eq!(report.result.elsewhere.len(), 11);
    assert_eq!(log_requests(&tenant), 6, "none was turned away and sent again");
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_entra_forgets_soon_is_warned_of_and_what_it_has_forgotten_is_said() {
    let (_tenant, _home, desk) = ground(&[]).await;
    read(&desk, PREFIX, TICKET).await;
    let grace = Duration::ZERO;
    let soon = ask(&desk, Request { grace, retention: Duration::from_hours(48), ..Request::default() }).await;
    assert_eq!((soon.result.missing[0].why, soon.result.forgotten_soon()), (Absence::NotThere, 1));
    assert_eq!(soon.result.findings(), 1);
    let since = Some(desk.clock.now() - jiff::SignedDuration::from_hours(1));
    let late = ask(&desk, Request { grace, retention: Duration::ZERO, since, ..Request::default() }).await;
    assert_eq!((late.result.missing[0].why, late.result.findings()), (Absence::TooLate, 0));
}

#[tokio::test]
async fn a_clock_that_is_wrong_here_does_not_hide_a_read() {
    let text = with_audit_role(SMALL);
    let clock_off = jiff::SignedDuration::from_hours(-5);
    let options =
        Options { scenario: Source::Text(text), auto_approve: Some(Duration::ZERO), clock_off, ..Options::default() };
    let (tenant, home) = (simulation::start(options).await.unwrap(), tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    read(&desk, PREFIX, TICKET).await;
    tenant.tenant().advance(LATE);
    assert_eq!(ask(&desk, Request::default()).await.result.matched.len(), 1);
}

#[tokio::test]
async fn an_outcome_nobody_knew_is_resolved_by_entras_own_record() {
    let (tenant, _home, desk) = ground(&[]).await;
    for (prefix, ticket, served) in [(PREFIX, TICKET, true), ("C70E55A1", "INC0048214", false)] {
        let call = verified_call(&desk, prefix).await;
        tenant.tenant().fault(fault(json!({"path": "select=key", "kind": "reset", "served": served})));
        let failure = ops::disclose::disclose(&desk, request(&call, ticket), &Asking::quietly()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Uncertain);
    }
    tenant.tenant().advance(LATE);
    let report = ask(&desk, Request { grace: Duration::ZERO, ..Request::default() }).await;
    let (did, did_not) = (&report.result.matched[0], &report.result.missing[0]);
    assert!(did.sentence(&TimeZone::UTC).starts_with("Entra did read it"), "{}", did.sentence(&TimeZone::UTC));
    assert!(did_not.sentence(&TimeZone::UTC).contains("probably nothing was handed out"));
    assert_eq!(report.result.findings(), 0);
    // Either debt stands: probably is not certainly.
    assert!(ops::debts::list(&desk).await.unwrap().iter().all(keydesk::domain::debt::Debt::is_open));
}

#[tokio::test]
async fn the_deletion_that_entra_logged_confirms_a_replacement_whichever_is_heard_of_first() {
    // Windows replaces the key by itself and deletes the old one: no rotation of ours reports success.
    let habit = ("deletes_old = true\nnext = [\"5D20B8F3\"]", "deletes_old = true\nby_itself = true");
    let (tenant, _home, desk) = ground(&[habit]).await;
    let call = verified_call(&desk, "7A41C09E").await;
    disclose(&desk, &call).await.unwrap();
    tenant.tenant().advance(Duration::from_mins(11));
    ops::rotate::in_windows(&desk, call.id).await.unwrap();
    let debts = follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    assert!(matches!(debts[0].state, DebtState::Proved { grade: Proof::NewKeySeen, .. }), "{debts:#?}");
    assert_eq!(rotations(&tenant).len(), 0);

    tenant.tenant().advance(LATE);
    let report = ask(&desk, Request::default()).await;
    assert_eq!(report.deleted, [call.key]);
    let proved = |debts: Vec<keydesk::domain::debt::Debt>| match debts[0].state {
        DebtState::Proved { grade, .. } => grade,
        ref other => panic!("{other:?}"),
    };
    assert_eq!(proved(ops::debts::list(&desk).await.unwrap()), Proof::Confirmed);
    desk.ledger().rebuild().unwrap();
    assert_eq!(proved(ops::debts::list(&desk).await.unwrap()), Proof::Confirmed);
    assert_eq!(ask(&desk, Request::default()).await.deleted, [], "told once");
}

#[tokio::test]
async fn a_deletion_heard_of_before_the_new_key_confirms_it_later() {
    let habit = ("deletes_old = true\nnext = [\"5D20B8F3\"]", "deletes_old = true\nby_itself = true");
    let (tenant, _home, desk) = ground(&[habit]).await;
    let call = verified_call(&desk, "7A41C09E").await;
    disclose(&desk, &call).await.unwrap();
    tenant.tenant().advance(Duration::from_mins(20));
    assert_eq!(ask(&desk, Request::default()).await.deleted, [call.key]);
    assert!(ops::debts::list(&desk).await.unwrap()[0].is_open());
    ops::rotate::in_windows(&desk, call.id).await.unwrap();
    let debts = follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    assert!(matches!(debts[0].state, DebtState::Proved { grade: Proof::Confirmed, .. }), "{debts:#?}");
}

mod command_line {
    use assert_cmd::Command;
    use serde_json::Value;

    use super::*;

    /// A tenant on a thread of its own.
    fn serve(text: String) -> (Arc<Running>, tokio::runtime::Runtime) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options =
            Options { scenario: Source::Text(text), auto_approve: Some(Duration::ZERO), ..Options::default() };
        let running = runtime.block_on(simulation::start(options)).unwrap();
        (Arc::new(running), runtime)
    }

    fn keydesk(home: &Path, tenant: &Running, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keydesk"));
        command.env_clear().envs(environment(home, Some(tenant))).args(arguments);
        command
    }

    #[test]
    fn the_three_lists_are_printed_in_words_and_as_json_and_strict_fails_where_something_is_to_explain() {
        let (tenant, _runtime) = serve(with_audit_role(SMALL).replacen(
            "# ---- who calls",
            "[[read]]\nkey = \"63A8D95E\"\nby = \"ines@harborview.example\"\nago = \"5h\"\n\n# ---- who calls",
            1,
        ));
        let home = tempfile::tempdir().unwrap();
        let reveal = ["reveal", "4F2B91C0", "--ticket", TICKET, "--reason", "2", "--verified", "in-person", "--print"];
        keydesk(home.path(), &tenant, &reveal).args(["--claim", "name=mara voss"]).assert().success();
        tenant.tenant().advance(LATE);

        let all = ["audit", "reconcile", "--by", "all", "--since", "2d"];
        let said = keydesk(home.path(), &tenant, &all).assert().success();
        let said = String::from_utf8(said.get_output().stdout.clone()).unwrap();
        for part in [
            "1 matched, 1 read elsewhere",
            "Matched: 1",
            "4F2B91C0  HVC-LT-0421  INC0048213",
            "Read elsewhere: 1",
            "ines@harborview.example read it",
        ] {
            assert!(said.contains(part), "{part}:\n{said}");
        }
        let json = keydesk(home.path(), &tenant, &all).arg("--json").assert().success();
        let facts: Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
        assert_eq!((facts["checked"].clone(), facts["findings"].clone()), (true.into(), 1.into()));
        assert_eq!(facts["matched"][0]["technician"], "dana@harborview.example");
        assert_eq!(facts["elsewhere"][0]["how"], "portal or tool");
        keydesk(home.path(), &tenant, &all).arg("--strict").assert().code(1);
        keydesk(home.path(), &tenant, &["audit", "reconcile", "--strict"]).assert().success();
    }

    #[test]
    fn without_the_role_it_says_who_can_help_and_exits_with_three() {
        let (tenant, _runtime) = serve(SMALL.to_owned());
        let home = tempfile::tempdir().unwrap();
        let refused = keydesk(home.path(), &tenant, &["audit", "reconcile", "--json"]).assert().code(3);
        let facts: Value = serde_json::from_slice(&refused.get_output().stdout).unwrap();
        assert_eq!(facts["checked"], false);
        let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(said.contains("your role may not read Entra's audit log") && said.contains("Reports Reader"), "{said}");
        keydesk(home.path(), &tenant, &["audit", "reconcile", "--no-input"]).assert().code(3);
    }
}
