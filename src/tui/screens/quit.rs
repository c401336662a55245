//! Leaving: what is held goes out first, what writes is waited for.

use super::super::{canvas::Canvas, keymap::Action, model::Model, msg::Effect, skeleton, theme::Role};
use super::{read, stage};
use crate::domain::{
    age,
    debt::Debt,
    moment::since,
    work::{Failure, Request},
};

/// So many of what stays unsent are named at 80×24.
const LISTED: usize = 9;

/// How leaving stands.
#[derive(Debug)]
pub enum Quit {
    /// What is being written is waited for.
    Finishing,
    /// What is held is being sent, then the debts are looked at once more.
    WrappingUp,
    /// Some could not be sent: a person decides.
    Unsent { why: Option<Failure> },
    /// Decided; what writes must finish.
    Leaving,
}

/// Ctrl+Q.
pub fn begin(model: &mut Model) {
    if model.quit.is_some() {
        return;
    }
    model.switch_to = None;
    leave(model);
}

/// To another profile's desk: this one is left as if for good.
pub fn switch(model: &mut Model, profile: String) {
    if model.quit.is_none() {
        model.switch_to = Some(profile);
        leave(model);
    }
}

fn leave(model: &mut Model) {
    stage::drop_digits(model);
    read::stop_waiting(model, false);
    model.quit = Some(Quit::Finishing);
}

/// What was held is sent, or could not be.
pub fn wrapped_up(model: &mut Model, result: Result<(), Failure>) {
    if !matches!(model.quit, Some(Quit::WrappingUp)) {
        return;
    }
    match result {
        Ok(()) => {
            model.ask(Request::Debts);
        }
        Err(failure) => model.quit = Some(Quit::Unsent { why: Some(failure) }),
    }
}

/// The debts as they stand after wrapping up.
pub fn debts_known(model: &mut Model) {
    let wrapping = matches!(model.quit, Some(Quit::WrappingUp));
    if wrapping && !model.asks.any(|request| matches!(request, Request::WrapUp)) {
        model.quit = Some(if model.unsent() > 0 { Quit::Unsent { why: None } } else { Quit::Leaving });
    }
}

/// Goes on once nothing that writes is under way.
pub fn settle(model: &mut Model) {
    if matches!(model.quit, Some(Quit::Finishing | Quit::Leaving)) {
        // A key that came meanwhile goes too.
        stage::drop_digits(model);
    }
    let busy = model.asks.any(|request| request.must_finish() || matches!(request, Request::Debts));
    if matches!(model.quit, Some(Quit::Finishing)) && !busy {
        if model.unsent() > 0 {
            model.quit = Some(Quit::WrappingUp);
            model.ask(Request::WrapUp);
        } else {
            model.quit = Some(Quit::Leaving);
        }
    }
    if matches!(model.quit, Some(Quit::Leaving)) && !model.asks.must_finish() {
        model.effects.push(model.switch_to.clone().map_or(Effect::Quit, Effect::Switch));
    }
}

pub fn act(model: &mut Model, action: Action) {
    match (action, &model.quit) {
        (Action::GoOn, Some(Quit::Unsent { .. })) if model.presses.deliberate() => model.quit = Some(Quit::Leaving),
        (Action::Back, Some(Quit::Unsent { .. } | Quit::WrappingUp | Quit::Finishing)) => {
            model.quit = None;
            model.switch_to = None;
        }
        _ => {}
    }
}

