//! `keydesk doctor`, the real program: all well, and each thing that can be wrong on a line of its own.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::Arc,
    time::Duration,
};

use assert_cmd::Command;
#[cfg(unix)]
use common::pty::{Term, keydesk as in_terminal};
use common::{Served, environment, serve};
use keydesk::{
    domain::{
        capability::Feature,
        work::doctor::{Check, Grade},
    },
    ops,
    sign_in::Session,
    simulation::{Fault, Running},
};
use serde_json::{Value, json};
use tempfile::tempdir;

fn doctor(home: &Path) -> Command {
    keydesk(home, None, "doctor")
}

fn doctor_of(home: &Path, served: &Served) -> Command {
    keydesk(home, Some(&served.running), "doctor")
}

fn keydesk(home: &Path, tenant: Option<&Running>, command: &str) -> Command {
    let mut keydesk = Command::new(env!("CARGO_BIN_EXE_keydesk"));
    keydesk.env_clear().envs(environment(home, tenant)).arg(command);
    keydesk
}

/// A tenant elsewhere.
fn doctor_at(home: &Path, authority: &str, graph: &str) -> Command {
    let mut command = doctor(home);
    command.env("KEYDESK_AUTHORITY", authority).env("KEYDESK_GRAPH", graph);
    command.env("KEYDESK_TENANT", "contoso.example").env("KEYDESK_CLIENT_ID", "an-app");
    command
}

/// The report of a doctor that ends with `code`.
fn report(command: &mut Command, code: i32) -> Value {
    let output = command.arg("--json").assert().code(code);
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(report["well"], code == 0, "{report:#}");
    report
}

fn check<'a>(report: &'a Value, id: &str) -> &'a Value {
    let found = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {report:#}"))
}

#[track_caller]
fn assert_check(report: &Value, id: &str, grade: &str, words: &str) {
    let check = check(report, id);
    assert_eq!(check["grade"], grade, "{check:#}");
    assert!(check["seen"].as_str().unwrap().contains(words), "{check:#}");
    assert!(grade != "fix" || (check["fix"].is_string() && check["who"].is_string()), "nothing to do about {check:#}");
}

#[test]
fn on_the_simulation_nothing_is_to_be_fixed() {
    let (served, home) = (serve(), tempdir().unwrap());
    let report = report(&mut doctor_of(home.path(), &served), 0);
    for side in ["authority", "graph"] {
        for step in ["proxy", "dns", "connect", "clock"] {
            assert_check(&report, &format!("{step}.{side}"), "well", "");
        }
        assert_check(&report, &format!("tls.{side}"), "not-checked", "Plain http");
    }
    assert_check(&report, "discovery", "well", "as its Graph host");
    assert_check(&report, "state.folder", "well", "can be written");
    assert_check(&report, "state.ledger", "not-checked", "none yet");
    assert_check(&report, "terminal.focus", "not-checked", "no terminal here");
    assert_check(&report, "session", "not-checked", "Nobody is signed in");
    // Windows' own needs none of the variables that were taken away.
    let (grade, words) =
        if cfg!(windows) { ("well", "read back and deleted") } else { ("notice", "ends with the program") };
    assert_check(&report, "credential-store", grade, words);
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["grade"] != "fix"));
}

#[test]
fn after_a_sign_in_ledger_index_and_technician_are_told() {
    let (served, home) = (serve(), tempdir().unwrap());
    keydesk(home.path(), Some(&served.running), "find").arg("4F2B91C0").assert().success();
    let head = |home: &Path| {
        let ledger = rusqlite::Connection::open(home.join("ledger.db")).unwrap();
        ledger
            .query_row("SELECT count(*), max(hash) FROM ledger", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })
            .unwrap()
    };
    let before = head(home.path());
    let report = report(&mut doctor_of(home.path(), &served), 0);
    assert_check(
        &report,
        "state.ledger",
        "well",
        "the chain is whole, and a row can be written (tried and taken back)",
    );
    assert_check(&report, "state.index", "well", "complete, listed just now");
    assert_check(&report, "sign-in.last", "well", "dana@harborview.example");
    assert_eq!(head(home.path()), before, "the doctor left a row behind");
}

#[test]
fn a_clock_that_is_off_is_a_notice_that_says_what_breaks() {
    let (served, home) = (serve(), tempdir().unwrap());
    served.running.tenant().advance(Duration::from_hours(2));
    let report = report(&mut doctor_of(home.path(), &served), 0);
    for id in ["clock.authority", "clock.graph"] {
        assert_check(&report, id, "notice", "behind the host's. Sign-ins can be refused as expired");
    }
}

