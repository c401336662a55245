//! The pictures of the README: the real program in a pseudo-terminal, on the simulated tenant, through a whole call.
//!
//! ```text
//! cargo run --example gallery                  every picture, into assets/pictures
//! cargo run --example gallery -- target/gallery   somewhere else
//! ```
//!
//! It builds the program first, so that what it draws is what stands in `src/`. The seed is fixed: from one run to the next the pictures
//! differ in times, and in the ledger's hash, which covers times.

mod svg;
mod terminal;

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use keydesk::simulation::{self, Options, Source};
use portable_pty::CommandBuilder;
use svg::Picture;
use terminal::Terminal;

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// A port of our own for the first picture, whose QR and address would differ otherwise.
const PORT: u16 = 47_910;
/// What comes within a quarter of a second of a list is dropped: it may have been meant for the field before it.
const LIST_LISTENS: Duration = Duration::from_millis(500);

const ENTER: &str = "\r";
const ESC: &str = "\x1b";
const TAB: &str = "\t";
const F2: &str = "\x1bOQ";
const CTRL_Q: &str = "\x11";

/// One caller of the scenario, as the technician takes them down.
struct Caller {
    key_id: &'static str,
    device: &'static str,
    name: &'static str,
    /// Without its prefix, which is filled in.
    ticket: &'static str,
    reason: &'static str,
}

const MARA: Caller =
    Caller { key_id: "4F2B91C0", device: "HVC-LT-0421", name: "mara voss", ticket: "0048213", reason: "2" };
const TOMAS: Caller =
    Caller { key_id: "B7D40E12", device: "HVC-LT-1180", name: "tomas lind", ticket: "0048221", reason: "1" };

/// Where pictures go.
struct Gallery {
    folder: PathBuf,
}

