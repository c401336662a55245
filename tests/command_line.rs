//! The command line, against a simulated tenant in another thread.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::path::Path;

use assert_cmd::Command;
use common::{Served, TICKET, environment, serve};
#[cfg(unix)]
use common::{
    key_requests,
    pty::{Term, keydesk as in_terminal},
};
#[cfg(unix)]
use rustix::process::Signal;
use serde_json::Value;

fn keydesk(home: &Path, served: Option<&Served>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keydesk"));
    command.env_clear().envs(environment(home, served.map(|served| &*served.running)));
    command
}

/// The ordinary call, and what its caller claims.
const REVEAL: [&str; 8] = ["reveal", "4F2B91C0", "--ticket", TICKET, "--reason", "2", "--verified", "in-person"];
const CLAIM: [&str; 2] = ["--claim", "name=mara voss"];

/// The ordinary call's key as the tenant holds it.
fn digits(served: &Served) -> String {
    let dump = served.running.tenant().dump();
    let is_asked = |key: &&Value| key["id"].as_str().unwrap().to_uppercase().starts_with("4F2B91C0");
    dump["keys"].as_array().unwrap().iter().find(is_asked).unwrap()["key"].as_str().unwrap().to_owned()
}

fn json(command: &mut Command) -> Value {
    let output = command.assert().success();
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

fn stderr(command: &mut Command, code: i32) -> String {
    let output = command.assert().code(code);
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

#[test]
fn a_call_can_be_done_from_the_command_line() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let run = || keydesk(home.path(), Some(&served));

    let who = json(run().args(["sign-in", "--json"]));
    assert_eq!(who["user"], "dana@harborview.example");

    let found = json(run().args(["find", "4F2B", "91C0", "--json"]));
    assert_eq!((found["keys_total"].clone(), found["keys"][0]["device"].clone()), (1.into(), "HVC-LT-0421".into()));
    let id = found["keys"][0]["key_id"].as_str().unwrap().to_owned();

    let device = found["keys"][0]["device_id"].as_str().unwrap();
    let keys = json(run().args(["keys", device, "--json"]));
    assert_eq!(keys["keys"][0]["standing"], "current");

    let reveal = ["reveal", &id, "--ticket", TICKET, "--reason", "windows-update", "--verified", "called-back"];
    let shown = json(run().args(reveal).args(CLAIM).args(["--print", "--json"]));
    let expected = served.running.tenant().recovery_password(id.parse().unwrap()).unwrap();
    assert_eq!(shown["recovery_password"], expected);

    let debts = json(run().args(["debts", "--json"]));
    assert_eq!((debts[0]["state"].clone(), debts[0]["open"].clone()), ("held".into(), true.into()));

    let sent = json(run().args(["rotate", device, "--ticket", TICKET, "--json"]));
    assert_eq!(sent["debts"].as_array().unwrap().len(), 1, "{sent}");
    assert_eq!(sent["debts"][0]["state"], "accepted", "{sent}");

    let ledger = run().args(["ledger", "--json"]).assert().success();
    let rows = String::from_utf8(ledger.get_output().stdout.clone()).unwrap();
    let intended = rows.lines().position(|row| row.contains("\"intended\"")).unwrap();
    let served_row = rows.lines().position(|row| row.contains("\"served\"")).unwrap();
    assert!(intended < served_row);
    assert!(!rows.contains(&expected[..13]));
}

#[cfg(target_os = "linux")]
#[ignore = "needs a Secret Service"]
#[test]
fn a_program_started_anew_with_a_remembered_session_reads_no_key_once_the_desk_has_locked() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let run = || {
        let mut command = keydesk(home.path(), Some(&served));
        let of_the_store = |name: &'static str| std::env::var_os(name).map(|value| (name, value));
        command.envs(["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"].into_iter().filter_map(of_the_store));
        command
    };
    let reveal = |run: &dyn Fn() -> Command| {
        let mut command = run();
        command.args(REVEAL).args(CLAIM).args(["--print", "--no-input"]);
        command
    };
    assert_eq!(json(run().args(["sign-in", "--json"]))["remembered"], true);
    reveal(&run).assert().success();

    std::fs::write(home.path().join("config.toml"), "[policy.timers]\nlock = \"1s\"\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    // To look is no presence, however often.
    run().args(["find", "4F2B91C0", "--no-input"]).assert().success();
    let said = stderr(&mut reveal(&run), 3);
    assert!(said.contains("before the next key, sign in again"), "{said}");
    assert_eq!(key_requests(&served.running).len(), 1);
    run().arg("sign-out").assert().success();
}

#[cfg(unix)]
#[test]
fn a_key_is_shown_on_the_alternate_screen_until_a_key_is_pressed() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut command = in_terminal(home.path(), Some(&served.running));
    command.args(REVEAL.iter().chain(&CLAIM));
    let mut term = Term::spawn(command, 80, 24);
    term.wait_for("Any key conceals it");
    assert!(term.is_alternate());
    let digits = digits(&served);
    assert!(term.screen().contains(&digits));
    // What comes within a quarter of a second was typed before the key stood there.
    term.send("y");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(term.screen().contains(&digits));
    term.send("x");
    assert_eq!(term.exit_code(), 0);
    assert!(!term.is_alternate());
    assert!(!term.all_text().contains(&digits[..6]), "{}", term.all_text());
    assert!(term.all_text().contains("is owed a replacement"));
}

