//! Time: what passes by itself, and when the desk wants to be woken next.

use std::time::Duration;

use super::{
    keymap::Place,
    model::Model,
    screens::{
        Quit, find, sign_in,
        stage::{self, Stage},
    },
};
use crate::domain::{
    age,
    debt::DebtSummary,
    moment::{Deadline, Moment, since},
    work::Request,
};

/// One frame of the spinner.
pub const SPINNER: Duration = Duration::from_millis(250);
const SECOND: Duration = Duration::from_secs(1);

/// Lets pass what has passed. Runs before every message, so that nothing outlives its time for want of a tick.
pub fn run(model: &mut Model) {
    let now = model.now;
    stage::expire(model);
    sign_in::lock(model);
    model.waits.expire(now);
    model.toast.take_if(|toast| toast.until.passed(now));
    find::pause(model);
}

impl Model {
    /// When [`super::Msg::Tick`] is wanted next; `None` when nothing changes by itself.
    pub fn next_deadline(&self, now: Moment) -> Option<Deadline> {
        let stage = self.call.as_ref().and_then(|call| call.stage.as_ref());
        let mut all: Vec<Deadline> = stage.into_iter().flat_map(Stage::deadlines).collect();
        all.extend(self.toast.as_ref().map(|toast| toast.until));
        all.extend(self.find.deadlines());
        all.extend(self.shown_ages().map(|age| now.in_(age::changes_in(age))));
        all.extend(self.session.locks_at());
        let counted = [self.shown_countdown(), self.shown_wait(), self.list_wait()];
        all.extend(counted.into_iter().flatten().map(|until| next_second(until, now)));
        if self.shows_spinner() {
            all.push(now.in_(SPINNER));
        }
        all.into_iter().min_by_key(|deadline| deadline.left(now))
    }

    /// The ages on screen: of the oldest debt and of the list. The stage shows none.
    fn shown_ages(&self) -> impl Iterator<Item = Duration> {
        let shown = !matches!(self.place(), Place::Stage | Place::Concealed | Place::Small);
        let oldest = DebtSummary::of(&self.debts).oldest;
        let ages = [oldest, self.listing.complete_since].into_iter().flatten();
        let now = self.now.wall;
        ages.filter(move |_| shown).map(move |then| since(then, now))
    }

    /// The countdown on screen, if there is one.
    fn shown_countdown(&self) -> Option<Deadline> {
        let place = self.place();
        match (place, &self.call) {
            (Place::SignIn, _) => self.session.countdown(),
            (Place::Stage | Place::Concealed | Place::Read, Some(call)) => {
                let stage = call.stage.as_ref()?;
                stage.deadlines().min_by_key(|deadline| deadline.left(self.now))
            }
            _ => None,
        }
    }

    /// How long what the technician waits for has been put off. The key request has a prompt of its own.
    pub(super) fn shown_wait(&self) -> Option<Deadline> {
        let behind = |request: &Request| matches!(request, Request::SyncIndex | Request::Disclose(_));
        self.waits.longest(self.now, |ask| self.asks.get(ask).is_some_and(|request| !behind(request)))
    }

    /// How long the list has been put off.
    pub(super) fn list_wait(&self) -> Option<Deadline> {
        let listing = |ask| self.asks.get(ask) == Some(&Request::SyncIndex);
        self.waits.longest(self.now, listing).or(self.waits.behind())
    }

    /// Whether something on screen is being waited for.
    fn shows_spinner(&self) -> bool {
        let place = self.place();
        let stage = matches!(place, Place::Stage | Place::Concealed | Place::Small);
        let listing = self.is_listing() || self.is_looking();
        let read =
            |request: &Request| matches!(request, Request::LookUp(_) | Request::OpenDevice(_) | Request::OpenCall(_));
        let waits = match place {
            Place::SignIn => self.session.is_waiting(),
            Place::Find | Place::Matches => self.asks.any(read),
            Place::Audit => self.asks.any(|request| matches!(request, Request::Reconcile(_))),
            Place::Quit => self.quit.as_ref().is_some_and(Quit::is_waiting),
            Place::Claim | Place::How | Place::Ticket | Place::Reasons | Place::Read | Place::Close => self
                .call
                .as_ref()
                .is_some_and(|call| call.card.is_none() || call.disclosing.is_some() || call.writing.is_some()),
            _ => false,
        };
        !stage && (listing || waits)
    }
}

/// When the countdown to `until` shows its next number.
fn next_second(until: Deadline, now: Moment) -> Deadline {
    let nanos = until.left(now).subsec_nanos();
    now.in_(if nanos == 0 { SECOND } else { Duration::from_nanos(u64::from(nanos)) })
}
