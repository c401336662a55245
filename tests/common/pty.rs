//! The real binary in a pseudo-terminal: type, look at the screen, kill.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use keydesk::simulation::Running;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::{Served, environment};

/// Rows of scrollback that are kept and searched.
const SCROLLBACK: usize = 5_000;

pub struct Term {
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    _master: Box<dyn MasterPty + Send>,
    parser: Arc<Mutex<vt100::Parser>>,
}

/// Names what stands in for the binary: `.ci/wine-terminal` runs the one built for Windows.
const STANDS_IN: &str = "KEYDESK_TEST_PROGRAM";

/// The binary with its settings, nothing of the tester's environment in it.
pub fn keydesk(home: &Path, tenant: Option<&Running>) -> CommandBuilder {
    let mut command =
        CommandBuilder::new(std::env::var_os(STANDS_IN).unwrap_or_else(|| env!("CARGO_BIN_EXE_keydesk").into()));
    command.env_clear();
    for (name, value) in environment(home, tenant) {
        command.env(name, value);
    }
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    command
}

impl Term {
    pub fn spawn(command: CommandBuilder, cols: u16, rows: u16) -> Self {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let parser = Arc::new(Mutex::new(vt100::Parser::new(nonzero(rows), nonzero(cols), SCROLLBACK)));
        let mut reader = pair.master.try_clone_reader().unwrap();
        std::thread::spawn({
            let parser = Arc::clone(&parser);
            move || {
                let mut buffer = [0; 16 * 1024];
                while let Ok(n @ 1..) = reader.read(&mut buffer) {
                    parser.lock().unwrap().process(&buffer[..n]);
                }
            }
        });
        let writer = pair.master.take_writer().unwrap();
        Self { child, writer, _master: pair.master, parser }
    }

    /// The screen as text.
    pub fn screen(&self) -> String {
        self.parser.lock().unwrap().screen().contents()
    }

    /// Everything on the screen and in the scrollback.
    pub fn all_text(&self) -> String {
        let mut parser = self.parser.lock().unwrap();
        let mut text = String::new();
        parser.screen_mut().set_scrollback(usize::MAX);
        let most = parser.screen().scrollback();
        for back in (0..=most).rev() {
            parser.screen_mut().set_scrollback(back);
            text.push_str(&parser.screen().contents());
            text.push('\n');
        }
        text
    }

    pub fn is_alternate(&self) -> bool {
        self.parser.lock().unwrap().screen().alternate_screen()
    }

    pub fn send(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        assert!(self.sees(text, Duration::from_secs(30)), "{text:?} never came; the screen is:\n{}", self.screen());
    }

    /// Whether `text` comes within `patience`.
    pub fn sees(&self, text: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            if self.screen().contains(text) {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// SIGKILL, and the end awaited.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether the program has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = self.child.process_id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        rustix::process::kill_process(id.unwrap(), signal).unwrap();
    }

    /// Waits for the program to end by itself.
    #[track_caller]
    pub fn exit_code(&mut self) -> u32 {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What it said last is still on its way through the pseudo-terminal.
                std::thread::sleep(Duration::from_millis(100));
                return status.exit_code();
            }
            assert!(Instant::now() < deadline, "the program does not end; the screen is:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Longer than a burst: keys that come faster than fingers decide nothing.
pub const BEAT: Duration = Duration::from_millis(100);

/// The console on this home, looking at its rotations every second, with its index filled.
pub fn console(home: &Path, served: &Served) -> Term {
    fs::write(home.join("config.toml"), "[policy.timers]\nwatch_first = \"1s\"\nwatch_longest = \"1s\"\n").unwrap();
    let term = Term::spawn(keydesk(home, Some(&served.running)), 80, 24);
    term.wait_for("keys,");
    term
}

/// In Windows again, replaced, paid, closed, and the program left.
pub fn end_the_call(term: &mut Term) {
    term.send("w");
    term.wait_for("Note");
    term.wait_for("replaced by");
    term.send("\r");
    term.wait_for("Type what the caller reads");
    term.wait_for("no debts");
    // Ctrl+Q
    term.send("\x11");
    assert_eq!(term.exit_code(), 0);
}

/// From the empty desk to the point where Enter asks for the key.
pub fn to_the_question(term: &mut Term) {
    term.send("4F2B91C0");
    term.wait_for("HVC-LT-0421, Entra joined");
    term.send("\r");
    term.wait_for("They say");
    term.send("mara voss");
    term.send("\r");
    term.wait_for("match: the owner");
    term.send("\t");
    // What comes within a quarter of a second of the list is dropped: it may have been meant for the field.
    std::thread::sleep(Duration::from_millis(400));
    term.send("1");
    term.wait_for("► 1");
    std::thread::sleep(BEAT);
    term.send("v");
    term.wait_for("Ticket");
    term.wait_for("INC");
    term.send(&super::TICKET["INC".len()..]);
    term.wait_for("fits the pattern");
    term.send("\r");
    term.send("2");
    term.wait_for("Written down before");
    std::thread::sleep(BEAT);
}

fn nonzero(n: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(n).unwrap()
}
