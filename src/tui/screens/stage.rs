//! The stage: 48 digits read aloud, one block large. Concealed at the first doubt, dropped by a timer.

use secrecy::ExposeSecret;

use super::super::{
    canvas::Canvas,
    footer,
    keymap::{Action, Place},
    model::Model,
    theme::Role,
};
use super::{digits, read, sign_in};
use crate::domain::{
    age, event,
    moment::{Deadline, Moment},
    recovery_password::{BLOCKS, Fault},
    work::{
        Request,
        disclose::{Disclosed, OnStage},
    },
};

/// Six digits and the gaps between them.
const WIDTH: u16 = 68;

#[derive(Debug)]
pub struct Stage {
    /// Gone once dropped: zeroized with it.
    disclosed: Option<Disclosed>,
    blocks: usize,
    /// The block that is large, from 0, and the last one that was.
    block: usize,
    furthest: usize,
    sight: Sight,
    drops: Deadline,
}

/// What can be seen of the digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Shown {
        until: Deadline,
    },
    Concealed(Why),
    /// The technician went back to the call; concealed.
    Aside,
}

/// Why the digits are concealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Focus,
    Key,
    Page,
    Resize,
    Timer,
    /// The key came while the technician wanted to stop.
    Stopped,
    /// It came once the desk had locked.
    Locked,
}

impl Why {
    fn words(self) -> &'static str {
        match self {
            Self::Focus => "Concealed: this window lost the focus.",
            Self::Key => "Concealed: you pressed h.",
            Self::Page => "Concealed: another page was open.",
            Self::Resize => "Concealed: the window changed its size.",
            Self::Timer => "Concealed: it was shown long enough.",
            Self::Stopped => "Concealed: Entra gave out the key before it could be stopped.",
            Self::Locked => "Concealed: nobody was at this desk when Entra gave out the key.",
        }
    }
}

impl Stage {
    pub fn has_digits(&self) -> bool {
        self.disclosed.is_some()
    }

    /// The whole screen belongs to it.
    pub fn is_on(&self) -> bool {
        self.has_digits() && self.sight != Sight::Aside
    }

    pub fn is_shown(&self) -> bool {
        self.has_digits() && matches!(self.sight, Sight::Shown { .. })
    }

    /// Every block was large once, or the digits are gone.
    pub fn is_read(&self) -> bool {
        !self.has_digits() || self.furthest + 1 >= self.blocks
    }

    pub fn place(&self) -> Place {
        match (self.is_on(), self.is_shown()) {
            (true, true) => Place::Stage,
            (true, false) => Place::Concealed,
            (false, _) => Place::Read,
        }
    }

    pub fn drops_at(&self) -> Deadline {
        self.drops
    }

    /// When the stage changes by itself.
    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        let conceals = match self.sight {
            Sight::Shown { until } => Some(until),
            Sight::Concealed(_) | Sight::Aside => None,
        };
        let has = self.has_digits();
        conceals.into_iter().chain([self.drops]).filter(move |_| has)
    }

    /// The countdown on screen.
    fn clock(&self, now: Moment) -> String {
        match self.sight {
            Sight::Shown { until } => format!("conceals in {}", age::countdown(until.left(now))),
            Sight::Concealed(_) | Sight::Aside => format!("dropped in {}", age::countdown(self.drops.left(now))),
        }
    }

    /// The only place of the interface that sees digits.
    fn digits(&self, block: usize) -> &str {
        let block = self.disclosed.as_ref().and_then(|disclosed| disclosed.password.block(block));
        block.map_or("", |secret| secret.expose_secret())
    }
}

/// A key was handed out. It is shown if anybody is looking.
pub fn begin(model: &mut Model, disclosed: Disclosed, stopped: bool) {
    let conceal = model.setup.policy.conceal_after;
    let drops = model.now.in_(model.setup.policy.drop_after);
    let why = match () {
        () if model.session.is_locked() => Some(Why::Locked),
        () if stopped => Some(Why::Stopped),
        () if !model.focused => Some(Why::Focus),
        () if !model.pages.is_empty() || model.quit.is_some() => Some(Why::Page),
        () if model.is_too_small() => Some(Why::Resize),
        () => None,
    };
    let sight = match why {
        // The question whose the desk is stays on the screen.
        _ if model.session.is_changing_hands() => Sight::Aside,
        Some(why) => Sight::Concealed(why),
        None => Sight::Shown { until: model.now.in_(conceal) },
    };
    let is_shown = matches!(sight, Sight::Shown { .. });
    // The stage is for digits: what was said before them has been said.
    model.toast = None;
    if let Some(warning) = &disclosed.record_warning {
        let warning = crate::domain::foreign::printable(warning);
        model.toast(Role::Warn, format!("× {warning}"));
    }
    let Some(desk) = &mut model.call else { return };
    let blocks = disclosed.password.len();
    desk.stage = Some(Stage { disclosed: Some(disclosed), blocks, block: 0, furthest: 0, sight, drops });
    if is_shown {
        tell(model, event::Stage::Shown);
    }
}

