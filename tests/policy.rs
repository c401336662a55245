//! The real program: no flag, no variable, no file of the user's loosens the policy; its pins hold against all of them; a runbook says nothing
//! of it. The order of each line, and the machine's file, are tested where they are read: `src/config/policy/`, `src/config/trust/`.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{collections::BTreeSet, fs, path::Path};

use assert_cmd::Command;
use clap::CommandFactory as _;
use keydesk::{cli::Cli, domain::policy::LINES, runbook::Runbook};
use serde_json::Value;

/// Every line as loose as it can be written, but for the pattern: one of the user's is demanded besides, so each is a further demand.
const LOOSE: &str = r#"
ticket.prefix = ""
ticket.example = "anything"
ticket.check = []
limits.per_hour = 4000000000
limits.per_day = 4000000000
timers.conceal = "9000d"
timers.drop = "9000d"
timers.rotation_delay = "9000d"
timers.uncertain_pause = "0s"
timers.watch_first = "9000d"
timers.watch_longest = "9000d"
timers.lock = "9000d"
timers.index = "9000d"
caller.claims_required = 0
caller.mask_facts = false
output.print = "always"
output.copy = "always"
proof.closes = "new-key-seen"
sign_in.ways = ["device-code", "browser"]
pins.tenants = []
pins.authorities = []
pins.graphs = []
forward.when = "after"
forward.webhook = "https://evil.example"
forward.token_env = "PATH"
forward.secret_env = "PATH"
forward.syslog = "udp://evil.example"
forward.syslog_ca = "/tmp/evil.pem"
forward.facility = "user"
"#;

/// The reasons and methods that ship, and one more of each.
fn loose_lists() -> String {
    let shipped: toml::Table = toml::from_str(include_str!("../assets/policy.toml")).unwrap();
    let list = |name: &str, more: &str| {
        let mut list = shipped[name].as_array().unwrap().clone();
        list.truncate(8);
        list.push(toml::from_str::<toml::Table>(more).unwrap().into());
        format!("{name} = {}\n", toml::Value::Array(list))
    };
    list("reason", "id = \"boredom\"\nlabel = \"boredom\"")
        + &list("verification", "id = \"hunch\"\nlabel = \"a hunch\"\nshort = \"hunch\"")
}

fn keydesk(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keydesk"));
    command.env("KEYDESK_HOME", home).env("HOME", home).args(["config", "policy", "--json"]);
    for name in Cli::command().get_arguments().filter_map(|argument| argument.get_env()) {
        if name != "KEYDESK_HOME" {
            command.env_remove(name);
        }
    }
    command
}

/// The lines in force, without what was ignored.
fn in_force(command: &mut Command) -> (Value, Vec<Value>) {
    let output = command.assert().success();
    let mut said: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let digest = said["digest"].clone();
    let lines = said["lines"].as_array_mut().unwrap();
    for line in lines.iter_mut() {
        line["ignored"] = Value::Null;
    }
    (digest, lines.clone())
}

/// What each flag, and the variable it has, is set to when somebody wants to be freer.
fn loosening(flag: &str, loose_home: &Path) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    match flag {
        "home" => vec![loose_home.display().to_string()],
        "profile" => words(&["loose", "default"]),
        "authority" | "graph" => words(&["https://evil.example", "http://127.0.0.1:1"]),
        "tenant" => words(&["evil.example", "common"]),
        "client_id" => words(&["00000000-0000-0000-0000-000000000000"]),
        "theme" => words(&["light"]),
        "ascii" | "no_input" => Vec::new(),
        other => panic!("--{other} is new: say here how somebody would loosen the policy with it"),
    }
}

