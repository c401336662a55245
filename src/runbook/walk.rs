//! The walk through a runbook: its state is nothing but the evidence seen, so it cannot disagree with the call.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Runbook, Step};

/// What the program can see of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Something of a key ID was read out.
    SomethingHeard,
    /// All eight characters, and they name one key.
    KeyHeard,
    CallerVerified,
    /// Ticket and reason are recorded and the key is asked for.
    KeyAsked,
    /// The digits were read: the caller is being waited for.
    KeyRead,
    InWindows,
    CallClosed,
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Done,
    Now,
    ToCome,
}

/// A runbook with the evidence seen so far.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    runbook: &'a Runbook,
    seen: BTreeSet<Evidence>,
}

impl<'a> Walk<'a> {
    pub fn new(runbook: &'a Runbook, seen: impl IntoIterator<Item = Evidence>) -> Self {
        Self { runbook, seen: seen.into_iter().collect() }
    }

    /// The index of the first step whose evidence is missing; the last step when none is.
    pub fn now(&self) -> usize {
        let missing = self.runbook.steps.iter().position(|step| !self.seen.contains(&step.done));
        missing.unwrap_or(self.runbook.steps.len() - 1)
    }

    pub fn step(&self) -> &'a Step {
        &self.runbook.steps[self.now()]
    }

    pub fn mark(&self, index: usize) -> Mark {
        match index.cmp(&self.now()) {
            std::cmp::Ordering::Less => Mark::Done,
            std::cmp::Ordering::Equal => Mark::Now,
            std::cmp::Ordering::Greater => Mark::ToCome,
        }
    }

    /// Every step with its mark, in order.
    pub fn steps(&self) -> impl Iterator<Item = (Mark, &'a Step)> {
        self.runbook.steps.iter().enumerate().map(|(n, step)| (self.mark(n), step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_tick_themselves_as_evidence_is_seen() {
        let runbook = Runbook::recovery_call().unwrap();
        let rail = |seen: &[Evidence]| Walk::new(&runbook, seen.iter().copied()).step().rail.clone();
        assert_eq!(rail(&[]), "Screen");
        assert_eq!(rail(&[Evidence::SomethingHeard]), "Key ID");
        assert_eq!(rail(&[Evidence::SomethingHeard, Evidence::KeyHeard]), "Caller");
    }

    #[test]
    fn a_step_whose_evidence_is_missing_stays_the_current_one_whatever_came_later() {
        let runbook = Runbook::recovery_call().unwrap();
        let walk = Walk::new(&runbook, [Evidence::SomethingHeard, Evidence::KeyHeard, Evidence::InWindows]);
        assert_eq!(walk.step().rail, "Caller");
        assert_eq!(walk.mark(5), Mark::ToCome);
        let marks: Vec<Mark> = walk.steps().map(|(mark, _)| mark).collect();
        assert_eq!(&marks[..3], [Mark::Done, Mark::Done, Mark::Now]);
    }

    #[test]
    fn with_all_evidence_the_last_step_stands() {
        let runbook = Runbook::recovery_call().unwrap();
        let all = runbook.steps.iter().map(|step| step.done).collect::<Vec<_>>();
        assert_eq!(Walk::new(&runbook, all).step().rail, "Close");
    }
}
