//! What became of one debt, step by step, as the ledger's rows tell it.

use std::collections::HashSet;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    age,
    call::DisclosureId,
    debt::{DebtId, RotationId, RotationState},
    event::{Event, Return, Row},
    foreign::{Foreign, printable},
    policy::Proof,
};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub at: Timestamp,
    /// The row in the ledger.
    pub seq: u64,
    /// One word.
    pub word: &'static str,
    /// Why, or how; a sentence.
    pub sentence: String,
    /// Who sat there: the user principal name.
    pub who: Option<Foreign>,
}

/// Collects a debt's steps from the rows, which are handed in in their order.
#[derive(Debug)]
pub struct Timeline {
    debt: DebtId,
    zone: TimeZone,
    disclosures: HashSet<DisclosureId>,
    rotations: HashSet<RotationId>,
    steps: Vec<Step>,
}

impl Timeline {
    pub fn new(debt: DebtId, zone: TimeZone) -> Self {
        Self { debt, zone, disclosures: HashSet::new(), rotations: HashSet::new(), steps: Vec::new() }
    }

    /// Takes a row, if it is about this debt.
    pub fn take(&mut self, row: &Row) {
        let told = self.of_key(row).or_else(|| self.of_debt(row)).or_else(|| self.of_rotation(row));
        let Some((word, sentence)) = told else { return };
        let who = row.stamp.technician.as_ref().map(|technician| technician.upn.clone());
        self.steps.push(Step { at: row.at, seq: row.seq, word, sentence, who });
    }

    pub fn steps(self) -> Vec<Step> {
        self.steps
    }

    fn until(&self, until: Timestamp, now: Timestamp) -> String {
        if until <= now {
            "To be sent at once.".into()
        } else {
            format!("Held until {} at the latest.", age::clock(until, &self.zone))
        }
    }

    /// The key: read, refused, read to the wrong person.
    fn of_key(&mut self, row: &Row) -> Option<(&'static str, String)> {
        Some(match &row.event {
            Event::Intended(intent) if intent.debt == self.debt => {
                self.disclosures.insert(intent.disclosure);
                let (key, device, ticket) = (intent.key.short(), &intent.device_name, &intent.ticket);
                ("owed", format!("{key} of {device} asked for: {ticket}, {}.", intent.reason_words))
            }
            Event::ExternalDisclosure(external) if external.debt == self.debt => {
                self.disclosures.insert(external.disclosure);
                self.rotations.extend(external.rotation.map(|held| held.rotation));
                let (key, source, device) = (external.key.short(), external.source.words(), &external.device_name);
                let (ticket, reason) = (&external.ticket, &external.reason_words);
                ("owed", format!("{key} of {device} was read from {source}: {ticket}, {reason}."))
            }
            Event::Served { disclosure, rotation, held_until, .. } if self.disclosures.contains(disclosure) => {
                self.rotations.insert(*rotation);
                ("read", format!("Entra handed the key out. {}", self.until(*held_until, row.at)))
            }
            Event::Unknown { disclosure, rotation, why, .. } if self.disclosures.contains(disclosure) => {
                self.rotations.insert(*rotation);
                ("unknown", format!("Entra may have handed the key out: {}. The debt stands.", printable(why)))
            }
            Event::Refused { disclosure, code, .. } if self.disclosures.contains(disclosure) => {
                ("refused", format!("Entra handed nothing out ({}).", printable(code)))
            }
            Event::Compromised { debt, words, .. } if *debt == self.debt => {
                let words = printable(words);
                let colon = if words.is_empty() { "." } else { ": " };
                ("urgent", format!("Read to the wrong person{colon}{words}"))
            }
            _ => return None,
        })
    }

