//! A program in a pseudo-terminal: type, and look at the screen.

use std::{
    io::{Read, Write},
    num::NonZero,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::Done;

/// How long something may take to appear.
const PATIENCE: Duration = Duration::from_mins(1);
/// A screen is looked at when nothing has been written to it for so long.
const QUIET: Duration = Duration::from_millis(250);

pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    // Dropped last: the program's terminal goes with it.
    _master: Box<dyn MasterPty + Send>,
    screen: Arc<Mutex<Screen>>,
}

struct Screen {
    parser: vt100::Parser,
    changed: Instant,
}

impl Terminal {
    pub fn open(command: CommandBuilder, cols: u16, rows: u16) -> Done<Self> {
        let pair = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 })?;
        let child = pair.slave.spawn_command(command)?;
        drop(pair.slave);
        let size = |n| NonZero::new(n).ok_or("a terminal has at least one row and column");
        let parser = vt100::Parser::new(size(rows)?, size(cols)?, 0);
        let screen = Arc::new(Mutex::new(Screen { parser, changed: Instant::now() }));
        let mut reader = pair.master.try_clone_reader()?;
        std::thread::spawn({
            let screen = Arc::clone(&screen);
            move || {
                let mut buffer = [0; 16 * 1024];
                while let Ok(n @ 1..) = reader.read(&mut buffer) {
                    let mut screen = lock(&screen);
                    screen.parser.process(&buffer[..n]);
                    screen.changed = Instant::now();
                }
            }
        });
        let keyboard = pair.master.take_writer()?;
        Ok(Self { child, keyboard, _master: pair.master, screen })
    }

    pub fn send(&mut self, keys: &str) -> Done {
        // At a person's pace: keys that come faster than fingers decide nothing.
        std::thread::sleep(std::time::Duration::from_millis(100));
        self.keyboard.write_all(keys.as_bytes())?;
        Ok(self.keyboard.flush()?)
    }

    /// Waits until `text` is on the screen.
    pub fn wait_for(&self, text: &str) -> Done {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Waits until `holds`; `what` says for what, in the failure.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&str) -> bool) -> Done {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = lock(&self.screen).parser.screen().contents();
            if holds(&shown) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("still waiting for {what:?}; the screen is:\n{shown}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What `look` makes of the screen as soon as it stands still; a countdown or a spinner pauses long enough for that.
    pub fn settled<T>(&self, look: impl Fn(&vt100::Screen) -> T) -> Done<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = lock(&self.screen);
            if screen.changed.elapsed() >= QUIET || Instant::now() > deadline {
                return Ok(look(screen.parser.screen()));
            }
            drop(screen);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks the program to end by `key`, confirms with Enter where it asks back, and waits.
    pub fn close(&mut self, key: &str) -> Done {
        self.send(key)?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.child.kill()?;
                return Err("the program does not end".into());
            }
            if lock(&self.screen).parser.screen().contents().contains("Enter quits") {
                self.send("\r")?;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Already gone after `close`; still there when a step failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}
