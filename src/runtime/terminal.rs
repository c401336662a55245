//! The terminal, entered and left, whatever happens in between.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crossterm::{
    cursor,
    event::{
        DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange, Event, KeyEventKind, poll,
        read,
    },
    execute, queue,
    style::Print,
    terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen},
};
use ratatui::{Terminal, backend::CrosstermBackend};

/// A key pressed this soon after a key is shown was on its way already.
const TYPED_AHEAD: Duration = Duration::from_millis(250);

/// Whether the alternate screen is up: a panic anywhere takes it down before it says a word.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// The alternate screen in raw mode, for as long as the value lives.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<io::Stdout>>,
}

impl Screen {
    /// Enters it. Installs the hook that leaves it on a panic.
    pub fn enter() -> io::Result<Self> {
        leave_on_panic();
        enter()?;
        Ok(Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))? })
    }

    pub fn terminal(&mut self) -> &mut Terminal<CrosstermBackend<io::Stdout>> {
        &mut self.terminal
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    ENTERED.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange, cursor::Hide)
}

/// Clears the alternate screen, so that a terminal which keeps it keeps nothing, and goes back to the primary one.
fn leave() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        // Each step on its own: one that fails must not keep the others from being taken.
        let mut out = io::stdout();
        let _ = execute!(out, Clear(ClearType::All));
        let _ = execute!(out, DisableFocusChange, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
        let _ = terminal::disable_raw_mode();
    }
}

fn leave_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        leave();
        before(panic);
    }));
}

/// Shows `lines` on the alternate screen until a key is pressed or `longest` has passed. `Ok(false)` when there is no terminal.
pub fn show_until_key(lines: &[&str], longest: Duration) -> io::Result<bool> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Ok(false);
    }
    leave_on_panic();
    enter()?;
    let shown = (|| {
        let mut out = io::stdout();
        queue!(out, Clear(ClearType::All))?;
        for (row, line) in (2_u16..).zip(lines) {
            queue!(out, cursor::MoveTo(2, row), Print(line))?;
        }
        out.flush()?;
        // What was typed before the key stood there was not meant for it.
        while poll(TYPED_AHEAD)? {
            read()?;
        }
        let end = std::time::Instant::now() + longest;
        loop {
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() || !poll(left)? {
                return Ok(());
            }
            match read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press => return Ok(()),
                Event::FocusLost => return Ok(()),
                _ => {}
            }
        }
    })();
    leave();
    shown.map(|()| true)
}
