//! Simulated time: the wall clock and an offset that never shrinks.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Tells the tenant's time. The `Date` header, every record and every token follow it.
#[derive(Debug, Default)]
pub struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// A clock that is `offset_ms` milliseconds ahead of the wall clock, or behind it where that is negative.
    pub fn ahead(offset_ms: i64) -> Self {
        Self { offset_ms: AtomicI64::new(offset_ms) }
    }

    pub fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_millis(self.offset_ms());
        Timestamp::now().checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Acquire)
    }

    /// Let `by` pass at once. Time never goes back: a negative length changes nothing.
    pub fn advance(&self, by: SignedDuration) {
        let step = i64::try_from(by.as_millis().max(0)).unwrap_or(0);
        self.offset_ms.fetch_add(step, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advanced_clock_is_ahead_by_that_much_and_never_goes_back() {
        let clock = Clock::default();
        let before = clock.now();
        clock.advance(SignedDuration::from_hours(2));
        clock.advance(SignedDuration::from_hours(-5));
        let gone = clock.now().duration_since(before);
        assert!(gone >= SignedDuration::from_hours(2) && gone < SignedDuration::from_hours(3), "{gone:?}");
    }
}