pub fn view(model: &Model, canvas: &mut Canvas, quit: &Quit) {
    skeleton::status(model, canvas);
    let spinner = model.spinner();
    let unsent = model.unsent();
    let switches = model.switch_to.is_some();
    let (summary, lines) = match quit {
        Quit::WrappingUp => (format!("{spinner} Sending what is held. Esc stays."), Vec::new()),
        Quit::Finishing | Quit::Leaving => (format!("{spinner} Finishing what is being written."), Vec::new()),
        Quit::Unsent { why } => {
            let (are, they) = if unsent == 1 { ("is", "It goes") } else { ("are", "They go") };
            let count = age::count(unsent, "rotation");
            let goes_on = if switches {
                // Another tenant's desk follows none of this one's.
                let typed = model.call.is_some() || !model.drafts.is_empty();
                let lost = if typed { " What you typed is not kept." } else { "" };
                format!("{they} out once somebody opens this tenant again.{lost} Enter leaves this tenant.")
            } else {
                format!("{} Enter quits.", model.watch.who_sends(unsent, model.now.wall))
            };
            // A request whose answer is lost may be on its way: that it was not sent would be too much said.
            let sending = model.debts.iter().any(|debt| debt.is_unsent() && debt.is_sent());
            let yet = if sending { "not known to be sent" } else { "not sent yet" };
            let said = format!("{count} {are} {yet}. {goes_on}");
            (said, why.iter().map(ToString::to_string).collect())
        }
    };
    let mut row = 8;
    if matches!(quit, Quit::Unsent { .. }) {
        row = list_unsent(model, canvas, row) + 1;
    }
    canvas.put(4, 3, Role::Strong, if switches { "Another tenant" } else { "Quit" });
    canvas.wrapped(5, 3, canvas.cols(), Role::Text, &summary, 2);
    for line in lines {
        row = canvas.wrapped(row, 3, canvas.cols(), Role::Warn, &line, 5);
    }
    let mut hints = Vec::new();
    match quit {
        Quit::Unsent { .. } => {
            hints.push(model.hint(Action::GoOn, if switches { "leave" } else { "quit" }));
            hints.push(model.hint(Action::Back, "stay"));
        }
        Quit::WrappingUp | Quit::Finishing => hints.push(model.hint(Action::Back, "stay")),
        Quit::Leaving => hints.push(model.hint(Action::Back, "stay").unless(true, "being written")),
    }
    skeleton::foot(model, canvas, None, &hints);
}

/// What stays unsent, the oldest first. The row after it.
fn list_unsent(model: &Model, canvas: &mut Canvas, from: u16) -> u16 {
    let mut unsent: Vec<&Debt> = model.debts.iter().filter(|debt| debt.is_unsent()).collect();
    unsent.sort_by_key(|debt| (!debt.is_urgent(), debt.since));
    for (col, word) in [(3, "Key ID"), (13, "Device"), (29, "Ticket"), (43, "Owed"), (51, "State")] {
        canvas.put(from, col, Role::Dim, word);
    }
    let mut row = from + 1;
    for (n, debt) in unsent.iter().enumerate() {
        if n + 1 > LISTED && unsent.len() > LISTED + 1 {
            canvas.put(row, 3, Role::Dim, &format!("and {} more: F2 after Esc lists them", unsent.len() - n));
            return row + 1;
        }
        canvas.put(row, 3, Role::Strong, &debt.key.short());
        canvas.put_in(row, 13, 15, Role::Text, &debt.device_name.to_string());
        canvas.put_in(row, 29, 13, Role::Text, debt.ticket.as_str());
        canvas.put_in(row, 43, 7, Role::Text, &age::coarse(since(debt.since, model.now.wall)));
        let state = if !model.session.follows(debt.tenant) {
            "another tenant's".to_owned()
        } else if debt.is_urgent() {
            format!("× urgent, {}", debt.word())
        } else {
            debt.word().to_owned()
        };
        canvas.put(row, 51, if debt.is_urgent() { Role::Warn } else { Role::Text }, &state);
        row += 1;
    }
    row
}