fn tell(model: &mut Model, what: event::Stage) {
    let Some(desk) = &model.call else { return };
    let Some(disclosed) = desk.stage.as_ref().and_then(|stage| stage.disclosed.as_ref()) else { return };
    let (call, disclosure) = (desk.call.id, disclosed.disclosure);
    model.ask(Request::Stage(OnStage { call, disclosure, what }));
}

/// Conceals what is shown; does nothing otherwise.
pub fn conceal(model: &mut Model, why: Why) {
    if let Some(stage) = stage(model).filter(|stage| stage.is_shown()) {
        stage.sight = Sight::Concealed(why);
        tell(model, event::Stage::Concealed);
    }
}

/// Shows the digits again, once a locked desk is open. No new read.
pub fn show(model: &mut Model) {
    let until = model.now.in_(model.setup.policy.conceal_after);
    if !stage(model).is_some_and(|stage| stage.has_digits() && !stage.is_shown()) {
        return;
    }
    let locked = sign_in::must_unlock(model);
    if let Some(stage) = stage(model) {
        // Aside, it leaves the screen to the prompt.
        stage.sight = if locked { Sight::Aside } else { Sight::Shown { until } };
    }
    if !locked {
        tell(model, event::Stage::Shown);
    }
}

/// The digits are zeroized. Seeing them again is a new disclosure.
pub fn drop_digits(model: &mut Model) {
    if stage(model).is_some_and(|stage| stage.has_digits()) {
        tell(model, event::Stage::Dropped);
    }
    if let Some(stage) = stage(model) {
        stage.disclosed = None;
        stage.sight = Sight::Aside;
    }
}

/// The timers.
pub fn expire(model: &mut Model) {
    let now = model.now;
    let Some(stage) = stage(model).filter(|stage| stage.has_digits()) else { return };
    if stage.drops.passed(now) {
        drop_digits(model);
        model.toast(Role::Text, "The digits were dropped. To see them again is a new disclosure.");
    } else if matches!(stage.sight, Sight::Shown { until } if until.passed(now)) {
        conceal(model, Why::Timer);
    }
}

fn stage(model: &mut Model) -> Option<&mut Stage> {
    model.call.as_mut().and_then(|desk| desk.stage.as_mut())
}

pub fn act(model: &mut Model, action: Action) {
    let Some(stage) = stage(model) else { return };
    let last = stage.blocks.saturating_sub(1);
    match (action, stage.is_shown()) {
        (Action::NextBlock | Action::Down, true) => {
            stage.block = (stage.block + 1).min(last);
            stage.furthest = stage.furthest.max(stage.block);
        }
        (Action::BlockBefore | Action::Up, true) => stage.block = stage.block.saturating_sub(1),
        (Action::Number(n), true) if n <= stage.blocks => {
            stage.block = n - 1;
            stage.furthest = stage.furthest.max(stage.block);
        }
        (Action::Conceal, true) => conceal(model, Why::Key),
        (Action::Conceal, false) => show(model),
        (Action::InWindows, _) => read::in_windows(model),
        (Action::Back, _) => {
            conceal(model, Why::Key);
            if let Some(stage) = self::stage(model) {
                stage.sight = Sight::Aside;
            }
        }
        _ => {}
    }
}

pub fn view(model: &Model, canvas: &mut Canvas, stage: &Stage) {
    let left = (canvas.cols() - WIDTH) / 2 + 1;
    let top = (canvas.rows() - 24) / 2;
    if stage.is_shown() {
        for (c, col) in stage.digits(stage.block).chars().take(6).zip((left..).step_by(usize::from(digits::PITCH))) {
            digits::draw(canvas, top + 5, col, c);
        }
    } else if let Sight::Concealed(why) = stage.sight {
        canvas.put(top + 8, left, Role::Strong, why.words());
        let again = if model.session.is_locked() {
            "h asks you to sign in first. Entra is not asked for the key a second time.".to_owned()
        } else {
            format!("h shows block {} again. Entra is not asked a second time.", stage.block + 1)
        };
        canvas.put(top + 9, left, Role::Text, &again);
    }
    blocks(canvas, stage, top + 17, left);
    let clock = stage.clock(model.now);
    let width = u16::try_from(clock.len()).unwrap_or(0);
    canvas.put(top + 20, (canvas.cols() - width) / 2 + 1, Role::Text, &clock);
    notice(model, canvas, stage, left);
    footer::draw(canvas, &hints(model, stage));
}