#[test]
fn a_host_where_nothing_answers_is_named_and_the_other_one_is_well() {
    let (served, home) = (serve(), tempdir().unwrap());
    // A port nobody is given by asking for a free one, as the tests beside this one do.
    let report = report(doctor_of(home.path(), &served).env("KEYDESK_GRAPH", "http://127.0.0.1:1"), 1);
    assert_check(&report, "dns.graph", "well", "127.0.0.1");
    assert_check(&report, "connect.graph", "fix", "nothing answers there");
    assert_check(&report, "connect.authority", "well", "");
    assert_check(&report, "discovery", "fix", "and the settings say");
}

#[test]
fn without_dns_each_host_says_so_and_the_whole_takes_seconds() {
    let home = tempdir().unwrap();
    let begun = std::time::Instant::now();
    let report = report(&mut doctor_at(home.path(), "https://login.invalid", "https://graph.invalid"), 1);
    for id in ["dns.authority", "dns.graph"] {
        assert_check(&report, id, "fix", "is not known here (DNS)");
    }
    assert_check(&report, "connect.graph", "not-checked", "no address");
    assert_check(&report, "discovery", "not-checked", "was not reached");
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}

#[test]
fn without_any_configuration_every_check_that_can_be_made_is_made() {
    let home = tempdir().unwrap();
    let report = report(&mut doctor(home.path()), 1);
    assert_check(&report, "config.file", "well", "There is none");
    assert_check(&report, "config.tenant", "fix", "No tenant is configured");
    assert_check(&report, "state.folder", "well", "");
    assert_check(&report, "dns.graph", "not-checked", "no host to ask");
    assert_check(&report, "light.reveal", "not-checked", "");
}

#[test]
fn a_broken_configuration_is_a_line_with_the_place_of_the_mistake() {
    let home = tempdir().unwrap();
    fs::write(home.path().join("config.toml"), "tenant = \"a\"\nclinet_id = \"b\"\n").unwrap();
    let report = report(&mut doctor(home.path()), 1);
    assert_check(&report, "config.file", "fix", "line 2");
    assert_check(&report, "state.folder", "well", "");
    assert_check(&report, "discovery", "not-checked", "settings cannot be read");
    // One broken file hides no other.
    assert_check(&report, "policy", "well", "in force");
}

#[test]
fn a_state_folder_that_cannot_be_made_and_a_ledger_that_is_none_are_lines() {
    let home = tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let nowhere = report(&mut doctor(&file.join("below")), 1);
    assert_check(&nowhere, "state.folder", "fix", "cannot be made");
    assert_check(&nowhere, "state.ledger", "not-checked", "no state folder");

    fs::write(home.path().join("ledger.db"), "this is no database, and long enough to be taken for one".repeat(40))
        .unwrap();
    let damaged = report(&mut doctor(home.path()), 1);
    assert_check(&damaged, "state.ledger", "fix", "Without a record no key is asked for");
    assert_check(&damaged, "sign-in.last", "not-checked", "");
}

#[test]
fn a_damaged_index_is_told_and_left_as_it_is() {
    let home = tempdir().unwrap();
    let damaged = "this is no database, and long enough to be taken for one".repeat(40);
    let path = home.path().join("index-0123456789abcdef.db");
    fs::write(&path, &damaged).unwrap();
    let told = report(&mut doctor(home.path()), 1);
    assert_check(&told, "state.index", "notice", "Entra itself can be asked meanwhile");
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
}

#[test]
fn the_credentials_of_a_proxy_never_appear() {
    let home = tempdir().unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    // Takes what comes and wants a sign-in of its own.
    std::thread::spawn(move || {
        for stream in proxy.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        }
    });
    for json in [true, false] {
        let mut command = doctor_at(home.path(), "https://login.invalid", "https://graph.invalid");
        command.env("HTTPS_PROXY", format!("http://dana:hunter2@{address}"));
        if json {
            command.arg("--json");
        }
        let output = command.assert().code(1);
        let said = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        assert!(
            said.contains(&format!("http://{address}, named in the environment, with a name and password")),
            "{said}"
        );
        assert!(said.contains("A connection is taken, and no certificate comes"), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("dana"), "{said}");
    }
}

/// An https server with a certificate of an authority nobody knows, which answers everything with `{}`. Its port, and its certificate.
fn tls_server() -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let rcgen::CertifiedKey { cert, signing_key } = made.unwrap();
    let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut server = tokio_rustls::rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = tokio_rustls::rustls::Stream::new(&mut server, &mut stream);
            let _ = tls.read(&mut [0; 4096]);
            let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
        }
    });
    let pem = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, cert.der());
    (port, format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n"))
}

