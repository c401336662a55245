//! The call at the desk: what the ledger knows of it, and what is being typed.

use crate::{
    domain::{
        age,
        call::Call,
        debt::{Debt, DebtState},
        key::place,
        work::{AskId, Failure, call::Note, open_device::Card},
    },
    runbook::Evidence,
};

use unicode_width::UnicodeWidthStr;

use super::{
    keymap::Place,
    screens::{caller::CallerForm, read::Disclosing, stage::Stage, ticket::TicketForm},
    words,
};

#[derive(Debug)]
pub struct CallDesk {
    pub call: Call,
    /// `None` while the device of a resumed call is being opened.
    pub card: Option<Card>,
    pub caller: CallerForm,
    pub ticket: TicketForm,
    /// A key is being asked for.
    pub disclosing: Option<Disclosing>,
    /// A key was handed out at this desk.
    pub stage: Option<Stage>,
    /// A further disclosure is being prepared: back to ticket and reason.
    pub again: bool,
    /// The note and debts, once the caller is in Windows.
    pub note: Option<Note>,
    /// A step is being written to the ledger.
    pub writing: Option<AskId>,
    /// Why the last step did not go on.
    pub failure: Option<Failure>,
}

/// What was typed in a call that was put aside: kept while the program runs, and never a digit of a key.
#[derive(Debug)]
pub struct Draft {
    caller: CallerForm,
    ticket: TicketForm,
}

/// The steps that have a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Caller,
    Ticket,
    Read,
    Close,
}

impl CallDesk {
    pub fn new(call: Call, card: Option<Card>) -> Self {
        let ticket = TicketForm::of(&call);
        Self {
            call,
            card,
            caller: CallerForm::default(),
            ticket,
            disclosing: None,
            stage: None,
            again: false,
            note: None,
            writing: None,
            failure: None,
        }
    }

    /// What was typed, to be kept beyond this desk.
    pub fn into_draft(self) -> Draft {
        Draft { caller: self.caller, ticket: self.ticket }
    }

    /// Goes on with what was typed.
    pub fn restore(&mut self, draft: Draft) {
        let Draft { caller, ticket } = draft;
        (self.caller, self.ticket) = (caller, ticket);
    }

    pub fn step(&self) -> Step {
        match () {
            () if self.call.in_windows.is_some() => Step::Close,
            () if self.disclosing.is_some() => Step::Read,
            () if self.call.disclosed.is_some() && !self.again => Step::Read,
            // Not yet; or no longer, where somebody else took the call over.
            () if self.call.verification.is_none() => Step::Caller,
            () => Step::Ticket,
        }
    }

    /// What is asked or written under the name of who sits here, in words: until it is answered, nobody else may take their place.
    pub fn under_way(&self) -> Option<&'static str> {
        match () {
            () if self.disclosing.is_some() => Some("the key is being asked for"),
            () if self.writing.is_some() => Some("the call is being written"),
            () => None,
        }
    }

    /// The digits were certainly handed out in this call.
    pub fn was_read(&self) -> bool {
        self.call.read
    }

    pub fn place(&self) -> Place {
        match self.step() {
            Step::Caller => self.caller.place(),
            Step::Ticket => self.ticket.place(),
            Step::Read => self.stage.as_ref().map_or(Place::Read, Stage::place),
            Step::Close => Place::Close,
        }
    }

    pub fn evidence(&self) -> Vec<Evidence> {
        let mut seen = vec![Evidence::SomethingHeard, Evidence::KeyHeard];
        let step = self.step();
        if self.call.verification.is_some() {
            seen.push(Evidence::CallerVerified);
        }
        if matches!(step, Step::Read | Step::Close) {
            seen.push(Evidence::KeyAsked);
        }
        let read = self.disclosing.is_none() && self.stage.as_ref().is_none_or(Stage::is_read);
        if step == Step::Close || (step == Step::Read && read && self.was_read()) {
            seen.push(Evidence::KeyRead);
        }
        if self.call.in_windows.is_some() {
            seen.push(Evidence::InWindows);
        }
        seen
    }

    /// "HVC-LT-0421, OS drive, newest of 3. Mara Voss, Latitude 5440": the last part once the caller is verified.
    pub fn device_line(&self, unmasked: bool) -> String {
        let drive = self.call.volume.words();
        let rank = self.card.as_ref().and_then(|card| place(&card.keys, self.call.key));
        let rank = rank.map(|rank| format!(", {}", rank.words())).unwrap_or_default();
        let known = self.card.as_ref().filter(|_| unmasked).and_then(|card| card.managed.first());
        let who = known.map(|known| {
            let parts = [&known.owner, &known.model];
            let parts: Vec<String> = parts.into_iter().filter(|p| !p.is_empty()).map(ToString::to_string).collect();
            parts.join(", ")
        });
        let who = who.filter(|who| !who.is_empty());
        if self.call.device_name.is_right_to_left() {
            let who = who.map(|who| format!("{who}. ")).unwrap_or_default();
            return format!("{who}{}{rank}, {}", capitalised(drive), self.call.device_name);
        }
        let who = who.map(|who| format!(". {who}")).unwrap_or_default();
        format!("{}, {drive}{rank}{who}", self.call.device_name)
    }

    /// Whether owner, model and serial may be seen.
    pub fn is_unmasked(&self, mask_facts: bool) -> bool {
        !mask_facts || self.call.verification.is_some()
    }

    /// This call's debts among all that are known, or as the note brought them; those of its key first.
    pub fn debts<'a>(&'a self, known: &'a [Debt]) -> Vec<&'a Debt> {
        // An earlier call may have made the debt of this call's key.
        let own = |debt: &&Debt| debt.call == self.call.id || debt.key == self.call.key;
        let live: Vec<&Debt> = known.iter().filter(own).collect();
        let mut debts = match (&self.note, live.is_empty()) {
            (Some(note), true) => note.debts.iter().collect(),
            _ => live,
        };
        // An attempt that handed out nothing is no news beside one that did.
        let is_void = |debt: &Debt| matches!(debt.state, DebtState::Cancelled { .. });
        if debts.iter().any(|debt| !is_void(debt)) {
            debts.retain(|debt| !is_void(debt));
        }
        debts.sort_by_key(|debt| (debt.key != self.call.key, debt.call != self.call.id, std::cmp::Reverse(debt.since)));
        debts
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// What a call waits for, for lists: "key read, not in Windows yet".
pub fn waits_for(call: &Call) -> &'static str {
    match () {
        () if call.in_windows.is_some() => "in Windows, not closed",
        () if call.read => "key read, not in Windows yet",
        () if call.disclosed.is_some() => "key asked for, none came",
        () if call.verification.is_some() => "caller verified, key not read",
        () => "caller not verified yet",
    }
}

/// "call 16, HVC-LT-0098: 6 min, caller not verified yet", in `room` columns.
pub fn one_line(call: &Call, now: jiff::Timestamp, room: usize) -> String {
    let age = age::coarse(crate::domain::moment::since(call.opened, now));
    let waits = waits_for(call);
    if call.device_name.is_right_to_left() {
        return format!("call {}: {age}, {waits}: {}", call.number, call.device_name);
    }
    let (before, after) = (format!("call {}, ", call.number), format!(": {age}, {waits}"));
    let name = words::fitting(&call.device_name, before.width() + after.width(), room);
    format!("{before}{name}{after}")
}
