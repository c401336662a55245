//! Calls (F3): parked, or left behind when a desk ended.

use super::{
    super::{
        call_desk::waits_for,
        canvas::Canvas,
        footer::Hint,
        keymap::Action,
        model::Model,
        skeleton::{self, Layout},
        theme::Role,
    },
    Page,
    card::{self, Window},
};
use crate::domain::{
    age,
    call::Call,
    evidence::Subject,
    moment::since,
    work::{Failure, Request, call::Resume},
};

#[derive(Debug, Default)]
pub struct CallsPage {
    at: usize,
    failure: Option<Failure>,
}

impl CallsPage {
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    pub fn failed(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }
}

/// Why no call can be resumed now.
fn why_not(model: &Model) -> Option<String> {
    match &model.call {
        Some(desk) => Some(format!("call {} is open", desk.call.number)),
        None if !model.session.is_known() => Some("signed out".into()),
        None if model.calls.is_empty() => Some("none".into()),
        None => None,
    }
}

pub fn act(model: &mut Model, action: Action) {
    let count = model.calls.len();
    let open = why_not(model).is_none();
    let Some(Page::Calls(page)) = model.pages.last_mut() else { return };
    page.failure = None;
    match action {
        Action::Up => page.at = page.at.saturating_sub(1),
        Action::Down => page.at = (page.at + 1).min(count.saturating_sub(1)),
        Action::Number(n) if n <= count => page.at = n - 1,
        moves if let Some(line) = card::moved(moves, page.at, count.saturating_sub(1)) => page.at = line,
        Action::GoOn if open => {
            let at = page.at.min(count - 1);
            let call = model.calls[at].id;
            if !model.asks.any(|request| matches!(request, Request::ResumeCall(_))) {
                model.ask(Request::ResumeCall(Resume { call }));
            }
        }
        Action::Evidence if count > 0 => {
            let call = model.calls[page.at.min(count - 1)].id;
            super::evidence::ask(model, Subject::Call(call));
        }
        Action::Back => {
            model.pages.pop();
        }
        _ => {}
    }
}

pub fn view(model: &Model, canvas: &mut Canvas, page: &CallsPage) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    let summary = match model.calls.len() {
        0 => "No other call is open.".to_owned(),
        n => format!("{} to go on with.", age::count(n, "call")),
    };
    skeleton::title(canvas, "Calls", &summary);
    if !model.calls.is_empty() {
        canvas.within(layout.right, |canvas| table(model, canvas, page, layout));
    }
    let notice = page.failure.as_ref().map(|failure| (Role::Warn, format!("× {failure}")));
    skeleton::foot(model, canvas, notice, &hints(model));
}

fn table(model: &Model, canvas: &mut Canvas, page: &CallsPage, layout: Layout) {
    for (col, word) in [(5, "Call"), (13, "Device"), (29, "Ticket"), (43, "Since"), (51, "Waits")] {
        canvas.put(7, col, Role::Dim, word);
    }
    let at = page.at.min(model.calls.len() - 1);
    let window = Window { focus: Some(at), at, most: usize::from(layout.last - 7) };
    for (n, row) in window.lines(model.calls.len()).zip(8..) {
        if n == at {
            canvas.bar(row, Role::Accent);
        }
        entry(model, canvas, row, n, &model.calls[n]);
    }
}

fn entry(model: &Model, canvas: &mut Canvas, row: u16, n: usize, call: &Call) {
    canvas.put(row, 3, Role::Text, &(n + 1).to_string());
    canvas.put(row, 5 + u16::from(n >= 9), Role::Strong, &call.number.to_string());
    let ticket = call.ticket.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string);
    canvas.put_in(row, 29, 13, Role::Text, &ticket);
    canvas.put_in(row, 43, 7, Role::Text, &age::coarse(since(call.opened, model.now.wall)));
    let after = canvas.put(row, 51, Role::Text, waits_for(call));
    if call.device_name.is_right_to_left() {
        canvas.put(row, after + 2, Role::Text, &call.device_name.to_string());
    } else {
        canvas.put_in(row, 13, 15, Role::Text, &call.device_name.to_string());
    }
}