/// All blocks in a row; the large one's place says which it is.
fn blocks(canvas: &mut Canvas, stage: &Stage, row: u16, left: u16) {
    for (n, col) in (0..stage.blocks).zip((left..).step_by(9)) {
        if col + 6 > canvas.cols() {
            break;
        }
        if n == stage.block {
            canvas.put(row, col, Role::Strong, &format!("{} of {}", n + 1, stage.blocks));
        } else if stage.is_shown() {
            canvas.secret(row, col, 6, Role::Dim, stage.digits(n));
        } else {
            canvas.put(row, col, Role::Mask, "••••••");
        }
    }
}

/// What is wrong with the key, and below it a toast.
fn notice(model: &Model, canvas: &mut Canvas, stage: &Stage, left: u16) {
    let row = canvas.rows() - 1;
    let faults = stage.disclosed.as_ref().map(|disclosed| disclosed.faults.as_slice()).unwrap_or_default();
    if !faults.is_empty() {
        canvas.wrapped(row - 2, left, left + WIDTH, Role::Warn, &fault_words(faults), 2);
    }
    if let Some(toast) = &model.toast {
        canvas.put(row, left, toast.role, &toast.text);
    }
}

fn fault_words(faults: &[Fault]) -> String {
    let blocks: Vec<String> = faults
        .iter()
        .filter_map(|fault| match fault {
            Fault::Block(n) => Some(n.to_string()),
            Fault::Length(_) => None,
        })
        .collect();
    let length = faults.iter().find_map(|fault| match fault {
        Fault::Length(n) => Some(*n),
        Fault::Block(_) => None,
    });
    match (length, blocks.as_slice()) {
        (Some(n), _) => {
            let are = if n == 1 { "There is 1 block" } else { &format!("There are {n} blocks") };
            format!("{are} instead of {BLOCKS}. Read what stands here: it is what Entra holds.")
        }
        (None, [one]) => {
            format!("Block {one} fails Microsoft's check. Read it as it stands: it is what Entra holds.")
        }
        (None, several) => format!(
            "Blocks {} fail Microsoft's check. Read them as they stand: it is what Entra holds.",
            several.join(", ")
        ),
    }
}

