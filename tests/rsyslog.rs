//! A real rsyslogd as the collector, and the real program at a machine whose policy names it: what rsyslog parsed is what the ledger holds.
//! Needs root, for a namespace in which `/etc` holds that policy.
#![cfg(all(target_os = "linux", feature = "simulation"))]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    net::{TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::machine::Machine;
use keydesk::domain::digest::sha256;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rstest::rstest;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(20);
/// How rsyslog writes what it parsed.
const TEMPLATE: &str = r#"
template(name="parsed" type="list" option.jsonf="on") {
    property(outname="pri" name="pri" format="jsonf")
    property(outname="at" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="app" name="app-name" format="jsonf")
    property(outname="procid" name="procid" format="jsonf")
    property(outname="msgid" name="msgid" format="jsonf")
    property(outname="structured" name="structured-data" format="jsonf")
    property(outname="msg" name="msg" format="jsonf")
}
"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Tls,
    Udp,
    Local,
}

/// rsyslogd with a configuration of its own, and what it wrote.
struct Rsyslog {
    folder: PathBuf,
    port: u16,
    way: Way,
    process: Option<Child>,
}

impl Rsyslog {
    fn new(folder: &Path, way: Way) -> Self {
        let port = match way {
            Way::Tls => TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
            Way::Udp => UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
            Way::Local => 0,
        };
        certify(folder);
        let mut rsyslog = Self { folder: folder.to_owned(), port, way, process: None };
        rsyslog.configure();
        rsyslog.start();
        rsyslog
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn configure(&self) {
        let Self { port, .. } = self;
        let input = match self.way {
            Way::Tls => format!(
                "module(load=\"imtcp\" StreamDriver.Name=\"ossl\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n\
                 input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")"
            ),
            Way::Udp => {
                format!(
                    "module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\" rcvbufSize=\"4m\")"
                )
            }
            Way::Local => format!(
                "module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
                 input(type=\"imuxsock\" Socket=\"{}\" UseSpecialParser=\"off\" IgnoreTimestamp=\"off\")",
                self.at("log")
            ),
        };
        let text = format!(
            "global(workDirectory=\"{}\" maxMessageSize=\"256k\" defaultNetstreamDriverCAFile=\"{}\"\n\
             defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\")\n{input}\n{TEMPLATE}\n\
             action(type=\"omfile\" file=\"{}\" template=\"parsed\")\n",
            self.folder.display(),
            self.at("ca.pem"),
            self.at("server.pem"),
            self.at("server.key"),
            self.at("parsed.jsonl"),
        );
        fs::write(self.folder.join("rsyslog.conf"), text).unwrap();
    }

    fn start(&mut self) {
        let process = Command::new("rsyslogd")
            .args(["-n", "-f", &self.at("rsyslog.conf"), "-i", &self.at("pid")])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        wait_until("rsyslogd listens", || match self.way {
            Way::Tls => TcpStream::connect(("127.0.0.1", self.port)).is_ok(),
            Way::Udp => UdpSocket::bind(("127.0.0.1", self.port)).is_err(),
            Way::Local => self.folder.join("log").exists(),
        });
    }

    fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        assert!(Command::new("kill").arg(process.id().to_string()).status().unwrap().success());
        process.wait().unwrap();
    }

    /// As the policy names it.
    fn address(&self) -> String {
        match self.way {
            Way::Tls => format!("tls://localhost:{}", self.port),
            Way::Udp => format!("udp://127.0.0.1:{}", self.port),
            Way::Local => format!("unix://{}", self.at("log")),
        }
    }

    /// A policy that names it.
    fn policy(&self) -> String {
        format!("[forward]\nsyslog = \"{}\"\nsyslog_ca = \"{}\"\n", self.address(), self.at("ca.pem"))
    }

