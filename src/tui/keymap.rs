//! The one key table: it dispatches, draws the footer and fills the help.

use std::fmt;

use crokey::{KeyCombination, OneToThree};
use crossterm::event::{KeyCode, KeyModifiers};
use serde::Deserialize;

/// Where keys act. A screen with several parts has a place for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    Everywhere,
    SignIn,
    /// The box.
    Find,
    /// The list below the box.
    Matches,
    Duplicates,
    Claim,
    How,
    Ticket,
    Reasons,
    /// The call while the key is asked for, concealed aside, or dropped.
    Read,
    Stage,
    Concealed,
    Close,
    Debts,
    /// The reason for waiving a debt.
    Waive,
    /// How somebody knows that a key was replaced.
    Confirm,
    /// One debt and its steps.
    Debt,
    Calls,
    Permissions,
    Profiles,
    Audit,
    Help,
    Runbook,
    Stop,
    Quit,
    Small,
}

impl Place {
    /// Whether printable characters belong to a text here.
    pub fn is_field(self) -> bool {
        matches!(self, Self::Find | Self::Claim | Self::Ticket | Self::Waive | Self::Confirm)
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    GoOn,
    NextPart,
    Back,
    Up,
    Down,
    PageUp,
    PageDown,
    /// The top of a list, and its end.
    First,
    Last,
    /// The n-th of a list, 1 to 9.
    #[serde(skip)]
    Number(usize),
    /// In the table: the keys 1 to 9.
    Choose,
    Help,
    Debts,
    Calls,
    Park,
    LookAgain,
    Permissions,
    Profiles,
    /// What Entra recorded.
    Audit,
    Runbook,
    Quit,
    Verified,
    NotVerified,
    NextBlock,
    BlockBefore,
    Conceal,
    InWindows,
    /// The wrong person heard it.
    WrongPerson,
    Copy,
    /// The failed request as one line for Microsoft.
    CopyReport,
    /// The other way of signing in.
    OtherWay,
    /// Consent to everything at once.
    AskForEverything,
    /// Consent to reading Entra's log.
    AskForAudit,
    /// One's own reads, or everyone's.
    Whose,
    SignOut,
    TryAgain,
    Hold,
    Waive,
    Evidence,
    Confirm,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Binding {
    key: Keys,
    pub action: Action,
    pub help: String,
    /// Whether the help lists it.
    pub listed: bool,
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    One(KeyCombination),
    /// The digits from 1 to this one.
    Digits(char),
}

/// The table.
#[derive(Clone, Debug)]
pub struct Keymap {
    bindings: Vec<Binding>,
}

/// Why the table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    #[error("keymap.toml: {0}")]
    Toml(String),
    #[error("keymap.toml: {0} is no key")]
    Key(String),
    #[error("keymap.toml: {key} means two things in {place:?}")]
    Twice { key: String, place: Place },
    #[error("keymap.toml: {key} is a character, and {place:?} is a field")]
    InField { key: String, place: Place },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    keys: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    does: Action,
    help: String,
    #[serde(default = "listed")]
    listed: bool,
    #[serde(rename = "where")]
    places: Vec<Place>,
}

fn listed() -> bool {
    true
}

impl Keymap {
    /// The table that ships inside the program.
    pub fn shipped() -> Result<Self, KeymapError> {
        Self::read(include_str!("../../assets/keymap.toml"))
    }

    pub fn read(text: &str) -> Result<Self, KeymapError> {
        let table: Table = toml::from_str(text).map_err(|error| KeymapError::Toml(error.to_string()))?;
        let bindings = table.keys.into_iter().map(Binding::read).collect::<Result<Vec<_>, _>>()?;
        let map = Self { bindings };
        map.refuse_ambiguity()?;
        Ok(map)
    }

    fn refuse_ambiguity(&self) -> Result<(), KeymapError> {
        for (n, binding) in self.bindings.iter().enumerate() {
            for &place in &binding.places {
                if place.is_field() && binding.is_character() {
                    return Err(KeymapError::InField { key: binding.label(), place });
                }
                let meets = |other: &Binding| {
                    other.key.overlaps(binding.key)
                        && other
                            .places
                            .iter()
                            .any(|&p| p == place || p == Place::Everywhere || place == Place::Everywhere)
                };
                let again = binding.places.iter().filter(|&&p| p == place).count() > 1;
                if again || self.bindings[..n].iter().any(meets) {
                    return Err(KeymapError::Twice { key: binding.label(), place });
                }
            }
        }
        Ok(())
    }

    /// What `key` does in `place`.
    pub fn action(&self, place: Place, key: KeyCombination) -> Option<Action> {
        let key = without_caps_lock(key);
        let binding = self.in_place(place).find(|binding| binding.key.matches(key))?;
        match (binding.action, key.codes) {
            (Action::Choose, OneToThree::One(KeyCode::Char(c))) => {
                c.to_digit(10).and_then(|n| usize::try_from(n).ok()).map(Action::Number)
            }
            (action, _) => Some(action),
        }
    }

    /// How the key that does `action` in `place` is written: "Enter", "F4", "w".
    pub fn label(&self, place: Place, action: Action) -> String {
        self.in_place(place).find(|binding| binding.action == action).map(Binding::label).unwrap_or_default()
    }

    /// The lines of this place alone, for the help.
    pub fn here(&self, place: Place) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(move |binding| binding.places.contains(&place))
    }

