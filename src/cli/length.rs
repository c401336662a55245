//! A length of time, as arguments write it.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// `90s`, `10m`, `1h 30m`, `7d`; a day has 24 hours.
pub(super) fn length(text: &str) -> Result<Duration, String> {
    let span: Option<Span> = text.trim().parse().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let length = length.and_then(|length| Duration::try_from(length).ok()).filter(|length| !length.is_zero());
    length.ok_or_else(|| "a length of time such as 90s, 10m, 8h or 7d".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_its_unit() {
        assert_eq!(length("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(length("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(length(" 1h 30m "), Ok(Duration::from_mins(90)));
        assert_eq!(length("7d"), Ok(Duration::from_hours(168)));
        for text in ["", "10", "0s", "-5m", "soon"] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
