//! Ages and dates in words, as every screen and every note says them.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::moment::since;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// "2 Mar 2026".
pub fn date(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b %Y").to_string()
}

/// "19 Oct": a date of the last eleven months, the year left out.
pub fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b").to_string()
}

/// "09:44".
pub fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M").to_string()
}

/// How long, shortest form for the status line: "40 s", "6 min", "3 h", "2 d".
pub fn short(span: Duration) -> String {
    match span.as_secs() {
        s if s < MINUTE => format!("{s} s"),
        s if s < HOUR => format!("{} min", s / MINUTE),
        s if s < 2 * DAY => format!("{} h", s / HOUR),
        s => format!("{} d", s / DAY),
    }
}

/// How old, for lists: "< 1 min", "6 min", "3 h", "2 d". Changes when [`changes_in`] says so, never by the second.
pub fn coarse(age: Duration) -> String {
    if age.as_secs() < MINUTE { "< 1 min".into() } else { short(age) }
}

/// How long until the words for this age change.
pub fn changes_in(age: Duration) -> Duration {
    let unit = match age.as_secs() {
        s if s < HOUR => MINUTE,
        s if s < 2 * DAY => HOUR,
        _ => DAY,
    };
    let unit = Duration::from_secs(unit);
    let past = Duration::from_nanos(u64::try_from(age.as_nanos() % unit.as_nanos()).unwrap_or(0));
    unit.saturating_sub(past)
}

/// "just now", "6 min ago", "3 h ago", "yesterday", "2 days ago", "3 weeks ago", "7 months ago", "2 years ago".
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    match since(then, now).as_secs() {
        s if s < MINUTE => "just now".into(),
        s if s < HOUR => format!("{} min ago", s / MINUTE),
        s if s < DAY => format!("{} h ago", s / HOUR),
        s if s < 2 * DAY => "yesterday".into(),
        s if s < 21 * DAY => format!("{} days ago", s / DAY),
        s if s < 61 * DAY => format!("{} weeks ago", s / (7 * DAY)),
        s if s < 730 * DAY => format!("{} months ago", s / (30 * DAY)),
        s => format!("{} years ago", s / (365 * DAY)),
    }
}

/// A countdown: "1:42", "0:07", "14:32".
pub fn countdown(left: Duration) -> String {
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    format!("{}:{:02}", seconds / MINUTE, seconds % MINUTE)
}

/// "1 key", "3 keys"; thousands grouped: "110,204 keys".
pub fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(n))
}

/// "110,204".
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_a_person_would_say_them() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let said = |secs: i64| ago(now - jiff::SignedDuration::from_secs(secs), now);
        assert_eq!(said(5), "just now");
        assert_eq!(said(-5), "just now");
        assert_eq!(said(360), "6 min ago");
        assert_eq!(said(30 * 3600), "yesterday");
        assert_eq!(said(2 * 86_400), "2 days ago");
        assert_eq!(said(215 * 86_400), "7 months ago");
    }

    #[test]
    fn an_age_changes_at_its_next_minute_hour_or_day() {
        assert_eq!(changes_in(Duration::from_secs(10)), Duration::from_secs(50));
        assert_eq!(changes_in(Duration::from_millis(61_500)), Duration::from_millis(58_500));
        assert_eq!(changes_in(Duration::from_secs(3 * HOUR + 60)), Duration::from_mins(59));
        assert_eq!(changes_in(Duration::from_secs(2 * DAY)), Duration::from_secs(DAY));
        assert_eq!(
            (coarse(Duration::from_secs(59)), coarse(Duration::from_mins(6))),
            ("< 1 min".into(), "6 min".into())
        );
    }

    #[test]
    fn counts_group_thousands_and_agree_in_number() {
        assert_eq!(count(1, "key"), "1 key");
        assert_eq!(count(110_204, "key"), "110,204 keys");
        assert_eq!(grouped(999), "999");
    }

    #[test]
    fn a_countdown_never_shows_zero_while_time_is_left() {
        assert_eq!(countdown(Duration::from_millis(400)), "0:01");
        assert_eq!(countdown(Duration::from_secs(102)), "1:42");
        assert_eq!(countdown(Duration::ZERO), "0:00");
    }
}
