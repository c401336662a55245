//! The first screen: the code and where to type it, the page in the browser, why it failed, or whose name came.

use unicode_width::UnicodeWidthStr;

use super::{
    super::super::{
        canvas::{Canvas, wrap},
        keymap::Action,
        model::Model,
        skeleton,
        theme::{Glyphs, Role},
    },
    State,
    code::{big_code, code_fits, draw_qr, qr_of, spoken_address},
    hints,
};
use crate::domain::{
    age,
    foreign::printable,
    moment::Deadline,
    work::{
        Failure,
        sign_in::{AnotherName, BrowserPage, DeviceCode, Way},
    },
};

/// Where the countdown stands, and what was left from before.
const WAITING: u16 = 18;
const BEFORE: u16 = 21;

pub fn view(model: &Model, canvas: &mut Canvas) {
    skeleton::status(model, canvas);
    let big = model.session.code().is_some_and(|code| code_fits(canvas, &code.user_code));
    let qr = model.session.code().and_then(|code| qr_of(&code.address)).filter(|_| canvas.glyphs() == Glyphs::Unicode);
    let qr = qr.filter(|_| big);
    if let Some(code) = model.session.code() {
        let shown = printable(&code.user_code);
        if big {
            big_code(canvas, &shown);
        } else {
            let spaced: Vec<String> = shown.chars().map(String::from).collect();
            canvas.put(4, 3, Role::Secret, &spaced.join(" "));
        }
    }
    let col = if let Some(qr) = qr {
        draw_qr(canvas, qr);
        39
    } else {
        3
    };
    body(model, canvas, col);
    skeleton::foot_from(model, canvas, col, None, &hints(model));
}

fn body(model: &Model, canvas: &mut Canvas, col: u16) {
    let spinner = model.spinner();
    let mut room_below = true;
    canvas.put(8, col, Role::Strong, &format!("Sign in to {}", model.session.tenant_name()));
    match &model.session.state {
        State::Code { code, until } => instructions(model, canvas, col, code, *until, col > 3),
        State::Page { page, until, shut: None } => page_open(model, canvas, page, *until),
        State::Page { page, until, shut: Some(why) } => {
            page_shut(model, canvas, page, *until, why);
            room_below = false;
        }
        State::Another(another) => name(canvas, another),
        State::Failed(failure) => failed(model, canvas, failure),
        State::Starting if model.session.way == Way::Browser => {
            canvas.put(10, col, Role::Text, &format!("{spinner} Asking Entra for the page"));
        }
        State::Starting => {
            canvas.put(10, col, Role::Text, &format!("{spinner} Asking Entra for a code"));
        }
        State::Resuming => {
            canvas.put(10, col, Role::Text, &format!("{spinner} Looking for the session of last time"));
        }
        State::Settling => {
            canvas.put(10, col, Role::Text, &format!("{spinner} One moment"));
        }
        State::Idle => {
            canvas.put(10, col, Role::Text, "Nobody is signed in. What is owed stays on record, and is followed again");
            canvas.put(11, col, Role::Text, "as soon as somebody is.");
        }
    }
    if room_below && (!model.debts.is_empty() || !model.calls.is_empty()) {
        left_from_before(model, canvas, col);
    }
}

fn instructions(model: &Model, canvas: &mut Canvas, col: u16, code: &DeviceCode, until: Deadline, qr: bool) {
    let address = spoken_address(&code.address);
    let room = usize::from((canvas.right() + 1).saturating_sub(col + 3));
    let mut row = 10;
    canvas.put(row, col, Role::Accent, "1");
    if "Open ".len() + address.width() <= room {
        canvas.line(row, col + 3, &[(Role::Text, "Open "), (Role::Strong, &address)]);
    } else {
        // Never cut: it has to be typed.
        canvas.put(row, col + 3, Role::Text, "Open");
        for line in wrap(&address, room) {
            row += 1;
            canvas.put(row, col + 3, Role::Strong, &line);
        }
    }
    let opens = if qr { "Enter opens it here, the QR on a phone" } else { "Enter opens it here" };
    canvas.put(row + 1, col + 3, Role::Text, opens);
    canvas.put(row + 2, col, Role::Accent, "2");
    let shown = printable(&code.user_code);
    canvas.line(
        row + 2,
        col + 3,
        &[(Role::Text, "Type "), (Role::Strong, &shown), (Role::Text, " and sign in as yourself")],
    );
    canvas.put(row + 4, col, Role::Warn, "Approve only the code on this screen,");
    canvas.put(row + 5, col, Role::Warn, "never one that somebody reads to you.");
    waiting(model, canvas, WAITING, col, until, "This code has run out. Entra is being asked.");
    if model.setup.demo {
        canvas.put(19, col + 2, Role::Dim, "The demo tenant approves by itself.");
    }
}

