//! When each open rotation is looked at next. Kept in the store, so that a restart goes on where it was; held against both clocks, so that
//! a wall clock that jumps silences nothing.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;

use crate::{
    domain::{
        debt::RotationId,
        moment::{Deadline, Moment, since},
    },
    store::watch::Look,
};

/// How much longer each pause is than the one before, in percent.
const GROWTH: u32 = 150;
/// A pause is shorter or longer by at most so much, in thousandths: desks that were started together do not ask together.
const JITTER: u32 = 150;

/// The policy's two pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    pub first: Duration,
    pub longest: Duration,
}

/// What a look brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Changed,
    Same,
    /// Entra or Intune could not be asked, or their answer was of no use.
    Failed,
}

impl Pauses {
    /// The look after `before`: soon again when something changed, later and later when nothing does.
    pub(super) fn after(self, before: Option<&Look>, rotation: RotationId, step: Step, now: Timestamp) -> Look {
        let pause = match before {
            Some(look) if step != Step::Changed => self.grown(look.pause),
            _ => self.first,
        };
        let count = before.map_or(1, |look| look.count.wrapping_add(1));
        Look { rotation, last: now, pause, count, failed: step == Step::Failed }
    }

    /// The pause after this one.
    pub(super) fn grown(self, pause: Duration) -> Duration {
        (pause.saturating_mul(GROWTH) / 100).min(self.longest)
    }

    /// How long a rotation rests after this look. An urgent one half as long.
    fn rest(self, look: &Look, urgent: bool) -> Duration {
        let pause = look.pause.min(self.longest) / if urgent { 2 } else { 1 };
        jittered(pause, look.rotation.0.as_u128(), look.count).min(self.longest)
    }
}

/// `pause`, by up to 15 % shorter or longer: which follows from `seed` and `count` alone.
pub(super) fn jittered(pause: Duration, seed: u128, count: u32) -> Duration {
    let [high, low] = [seed >> 64, seed & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or_default());
    // splitmix64
    let mut mixed = (high ^ low).wrapping_add(u64::from(count).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    let off = u32::try_from(mixed % u64::from(2 * JITTER + 1)).unwrap_or(JITTER);
    pause.saturating_mul(1000 - JITTER + off) / 1000
}

/// What this process has seen of the schedule, and until when it waits by either clock.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    seen: HashMap<RotationId, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    last: Timestamp,
    urgent: bool,
    due: Deadline,
}

impl Agenda {
    /// How long until a rotation is looked at again; at once if it never was, or if the clock stands before its last look.
    pub(super) fn left(&mut self, look: Option<&Look>, urgent: bool, now: Moment, pauses: Pauses) -> Duration {
        let Some(look) = look.filter(|look| look.last <= now.wall) else { return Duration::ZERO };
        let left = pauses.rest(look, urgent).saturating_sub(since(look.last, now.wall));
        let seen = self.seen.get(&look.rotation).filter(|seen| seen.last == look.last && seen.urgent == urgent);
        if let Some(seen) = seen {
            return seen.due.left(now);
        }
        self.seen.insert(look.rotation, Seen { last: look.last, urgent, due: now.in_(left) });
        left
    }

