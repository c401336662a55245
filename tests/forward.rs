//! Rows on their way to a collector: in order, each at least once, and no key before the collector has the record where the policy says so.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod collector;
mod common;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use collector::{Answer, Collector};
use common::{PREFIX, QUICK, disclose, key_requests, request, tenant, verified_call};
use keydesk::{
    desk::{Clock, Desk},
    domain::{
        digest::sha256,
        event::Event,
        work::{Kind, Progress},
    },
    ops::{self, Asking},
    simulation::Running,
};
use rstest::rstest;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(20);

fn after(collector: &Collector) -> String {
    format!("{QUICK}\n[forward]\nwebhook = \"{}\"\n", collector.url())
}

fn before_key(collector: &Collector) -> String {
    format!("{}when = \"before-key\"\n", after(collector))
}

async fn desk(tenant: &Running, home: &Path, lines: &str) -> Arc<Desk> {
    common::desk_with(tenant, home, lines).await
}

/// Every row of the ledger as it has to arrive: number and hash.
fn rows(desk: &Desk) -> Vec<(u64, String)> {
    desk.ledger().rows(1).unwrap().into_iter().map(|row| (row.seq, row.hash)).collect()
}

/// The collector has the ledger: each row's bytes have its hash, and in the order of their first arrival they are the ledger's rows.
fn has_all(collector: &Collector, desk: &Desk) {
    let mut seen = BTreeSet::new();
    let arrived: Vec<(u64, String)> = collector
        .taken()
        .into_iter()
        .filter(|row| seen.insert(row.hash.clone()))
        .map(|row| {
            assert_eq!(sha256(&row.row), row.hash, "row {} arrived as something else", row.seq);
            (row.seq, row.hash)
        })
        .collect();
    assert_eq!(arrived, rows(desk));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_call_arrive_in_order_byte_for_byte() {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    let desk = desk(&tenant, home.path(), &after(&collector)).await;
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    let states = ops::forward::once(&desk).await.unwrap();
    assert_eq!((states.len(), states[0].waiting.rows, &states[0].cursor.error), (1, 0, &None));
    has_all(&collector, &desk);
    // What is there already is not sent again.
    let before = collector.requests();
    ops::calls::close(&desk, call.id).await.unwrap();
    ops::forward::once(&desk).await.unwrap();
    assert_eq!(collector.requests(), before + 1);
    has_all(&collector, &desk);
    assert_eq!(collector.taken().len(), rows(&desk).len(), "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_does_not_take_waits_over_restarts_and_then_arrives_in_order() {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    collector.answer(Answer::Status(503));
    let lines = after(&collector);
    let first = desk(&tenant, home.path(), &lines).await;
    let call = verified_call(&first, PREFIX).await;
    disclose(&first, &call).await.unwrap();
    let states = ops::forward::once(&first).await.unwrap();
    let written = rows(&first).len() as u64;
    assert_eq!((states[0].cursor.seq, states[0].waiting.rows, states[0].cursor.failures), (0, written, 1));
    assert_eq!(states[0].cursor.error.as_deref(), Some("127.0.0.1 answered 503."));
    assert!(states[0].waiting.since.is_some());
    drop(first);
    let second = desk(&tenant, home.path(), &lines).await;
    collector.answer(Answer::Take);
    let states = ops::forward::once(&second).await.unwrap();
    assert_eq!((states[0].waiting.rows, states[0].cursor.failures), (0, 0));
    has_all(&collector, &second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_goes_in_batches() {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    let desk = desk(&tenant, home.path(), &after(&collector)).await;
    desk.record(|pen| {
        for _ in 0..250 {
            pen.append(None, &Event::SignedOut)?;
        }
        Ok(())
    })
    .await
    .unwrap();
    ops::forward::once(&desk).await.unwrap();
    has_all(&collector, &desk);
    assert_eq!(collector.requests(), rows(&desk).len().div_ceil(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_answer_was_lost_arrive_again_under_the_same_hash() {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    let desk = desk(&tenant, home.path(), &after(&collector)).await;
    verified_call(&desk, PREFIX).await;
    collector.answer(Answer::TakeAndReset);
    let states = ops::forward::once(&desk).await.unwrap();
    assert!(states[0].waiting.rows > 0);
    collector.answer(Answer::Take);
    ops::forward::once(&desk).await.unwrap();
    assert_eq!(collector.taken().len(), 2 * rows(&desk).len(), "each twice");
    has_all(&collector, &desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_desks_on_one_ledger_send_each_row_once() {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    collector.answer(Answer::Late(Duration::from_millis(5)));
    let lines = after(&collector);
    let desks = [desk(&tenant, home.path(), &lines).await, desk(&tenant, home.path(), &lines).await];
    let pumps =
        desks.clone().map(|desk| tokio::spawn(async move { ops::forward::keep_forwarding(&desk, |_| {}).await }));
    let writers = desks.clone().map(|desk| {
        tokio::spawn(async move {
            for _ in 0..40 {
                desk.record(|pen| pen.append(None, &Event::SignedOut)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    let deadline = Instant::now() + LONG;
    while ops::forward::states(&desks[0]).await.unwrap()[0].waiting.rows > 0 {
        assert!(Instant::now() < deadline, "rows still wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for pump in pumps {
        pump.abort();
    }
    has_all(&collector, &desks[0]);
    assert_eq!(collector.taken().len(), rows(&desks[0]).len(), "each once, in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_never_waits_for_a_collector_that_hangs() {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    collector.answer(Answer::Hang);
    let desk = desk(&tenant, home.path(), &after(&collector)).await;
    let pump = tokio::spawn({
        let desk = Arc::clone(&desk);
        async move { ops::forward::keep_forwarding(&desk, |_| {}).await }
    });
    let begun = Instant::now();
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let begun = Instant::now();
    ops::forward::flush(&desk, Duration::from_millis(200)).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    pump.abort();
}

/// What is on record of the last disclosure, and that its debt is gone.
async fn refusal(desk: &Desk) -> String {
    let debts = ops::debts::list(desk).await.unwrap();
    assert!(debts.iter().all(|debt| !debt.is_open()), "nothing was handed out, so nothing is owed: {debts:?}");
    let rows = desk.ledger().rows(1).unwrap();
    let Event::Refused { status: None, code, .. } = &rows.last().unwrap().event else { panic!("{:?}", rows.last()) };
    code.clone()
}

#[rstest]
#[case::fails(Answer::Status(500), "answered 500")]
#[case::redirects(Answer::Status(301), "answered 301")]
#[case::is_not_there_any_more(Answer::Status(410), "answered 410")]
#[case::breaks_off(Answer::Reset, "broke the connection off")]
#[case::has_it_and_cannot_say_so(Answer::TakeAndReset, "broke the connection off")]
#[case::hangs(Answer::Hang, "did not")]
#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_asked_for_while_the_collector(#[case] answer: Answer, #[case] words: &str) {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    let desk = desk(&tenant, home.path(), &before_key(&collector)).await;
    let call = verified_call(&desk, PREFIX).await;
    collector.answer(answer);
    let failure = disclose(&desk, &call).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Refused);
    let said = failure.to_string();
    assert!(said.contains(words) && said.contains("No key was asked for"), "{said}");
    assert!(key_requests(&tenant).is_empty());
    assert_eq!(refusal(&desk).await, "not-forwarded");
    // The same call goes on as soon as the collector does.
    collector.answer(Answer::Take);
    disclose(&desk, &call).await.unwrap();
    assert_eq!(key_requests(&tenant).len(), 1);
    ops::forward::once(&desk).await.unwrap();
    has_all(&collector, &desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_asked_for_where_nothing_listens() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let collector = Collector::start().await;
    let lines = before_key(&collector);
    collector.stop().await;
    let desk = desk(&tenant, home.path(), &lines).await;
    let call = verified_call(&desk, PREFIX).await;
    let failure = disclose(&desk, &call).await.unwrap_err();
    assert!(failure.happened.contains("nothing answers there"), "{failure}");
    assert!(key_requests(&tenant).is_empty());
    assert_eq!(refusal(&desk).await, "not-forwarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_request_leaves_after_the_2xx_to_the_intent_and_to_every_row_before_it() {
    let (tenant, home, collector) = (Arc::new(tenant().await), tempfile::tempdir().unwrap(), Collector::start().await);
    collector.answer(Answer::Late(Duration::from_millis(150)));
    // Looked at when the collector is about to answer: its pause has passed.
    let probe = Arc::clone(&tenant);
    collector.probe(move || key_requests(&probe).len());
    let desk = desk(&tenant, home.path(), &before_key(&collector)).await;
    desk.record(|pen| {
        for _ in 0..130 {
            pen.append(None, &Event::SignedOut)?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    disclose(&desk, &call).await.unwrap();
    let (requests, taken) = (key_requests(&tenant), collector.taken());
    assert_eq!(requests.len(), 2);
    let intents: Vec<_> = taken.iter().filter(|row| row.event() == "intended").collect();
    assert_eq!(intents.iter().map(|row| row.probed).collect::<Vec<_>>(), [0, 1], "none had left when its 2xx had not");
    for intent in intents {
        assert!(intent.is_alone, "the answer to an intent is about nothing else");
        let before: BTreeSet<u64> =
            taken.iter().filter(|row| row.seq < intent.seq && row.probed <= intent.probed).map(|row| row.seq).collect();
        assert_eq!(before.len() as u64, intent.seq - 1, "every row before it was taken before it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_technician_can_stop_waiting_for_the_collector() {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    let desk = desk(&tenant, home.path(), &before_key(&collector)).await;
    let call = verified_call(&desk, PREFIX).await;
    collector.answer(Answer::Hang);
    let cancelled = CancellationToken::new();
    let stop = cancelled.clone();
    let stop_then = move |progress| {
        if progress == Progress::Forwarding {
            stop.cancel();
        }
    };
    let asking = Asking::new(stop_then, cancelled);
    let begun = Instant::now();
    let failure = ops::disclose::disclose(&desk, request(&call, common::TICKET), &asking).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(failure.kind, Kind::Cancelled);
    assert!(key_requests(&tenant).is_empty());
    assert_eq!(refusal(&desk).await, "cancelled");
}

/// Rows of this kind cannot be written.
fn no_more(home: &Path, event: &str) {
    let ledger = rusqlite::Connection::open(home.join("ledger.db")).unwrap();
    let sql = format!(
        "CREATE TRIGGER full BEFORE INSERT ON ledger WHEN CAST(NEW.body AS TEXT) LIKE '%\"{event}\"%'
         BEGIN SELECT RAISE(ABORT, 'no'); END;"
    );
    ledger.execute_batch(&sql).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_request_left_an_unwritten_refusal_does_not_say_that_one_did() {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    let desk = desk(&tenant, home.path(), &before_key(&collector)).await;
    let call = verified_call(&desk, PREFIX).await;
    collector.answer(Answer::Status(500));
    no_more(home.path(), "refused");
    let failure = disclose(&desk, &call).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Record);
    assert!(failure.means.contains("no request has left"), "{failure}");
    assert!(!failure.to_string().contains("recorded a read"), "{failure}");
    assert!(key_requests(&tenant).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_technician_who_stops_waiting_gives_the_turn_back_to_another_desk() {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    let lines = before_key(&collector);
    let (first, second) = (desk(&tenant, home.path(), &lines).await, desk(&tenant, home.path(), &lines).await);
    let (call, next) = (verified_call(&first, PREFIX).await, verified_call(&second, PREFIX).await);
    collector.answer(Answer::Hang);
    let cancelled = CancellationToken::new();
    let waiting = tokio::spawn({
        let (first, asking) = (Arc::clone(&first), Asking::new(|_| {}, cancelled.clone()));
        async move { ops::disclose::disclose(&first, request(&call, common::TICKET), &asking).await }
    });
    let deadline = Instant::now() + LONG;
    while collector.requests() == 0 {
        assert!(Instant::now() < deadline, "nothing came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cancelled.cancel();
    assert_eq!(waiting.await.unwrap().unwrap_err().kind, Kind::Cancelled);
    collector.answer(Answer::Take);
    let asking = Asking::quietly();
    let again =
        keydesk::domain::work::disclose::Request { same_ticket_confirmed: true, ..request(&next, common::TICKET) };
    ops::disclose::disclose(&second, again, &asking).await.unwrap();
    assert_eq!(key_requests(&tenant).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhooks_path_may_be_a_secret_and_is_told_to_nobody() {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    let hushed = |path: &str| after(&collector).replace("/rows", path);
    let first = desk(&tenant, home.path(), &hushed("/services/T0123/hush-1")).await;
    let other = desk(&tenant, home.path(), &hushed("/services/T0123/hush-2")).await;
    first.record(|pen| pen.append(None, &Event::SignedOut)).await.unwrap();
    let states = ops::forward::once(&first).await.unwrap();
    assert!(states[0].sink.starts_with("webhook http://127.0.0.1:"), "{}", states[0].sink);
    let others = ops::forward::states(&other).await.unwrap();
    assert_ne!(states[0].sink, others[0].sink, "another path is another sink");
    assert_ne!(first.policy.digest(), other.policy.digest(), "the digest is of the whole");
    assert!(collector.last_head().starts_with("POST /services/T0123/hush-1 "));
    for file in std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(5).any(|part| part == b"hush-"), "{}", file.display());
    }
    let rows = first.ledger().rows(1).unwrap();
    assert!(rows.iter().any(
        |row| matches!(&row.event, Event::PolicyInForce { lines, .. } if lines["forward.webhook"].contains("127.0.0.1"))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_desk_waits_for_the_turn_of_the_first_and_no_longer() {
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    let lines = before_key(&collector);
    let (first, second) = (desk(&tenant, home.path(), &lines).await, desk(&tenant, home.path(), &lines).await);
    let call = verified_call(&second, PREFIX).await;
    collector.answer(Answer::Late(Duration::from_millis(700)));
    let sending = tokio::spawn({
        let first = Arc::clone(&first);
        async move { ops::forward::once(&first).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    disclose(&second, &call).await.unwrap();
    sending.await.unwrap().unwrap();
    ops::forward::once(&first).await.unwrap();
    has_all(&collector, &first);
    assert_eq!(collector.taken().len(), rows(&first).len(), "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_its_token_and_its_signature_and_neither_is_printed() {
    // Variables that stand in every test's environment: what is in them is no secret here.
    let (token, secret) = ("CARGO_PKG_NAME", "CARGO_MANIFEST_DIR");
    let (tenant, home, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    let lines = format!("{}token_env = \"{token}\"\nsecret_env = \"{secret}\"\n", after(&collector));
    let desk = Desk::open(&common::settings(&tenant, home.path(), &lines), Clock::system()).unwrap();
    desk.record(|pen| pen.append(None, &Event::SignedOut)).await.unwrap();
    ops::forward::once(&desk).await.unwrap();
    let head = collector.last_head();
    assert!(head.contains("authorization: Bearer keydesk\r\n"), "{head}");
    assert!(head.contains("keydesk-signature: sha256="), "{head}");
    let shown = format!("{:?}", desk.sinks());
    assert!(shown.contains(token) && !shown.contains(env!("CARGO_MANIFEST_DIR")), "{shown}");
}

/// A key request is in order when the collector had taken its intent. Each is known by its disclosure's id.
#[cfg(target_os = "linux")]
fn every_key_request_was_taken_first(tenant: &Running, collector: &Collector) -> usize {
    let intents: BTreeSet<String> = collector
        .taken()
        .iter()
        .filter(|row| row.event() == "intended")
        .map(|row| {
            let row: serde_json::Value = serde_json::from_str(&row.row).unwrap();
            row["what"]["disclosure"].as_str().unwrap().to_owned()
        })
        .collect();
    let requests = key_requests(tenant);
    for request in &requests {
        let disclosure = request.client_request_id.unwrap().to_string();
        assert!(intents.contains(&disclosure), "the collector has no intent of {disclosure}");
    }
    requests.len()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root and a mount namespace"]
async fn a_program_killed_while_it_waits_for_the_collector_has_asked_for_no_key() {
    let (tenant, folder, collector) = (tenant().await, tempfile::tempdir().unwrap(), Collector::start().await);
    let machine = common::machine::Machine::new(folder.path(), &tenant, &before_key(&collector));
    collector.answer(Answer::Hang);
    let mut process = machine.start_to_reveal();
    let deadline = Instant::now() + LONG;
    while collector.requests() == 0 {
        assert!(Instant::now() < deadline, "nothing came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(key_requests(&tenant).is_empty());
    // What the next start knows is that there was an intent: the debt stands.
    let debts = machine.run(&["debts"]);
    let said = String::from_utf8(debts.stdout).unwrap();
    assert!(said.contains(&PREFIX[..8]), "{said}");
    assert!(machine.rows().iter().any(|(.., body)| body.contains("\"event\":\"unknown\"")));

    // Killed at any moment of a call whose collector takes its time.
    collector.answer(Answer::Late(Duration::from_millis(60)));
    let (mut asked, mut killed_before) = (0, 0);
    for n in 0..25_u64 {
        let mut process = machine.start_to_reveal();
        tokio::time::sleep(Duration::from_millis(250 + 61 * n)).await;
        process.kill().unwrap();
        process.wait().unwrap();
        let now = every_key_request_was_taken_first(&tenant, &collector);
        killed_before += usize::from(now == asked);
        asked = now;
    }
    println!("killed 25 times: {asked} key requests had left, {killed_before} calls ended before theirs");
    let revealed = machine.reveal();
    assert!(revealed.status.success(), "{}", String::from_utf8_lossy(&revealed.stderr));
    assert!(every_key_request_was_taken_first(&tenant, &collector) > asked);
    assert!(machine.run(&["forward", "--once"]).status.success());
    let mut seen = BTreeSet::new();
    let arrived: Vec<_> = collector.taken().into_iter().filter(|row| seen.insert(row.hash.clone())).collect();
    let arrived: Vec<_> = arrived.into_iter().map(|row| (row.seq, row.hash, row.row)).collect();
    assert_eq!(arrived, machine.rows());
}
