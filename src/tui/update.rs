//! The one place where state changes: a message in, effects out.

mod answers;
mod pages;

use super::{
    expire,
    field::Edited,
    keymap::{Action, Place},
    model::Model,
    msg::{Effect, KeyPress, Msg},
    screens::{
        Page, audit, caller, calls, close, debts, duplicates, find, help, permissions, profiles, quit, read, runbook,
        sign_in, stage, stop, ticket,
    },
};
use crate::domain::{moment::Moment, work::Request};

/// Takes one message, at `now`.
pub fn update(model: &mut Model, now: Moment, msg: Msg) -> Vec<Effect> {
    model.now = now;
    expire::run(model);
    match msg {
        Msg::Key(press) => key(model, press),
        Msg::Paste(text) => paste(model, &text),
        Msg::Focus(focused) => {
            model.focused = focused;
            if !focused {
                stage::conceal(model, stage::Why::Focus);
            }
        }
        Msg::Resize { cols, rows } => {
            if (model.cols, model.rows) != (cols, rows) {
                (model.cols, model.rows) = (cols, rows);
                stage::conceal(model, stage::Why::Resize);
            }
        }
        Msg::Tick => {}
        Msg::Progress { ask, progress } => answers::progress(model, ask, progress),
        Msg::Answer { ask, result } => answers::answer(model, ask, result),
        Msg::News(news) => answers::news(model, news),
    }
    quit::settle(model);
    model.take_effects()
}

fn key(model: &mut Model, press: KeyPress) {
    model.presses.press(press.key, press.repeat, model.now);
    model.session.touch(model.now);
    // A key came through: the window has the focus, whatever the terminal told.
    model.focused = true;
    let place = model.place();
    let action = model.keymap.action(place, press.key);
    if is_opening(model, place) && action != Some(Action::Quit) {
        // What is typed now is meant for the next screen.
        return;
    }
    if place.is_field() && typed(model, place, press) {
        return;
    }
    match action {
        Some(action) if pages::act(model, place, action) => {}
        Some(Action::CopyReport) => copy_report(model),
        Some(action) => act(model, place, action),
        None if place == Place::Matches && press.types().is_some() => {
            // In the list a printable character belongs to the box.
            find::back_to_box(model);
            typed(model, Place::Find, press);
        }
        None => {}
    }
}

/// The failed request, as one line for Microsoft.
fn copy_report(model: &mut Model) {
    let line = model.shown_failure().and_then(|failure| failure.report.as_ref()).map(ToString::to_string);
    if let Some(line) = line.filter(|_| model.may_copy()) {
        model.ask(Request::Copy(line));
    }
}

/// The desk opens a call.
fn is_opening(model: &Model, place: Place) -> bool {
    let opens = |request: &Request| matches!(request, Request::OpenCall(_));
    matches!(place, Place::Find | Place::Matches) && model.asks.any(opens)
}

/// Gives a key to the field with the focus; says whether it was one of text.
fn typed(model: &mut Model, place: Place, press: KeyPress) -> bool {
    if place == Place::Find && press.key == crokey::key!(ctrl - u) {
        find::deleted_nothing(model);
    }
    let edited = match place {
        Place::Find => model.find.field.press(press),
        Place::Claim => field_of_call(model, |desk| desk.caller.field().map(|field| field.press(press))),
        Place::Ticket => field_of_call(model, |desk| Some(desk.ticket.field.press(press))),
        Place::Waive | Place::Confirm => match model.pages.last_mut() {
            Some(Page::Debts(page)) => page.field().map_or(Edited::NotText, |field| field.press(press)),
            _ => Edited::NotText,
        },
        _ => Edited::NotText,
    };
    after_edit(model, place, edited);
    edited != Edited::NotText
}

fn field_of_call(model: &mut Model, edit: impl FnOnce(&mut super::call_desk::CallDesk) -> Option<Edited>) -> Edited {
    model.call.as_mut().and_then(edit).unwrap_or(Edited::NotText)
}

fn after_edit(model: &mut Model, place: Place, edited: Edited) {
    if edited != Edited::Changed {
        return;
    }
    match (place, &mut model.call) {
        (Place::Find, _) => find::edited(model),
        (Place::Claim, Some(desk)) => desk.caller.edited(),
        (Place::Ticket, Some(desk)) => {
            desk.ticket.edited();
            // What was to be confirmed was about another number.
            desk.failure = None;
        }
        _ => {}
    }
}

fn paste(model: &mut Model, text: &str) {
    model.session.touch(model.now);
    let place = model.place();
    match place {
        _ if is_opening(model, place) => {}
        Place::Find | Place::Matches => {
            find::back_to_box(model);
            find::paste(model, text);
        }
        Place::Claim => {
            let edited = field_of_call(model, |desk| desk.caller.field().map(|field| field.paste(text)));
            after_edit(model, place, edited);
        }
        Place::Ticket => {
            let edited = field_of_call(model, |desk| Some(desk.ticket.field.paste(text)));
            after_edit(model, place, edited);
        }
        Place::Waive | Place::Confirm => {
            if let Some(Page::Debts(page)) = model.pages.last_mut()
                && let Some(field) = page.field()
            {
                field.paste(text);
            }
        }
        _ => {}
    }
}

fn act(model: &mut Model, place: Place, action: Action) {
    match place {
        Place::SignIn => sign_in::act(model, action),
        Place::Find | Place::Matches => find::act(model, action),
        Place::Duplicates => duplicates::act(model, action),
        Place::Claim | Place::How => caller::act(model, action),
        Place::Ticket | Place::Reasons => ticket::act(model, action),
        Place::Read => read::act(model, action),
        Place::Stage | Place::Concealed => stage::act(model, action),
        Place::Close => close::act(model, action),
        Place::Debts | Place::Debt | Place::Waive | Place::Confirm => debts::act(model, action),
        Place::Calls => calls::act(model, action),
        Place::Permissions => permissions::act(model, action),
        Place::Profiles => profiles::act(model, action),
        Place::Audit => audit::act(model, action),
        Place::Help => help::act(model, action),
        Place::Runbook => runbook::act(model, action),
        Place::Stop => stop::act(model, action),
        Place::Quit => quit::act(model, action),
        Place::Small | Place::Everywhere => {}
    }
}

/// F4: puts the call aside, after what is under way has stopped.
pub(super) fn park(model: &mut Model) {
    model.stop = None;
    let Some(desk) = &model.call else { return };
    if desk.disclosing.is_some() {
        read::stop_waiting(model, true);
    } else {
        read::park(model);
    }
}
