//! The console: a model set up for this desk and this terminal, and the loop around it.

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use crossterm::event::EventStream;
use jiff::tz::TimeZone;

use super::{Ended, RunError, Screen, browser, run};
use crate::{
    config::{
        Profile, Settings,
        settings::{self, Theme},
    },
    desk::Desk,
    domain::{connection::Connection, moment::Moment, policy::Policy, work::sign_in::Ways},
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
    let seen = Seen { now: desk.clock.moment(), zone: desk.zone.clone(), demo: desk.is_demo(), look, cols, rows };
    seen.setup(&desk.policy, desk.connection.as_ref(), desk.ways, profile(&desk.profiles, &desk.profile))
}

/// The same where no desk could be opened.
pub(super) fn setup_before(settings: &Settings, demo: bool, now: Moment, cols: u16, rows: u16) -> Setup {
    let seen = Seen { now, zone: TimeZone::system(), demo, look: settings.screen, cols, rows };
    let profile = profile(&settings.profiles, &settings.profile);
    seen.setup(&settings.policy, settings.connection.as_ref(), settings.ways, profile)
}

/// This terminal, at this moment.
struct Seen {
    now: Moment,
    zone: TimeZone,
    demo: bool,
    look: settings::Screen,
    cols: u16,
    rows: u16,
}

impl Seen {
    fn setup(
        self,
        policy: &Policy,
        connection: Option<&Connection>,
        ways: Ways,
        profile: Option<(usize, String)>,
    ) -> Setup {
        Setup {
            policy: Arc::new(policy.clone()),
            zone: self.zone,
            tenant: connection.map(|connection| connection.tenant.clone()).unwrap_or_default(),
            profile,
            ways,
            opens_browser: browser::missing().is_none(),
            simulation: connection.is_some_and(Connection::is_simulation),
            demo: self.demo,
            glyphs: if self.look.ascii || !is_unicode() { Glyphs::Ascii } else { Glyphs::Unicode },
            colours: match self.look.theme {
                Theme::Dark => Colours::Dark,
                Theme::Light => Colours::Light,
                Theme::HighContrast => Colours::HighContrast,
                Theme::Mono => Colours::Mono,
            },
            now: self.now,
            cols: self.cols,
            rows: self.rows,
        }
    }
}

/// Of several, the number of this desk's profile and its label.
fn profile(profiles: &[Profile], own: &str) -> Option<(usize, String)> {
    let at = profiles.iter().position(|profile| profile.name == own)?;
    (profiles.len() > 1).then(|| (at + 1, profiles[at].label.clone()))
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
