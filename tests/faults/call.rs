//! A whole call in one process of the real program, `keydesk reveal`: signed in, listed, opened, verified, recorded, asked, handed out, closed,
//! its replacement sent. Run once for each point at which something can go wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use keydesk::{domain::event::Event, store::Ledger};
use regex::bytes::Regex;
use rusqlite::config::DbConfig;

use super::{
    common::{PREFIX, TICKET, environment},
    order,
    outside::{self, Tenant},
    strace::{self, Call, Orders},
};

/// The policy of the desk that is killed, where a technician may tighten it: what is owed goes out at once.
const CONFIG: &str = "[policy.timers]\nrotation_delay = \"0s\"\nwatch_first = \"1s\"\nwatch_longest = \"1s\"\n";
/// And of the one that comes after it.
pub const AFTERWARDS: &str =
    "[timers]\nrotation_delay = \"0s\"\nuncertain_pause = \"2s\"\nwatch_first = \"50ms\"\nwatch_longest = \"200ms\"\n";
/// A run that takes longer hangs.
const PATIENCE: &str = "60";
/// By how much a sync comes late, in microseconds.
const LATE: u32 = 150_000;

/// What the desk finds when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// No file: the databases are made.
    First,
    /// Its files, and nobody else.
    Alone,
    /// Its files, held open by another desk.
    Beside,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The process is killed as it makes the call, which is not carried out.
    Killed,
    /// The call fails once.
    Fails(&'static str),
    /// It fails from then on.
    FailsOn(&'static str),
    /// It is carried out late.
    Late,
}

impl Kind {
    pub fn words(self) -> String {
        match self {
            Self::Killed => "killed".into(),
            Self::Fails(error) => format!("{error} once"),
            Self::FailsOn(error) => format!("{error} from then on"),
            Self::Late => "late".into(),
        }
    }
}

/// One thing to try: the `n`-th call of that name a thread makes, on one file where one is named.
#[derive(Clone, Debug)]
pub struct Point {
    pub start: Start,
    pub name: &'static str,
    pub file: Option<String>,
    pub n: usize,
    pub kind: Kind,
}

impl Point {
    pub fn orders(&self, home: &Path) -> Orders {
        let (name, n) = (self.name, self.n);
        let how = match self.kind {
            Kind::Killed => format!("signal=SIGKILL:when={n}"),
            Kind::Fails(error) => format!("error={error}:when={n}"),
            Kind::FailsOn(error) => format!("error={error}:when={n}+"),
            Kind::Late => format!("delay_enter={LATE}:when={n}"),
        };
        Orders {
            only: self.file.iter().map(|file| home.join(file)).collect(),
            ..Orders::inject(format!("{name}:{how}"))
        }
    }

    /// Where it struck: the first thread to make its `n`-th call of that name.
    pub fn struck<'a>(&self, calls: &'a [Call]) -> Option<&'a Call> {
        let mut counts = BTreeMap::new();
        calls.iter().filter(|call| call.name == self.name).find(|call| {
            let count = counts.entry(call.thread).or_insert(0);
            *count += 1;
            *count == self.n
        })
    }
}

/// A point that was reached: in what, what went wrong, and which call it was, counted over all threads and for its file.
pub type Reached = (String, String, String, String, usize);

/// Which call this is: its name, what it is made on, and how many of these there were, it included.
pub fn place(calls: &[Call], of: &Call) -> (String, String, usize) {
    let same = |call: &&Call| call.name == of.name && sort(call) == sort(of) && call.began <= of.began;
    (of.name.clone(), sort(of), calls.iter().filter(same).count())
}

/// The file's name in every home, every socket being one.
fn sort(call: &Call) -> String {
    let file = call.file();
    match file.split_once('.') {
        _ if call.is_socket() => "socket".into(),
        Some((name, end)) if name.starts_with("index-") => format!("index.{end}"),
        Some(("ledger", _)) => file.into(),
        _ if call.is_sync() => "folder".into(),
        _ => "instance".into(),
    }
}

/// A run that has ended.
pub struct Run {
    pub output: Output,
    pub calls: Vec<Call>,
}

impl Run {
    fn was_killed(&self) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        self.output.status.signal() == Some(9) || self.output.status.code() == Some(137)
    }

    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// A lane: a tenant of its own at an address of its own, and the files a desk finds that was here before.
pub struct Lane {
    pub tenant: Tenant,
    passwords: BTreeMap<uuid::Uuid, String>,
    template: tempfile::TempDir,
}

impl Lane {
    pub fn new() -> Self {
        let (tenant, template) = (Tenant::serve("small", "400"), tempfile::tempdir().unwrap());
        fs::write(template.path().join("config.toml"), CONFIG).unwrap();
        let passwords = tenant.passwords();
        let lane = Self { tenant, passwords, template };
        let signed_in = program(Command::new(env!("CARGO_BIN_EXE_keydesk")), lane.template.path(), &lane.tenant)
            .arg("sign-in")
            .output()
            .unwrap();
        assert!(signed_in.status.success(), "{signed_in:?}");
        fs::remove_dir_all(lane.template.path().join("instances")).unwrap();
        lane
    }

