//! Whether somebody is at the desk: after some idle time it locks, and only a fresh sign-in opens it again.

use std::time::Duration;

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
    use jiff::Timestamp;

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
    fn a_clock_set_back_neither_keeps_it_open_nor_opens_it() {
        let mut desk = Attendance::begin(moment(10_000, 0), AFTER);
        assert!(desk.is_locked(moment(2_000, 900)), "by the clock that cannot jump");
        let mut slept = Attendance::begin(moment(10_000, 0), AFTER);
        assert!(slept.is_locked(moment(20_000, 1)), "the laptop slept");
        assert!(slept.is_locked(moment(10_001, 2)), "what has locked stays so");
    }
}
