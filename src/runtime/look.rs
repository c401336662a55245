//! What the terminal says of itself, for whoever checks a desk before a call depends on it.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use crossterm::{
    event::{self, DisableFocusChange, EnableFocusChange, Event},
    execute, style,
    terminal::{self, disable_raw_mode, enable_raw_mode},
};

use crate::domain::work::doctor::{Focus, TerminalSeen};

/// Looks at the terminal on stdout; `None` where stdout is none. Keys typed meanwhile are lost.
pub fn look() -> Option<TerminalSeen> {
    if !io::stdout().is_terminal() {
        return None;
    }
    Some(TerminalSeen {
        size: terminal::size().ok(),
        colours: style::available_color_count(),
        utf8: is_utf8(),
        focus: focus(),
    })
}

/// Windows writes UTF-16 to its console whatever the code page is; elsewhere the locale says so.
fn is_utf8() -> bool {
    let first = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
    let locale = first.into_iter().find(|value| !value.is_empty()).unwrap_or_default().to_ascii_lowercase();
    cfg!(windows) || locale.contains("utf-8") || locale.contains("utf8")
}

fn focus() -> Focus {
    if cfg!(windows) {
        return Focus::Always;
    }
    if !io::stdin().is_terminal() || enable_raw_mode().is_err() {
        return Focus::Silent;
    }
    let told = told_its_state();
    // Each on its own: one that fails must not keep the other from being taken back.
    let _ = execute!(io::stdout(), DisableFocusChange);
    let _ = disable_raw_mode();
    if told { Focus::Told } else { Focus::Silent }
}

/// Many terminals tell their state as soon as they are to report changes of it. The question after that one every terminal answers; where
/// its answer came first, this one says nothing.
fn told_its_state() -> bool {
    if execute!(io::stdout(), EnableFocusChange).is_err() {
        return false;
    }
    let _ = terminal::supports_keyboard_enhancement();
    while event::poll(Duration::ZERO).unwrap_or(false) {
        match event::read() {
            Ok(Event::FocusGained | Event::FocusLost) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}