fn hints(model: &Model, stage: &Stage) -> Vec<footer::Hint> {
    if stage.is_shown() {
        vec![
            model.hint(Action::NextBlock, "next").unless(stage.block + 1 >= stage.blocks, "last"),
            model.hint(Action::BlockBefore, "before").unless(stage.block == 0, "first"),
            model.hint(Action::Conceal, "conceal"),
            model.hint(Action::InWindows, "Windows"),
            model.hint(Action::Help, "help"),
        ]
    } else {
        vec![
            model.hint(Action::Conceal, "show"),
            model.hint(Action::InWindows, "Windows"),
            model.hint(Action::Back, "back"),
            model.hint(Action::Help, "help"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            event::Stage as What,
            work::{Kind, Outcome},
        },
        tui::{
            Effect, Msg,
            tests::{Desk, World, asked, assert_screen, failure},
        },
    };

    fn staged() -> Desk {
        let mut desk = Desk::open();
        desk.reach_stage();
        desk.effects.clear();
        desk
    }

    /// What was recorded of the stage.
    fn told(effects: &[Effect]) -> Vec<What> {
        let on = |request: &&Request| match request {
            Request::Stage(on) => Some(on.what),
            _ => None,
        };
        asked(effects).iter().filter_map(on).collect()
    }

    /// Any block of the key, as it stands on screen.
    fn shows_a_digit(desk: &Desk) -> bool {
        let blocks: Vec<String> = desk.world.digits.split('-').map(str::to_owned).collect();
        desk.rows().iter().any(|row| blocks.iter().any(|block| row.contains(block.as_str()))) || desk.shows("████")
    }

    #[test]
    fn one_block_is_large_and_the_others_are_dim() {
        let mut desk = staged();
        desk.press("space space");
        assert_screen!(desk);
    }

    #[test]
    fn showing_is_recorded() {
        let mut desk = Desk::open();
        desk.reach_reason();
        assert_eq!(told(&desk.press("enter")), [What::Shown]);
    }

    #[test]
    fn space_and_backspace_pace_and_stop_at_the_ends() {
        let mut desk = staged();
        desk.press("backspace");
        assert!(desk.shows("1 of 8"));
        desk.press("space space space space space space space space space");
        assert!(desk.shows("8 of 8"));
        desk.press("backspace");
        assert!(desk.shows("7 of 8"));
    }

    #[test]
    fn h_conceals_and_shows_again_without_asking_entra() {
        let mut desk = staged();
        let concealed = desk.press("h");
        assert_eq!(told(&concealed), [What::Concealed]);
        assert!(!shows_a_digit(&desk));
        let shown = desk.press("h");
        assert_eq!(told(&shown), [What::Shown]);
        assert_eq!(asked(&shown).len(), 1, "only the record");
        assert!(shows_a_digit(&desk));
    }

    #[test]
    fn losing_the_focus_conceals() {
        let mut desk = staged();
        desk.press("space space");
        desk.wait(228_000 - 110_000);
        desk.send(Msg::Focus(false));
        assert_screen!(desk);
        assert!(!shows_a_digit(&desk));
    }

    #[test]
    fn a_key_that_comes_while_nobody_looks_is_not_shown() {
        let mut desk = Desk::open();
        desk.hold(|request| matches!(request, Request::Disclose(_)));
        desk.reach_reason();
        desk.press("enter");
        desk.send(Msg::Focus(false));
        desk.effects.clear();
        desk.release();
        assert!(told(&desk.effects).is_empty());
        assert!(!shows_a_digit(&desk));
        assert_eq!(told(&desk.press("h")), [What::Shown]);
    }

    fn is_sign_in(request: &Request) -> bool {
        matches!(request, Request::SignIn(_))
    }

    /// A key is asked for, and not answered before a test says so.
    fn asking() -> Desk {
        let mut desk = Desk::open();
        desk.hold(|request| matches!(request, Request::Disclose(_))).hold(is_sign_in);
        desk.reach_reason();
        desk.press("enter");
        desk.effects.clear();
        desk
    }

    fn hand_out(desk: &mut Desk) -> Vec<What> {
        desk.effects.clear();
        let disclosed = desk.world.disclosed();
        desk.answer(|request| matches!(request, Request::Disclose(_)), Ok(Outcome::Disclosed(disclosed)));
        told(&desk.effects)
    }

    #[test]
    fn a_key_that_comes_once_the_desk_has_locked_is_shown_after_unlocking_only() {
        let mut desk = asking();
        desk.wait(15 * 60 * 1000 + 1000);
        assert_eq!(hand_out(&mut desk), []);
        assert_screen!(desk);
        assert!(!shows_a_digit(&desk));
        let effects = desk.press("h");
        assert!(matches!(asked(&effects)[..], [Request::SignIn(prompt)] if prompt.fresh), "{effects:?}");
        assert!(desk.shows("Nobody was at this desk for 15 min.") && !shows_a_digit(&desk), "{:#?}", desk.rows());
        desk.answer(is_sign_in, Ok(Outcome::SignedIn(World::signed_in())));
        assert!(!shows_a_digit(&desk));
        assert_eq!(told(&desk.press("h")), [What::Shown]);
    }

    #[test]
    fn no_other_name_is_confirmed_while_a_key_is_asked_for_and_the_digits_are_not_theirs() {
        let mut desk = asking();
        desk.hold(|request| matches!(request, Request::OpenDevice(_)));
        desk.press("f5");
        let signed_out = failure(Kind::SignIn, "Signed out.");
        desk.answer(|request| matches!(request, Request::OpenDevice(_)), Err(signed_out));
        desk.answer(is_sign_in, Ok(Outcome::AnotherName(World::another_name())));
        desk.wait(1500);
        assert!(desk.row(24).contains("(the key is being asked for)"), "{}", desk.row(24));
        assert!(desk.press("enter").is_empty());
        assert_eq!(hand_out(&mut desk), []);
        assert!(desk.shows("Last time it was Dana Reyes") && !shows_a_digit(&desk), "{:#?}", desk.rows());
        desk.wait(1500);
        let effects = desk.press("enter");
        assert!(asked(&effects).contains(&&Request::ConfirmName), "{effects:?}");
        assert_eq!(told(&effects), [What::Dropped]);
    }

    #[test]
    fn help_conceals_and_so_does_every_page() {
        for key in ["f1", "f2", "f3", "f6", "f9"] {
            let mut desk = staged();
            assert_eq!(told(&desk.press(key)), [What::Concealed], "{key}");
            assert!(!shows_a_digit(&desk));
            desk.press("esc");
            assert!(desk.shows("Concealed: another page was open."), "{key}");
        }
    }

    #[test]
    fn a_resize_conceals_and_a_small_window_shows_nothing() {
        let mut desk = staged();
        desk.send(Msg::Resize { cols: 48, rows: 8 });
        assert_eq!(told(&desk.effects), [What::Concealed]);
        assert_screen!(desk);
        desk.send(Msg::Resize { cols: 80, rows: 24 });
        assert!(desk.shows("Concealed: the window changed its size."));
    }

    #[test]
    fn two_timers_conceal_and_then_drop() {
        let mut desk = staged();
        assert!(desk.shows("conceals in 2:00"));
        desk.wait(119_000);
        assert!(shows_a_digit(&desk));
        desk.effects.clear();
        desk.wait(2000);
        assert_eq!(told(&desk.effects), [What::Concealed]);
        assert!(desk.shows("Concealed: it was shown long enough."));
        desk.effects.clear();
        desk.wait(480_000);
        assert_eq!(told(&desk.effects), [What::Dropped]);
        assert!(!desk.model.call.as_ref().unwrap().stage.as_ref().unwrap().has_digits());
    }

    #[test]
    fn showing_again_does_not_put_the_drop_off() {
        let mut desk = staged();
        for _ in 0..9 {
            desk.press("h");
            desk.wait(30_000);
            desk.press("h");
            desk.wait(30_000);
        }
        desk.wait(61_000);
        assert!(!desk.model.call.as_ref().unwrap().stage.as_ref().unwrap().has_digits());
    }

    #[test]
    fn timers_act_before_a_late_message_does() {
        let mut desk = staged();
        // The process slept: no tick came.
        desk.pass(std::time::Duration::from_mins(11));
        desk.send(Msg::Key(crate::tui::KeyPress { key: crokey::key!(space), repeat: false }));
        assert!(!shows_a_digit(&desk));
    }

    #[test]
    fn a_block_that_fails_the_check_is_read_as_it_stands() {
        let mut desk = Desk::open();
        desk.world.digits = desk.world.digits.replace("391402", "391403");
        desk.reach_stage();
        desk.press("space space space");
        assert_screen!(desk);
    }

    #[test]
    fn a_key_of_odd_length_says_so() {
        let mut desk = Desk::open();
        desk.world.digits = "537284-04631x".into();
        desk.reach_stage();
        desk.press("space");
        assert_screen!(desk);
    }

    #[test]
    fn a_row_that_could_not_be_written_afterwards_is_a_warning() {
        let mut desk = Desk::open();
        desk.hold(|request| matches!(request, Request::Disclose(_)));
        desk.reach_reason();
        desk.press("enter");
        let mut disclosed = desk.world.disclosed();
        disclosed.record_warning =
            Some("That it was served could not be written down; that it was asked for is.".into());
        let is_disclose: fn(&Request) -> bool = |request| matches!(request, Request::Disclose(_));
        desk.answer(is_disclose, Ok(crate::domain::work::Outcome::Disclosed(disclosed)));
        assert!(desk.shows("× That it was served could not be written down"));
        assert!(shows_a_digit(&desk));
    }

    #[test]
    fn on_a_large_window_the_digits_keep_their_size_in_the_middle() {
        let mut desk = Desk::sized(160, 50);
        desk.reach_stage();
        assert_screen!(desk);
    }

    #[test]
    fn in_ascii_the_digits_are_made_of_signs() {
        let mut desk = staged();
        desk.model.setup.glyphs = crate::tui::Glyphs::Ascii;
        assert!(desk.rows().iter().all(|row| row.is_ascii()));
        assert!(desk.shows("########"));
    }

    #[test]
    fn the_digits_wake_the_desk_for_their_timers_alone() {
        let mut desk = staged();
        let left = desk.model.next_deadline(desk.now).unwrap().left(desk.now);
        assert!(left <= std::time::Duration::from_secs(1) && !left.is_zero());
        desk.press("w enter");
        desk.wait(7000);
        // What is left is the age of the list and of the debt, by the minute.
        let left = desk.model.next_deadline(desk.now).unwrap().left(desk.now);
        assert!(left > std::time::Duration::from_secs(5), "{left:?}");
    }

    #[test]
    fn no_digit_is_in_debug_of_the_model() {
        let desk = staged();
        let debug = format!("{:?}", desk.model);
        assert!(desk.world.digits.split('-').all(|block| !debug.contains(block)));
    }

    #[test]
    fn what_was_said_before_the_key_came_does_not_stand_on_the_stage() {
        let mut desk = Desk::open();
        desk.reach_reason();
        desk.model.toast(crate::tui::theme::Role::Ok, "√ Signed in as Dana Reyes.");
        desk.press("enter");
        assert!(desk.shows("1 of 8") && !desk.shows("Signed in as"));
    }
}
