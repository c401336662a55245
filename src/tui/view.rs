//! Draws the model.

use ratatui::Frame;

use super::{
    call_desk::Step,
    canvas::Canvas,
    keymap::Place,
    model::{LEAST_COLS, LEAST_ROWS, Model},
    screens::{
        Page, audit, caller, calls, close, debts, duplicates, find, help, permissions, profiles, quit, read, runbook,
        sign_in, small, stage, stop, ticket,
    },
};

/// The whole screen.
pub fn view(model: &Model, frame: &mut Frame) {
    let mut canvas = Canvas::new(frame.buffer_mut(), model.setup.colours, model.setup.glyphs);
    draw(model, &mut canvas);
    let cursor = canvas.cursor();
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

fn draw(model: &Model, canvas: &mut Canvas) {
    let resized = (canvas.cols(), canvas.rows()) != (model.cols, model.rows);
    if model.is_too_small() || canvas.cols() < LEAST_COLS || canvas.rows() < LEAST_ROWS {
        return small::view(model, canvas);
    }
    if resized && model.place() == Place::Stage {
        // The message that conceals is on its way.
        return;
    }
    if let Some(quit) = &model.quit {
        return quit::view(model, canvas, quit);
    }
    match model.pages.last() {
        Some(Page::Duplicates(page)) => return duplicates::view(model, canvas, page),
        Some(Page::Debts(page)) => return debts::view(model, canvas, page),
        Some(Page::Calls(page)) => return calls::view(model, canvas, page),
        Some(Page::Permissions(page)) => return permissions::view(model, canvas, page),
        Some(Page::Profiles(page)) => return profiles::view(model, canvas, page),
        Some(Page::Audit(page)) => return audit::view(model, canvas, page),
        Some(Page::Help) => return help::view(model, canvas),
        Some(Page::Runbook(page)) => return runbook::view(model, canvas, *page),
        None => {}
    }
    if let Some(stop) = &model.stop {
        return stop::view(model, canvas, stop);
    }
    if !model.session.is_known() {
        return sign_in::view(model, canvas);
    }
    let Some(desk) = &model.call else { return find::view(model, canvas) };
    match (desk.step(), desk.stage.as_ref().filter(|stage| stage.is_on())) {
        (Step::Caller, _) => caller::view(model, canvas, desk),
        (Step::Ticket, _) => ticket::view(model, canvas, desk),
        (Step::Read, Some(stage)) => stage::view(model, canvas, stage),
        (Step::Read, None) => read::view(model, canvas, desk),
        (Step::Close, _) => close::view(model, canvas, desk),
    }
}