impl Quit {
    pub fn is_waiting(&self) -> bool {
        !matches!(self, Self::Unsent { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::{
            debt::RotationState,
            watch::{By, Follower, Role, Watch},
            work::{Kind, News},
        },
        tui::tests::{Desk, asked, assert_screen, debt, failure},
    };

    fn owing() -> Desk {
        let mut desk = Desk::open();
        let now = desk.now.wall;
        let held = RotationState::Held { until: now };
        desk.world.debts = vec![
            debt(1, "HVC-LT-0421", "0048213", Duration::from_mins(3), now, held.clone()),
            debt(2, "HVC-LT-0098", "0047790", Duration::from_mins(5), now, held),
        ];
        let debts = desk.world.debts.clone();
        desk.news(News::Debts(debts));
        desk
    }

    #[test]
    fn with_nothing_to_finish_ctrl_q_quits_at_once() {
        let mut desk = Desk::open();
        assert_eq!(desk.press("ctrl-q"), [Effect::Quit]);
    }

    #[test]
    fn what_is_held_goes_out_first() {
        let mut desk = owing();
        desk.hold(|request| *request == Request::WrapUp);
        let effects = desk.press("ctrl-q");
        assert_eq!(asked(&effects), [&Request::WrapUp]);
        assert!(!effects.contains(&Effect::Quit));
        // Sent: the debts that come back are not held any more.
        let now = desk.now.wall;
        for debt in &mut desk.world.debts {
            debt.rotation.as_mut().unwrap().state = RotationState::Accepted { at: now };
        }
        desk.effects.clear();
        desk.release();
        assert!(desk.effects.contains(&Effect::Quit));
    }

    #[test]
    fn what_could_not_be_sent_asks_before_quitting() {
        let mut desk = owing();
        desk.press("ctrl-q");
        assert_screen!(desk);
        assert_eq!(desk.press("enter"), [Effect::Quit]);
    }

    #[test]
    fn whoever_sends_what_stays_unsent_is_named_if_they_live() {
        let said = |desk: &Desk| format!("{} {}", desk.row(5), desk.row(6).trim());
        let mut desk = owing();
        desk.press("ctrl-q");
        let follower = Follower { role: Role::Watcher, process: 4711 };
        desk.news(News::Watch(Watch { by: By::This, next: Some(follower), task: None }));
        assert!(said(&desk).contains("keydesk debts watch (process 4711) sends them. Enter quits."), "{}", said(&desk));
        let ran = desk.now.wall - jiff::SignedDuration::from_mins(12);
        desk.news(News::Watch(Watch { by: By::Nobody, next: None, task: Some(ran) }));
        assert!(
            said(&desk).contains("The next run of keydesk debts watch sends them (it ran 12 min ago)"),
            "{}",
            said(&desk)
        );
    }

    #[test]
    fn more_than_the_screen_holds_is_counted() {
        let mut desk = Desk::open();
        let now = desk.now.wall;
        let held = RotationState::Held { until: now };
        desk.world.debts = (1..=14)
            .map(|n| debt(n, "HVC-LT-0421", "0048213", Duration::from_mins(n.into()), now, held.clone()))
            .collect();
        let debts = desk.world.debts.clone();
        desk.news(News::Debts(debts));
        desk.press("ctrl-q");
        assert!(desk.shows("14 rotations are not sent yet.") && desk.shows("and 5 more"), "{:#?}", desk.rows());
    }

    #[test]
    fn esc_stays() {
        let mut desk = owing();
        desk.hold(|request| *request == Request::WrapUp);
        desk.press("ctrl-q");
        desk.answer(
            |request| *request == Request::WrapUp,
            Err(failure(Kind::Unreachable, "Intune cannot be reached.")),
        );
        assert!(desk.shows("Intune cannot be reached."));
        desk.press("esc");
        assert!(desk.shows("Type what the caller reads"));
    }

    #[test]
    fn what_writes_is_waited_for() {
        let mut desk = Desk::open();
        desk.hold(|request| matches!(request, Request::OpenCall(_)));
        desk.reach_caller();
        assert!(!desk.press("ctrl-q").contains(&Effect::Quit));
        assert!(desk.shows("Finishing what is being written."));
        desk.effects.clear();
        desk.release();
        assert!(desk.effects.contains(&Effect::Quit));
    }

    #[test]
    fn a_key_that_comes_while_quitting_is_dropped_and_its_rotation_goes_out() {
        let mut desk = Desk::open();
        desk.hold(|request| matches!(request, Request::Disclose(_)));
        desk.reach_reason();
        desk.press("enter");
        let effects = desk.press("ctrl-q");
        assert!(matches!(effects[..], [Effect::Cancel { .. }]), "{effects:?}");
        desk.effects.clear();
        desk.release();
        let asked = asked(&desk.effects);
        let dropped = |request: &&Request| matches!(request, Request::Stage(on) if on.what == crate::domain::event::Stage::Dropped);
        assert!(asked.iter().any(dropped), "{asked:?}");
        assert!(asked.contains(&&Request::WrapUp), "{asked:?}");
    }

    #[test]
    fn quitting_from_the_stage_drops_the_digits() {
        let mut desk = Desk::open();
        desk.reach_stage();
        let effects = desk.press("ctrl-q");
        assert!(matches!(asked(&effects)[0], Request::Stage(on) if on.what == crate::domain::event::Stage::Dropped));
        assert!(desk.model.call.as_ref().unwrap().stage.as_ref().is_none_or(|stage| !stage.has_digits()));
    }
}
