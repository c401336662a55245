use std::time::Duration;

use super::*;
use crate::domain::{
    connection::read_host,
    policy::{Allowance, Proof},
};

pub(super) const MACHINE: &str = "/etc/keydesk/policy.toml";

fn combined(machine: &str, user: &str) -> Result<Effective, ConfigError> {
    let (machine_path, user_path) = (Path::new(MACHINE), Path::new("config.toml"));
    let machine = PolicyFile::parse(machine, machine_path)?;
    let user = PolicyFile::parse(user, user_path)?;
    combine(Some((machine_path, &machine)), Some((user_path, &user)))
}

fn with_user(text: &str) -> Result<Policy, ConfigError> {
    Ok(combined("", text)?.policy)
}

fn with_machine(text: &str) -> Result<Policy, ConfigError> {
    Ok(combined(text, "")?.policy)
}

fn in_force<'a>(effective: &'a Effective, name: &str) -> &'a InForce {
    effective.lines.iter().find(|entry| entry.line.name == name).unwrap()
}

#[test]
fn the_shipped_policy_stands_by_itself_and_holds_every_line() {
    let policy = with_machine("").unwrap();
    assert_eq!((policy.reasons.len(), policy.methods.len()), (8, 3));
    assert!(policy.print.holds(true) && !policy.print.holds(false));
    let shipped = PolicyFile::parse(SHIPPED, Path::new("shipped")).unwrap();
    for line in LINES {
        assert_eq!(line.canonical(shipped.get(line).unwrap()).unwrap(), line.show(&policy), "{line:?}");
    }
}

#[test]
fn what_is_shown_can_be_read_again() {
    let policy = with_machine("[timers]\nconceal = \"90s\"\nindex = \"1d 2h 3ms\"").unwrap();
    for line in LINES {
        let shown = line.show(&policy);
        assert_eq!(line.canonical(&shown).unwrap(), shown, "{line:?}");
    }
    assert_eq!(policy.index_expires, Duration::from_hours(26) + Duration::from_millis(3));
}

#[test]
fn a_machine_line_replaces_the_shipped_one_and_the_rest_stands() {
    let policy = with_machine("[limits]\nper_hour = 30\n").unwrap();
    assert_eq!((policy.per_hour, policy.per_day), (30, 40));
}

#[test]
fn a_stricter_line_of_the_user_holds() {
    let shipped = with_machine("").unwrap();
    let strict = with_user("[limits]\nper_hour = 2\n[timers]\nconceal = \"30s\"\n[output]\nprint = \"never\"").unwrap();
    assert_eq!((strict.per_hour, strict.conceal_after, strict.print), (2, Duration::from_secs(30), Allowance::Never));
    assert_ne!(strict.digest(), shipped.digest());
}

#[test]
fn each_line_tells_who_said_it_and_what_was_ignored() {
    let machine = "[limits]\nper_hour = 20\n[ticket]\npattern = \"INC[0-9]+\"";
    let user = "[limits]\nper_hour = 30\nper_day = 5\n[ticket]\npattern = \"INC00.*\"\n[timers]\nwatch_first = \"1ms\"";
    let effective = combined(machine, user).unwrap();
    let is = |name: &str, from: &Source, value: &str, ignored: Option<&str>| {
        let entry = in_force(&effective, name);
        assert_eq!(entry.from, *from, "{name}");
        assert_eq!(entry.value.to_string(), value, "{name}");
        assert_eq!(entry.ignored.as_ref().map(ToString::to_string).as_deref(), ignored, "{name}");
    };
    let (machine, user) = (Source::Machine(MACHINE.into()), Source::User("config.toml".into()));
    is("limits.per_hour", &machine, "20", Some("30"));
    is("limits.per_day", &user, "5", None);
    is("ticket.pattern", &user, "[\"INC[0-9]+\", \"INC00.*\"]", None);
    is("timers.watch_first", &user, "\"1s\"", Some("\"1ms\""));
    is("timers.lock", &Source::Shipped, "\"15m\"", None);
}

