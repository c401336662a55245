//! Keys in, effects and screens out: the desk with a small tenant behind it that answers at once, unless a test holds an answer back.

mod chaos;
mod entra;
mod golden_path;
mod notices;
mod screen;
mod world;

use std::{sync::Arc, time::Duration};

use crokey::KeyCombination;
use crossterm::event::KeyCode;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use ratatui::{Terminal, backend::TestBackend};

pub use entra::reconciled;
pub(crate) use screen::{assert_screen, picture};
pub use world::{World, debt, failure, policy};

use super::{Colours, Effect, Glyphs, KeyPress, Model, Msg, Setup, update, view};
use crate::domain::{
    moment::Moment,
    work::{AskId, Failure, News, Outcome, Progress, Request, sign_in::Ways},
};

/// Between two keys of a practised hand.
const BEAT: Duration = Duration::from_millis(300);

pub fn wall() -> Timestamp {
    "2026-11-20T09:41:00Z".parse().unwrap()
}

/// The desk under test.
pub struct Desk {
    pub model: Model,
    pub world: World,
    pub now: Moment,
    /// Effects since the last look.
    pub effects: Vec<Effect>,
    /// Questions not answered yet, the oldest first.
    pub open: Vec<(AskId, Request)>,
    /// Questions of these kinds are not answered by the tenant.
    held: Vec<fn(&Request) -> bool>,
}

impl Desk {
    /// Not started: the first screen.
    pub fn fresh(demo: bool, cols: u16, rows: u16) -> Self {
        let now = Moment { wall: wall(), up: Duration::from_secs(100) };
        let setup = Setup {
            policy: Arc::new(policy()),
            zone: TimeZone::UTC,
            tenant: "Harborview Clinics".into(),
            profile: None,
            ways: Ways::Ask,
            opens_browser: true,
            demo,
            simulation: demo,
            glyphs: Glyphs::Unicode,
            colours: Colours::Dark,
            now,
            cols,
            rows,
        };
        Self::with(setup)
    }

    pub fn with(setup: Setup) -> Self {
        let now = setup.now;
        let world = World::new(now.wall);
        let model = Model::new(setup).unwrap();
        Self { model, world, now, effects: Vec::new(), open: Vec::new(), held: Vec::new() }
    }

    /// No desk could be opened.
    pub fn stopped(failure: Failure) -> Self {
        let mut desk = Self::fresh(false, 80, 24);
        desk.model = Model::stopped(desk.model.setup.clone(), failure).unwrap();
        desk.hold(|_| true);
        desk
    }

    pub fn start(&mut self) -> &mut Self {
        let effects = self.model.start();
        self.take(effects);
        self.serve();
        self
    }

    /// Signed in, at 80×24.
    pub fn open() -> Self {
        Self::sized(80, 24)
    }

    pub fn sized(cols: u16, rows: u16) -> Self {
        let mut desk = Self::fresh(false, cols, rows);
        desk.start();
        desk.wait(7000);
        desk
    }

    pub fn demo() -> Self {
        let mut desk = Self::fresh(true, 80, 24);
        desk.start();
        desk.wait(7000);
        desk
    }

    /// On the caller's screen of call 17.
    pub fn in_call() -> Self {
        let mut desk = Self::open();
        desk.reach_caller();
        desk
    }

    pub fn reach_caller(&mut self) -> &mut Self {
        self.type_text("4F2B91C0");
        self.wait(200);
        self.press("enter");
        self
    }

    /// The caller is verified.
    pub fn reach_ticket(&mut self) -> &mut Self {
        self.reach_caller();
        self.type_text("mara voss");
        self.press("enter tab 1 v");
        self
    }

    /// Ticket typed and reason chosen: one Enter from the key.
    pub fn reach_reason(&mut self) -> &mut Self {
        self.reach_ticket();
        self.type_text("0048213");
        self.press("enter 2");
        self
    }

    pub fn reach_stage(&mut self) -> &mut Self {
        self.reach_reason();
        self.press("enter");
        self
    }

    /// Keys by name, a beat apart: "4 F 2 B enter".
    pub fn press(&mut self, keys: &str) -> Vec<Effect> {
        self.effects.clear();
        for name in keys.split_whitespace() {
            let key = crokey::parse(name).unwrap().normalized();
            let key = if name.chars().count() == 1 { letter(name.chars().next().unwrap()) } else { key };
            self.key(key, false);
        }
        std::mem::take(&mut self.effects)
    }

