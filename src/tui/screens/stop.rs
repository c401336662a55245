//! The red stop: the ledger cannot be written, so no key can be read here.

use super::super::{
    canvas::Canvas,
    keymap::Action,
    model::Model,
    skeleton::{self, Layout},
    theme::Role,
};
use crate::domain::{
    age,
    work::{Failure, Request},
};

const HEADLINE: &str = "The ledger cannot be written. No key can be read here.";

/// What could not be recorded, and why.
#[derive(Debug)]
pub struct Stop {
    pub request: Request,
    pub failure: Failure,
}

impl Stop {
    /// Nothing of the ledger has been read yet: what is owed is not known.
    pub fn knows_nothing(&self) -> bool {
        matches!(self.request, Request::CatchUp)
    }
}

pub fn act(model: &mut Model, action: Action) {
    match action {
        Action::TryAgain => try_again(model),
        Action::Copy => {
            let text = text(model);
            model.ask(Request::Copy(text));
        }
        _ => {}
    }
}

/// Asks again what failed. A disclosure goes back to its reasons: only Enter there asks for a key.
fn try_again(model: &mut Model) {
    let Some(Stop { request, .. }) = model.stop.take() else { return };
    if matches!(request, Request::Disclose(_)) {
        model.toast(Role::Text, "Enter tries again.");
        return;
    }
    let writes_call = !matches!(
        request,
        Request::OpenCall(_) | Request::ResumeCall(_) | Request::SettleDebt(_) | Request::WrongPerson(_)
    );
    let ask = model.ask(request);
    if let Some(desk) = model.call.as_mut().filter(|_| writes_call) {
        desk.writing = Some(ask);
    }
}

/// What to pass on to a colleague: "key 4F2B91C0, HVC-LT-0421, INC0048213, caller called back."
fn facts(model: &Model) -> Option<String> {
    let desk = model.call.as_ref()?;
    let typed = desk.ticket.field.text();
    let ticket = match &desk.call.ticket {
        Some(ticket) => ticket.to_string(),
        None if typed.is_empty() => String::new(),
        None => crate::domain::foreign::printable(&model.setup.policy.ticket.complete(typed)),
    };
    let how = desk.call.verification.as_ref();
    let how = how.map_or_else(|| "not verified".to_owned(), |verification| verification.words.clone());
    let mut parts = vec![format!("key {}", desk.call.key.short()), desk.call.device_name.to_string()];
    if !ticket.is_empty() {
        parts.push(ticket);
    }
    parts.push(format!("caller {how}"));
    Some(format!("{}.", parts.join(", ")))
}

fn means(failure: &Failure) -> &str {
    if failure.means.is_empty() { "No request has left. Entra has recorded no read." } else { &failure.means }
}

fn instruction(model: &Model, failure: &Failure) -> String {
    let next = if failure.next.is_empty() { "Put that right, then t." } else { &failure.next };
    match facts(model) {
        Some(_) if !next.contains("colleague") => format!("{next} Or pass this on to a colleague:"),
        _ => next.to_owned(),
    }
}

