//! What a debt waits for, in a sentence or two.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::{Debt, DebtState, Proof, Rotation, RotationState, Source, block::passing_words};
use crate::domain::{age, moment::since};

impl Debt {
    /// What it waits for, in a sentence or two.
    pub fn sentence(&self, now: Timestamp, zone: &TimeZone) -> String {
        match &self.state {
            DebtState::Proved { grade, new_key, at } => {
                let seen = match new_key {
                    Some(key) => format!("New key {} seen at {}", key.short(), age::clock(*at, zone)),
                    None => format!("Confirmed at {}", age::clock(*at, zone)),
                };
                match grade {
                    Proof::ByHand => format!("{seen} by a person."),
                    Proof::Confirmed if self.key_deleted.is_some() => {
                        format!("{seen}; Entra logged that the old one is deleted.")
                    }
                    Proof::Confirmed => format!("{seen}; the laptop reported success."),
                    Proof::NewKeySeen => format!("{seen}."),
                    Proof::Probable => format!("{seen}; probably in its place."),
                }
            }
            DebtState::Waived { reason, at } => format!("Waived at {}: {reason}.", age::clock(*at, zone)),
            DebtState::Cancelled { .. } => "The key was not handed out: nothing to replace.".into(),
            DebtState::Owed => {
                let waits = match (&self.rotation, self.source) {
                    (Some(rotation), _) => rotation.sentence(now, zone),
                    (None, Some(source)) => by_hand(source),
                    (None, None) => "Nothing is sent yet.".into(),
                };
                if self.compromised.is_some() { format!("Read to the wrong person, urgent. {waits}") } else { waits }
            }
        }
    }
}

fn by_hand(source: Source) -> String {
    format!(
        "Read from {}; no remote action reaches it. Have the key replaced at the laptop, then confirm it; or waive this \
         with a reason.",
        source.words()
    )
}

impl Rotation {
    fn sentence(&self, now: Timestamp, zone: &TimeZone) -> String {
        match &self.state {
            RotationState::Held { until } => {
                if let Some(busy) = self.busy {
                    let (why, again) = (passing_words(busy.hresult), age::clock(*until, zone));
                    let code = busy.hresult.cast_unsigned();
                    format!("Not done, {why} (0x{code:08X}). It is asked again by itself at {again}.")
                } else if *until > now {
                    format!("Held until the caller is in Windows, or {} at the latest.", age::clock(*until, zone))
                } else {
                    format!("Due since {}; it goes out as soon as Intune can be asked.", age::clock(*until, zone))
                }
            }
            RotationState::Sending { since: at } => {
                format!("Being sent since {}; Intune's answer is not known yet.", age::clock(*at, zone))
            }
            RotationState::Accepted { at } => {
                let sent = age::ago(*at, now);
                match self.checked_in {
                    Some(seen) if seen >= *at => {
                        format!("Sent {sent}; the laptop checked in at {}.", age::clock(seen, zone))
                    }
                    Some(seen) if since(seen, now) < Duration::from_hours(24) => {
                        format!("Sent {sent}; the laptop has not checked in since {}.", age::clock(seen, zone))
                    }
                    Some(seen) => format!("Sent {sent}; the laptop last checked in {}.", age::ago(seen, now)),
                    None => format!("Sent {sent}; the laptop has not checked in since."),
                }
            }
            RotationState::Reported { at } => {
                format!("The laptop reported success at {}; waiting for the new key in Entra.", age::clock(*at, zone))
            }
            RotationState::Blocked { why, .. } => why.sentence(now),
            RotationState::Over { .. } => "Nothing is left to send.".into(),
        }
    }
}