#[cfg(unix)]
#[test]
fn a_window_that_loses_the_focus_conceals_the_key_and_a_key_press_shows_it_again() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut command = in_terminal(home.path(), Some(&served.running));
    command.args(REVEAL.iter().chain(&CLAIM));
    let mut term = Term::spawn(command, 80, 24);
    let digits = digits(&served);
    term.wait_for(&digits);
    term.send("\x1b[O");
    term.wait_for("Concealed: this window lost the focus.");
    assert!(!term.screen().contains(&digits[..6]));
    term.send("x");
    term.wait_for(&digits);
    term.send("\x1b[O");
    term.wait_for("Concealed");
    term.send("\x1b");
    assert_eq!(term.exit_code(), 0);
    assert!(!term.all_text().contains(&digits[..6]), "{}", term.all_text());
}

#[cfg(unix)]
#[test]
fn whatever_the_system_sends_the_digits_are_off_the_screen_at_once() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let digits = digits(&served);
    for signal in [Signal::HUP, Signal::TERM, Signal::INT, Signal::QUIT] {
        let mut command = in_terminal(home.path(), Some(&served.running));
        command.args(REVEAL.iter().chain(&CLAIM));
        let mut term = Term::spawn(command, 80, 24);
        term.wait_for(&digits);
        term.signal(signal);
        assert_eq!(term.exit_code(), 0, "{signal:?}");
        assert!(!term.is_alternate(), "{signal:?}");
        assert!(!term.all_text().contains(&digits[..6]), "{signal:?}: {}", term.all_text());
    }
    let ledger = keydesk(home.path(), None).args(["ledger", "--json"]).assert().success();
    let rows = String::from_utf8(ledger.get_output().stdout.clone()).unwrap();
    assert_eq!(rows.matches("\"dropped\"").count(), 4, "{rows}");
}

#[test]
fn a_caller_who_claims_nothing_or_the_wrong_thing_gets_no_key() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let reveal = || {
        let mut command = keydesk(home.path(), Some(&served));
        command.args(REVEAL).arg("--print");
        command
    };
    assert!(stderr(&mut reveal(), 3).contains("--claim name=…"));
    assert!(stderr(reveal().args(["--claim", "name="]), 3).contains("--claim serial=…"));
    assert!(stderr(reveal().args(["--claim", "name=omar voss"]), 3).contains("name is not what Intune knows"));
    assert!(stderr(reveal().args(CLAIM).args(["--claim", "model=thinkpad x1"]), 3).contains("model is not"));
    assert!(stderr(reveal().args(CLAIM).args(CLAIM), 2).contains("claimed twice"));
    assert!(stderr(reveal().args(["--claim", "mara voss"]), 2).contains("name=…"));
    let ledger = keydesk(home.path(), None).args(["ledger", "--json"]).assert().success();
    let rows = String::from_utf8(ledger.get_output().stdout.clone()).unwrap();
    let count = |event: &str| rows.matches(&format!("\"event\":\"{event}\"")).count();
    assert_eq!((count("call-opened"), count("caller-refused"), count("intended")), (2, 2, 0), "{rows}");
    assert!(common::key_requests(&served.running).is_empty());
    reveal().args(CLAIM).assert().success().stdout(format!("{}\n", digits(&served)));
}

#[test]
fn what_came_due_while_nobody_looked_is_followed_by_the_next_command() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let run = || keydesk(home.path(), Some(&served));
    run().args(REVEAL).args(CLAIM).arg("--print").assert().success();
    let found = json(run().args(["find", "HVC-LT-0421", "--json"]));
    let device = found["devices"][0]["device_id"].as_str().unwrap();
    run().args(["rotate", device, "--ticket", TICKET]).assert().success();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    // Reads the ledger alone: by itself it never pays a debt.
    while json(run().args(["debts", "--json"]))[0]["state"] != "proved" {
        assert!(std::time::Instant::now() < deadline, "no command follows what is owed");
        run().args(["keys", device]).assert().success();
    }
}

