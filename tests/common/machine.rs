//! The real program at a machine whose policy the test has laid down, in a namespace of its own. Needs root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use keydesk::{
    domain::{
        debt::InstanceId,
        event::{Event, Stamp},
    },
    simulation::Running,
    store::{Ledger, TxError},
};

use super::{PREFIX, TICKET, environment};

/// A machine with a policy, and one technician's home on it.
pub struct Machine<'a> {
    folder: PathBuf,
    tenant: &'a Running,
}

impl<'a> Machine<'a> {
    /// `policy`: what stands in the machine's file.
    pub fn new(folder: &Path, tenant: &'a Running, policy: &str) -> Self {
        let machine = Self { folder: folder.to_owned(), tenant };
        fs::create_dir_all(machine.home()).unwrap();
        machine.lay_down(policy);
        machine
    }

    pub fn lay_down(&self, policy: &str) {
        fs::write(self.folder.join("policy.toml"), policy).unwrap();
    }

    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// The program, in a namespace whose `/etc` holds the policy. It is the process itself that runs: to kill it kills the program.
    pub fn keydesk(&self, arguments: &[&str]) -> Command {
        let script = format!(
            "set -e; mkdir -p {here}/etc; for name in hosts nsswitch.conf ssl; do cp -a /etc/$name {here}/etc/ 2>/dev/null || true; done; \
             mount -t tmpfs -o mode=755 none /etc; cp -a {here}/etc/. /etc/; umask 022; mkdir /etc/keydesk; \
             cp {here}/policy.toml /etc/keydesk/; exec \"$0\" \"$@\"",
            here = self.folder.display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_keydesk")]).args(arguments);
        command.env_clear().envs(environment(&self.home(), Some(self.tenant))).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.keydesk(arguments).output().unwrap()
    }

    /// A whole call.
    pub fn reveal(&self) -> Output {
        self.reveal_command().output().unwrap()
    }

    /// The same, while it runs. What it prints is nobody's.
    pub fn start_to_reveal(&self) -> Child {
        self.reveal_command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn reveal_command(&self) -> Command {
        let claim = ["--claim", "name=Mara Voss", "--verified", "called-back"];
        let call = ["reveal", PREFIX, "--ticket", TICKET, "--reason", "windows-update", "--print"];
        self.keydesk(&[&call[..], &claim[..]].concat())
    }

    pub fn ledger(&self) -> Ledger {
        Ledger::open(&self.home().join("ledger.db")).unwrap()
    }

    /// The rows as stored: number, hash, bytes.
    pub fn rows(&self) -> Vec<(u64, String, String)> {
        let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(i64, Vec<u8>, String)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        };
        let rows = self.ledger().read(|conn| {
            let mut statement = conn.prepare("SELECT seq, body, hash FROM ledger ORDER BY seq")?;
            let rows: Vec<_> = statement.query_map([], read)?.collect::<Result<_, _>>()?;
            Ok::<_, TxError>(rows)
        });
        let text = |bytes| String::from_utf8(bytes).unwrap();
        rows.unwrap().into_iter().map(|(seq, body, hash)| (seq.cast_unsigned(), hash, text(body))).collect()
    }

    /// Rows that a busy desk left.
    pub fn leave_rows(&self, count: usize) {
        let stamp = Stamp {
            technician: None,
            tenant: None,
            app: "a".into(),
            host: "desk-7".into(),
            account: "dana".into(),
            version: "0".into(),
            policy: "p".into(),
            instance: InstanceId(uuid::Uuid::now_v7()),
        };
        let write = |pen: &mut keydesk::store::Pen<'_>| {
            (0..count).try_for_each(|_| pen.append(None, &Event::SignedOut).map(drop))
        };
        self.ledger().write(jiff::Timestamp::now(), &stamp, write).unwrap();
    }
}