    /// The debt: asked for without a disclosure, carried on from another ledger, and its end.
    fn of_debt(&mut self, row: &Row) -> Option<(&'static str, String)> {
        Some(match &row.event {
            Event::ReplacementRequested { debt, rotation, key, device_name, ticket, .. } if *debt == self.debt => {
                self.rotations.insert(*rotation);
                let key = key.short();
                ("owed", format!("A replacement of {key} on {device_name} asked for, the key unread: {ticket}."))
            }
            Event::DebtCarried(carried) if carried.debt == self.debt => {
                self.disclosures.extend(carried.disclosures.iter().map(|read| read.disclosure));
                self.rotations.extend(carried.rotation.as_ref().map(|rotation| rotation.id));
                let (key, device, ticket) = (carried.key.short(), &carried.device_name, &carried.ticket);
                let (date, clock) = (age::date(carried.since, &self.zone), age::clock(carried.since, &self.zone));
                let how = match carried.rotation.as_ref().map(|rotation| &rotation.state) {
                    Some(RotationState::Held { until }) => self.until(*until, row.at),
                    Some(_) => "Its replacement goes on as far as it had come.".into(),
                    None => "It is replaced by hand.".into(),
                };
                let from = "carried on from the damaged ledger before this one";
                ("carried", format!("{key} of {device}, {ticket}, owed since {date} {clock}: {from}. {how}"))
            }
            Event::DebtProved { debt, grade, new_key } if *debt == self.debt => {
                let new_key = new_key.short();
                let sentence = match grade {
                    Proof::Confirmed => format!("New key {new_key} seen; the laptop reported success."),
                    Proof::NewKeySeen => format!("New key {new_key} seen."),
                    Proof::Probable => format!("New key {new_key} seen; probably in its place."),
                    Proof::ByHand => format!("New key {new_key}, by a person."),
                };
                ("proved", sentence)
            }
            Event::DebtConfirmed { debt, new_key, how } if *debt == self.debt => {
                let key = new_key.map_or_else(String::new, |key| format!(" New key {}.", key.short()));
                ("proved", format!("By a person: {}.{key}", printable(how).trim_end_matches('.')))
            }
            Event::KeyDeleted { debt, at, .. } if *debt == self.debt => {
                ("deleted", format!("Entra logged at {} that the key was deleted.", age::clock(*at, &self.zone)))
            }
            Event::DebtWaived { debt, reason } if *debt == self.debt => {
                ("waived", format!("{}.", printable(reason).trim_end_matches('.')))
            }
            _ => return None,
        })
    }

