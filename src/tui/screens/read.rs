//! The step in which the key is asked for and read, seen from outside the stage: waiting, put aside, or dropped.

use super::super::{
    call_desk::CallDesk,
    canvas::Canvas,
    footer::Hint,
    keymap::Action,
    model::Model,
    msg::Effect,
    prompt::{self, Prompt},
    skeleton::{self, Layout},
    theme::Role,
};
use super::{card, close, stage};
use crate::domain::{
    age,
    moment::Deadline,
    outbox,
    technician::UserId,
    work::{AskId, Failure, Kind, Request, Waiting, call::InWindows, disclose::Disclosed},
};

/// A key being asked for.
#[derive(Debug)]
pub struct Disclosing {
    pub ask: AskId,
    /// In whose name.
    by: Option<UserId>,
    /// Entra asked us to wait until then.
    pub waiting: Option<Deadline>,
    step: Step,
    /// The technician does not want to wait any more.
    pub stopping: bool,
    /// Park the call once it has stopped.
    pub then_park: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// What can be known without Entra is checked, and the intent written.
    Writing,
    /// It is on disk; the security team's collector has yet to take it.
    Forwarding,
    /// The key request leaves.
    Asking,
}

impl Disclosing {
    pub fn new(ask: AskId, by: Option<UserId>) -> Self {
        Self { ask, by, waiting: None, step: Step::Writing, stopping: false, then_park: false }
    }
}

pub fn forwarding(model: &mut Model) {
    take_step(model, Step::Forwarding);
}

pub fn recorded(model: &mut Model) {
    take_step(model, Step::Asking);
}

fn take_step(model: &mut Model, step: Step) {
    if let Some(disclosing) = model.call.as_mut().and_then(|desk| desk.disclosing.as_mut()) {
        disclosing.step = step;
        disclosing.waiting = None;
    }
}

pub fn waiting(model: &mut Model, ask: AskId, waiting: Waiting) {
    let until = model.now.in_(waiting.for_);
    if let Some(disclosing) = model.call.as_mut().and_then(|desk| desk.disclosing.as_mut())
        && disclosing.ask == ask
    {
        disclosing.waiting = Some(until);
    }
}

/// The one answer to a disclosure.
pub fn answered(model: &mut Model, result: Result<Disclosed, Failure>) {
    let now = model.now.wall;
    let Some(desk) = &mut model.call else { return };
    let Some(disclosing) = desk.disclosing.take() else { return };
    match result {
        Ok(disclosed) => {
            desk.call.disclosed = Some(disclosed.at);
            desk.call.read = true;
            desk.again = false;
            let is_theirs = disclosing.by == model.session.technician().map(|technician| technician.id);
            stage::begin(model, disclosed, disclosing.then_park || !is_theirs);
            if !is_theirs {
                // Read in the name of somebody who is not there any more.
                stage::drop_digits(model);
                let said = "× The key came for somebody else: its digits were dropped. Enter asks anew.";
                model.toast(Role::Warn, said);
            }
            model.ask(Request::Debts);
        }
        Err(failure) => {
            match failure.kind {
                Kind::Uncertain => {
                    // Entra may have recorded a read: the debt stands. Nobody has digits, unless an earlier answer brought them.
                    desk.call.disclosed = desk.call.disclosed.or(Some(now));
                    desk.again = false;
                    desk.failure = Some(failure);
                    model.ask(Request::Debts);
                    return;
                }
                Kind::Cancelled if disclosing.then_park => {
                    park(model);
                    return;
                }
                _ => {}
            }
            desk.failure = Some(failure);
        }
    }
}

/// Stops waiting for Entra. The answer still comes: cancelled, or the key after all.
pub fn stop_waiting(model: &mut Model, then_park: bool) {
    let Some(disclosing) = model.call.as_mut().and_then(|desk| desk.disclosing.as_mut()) else { return };
    disclosing.then_park |= then_park;
    if !std::mem::replace(&mut disclosing.stopping, true) {
        let ask = disclosing.ask;
        model.effects.push(Effect::Cancel { ask });
    }
}

