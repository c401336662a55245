//! Text by row and column, both counted from 1 as the drawings count them.

use ratatui::{buffer::Buffer, layout::Rect};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;
use zeroize::Zeroizing;

use super::theme::{Colours, Glyphs, Role};
use crate::domain::foreign::printable;

/// Where a screen draws.
#[derive(Debug)]
pub struct Canvas<'a> {
    buffer: &'a mut Buffer,
    colours: Colours,
    glyphs: Glyphs,
    /// The last column a screen may use; the side begins beyond it.
    right: u16,
    cursor: Option<(u16, u16)>,
}

impl<'a> Canvas<'a> {
    pub fn new(buffer: &'a mut Buffer, colours: Colours, glyphs: Glyphs) -> Self {
        let right = buffer.area.width;
        buffer.set_style(buffer.area, colours.style(Role::Text));
        Self { buffer, colours, glyphs, right, cursor: None }
    }

    pub fn cols(&self) -> u16 {
        self.buffer.area.width
    }

    pub fn rows(&self) -> u16 {
        self.buffer.area.height
    }

    pub fn glyphs(&self) -> Glyphs {
        self.glyphs
    }

    pub fn is_ascii(&self) -> bool {
        self.glyphs == Glyphs::Ascii
    }

    pub fn right(&self) -> u16 {
        self.right
    }

    /// The last column of running text: a little before the card's own.
    pub fn edge(&self) -> u16 {
        self.right - if self.right == self.cols() { 3 } else { 1 }
    }

    /// How many columns there are from `col`.
    pub fn room(&self, col: u16) -> usize {
        usize::from((self.right + 1).saturating_sub(col))
    }

    /// Draws with another right edge, then restores it.
    pub fn within(&mut self, right: u16, draw: impl FnOnce(&mut Self)) {
        let narrower = right.min(self.cols());
        let before = std::mem::replace(&mut self.right, narrower);
        draw(self);
        self.right = before;
    }

    /// Puts `text` and returns the column after it. What does not fit is cut with ….
    pub fn put(&mut self, row: u16, col: u16, role: Role, text: &str) -> u16 {
        self.put_in(row, col, self.right.saturating_sub(col.saturating_sub(1)), role, text)
    }

    /// Like [`Self::put`], in at most `width` columns.
    pub fn put_in(&mut self, row: u16, col: u16, width: u16, role: Role, text: &str) -> u16 {
        let room = width.min(self.right.saturating_sub(col.saturating_sub(1)));
        if row == 0 || col == 0 || row > self.rows() || col > self.right || room == 0 {
            return col;
        }
        // The last door to the terminal: whatever a text came from, no control reaches it.
        let shown = self.glyphs.draw(&cut(&printable(text), usize::from(room)));
        self.buffer.set_stringn(col - 1, row - 1, &shown, usize::from(room), self.colours.style(role));
        col + u16::try_from(shown.width()).unwrap_or(room)
    }

    /// Puts a secret without making a copy of it anywhere but in the cells. What is no digit was chosen by whoever wrote it to Entra, and
    /// is written out like any foreign text.
    pub fn secret(&mut self, row: u16, col: u16, width: u16, role: Role, text: &str) {
        if !((1..=self.rows()).contains(&row) && (1..=self.cols()).contains(&col)) {
            return;
        }
        let style = self.colours.style(role);
        let end = (col - 1).saturating_add(width);
        let mut at = col - 1;
        for c in text.chars() {
            let mut own = Zeroizing::new([0; 4]);
            let own = &*c.encode_utf8(&mut *own);
            let written_out = (!c.is_ascii_digit()).then(|| Zeroizing::new(printable(own)));
            let shown = written_out.as_ref().map_or(own, |text| text.as_str());
            (at, _) = self.buffer.set_stringn(at, row - 1, shown, usize::from(end.saturating_sub(at)), style);
        }
    }

    /// Several pieces in a row.
    pub fn line(&mut self, row: u16, col: u16, pieces: &[(Role, &str)]) -> u16 {
        pieces.iter().fold(col, |at, (role, text)| self.put(row, at, *role, text))
    }

    /// A label at column 3 and its value at 13.
    pub fn fact(&mut self, row: u16, label: &str, role: Role, value: &str) -> u16 {
        self.put(row, 3, Role::Dim, label);
        self.put(row, 13, role, value)
    }

    /// Like [`Self::fact`], wrapped over at most `most` rows; returns the row after it.
    pub fn facts(&mut self, row: u16, label: &str, role: Role, value: &str, most: u16) -> u16 {
        self.put(row, 3, Role::Dim, label);
        self.wrapped(row, 13, self.edge(), role, value, most)
    }