fn text(model: &Model) -> String {
    let Some(stop) = &model.stop else { return String::new() };
    let failure = &stop.failure;
    let lines =
        [HEADLINE.to_owned(), failure.happened.clone(), means(failure).to_owned(), facts(model).unwrap_or_default()];
    lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

pub fn view(model: &Model, canvas: &mut Canvas, stop: &Stop) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    skeleton::call_title(model, canvas);
    skeleton::rail(model, canvas, Some(&model.runbook.aside.stopped));
    let width = usize::from(canvas.cols());
    let headline = format!("▌ {:<10}{HEADLINE}", "STOP");
    canvas.put(10, 1, Role::Danger, &format!("{headline:<width$}"));
    canvas.within(layout.right, |canvas| {
        let failure = &stop.failure;
        let mut row = canvas.facts(12, "Why", Role::Text, &failure.happened, 2);
        row = canvas.facts(row, "Means", Role::Text, means(failure), 2);
        row = canvas.facts(row, "Do", Role::Text, &instruction(model, failure), 2);
        if let Some(facts) = facts(model) {
            canvas.put(row, 13, Role::Strong, &facts);
            row += 1;
        }
        if stop.knows_nothing() {
            canvas.fact(
                row + 1,
                "Safe",
                Role::Text,
                "Nothing was changed. What is owed shows once the ledger can be read.",
            );
            return;
        }
        let open = model.debts.iter().filter(|debt| debt.is_open()).count();
        let safe = match open {
            0 => "Nothing is owed.".to_owned(),
            1 => "The 1 debt is intact and still followed.".into(),
            n => format!("The {} are intact and still followed.", age::count(n, "debt")),
        };
        canvas.fact(row + 1, "Safe", Role::Text, &safe);
    });
    let mut hints = vec![model.hint(Action::TryAgain, "try again"), model.hint(Action::Copy, "copy this")];
    if model.call.is_some() {
        hints.push(model.hint(Action::Park, "park"));
    }
    hints.push(model.hint(Action::Quit, "quit"));
    hints.push(model.hint(Action::Help, "help"));
    skeleton::foot(model, canvas, None, &hints);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::work::Kind,
        tui::{
            Effect,
            tests::{Desk, asked, assert_screen, failure},
        },
    };

    fn is_disclose(request: &Request) -> bool {
        matches!(request, Request::Disclose(_))
    }

    fn full_disk() -> Failure {
        failure(Kind::Record, "The disk is full: C:\\ProgramData\\keydesk\\ledger.db (error 112).")
            .next("Free some space, then t.")
    }

    fn stopped() -> Desk {
        let mut desk = Desk::open();
        desk.hold(is_disclose);
        desk.reach_reason();
        desk.press("enter");
        desk.answer(is_disclose, Err(full_disk()));
        desk
    }

    #[test]
    fn a_ledger_that_cannot_be_written_stops_everything() {
        assert_screen!(stopped());
    }

    #[test]
    fn t_goes_back_to_where_enter_asks_for_the_key() {
        let mut desk = stopped();
        assert!(desk.press("t").is_empty());
        assert!(desk.shows("► 2 Windows update"));
        assert!(matches!(asked(&desk.press("enter"))[..], [Request::Disclose(_)]));
    }

    #[test]
    fn a_ledger_that_cannot_be_opened_stops_the_desk_before_anybody_signs_in() {
        let mut desk = Desk::stopped(full_disk());
        assert_screen!(desk);
        let effects = desk.press("t");
        assert!(matches!(asked(&effects)[..], [Request::CatchUp]), "{effects:?}");
        desk.answer(|request| matches!(request, Request::CatchUp), Err(full_disk()));
        assert!(desk.shows("STOP") && desk.shows("The disk is full"), "{:#?}", desk.rows());
        assert_eq!(desk.press("ctrl-q"), [Effect::Quit]);
    }

    #[test]
    fn what_was_left_from_before_and_cannot_be_read_stops_everything() {
        let mut desk = Desk::fresh(false, 80, 24);
        desk.hold(|request| matches!(request, Request::CatchUp)).start();
        desk.answer(|request| matches!(request, Request::CatchUp), Err(full_disk()));
        assert!(desk.shows("STOP"), "{:#?}", desk.rows());
    }

    #[test]
    fn c_copies_what_a_colleague_needs() {
        let mut desk = stopped();
        let effects = desk.press("c");
        let [Request::Copy(text)] = asked(&effects)[..] else { panic!("{effects:?}") };
        assert!(text.contains("key 4F2B91C0, HVC-LT-0421, INC0048213, caller called back."), "{text}");
    }

    #[test]
    fn a_call_that_cannot_be_opened_stops_too_and_t_asks_again() {
        let mut desk = Desk::open();
        desk.hold(|request| matches!(request, Request::OpenCall(_)));
        desk.reach_caller();
        desk.answer(|request| matches!(request, Request::OpenCall(_)), Err(full_disk()));
        assert!(desk.shows("STOP"));
        assert!(matches!(asked(&desk.press("t"))[..], [Request::OpenCall(_)]));
    }
}
