//! Ticket and reason: what is written down before the key is asked for.

use super::super::{
    call_desk::CallDesk,
    canvas::Canvas,
    field::Field,
    footer::Hint,
    keymap::{Action, Place},
    model::Model,
    prompt::{self, Prompt},
    skeleton::{self, Layout},
    theme::Role,
};
use super::{card, read::Disclosing, sign_in};
use crate::domain::{
    call::Call,
    policy::Reason,
    ticket::{Ticket, TicketError, TicketRule},
    work::{Kind, Request, disclose},
};

#[derive(Debug, Default)]
pub struct TicketForm {
    pub field: Field,
    part: Part,
    /// The chosen reason, from 0.
    pub reason: Option<usize>,
    /// What Enter found wrong with the number.
    error: Option<TicketError>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Ticket,
    Reasons,
}

impl TicketForm {
    /// As an earlier part of the call left it.
    pub fn of(call: &Call) -> Self {
        let mut form = Self::default();
        if let Some(ticket) = &call.ticket {
            form.field.set(ticket.as_str());
        }
        form
    }

    pub fn place(&self) -> Place {
        if self.part == Part::Reasons { Place::Reasons } else { Place::Ticket }
    }

    pub fn edited(&mut self) {
        self.error = None;
    }

    fn read(&self, rule: &TicketRule) -> Result<Ticket, TicketError> {
        rule.read(self.field.text())
    }
}

/// The chosen reason, once ticket and reason are both there.
fn complete<'a>(model: &'a Model, desk: &CallDesk) -> Option<(Ticket, &'a Reason)> {
    let ticket = desk.ticket.read(&model.setup.policy.ticket).ok()?;
    let reason = desk.ticket.reason.and_then(|n| model.setup.policy.reasons.get(n))?;
    Some((ticket, reason))
}

pub fn act(model: &mut Model, action: Action) {
    let policy = model.policy();
    let deliberate = model.presses.deliberate();
    let reasons = policy.reasons.len();
    let Some(desk) = &mut model.call else { return };
    let form = &mut desk.ticket;
    match (form.part, action) {
        (Part::Ticket, Action::GoOn) => match form.read(&policy.ticket) {
            Ok(_) => form.part = Part::Reasons,
            Err(error) => form.error = Some(error),
        },
        (Part::Ticket, Action::NextPart | Action::Down) => form.part = Part::Reasons,
        (Part::Ticket, Action::Back) if desk.again => {
            desk.again = false;
            desk.failure = None;
        }
        (Part::Reasons, Action::NextPart | Action::Back) => {
            form.part = Part::Ticket;
            desk.failure = None;
        }
        (Part::Reasons, Action::Number(n)) if n <= reasons => {
            form.reason = Some(n - 1);
            desk.failure = None;
        }
        (Part::Reasons, Action::Down) => {
            form.reason = Some(form.reason.map_or(0, |n| (n + 1).min(reasons.saturating_sub(1))));
            desk.failure = None;
        }
        (Part::Reasons, Action::Up) => match form.reason {
            None | Some(0) => {
                form.part = Part::Ticket;
                desk.failure = None;
            }
            Some(n) => form.reason = Some(n - 1),
        },
        (Part::Reasons, Action::GoOn) if deliberate => disclose(model),
        (Part::Reasons, Action::GoOn) if form.reason.is_some() => model.let_go(),
        _ => {}
    }
}

/// Enter on a chosen reason: the one key press that asks for a key.
fn disclose(model: &mut Model) {
    let Some(desk) = &mut model.call else { return };
    if let Err(error) = desk.ticket.read(&model.setup.policy.ticket) {
        desk.ticket.error = Some(error);
        desk.ticket.part = Part::Ticket;
        return;
    }
    let Some(desk) = &model.call else { return };
    let Some((ticket, reason)) = complete(model, desk) else { return };
    let confirmed = desk.failure.as_ref().is_some_and(|failure| failure.kind == Kind::Confirm);
    let (call, key, reason) = (desk.call.id, desk.call.key, reason.id.clone());
    let request =
        disclose::Request { call, key, ticket: ticket.as_str().to_owned(), reason, same_ticket_confirmed: confirmed };
    if sign_in::must_unlock(model) {
        return;
    }
    let ask = model.ask(Request::Disclose(request));
    let by = model.session.technician().map(|technician| technician.id);
    if let Some(desk) = &mut model.call {
        desk.failure = None;
        desk.disclosing = Some(Disclosing::new(ask, by));
    }
}

pub fn view(model: &Model, canvas: &mut Canvas, desk: &CallDesk) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    skeleton::call_title(model, canvas);
    let say = model.session.is_renewing().then_some(model.runbook.aside.sign_in.as_str());
    skeleton::rail(model, canvas, say);
    canvas.within(layout.right, |canvas| {
        number(model, canvas, desk);
        let row = reasons(model, canvas, desk) + 1;
        let row = record(model, canvas, desk, row);
        if let Some(card) = &desk.card {
            card::open(model, canvas, row, card, true, desk.is_unmasked(model.setup.policy.mask_facts));
        }
        prompt::draw(model, canvas, desk.failure.as_ref().map(Prompt::of));
    });
    skeleton::foot(model, canvas, notice(desk), &hints(model, desk));
}