    /// Forgets those that ended.
    pub(super) fn keep(&mut self, open: impl Fn(RotationId) -> bool) {
        self.seen.retain(|id, _| open(*id));
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;

    const PAUSES: Pauses = Pauses { first: Duration::from_secs(20), longest: Duration::from_mins(1) };
    const ID: RotationId = RotationId(Uuid::from_u128(0x0193_5c1a_77b0_7e2f_91c0_4f2b_91c0_0421));

    fn wall() -> Timestamp {
        "2026-11-20T09:00:00Z".parse().unwrap()
    }

    fn moment(wall_seconds: i64, up_seconds: u64) -> Moment {
        Moment { wall: wall() + SignedDuration::from_secs(wall_seconds), up: Duration::from_secs(up_seconds) }
    }

    fn looked(pause: Duration) -> Look {
        Look { rotation: ID, last: wall(), pause, count: 1, failed: false }
    }

    #[test]
    fn pauses_grow_by_half_while_nothing_changes_and_shrink_when_something_does() {
        let mut look = None;
        let mut pauses = Vec::new();
        for _ in 0..5 {
            let next = PAUSES.after(look.as_ref(), ID, Step::Same, wall());
            pauses.push(next.pause.as_millis());
            look = Some(next);
        }
        assert_eq!(pauses, [20_000, 30_000, 45_000, 60_000, 60_000]);
        let rest = PAUSES.rest(&look.unwrap(), false);
        assert!(rest <= PAUSES.longest && rest >= PAUSES.longest * 85 / 100, "{rest:?}");
        assert_eq!(PAUSES.after(look.as_ref(), ID, Step::Changed, wall()).pause, PAUSES.first);
        assert_eq!(look.unwrap().count, 5);
    }

    #[test]
    fn no_pause_is_more_than_fifteen_percent_off_and_they_differ() {
        let pause = Duration::from_secs(1000);
        let mut rests: Vec<u64> = (0..200).map(|n| jittered(pause, ID.0.as_u128(), n).as_secs()).collect();
        assert!(rests.iter().all(|rest| (850..=1150).contains(rest)), "{rests:?}");
        rests.sort_unstable();
        assert!(rests[0] < 880 && rests[199] > 1120, "the whole width is used: {rests:?}");
        assert_eq!(jittered(pause, 7, 3), jittered(pause, 7, 3));
        assert_ne!(jittered(pause, 7, 3), jittered(pause, 8, 3));
    }

    #[test]
    fn what_was_read_to_the_wrong_person_is_looked_at_twice_as_often() {
        let look = looked(PAUSES.first);
        assert_eq!(PAUSES.rest(&look, true), PAUSES.rest(&look, false) / 2);
        let mut agenda = Agenda::default();
        let usual = agenda.left(Some(&look), false, moment(0, 0), PAUSES);
        // It becomes so in the middle of a pause.
        assert_eq!(agenda.left(Some(&look), true, moment(0, 0), PAUSES), usual / 2);
    }

    #[test]
    fn a_restart_goes_on_in_the_pause_it_was_in() {
        let look = looked(PAUSES.first);
        let rest = PAUSES.rest(&look, false);
        // Another process: its own clock begins anew.
        let left = Agenda::default().left(Some(&look), false, moment(12, 0), PAUSES);
        assert_eq!(left + Duration::from_secs(12), rest);
        assert_eq!(Agenda::default().left(None, false, moment(12, 0), PAUSES), Duration::ZERO);
    }

    #[test]
    fn no_jump_of_the_wall_clock_silences_a_rotation_for_longer_than_the_longest_pause() {
        let look = looked(PAUSES.longest);
        let rest = PAUSES.rest(&look, false);
        for jump in [-86_400 * 900, -3_600, -30, -1, 1, 30, 3_600, 86_400 * 900] {
            let mut agenda = Agenda::default();
            agenda.left(Some(&look), false, moment(0, 0), PAUSES);
            // The clock jumps half a minute into the pause; then the process's own goes on alone.
            let silent = (30..=120).find(|&up| {
                let wall = 30 + jump + i64::try_from(up).unwrap() - 30;
                agenda.left(Some(&look), false, moment(wall, up), PAUSES).is_zero()
            });
            let silent = Duration::from_secs(silent.unwrap_or_else(|| panic!("silent after a jump of {jump} s")));
            assert!(silent <= rest + Duration::from_secs(1), "{jump} s: silent for {silent:?} of {rest:?}");
            // The same in a process that starts after the jump.
            let left = Agenda::default().left(Some(&look), false, moment(30 + jump, 0), PAUSES);
            assert!(left <= PAUSES.longest, "{jump} s: {left:?}");
        }
    }
}
