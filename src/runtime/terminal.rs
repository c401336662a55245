//! The terminal, entered and left, whatever happens in between.
//!
//! Whatever draws holds [`DRAWING`], and so does whatever leaves. So no frame comes after the screen was left: it would stand on the
//! primary screen, in its scrollback.

use std::{
    cell::Cell,
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crossterm::{
    cursor,
    event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange},
    execute,
    terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen},
};
use ratatui::{Frame, Terminal, backend::CrosstermBackend};

/// Whether the alternate screen is up; held while it is drawn on.
static DRAWING: Mutex<bool> = Mutex::new(false);

/// Somebody waits to leave the screen: no further frame begins, however fast they come.
static LEAVING: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this thread holds [`DRAWING`]: a panic in the middle of a frame leaves the screen from inside it.
    static DRAWS: Cell<bool> = const { Cell::new(false) };
}

/// The alternate screen in raw mode, for as long as the value lives.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<io::Stdout>>,
    _up: Up,
}

impl Screen {
    /// Enters it. Installs the hook that leaves it on a panic.
    pub fn enter() -> io::Result<Self> {
        let up = Up::enter()?;
        Ok(Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?, _up: up })
    }

    /// Draws one frame. `false`: the screen was left, by a panic on another thread, and nothing was drawn.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<bool> {
        let terminal = &mut self.terminal;
        while_up(|| terminal.draw(view).map(drop))
    }

    /// Leaves nothing of the last frame on the screen, nor in the buffers a frame is made in, but `line`.
    pub fn wipe(&mut self, line: &str) -> io::Result<bool> {
        let terminal = &mut self.terminal;
        while_up(|| {
            // Each swap resets the buffer it puts away. `Terminal::clear` would ask the terminal for its cursor, and wait.
            terminal.swap_buffers();
            terminal.swap_buffers();
            execute!(io::stdout(), Clear(ClearType::All))?;
            terminal.draw(|frame| frame.render_widget(line, frame.area())).map(drop)
        })
    }
}

/// Takes the alternate screen down when it is dropped.
#[derive(Debug)]
pub(super) struct Up;

impl Up {
    pub(super) fn enter() -> io::Result<Self> {
        leave_on_panic();
        let mut entered = lock();
        terminal::enable_raw_mode()?;
        *entered = true;
        LEAVING.store(false, Ordering::SeqCst);
        // From here on whatever fails is taken back by the drop.
        let up = Self;
        let done = execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange, cursor::Hide);
        drop(entered);
        done.map(|()| up)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        leave();
    }
}

/// Runs `draw` unless the screen was left, and keeps it from being left meanwhile.
pub(super) fn while_up(draw: impl FnOnce() -> io::Result<()>) -> io::Result<bool> {
    if LEAVING.load(Ordering::SeqCst) {
        return Ok(false);
    }
    let entered = lock();
    if !*entered {
        return Ok(false);
    }
    DRAWS.set(true);
    let _drawing = Drawing { entered };
    draw().map(|()| true)
}

/// A frame being drawn by this thread.
struct Drawing {
    entered: MutexGuard<'static, bool>,
}

impl Drop for Drawing {
    fn drop(&mut self) {
        DRAWS.set(false);
        if std::thread::panicking() {
            // The hook has left the screen already.
            *self.entered = false;
        }
    }
}

fn lock() -> MutexGuard<'static, bool> {
    DRAWING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clears the alternate screen, so that a terminal which keeps it keeps nothing, and goes back to the primary one.
fn leave() {
    if DRAWS.get() {
        // A panic in the middle of a frame: the lock is this thread's own, and the frame ends here.
        return take_down();
    }
    LEAVING.store(true, Ordering::SeqCst);
    let mut entered = lock();
    if std::mem::take(&mut *entered) {
        take_down();
    }
}

fn take_down() {
    // Each step on its own: one that fails must not keep the others from being taken.
    let mut out = io::stdout();
    let _ = execute!(out, Clear(ClearType::All));
    let _ = execute!(out, DisableFocusChange, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = terminal::disable_raw_mode();
}

fn leave_on_panic() {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
    });
}