fn main() -> Done {
    let program = build()?;
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("assets/pictures"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let gallery = Gallery { folder };
    let home = tempfile::tempdir()?;
    sign_in(&gallery, &program, &home.path().join("sign-in"))?;
    a_call(&gallery, &program, &home.path().join("call"))?;
    a_wide_call(&gallery, &program, &home.path().join("wide"))
}

/// Builds the program in this example's profile and says where it is: beside the folder `examples`.
fn build() -> Done<PathBuf> {
    let me = std::env::current_exe()?;
    let target = me.parent().and_then(Path::parent).ok_or("this example does not lie in target/")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--bin", "keydesk"]);
    if target.ends_with("release") {
        cargo.arg("--release");
    }
    if !cargo.status()?.success() {
        return Err("the program cannot be built".into());
    }
    Ok(target.join(format!("keydesk{}", std::env::consts::EXE_SUFFIX)))
}

/// The program with nothing of this machine's settings in it, in a folder of its own.
fn keydesk(program: &Path, home: &Path, arguments: &[&str]) -> Done<CommandBuilder> {
    std::fs::create_dir_all(home)?;
    let mut command = CommandBuilder::new(program);
    command.env_clear();
    for name in ["PATH", "SystemRoot"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("TZ", "UTC")] {
        command.env(name, value);
    }
    command.env("HOME", home);
    command.env("KEYDESK_HOME", home);
    command.args(arguments);
    Ok(command)
}

/// A tenant that waits for somebody to sign in.
fn sign_in(gallery: &Gallery, program: &Path, home: &Path) -> Done {
    let runtime = tokio::runtime::Runtime::new()?;
    let tenant = runtime.block_on(simulation::start(Options {
        scenario: Source::Small,
        addr: ([127, 0, 0, 1], PORT).into(),
        ..Options::default()
    }))?;
    let mut command = keydesk(program, home, &[])?;
    command.env("KEYDESK_AUTHORITY", tenant.authority());
    command.env("KEYDESK_GRAPH", tenant.graph());
    command.env("KEYDESK_TENANT", tenant.tenant().domain());
    command.env("KEYDESK_CLIENT_ID", tenant.client_id().to_string());
    let mut desk = Terminal::open(command, 80, 24)?;
    desk.wait_for("Waiting for Entra")?;
    gallery.take(&desk, "sign-in", "Sign-in: the code large, a QR for the phone, and a warning")?;
    desk.close(CTRL_Q)?;
    runtime.block_on(tenant.shutdown());
    Ok(())
}

/// The ordinary call, screen by screen, and a second one that is still owed a replacement.
fn a_call(gallery: &Gallery, program: &Path, home: &Path) -> Done {
    let mut desk = demo(program, home, 80, 24)?;
    gallery.take(&desk, "empty-desk", "The empty desk: what the next caller says, in the demo")?;
    desk.send("4F2B")?;
    desk.wait_for("3 keys on 3 devices")?;
    gallery.take(&desk, "several-matches", "Four characters heard: three keys begin so")?;
    desk.send("91")?;
    desk.wait_for("Verdict")?;
    gallery.take(&desk, "one-match", "Six characters heard: one key on one device, its facts masked")?;
    desk.send("C0")?;
    desk.wait_for("All eight heard")?;
    desk.send(TAB)?;
    desk.wait_for("Because")?;
    gallery.take(&desk, "duplicates", "Which of three objects is the laptop, and every key it had")?;
    desk.send(ESC)?;
    desk.wait_for("All eight heard")?;
    verify(&mut desk, &MARA)?;
    gallery.take(&desk, "caller", "What the caller claims against what is known")?;
    desk.send("v")?;
    write_down(&mut desk, &MARA)?;
    gallery.take(&desk, "ticket", "Ticket and reason, and the record that will be written first")?;
    desk.send(ENTER)?;
    desk.wait_for("1 of 8")?;
    desk.send("  ")?;
    desk.wait_for("3 of 8")?;
    gallery.take(&desk, "stage", "Reading aloud: one block large, its digits in words (a key of the simulation)")?;
    desk.send("h")?;
    desk.wait_for("Concealed")?;
    gallery.take(&desk, "concealed", "Concealed by one key, shown again by the same")?;
    desk.send("w")?;
    desk.wait_for("√ proved")?;
    gallery.take(&desk, "in-windows", "In Windows again: the replacement is sent and followed, the note is ready")?;
    desk.send(ENTER)?;
    desk.wait_for("Type what the caller reads")?;
    desk.wait_until("the toast is gone", |screen| !screen.contains("is closed"))?;

    find(&mut desk, &TOMAS)?;
    verify(&mut desk, &TOMAS)?;
    desk.send("v")?;
    write_down(&mut desk, &TOMAS)?;
    desk.send(ENTER)?;
    desk.wait_for("1 of 8")?;
    desk.send("w")?;
    desk.wait_for("Note")?;
    desk.wait_for("accepted the rotation")?;
    desk.send(F2)?;
    desk.wait_for("1 open, 1 proved")?;
    gallery.take(&desk, "debts", "Debts: every key that was read, until its replacement is seen")?;
    desk.close(CTRL_Q)
}

/// A window with more room shows more, beside and below.
fn a_wide_call(gallery: &Gallery, program: &Path, home: &Path) -> Done {
    let mut desk = demo(program, home, 120, 40)?;
    find(&mut desk, &MARA)?;
    verify(&mut desk, &MARA)?;
    desk.send("v")?;
    write_down(&mut desk, &MARA)?;
    gallery.take(&desk, "wide", "The same call at 120 by 40: the runbook beside it, objects and keys below")?;
    desk.close(CTRL_Q)
}

/// The demo, signed in and its list complete.
fn demo(program: &Path, home: &Path, cols: u16, rows: u16) -> Done<Terminal> {
    let desk = Terminal::open(keydesk(program, home, &["demo", "--fresh", "--seed", "1"])?, cols, rows)?;
    desk.wait_for("Type what the caller reads")?;
    desk.wait_for("keys, just now")?;
    desk.wait_until("the toast is gone", |screen| !screen.contains("Signed in as"))?;
    Ok(desk)
}

fn find(desk: &mut Terminal, caller: &Caller) -> Done {
    desk.send(caller.key_id)?;
    desk.wait_for(caller.device)
}

/// From a key with all eight characters heard to the chosen way of verification.
fn verify(desk: &mut Terminal, caller: &Caller) -> Done {
    desk.wait_for("Verdict")?;
    desk.send(ENTER)?;
    desk.wait_for("They say")?;
    desk.send(caller.name)?;
    desk.send(ENTER)?;
    desk.wait_for("match: the owner")?;
    desk.send(TAB)?;
    std::thread::sleep(LIST_LISTENS);
    desk.send("1")?;
    desk.wait_for("► 1")
}

/// Ticket and reason, up to the line that says what will be recorded.
fn write_down(desk: &mut Terminal, caller: &Caller) -> Done {
    desk.wait_for("INC")?;
    desk.send(caller.ticket)?;
    desk.wait_for("fits the pattern")?;
    desk.send(ENTER)?;
    std::thread::sleep(LIST_LISTENS);
    desk.send(caller.reason)?;
    desk.wait_for("Written down before")
}

impl Gallery {
    fn take(&self, desk: &Terminal, name: &str, title: &str) -> Done {
        let path = self.folder.join(format!("{name}.svg"));
        let drawn = desk.settled(|screen| svg::draw(screen, &Picture { window: "keydesk", title }))?;
        std::fs::write(&path, drawn)?;
        Ok(())
    }
}