/// Puts the call aside: the digits go first.
pub fn park(model: &mut Model) {
    stage::drop_digits(model);
    let Some(desk) = &model.call else { return };
    if desk.writing.is_some() {
        return;
    }
    let call = desk.call.id;
    let ask = model.ask(Request::ParkCall(crate::domain::work::call::Park { call }));
    if let Some(desk) = &mut model.call {
        desk.writing = Some(ask);
    }
}

/// The caller is in Windows: the digits go, then the rotation.
pub fn in_windows(model: &mut Model) {
    stage::drop_digits(model);
    let Some(desk) = &mut model.call else { return };
    if desk.writing.is_some() || desk.disclosing.is_some() {
        return;
    }
    desk.failure = None;
    let call = desk.call.id;
    let ask = model.ask(Request::InWindows(InWindows { call }));
    if let Some(desk) = &mut model.call {
        desk.writing = Some(ask);
    }
}

pub fn act(model: &mut Model, action: Action) {
    let Some(desk) = &mut model.call else { return };
    if desk.disclosing.is_some() {
        if action == Action::Back {
            stop_waiting(model, false);
        }
        return;
    }
    let can_show = desk.stage.as_ref().is_some_and(stage::Stage::has_digits);
    match action {
        Action::Conceal | Action::GoOn if can_show => stage::show(model),
        Action::GoOn if model.presses.deliberate() && desk.writing.is_none() => {
            desk.again = true;
            desk.failure = None;
        }
        Action::InWindows => in_windows(model),
        Action::WrongPerson => stage::wrong_person(model),
        _ => {}
    }
}

pub fn view(model: &Model, canvas: &mut Canvas, desk: &CallDesk) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    skeleton::call_title(model, canvas);
    let aside = &model.runbook.aside;
    let say = match (&desk.disclosing, model.session.is_renewing()) {
        (_, true) => Some(aside.sign_in.as_str()),
        (Some(_), _) => Some(aside.slow.as_str()),
        (None, false) if !desk.was_read() => Some(aside.no_answer.as_str()),
        (None, false) => None,
    };
    skeleton::rail(model, canvas, say);
    canvas.within(layout.right, |canvas| {
        let row = body(model, canvas, desk);
        if let Some(card) = &desk.card {
            card::open(model, canvas, row, card, true, desk.is_unmasked(model.setup.policy.mask_facts));
        }
        let own = waiting_prompt(model, desk).or_else(|| desk.failure.as_ref().map(Prompt::of));
        prompt::draw(model, canvas, own);
    });
    let notice = desk
        .writing
        .is_some()
        .then(|| (Role::Text, format!("{} Writing it down; a rotation that is due goes out.", model.spinner())));
    skeleton::foot(model, canvas, notice, &hints(model, desk));
}

fn body(model: &Model, canvas: &mut Canvas, desk: &CallDesk) -> u16 {
    let policy = &model.setup.policy;
    let typed = policy.ticket.complete(desk.ticket.field.text());
    let ticket = desk.call.ticket.as_ref().map_or(typed, ToString::to_string);
    canvas.fact(10, "Ticket", Role::Text, &crate::domain::foreign::printable(&ticket));
    let chosen = desk.ticket.reason.and_then(|n| policy.reasons.get(n)).map(|reason| reason.label.clone());
    let reason = chosen.or_else(|| desk.call.reason.clone()).unwrap_or_default();
    canvas.fact(11, "Reason", Role::Text, &reason);
    if desk.disclosing.is_some() {
        return 13;
    }
    if let Some(stage) = desk.stage.as_ref().filter(|stage| stage.has_digits()) {
        let left = age::countdown(stage.drops_at().left(model.now));
        canvas.fact(13, "Key", Role::Strong, &format!("concealed, dropped in {left}. h shows it again."));
        canvas.put(14, 13, Role::Text, "Entra is not asked a second time.");
    } else {
        let said = match &desk.stage {
            Some(_) => "dropped here; to see it again is a new disclosure",
            None if !desk.was_read() => "none came; asking for it again is a new disclosure",
            None => "not here; asking for it again is a new disclosure",
        };
        match close::wrong_person(model, desk) {
            Some(words) => canvas.facts(13, "Key", Role::Danger, words, 2),
            None => canvas.fact(13, "Key", Role::Text, said),
        };
    }
    close::debt(model, canvas, desk, 15) + 1
}