    /// A home as `start` says.
    pub fn home(&self, start: Start) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(self.template.path()).unwrap().map(Result::unwrap) {
            if start != Start::First || entry.file_name() == "config.toml" {
                fs::copy(entry.path(), home.path().join(entry.file_name())).unwrap();
            }
        }
        home
    }

    /// A call under strace.
    pub fn run(&self, home: &Path, start: Start, orders: &Orders) -> Run {
        let beside: Vec<_> = if start == Start::Beside { databases(home) } else { Vec::new() };
        let beside: Vec<_> = beside.iter().map(|path| another_desk(path)).collect();
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("trace");
        let mut command = Command::new("timeout");
        command.arg(PATIENCE).arg("strace").args(orders.arguments(&trace)).arg(env!("CARGO_BIN_EXE_keydesk"));
        let output = program(command, home, &self.tenant)
            .args(["reveal", PREFIX, "--ticket", TICKET, "--reason", "2", "--verified", "in-person"])
            .args(["--claim", "name=mara voss", "--print"])
            .output()
            .unwrap();
        drop(beside);
        assert_ne!(output.status.code(), Some(124), "the program hangs: {output:?}");
        let text = fs::read(&trace).unwrap_or_default();
        Run { output, calls: strace::read(&String::from_utf8_lossy(&text)) }
    }

    /// Tries a point, starts again, follows everything to its end, and compares. What was reached, if anything was.
    pub fn try_point(&mut self, point: &Point) -> Option<Reached> {
        let home = self.home(point.start);
        let run = self.run(home.path(), point.start, &point.orders(home.path()));
        let struck = point.struck(&run.calls);
        assert_eq!(run.was_killed(), struck.is_some() && point.kind == Kind::Killed, "{:?}", run.output);
        let struck = struck.map(|call| place(&run.calls, call));
        self.compare(home.path(), &run, point);
        let (name, file, n) = struck?;
        Some((format!("{:?}", point.start).to_lowercase(), point.kind.words(), name, file, n))
    }

    fn compare(&mut self, home: &Path, run: &Run, point: &Point) {
        if point.file.is_none() {
            order::check(&run.calls).unwrap();
        }
        if !run.was_killed() {
            self.says_what_happened(run, &self.tenant.key_requests(), &rows(home), point);
        }
        self.goes_on(home);
    }

    /// Starts again, follows everything to its end, and holds the ledger's account against the tenant's.
    pub fn goes_on(&mut self, home: &Path) {
        let requests = self.tenant.key_requests();
        outside::every_key_request_has_its_row(&requests, &rows(home));
        self.holds_no_digits(home);
        let (rows, debts) = outside::settle(&self.tenant, home, AFTERWARDS);
        outside::every_debt_has_ended(&requests, &rows, &debts);
        outside::no_rotation_is_sent_twice(&self.tenant, &rows);
        self.holds_no_digits(home);
        if !requests.is_empty() || !self.tenant.rotations().is_empty() {
            let address = self.tenant.address().to_owned();
            self.tenant.end();
            self.tenant = Tenant::serve_at("small", "400", &address);
        }
    }

    /// A process that lived to its end hands out what it was given, and says what it could not write down.
    fn says_what_happened(
        &self,
        run: &Run,
        requests: &[outside::Seen],
        rows: &[keydesk::domain::event::Row],
        point: &Point,
    ) {
        let digits = self.passwords.values().find(|digits| run.stdout().contains(*digits));
        let was_answered = requests.iter().any(|seen| seen.served && seen.status == Some(200));
        let has_outcome = rows.iter().any(|row| matches!(row.event, Event::Served { .. }));
        let ok = run.output.status.success();
        if point.name != "recvfrom" && was_answered {
            assert!(digits.is_some(), "Entra handed the key out, and nobody got it: {:?}", run.output);
            assert!(has_outcome || run.stderr().contains("is not written down yet"), "{}", run.stderr());
        }
        if digits.is_none() {
            assert!(!ok, "no key, and no failure: {:?}", run.output);
            assert!(run.stderr().contains("keydesk: "), "{}", run.stderr());
        }
        if requests.is_empty() {
            assert!(digits.is_none() && !ok);
        }
    }

    /// No twelve digits of any key in anything the desk left behind.
    fn holds_no_digits(&self, home: &Path) {
        static TWELVE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d{6}-?\d{6}").unwrap());
        let pairs: BTreeSet<String> = self
            .passwords
            .values()
            .flat_map(|digits| {
                let blocks: Vec<&str> = digits.split('-').collect();
                blocks.windows(2).map(<[&str]>::concat).collect::<Vec<_>>()
            })
            .collect();
        for entry in fs::read_dir(home).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            let bytes = fs::read(entry.path()).unwrap();
            for found in TWELVE.find_iter(&bytes) {
                let digits = String::from_utf8_lossy(found.as_bytes()).replace('-', "");
                assert!(!pairs.contains(&digits), "digits of a key in {}", entry.path().display());
            }
        }
    }
}

/// The rows as they were left, before anybody went on.
fn rows(home: &Path) -> Vec<keydesk::domain::event::Row> {
    let ledger = Ledger::open(&home.join("ledger.db")).unwrap();
    ledger.verify().unwrap().unwrap();
    ledger.rows(1).unwrap()
}

fn program(mut command: Command, home: &Path, tenant: &Tenant) -> Command {
    command.env_clear().envs(environment(home, None)).envs(tenant.environment());
    command
}

fn databases(home: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "db")).collect()
}

/// Holds a database open as another desk does; closing it leaves everything as it is.
fn another_desk(path: &Path) -> rusqlite::Connection {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).unwrap();
    conn
}