    /// The rotations that are, or were, to pay it.
    fn of_rotation(&mut self, row: &Row) -> Option<(&'static str, String)> {
        let ours = |id: &RotationId| self.rotations.contains(id);
        Some(match &row.event {
            Event::RotationHeld { rotation, until, debts } if debts.contains(&self.debt) => {
                self.rotations.insert(*rotation);
                ("held", self.until(*until, row.at))
            }
            Event::RotationJoined { rotation, into } if ours(rotation) => {
                self.rotations.insert(*into);
                ("joined", "Another replacement is under way for this laptop: it pays this debt too.".into())
            }
            Event::RotationTargeted { rotation, target, chosen } if ours(rotation) => {
                let by = if *chosen { ", which a person chose" } else { "" };
                ("target", format!("It goes to Intune's object {}{by}.", target.managed))
            }
            Event::RotationSending { rotation, .. } if ours(rotation) => {
                ("sending", "Written down; the request leaves now.".into())
            }
            Event::RotationAccepted { rotation, found: false, .. } if ours(rotation) => {
                ("accepted", "Intune accepted it.".into())
            }
            Event::RotationAccepted { rotation, .. } if ours(rotation) => {
                ("accepted", "Intune's own list shows that it was accepted.".into())
            }
            Event::RotationReturned { rotation, until, why } if ours(rotation) => {
                let why = match why {
                    Return::NotSent => "The request certainly did not leave.".into(),
                    Return::DoneTooEarly => "The laptop was done before this key was read.".into(),
                    Return::Busy { hresult } => {
                        let code = hresult.cast_unsigned();
                        format!("The laptop was busy (0x{code:08X}) and is asked again by itself.")
                    }
                };
                ("held", format!("{why} {}", self.until(*until, row.at)))
            }
            Event::RotationReported { rotation } if ours(rotation) => {
                ("reported", "The laptop reported success.".into())
            }
            Event::CheckedIn { rotation, at } if ours(rotation) => {
                ("checked in", format!("The laptop was there at {}.", age::clock(*at, &self.zone)))
            }
            Event::RotationBlocked { rotation, why } if ours(rotation) => ("blocked", why.sentence(row.at)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        call::CallId,
        debt::{Block, InstanceId, Rotation},
        device::DeviceId,
        event::{Carried, Stamp},
        key::Volume,
        key_id::KeyId,
        technician::{Technician, UserId},
    };

    const DEBT: DebtId = DebtId(Uuid::from_u128(1));
    const OTHER: DebtId = DebtId(Uuid::from_u128(2));
    const OURS: RotationId = RotationId(Uuid::from_u128(11));
    const JOINED: RotationId = RotationId(Uuid::from_u128(12));

    fn told(events: Vec<Event>) -> Vec<(&'static str, String)> {
        let technician = Technician {
            id: UserId(Uuid::from_u128(5)),
            upn: "dana@harborview.example".into(),
            name: "Dana Reyes".into(),
        };
        let stamp = Stamp {
            technician: Some(technician),
            tenant: None,
            app: String::new(),
            host: String::new(),
            account: String::new(),
            version: String::new(),
            policy: String::new(),
            instance: InstanceId(Uuid::nil()),
        };
        let mut timeline = Timeline::new(DEBT, TimeZone::UTC);
        let at: Timestamp = "2026-11-20T09:00:00Z".parse().unwrap();
        for (seq, event) in (1..).zip(events) {
            timeline.take(&Row { seq, at, stamp: stamp.clone(), call: None, event, hash: String::new() });
        }
        let steps = timeline.steps();
        assert!(steps.iter().all(|step| step.who.as_ref().is_some_and(|who| who.raw() == "dana@harborview.example")));
        steps.into_iter().map(|step| (step.word, step.sentence)).collect()
    }

    #[test]
    fn a_debt_is_followed_into_the_rotation_that_pays_it_and_not_into_others() {
        let at = "2026-11-20T09:00:00Z".parse().unwrap();
        let steps = told(vec![
            Event::RotationSending { rotation: JOINED, earlier: None },
            Event::RotationHeld { rotation: OURS, until: at, debts: vec![DEBT] },
            Event::RotationHeld { rotation: JOINED, until: at, debts: vec![OTHER] },
            Event::RotationJoined { rotation: OURS, into: JOINED },
            Event::RotationReported { rotation: JOINED },
            Event::DebtProved { debt: OTHER, grade: Proof::Confirmed, new_key: KeyId(Uuid::nil()) },
            Event::DebtProved { debt: DEBT, grade: Proof::NewKeySeen, new_key: KeyId(Uuid::nil()) },
        ]);
        let words: Vec<&str> = steps.iter().map(|(word, _)| *word).collect();
        assert_eq!(words, ["held", "joined", "reported", "proved"]);
        assert_eq!(steps[3].1, "New key 00000000 seen.");
    }

    #[test]
    fn a_debt_of_the_ledger_before_is_followed_on() {
        let at = "2026-11-20T09:00:00Z".parse().unwrap();
        let carried = |debt, rotation| {
            Event::DebtCarried(Box::new(Carried {
                debt,
                key: KeyId(Uuid::nil()),
                volume: Volume::OperatingSystem,
                device: DeviceId(Uuid::nil()),
                device_name: "HVC-LT-0421".into(),
                of_call: CallId(Uuid::nil()),
                ticket: serde_json::from_str("\"INC0048213\"").unwrap(),
                since: "2026-11-19T15:30:00Z".parse().unwrap(),
                tenant: None,
                compromised: None,
                key_deleted: None,
                source: None,
                known: vec![],
                entra_time: None,
                rotation: Some(Rotation::new(rotation, RotationState::Accepted { at })),
                disclosures: vec![],
            }))
        };
        let steps = told(vec![
            carried(DEBT, OURS),
            carried(OTHER, JOINED),
            Event::RotationReported { rotation: JOINED },
            Event::RotationReported { rotation: OURS },
        ]);
        assert_eq!(steps.iter().map(|(word, _)| *word).collect::<Vec<_>>(), ["carried", "reported"]);
        let said = "00000000 of HVC-LT-0421, INC0048213, owed since 19 Nov 2026 15:30";
        assert!(steps[0].1.starts_with(said), "{}", steps[0].1);
    }

    #[test]
    fn what_stopped_it_and_who_ended_it_stand_in_sentences() {
        let at = "2026-11-20T09:00:00Z".parse().unwrap();
        let steps = told(vec![
            Event::RotationHeld { rotation: OURS, until: at, debts: vec![DEBT] },
            Event::RotationBlocked { rotation: OURS, why: Block::OnHold },
            Event::Compromised { disclosure: DisclosureId(Uuid::nil()), debt: DEBT, words: "a wrong number".into() },
            Event::DebtWaived { debt: DEBT, reason: "laptop scrapped.\u{1b}[2J".into() },
        ]);
        assert_eq!(steps[0], ("held", "To be sent at once.".into()));
        assert_eq!(steps[1], ("blocked", "Put on hold. t sends it.".into()));
        assert_eq!(steps[2], ("urgent", "Read to the wrong person: a wrong number".into()));
        assert!(!steps[3].1.contains('\u{1b}'));
    }
}
