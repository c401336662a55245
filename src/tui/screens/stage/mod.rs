//! The stage: 48 digits read aloud, one block large. Concealed at the first doubt, dropped by a timer.

#[cfg(test)]
mod tests;
mod view;

use secrecy::ExposeSecret;

pub use view::view;

use super::super::{
    keymap::{Action, Place},
    model::Model,
    theme::Role,
};
use super::{read, sign_in};
use crate::domain::{
    age,
    call::DisclosureId,
    event,
    moment::{Deadline, Moment},
    work::{
        Request,
        debts::WrongPerson,
        disclose::{Disclosed, OnStage},
    },
};

#[derive(Debug)]
pub struct Stage {
    disclosure: DisclosureId,
    /// Gone once dropped: zeroized with it.
    disclosed: Option<Disclosed>,
    blocks: usize,
    /// The block that is large, from 0, and the last one that was.
    block: usize,
    furthest: usize,
    sight: Sight,
    drops: Deadline,
    wrong_person: Wrong,
}

/// Whether the wrong person heard the digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    No,
    Writing,
    OnRecord,
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

    /// Zeroizes the digits.
    pub fn forget(&mut self) {
        self.disclosed = None;
        self.sight = Sight::Aside;
    }

    pub fn wrong_person(&self) -> Wrong {
        self.wrong_person
    }

    /// What it means that the wrong person heard the digits, once that is on record: while the key is owed a replacement, and after.
    pub fn wrong_person_words(&self, owed: bool) -> Option<&'static str> {
        let said = if owed {
            "Recorded: read to the wrong person. Its replacement is urgent, and you cannot waive this debt."
        } else {
            "Recorded: read to the wrong person."
        };
        (self.wrong_person == Wrong::OnRecord).then_some(said)
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
    let disclosure = disclosed.disclosure;
    let disclosed = Some(disclosed);
    let wrong_person = Wrong::No;
    desk.stage = Some(Stage { disclosure, disclosed, blocks, block: 0, furthest: 0, sight, drops, wrong_person });
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
        stage.forget();
    }
}

/// The wrong person heard the digits: they go at once, and that is written down before anything else.
pub fn wrong_person(model: &mut Model) {
    if !can_be_wrong(model) {
        return;
    }
    drop_digits(model);
    let Some(desk) = &mut model.call else { return };
    let call = desk.call.id;
    let Some(stage) = &mut desk.stage else { return };
    stage.wrong_person = Wrong::Writing;
    let request = WrongPerson { call, disclosure: stage.disclosure, words: String::new() };
    model.ask(Request::WrongPerson(request));
}

/// Once for each disclosure.
pub fn can_be_wrong(model: &Model) -> bool {
    let stage = model.call.as_ref().and_then(|desk| desk.stage.as_ref());
    stage.is_some_and(|stage| stage.wrong_person == Wrong::No)
}

/// That it was the wrong person is on record.
pub fn compromised(model: &mut Model) {
    if let Some(stage) = stage(model) {
        stage.wrong_person = Wrong::OnRecord;
    }
}

/// It could not be written down: the key may be pressed again.
pub fn not_compromised(model: &mut Model) {
    if let Some(stage) = stage(model) {
        stage.wrong_person = Wrong::No;
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
        (Action::WrongPerson, _) => wrong_person(model),
        (Action::Back, _) => {
            conceal(model, Why::Key);
            if let Some(stage) = self::stage(model) {
                stage.sight = Sight::Aside;
            }
        }
        _ => {}
    }
}
