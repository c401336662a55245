//! Whether somebody is at the desk: after some idle time it locks, and only a fresh sign-in opens it again.

use std::time::Duration;

use jiff::Timestamp;

use super::moment::{Deadline, Moment};

/// Locks by itself, once no key came for a while. What has locked stays so, whatever a clock says afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attendance {
    after: Duration,
    /// `None`: locked.
    until: Option<Deadline>,
}

impl Attendance {
    /// Somebody has just signed in; the desk locks `after` this long without a key.
    pub fn begin(now: Moment, after: Duration) -> Self {
        Self { after, until: Some(now.in_(after)) }
    }

    /// A remembered session is taken up: the desk opens only to who was there less than `after` ago, which `last` says of them. Otherwise
    /// whoever starts the program anew would open a desk that had locked.
    pub fn resume(now: Moment, after: Duration, last: Option<Timestamp>) -> Self {
        let idle = last.map(|last| now.wall.duration_since(last));
        // A last time that is yet to come is a clock that was set.
        let was_there = idle.and_then(|idle| Duration::try_from(idle).ok()).is_some_and(|idle| idle < after);
        if was_there { Self::begin(now, after) } else { Self::locked(after) }
    }

    /// Locked from the start.
    pub fn locked(after: Duration) -> Self {
        Self { after, until: None }
    }

    /// A key was pressed. A locked desk stays locked.
    pub fn touch(&mut self, now: Moment) {
        if !self.is_locked(now) {
            self.until = Some(now.in_(self.after));
        }
    }

    /// Whether the time has passed, now or ever since it began.
    pub fn is_locked(&mut self, now: Moment) -> bool {
        self.until.take_if(|until| until.passed(now));
        self.until.is_none()
    }

    /// When it locks; `None` when it has.
    pub fn locks_at(&self) -> Option<Deadline> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_mins(15);

    fn moment(wall: i64, up: u64) -> Moment {
        Moment { wall: Timestamp::from_second(wall).unwrap(), up: Duration::from_secs(up) }
    }

    #[test]
    fn each_key_puts_the_lock_off() {
        let mut desk = Attendance::begin(moment(10_000, 0), AFTER);
        desk.touch(moment(10_600, 600));
        assert!(!desk.is_locked(moment(11_400, 1_400)));
        assert!(desk.is_locked(moment(11_500, 1_500)));
    }

    #[test]
    fn a_key_opens_no_locked_desk() {
        let mut desk = Attendance::begin(moment(10_000, 0), AFTER);
        desk.touch(moment(10_900, 900));
        assert!(desk.is_locked(moment(10_901, 901)));
    }

    #[test]
    fn a_program_started_anew_is_open_only_to_who_was_just_there() {
        let now = moment(10_000, 0);
        let resumed = |last: Option<i64>| {
            Attendance::resume(now, AFTER, last.map(|last| Timestamp::from_second(last).unwrap())).is_locked(now)
        };
        assert!(!resumed(Some(9_200)) && !resumed(Some(10_000)));
        assert!(resumed(Some(9_100)), "fifteen minutes ago");
        assert!(resumed(Some(10_001)), "the clock was set back");
        assert!(resumed(None));
    }

    #[test]
    fn a_clock_set_back_neither_keeps_it_open_nor_opens_it() {
        let mut desk = Attendance::begin(moment(10_000, 0), AFTER);
        assert!(desk.is_locked(moment(2_000, 900)), "by the clock that cannot jump");
        let mut slept = Attendance::begin(moment(10_000, 0), AFTER);
        assert!(slept.is_locked(moment(20_000, 1)), "the laptop slept");
        assert!(slept.is_locked(moment(10_001, 2)), "what has locked stays so");
    }
}