    /// Every message in order of arrival.
    fn parsed(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("parsed.jsonl")).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// An authority, and a certificate of its for `localhost`.
fn certify(folder: &Path) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    own.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let server = own.signed_by(&key, &Issuer::from_params(&authority, &authority_key)).unwrap();
    for (name, text) in [("ca.pem", ca.pem()), ("server.pem", server.pem()), ("server.key", key.serialize_pem())] {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What rsyslog has parsed, each row once, is the ledger: in order, every part.
fn has_all(rsyslog: &Rsyslog, machine: &Machine<'_>) {
    let rows = machine.rows();
    let distinct = || {
        let mut seen = BTreeSet::new();
        let messages = rsyslog.parsed().into_iter();
        messages.filter(|message| seen.insert(message["structured"].to_string())).collect::<Vec<Value>>()
    };
    wait_until("rsyslog has every row", || distinct().len() >= rows.len());
    let messages = distinct();
    assert_eq!(messages.len(), rows.len());
    for (message, (seq, hash, body)) in messages.iter().zip(&rows) {
        assert_eq!(&sha256(body), hash);
        let row: Value = serde_json::from_str(body).unwrap();
        let event = row["what"]["event"].as_str().unwrap();
        let severity = if ["refused", "caller-refused"].contains(&event) { 4 } else { 5 };
        let at: jiff::Timestamp = row["at"].as_str().unwrap().parse().unwrap();
        let is_short = rsyslog.way == Way::Udp && message["msg"].as_str().unwrap().contains("\"shortened\":true");
        let mut parameters = format!("seq=\"{seq}\" hash=\"{hash}\"");
        for (name, value) in
            [("call", &row["call"]), ("key", &row["what"]["key"]), ("disclosure", &row["what"]["disclosure"])]
        {
            if let Some(value) = value.as_str() {
                write!(parameters, " {name}=\"{value}\"").unwrap();
            }
        }
        if is_short {
            parameters += " shortened=\"true\"";
        }
        let expected = json!({
            "pri": (13 * 8 + severity).to_string(),
            "at": at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "host": row["stamp"]["host"],
            "app": "keydesk",
            "procid": row["stamp"]["instance"],
            "msgid": event,
            "structured": format!("[keydesk@32473 {parameters}]"),
            "msg": if is_short { message["msg"].clone() } else { format!("\u{feff}{body}").into() },
        });
        assert_eq!(message, &expected);
    }
}

#[rstest]
#[case::over_tls(Way::Tls)]
#[case::over_udp(Way::Udp)]
#[case::over_the_local_socket(Way::Local)]
#[ignore = "needs rsyslog, root and a mount namespace"]
fn a_real_rsyslog_parses_every_row_of_every_call_in_order(#[case] way: Way) {
    let folder = tempfile::tempdir().unwrap();
    let served = common::serve();
    let mut rsyslog = Rsyslog::new(folder.path(), way);
    let machine = Machine::new(folder.path(), &served.running, &rsyslog.policy());
    let revealed = machine.reveal();
    assert!(revealed.status.success(), "{}", String::from_utf8_lossy(&revealed.stderr));
    if way == Way::Tls {
        forwarded(&machine);
    }
    // Over the others, what the command left behind has gone out with it.
    let status: Value = serde_json::from_slice(&machine.run(&["forward", "--status", "--json"]).stdout).unwrap();
    assert_eq!((&status[0]["waiting"], &status[0]["error"]), (&json!(0), &Value::Null), "{status}");
    let rows = machine.rows();
    for event in ["signed-in", "call-opened", "caller-verified", "intended", "served", "stage", "call-closed"] {
        assert!(rows.iter().any(|(.., body)| body.contains(&format!("\"event\":\"{event}\""))), "{event}");
    }
    has_all(&rsyslog, &machine);

    // Down for a while. A datagram that nobody hears is lost without a word, so that is not promised over UDP.
    if way != Way::Udp {
        rsyslog.stop();
        machine.leave_rows(150);
        let while_down = machine.run(&["forward", "--once"]);
        assert_eq!(while_down.status.code(), Some(1), "{}", String::from_utf8_lossy(&while_down.stdout));
        rsyslog.start();
        forwarded(&machine);
        has_all(&rsyslog, &machine);
    }

    // Killed in the middle, again and again.
    machine.leave_rows(2_000);
    let taken = || {
        let sink = format!("syslog {}", rsyslog.address());
        machine.ledger().read(|conn| keydesk::store::forwarded::cursor(conn, &sink)).unwrap().seq
    };
    // The first batch comes when the program has started, the second a few milliseconds later: the moments close in on them.
    let (last, mut in_the_middle, mut killed) = (rows_of(&machine), 0, 0);
    let mut moment = Duration::from_millis(20);
    while taken() < last && killed < 80 {
        let before = taken();
        let mut process = machine.keydesk(&["forward", "--once"]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(moment);
        process.kill().unwrap();
        process.wait().unwrap();
        killed += 1;
        let after = taken();
        assert!(after >= before);
        let is_in_the_middle = after > before && after < last;
        in_the_middle += usize::from(is_in_the_middle);
        moment = if is_in_the_middle { moment.mul_f64(0.9) } else { moment.mul_f64(1.15) };
    }
    println!("{way:?}: killed {killed} times, {in_the_middle} of them in the middle, the last after {moment:?}");
    assert!(in_the_middle > 0, "no kill fell into the middle");
    forwarded(&machine);
    has_all(&rsyslog, &machine);
}

/// Sends what waits. rsyslog's OpenSSL driver may take the error of one connection (ours, which only asked whether it listens) for one of
/// the next: that one breaks, its rows wait, and the next attempt brings them.
fn forwarded(machine: &Machine<'_>) {
    wait_until("every row is taken", || machine.run(&["forward", "--once"]).status.success());
}

fn rows_of(machine: &Machine<'_>) -> u64 {
    machine.rows().last().unwrap().0
}

#[test]
#[ignore = "needs rsyslog, root and a mount namespace"]
fn a_rsyslog_whose_certificate_is_another_names_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let served = common::serve();
    let rsyslog = Rsyslog::new(folder.path(), Way::Tls);
    let machine = Machine::new(folder.path(), &served.running, &rsyslog.policy());
    let elsewhere =
        format!("[forward]\nsyslog = \"tls://127.0.0.1:{}\"\nsyslog_ca = \"{}\"\n", rsyslog.port, rsyslog.at("ca.pem"));
    let nobody = format!("[forward]\nsyslog = \"{}\"\n", rsyslog.address());
    machine.leave_rows(1);
    for policy in [elsewhere, nobody] {
        machine.lay_down(&policy);
        let said = machine.run(&["forward", "--once"]);
        let out = String::from_utf8(said.stdout).unwrap();
        assert_eq!(said.status.code(), Some(1), "{out}");
        assert!(out.contains("cannot be reached: invalid peer certificate"), "{out}");
    }
    assert!(rsyslog.parsed().is_empty());
}
