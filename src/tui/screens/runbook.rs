//! The runbook (F9): every step, what to say and what to do.

use super::{
    super::{
        canvas::Canvas,
        keymap::Action,
        model::Model,
        skeleton::{self, Layout, mark_of},
        theme::Role,
    },
    Page, card,
};
use crate::runbook::Mark;

#[derive(Clone, Copy, Debug)]
pub struct RunbookPage {
    pub at: usize,
}

pub fn act(model: &mut Model, action: Action) {
    let last = model.runbook.steps.len() - 1;
    let Some(Page::Runbook(page)) = model.pages.last_mut() else { return };
    match action {
        Action::Up => page.at = page.at.saturating_sub(1),
        Action::Down => page.at = (page.at + 1).min(last),
        Action::Number(n) => page.at = (n - 1).min(last),
        moves if let Some(line) = card::moved(moves, page.at, last) => page.at = line,
        Action::Back => {
            model.pages.pop();
        }
        _ => {}
    }
}

pub fn view(model: &Model, canvas: &mut Canvas, page: RunbookPage) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    let walk = model.walk();
    let now = format!("Step {} of {} now.", walk.now() + 1, model.runbook.steps.len());
    skeleton::title(canvas, &model.runbook.title, &now);
    let mut row = 7;
    for (n, (mark, step)) in walk.steps().enumerate() {
        if n == page.at {
            canvas.bar(row, Role::Accent);
        }
        let (sign, role) = mark_of(mark);
        canvas.line(row, 3, &[(role, sign), (Role::Text, " ")]);
        canvas.put(row, 5, Role::Text, &(n + 1).to_string());
        canvas.put(row, 7, if mark == Mark::Now { Role::Strong } else { Role::Text }, &step.title);
        row += 1;
    }
    let step = &model.runbook.steps[page.at.min(model.runbook.steps.len() - 1)];
    canvas.within(layout.right, |canvas| {
        let row = canvas.facts(row + 1, "Say", Role::Strong, &format!("“{}”", step.say), 3);
        canvas.facts(row, "Do", Role::Text, &step.act, 4);
    });
    let hints = [
        model.hint(Action::Down, "move").labelled("↑↓"),
        model.hint(Action::Choose, "choose").labelled(format!("1-{}", model.runbook.steps.len().min(9))),
        model.hint(Action::Back, "back"),
        model.hint(Action::Help, "help"),
    ];
    skeleton::foot(model, canvas, None, &hints);
}

#[cfg(test)]
mod tests {
    use crate::tui::tests::{Desk, assert_screen};

    #[test]
    fn the_runbook_opens_at_the_current_step() {
        let mut desk = Desk::in_call();
        desk.press("f9");
        assert_screen!(desk);
        desk.press("down");
        assert!(desk.shows("Take the number from the ticket"));
        desk.press("7");
        assert!(desk.shows("Copy the note into the ticket"));
    }
}