#[test]
fn what_is_refused_has_its_exit_code_and_a_sentence() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let run = || keydesk(home.path(), Some(&served));
    let reveal = |ticket: &'static str, reason: &'static str, method: &'static str| {
        ["reveal", "4F2B91C0", "--print", "--ticket", ticket, "--reason", reason, "--verified", method]
    };
    assert!(stderr(run().args(reveal("INC0000000", "2", "1")), 2).contains("is a placeholder"));
    assert!(stderr(run().args(reveal(TICKET, "boredom", "1")), 2).contains("no reason here"));
    assert!(stderr(run().args(reveal(TICKET, "2", "telepathy")), 2).contains("no way of verifying"));
    assert!(stderr(run().args(["find", "--no-input", "4F2B"]), 3).contains("--no-input"));
    assert!(stderr(run().args(["find", "HVC-LT-9999"]), 4).contains("No key and no device"));
    assert!(stderr(run().args(["find", "--", "-- ?!"]), 2).contains("neither"));
    assert!(stderr(keydesk(home.path(), None).args(["find", "4F2B"]), 2).contains("No tenant is configured"));
    assert!(
        stderr(run().args(["reveal", "4F2B91C0", "-t", TICKET, "-r", "2", "--verified", "1"]), 2).contains("terminal")
    );
}

#[test]
fn printing_is_refused_where_the_policy_does_not_allow_it() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    std::fs::write(home.path().join("config.toml"), "[policy.output]\nprint = \"never\"\n").unwrap();
    let args = ["reveal", "4F2B91C0", "--print", "--ticket", TICKET, "--reason", "2", "--verified", "1"];
    assert!(stderr(keydesk(home.path(), Some(&served)).args(args), 3).contains("policy does not allow"));
}

#[test]
fn a_typo_in_the_configuration_is_named_with_its_line() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), "tenant = \"a\"\n\n[policy.limits]\nper_huor = 3\n").unwrap();
    let said = stderr(keydesk(home.path(), None).arg("debts"), 2);
    assert!(said.contains("line 4") && said.contains("per_huor"), "{said}");
}

#[test]
fn the_ledger_can_be_read_signed_out_and_an_empty_one_is_whole() {
    let home = tempfile::tempdir().unwrap();
    assert!(stderr(keydesk(home.path(), None).arg("ledger"), 0).contains("0 rows, the chain is whole"));
    keydesk(home.path(), None).arg("debts").assert().success().stdout("No debts.\n");
}

#[test]
fn a_ledger_that_was_tampered_with_is_printed_as_it_stands_and_says_where() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    keydesk(home.path(), Some(&served)).args(REVEAL).args(CLAIM).arg("--print").assert().success();
    let ledger = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    ledger.execute_batch("DROP TRIGGER ledger_is_never_updated").unwrap();
    assert_eq!(ledger.execute("UPDATE ledger SET body = CAST('{}' AS BLOB) WHERE seq = 4", []).unwrap(), 1);
    let output = keydesk(home.path(), None).args(["ledger", "--json"]).assert().code(1);
    let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(said.contains("The chain is broken: row 4 was edited"), "{said}");
    let rows = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let row: Value = serde_json::from_str(rows.lines().nth(3).unwrap()).unwrap();
    assert_eq!((&row["seq"], &row["body"]), (&4.into(), &serde_json::json!({})));
    assert!(rows.lines().count() > 4, "what stands behind it is printed too: {rows}");
}

#[cfg(unix)]
#[test]
fn no_file_of_the_desk_can_be_read_by_others_whatever_its_folder_allows() {
    use std::os::unix::fs::PermissionsExt as _;
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    keydesk(home.path(), Some(&served)).env("KEYDESK_LOG", "debug").args(["find", "4F2B91C0"]).assert().success();
    let files: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(Result::unwrap).collect();
    assert!(files.len() >= 4, "ledger, index, log, instances: {files:?}");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{:?} has {mode:o}", file.file_name());
    }
    assert!(std::fs::read_dir(home.path().join("instances")).unwrap().count() <= 1, "only what starting needs is left");
}

#[test]
fn help_completions_manual_and_template_are_printed() {
    let home = tempfile::tempdir().unwrap();
    for args in [
        &["--help"][..],
        &["completions", "bash"],
        &["completions", "powershell"],
        &["man"],
        &["config", "template"],
        &["config", "path"],
    ] {
        let output = keydesk(home.path(), None).args(args).assert().success();
        assert!(!output.get_output().stdout.is_empty(), "{args:?}");
    }
}
