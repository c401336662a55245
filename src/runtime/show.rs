//! One key on the alternate screen, for the command line.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use crossterm::{
    cursor,
    event::{Event, EventStream, KeyCode, KeyEventKind},
    queue,
    style::Print,
    terminal::{Clear, ClearType},
};
use futures::StreamExt as _;
use tokio::time::{Instant, sleep_until};

use super::{
    Ending,
    terminal::{Up, while_up},
};

/// A key pressed this soon after the digits came, or after the key before it, was on its way already.
const TYPED_AHEAD: Duration = Duration::from_millis(250);
/// After this long a key is meant for the digits, also one that is held down.
const SETTLED: Duration = Duration::from_secs(2);

/// What stands there while nobody looks.
const CONCEALED: [&str; 3] = ["Concealed: this window lost the focus.", "", "Any key shows it again; Esc ends."];

/// Shows `lines` on the alternate screen until a key is pressed, `longest` has passed or the system asks for the end. Conceals them while
/// the window is without the focus: a key shows them again. `Ok(false)` when there is no terminal.
pub async fn show_until_key(lines: &[&str], longest: Duration) -> io::Result<bool> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Ok(false);
    }
    let end = Instant::now() + longest;
    let mut ending = Ending::listen()?;
    let up = Up::enter()?;
    while_up(|| draw(lines))?;
    let mut events = EventStream::new();
    let mut typed_ahead = TypedAhead::begin(Instant::now());
    let mut concealed = false;
    loop {
        let event = tokio::select! {
            biased;
            () = ending.asked() => break,
            () = sleep_until(end) => break,
            event = events.next() => event,
        };
        match event {
            Some(Ok(Event::Key(key))) if key.kind == KeyEventKind::Press => {
                if concealed && key.code != KeyCode::Esc {
                    concealed = false;
                    while_up(|| draw(lines))?;
                    typed_ahead = TypedAhead::begin(Instant::now());
                } else if concealed || !typed_ahead.takes(Instant::now()) {
                    break;
                }
            }
            Some(Ok(Event::FocusLost)) => {
                concealed = true;
                while_up(|| draw(&CONCEALED))?;
            }
            Some(Ok(_)) => {}
            // The terminal is gone.
            Some(Err(_)) | None => break,
        }
    }
    drop(up);
    Ok(true)
}

fn draw(lines: &[&str]) -> io::Result<()> {
    let mut out = io::stdout();
    queue!(out, Clear(ClearType::All))?;
    for (row, line) in (2_u16..).zip(lines) {
        queue!(out, cursor::MoveTo(2, row), Print(line))?;
    }
    out.flush()
}

/// What was typed before the key stood there was not meant for it.
#[derive(Debug)]
struct TypedAhead {
    quiet: Instant,
    settled: Instant,
}

impl TypedAhead {
    fn begin(now: Instant) -> Self {
        Self { quiet: now + TYPED_AHEAD, settled: now + SETTLED }
    }

    /// Whether a key pressed now belongs to what was typed before.
    fn takes(&mut self, now: Instant) -> bool {
        let takes = now < self.quiet.min(self.settled);
        self.quiet = now + TYPED_AHEAD;
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_after_a_quiet_moment_is_meant_for_the_digits() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut typed = TypedAhead::begin(start);
        assert_eq!([at(100), at(300), at(600)].map(|now| typed.takes(now)), [true, true, false]);
    }

    #[test]
    fn a_key_held_down_conceals_all_the_same() {
        let start = Instant::now();
        let mut typed = TypedAhead::begin(start);
        let held = (0..100).map(|n| start + Duration::from_millis(30 * n)).find(|now| !typed.takes(*now)).unwrap();
        assert_eq!(held, start + Duration::from_millis(2010));
    }
}