fn waiting_prompt(model: &Model, desk: &CallDesk) -> Option<Prompt> {
    let disclosing = desk.disclosing.as_ref()?;
    let spinner = model.spinner();
    let left = disclosing.waiting.map(|until| until.left(model.now)).filter(|left| !left.is_zero());
    let first = match (disclosing.stopping, left, disclosing.step) {
        (true, ..) => "Stopping. Whatever has left already is waited for.".to_owned(),
        (_, Some(left), _) => {
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            format!("Entra asks us to wait {seconds} s. It has not given out the key.")
        }
        (_, None, Step::Asking) => "Written down. Entra is being asked for the key.".into(),
        (_, None, Step::Forwarding) => "Waiting for the security team's collector to take the record.".into(),
        (_, None, Step::Writing) => "Checking, and writing down who asks, why and when.".into(),
    };
    let second = match (disclosing.stopping, left, disclosing.step) {
        (false, Some(_), _) => "We ask again by ourselves; your entries and the record stand.".to_owned(),
        (false, None, Step::Forwarding) => {
            format!("{} s at most, and no key before it has. Your entries stand.", outbox::LIMIT.as_secs())
        }
        _ => "Your entries stand.".into(),
    };
    Some(Prompt { label: format!("{spinner} Wait"), lines: vec![first, second], role: Role::Text })
}

