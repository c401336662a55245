//! Following what is owed: what it costs, what a restart keeps, and several processes on one store.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use assert_cmd::Command;
use common::*;
use keydesk::{
    desk::Desk,
    domain::{
        debt::{Debt, RotationState},
        watch::{By, Role},
        work::{
            News,
            debts::{How, Settle},
        },
    },
    ops,
    simulation::{self, Options, Running, Source},
};
use serde_json::Value;

/// A tenant whose laptops take `speed` times less than the scenario says.
async fn tenant_at(speed: f64) -> Running {
    let options = Options { scenario: Source::Small, speed, auto_approve: Some(Duration::ZERO), ..Options::default() };
    simulation::start(options).await.unwrap()
}

/// Requests the tenant saw so far.
fn requests(tenant: &Running) -> usize {
    tenant.tenant().log().len()
}

/// A key is read, the caller is in Windows, its replacement sent: open until the laptop has done it.
async fn owe(desk: &Desk) -> Debt {
    let call = verified_call(desk, PREFIX).await;
    disclose(desk, &call).await.unwrap();
    ops::rotate::in_windows(desk, call.id).await.unwrap();
    let debt = ops::debts::list(desk).await.unwrap().remove(0);
    assert!(matches!(debt.rotation.as_ref().unwrap().state, RotationState::Accepted { .. }), "{debt:#?}");
    debt
}

/// A watcher behind this desk, and what it told.
fn watcher(desk: &Arc<Desk>) -> (tokio::task::AbortHandle, Arc<Mutex<Vec<News>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let task = tokio::spawn({
        let (desk, told) = (Arc::clone(desk), Arc::clone(&told));
        async move { ops::watch::watch(&desk, move |news| told.lock().unwrap().push(news)).await }
    });
    (task.abort_handle(), told)
}

