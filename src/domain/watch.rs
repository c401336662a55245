//! Who follows what is owed on this machine: one process at a time looks and sends behind the desks.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{age, moment::since};

/// A run of `keydesk debts watch` counts so long: a task that ran within it is taken to run again.
pub const TASK_COUNTS: Duration = Duration::from_hours(24);

/// What a process that follows is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A console.
    Desk,
    /// `keydesk debts watch`, or a command that goes on with what is due before it ends.
    Watcher,
}

/// A living process that follows what is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    pub role: Role,
    /// Its process id.
    pub process: u32,
}

/// Who looks now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Nobody: nothing is open that could be followed, or nobody who could is signed in.
    #[default]
    Nobody,
    /// This process.
    This,
    Other(Follower),
}

/// Who follows what is owed, as the store says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    pub by: By,
    /// Lives beside this process, and takes over when whoever looks now ends.
    pub next: Option<Follower>,
    /// When `keydesk debts watch` last ran as a task, if within [`TASK_COUNTS`].
    pub task: Option<Timestamp>,
}

impl Follower {
    /// "Another desk on this machine (process 1234)", in the middle of a sentence or at its beginning.
    fn named(self, begins: bool) -> String {
        let what = match (self.role, begins) {
            (Role::Desk, true) => "Another desk on this machine",
            (Role::Desk, false) => "another desk on this machine",
            (Role::Watcher, _) => "keydesk debts watch",
        };
        format!("{what} (process {})", self.process)
    }
}

impl std::fmt::Display for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.named(false))
    }
}

impl Watch {
    /// Who else looks, in a sentence; nothing to say where this process does, or nobody.
    pub fn elsewhere(&self) -> Option<String> {
        match self.by {
            By::Other(follower) => Some(format!("{} follows what is owed.", follower.named(true))),
            By::This | By::Nobody => None,
        }
    }

    /// Who sends what this process leaves unsent, in a sentence. Nobody is named who is not there.
    pub fn who_sends(&self, count: usize, now: Timestamp) -> String {
        let them = if count == 1 { "it" } else { "them" };
        let other = match self.by {
            By::Other(follower) => Some(follower),
            By::This | By::Nobody => self.next,
        };
        if let Some(follower) = other {
            return format!("{} sends {them}.", follower.named(true));
        }
        match self.task.filter(|ran| since(*ran, now) < TASK_COUNTS) {
            Some(ran) => format!(
                "The next run of keydesk debts watch sends {them} (it ran {}), or the next start of keydesk.",
                age::ago(ran, now)
            ),
            None => format!("The next start of keydesk sends {them}, and nothing before."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
    const DESK: Follower = Follower { role: Role::Desk, process: 4711 };

    #[test]
    fn whoever_lives_beside_is_named_before_a_task_and_a_task_before_nobody() {
        let ran = Some(NOW - jiff::SignedDuration::from_mins(12));
        let by = |by, next, task| Watch { by, next, task }.who_sends(2, NOW);
        assert_eq!(by(By::Other(DESK), None, ran), "Another desk on this machine (process 4711) sends them.");
        let watcher = Follower { role: Role::Watcher, process: 12 };
        assert_eq!(by(By::This, Some(watcher), ran), "keydesk debts watch (process 12) sends them.");
        let task = "The next run of keydesk debts watch sends them (it ran 12 min ago), or the next start of keydesk.";
        assert_eq!(by(By::This, None, ran), task);
        assert_eq!(by(By::This, None, None), "The next start of keydesk sends them, and nothing before.");
    }

    #[test]
    fn a_task_that_has_not_run_for_a_day_is_not_counted_on() {
        let watch = Watch { task: Some(NOW - jiff::SignedDuration::from_hours(25)), ..Watch::default() };
        assert_eq!(watch.who_sends(1, NOW), "The next start of keydesk sends it, and nothing before.");
    }
}