fn hints(model: &Model, desk: &CallDesk) -> Vec<Hint> {
    if model.session.is_renewing() {
        return super::sign_in::hints(model);
    }
    if let Some(disclosing) = &desk.disclosing {
        return vec![
            model.hint(Action::Back, "stop waiting").unless(disclosing.stopping, "stopping"),
            model.hint(Action::Park, "park"),
            model.hint(Action::Help, "help"),
        ];
    }
    let can_show = desk.stage.as_ref().is_some_and(stage::Stage::has_digits);
    let mut hints = Vec::new();
    let on_record = desk.stage.as_ref().is_some_and(|stage| stage.wrong_person() != stage::Wrong::No);
    if can_show {
        hints.push(model.hint(Action::GoOn, "show"));
        hints.push(model.hint(Action::Conceal, "show"));
    } else {
        let writing = desk.writing.is_some();
        hints.push(model.hint(Action::GoOn, "ask again, a new disclosure").unless(writing, "writing"));
    }
    hints.push(model.hint(Action::InWindows, "in Windows").unless(desk.writing.is_some(), "writing"));
    if desk.stage.is_some() {
        hints.push(model.hint(Action::WrongPerson, "wrong person").unless(on_record, "on record"));
    }
    hints.push(model.hint(Action::Park, "park"));
    hints.push(model.hint(Action::Help, "help"));
    hints
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::work::{Outcome, Progress},
        tui::tests::{Desk, asked, assert_screen, failure},
    };

    fn is_disclose(request: &Request) -> bool {
        matches!(request, Request::Disclose(_))
    }

    /// The key is being asked for.
    fn asking() -> Desk {
        let mut desk = Desk::open();
        desk.hold(is_disclose);
        desk.reach_reason();
        desk.press("enter");
        desk
    }

    #[test]
    fn while_the_key_is_asked_for_the_entries_stand() {
        let mut desk = asking();
        desk.progress(is_disclose, Progress::Recorded);
        assert_screen!(desk);
    }

    #[test]
    fn a_key_that_waits_for_the_collector_says_so_and_can_be_stopped() {
        let mut desk = asking();
        let ask = desk.ask(is_disclose);
        desk.progress(is_disclose, Progress::Forwarding);
        assert_screen!(desk);
        assert_eq!(desk.press("esc"), [Effect::Cancel { ask }]);
        let refused = failure(Kind::Refused, "The security team's collector did not take the record.");
        desk.answer(is_disclose, Err(refused));
        assert!(desk.shows("The security team's collector did not take the record."));
        assert!(desk.shows("► 2 Windows update"));
    }

    #[test]
    fn entra_asks_us_to_wait_and_a_countdown_says_how_long() {
        let mut desk = asking();
        desk.progress(is_disclose, Progress::Waiting(Waiting { for_: Duration::from_secs(12) }));
        assert_screen!(desk);
        desk.wait(5000);
        assert!(desk.shows("Entra asks us to wait 7 s."));
    }

    #[test]
    fn esc_stops_the_wait_and_the_reasons_are_back() {
        let mut desk = asking();
        let ask = desk.ask(is_disclose);
        assert_eq!(desk.press("esc"), [Effect::Cancel { ask }]);
        assert_eq!(desk.press("esc"), [], "it is cancelled once");
        desk.answer(is_disclose, Err(failure(Kind::Cancelled, "Stopped before Entra gave the key out.")));
        assert!(desk.shows("Stopped before Entra gave the key out."));
        assert!(desk.shows("► 2 Windows update"));
    }

    #[test]
    fn a_key_that_came_before_it_could_be_stopped_is_not_lost() {
        let mut desk = asking();
        desk.press("f4");
        let disclosed = desk.world.disclosed();
        desk.answer(is_disclose, Ok(Outcome::Disclosed(disclosed)));
        assert!(desk.shows("Entra gave out the key before it could be stopped."));
    }

    #[test]
    fn f4_while_waiting_stops_and_parks() {
        let mut desk = asking();
        desk.press("f4");
        desk.effects.clear();
        desk.answer(is_disclose, Err(failure(Kind::Cancelled, "Stopped.")));
        assert!(asked(&desk.effects).iter().any(|r| matches!(r, Request::ParkCall(_))));
        assert!(desk.shows("1 parked"));
    }

    #[test]
    fn no_answer_means_that_a_read_may_be_on_record() {
        let mut desk = asking();
        let unknown = failure(Kind::Uncertain, "No answer came from Entra. It may have recorded a read.")
            .meaning("The debt stands; asking again is a new disclosure.");
        desk.answer(is_disclose, Err(unknown));
        assert_screen!(desk);
        desk.wait(1500);
        assert!(desk.press("enter").is_empty(), "Enter goes back to the reasons, it asks for nothing");
        assert!(desk.shows("► 2 Windows update"));
    }

    #[test]
    fn sign_in_in_the_middle_of_a_disclosure_asks_for_nothing_by_itself() {
        let mut desk = asking();
        desk.hold(|request| matches!(request, Request::SignIn(_)));
        desk.answer(is_disclose, Err(failure(Kind::SignIn, "Signed out.")));
        assert!(desk.shows("Entra wants you to sign in again"));
        desk.effects.clear();
        let signed_in = crate::tui::tests::World::signed_in();
        desk.answer(|request| matches!(request, Request::SignIn(_)), Ok(Outcome::SignedIn(signed_in)));
        assert!(asked(&desk.effects).is_empty(), "{:?}", desk.effects);
        assert!(desk.shows("► 2 Windows update"));
    }

    #[test]
    fn put_aside_the_key_is_concealed_and_enter_shows_it() {
        let mut desk = Desk::open();
        desk.reach_stage();
        desk.press("esc");
        assert_screen!(desk);
        desk.press("enter");
        assert!(desk.shows("1 of 8"));
    }

    #[test]
    fn dropped_by_its_timer_the_key_is_gone() {
        let mut desk = Desk::open();
        desk.reach_stage();
        desk.wait(601_000);
        assert_screen!(desk);
    }

    #[test]
    fn parking_drops_the_digits_first() {
        let mut desk = Desk::open();
        desk.reach_stage();
        let effects = desk.press("f4");
        let asked = asked(&effects);
        assert!(matches!(asked[0], Request::Stage(on) if on.what == crate::domain::event::Stage::Dropped));
        assert!(matches!(asked[1], Request::ParkCall(_)));
    }
}
