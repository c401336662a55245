//! Time as a value: what `update` and the rules are told instead of reading a clock.

use std::time::Duration;

use jiff::Timestamp;

/// One instant, on two clocks: the wall's, which can jump, and the process's own, which cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub wall: Timestamp,
    /// Since the program started; monotonic, but may stand still while the machine sleeps.
    pub up: Duration,
}

/// A promise to act by a certain time. It has passed as soon as *either* clock says so: a wall clock set back must not keep a key
/// on screen, and neither must a laptop that slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    wall: Timestamp,
    up: Duration,
}

impl Moment {
    /// The deadline `after` this moment.
    pub fn in_(self, after: Duration) -> Deadline {
        Deadline { wall: later(self.wall, after), up: self.up + after }
    }
}

impl Deadline {
    pub fn passed(self, now: Moment) -> bool {
        self.left(now).is_zero()
    }

    /// What is left, by the clock that is further ahead.
    pub fn left(self, now: Moment) -> Duration {
        let by_wall = Duration::try_from(self.wall.duration_since(now.wall)).unwrap_or(Duration::ZERO);
        by_wall.min(self.up.saturating_sub(now.up))
    }
}

/// `at + after`, held at the end of time instead of overflowing.
pub fn later(at: Timestamp, after: Duration) -> Timestamp {
    at.checked_add(after).unwrap_or(Timestamp::MAX)
}

/// How long ago `then` was; zero when it lies in the future.
pub fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(wall: i64, up: u64) -> Moment {
        Moment { wall: Timestamp::from_second(wall).unwrap(), up: Duration::from_secs(up) }
    }

    #[test]
    fn a_deadline_passes_when_the_wall_clock_was_set_back() {
        let deadline = moment(1_000, 0).in_(Duration::from_mins(1));
        assert!(!deadline.passed(moment(500, 59)));
        assert!(deadline.passed(moment(500, 60)));
    }

    #[test]
    fn a_deadline_passes_when_the_machine_slept() {
        let deadline = moment(1_000, 0).in_(Duration::from_mins(1));
        assert!(deadline.passed(moment(1_060, 1)));
    }
}