#[test]
fn every_line_is_in_the_digest() {
    let before = with_machine("").unwrap().digest();
    let others = [
        ("ticket.pattern", "[ticket]\npattern = \"X\""),
        ("ticket.prefix", "[ticket]\nprefix = \"X\""),
        ("ticket.example", "[ticket]\nexample = \"X\""),
        ("ticket.check", "[ticket]\ncheck = [\"x\"]"),
        ("limits.per_hour", "[limits]\nper_hour = 9"),
        ("limits.per_day", "[limits]\nper_day = 9"),
        ("timers.conceal", "[timers]\nconceal = \"9s\""),
        ("timers.drop", "[timers]\ndrop = \"9s\""),
        ("timers.rotation_delay", "[timers]\nrotation_delay = \"9s\""),
        ("timers.uncertain_pause", "[timers]\nuncertain_pause = \"9s\""),
        ("timers.watch_first", "[timers]\nwatch_first = \"9s\""),
        ("timers.watch_longest", "[timers]\nwatch_longest = \"9s\""),
        ("timers.lock", "[timers]\nlock = \"9s\""),
        ("timers.index", "[timers]\nindex = \"9s\""),
        ("caller.claims_required", "[caller]\nclaims_required = 2"),
        ("caller.mask_facts", "[caller]\nmask_facts = false"),
        ("output.print", "[output]\nprint = \"never\""),
        ("output.copy", "[output]\ncopy = \"never\""),
        ("proof.closes", "[proof]\ncloses = \"confirmed\""),
        ("sign_in.ways", "[sign_in]\nways = [\"browser\"]"),
        ("pins.tenants", "[pins]\ntenants = [\"a\"]"),
        ("pins.authorities", "[pins]\nauthorities = [\"https://a\"]"),
        ("pins.graphs", "[pins]\ngraphs = [\"https://a\"]"),
        ("forward.when", "[forward]\nwhen = \"before-key\"\nwebhook = \"https://a\""),
        ("forward.webhook", "[forward]\nwebhook = \"https://a\""),
        ("forward.token_env", "[forward]\ntoken_env = \"A\""),
        ("forward.secret_env", "[forward]\nsecret_env = \"A\""),
        ("forward.syslog", "[forward]\nsyslog = \"local\""),
        ("forward.syslog_ca", "[forward]\nsyslog_ca = \"/a\""),
        ("forward.facility", "[forward]\nfacility = \"auth\""),
        ("reason", "[[reason]]\nid = \"a\"\nlabel = \"a\""),
        ("verification", "[[verification]]\nid = \"a\"\nlabel = \"a\"\nshort = \"a\""),
    ];
    for line in LINES {
        let (_, text) = others.iter().find(|(name, _)| *name == line.name).unwrap_or_else(|| panic!("{line:?}"));
        assert_ne!(with_machine(text).unwrap().digest(), before, "{line:?}");
    }
}

#[test]
fn a_typo_is_named_with_its_line() {
    for (text, at, what) in [
        ("[limits]\nper_huor = 3\n", "line 2", "per_huor"),
        ("\n\n[limit]\nper_hour = 3\n", "line 3", "`limit`"),
        ("[timers]\n\nconceal = \"soon\"\n", "line 3", "soon"),
        ("[limits]\nper_hour = -1\n", "line 2", "limits.per_hour"),
        ("[ticket]\npattern = \"(\"\n", "line 2", "ticket.pattern"),
        ("[sign_in]\nways = [\"telepathy\"]\n", "line 2", "telepathy"),
        ("[pins]\ngraphs = [\"http://graph.example\"]\n", "line 2", "plain http"),
        ("reason = []\n", "line 1", "empty"),
        ("[forward]\n\nwebhok = \"\"\n", "line 3", "webhok"),
        ("[forward]\nwhen = \"before\"\n", "line 2", "before-key"),
        ("[forward]\nwebhook = \"http://collector.example\"\n", "line 2", "plain http"),
        ("[forward]\nsyslog = \"tcp://log.example\"\n", "line 2", "tls://host:6514"),
        ("[forward]\nfacility = \"mail\"\n", "line 2", "mail"),
        ("forward = \"before-key\"\n", "line 1", "table"),
    ] {
        let said = with_machine(text).unwrap_err().to_string();
        assert!(said.contains(at) && said.contains(what) && said.contains(MACHINE), "{said}");
    }
}

#[test]
fn a_key_waits_for_a_collector_only_where_one_is_named() {
    let webhook = "[forward]\nwebhook = \"https://collector.example/keydesk\"\n";
    let wait = "[forward]\nwhen = \"before-key\"\n";
    let lonely = combined(wait, "").unwrap_err().to_string();
    assert!(
        lonely.contains(MACHINE) && lonely.contains("forward.when") && lonely.contains("none is named"),
        "{lonely}"
    );
    let of_user = combined("", wait).unwrap_err().to_string();
    assert!(of_user.contains("config.toml") && of_user.contains("none is named"), "{of_user}");
    assert!(!combined(webhook, "").unwrap().policy.forward.comes_before_key());
    assert!(combined(webhook, wait).unwrap().policy.forward.comes_before_key());
    let waits = format!("{webhook}when = \"before-key\"\n");
    assert!(combined(&waits, "[forward]\nwhen = \"after\"\n").unwrap().policy.forward.comes_before_key());
}

