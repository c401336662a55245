//! Who is calling: what they claim is typed and compared, then a person decides how they were verified.

use super::super::{
    call_desk::CallDesk,
    canvas::Canvas,
    field::Field,
    footer::Hint,
    keymap::{Action, Place},
    model::{Model, SETTLE},
    prompt::{self, Prompt},
    skeleton::{self, Layout},
    theme::Role,
};
use super::card;
use crate::domain::{
    caller::{Claim, Compared, Fact, Knowledge, compare},
    foreign::printable,
    moment::Moment,
    policy::VerificationError,
    work::{Request, call::Verify, open_device::Card},
};

#[derive(Debug, Default)]
pub struct CallerForm {
    claims: [Claimed; 3],
    part: Part,
    method: Option<usize>,
    /// Since when the list of methods has the focus.
    listed: Option<Moment>,
}

#[derive(Debug, Default)]
struct Claimed {
    field: Field,
    /// The technician had it compared since it was last changed.
    is_said: bool,
}

impl Claimed {
    /// What is to be compared; empty where nothing is.
    fn said(&self) -> &str {
        if self.is_said { self.field.text() } else { "" }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Claim(usize),
    How,
}

impl Default for Part {
    fn default() -> Self {
        Self::Claim(0)
    }
}

impl CallerForm {
    pub fn place(&self) -> Place {
        if self.part == Part::How { Place::How } else { Place::Claim }
    }

    pub fn field(&mut self) -> Option<&mut Field> {
        match self.part {
            Part::Claim(n) => Some(&mut self.claims[n].field),
            Part::How => None,
        }
    }

    /// The text of a claim changed: what was compared is no longer said.
    pub fn edited(&mut self) {
        if let Part::Claim(n) = self.part {
            self.claims[n].is_said = false;
        }
    }

