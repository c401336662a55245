//! The last row: what Enter does, the keys that matter now, help. A key that can do nothing is dim and says why.

use unicode_width::UnicodeWidthStr;

use super::{canvas::Canvas, keymap::Action, model::Model, theme::Role};

const GAP: usize = 3;

/// One key of the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    label: String,
    words: String,
    why_not: Option<String>,
}

impl Model {
    /// The key that does `action` here, and what it does in words.
    pub(super) fn hint(&self, action: Action, words: &str) -> Hint {
        Hint { label: self.keymap.label(self.place(), action), words: words.to_owned(), why_not: None }
    }
}

impl Hint {
    /// Dim, with the reason in brackets, when `cannot`.
    pub fn unless(mut self, cannot: bool, why: impl Into<String>) -> Self {
        if cannot && self.why_not.is_none() {
            self.why_not = Some(why.into());
        }
        self
    }

    /// Under another label: "1-8", "↑↓".
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    fn width(&self) -> usize {
        let why = self.why_not.as_ref().map_or(0, |why| why.width() + 3);
        self.label.width() + 1 + self.words.width() + why
    }
}

/// Draws `hints` on the last row. The last one, help, always stays; before it, the last ones give way when the row is too narrow.
pub fn draw(canvas: &mut Canvas, hints: &[Hint]) {
    let row = canvas.rows();
    let mut shown: Vec<&Hint> = hints.iter().collect();
    let width = |shown: &[&Hint]| shown.iter().map(|hint| hint.width() + GAP).sum::<usize>();
    while shown.len() > 2 && 2 + width(&shown) - GAP > usize::from(canvas.cols()) {
        shown.remove(shown.len() - 2);
    }
    let mut col = 3;
    for hint in shown {
        let (key, text) = if hint.why_not.is_some() { (Role::Dim, Role::Dim) } else { (Role::Accent, Role::Text) };
        col = canvas.line(row, col, &[(key, &hint.label), (text, " "), (text, &hint.words)]);
        if let Some(why) = &hint.why_not {
            col = canvas.put(row, col, Role::Dim, &format!(" ({why})"));
        }
        col += 3;
    }
}