fn page_open(model: &Model, canvas: &mut Canvas, page: &BrowserPage, until: Deadline) {
    canvas.put(10, 3, Role::Accent, "1");
    let host = host_of(&page.address);
    canvas.line(
        10,
        6,
        &[(Role::Text, "A page of "), (Role::Strong, &host), (Role::Text, " has opened in your browser")],
    );
    canvas.put(11, 6, Role::Text, "Enter opens it again");
    canvas.put(12, 3, Role::Accent, "2");
    canvas.put(12, 6, Role::Text, "Sign in there as yourself, then come back here");
    canvas.put(14, 3, Role::Warn, "Sign in on that page only,");
    canvas.put(15, 3, Role::Warn, "never on one that somebody sends you.");
    waiting(model, canvas, WAITING, 3, until, "This page has run out. Enter asks for another.");
}

/// The address stands there whole, over as many rows as it takes.
fn page_shut(model: &Model, canvas: &mut Canvas, page: &BrowserPage, until: Deadline, why: &str) {
    canvas.wrapped(9, 3, canvas.edge(), Role::Warn, &format!("× {}", printable(why)), 1);
    canvas.put(10, 3, Role::Text, "Open this address on this machine: its answer comes back here, not to a phone.");
    let address = wrap(&printable(&page.address), canvas.room(3).saturating_sub(2));
    // The longest that Entra was asked with takes eleven rows.
    let first = if address.len() > 10 { 11 } else { 12 };
    for (row, line) in (first..).zip(&address) {
        canvas.put(row, 3, Role::Strong, line);
    }
    waiting(model, canvas, canvas.rows() - 2, 3, until, "This page has run out. Enter asks for another.");
}

fn host_of(address: &str) -> String {
    let after = address.split("://").nth(1).unwrap_or(address);
    printable(after.split(['/', '?']).next().unwrap_or(after))
}

fn waiting(model: &Model, canvas: &mut Canvas, row: u16, col: u16, until: Deadline, over: &str) {
    let left = until.left(model.now);
    if left.is_zero() {
        canvas.put(row, col, Role::Warn, over);
    } else {
        let waiting = format!("{} Waiting for Entra, {} left", model.spinner(), age::countdown(left));
        canvas.put(row, col, Role::Text, &waiting);
    }
}

fn name(canvas: &mut Canvas, another: &AnotherName) {
    let AnotherName { now, before } = another;
    canvas.bar(10, Role::Warn);
    canvas.bar(11, Role::Warn);
    canvas.line(
        10,
        3,
        &[(Role::Text, "Signed in as "), (Role::Strong, &format!("{}, {}", now.name, now.upn)), (Role::Text, ".")],
    );
    canvas.line(
        11,
        3,
        &[
            (Role::Text, "Last time it was "),
            (Role::Strong, &format!("{}, {}", before.name, before.upn)),
            (Role::Text, "."),
        ],
    );
    canvas.put(13, 3, Role::Text, "Is that you? Then Enter goes on: all that is done here is recorded under");
    canvas.put(14, 3, Role::Text, "that name. Otherwise Esc signs that account out, and nothing is recorded.");
}

fn failed(model: &Model, canvas: &mut Canvas, failure: &Failure) {
    let mut row = canvas.wrapped(10, 3, 76, Role::Warn, &format!("× {}", failure.happened), 4);
    if !failure.means.is_empty() {
        row = canvas.wrapped(row, 3, 76, Role::Text, &failure.means, 4);
    }
    if !failure.next.is_empty() {
        // The key of the way that may succeed stands before it.
        let col = match model.session.instead() {
            Some(_) => canvas.put(row, 3, Role::Accent, &model.keymap.label(model.place(), Action::OtherWay)) + 2,
            None => 3,
        };
        row = canvas.wrapped(row, col, 76, Role::Text, &failure.next, 4);
    }
    if let Some(id) = &failure.request_id {
        canvas.put(row + 1, 3, Role::Dim, &format!("Request {}", printable(id)));
    }
}

fn left_from_before(model: &Model, canvas: &mut Canvas, col: u16) {
    let calls = match model.calls.len() {
        0 => None,
        n => Some(age::count(n, "call")),
    };
    let debts = match model.debts.iter().filter(|debt| debt.is_open()).count() {
        0 => None,
        n => Some(age::count(n, "debt")),
    };
    let what: Vec<String> = calls.into_iter().chain(debts).collect();
    if !what.is_empty() {
        canvas.put(BEFORE, col, Role::Text, &format!("From before: {} open.", what.join(" and ")));
    }
}