    fn go_to(&mut self, part: Part, now: Moment) {
        self.part = part;
        self.listed = (part == Part::How).then_some(now);
    }
}

/// The claims as they compare with the card that is open now: looking again compares again.
fn claims(desk: &CallDesk) -> Vec<Claim> {
    let said: Vec<(Fact, &str)> = Fact::ALL.into_iter().zip(desk.caller.claims.iter().map(Claimed::said)).collect();
    compare(&said, desk.card.as_ref().map(|card| card.managed.as_slice()).unwrap_or_default())
}

/// What there is to compare with; nothing while the device is being opened.
fn knowledge(desk: &CallDesk) -> Knowledge {
    desk.card.as_ref().map_or(Knowledge::NotAsked, Card::knowledge)
}

/// Has the claim with the focus compared. An empty one is not asked.
fn compare_claim(desk: &mut CallDesk, n: usize) {
    let claimed = &mut desk.caller.claims[n];
    claimed.is_said = desk.card.is_some() && !claimed.field.is_empty();
}

pub fn act(model: &mut Model, action: Action) {
    let now = model.now;
    let deliberate = model.presses.deliberate();
    let methods = model.setup.policy.methods.len();
    let Some(desk) = &mut model.call else { return };
    if desk.writing.is_some() {
        return;
    }
    desk.failure = None;
    match (desk.caller.part, action) {
        (Part::Claim(n), Action::GoOn) => {
            compare_claim(desk, n);
            if claims(desk)[n].compared == Compared::Match && n + 1 < Fact::ALL.len() {
                desk.caller.go_to(Part::Claim(n + 1), now);
            }
        }
        (Part::Claim(n), Action::NextPart) => {
            compare_claim(desk, n);
            desk.caller.go_to(Part::How, now);
        }
        (Part::Claim(n), Action::Down) => {
            compare_claim(desk, n);
            let next = if n + 1 < Fact::ALL.len() { Part::Claim(n + 1) } else { Part::How };
            desk.caller.go_to(next, now);
        }
        (Part::Claim(n), Action::Up | Action::Back) if n > 0 => {
            compare_claim(desk, n);
            desk.caller.go_to(Part::Claim(n - 1), now);
        }
        (Part::How, Action::NextPart | Action::Back) => desk.caller.go_to(Part::Claim(0), now),
        (Part::How, _) if desk.caller.listed.is_some_and(|at| !at.in_(SETTLE).passed(now)) => {}
        (Part::How, Action::Number(n)) if n <= methods => {
            if verification(model).is_ok()
                && let Some(desk) = &mut model.call
            {
                desk.caller.method = Some(n - 1);
            }
        }
        (Part::How, Action::Up | Action::Down) if verification(model).is_ok() => move_method(model, action, methods),
        (Part::How, Action::Verified) if deliberate => verify(model),
        (Part::How, Action::NotVerified) if deliberate => refuse(model),
        _ => {}
    }
}

fn move_method(model: &mut Model, action: Action, methods: usize) {
    let Some(desk) = &mut model.call else { return };
    let form = &mut desk.caller;
    form.method = match (form.method, action) {
        (None, Action::Down) => Some(0),
        (None, _) => {
            form.part = Part::Claim(Fact::ALL.len() - 1);
            None
        }
        (Some(n), Action::Down) => Some((n + 1).min(methods.saturating_sub(1))),
        (Some(n), _) => Some(n.saturating_sub(1)),
    };
}

/// Whether the claims allow a verification at all.
fn verification(model: &Model) -> Result<(), VerificationError> {
    let Some(desk) = &model.call else { return Ok(()) };
    model.setup.policy.allows_verification(&claims(desk), knowledge(desk))
}

fn verify(model: &mut Model) {
    let policy = model.policy();
    if verification(model).is_err() {
        return;
    }
    let Some(desk) = &model.call else { return };
    let Some(method) = desk.caller.method.and_then(|n| policy.methods.get(n)) else { return };
    send(model, Some(method.id.clone()));
}

fn refuse(model: &mut Model) {
    send(model, None);
}

fn send(model: &mut Model, method: Option<String>) {
    let Some(desk) = &model.call else { return };
    if desk.card.is_none() {
        return;
    }
    let request = Verify { call: desk.call.id, method, claims: claims(desk), known: knowledge(desk) };
    let ask = model.ask(Request::Verify(request));
    if let Some(desk) = &mut model.call {
        desk.writing = Some(ask);
    }
}

pub fn view(model: &Model, canvas: &mut Canvas, desk: &CallDesk) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    skeleton::call_title(model, canvas);
    let say = model.session.is_renewing().then_some(model.runbook.aside.sign_in.as_str());
    skeleton::rail(model, canvas, say);
    canvas.within(layout.right, |canvas| {
        claim_lines(canvas, desk, model.session.is_renewing());
        let row = if model.session.is_renewing() { 15 } else { methods(model, canvas, desk) + 1 };
        let row = demo_caller(model, canvas, row);
        if let Some(card) = &desk.card {
            let row = card::watch(model, canvas, row, card);
            card::open(model, canvas, row, card, true, desk.is_unmasked(model.setup.policy.mask_facts));
        }
        prompt::draw(model, canvas, desk.failure.as_ref().map(Prompt::of));
    });
    skeleton::foot(model, canvas, notice(model, desk), &hints(model, desk));
}

fn claim_lines(canvas: &mut Canvas, desk: &CallDesk, renewing: bool) {
    let compared = claims(desk);
    canvas.put(10, 13, Role::Dim, "They say");
    canvas.put(10, 45, Role::Dim, "Compared");
    for ((n, fact), row) in Fact::ALL.into_iter().enumerate().zip(11..) {
        let claimed = &desk.caller.claims[n];
        let focused = desk.caller.part == Part::Claim(n) && !renewing;
        if focused {
            canvas.bar(row, Role::Accent);
        }
        canvas.put(row, 3, if focused { Role::Text } else { Role::Dim }, fact.label());
        let (text, cursor) = claimed.field.shown();
        canvas.typed(row, 13, 31, if focused { Role::Field } else { Role::Strong }, &text, focused.then_some(cursor));
        let (role, mark, words) = match compared[n].compared {
            _ if claimed.field.is_empty() => (Role::Dim, "· ", Compared::NotAsked.words(fact)),
            _ if !claimed.is_said => (Role::Dim, "· ", "not compared yet"),
            Compared::Unknown if knowledge(desk) == Knowledge::NotAsked => (Role::Warn, "? ", "Intune not asked"),
            Compared::Match => (Role::Ok, "√ ", Compared::Match.words(fact)),
            Compared::Mismatch => (Role::Warn, "× ", Compared::Mismatch.words(fact)),
            Compared::Unknown => (Role::Text, "? ", Compared::Unknown.words(fact)),
            Compared::NotAsked => (Role::Dim, "· ", Compared::NotAsked.words(fact)),
        };
        canvas.line(row, 45, &[(role, mark), (role, words)]);
    }
}

