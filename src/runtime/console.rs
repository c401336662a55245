//! The console: a model set up for this desk and this terminal, and the loop around it.

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use crossterm::event::EventStream;

use super::{Ended, RunError, Screen, browser, run};
use crate::{
    config::settings::{self, Theme},
    desk::Desk,
    tui::{Colours, Glyphs, Model, Setup},
};

/// Opens the console on `desk` in this terminal, and returns when it is left.
pub async fn open(desk: Arc<Desk>, look: settings::Screen) -> Result<Ended, RunError> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(RunError::NoTerminal);
    }
    let failed = |e: io::Error| RunError::Terminal(e.to_string());
    let (cols, rows) = crossterm::terminal::size().map_err(failed)?;
    let model = Model::new(setup(&desk, look, cols, rows)).map_err(|e| RunError::Assets(e.to_string()))?;
    let mut screen = Screen::enter().map_err(failed)?;
    run(desk, model, &mut screen, EventStream::new()).await
}

/// How the model is told about this desk.
pub fn setup(desk: &Desk, look: settings::Screen, cols: u16, rows: u16) -> Setup {
    Setup {
        policy: Arc::new(desk.policy.clone()),
        zone: desk.zone.clone(),
        tenant: desk.connection.as_ref().map(|connection| connection.tenant.clone()).unwrap_or_default(),
        profile: profile(desk),
        ways: desk.ways,
        opens_browser: browser::missing().is_none(),
        simulation: desk.is_simulation(),
        demo: desk.is_demo(),
        glyphs: if look.ascii || !is_unicode() { Glyphs::Ascii } else { Glyphs::Unicode },
        colours: match look.theme {
            Theme::Dark => Colours::Dark,
            Theme::Light => Colours::Light,
            Theme::HighContrast => Colours::HighContrast,
            Theme::Mono => Colours::Mono,
        },
        now: desk.clock.moment(),
        cols,
        rows,
    }
}

/// Of several, the number of this desk's profile and its label.
fn profile(desk: &Desk) -> Option<(usize, String)> {
    let at = desk.profiles.iter().position(|profile| profile.name == desk.profile)?;
    (desk.profiles.len() > 1).then(|| (at + 1, desk.profiles[at].label.clone()))
}

/// Whether the locale says that the terminal draws more than ASCII. Windows consoles do.
fn is_unicode() -> bool {
    if cfg!(windows) {
        return true;
    }
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let locale = names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    // No locale at all is a container: its terminals draw UTF-8 all the same.
    locale.is_none_or(|locale| !matches!(locale.as_str(), "C" | "POSIX"))
}
