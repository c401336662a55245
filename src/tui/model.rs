//! What the desk knows: one owner of all state.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crokey::KeyCombination;
use jiff::{Timestamp, tz::TimeZone};

use super::{
    asks::Asks,
    call_desk::{CallDesk, Draft},
    keymap::{Keymap, KeymapError, Place},
    msg::Effect,
    screens::{Page, Quit, Session, Stop, find::Find, stage::Stage},
    theme::{Colours, Glyphs, Role},
    waits::Waits,
};
use crate::{
    domain::{
        call::{Call, CallId},
        capability::Lights,
        debt::Debt,
        moment::{Deadline, Moment},
        policy::Policy,
        watch::Watch,
        work::{AskId, Failure, Request, call::IncomingCaller, sign_in::Ways, sync_index::Listing},
    },
    runbook::{Evidence, Runbook, RunbookError, Walk},
};

/// The least a terminal must offer.
pub const LEAST_COLS: u16 = 80;
pub const LEAST_ROWS: u16 = 24;
/// A toast stays so long.
const TOAST: Duration = Duration::from_secs(6);
/// A key pressed again within this is taken for one held down: the longest delay before Windows repeats a key is one second.
const HELD: Duration = Duration::from_millis(1200);
/// Keys that come faster than fingers were typed before the screen they arrive at, or pasted without brackets.
const BURST: Duration = Duration::from_millis(40);
/// Letters of one word follow each other within this time.
const TYPING: Duration = Duration::from_millis(700);

/// What was typed before a question stood there for so long was meant for something else.
pub const SETTLE: Duration = Duration::from_millis(250);

/// What the desk is told once.
#[derive(Clone, Debug)]
pub struct Setup {
    pub policy: Arc<Policy>,
    pub zone: TimeZone,
    /// The tenant's name until sign-in tells a better one.
    pub tenant: String,
    /// Of several profiles, which this is: its number and its label.
    pub profile: Option<(usize, String)>,
    /// The ways of signing in that the settings offer.
    pub ways: Ways,
    /// Whether a browser can be opened here: over ssh and without a display none can.
    pub opens_browser: bool,
    /// The simulated tenant: DEMO on every screen.
    pub simulation: bool,
    /// The demo: a caller says what to type, and sign-ins are approved by themselves.
    pub demo: bool,
    pub glyphs: Glyphs,
    pub colours: Colours,
    pub now: Moment,
    pub cols: u16,
    pub rows: u16,
}

/// Why the desk cannot open: a file that ships inside the program is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    #[error(transparent)]
    Keymap(#[from] KeymapError),
    #[error(transparent)]
    Runbook(#[from] RunbookError),
}

/// All state of the interface. Changed by [`super::update()`] alone, drawn by [`super::view()`].
#[derive(Debug)]
pub struct Model {
    pub(super) setup: Setup,
    pub(super) keymap: Keymap,
    pub(super) runbook: Runbook,
    pub(super) now: Moment,
    pub(super) cols: u16,
    pub(super) rows: u16,
    /// The terminal window has the focus, as far as it says.
    pub(super) focused: bool,
    pub(super) asks: Asks,
    pub(super) effects: Vec<Effect>,
    pub(super) session: Session,
    pub(super) lights: Lights,
    pub(super) listing: Listing,
    pub(super) debts: Vec<Debt>,
    /// Who follows them.
    pub(super) watch: Watch,
    /// Calls not closed, other than the one at the desk.
    pub(super) calls: Vec<Call>,
    /// What was typed in calls put aside at this desk.
    pub(super) drafts: BTreeMap<CallId, Draft>,
    pub(super) incoming: Option<IncomingCaller>,
    /// What the start found out about an earlier end, in sentences; until the first call opens.
    pub(super) recovered: Vec<String>,
    pub(super) find: Find,
    pub(super) call: Option<CallDesk>,
    /// Pages over the desk, the top one last.
    pub(super) pages: Vec<Page>,
    pub(super) stop: Option<Stop>,
    pub(super) quit: Option<Quit>,
    /// The profile to open once this desk is left.
    pub(super) switch_to: Option<String>,
    /// Since when nothing has answered: the last request could not reach Entra or Intune.
    pub(super) offline: Option<Timestamp>,
    /// Entra or Intune asked us to wait: whom, and until when.
    pub(super) waits: Waits,
    /// What F5 asked last.
    pub(super) looking: Option<AskId>,
    pub(super) toast: Option<Toast>,
    pub(super) presses: Presses,
}

/// A notice that goes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    pub text: String,
    pub role: Role,
    pub until: Deadline,
}

/// Tells a key pressed on purpose from one held down. Terminals without a keyboard protocol report a held key as pressed again and
/// again, so what discloses or closes also wants a pause, or another key, before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presses {
    last: Option<(KeyCombination, Moment)>,
    deliberate: bool,
    after_pause: bool,
}

impl Presses {
    pub fn press(&mut self, key: KeyCombination, repeat: bool, now: Moment) {
        let held = self.last.is_some_and(|(last, at)| last == key && !at.in_(HELD).passed(now));
        let ahead = self.last.is_some_and(|(_, at)| !at.in_(BURST).passed(now));
        self.deliberate = !repeat && !held && !ahead;
        self.after_pause = self.last.is_none_or(|(_, at)| at.in_(TYPING).passed(now));
        self.last = Some((key, now));
    }

    pub fn deliberate(&self) -> bool {
        self.deliberate
    }

    /// Not one of a word that is being typed.
    pub fn after_pause(&self) -> bool {
        self.after_pause
    }
}