fn methods(model: &Model, canvas: &mut Canvas, desk: &CallDesk) -> u16 {
    let focused = desk.caller.part == Part::How;
    let allowed = verification(model).is_ok();
    if focused {
        canvas.bar(15, Role::Accent);
    }
    canvas.put(15, 3, if focused { Role::Text } else { Role::Dim }, "How");
    let mut row = 15;
    for (n, method) in model.setup.policy.methods.iter().enumerate() {
        let chosen = desk.caller.method == Some(n) && allowed;
        if chosen {
            canvas.put(row, 11, Role::Accent, "►");
        }
        let role = match (allowed, chosen) {
            (false, _) => Role::Dim,
            (true, true) => Role::Strong,
            (true, false) => Role::Text,
        };
        canvas.put(row, 13, role, &format!("{} {}", n + 1, method.label));
        row += 1;
    }
    row
}

/// In the demo: what the caller answers when asked.
fn demo_caller(model: &Model, canvas: &mut Canvas, row: u16) -> u16 {
    let Some(caller) = &model.incoming else { return row };
    let answers = format!("“{}, {}, serial {}.”", caller.name, caller.model, caller.serial);
    canvas.facts(row, "Caller", Role::Text, &printable(&answers), 2) + 1
}

fn notice(model: &Model, desk: &CallDesk) -> Option<(Role, String)> {
    if desk.card.is_none() {
        return Some((Role::Text, format!("{} Opening the device.", model.spinner())));
    }
    let compared = desk.caller.claims.iter().any(|claimed| claimed.is_said);
    match (verification(model), knowledge(desk)) {
        (Err(error @ (VerificationError::Mismatch | VerificationError::NotAsked)), _) => {
            Some((Role::Warn, format!("× {error}")))
        }
        (Err(error), _) if desk.caller.part == Part::How || compared => Some((Role::Warn, error.to_string())),
        (_, Knowledge::Nothing) => {
            Some((Role::Text, "Intune knows nothing of this laptop: nothing can be compared.".into()))
        }
        (_, Knowledge::NotAsked) => {
            Some((Role::Text, "Intune could not be asked: nothing can be compared. F5: look again.".into()))
        }
        _ => None,
    }
}