#[test]
fn no_flag_and_no_variable_loosens_any_line() {
    let (home, loose) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let profile = "[profile.loose]\ntenant = \"loose.example\"\nclient_id = \"c\"\n";
    fs::write(home.path().join("config.toml"), profile).unwrap();
    fs::write(loose.path().join("config.toml"), format!("{profile}[policy]\n{LOOSE}{}", loose_lists())).unwrap();
    fs::write(loose.path().join("policy.toml"), LOOSE).unwrap();
    let expected = in_force(&mut keydesk(home.path()));
    let mut tried = 0;
    for argument in
        Cli::command().get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
    {
        let flag = format!("--{}", argument.get_long().unwrap());
        let values = loosening(argument.get_id().as_str(), loose.path());
        if values.is_empty() {
            assert_eq!(in_force(keydesk(home.path()).arg(&flag)), expected, "{flag}");
        }
        for value in values {
            assert_eq!(in_force(keydesk(home.path()).args([&flag, &value])), expected, "{flag} {value}");
            if let Some(variable) = argument.get_env() {
                assert_eq!(in_force(keydesk(home.path()).env(variable, &value)), expected, "{variable:?}={value}");
            }
            tried += 1;
        }
    }
    assert!(tried >= 9);
    // Variables nobody reads, and those the system's folders hang on.
    let mut command = keydesk(home.path());
    for variable in
        ["KEYDESK_POLICY", "ProgramData", "PROGRAMDATA", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME", "SystemDrive"]
    {
        command.env(variable, loose.path());
    }
    assert_eq!(in_force(&mut command), expected);
}

#[test]
fn a_users_file_that_wants_everything_looser_changes_nothing_and_is_told_so() {
    let (home, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let written: toml::Table = toml::from_str(LOOSE).unwrap();
    for line in LINES.iter().filter(|line| line.name.contains('.') && line.name != "ticket.pattern") {
        let (table, key) = line.name.split_once('.').unwrap();
        assert!(written.get(table).is_some_and(|table| table.get(key).is_some()), "{line:?}: LOOSE does not try it");
    }
    fs::write(home.path().join("config.toml"), format!("[policy]\n{LOOSE}{}", loose_lists())).unwrap();
    assert_eq!(in_force(&mut keydesk(home.path())), in_force(&mut keydesk(plain.path())));

    let output = keydesk(home.path()).assert().success();
    let said: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let ignored = said["lines"].as_array().unwrap().iter().filter(|line| !line["ignored"].is_null());
    let ignored: BTreeSet<&str> = ignored.map(|line| line["line"].as_str().unwrap()).collect();
    for line in ["limits.per_hour", "timers.lock", "caller.mask_facts", "output.print", "reason", "verification"] {
        assert!(ignored.contains(line), "{ignored:?}");
    }
}

#[test]
fn a_runbook_cannot_speak_of_the_policy() {
    let shipped = include_str!("../assets/runbooks/recovery-call.toml");
    assert!(Runbook::read("mine.toml", shipped).is_ok());
    for line in LINES {
        let text = format!("{} = 1\n{shipped}", line.name);
        assert!(Runbook::read("mine.toml", &text).is_err(), "{line:?}");
        let text = format!("policy.{} = 1\n{shipped}", line.name);
        assert!(Runbook::read("mine.toml", &text).is_err(), "{line:?}");
    }
    // A step only knows how to be told: one that demands nothing of the caller leaves the caller as unverified as before.
    let home = tempfile::tempdir().unwrap();
    let expected = in_force(&mut keydesk(home.path()));
    for folder in ["runbooks", "assets/runbooks"] {
        fs::create_dir_all(home.path().join(folder)).unwrap();
        fs::write(home.path().join(folder).join("recovery-call.toml"), format!("{LOOSE}{shipped}")).unwrap();
    }
    assert_eq!(in_force(&mut keydesk(home.path())), expected);
}

#[test]
fn a_pin_of_the_users_own_holds_against_flags_and_variables() {
    let home = tempfile::tempdir().unwrap();
    let pins = "[policy.pins]\ntenants = [\"harborview.example\"]\ngraphs = [\"https://graph.microsoft.com\"]\n";
    fs::write(home.path().join("config.toml"), format!("client_id = \"c\"\n{pins}")).unwrap();
    let debts = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keydesk"));
        command.env("KEYDESK_HOME", home.path()).arg("debts").args(more);
        command
    };
    debts(&["--tenant", "Harborview.example"]).assert().success();
    let refused = |command: &mut Command, line: &str| {
        let output = command.assert().code(3);
        let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(said.contains(line) && said.contains("config.toml"), "{said}");
    };
    refused(&mut debts(&["--tenant", "evil.example"]), "pins.tenants");
    refused(debts(&[]).env("KEYDESK_TENANT", "evil.example"), "pins.tenants");
    let hosts =
        ["--tenant", "harborview.example", "--authority", "http://localhost:1", "--graph", "http://localhost:2"];
    refused(&mut debts(&hosts), "pins.graphs");
}

#[test]
fn the_documentation_tells_every_line_as_it_ships() {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy.md")).unwrap();
    let rows: Vec<&str> = docs.lines().filter(|row| row.starts_with("| `")).collect();
    let shipped = keydesk::config::policy::with_lines("", "the shipped policy").unwrap();
    for line in LINES {
        let value = line.show(&shipped);
        let value = if line.name.contains('.') {
            format!("`{value}`")
        } else {
            let words = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
            words[value.as_array().unwrap().len()].to_owned()
        };
        let begins = format!("| `{}` | {value} | {} | ", line.name, line.user_may);
        assert!(rows.iter().any(|row| row.starts_with(&begins)), "docs/policy.md has no row\n{begins}");
    }
    assert_eq!(rows.len(), LINES.len(), "a row in docs/policy.md tells of no line");
}
