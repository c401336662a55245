//! Small phrases several screens share.

use std::time::Duration;

use jiff::Timestamp;

use unicode_width::UnicodeWidthStr;

use super::{canvas::cut, model::Model};
use crate::domain::{
    age,
    debt::{Block, Debt, DebtState, DebtSummary, RotationState},
    foreign::Foreign,
    key::Volume,
    moment::since,
    work::sync_index::Listing,
};

/// "Two", up to ten in words.
pub fn number(n: usize) -> String {
    const WORDS: [&str; 11] = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten"];
    WORDS.get(n).map_or_else(|| n.to_string(), |word| (*word).to_owned())
}

/// "Two more characters".
pub fn more_characters(n: usize) -> String {
    format!("{} more character{}", number(n), if n == 1 { "" } else { "s" })
}

/// Status line: "no debts", "2 debts, 3 h", "× 2 debts, 2 d"; with room "2 debts, oldest 3 h". In fewer than it wants of `room`
/// columns the comma goes first, then the age.
pub fn debts(summary: DebtSummary, now: Timestamp, roomy: bool, room: usize) -> String {
    let Some(oldest) = summary.oldest else { return "no debts".into() };
    let mark = if summary.blocked || summary.urgent { "× " } else { "" };
    let age = since(oldest, now);
    let age = if age < Duration::from_mins(1) { "new".into() } else { age::short(age) };
    let oldest = if roomy && summary.open > 1 { "oldest " } else { "" };
    let count = age::count(summary.open, "debt");
    let forms = [format!("{mark}{count}, {oldest}{age}"), format!("{mark}{count} {age}")];
    forms.into_iter().find(|said| said.width() <= room).unwrap_or_else(|| format!("{mark}{count}"))
}

/// Status line: how full the index is. The spinner comes before it while a walk runs.
pub fn listing(listing: &Listing, now: Timestamp) -> String {
    let keys = age::count(listing.keys, "key");
    match (listing.running, listing.complete_since, &listing.stopped) {
        (true, None, _) => format!("{keys} so far"),
        (true, Some(_), _) => format!("{keys}, looking"),
        (false, _, Some(_)) => format!("× {keys}, the list stopped"),
        (false, Some(at), None) => format!("{keys}, {}", age::ago(at, now)),
        (false, None, None) => "no list yet".into(),
    }
}

/// What a debt waits for, in `room` columns: "HVC-LT-0098: sent 6 min ago, not checked in since".
pub fn owed(debt: &Debt, now: Timestamp, room: usize) -> String {
    let state = match debt.rotation.as_ref().map(|r| (&r.state, r.checked_in)) {
        None => "nothing sent yet".to_owned(),
        Some((RotationState::Held { .. }, _)) => {
            format!("read {}, replacement held", age::ago(debt.since, now))
        }
        Some((RotationState::Sending { .. }, _)) => "replacement being sent".into(),
        Some((RotationState::Accepted { at }, seen)) => {
            let sent = age::ago(*at, now);
            match seen {
                Some(seen) if seen >= *at => format!("sent {sent}, checked in {}", age::ago(seen, now)),
                _ => format!("sent {sent}, not checked in since"),
            }
        }
        Some((RotationState::Reported { .. } | RotationState::Over { .. }, _)) => {
            "the laptop is done, its new key is awaited".into()
        }
        Some((RotationState::Blocked { why: Block::OnHold, .. }, _)) => "on hold".into(),
        Some((RotationState::Blocked { .. }, _)) => "× blocked, F2 says why".into(),
    };
    let name = &debt.device_name;
    if name.is_right_to_left() {
        return format!("{state}: {name}");
    }
    format!("{}: {state}", fitting(name, state.width() + 2, room))
}

/// `name` in what `facts` columns leave of `room`: a name is cut, the facts after it never.
pub fn fitting(name: &Foreign, facts: usize, room: usize) -> String {
    const LEAST: usize = 6;
    cut(&name.to_string(), room.saturating_sub(facts).max(LEAST))
}

/// A name and what follows it in `room` columns; a right-to-left name goes last.
pub fn named(name: &Foreign, rest: &str, room: usize) -> String {
    if name.is_right_to_left() {
        return format!("{rest}, {name}");
    }
    format!("{}, {rest}", fitting(name, rest.width() + 2, room))
}

/// The newest replacement proved within `within` of `now`.
pub fn just_proved(debts: &[Debt], now: Timestamp, within: std::time::Duration) -> Option<&Debt> {
    let proved_at = |debt: &&Debt| match debt.state {
        DebtState::Proved { at, .. } if since(at, now) <= within => Some(at),
        _ => None,
    };
    debts.iter().filter(|debt| proved_at(debt).is_some()).max_by_key(|debt| proved_at(debt))
}

/// "OS drive, escrowed 2 Mar 2026".
pub fn drive_and_date(model: &Model, volume: Volume, escrowed: Timestamp) -> String {
    format!("{}, escrowed {}", volume.words(), age::date(escrowed, &model.setup.zone))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(2, 3 * 3600, false, "2 debts, 3 h")]
    #[case(2, 50 * 3600, true, "× 2 debts, 2 d")]
    #[case(2, 120, true, "× 2 debts")]
    #[case(2, 40 * 60, false, "2 debts 40 min")]
    #[case(12, 50 * 3600, true, "× 12 debts 2 d")]
    #[case(120, 50 * 3600, true, "× 120 debts")]
    fn the_debts_never_run_into_the_lights(
        #[case] open: usize,
        #[case] seconds: i64,
        #[case] blocked: bool,
        #[case] said: &str,
    ) {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let oldest = Some(now - jiff::SignedDuration::from_secs(seconds));
        let summary = DebtSummary { open, oldest, blocked, urgent: false };
        assert_eq!(debts(summary, now, false, 14), said);
        let urgent = DebtSummary { urgent: true, blocked: false, ..summary };
        assert!(debts(urgent, now, false, 14).starts_with("× "), "what was read to the wrong person is marked");
    }
}