impl Model {
    pub fn new(setup: Setup) -> Result<Self, AssetError> {
        Ok(Self {
            keymap: Keymap::shipped()?,
            runbook: Runbook::recovery_call()?,
            now: setup.now,
            cols: setup.cols,
            rows: setup.rows,
            focused: true,
            asks: Asks::default(),
            effects: Vec::new(),
            session: Session::new(&setup),
            lights: Lights::default(),
            listing: Listing::default(),
            debts: Vec::new(),
            watch: Watch::default(),
            calls: Vec::new(),
            drafts: BTreeMap::new(),
            incoming: None,
            recovered: Vec::new(),
            find: Find::default(),
            call: None,
            pages: Vec::new(),
            stop: None,
            quit: None,
            switch_to: None,
            offline: None,
            waits: Waits::default(),
            looking: None,
            toast: None,
            presses: Presses::default(),
            setup,
        })
    }

    /// Where the ledger cannot be opened: nothing but the red stop, which asks what was left from before once it is told to try again.
    pub fn stopped(setup: Setup, failure: Failure) -> Result<Self, AssetError> {
        let mut model = Self::new(setup)?;
        model.stop = Some(Stop { request: Request::CatchUp, failure });
        Ok(model)
    }

    /// What is asked before the first key: what was left from before, sign-in, and the demo's first caller.
    pub fn start(&mut self) -> Vec<Effect> {
        self.ask(Request::CatchUp);
        self.ask(Request::Resume);
        if self.setup.demo {
            self.ask(Request::NextCaller);
        }
        self.take_effects()
    }

    /// Sends a question out.
    pub(super) fn ask(&mut self, request: Request) -> AskId {
        let (ask, stale) = self.asks.open(&request);
        self.effects.extend(stale.into_iter().map(|ask| Effect::Cancel { ask }));
        self.effects.push(Effect::Ask { ask, request });
        ask
    }

    /// Stops waiting for every question of this kind.
    pub(super) fn forget(&mut self, like: &Request) {
        let stale = self.asks.forget(like);
        self.effects.extend(stale.into_iter().map(|ask| Effect::Cancel { ask }));
    }

    /// Stops waiting for every question of which this holds.
    pub(super) fn forget_those(&mut self, is: impl Fn(&Request) -> bool) {
        let stale = self.asks.forget_those(is);
        self.effects.extend(stale.into_iter().map(|ask| Effect::Cancel { ask }));
    }

    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(super) fn toast(&mut self, role: Role, text: impl Into<String>) {
        self.toast = Some(Toast { text: text.into(), role, until: self.now.in_(TOAST) });
    }

    /// Enter looked held down: says what to do.
    pub(super) fn let_go(&mut self) {
        self.toast(Role::Warn, "Let go of Enter, then press it once more.");
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.setup.policy)
    }

    /// Whether the policy lets text without secrets into the clipboard here.
    pub(super) fn may_copy(&self) -> bool {
        self.setup.policy.copy.holds(self.setup.simulation)
    }

    pub(super) fn is_too_small(&self) -> bool {
        self.cols < LEAST_COLS || self.rows < LEAST_ROWS
    }

    /// What F5 asked is still being asked.
    pub(super) fn is_looking(&self) -> bool {
        self.looking.is_some_and(|ask| self.asks.get(ask).is_some())
    }

    /// The list is being walked, or is about to be.
    pub(super) fn is_listing(&self) -> bool {
        self.listing.running || self.asks.any(|request| *request == Request::SyncIndex)
    }

    /// Debts whose rotation has not gone out.
    pub(super) fn unsent(&self) -> usize {
        self.debts.iter().filter(|debt| debt.is_unsent()).count()
    }

    /// The failure that stands on the screen.
    pub(super) fn shown_failure(&self) -> Option<&Failure> {
        match self.place() {
            Place::SignIn => self.session.failure(),
            Place::Debts | Place::Debt | Place::Calls | Place::Audit => match self.pages.last()? {
                Page::Debts(page) => page.failure(),
                Page::Calls(page) => page.failure(),
                Page::Audit(page) => page.failure(),
                _ => None,
            },
            Place::Stop => self.stop.as_ref().map(|stop| &stop.failure),
            Place::Find | Place::Matches => self.find.failure(),
            Place::Claim | Place::How | Place::Ticket | Place::Reasons | Place::Read | Place::Close => {
                self.call.as_ref()?.failure.as_ref()
            }
            _ => None,
        }
    }

    /// What the runbook can see of the call.
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        match &self.call {
            Some(call) => call.evidence(),
            None => self.find.evidence(),
        }
    }

    pub(super) fn walk(&self) -> Walk<'_> {
        Walk::new(&self.runbook, self.evidence())
    }

    /// Where keys act now.
    pub(super) fn place(&self) -> Place {
        if self.is_too_small() {
            return Place::Small;
        }
        if self.quit.is_some() {
            return Place::Quit;
        }
        if let Some(page) = self.pages.last() {
            return page.place();
        }
        if self.stop.is_some() {
            return Place::Stop;
        }
        let on_stage = self.call.as_ref().and_then(|call| call.stage.as_ref()).is_some_and(Stage::is_on);
        if !self.session.is_known() || (self.session.is_renewing() && !on_stage) {
            return Place::SignIn;
        }
        match &self.call {
            Some(call) => call.place(),
            None => self.find.place(),
        }
    }

    /// The place under the pages: what F1 explains.
    pub(super) fn place_below(&self) -> Place {
        let below = self.pages.iter().rev().find(|page| page.place() != Place::Help);
        match (below, &self.stop, self.session.is_known(), &self.call) {
            (Some(page), ..) => page.place(),
            (_, Some(_), ..) => Place::Stop,
            (_, _, false, _) => Place::SignIn,
            (_, _, _, Some(call)) => call.place(),
            (_, _, _, None) => self.find.place(),
        }
    }
}