    fn in_place(&self, place: Place) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(move |binding| binding.places.iter().any(|&p| p == place || p == Place::Everywhere))
    }
}

impl Binding {
    fn read(line: Line) -> Result<Self, KeymapError> {
        let last = line.key.strip_prefix("1-").and_then(|last| last.parse::<char>().ok());
        let key = match last.filter(|last| ('2'..='9').contains(last)) {
            Some(last) if line.does == Action::Choose => Keys::Digits(last),
            _ => {
                let key = crokey::parse(&line.key).map_err(|_| KeymapError::Key(line.key.clone()))?;
                Keys::One(key.normalized())
            }
        };
        Ok(Self { key, action: line.does, help: line.help, listed: line.listed, places: line.places })
    }

    pub fn label(&self) -> String {
        match self.key {
            Keys::Digits(last) => format!("1-{last}"),
            Keys::One(key) => Label(key).to_string(),
        }
    }

    /// A character that a field would want for its text, or a key that edits one.
    fn is_character(&self) -> bool {
        match self.key {
            Keys::Digits(_) => true,
            Keys::One(key) => {
                let edits = [KeyCode::Backspace, KeyCode::Delete, KeyCode::Left, KeyCode::Right].map(OneToThree::One);
                let plain = key.modifiers.difference(KeyModifiers::SHIFT).is_empty();
                plain && (matches!(key.codes, OneToThree::One(KeyCode::Char(_))) || edits.contains(&key.codes))
            }
        }
    }
}

impl Keys {
    fn matches(self, key: KeyCombination) -> bool {
        match self {
            Self::One(own) => own == key,
            Self::Digits(last) => {
                let digit = matches!(key.codes, OneToThree::One(KeyCode::Char(c)) if ('1'..=last).contains(&c));
                digit && key.modifiers == KeyModifiers::NONE
            }
        }
    }

    fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::Digits(_), Self::Digits(_)) => true,
            (Self::One(a), b) => b.matches(a),
            (Self::Digits(_), Self::One(b)) => self.matches(b),
        }
    }
}

/// A letter is the same command with Caps Lock on.
fn without_caps_lock(key: KeyCombination) -> KeyCombination {
    match (key.codes, key.modifiers) {
        (OneToThree::One(KeyCode::Char(c)), KeyModifiers::SHIFT) if c.is_ascii_uppercase() => {
            KeyCombination::one_key(KeyCode::Char(c.to_ascii_lowercase()), KeyModifiers::NONE)
        }
        _ => key,
    }
}

/// A key as a person reads it.
struct Label(KeyCombination);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OneToThree::One(code) = self.0.codes else { return write!(f, "{}", self.0) };
        if self.0.modifiers.contains(KeyModifiers::CONTROL) {
            f.write_str("Ctrl+")?;
        }
        match code {
            KeyCode::Char(' ') => f.write_str("Space"),
            KeyCode::Char(c) if self.0.modifiers.contains(KeyModifiers::CONTROL) => {
                write!(f, "{}", c.to_ascii_uppercase())
            }
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(n) => write!(f, "F{n}"),
            KeyCode::Up => f.write_str("↑"),
            KeyCode::Down => f.write_str("↓"),
            KeyCode::Esc => f.write_str("Esc"),
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn line(key: &str, does: &str, place: &str) -> String {
        format!("[[keys]]\nkey = \"{key}\"\ndoes = \"{does}\"\nhelp = \"x\"\nwhere = [\"{place}\"]\n")
    }

    #[test]
    fn the_shipped_table_is_sound() {
        let map = Keymap::shipped().unwrap();
        assert_eq!(map.action(Place::Stage, crokey::key!(space)), Some(Action::NextBlock));
        assert_eq!(map.action(Place::How, crokey::key!(3)), Some(Action::Number(3)));
        assert_eq!(map.action(Place::Find, crokey::key!(3)), None);
        assert_eq!(map.action(Place::Stage, crokey::key!(9)), None);
        assert_eq!(map.action(Place::How, crokey::key!(shift - v)), Some(Action::Verified));
    }

    #[test]
    fn a_key_that_means_two_things_in_one_place_is_refused() {
        let twice = line("c", "copy", "close") + &line("c", "waive", "close");
        assert!(matches!(Keymap::read(&twice), Err(KeymapError::Twice { .. })));
        let shadowed = line("f1", "help", "everywhere") + &line("f1", "copy", "close");
        assert!(matches!(Keymap::read(&shadowed), Err(KeymapError::Twice { .. })));
        let digit = line("1-9", "choose", "how") + &line("3", "copy", "how");
        assert!(matches!(Keymap::read(&digit), Err(KeymapError::Twice { .. })));
    }

    #[rstest]
    #[case("v")]
    #[case("space")]
    #[case("backspace")]
    fn a_character_may_not_act_in_a_field(#[case] key: &str) {
        assert!(matches!(Keymap::read(&line(key, "verified", "claim")), Err(KeymapError::InField { .. })));
    }

    #[test]
    fn keys_are_written_as_a_person_reads_them() {
        let map = Keymap::shipped().unwrap();
        assert_eq!(map.label(Place::Find, Action::Quit), "Ctrl+Q");
        assert_eq!(map.label(Place::Stage, Action::NextBlock), "Space");
        assert_eq!(map.label(Place::Reasons, Action::Choose), "1-9");
        assert_eq!(map.label(Place::Find, Action::GoOn), "Enter");
        assert_eq!(map.label(Place::Find, Action::Back), "Esc");
    }
}