fn number(model: &Model, canvas: &mut Canvas, desk: &CallDesk) {
    let form = &desk.ticket;
    let rule = &model.setup.policy.ticket;
    let focused = form.part == Part::Ticket && !model.session.is_renewing();
    if focused {
        canvas.bar(10, Role::Accent);
    }
    canvas.put(10, 3, if focused { Role::Text } else { Role::Dim }, "Ticket");
    let (typed, cursor) = form.field.shown();
    // The prefix stands there until a letter is typed in its place.
    let filled_in = typed.is_empty() || typed.starts_with(|c: char| c.is_ascii_digit());
    let prefix = if filled_in { rule.prefix.as_str() } else { "" };
    let shown = format!("{prefix}{}", typed.to_uppercase());
    let cursor = cursor + prefix.chars().count();
    let look = if focused { Role::Field } else { Role::Strong };
    canvas.typed(10, 13, 31, look, &shown, focused.then_some(cursor));
    match form.read(rule) {
        Ok(_) => canvas.put(10, 45, Role::Ok, "√ fits the pattern"),
        Err(TicketError::Placeholder(_)) => canvas.put(10, 45, Role::Warn, "× a placeholder"),
        Err(_) => canvas.put(10, 45, Role::Dim, &format!("· like {}", rule.example)),
    };
}

/// Two columns, read downwards.
fn reasons(model: &Model, canvas: &mut Canvas, desk: &CallDesk) -> u16 {
    let form = &desk.ticket;
    let focused = form.part == Part::Reasons && !model.session.is_renewing();
    if focused {
        canvas.bar(12, Role::Accent);
    }
    canvas.put(12, 3, if focused { Role::Text } else { Role::Dim }, "Reason");
    let reasons = &model.setup.policy.reasons;
    let half = reasons.len().div_ceil(2);
    for (n, reason) in reasons.iter().enumerate() {
        let col = if n < half { 13 } else { 45 };
        let row = 12 + u16::try_from(n % half.max(1)).unwrap_or(0);
        let chosen = form.reason == Some(n);
        if chosen {
            canvas.put(row, col - 2, Role::Accent, "►");
        }
        let role = if chosen { Role::Strong } else { Role::Text };
        canvas.put_in(row, col, 29, role, &format!("{} {}", n + 1, reason.label));
    }
    12 + u16::try_from(half).unwrap_or(0)
}

/// What will be written down, once it is all there.
fn record(model: &Model, canvas: &mut Canvas, desk: &CallDesk, row: u16) -> u16 {
    let Some((ticket, reason)) = complete(model, desk) else { return row };
    let who = model.session.technician().map(|technician| technician.short_name().to_string()).unwrap_or_default();
    let how = desk.call.verification.as_ref().map(|v| v.words.clone()).unwrap_or_default();
    let said = format!("{who} reads {}, {ticket}, {}, {how}.", desk.call.key.short(), reason.label);
    canvas.fact(row, "Record", Role::Text, &said);
    canvas.put(row + 1, 13, Role::Text, "Written down before the key is asked for.");
    canvas.fact(row + 2, "Debt", Role::Text, "From then on this key is owed a replacement.");
    row + 4
}

fn notice(desk: &CallDesk) -> Option<(Role, String)> {
    desk.ticket.error.as_ref().map(|error| (Role::Warn, format!("× {error}")))
}

