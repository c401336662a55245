//! A window too small to work in says so, at any size.

use super::super::{
    canvas::{Canvas, wrap},
    keymap::Action,
    model::{LEAST_COLS, LEAST_ROWS, Model},
    theme::Role,
};

pub fn view(model: &Model, canvas: &mut Canvas) {
    let (cols, rows) = (canvas.cols(), canvas.rows());
    let margin = if cols >= 40 { 3 } else { 1 };
    let width = usize::from((cols + 1).saturating_sub(margin));
    let size = format!("This window is {cols} × {rows}, keydesk needs {LEAST_COLS} × {LEAST_ROWS}.");
    let kept = if model.call.is_some() { "The call is kept. A shown key is concealed." } else { "Nothing is lost." };
    let quit = format!("{} quit", model.keymap.label(model.place(), Action::Quit));
    let mut paragraphs: Vec<Vec<String>> =
        vec![wrap(&size, width), [wrap("Make it larger, or the letters smaller.", width), wrap(kept, width)].concat()];
    let mut first = 2;
    // The way out is never crowded off the screen.
    let needed = |paragraphs: &[Vec<String>], first: u16| {
        usize::from(first) + paragraphs.iter().map(|p| p.len() + 1).sum::<usize>()
    };
    if needed(&paragraphs, first) > usize::from(rows) {
        paragraphs.truncate(1);
        first = 1;
    }
    let mut row = first;
    for (n, line) in paragraphs.iter().enumerate().flat_map(|(n, p)| p.iter().map(move |line| (n, line))) {
        if n > 0 && row == first + u16::try_from(paragraphs[0].len()).unwrap_or(0) {
            row += 1;
        }
        if row < rows || rows == 1 {
            canvas.put(row, margin, if n == 0 { Role::Strong } else { Role::Text }, line);
        }
        row += 1;
    }
    if rows > 1 {
        canvas.put((row + 1).min(rows), margin, Role::Text, &quit);
    }
}

#[cfg(test)]
mod tests {
    use crate::tui::{
        Effect, Msg,
        tests::{Desk, assert_screen},
    };

    fn shrunk(cols: u16, rows: u16) -> Desk {
        let mut desk = Desk::in_call();
        desk.send(Msg::Resize { cols, rows });
        desk
    }

    #[test]
    fn a_small_window_says_how_large_it_must_be() {
        assert_screen!(shrunk(48, 8));
    }

    #[test]
    fn a_tiny_window_still_says_it_and_how_to_leave() {
        assert_screen!(shrunk(20, 5));
    }

    #[test]
    fn a_window_of_one_row_does_not_panic() {
        for (cols, rows) in [(1, 1), (80, 1), (1, 24), (3, 2)] {
            let mut desk = shrunk(cols, rows);
            desk.rows();
            assert_eq!(desk.press("x enter f2"), []);
        }
    }

    #[test]
    fn in_a_small_window_only_quit_works() {
        let mut desk = shrunk(48, 8);
        assert_eq!(desk.press("enter tab v f2 f4"), []);
        assert_eq!(desk.press("ctrl-q"), [Effect::Quit]);
    }
}
