//! What comes in and what goes out.

use crokey::KeyCombination;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::domain::work::{AskId, Failure, News, Outcome, Progress, Request};

/// One key, pressed. Releases never become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPress {
    pub key: KeyCombination,
    /// Whether the terminal says that the key is being held down. Many terminals cannot tell: see `model::Presses`.
    pub repeat: bool,
}

impl KeyPress {
    /// From a terminal's event; `None` for a release, which Windows sends after every press.
    pub fn read(event: KeyEvent) -> Option<Self> {
        let repeat = match event.kind {
            KeyEventKind::Press => false,
            KeyEventKind::Repeat => true,
            KeyEventKind::Release => return None,
        };
        Some(Self { key: KeyCombination::from(event).normalized(), repeat })
    }
}

impl KeyPress {
    /// The character it types, if it types one. `AltGr` arrives as Ctrl and Alt.
    pub fn types(self) -> Option<char> {
        let crokey::OneToThree::One(KeyCode::Char(c)) = self.key.codes else { return None };
        let altgr = self.key.modifiers.contains(KeyModifiers::CONTROL | KeyModifiers::ALT);
        (altgr || self.key.modifiers.difference(KeyModifiers::SHIFT).is_empty()).then_some(c)
    }
}

/// Everything that can happen to the desk.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one message at a time is moved, never a queue of them in the interface")]
pub enum Msg {
    Key(KeyPress),
    Paste(String),
    /// The terminal window gained (`true`) or lost the focus.
    Focus(bool),
    Resize {
        cols: u16,
        rows: u16,
    },
    /// A deadline passed, see [`super::Model::next_deadline`].
    Tick,
    Progress {
        ask: AskId,
        progress: Progress,
    },
    Answer {
        ask: AskId,
        result: Result<Outcome, Failure>,
    },
    News(News),
}

/// Everything the desk can wish for.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Exactly one [`Msg::Answer`] with this `ask` must follow, unless it is cancelled and a read.
    Ask { ask: AskId, request: Request },
    /// Stop working on `ask`. A request that must finish is answered all the same: cancelled, or with what came first.
    Cancel { ask: AskId },
    /// Nothing that must finish is under way any more.
    Quit,
    /// The same; then the desk of this profile is wanted.
    Switch(String),
}