fn hints(model: &Model) -> Vec<Hint> {
    let why = why_not(model);
    let count = model.calls.len();
    let mut hints =
        vec![model.hint(Action::GoOn, "go on with it").unless(why.is_some(), why.clone().unwrap_or_default())];
    if count > 1 {
        hints.push(model.hint(Action::Choose, "choose").labelled(format!("1-{}", count.min(9))));
    }
    if count > 0 {
        hints.push(super::evidence::hint(model));
    }
    hints.push(model.hint(Action::Back, "back"));
    hints.push(model.hint(Action::LookAgain, "look again"));
    hints.push(model.hint(Action::Help, "help"));
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::work::{Kind, call::CaughtUp},
        tui::tests::{Desk, asked, assert_screen, failure},
    };

    fn parked() -> Desk {
        let mut desk = Desk::open();
        desk.reach_ticket();
        desk.press("f4");
        desk
    }

    #[test]
    fn f4_parks_and_f3_lists() {
        let mut desk = parked();
        assert!(desk.row(2).contains("1 parked"));
        desk.press("f3");
        assert_screen!(desk);
    }

    #[test]
    fn enter_goes_on_where_the_call_stood() {
        let mut desk = parked();
        let effects = desk.press("f3 enter");
        let asked = asked(&effects);
        assert!(asked.iter().any(|request| matches!(request, Request::ResumeCall(_))));
        assert!(asked.iter().any(|request| matches!(request, Request::OpenDevice(open) if open.asked.is_some())));
        assert!(desk.shows("fits the pattern") || desk.shows("like INC0048213"));
    }

    #[test]
    fn what_was_typed_in_a_parked_call_is_there_when_it_is_resumed() {
        let mut desk = Desk::in_call();
        desk.type_text("mara voss");
        desk.press("enter f4 f3 enter");
        assert!(desk.row(11).contains("mara voss") && desk.row(11).contains("√ match"), "{:#?}", desk.rows());
        desk.press("tab 1 v");
        desk.type_text("0048213");
        desk.press("enter 2 f4 f3 enter");
        assert!(desk.row(10).contains("INC0048213") && desk.shows("► 2 Windows update"), "{:#?}", desk.rows());
    }

    #[test]
    fn with_a_call_at_the_desk_no_other_is_taken() {
        let mut desk = parked();
        desk.world.card.keys[0] = desk.world.keys[1].key.clone();
        desk.reach_caller();
        assert!(desk.press("f3 enter").iter().all(|effect| !format!("{effect:?}").contains("ResumeCall")));
        assert!(desk.row(24).contains("call 17 is open"));
    }

    #[test]
    fn calls_left_behind_by_an_earlier_desk_show_at_the_start() {
        let mut desk = parked();
        let left = desk.world.calls.clone();
        let mut later = Desk::fresh(false, 80, 24);
        later.world.caught_up = CaughtUp { calls: left, ..CaughtUp::default() };
        later.start();
        assert!(later.shows("Parked    call 17, HVC-LT-0421"));
        desk.press("f3");
    }

    #[test]
    fn without_other_calls_the_page_says_so() {
        let mut desk = Desk::open();
        desk.press("f3");
        assert_screen!(desk);
    }

    #[test]
    fn a_call_that_cannot_be_taken_says_why() {
        let mut desk = parked();
        desk.hold(|request| matches!(request, Request::ResumeCall(_)));
        desk.press("f3 enter");
        let taken = failure(Kind::Refused, "Call 17 is at another desk.");
        desk.answer(|request| matches!(request, Request::ResumeCall(_)), Err(taken));
        assert!(desk.row(23).contains("Call 17 is at another desk."));
    }
}