#[test]
fn a_user_sends_the_organisations_rows_nowhere_else() {
    let machine = "[forward]\nwebhook = \"https://collector.example\"\nsyslog = \"local\"\n";
    let user = "[forward]\nwebhook = \"https://mine.example\"\nsyslog = \"udp://mine.example\"\n";
    let effective = combined(machine, user).unwrap();
    assert_eq!(effective.policy.forward, combined(machine, "").unwrap().policy.forward);
    assert!(in_force(&effective, "forward.webhook").ignored.is_some());
    assert!(!combined("", user).unwrap().policy.forward.is_on());
}

#[test]
fn what_is_only_probable_closes_no_debt_whoever_writes_it() {
    let line = "[proof]\ncloses = \"probable\"\n";
    for said in [with_machine(line).unwrap_err(), with_user(line).unwrap_err()].map(|error| error.to_string()) {
        assert!(said.ends_with("always waits for a person; write \"new-key-seen\" or \"confirmed\""), "{said}");
    }
    assert_eq!(with_machine("[proof]\ncloses = \"confirmed\"").unwrap().closes, Proof::Confirmed);
}

#[test]
fn a_user_cannot_leave_the_desk_without_a_reason_a_way_or_a_pin() {
    for (machine, user) in [
        ("", "[[reason]]\nid = \"other\"\nlabel = \"other\""),
        ("[sign_in]\nways = [\"browser\"]", "[sign_in]\nways = [\"device-code\"]"),
        ("[pins]\ntenants = [\"a\"]", "[pins]\ntenants = [\"b\"]"),
    ] {
        let said = combined(machine, user).unwrap_err().to_string();
        assert!(said.contains("none of the organisation's is left"), "{said}");
    }
}

fn connection(tenant: &str, authority: &str, graph: &str) -> Connection {
    Connection {
        authority: read_host(authority).unwrap(),
        graph: read_host(graph).unwrap(),
        tenant: tenant.into(),
        client_id: "c".into(),
    }
}

#[test]
fn what_is_not_pinned_is_refused_with_the_line_that_pins() {
    let pins = "[pins]\ntenants = [\"Harborview.example\"]\nauthorities = [\"https://login.microsoftonline.com\"]\n\
                graphs = [\"https://graph.microsoft.com/\"]";
    let effective = combined(pins, "").unwrap();
    let (login, graph) = ("https://login.microsoftonline.com", "https://graph.microsoft.com");
    assert!(effective.admit(&connection("harborview.EXAMPLE", login, graph)).is_ok());
    for (asked, line, wanted) in [
        (connection("evil.example", login, graph), "pins.tenants", "evil.example"),
        (connection("harborview.example", "http://127.0.0.1:1", graph), "pins.authorities", "127.0.0.1"),
        (connection("harborview.example", login, "https://graph.evil"), "pins.graphs", "graph.evil"),
        (connection("harborview.example", login, "https://graph.microsoft.com/evil"), "pins.graphs", "/evil"),
    ] {
        let said = effective.admit(&asked).unwrap_err().to_string();
        assert!(said.contains(&format!("{line} in {MACHINE}")) && said.contains(wanted), "{said}");
    }
    assert!(combined("", "").unwrap().admit(&connection("any", "http://127.0.0.1:1", "http://[::1]:2")).is_ok());
}

#[test]
fn of_the_ways_of_signing_in_only_those_the_policy_allows_are_offered() {
    let both = combined("", "").unwrap();
    let browser = combined("[sign_in]\nways = [\"browser\"]", "").unwrap();
    assert_eq!(both.narrow(Ways::Ask).unwrap(), Ways::Ask);
    assert_eq!(browser.narrow(Ways::Ask).unwrap(), Ways::Browser);
    assert_eq!(browser.narrow(Ways::Browser).unwrap(), Ways::Browser);
    let said = browser.narrow(Ways::DeviceCode).unwrap_err().to_string();
    assert!(said.contains("sign_in.ways in") && said.contains("device-code"), "{said}");
}