async fn moment(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Waits until `done`.
async fn until(what: &str, done: impl AsyncFn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !done().await {
        assert!(std::time::Instant::now() < deadline, "{what}: never");
        moment(50).await;
    }
}

async fn who(desk: &Desk) -> By {
    ops::watch::state(desk).await.unwrap().by
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_open_costs_requests() {
    let (tenant, home) = (tenant_at(1.0).await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let (watching, _) = watcher(&desk);
    let before = requests(&tenant);
    moment(1500).await;
    assert_eq!(requests(&tenant) - before, 0, "nothing is open");
    assert_eq!(who(&desk).await, By::Nobody);

    let debt = owe(&desk).await;
    let before = requests(&tenant);
    moment(2500).await;
    let asked = requests(&tenant) - before;
    // Two requests a look; pauses of 100, 150, 225, 338, 500 ms and so on, each 15 % off at most.
    assert!((8..=22).contains(&asked), "{asked} requests in two and a half seconds");
    assert_eq!(who(&desk).await, By::This);

    let waive = Settle { debt: debt.id, how: How::Waive { reason: "scrapped".into() } };
    ops::debts::settle(&desk, waive).await.unwrap();
    moment(600).await;
    let before = requests(&tenant);
    moment(1500).await;
    assert_eq!(requests(&tenant) - before, 0, "nothing is open any more");
    assert_eq!(who(&desk).await, By::Nobody);
    watching.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_with_the_schedule_it_finds() {
    let (tenant, home) = (tenant_at(1.0).await, tempfile::tempdir().unwrap());
    let slow = "[timers]\nrotation_delay = \"10m\"\nwatch_first = \"1m\"\nwatch_longest = \"10m\"\n";
    let first = desk_with(&tenant, home.path(), slow).await;
    owe(&first).await;
    let before = requests(&tenant);
    assert_eq!(ops::watch::once(&first).await.unwrap(), [""; 0]);
    assert!(requests(&tenant) > before, "looked once");
    drop(first);

    let second = desk_with(&tenant, home.path(), slow).await;
    let before = requests(&tenant);
    let (watching, _) = watcher(&second);
    moment(1000).await;
    assert_eq!(requests(&tenant) - before, 0, "not due for a minute");
    let left = ops::watch::next(&second).await.unwrap().unwrap();
    assert!((Duration::from_secs(45)..Duration::from_secs(70)).contains(&left), "{left:?}");
    watching.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_desks_one_looks_both_know_who_and_what_a_person_does_is_sent_at_either() {
    let (tenant, home) = (tenant_at(1.0).await, tempfile::tempdir().unwrap());
    let (one, other) = (desk(&tenant, home.path()).await, desk(&tenant, home.path()).await);
    let (_one, _) = watcher(&one);
    let (_other, told) = watcher(&other);
    // Held: the first desk's watcher waits for its time, and has the lease.
    let call = verified_call(&one, PREFIX).await;
    disclose(&one, &call).await.unwrap();
    until("one holds", async || who(&one).await == By::This).await;
    let elsewhere = |news: &News| matches!(news, News::Watch(watch) if matches!(watch.by, By::Other(follower) if follower.role == Role::Desk));
    until("the other is told", async || told.lock().unwrap().iter().any(elsewhere)).await;
    until("the other takes over", async || ops::watch::state(&one).await.unwrap().next.is_some()).await;

    // The desk without the lease sends what a person wants sent.
    let debt = ops::debts::list(&other).await.unwrap().remove(0);
    ops::debts::settle(&other, Settle { debt: debt.id, how: How::Retry }).await.unwrap();
    assert_eq!(rotations(&tenant).len(), 1);
    // Whoever has it notices, and follows; nobody sends again.
    let before = requests(&tenant);
    until("it is followed", async || requests(&tenant) >= before + 6).await;
    assert_eq!((rotations(&tenant).len(), who(&one).await), (1, By::This));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_is_tried_with_growing_pauses_and_at_once_after_a_sign_in() {
    let (tenant, home) = (tenant_at(1.0).await, tempfile::tempdir().unwrap());
    let lines = "[timers]\nrotation_delay = \"10m\"\nwatch_first = \"200ms\"\nwatch_longest = \"30s\"\n";
    let desk = desk_with(&tenant, home.path(), lines).await;
    owe(&desk).await;
    let fault = serde_json::json!({ "path": "managedDevices", "kind": "status", "status": 503, "count": 1_000_000 });
    tenant.tenant().fault(serde_json::from_value(fault).unwrap());
    let (watching, told) = watcher(&desk);
    moment(6000).await;
    let before = requests(&tenant);
    moment(1000).await;
    assert!(
        requests(&tenant) - before <= 12,
        "{} requests in a second while nothing answers",
        requests(&tenant) - before
    );
    let heal = format!("{}/_sim/fault", tenant.graph());
    assert!(reqwest::Client::new().delete(heal).send().await.unwrap().status().is_success());
    let seen = told.lock().unwrap().len();
    sign_in(&desk).await.unwrap();
    let before = requests(&tenant);
    until("tried again", async || requests(&tenant) > before).await;
    assert!(told.lock().unwrap().len() - seen < 20, "one failure is not told again and again");
    watching.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_urgent_one_that_cannot_be_asked_about_holds_up_no_other() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    for (prefix, ticket) in [(PREFIX, TICKET), ("7A41C09E", "INC0048214")] {
        let call = verified_call(&desk, prefix).await;
        let asked = request(&call, ticket);
        ops::disclose::disclose(&desk, asked, &ops::Asking::quietly()).await.unwrap();
        if prefix != PREFIX {
            ops::rotate::in_windows(&desk, call.id).await.unwrap();
        }
    }
    // Entra has a fault of its own with the one laptop's keys, for as long as it takes.
    let broken = device_of(&desk, PREFIX);
    let fault = serde_json::json!({ "path": broken.to_string(), "kind": "status", "status": 500, "count": 1_000_000 });
    tenant.tenant().fault(serde_json::from_value(fault).unwrap());
    let debts = ops::debts::list(&desk).await.unwrap();
    let urgent = debts.iter().find(|debt| debt.device == broken).unwrap().id;
    ops::debts::settle(&desk, Settle { debt: urgent, how: How::Compromised { words: String::new() } }).await.unwrap();
    let other = |debts: &[Debt]| debts.iter().any(|debt| debt.id != urgent && !debt.is_open());
    let debts = follow(&desk, other).await;
    assert!(debts.iter().any(|debt| debt.id == urgent && debt.is_open()), "{debts:#?}");
}

// The command itself.

fn keydesk(home: &Path, served: &Served) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keydesk"));
    command.env_clear().envs(environment(home, Some(&served.running)));
    command
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn rows(home: &Path) -> u64 {
    keydesk::store::Ledger::open(&home.join("ledger.db")).unwrap().head().unwrap().seq
}

#[test]
fn with_nothing_owed_a_scheduled_run_asks_nobody_and_records_nothing() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let before = requests(&served.running);
    for arguments in [&["--once"][..], &["--for", "2s"], &["--once", "--json"]] {
        let done = keydesk(home.path(), &served).args(["debts", "watch"]).args(arguments).assert().success();
        assert!(done.get_output().stdout.is_empty(), "{arguments:?}");
    }
    assert_eq!((requests(&served.running) - before, rows(home.path())), (0, 0));
}

#[test]
fn signed_out_it_says_so_in_one_sentence_and_what_is_owed_stands() {
    let (served, home) = (serve_at(1.0), tempfile::tempdir().unwrap());
    let run = || keydesk(home.path(), &served);
    replace(run);
    // On Windows the session outlives the command.
    run().arg("sign-out").assert().success();
    // The shipped pause after the command's own look is over at the latest then.
    forget_the_looks(home.path());
    let (asked, recorded) = (requests(&served.running), rows(home.path()));
    for arguments in [&["--once"][..], &["--for", "5m"], &[], &["--once", "--json"]] {
        let output = run().args(["debts", "watch"]).args(arguments).assert().code(3).get_output().clone();
        let said = words(&output.stderr);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.starts_with("keydesk: Nobody is signed in here: 1 open debt stands, and nothing is followed;"),
            "{said}"
        );
        assert!(said.contains("`keydesk sign-in`"), "{said}");
    }
    assert_eq!((requests(&served.running), rows(home.path())), (asked, recorded));
    let list: Value =
        serde_json::from_slice(&run().args(["debts", "--json"]).assert().success().get_output().stdout).unwrap();
    assert_eq!(list[0]["open"], true);
}

/// The ordinary laptop's key is owed a replacement, which is sent.
fn replace(run: impl Fn() -> Command) {
    let found = run().args(["find", PREFIX, "--json"]).assert().success().get_output().stdout.clone();
    let found: Value = serde_json::from_slice(&found).unwrap();
    let device = found["keys"][0]["device_id"].as_str().unwrap().to_owned();
    run().args(["rotate", &device, "--ticket", TICKET]).assert().success();
}

/// As if no open rotation had been looked at.
fn forget_the_looks(home: &Path) {
    let store = rusqlite::Connection::open(home.join("ledger.db")).unwrap();
    store.execute("DELETE FROM looks", []).unwrap();
}

#[cfg(unix)]
mod processes {
    use std::process::Stdio;

    use super::*;
    use common::pty::{console, to_the_question};
    use rustix::process::{Pid, Signal, kill_process};

    const F2: &str = "\x1bOQ";

    /// The process that holds the lease.
    fn holder(home: &Path) -> Option<u32> {
        let store = rusqlite::Connection::open(home.join("ledger.db")).unwrap();
        store.query_row("SELECT process FROM leases WHERE name = 'watch'", [], |row| row.get(0)).ok()
    }

    #[track_caller]
    fn wait(what: &str, patience: Duration, done: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + patience;
        while !done() {
            assert!(std::time::Instant::now() < deadline, "{what}: never");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[test]
    fn a_desk_takes_over_within_seconds_when_the_one_that_follows_is_killed_and_nothing_is_sent_twice() {
        // Slow enough that the rotation is still under way when its desk is killed.
        let (served, home) = (serve_at(20.0), tempfile::tempdir().unwrap());
        let mut other = console(home.path(), &served);
        let mut first = console(home.path(), &served);
        to_the_question(&mut first);
        first.send("\r");
        first.wait_for("1 of 8");
        first.send("w");
        first.wait_for("Note");
        wait("the first desk follows", Duration::from_secs(10), || holder(home.path()) == Some(first.process()));
        // The other one saw nothing of it but the store.
        other.wait_for("1 debt");
        let said = format!("Another desk on this machine (process {}) follows what is owed.", first.process());
        other.send(F2);
        other.wait_for(&said);
        let asked = keydesk(home.path(), &served).args(["debts", "watch", "--once", "--json"]).assert().success();
        let told: Value = serde_json::from_slice(&asked.get_output().stdout).unwrap();
        assert_eq!(
            (&told["watching"], &told["role"], &told["process"]),
            (&"other".into(), &"desk".into(), &first.process().into())
        );
        wait("sent", Duration::from_secs(10), || rotations(&served.running).len() == 1);

        first.kill();
        wait("the other took over", Duration::from_secs(8), || holder(home.path()) == Some(other.process()));
        wait("and says so", Duration::from_secs(5), || !other.screen().contains(&said));
        other.wait_for("√ proved");
        other.wait_for("no debts");
        assert_eq!(rotations(&served.running).len(), 1);
        other.send("\x11");
        assert_eq!(other.exit_code(), 0);
        assert_eq!(holder(home.path()), None, "nothing is open");
    }

    #[test]
    fn quitting_names_the_desk_that_sends_what_stays_unsent() {
        let (served, home) = (serve_at(20.0), tempfile::tempdir().unwrap());
        let mut first = console(home.path(), &served);
        let other = console(home.path(), &served);
        to_the_question(&mut first);
        first.send("\r");
        first.wait_for("1 of 8");
        other.wait_for("1 debt");
        // Intune refuses to be asked, so that quitting cannot send what is held.
        let fault =
            serde_json::json!({ "path": "managedDevices", "kind": "status", "status": 503, "count": 1_000_000 });
        served.running.tenant().fault(serde_json::from_value(fault).unwrap());
        first.send("\x11");
        first.wait_for("Enter quits");
        let screen: String = first.screen().split_whitespace().collect::<Vec<_>>().join(" ");
        let said =
            format!("1 rotation is not sent yet. Another desk on this machine (process {}) sends it.", other.process());
        assert!(screen.contains(&said), "{screen}");
        assert!(screen.contains("4F2B91C0 HVC-LT-0421 INC0048213"), "{screen}");
        assert_eq!(rotations(&served.running).len(), 0);
    }

    #[test]
    fn asked_to_end_it_ends_well() {
        let (served, home) = (serve(), tempfile::tempdir().unwrap());
        for signal in [Signal::TERM, Signal::INT] {
            let mut watch = std::process::Command::new(env!("CARGO_BIN_EXE_keydesk"))
                .args(["debts", "watch"])
                .env_clear()
                .envs(environment(home.path(), Some(&served.running)))
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(1500));
            assert!(watch.try_wait().unwrap().is_none(), "it waits for something to be owed");
            kill_process(Pid::from_raw(watch.id().cast_signed()).unwrap(), signal).unwrap();
            assert_eq!(watch.wait().unwrap().code(), Some(0), "{signal:?}");
        }
    }

    #[test]
    #[ignore = "needs a credential store that asks nobody: on Linux a D-Bus session with an unlocked keyring"]
    fn with_a_remembered_session_it_follows_to_the_end_and_says_each_change_on_a_line() {
        let (served, home) = (serve_at(60.0), tempfile::tempdir().unwrap());
        let with_store = || {
            let mut command = keydesk(home.path(), &served);
            for name in ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"] {
                command.env(name, std::env::var_os(name).unwrap());
            }
            command
        };
        std::fs::write(
            home.path().join("config.toml"),
            "[policy.timers]\nwatch_first = \"1s\"\nwatch_longest = \"1s\"\n",
        )
        .unwrap();
        with_store().args(["sign-in", "--everything"]).assert().success();
        replace(with_store);
        let done = with_store().args(["debts", "watch", "--for", "60s"]).assert().success();
        let said = words(&done.get_output().stdout);
        let last = said.lines().last().unwrap();
        assert!(last.contains("4F2B91C0  HVC-LT-0421  INC0048213  proved: New key "), "{said}");
        assert_eq!(rotations(&served.running).len(), 1);
        // Nothing is open any more: the next run asks nobody.
        let before = requests(&served.running);
        with_store().args(["debts", "watch", "--once"]).assert().success();
        assert_eq!(requests(&served.running), before);
    }
}