    /// Keys that were typed ahead and arrive all at once.
    pub fn burst(&mut self, keys: &str) -> Vec<Effect> {
        self.effects.clear();
        for name in keys.split_whitespace() {
            let key = crokey::parse(name).unwrap().normalized();
            let key = if name.chars().count() == 1 { letter(name.chars().next().unwrap()) } else { key };
            self.send(Msg::Key(KeyPress { key, repeat: false }));
        }
        std::mem::take(&mut self.effects)
    }

    /// The terminal says that the key is held down.
    pub fn repeat(&mut self, name: &str) -> Vec<Effect> {
        self.effects.clear();
        self.key(crokey::parse(name).unwrap().normalized(), true);
        std::mem::take(&mut self.effects)
    }

    fn key(&mut self, key: KeyCombination, repeat: bool) {
        self.pass(BEAT);
        self.send(Msg::Key(KeyPress { key, repeat }));
    }

    pub fn type_text(&mut self, text: &str) -> Vec<Effect> {
        self.effects.clear();
        for c in text.chars() {
            self.key(letter(c), false);
        }
        std::mem::take(&mut self.effects)
    }

    pub fn send(&mut self, msg: Msg) {
        let effects = update(&mut self.model, self.now, msg);
        self.take(effects);
        self.serve();
    }

    pub fn pass(&mut self, by: Duration) {
        self.now = Moment { wall: self.now.wall + SignedDuration::try_from(by).unwrap(), up: self.now.up + by };
        self.world.now = self.now.wall;
    }

    /// Lets time pass, ticking as the runtime would.
    pub fn wait(&mut self, millis: u64) -> &mut Self {
        let mut left = Duration::from_millis(millis);
        while !left.is_zero() {
            let next = self.model.next_deadline(self.now).map_or(left, |deadline| deadline.left(self.now));
            let step = next.clamp(Duration::from_millis(1), left.max(Duration::from_millis(1)));
            self.pass(step);
            left = left.saturating_sub(step);
            self.send(Msg::Tick);
        }
        self
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in &effects {
            match effect {
                Effect::Ask { ask, request } => self.open.push((*ask, request.clone())),
                // A read that is cancelled is never answered.
                Effect::Cancel { ask } => self.open.retain(|(open, request)| open != ask || request.must_finish()),
                Effect::Quit | Effect::Switch(_) => {}
            }
        }
        self.effects.extend(effects);
    }

    /// Holds back every answer to questions of this kind.
    pub fn hold(&mut self, kind: fn(&Request) -> bool) -> &mut Self {
        self.held.push(kind);
        self
    }

    pub fn release(&mut self) -> &mut Self {
        self.held.clear();
        self.serve();
        self
    }

    fn serve(&mut self) {
        while let Some(at) = self.open.iter().position(|(_, request)| !self.held.iter().any(|held| held(request))) {
            let (ask, request) = self.open.remove(at);
            let result = self.world.answer(&request);
            let effects = update(&mut self.model, self.now, Msg::Answer { ask, result });
            self.take(effects);
        }
    }

    /// The newest open question of this kind.
    pub fn ask(&self, kind: fn(&Request) -> bool) -> AskId {
        self.open.iter().rev().find(|(_, request)| kind(request)).expect("such a question is open").0
    }

    pub fn answer(&mut self, kind: fn(&Request) -> bool, result: Result<Outcome, Failure>) -> &mut Self {
        let ask = self.ask(kind);
        self.open.retain(|(open, _)| *open != ask);
        self.send(Msg::Answer { ask, result });
        self
    }

    pub fn progress(&mut self, kind: fn(&Request) -> bool, progress: Progress) -> &mut Self {
        let ask = self.ask(kind);
        self.send(Msg::Progress { ask, progress });
        self
    }

    pub fn news(&mut self, news: News) -> &mut Self {
        self.send(Msg::News(news));
        self
    }

    /// What stands on screen, row by row.
    pub fn rows(&self) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(self.model.cols, self.model.rows)).unwrap();
        terminal.draw(|frame| view(&self.model, frame)).unwrap();
        screen::rows(terminal.backend().buffer())
    }

    pub fn row(&self, row: usize) -> String {
        self.rows()[row - 1].clone()
    }

    pub fn shows(&self, text: &str) -> bool {
        self.rows().iter().any(|row| row.contains(text))
    }
}

fn letter(c: char) -> KeyCombination {
    KeyCombination::from(KeyCode::Char(c)).normalized()
}

/// The requests among effects.
pub fn asked(effects: &[Effect]) -> Vec<&Request> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask { request, .. } => Some(request),
            Effect::Cancel { .. } | Effect::Quit | Effect::Switch(_) => None,
        })
        .collect()
}