fn hints(model: &Model, desk: &CallDesk) -> Vec<Hint> {
    if model.session.is_renewing() {
        return super::sign_in::hints(model);
    }
    let form = &desk.ticket;
    let mut hints = Vec::new();
    if form.part == Part::Reasons {
        let last = model.setup.policy.reasons.len().min(9);
        let confirm = desk.failure.as_ref().is_some_and(|failure| failure.kind == Kind::Confirm);
        let words = match confirm {
            _ if model.session.is_locked() => "sign in first",
            true => "show the key all the same",
            false => "show the key",
        };
        let no_ticket = form.read(&model.setup.policy.ticket).is_err();
        hints.push(
            model
                .hint(Action::GoOn, words)
                .unless(form.reason.is_none(), "choose a reason")
                .unless(no_ticket, "no ticket"),
        );
        hints.push(model.hint(Action::Choose, "choose").labelled(format!("1-{last}")));
        hints.push(model.hint(Action::Back, "back"));
    } else {
        hints.push(model.hint(Action::GoOn, "reason"));
        hints.push(model.hint(Action::NextPart, "next part"));
        if desk.again {
            hints.push(model.hint(Action::Back, "back"));
        }
    }
    hints.push(model.hint(Action::Park, "park"));
    if Layout::of(model.cols, model.rows).side.is_some() {
        hints.push(model.hint(Action::Runbook, "runbook"));
        hints.push(model.hint(Action::Debts, "debts"));
    }
    hints.push(model.hint(Action::Help, "help"));
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::tests::{Desk, asked, assert_screen, failure};

    fn at_ticket() -> Desk {
        let mut desk = Desk::open();
        desk.reach_ticket();
        desk
    }

    fn is_disclose(request: &Request) -> bool {
        matches!(request, Request::Disclose(_))
    }

    #[test]
    fn the_prefix_stands_there_already() {
        assert_screen!(at_ticket());
    }

    #[test]
    fn a_letter_takes_the_place_of_the_prefix() {
        let mut desk = at_ticket();
        desk.type_text("ch");
        assert!(desk.row(10).contains("Ticket    CH"));
        desk.press("backspace backspace 0");
        assert!(desk.row(10).contains("Ticket    INC0"));
    }

    #[test]
    fn a_placeholder_is_refused_by_name() {
        let mut desk = at_ticket();
        desk.type_text("0000000");
        desk.press("enter");
        assert_screen!(desk);
    }

    #[test]
    fn a_number_that_does_not_fit_says_what_one_looks_like() {
        let mut desk = at_ticket();
        desk.type_text("48213");
        desk.press("enter");
        assert!(desk.row(23).contains("INC48213 does not fit the pattern; a ticket looks like INC0048213."));
    }

    #[test]
    fn ticket_and_reason_say_what_will_be_written_down() {
        let mut desk = Desk::open();
        desk.reach_reason();
        assert_screen!(desk);
    }

    #[test]
    fn enter_asks_for_the_key_only_with_a_chosen_reason() {
        let mut desk = at_ticket();
        desk.type_text("0048213");
        desk.press("enter");
        desk.wait(2000);
        assert!(desk.press("enter").is_empty());
        let effects = desk.press("9 2 enter");
        let [Request::Disclose(disclose), ..] = asked(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!((disclose.reason.as_str(), disclose.same_ticket_confirmed), ("windows-update", false));
    }

    #[test]
    fn enter_held_down_asks_for_nothing() {
        let mut desk = Desk::open();
        desk.reach_reason();
        assert!(desk.repeat("enter").is_empty());
    }

    #[test]
    fn keys_that_come_in_one_burst_read_no_key() {
        let mut desk = at_ticket();
        desk.type_text("0048213");
        let burst = desk.burst("enter enter enter 2 enter enter");
        assert!(!asked(&burst).iter().any(|request| matches!(request, Request::Disclose(_))), "{burst:?}");
        desk.wait(1500);
        assert!(matches!(asked(&desk.press("enter"))[..], [Request::Disclose(_), ..]));
    }

    #[test]
    fn a_ticket_used_for_another_device_wants_a_second_enter() {
        let mut desk = at_ticket();
        desk.type_text("0047790");
        desk.press("enter 2 enter");
        assert_screen!(desk);
        desk.wait(1500);
        let effects = desk.press("enter");
        let [Request::Disclose(disclose), ..] = asked(&effects)[..] else { panic!("{effects:?}") };
        assert!(disclose.same_ticket_confirmed);
    }

    #[test]
    fn another_number_has_to_be_confirmed_anew() {
        let mut desk = at_ticket();
        desk.type_text("0047790");
        desk.press("enter 1 enter up");
        desk.press("backspace 1");
        let effects = desk.press("enter 1 enter");
        let [Request::Disclose(disclose), ..] = asked(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!((disclose.ticket.as_str(), disclose.same_ticket_confirmed), ("INC0047791", false));
    }

    #[test]
    fn an_enter_that_follows_enter_too_soon_is_answered() {
        let mut desk = Desk::open();
        desk.reach_reason();
        desk.press("esc enter enter");
        assert!(desk.row(23).contains("Let go of Enter, then press it once more."));
    }

    #[test]
    fn without_colour_marks_and_words_say_the_same() {
        let mut desk = Desk::open();
        desk.reach_reason();
        desk.model.setup.colours = crate::tui::Colours::Mono;
        assert_screen!(desk);
    }

    #[test]
    fn a_limit_reached_is_a_refusal_over_the_card() {
        let mut desk = Desk::open();
        desk.hold(is_disclose);
        desk.reach_reason();
        desk.press("enter");
        let limit = failure(
            Kind::Refused,
            "You have read 10 keys this hour, the limit. Hand the call over, or wait until 10:12.",
        );
        desk.answer(is_disclose, Err(limit));
        assert_screen!(desk);
    }

    #[test]
    fn a_role_that_may_not_read_says_which_one_may() {
        let mut desk = Desk::open();
        desk.hold(is_disclose);
        desk.reach_reason();
        desk.press("enter");
        let refusal = failure(Kind::Refused, "Your role lists keys but may not read them.")
            .next("Activate Helpdesk Administrator in PIM, then F5; or hand the call over.")
            .with_request_id(Some("5f1c".into()));
        desk.answer(is_disclose, Err(refusal));
        assert_screen!(desk);
    }

    #[test]
    fn at_120_by_40_the_card_stands_open_below() {
        let mut desk = Desk::sized(120, 40);
        desk.reach_ticket();
        desk.type_text("0048213");
        assert_screen!(desk);
    }

    #[test]
    fn at_200_by_60_it_stands_beside() {
        let mut desk = Desk::sized(200, 60);
        desk.reach_reason();
        assert_screen!(desk);
    }
}
