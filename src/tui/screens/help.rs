//! Help (F1), from the key table.

use super::super::{
    canvas::Canvas,
    keymap::{Action, Place},
    model::Model,
    skeleton,
    theme::Role,
};

pub fn act(model: &mut Model, action: Action) {
    if action == Action::Back {
        model.pages.pop();
    }
}

pub fn view(model: &Model, canvas: &mut Canvas) {
    let place = model.place_below();
    let on_stage = matches!(place, Place::Stage | Place::Concealed);
    if !on_stage {
        skeleton::status(model, canvas);
    }
    let summary = if on_stage { "The key is concealed while this page is open." } else { "What the keys do." };
    skeleton::title(canvas, &format!("Help: {}", name(place)), summary);
    canvas.put(7, 3, Role::Dim, "Here");
    canvas.put(7, 37, Role::Dim, "Everywhere");
    let listed = |place| model.keymap.here(place).filter(|binding| binding.listed);
    let here: Vec<(String, &str)> =
        listed(if on_stage { Place::Stage } else { place }).map(|b| (b.label(), b.help.as_str())).collect();
    for ((label, help), row) in here.iter().zip(8..) {
        canvas.put(row, 3, Role::Accent, label);
        canvas.put_in(row, 13, 23, Role::Text, help);
    }
    if here.is_empty() {
        let said = if place.is_field() { "characters" } else { "nothing of its own" };
        canvas.put(8, 3, Role::Text, said);
        if place.is_field() {
            canvas.put(8, 14, Role::Text, "go into the field");
        }
    }
    for (binding, row) in listed(Place::Everywhere).zip(8..) {
        canvas.put(row, 37, Role::Accent, &binding.label());
        canvas.put(row, 45, Role::Text, &binding.help);
    }
    if on_stage {
        canvas.put(21, 3, Role::Strong, "Say “four, four”, never “double four”.");
    }
    let hints = [model.hint(Action::Back, "back"), model.hint(Action::Runbook, "runbook")];
    skeleton::foot(model, canvas, None, &hints);
}

fn name(place: Place) -> &'static str {
    match place {
        Place::Everywhere | Place::Help | Place::Small | Place::Quit => "keydesk",
        Place::SignIn => "signing in",
        Place::Find => "the box",
        Place::Matches => "choosing a match",
        Place::Duplicates => "duplicates and history",
        Place::Claim => "what the caller says",
        Place::How => "how the caller was verified",
        Place::Ticket => "ticket",
        Place::Reasons => "reason",
        Place::Read => "the key",
        Place::Stage | Place::Concealed => "reading aloud",
        Place::Close => "closing the call",
        Place::Debts | Place::Debt | Place::Waive | Place::Confirm => "debts",
        Place::Calls => "calls",
        Place::Profiles => "tenants",
        Place::Permissions => "permissions",
        Place::Audit => "audit",
        Place::Runbook => "runbook",
        Place::Stop => "stopped",
    }
}

#[cfg(test)]
mod tests {
    use crate::tui::tests::{Desk, assert_screen};

    #[test]
    fn help_in_the_box() {
        let mut desk = Desk::open();
        desk.press("f1");
        assert_screen!(desk);
    }

    #[test]
    fn help_while_reading_aloud() {
        let mut desk = Desk::open();
        desk.reach_stage();
        desk.press("f1");
        assert_screen!(desk);
    }

    #[test]
    fn help_on_a_page_explains_that_page() {
        let mut desk = Desk::open();
        desk.press("f2 f1");
        assert!(desk.shows("Help: debts") && desk.shows("waive, with a reason"));
        desk.press("esc");
        assert!(desk.shows("Every key read here has been replaced"));
    }
}