    /// Puts `text` at `col`, broken at words before `last` column, over at most `most` rows; returns the row after it.
    pub fn wrapped(&mut self, row: u16, col: u16, last: u16, role: Role, text: &str, most: u16) -> u16 {
        let width = usize::from((last + 1).saturating_sub(col));
        let lines = wrap(text, width);
        let shown = lines.len().min(usize::from(most));
        let mut at = row;
        for (n, line) in lines.iter().take(shown).enumerate() {
            if n + 1 == shown && lines.len() > shown {
                self.put(at, col, role, &cut(&format!("{line} …"), width));
            } else {
                self.put(at, col, role, line);
            }
            at += 1;
        }
        at
    }

    /// The bar that marks the one thing with focus.
    pub fn bar(&mut self, row: u16, role: Role) {
        self.put(row, 1, role, "▌");
    }

    pub fn clear(&mut self, rows: std::ops::RangeInclusive<u16>) {
        let style = self.colours.style(Role::Text);
        let (right, height) = (self.right, self.rows());
        for row in rows.filter(|row| (1..=height).contains(row)) {
            let area = Rect::new(0, row - 1, right, 1);
            for cell in area.positions() {
                self.buffer[cell].reset();
            }
            self.buffer.set_style(area, style);
        }
    }

    /// Puts text being typed with the terminal's cursor in it; returns the column after it.
    pub fn typed(&mut self, row: u16, col: u16, width: u16, role: Role, text: &str, cursor: Option<usize>) -> u16 {
        // A text longer than its room shows its end, where typing happens.
        let mut shown = text;
        let mut dropped = 0;
        while shown.width() > usize::from(width.saturating_sub(1)) {
            let Some(first) = shown.graphemes(true).next() else { break };
            dropped += first.chars().count();
            shown = &shown[first.len()..];
        }
        let after = self.put_in(row, col, width, role, shown);
        if let Some(cursor) = cursor {
            let before: String = shown.chars().take(cursor.saturating_sub(dropped)).collect();
            self.cursor = Some((col - 1 + u16::try_from(before.width()).unwrap_or(0), row - 1));
        }
        after
    }

    /// Where the terminal's cursor goes, counted from 0.
    pub fn cursor(&self) -> Option<(u16, u16)> {
        self.cursor
    }

    /// A region, counted from 1, for a widget of somebody else's.
    pub fn widget(&mut self, row: u16, col: u16, width: u16, height: u16, draw: impl FnOnce(Rect, &mut Buffer)) {
        let area = Rect::new(col - 1, row - 1, width, height).intersection(self.buffer.area);
        draw(area, self.buffer);
    }

    pub fn style(&self, role: Role) -> ratatui::style::Style {
        self.colours.style(role)
    }
}

/// At most `width` columns of `text`; what is cut off leaves ….
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for piece in text.graphemes(true) {
        if used + piece.width() > width.saturating_sub(1) {
            break;
        }
        used += piece.width();
        out.push_str(piece);
    }
    out.push('…');
    out
}

/// `text` in lines of at most `width` columns, broken between words; a longer word is broken anywhere.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let needed = word.width() + usize::from(!line.is_empty());
        if !line.is_empty() && line.width() + needed > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for piece in word.graphemes(true) {
            if line.width() + piece.width() > width && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(piece);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_by_display_width() {
        assert_eq!(cut("HVC-WS-LAB-MICROSCOPE", 18), "HVC-WS-LAB-MICROS…");
        assert_eq!(cut("診察室の端末", 7), "診察室…");
        assert_eq!(cut("short", 5), "short");
    }

    #[test]
    fn no_control_reaches_the_terminal() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 30, 1));
        let mut canvas = Canvas::new(&mut buffer, Colours::Mono, Glyphs::Unicode);
        canvas.put(1, 1, Role::Text, "a\u{1b}[2J\u{202e}b");
        let shown: String = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
        assert_eq!(shown.trim_end(), "a\\u{1b}[2J\\u{202e}b");
    }

    #[test]
    fn no_control_in_a_key_reaches_the_terminal() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 30, 1));
        let mut canvas = Canvas::new(&mut buffer, Colours::Mono, Glyphs::Unicode);
        canvas.secret(1, 2, 20, Role::Secret, "12\u{1b}3\u{202e}4");
        canvas.secret(1, 25, 3, Role::Secret, "567890");
        let shown: String = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
        assert_eq!(shown, " 12\\u{1b}3\\u{202e}4     567   ");
    }

    #[test]
    fn wrapping_breaks_between_words_and_inside_one_that_is_too_long() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("http://127.0.0.1", 6), ["http:/", "/127.0", ".0.1"]);
        assert!(wrap("  ", 5).is_empty());
    }
}