fn hints(model: &Model, desk: &CallDesk) -> Vec<Hint> {
    if model.session.is_renewing() {
        return super::sign_in::hints(model);
    }
    let opening = desk.card.is_none();
    let mut hints = Vec::new();
    if desk.caller.part == Part::How {
        let allowed = verification(model);
        let methods = model.setup.policy.methods.len();
        let why = match &allowed {
            _ if opening => "opening the device",
            Err(VerificationError::Mismatch) => "a claim differs",
            Err(VerificationError::NotAsked) => "Intune not asked",
            Err(VerificationError::MoreWanted(_)) => "compare one more",
            Err(_) => "compare a claim first",
            Ok(()) => "choose how",
        };
        let choose = model.hint(Action::Choose, "choose").labelled(format!("1-{methods}"));
        hints.push(
            model.hint(Action::Verified, "verified").unless(allowed.is_err() || desk.caller.method.is_none(), why),
        );
        if allowed.is_ok() {
            hints.push(choose);
        }
        hints.push(model.hint(Action::NotVerified, "not verified").unless(opening, "opening the device"));
        hints.push(model.hint(Action::NextPart, "claims"));
    } else {
        hints.push(model.hint(Action::GoOn, "compare").unless(opening, "opening the device"));
        hints.push(model.hint(Action::NextPart, "how verified"));
        if desk.caller.part != Part::Claim(0) {
            hints.push(model.hint(Action::Back, "back"));
        }
    }
    if !opening && knowledge(desk) == Knowledge::NotAsked {
        hints.push(model.hint(Action::LookAgain, "look again"));
    }
    hints.push(model.hint(Action::Park, "park"));
    hints.push(model.hint(Action::Help, "help"));
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::work::Outcome,
        tui::{
            KeyPress, Msg,
            tests::{Desk, asked, assert_screen, failure},
        },
    };

    fn is_verify(request: &Request) -> bool {
        matches!(request, Request::Verify(_))
    }

    #[test]
    fn the_caller_is_asked_before_anything_is_shown() {
        assert_screen!(Desk::in_call());
    }

    #[test]
    fn a_match_goes_on_to_the_next_claim_and_a_mismatch_stays() {
        let mut desk = Desk::in_call();
        desk.type_text("mara voss");
        desk.press("enter");
        desk.type_text("hp elitebook");
        desk.press("enter");
        assert_screen!(desk);
    }

    #[test]
    fn after_a_mismatch_no_method_can_be_chosen() {
        let mut desk = Desk::in_call();
        desk.type_text("omar voss");
        desk.press("enter tab");
        assert!(desk.press("1 v").is_empty());
        assert_screen!(desk);
        // Asked again, the claim is typed anew.
        desk.press("tab");
        desk.press("ctrl-u");
        desk.type_text("mara voss");
        assert!(desk.press("enter tab 1 v").iter().any(|e| matches!(e, crate::tui::Effect::Ask { .. })));
    }

    #[test]
    fn v_needs_a_method_and_a_claim() {
        let mut desk = Desk::in_call();
        assert!(desk.press("tab v 1 v").is_empty(), "nothing was compared");
        desk.press("tab");
        desk.type_text("mara voss");
        assert!(desk.press("enter tab v").is_empty(), "no method was chosen");
        let effects = desk.press("2 v");
        let [Request::Verify(verify)] = asked(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!(verify.method.as_deref(), Some("manager"));
        assert_eq!(verify.claims[0], Claim { fact: Fact::Name, compared: Compared::Match });
        assert_eq!(verify.known, Knowledge::Facts);
    }

    #[test]
    fn a_method_is_chosen_and_v_waits() {
        let mut desk = Desk::in_call();
        desk.type_text("mara voss");
        desk.press("enter tab 1");
        assert_screen!(desk);
    }

    #[test]
    fn what_was_typed_before_the_list_had_the_focus_is_dropped() {
        let mut desk = Desk::in_call();
        desk.type_text("mara voss");
        desk.press("enter tab");
        // Within the same quarter of a second: meant for the field.
        for key in [crokey::key!(1), crokey::key!(v), crokey::key!(n)] {
            desk.send(Msg::Key(KeyPress { key, repeat: false }));
        }
        assert!(desk.effects.is_empty());
        assert!(desk.row(24).contains("v verified (choose how)"));
    }

    #[test]
    fn v_held_down_verifies_nobody() {
        let mut desk = Desk::in_call();
        desk.type_text("mara voss");
        desk.press("enter tab 1");
        assert!(desk.repeat("v").is_empty());
        assert!(desk.press("enter").is_empty());
        assert!(desk.press("space").is_empty());
    }

    #[test]
    fn n_closes_the_call_and_says_what_to_tell_the_caller() {
        let mut desk = Desk::in_call();
        desk.type_text("omar voss");
        let effects = desk.press("enter tab n");
        assert!(asked(&effects).iter().any(|r| matches!(r, Request::Verify(v) if v.method.is_none())));
        assert_screen!(desk);
    }

    #[test]
    fn once_verified_the_facts_are_seen() {
        let mut desk = Desk::open();
        desk.reach_ticket();
        assert!(desk.row(5).contains("Mara Voss, Latitude 5440"));
    }

    #[test]
    fn without_an_intune_object_the_method_alone_decides() {
        let mut desk = Desk::open();
        desk.world.card.managed.clear();
        desk.reach_caller();
        desk.type_text("mara voss");
        desk.press("enter tab");
        assert!(desk.row(11).contains("? nothing known to compare with"));
        let effects = desk.press("1 v");
        assert!(asked(&effects).iter().any(|r| matches!(r, Request::Verify(v) if v.known != Knowledge::Facts)));
    }

    #[test]
    fn where_intune_could_not_be_asked_no_method_verifies_until_looking_again_succeeds() {
        let mut desk = Desk::open();
        let managed = std::mem::take(&mut desk.world.card.managed);
        desk.world.card.managed_failure = Some("Intune does not answer.".into());
        desk.reach_caller();
        desk.type_text("mara voss");
        assert!(desk.press("enter tab 1 v").is_empty(), "nothing could be compared");
        assert_screen!(desk);
        desk.world.card.managed = managed;
        desk.world.card.managed_failure = None;
        desk.press("f5");
        assert!(desk.row(11).contains("√ match: the owner"), "what was said is compared again");
        let effects = desk.press("1 v");
        assert!(asked(&effects).iter().any(|r| matches!(r, Request::Verify(v) if v.known == Knowledge::Facts)));
    }

    #[test]
    fn where_two_claims_are_required_one_more_is_asked_for_unless_only_one_is_known() {
        let mut desk = Desk::in_call();
        std::sync::Arc::make_mut(&mut desk.model.setup.policy).claims_required = 2;
        desk.type_text("mara voss");
        assert!(desk.press("enter tab 1 v").is_empty());
        assert!(desk.shows("One more claim must match: compare another."), "{:#?}", desk.rows());
        let known = &mut desk.model.call.as_mut().unwrap().card.as_mut().unwrap().managed[0];
        (known.model, known.serial) = ("".into(), "".into());
        let effects = desk.press("1 v");
        let [Request::Verify(verify)] = asked(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!(verify.claims[1], Claim { fact: Fact::Model, compared: Compared::Unknown });
    }

    #[test]
    fn a_serial_of_another_intune_object_differs() {
        let mut desk = Desk::open();
        let mut other = desk.world.card.managed[0].clone();
        (other.owner, other.owner_upn, other.serial) = ("Omar Reyes".into(), "".into(), "9ZZ9Z".into());
        desk.world.card.managed.push(other);
        desk.reach_caller();
        desk.type_text("mara voss");
        desk.press("enter down");
        desk.type_text("9ZZ9Z");
        assert!(desk.press("enter tab 1 v").is_empty());
        assert!(desk.shows("One claim differs."), "{:#?}", desk.rows());
    }

    #[test]
    fn the_demo_keeps_in_view_what_the_caller_answers() {
        let mut desk = Desk::demo();
        desk.reach_caller();
        assert_screen!(desk);
    }

    #[test]
    fn a_refused_step_stands_over_the_card() {
        let mut desk = Desk::in_call();
        desk.hold(is_verify);
        desk.type_text("mara voss");
        desk.press("enter tab 1 v");
        let refusal = failure(crate::domain::work::Kind::Failed, "The ledger is busy.").next("Try again.");
        desk.answer(is_verify, Err(refusal));
        assert!(desk.row(17).contains("The ledger is busy. Try again."));
    }

    #[test]
    fn an_answer_for_another_call_changes_nothing() {
        let mut desk = Desk::in_call();
        desk.hold(is_verify);
        desk.type_text("mara voss");
        desk.press("enter tab 1 v");
        let mut other = desk.model.call.as_ref().unwrap().call.clone();
        other.id = crate::domain::call::CallId::new();
        desk.answer(is_verify, Ok(Outcome::Verified(other)));
        assert!(desk.shows("They say"));
    }
}
