//! One line of text being typed.

use crossterm::event::{KeyCode, KeyModifiers};
use tui_input::{Input, InputRequest};

use super::msg::KeyPress;
use crate::domain::foreign::printable;

/// Longer than any name Entra gives; keeps a stuck key from filling memory.
const LONGEST: usize = 300;

#[derive(Clone, Debug, Default)]
pub struct Field(Input);

impl Field {
    pub fn text(&self) -> &str {
        self.0.value()
    }

    /// In characters from the left.
    pub fn cursor(&self) -> usize {
        self.0.cursor()
    }

    pub fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    pub fn set(&mut self, text: impl Into<String>) {
        self.0 = Input::new(text.into());
    }

    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// Types or edits; says whether the key was one of text.
    pub fn press(&mut self, press: KeyPress) -> Edited {
        let crokey::OneToThree::One(code) = press.key.codes else { return Edited::NotText };
        let ctrl = press.key.modifiers == KeyModifiers::CONTROL;
        let request = match code {
            KeyCode::Char(_) if press.types().is_some() && self.text().len() >= LONGEST => return Edited::Kept,
            KeyCode::Char(c) if press.types().is_some() => InputRequest::InsertChar(c),
            KeyCode::Char('w') if ctrl => InputRequest::DeletePrevWord,
            KeyCode::Char('u') if ctrl => InputRequest::DeleteLine,
            KeyCode::Backspace => InputRequest::DeletePrevChar,
            KeyCode::Delete => InputRequest::DeleteNextChar,
            KeyCode::Left => InputRequest::GoToPrevChar,
            KeyCode::Right => InputRequest::GoToNextChar,
            KeyCode::Home => InputRequest::GoToStart,
            KeyCode::End => InputRequest::GoToEnd,
            _ => return Edited::NotText,
        };
        match self.0.handle(request) {
            Some(changed) if changed.value => Edited::Changed,
            _ => Edited::Kept,
        }
    }

    /// Inserts the first line of a paste, controls left out.
    pub fn paste(&mut self, text: &str) -> Edited {
        let line = text.split(['\r', '\n']).map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let mut changed = Edited::Kept;
        for c in line.chars().filter(|c| !c.is_control()).take(LONGEST.saturating_sub(self.text().len())) {
            self.0.handle(InputRequest::InsertChar(c));
            changed = Edited::Changed;
        }
        changed
    }

    /// What may be drawn, and the cursor's place in it in characters.
    pub fn shown(&self) -> (String, usize) {
        let before: String = self.text().chars().take(self.cursor()).collect();
        (printable(self.text()), printable(&before).chars().count())
    }
}

/// What a key did to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    Changed,
    /// A key of text, with nothing to change: the cursor moved, or the field was empty.
    Kept,
    NotText,
}