#[test]
fn a_certificate_this_machine_does_not_trust_is_named_with_its_issuer() {
    let (home, (port, _)) = (tempdir().unwrap(), tls_server());
    let address = format!("https://localhost:{port}");
    let report = report(&mut doctor_at(home.path(), &address, &address), 1);
    assert_check(&report, "tls.graph", "fix", "does not trust it");
    assert_check(&report, "tls.graph", "fix", "It was issued by rcgen self signed cert");
    assert_check(&report, "connect.graph", "well", "");
}

#[cfg(target_os = "linux")]
#[test]
fn an_authority_of_ones_own_is_trusted_and_shown_as_something_that_reads_along() {
    let (home, (port, certificate)) = (tempdir().unwrap(), tls_server());
    let roots = home.path().join("roots.pem");
    fs::write(&roots, certificate).unwrap();
    let address = format!("https://localhost:{port}");
    let report = report(doctor_at(home.path(), &address, &address).env("SSL_CERT_FILE", &roots), 1);
    assert_check(&report, "tls.graph", "notice", "rcgen self signed cert, which is no public authority");
    assert_check(&report, "clock.graph", "not-checked", "did not tell its time");
}

#[cfg(unix)]
#[test]
fn in_a_terminal_the_window_and_what_it_tells_are_described() {
    let home = tempdir().unwrap();
    let silent = {
        let mut command = in_terminal(home.path(), None);
        command.arg("doctor");
        let mut term = Term::spawn(command, 78, 60);
        assert_eq!(term.exit_code(), 1);
        term.all_text().replace('\n', "")
    };
    assert!(silent.contains("78 × 60; the desk needs 80 × 24"), "{silent}");
    assert!(silent.contains("colours: 256.") && silent.contains("letters: UTF-8."), "{silent}");
    assert!(silent.contains("By hand: in `keydesk demo` read a key, click another window"), "{silent}");
}

#[cfg(unix)]
#[test]
fn a_terminal_that_tells_its_focus_is_believed() {
    let home = tempdir().unwrap();
    let mut command = in_terminal(home.path(), None);
    command.arg("doctor");
    let mut term = Term::spawn(command, 100, 60);
    // As a terminal does that reports its focus: its state at once, then what it is when asked.
    term.send("\x1b[I\x1b[?62;22c");
    term.wait_for("It tells when its window loses the focus");
    assert_eq!(term.exit_code(), 1);
}

/// A tenant with somebody signed in.
async fn signed_in() -> (Running, Session) {
    let (tenant, home) = (common::tenant().await, tempdir().unwrap());
    let desk = common::desk(&tenant, home.path()).await;
    let session = desk.seat().unwrap().graph.session().clone();
    (tenant, session)
}

fn grade(checks: &[Check], id: &str) -> Grade {
    checks.iter().find(|check| check.id == id).unwrap().finding.grade
}

#[tokio::test]
async fn the_lights_of_a_session_are_told_without_reading_a_key_or_asking_anybody() {
    let (tenant, session) = signed_in().await;
    let before = tenant.tenant().log().len();
    let checks = ops::doctor::lights_of(&session).await;
    assert_eq!(checks[0].finding.seen, "Remembered, of dana@harborview.example.");
    assert_eq!(grade(&checks, "light.list"), Grade::Well, "{checks:#?}");
    assert_ne!(grade(&checks, "light.reveal"), Grade::Fix, "{checks:#?}");
    assert_eq!(checks.len(), 1 + Feature::ALL.len());
    for entry in &tenant.tenant().log()[before..] {
        assert!(!entry.path.contains("select=key"), "{entry:?}");
        assert!(!entry.path.contains("devicecode") && !entry.path.contains("authorize"), "{entry:?}");
    }
}

#[tokio::test]
async fn a_role_that_may_not_list_is_something_to_fix_and_names_who_can() {
    let (tenant, session) = signed_in().await;
    tenant.tenant().fault(Fault {
        body: Some(json!({"error": {"code": "authorization_error", "message": "no"}})),
        ..Fault::status("recoveryKeys", 403)
    });
    let checks = ops::doctor::lights_of(&session).await;
    let list = checks.iter().find(|check| check.id == "light.list").unwrap();
    assert_eq!(list.finding.grade, Grade::Fix, "{list:#?}");
    assert_eq!(list.finding.fix.as_ref().unwrap().0.words(), "an Entra administrator");
}
