//! A screen as text, with a legend of its styled runs: the text alone prints no style.

use std::fmt::Write as _;

use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};

use super::{super::view, Desk};

/// Snapshots the desk's screen.
macro_rules! assert_screen {
    ($desk:expr) => {
        insta::assert_snapshot!($crate::tui::tests::picture(&$desk))
    };
}
pub(crate) use assert_screen;

pub fn picture(desk: &Desk) -> String {
    let mut terminal = Terminal::new(TestBackend::new(desk.model.cols, desk.model.rows)).unwrap();
    let mut cursor = None;
    terminal.draw(|frame| view(&desk.model, frame)).unwrap();
    if terminal.backend().cursor_visible() {
        let position = terminal.backend().cursor_position();
        cursor = Some((position.x, position.y));
    }
    let buffer = terminal.backend().buffer();
    let mut out = String::new();
    let mut marked = buffer.clone();
    if let Some((x, y)) = cursor
        && let Some(cell) = marked.cell_mut((x, y)).filter(|cell| cell.symbol() == " ")
    {
        cell.set_symbol("_");
    }
    for (y, row) in rows(&marked).into_iter().enumerate() {
        writeln!(out, "{:>2}|{row}", y + 1).unwrap();
    }
    out.push_str("--\n");
    legend(buffer, &mut out);
    out
}

/// The text of every row, blanks at its end left out.
pub fn rows(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    buffer
        .content()
        .chunks(width)
        .map(|cells| {
            let mut row = String::new();
            let mut skip = 0;
            for cell in cells {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                row.push_str(cell.symbol());
                skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            }
            row.trim_end().to_owned()
        })
        .collect()
}

fn legend(buffer: &Buffer, out: &mut String) {
    let width = usize::from(buffer.area.width);
    for (y, cells) in buffer.content().chunks(width).enumerate() {
        let mut x = 0;
        while x < cells.len() {
            let style = name(&cells[x]);
            let end = (x..cells.len()).find(|&at| name(&cells[at]) != style).unwrap_or(cells.len());
            if !style.is_empty() {
                writeln!(out, "row {}, {}-{}: {style}", y + 1, x + 1, end).unwrap();
            }
            x = end;
        }
    }
}

fn name(cell: &Cell) -> String {
    let mut words = Vec::new();
    if cell.fg != Color::Reset {
        words.push(format!("{:?}", cell.fg).to_lowercase());
    }
    if cell.bg != Color::Reset {
        words.push(format!("on {:?}", cell.bg).to_lowercase());
    }
    for (modifier, word) in [
        (Modifier::BOLD, "bold"),
        (Modifier::DIM, "dim"),
        (Modifier::UNDERLINED, "underlined"),
        (Modifier::REVERSED, "reversed"),
    ] {
        if cell.modifier.contains(modifier) {
            words.push(word.into());
        }
    }
    words.join(" ")
}
