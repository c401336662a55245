//! Entra or Intune asks us to wait: for what, and until when.

use std::collections::BTreeMap;

use crate::domain::{
    moment::{Deadline, Moment},
    work::{AskId, Waiting},
};

#[derive(Clone, Debug, Default)]
pub struct Waits {
    asks: BTreeMap<AskId, Deadline>,
    /// What runs behind the desk waits.
    behind: Option<Deadline>,
}

impl Waits {
    /// The question `ask` waits.
    pub fn begin(&mut self, ask: AskId, waiting: Waiting, now: Moment) {
        self.asks.insert(ask, now.in_(waiting.for_));
    }

    /// Something behind the desk does.
    pub fn begin_behind(&mut self, waiting: Waiting, now: Moment) {
        self.behind = Some(now.in_(waiting.for_));
    }

    /// The question was answered.
    pub fn end(&mut self, ask: AskId) {
        self.asks.remove(&ask);
    }

    /// Forgets the waits that are over.
    pub fn expire(&mut self, now: Moment) {
        self.asks.retain(|_, until| !until.passed(now));
        self.behind.take_if(|until| until.passed(now));
    }

    /// The longest wait of a question that `is` one of those meant.
    pub fn longest(&self, now: Moment, is: impl Fn(AskId) -> bool) -> Option<Deadline> {
        let all = self.asks.iter().filter(|(ask, _)| is(**ask)).map(|(_, until)| *until);
        all.max_by_key(|until| until.left(now))
    }

    pub fn behind(&self) -> Option<Deadline> {
        self.behind
    }
}
