//! What each line means, and what to do next, in a sentence or two.

use jiff::{Timestamp, tz::TimeZone};

use super::{Absence, Book, Came, Disclosure, Elsewhere, Matched, Missing, Reconciliation, Who};
use crate::domain::{
    age,
    audit::{Actor, Record, Unreadable},
};

/// "Fri 20 Nov, 09:41".
pub fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %-d %b, %H:%M").to_string()
}

/// "20 Nov 09:41", for lists.
pub fn short_moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%d %b %H:%M").to_string()
}

/// Who did it, as Entra names them.
pub fn actor(actor: &Actor) -> String {
    match actor {
        Actor::Person { upn, .. } if !upn.is_empty() => upn.to_string(),
        Actor::Person { id: Some(id), .. } => format!("user {id}"),
        Actor::App { name } => format!("the app {name}"),
        Actor::Person { id: None, .. } | Actor::Nobody => "nobody named".into(),
    }
}

/// ", in 2 records"
fn times(records: usize) -> String {
    if records < 2 { String::new() } else { format!(", in {records} records") }
}

impl Matched {
    pub fn sentence(&self, zone: &TimeZone) -> String {
        let (at, records) = (age::clock(self.at(), zone), times(self.records.len()));
        let failed = !self.records.is_empty() && self.records.iter().all(|record| record.failed);
        match (self.disclosure.came, failed) {
            (Came::Served | Came::Asked, false) => format!("Entra logged this read at {at}{records}."),
            (Came::Served | Came::Asked, true) => {
                format!("Entra logged a failed read at {at}{records}, and handed the key out all the same.")
            }
            (Came::Unknown, false) => format!(
                "Entra did read it: logged at {at}{records}. The answer was lost on its way here; the key counts as read."
            ),
            (Came::Unknown, true) => {
                format!("Entra logged a failed read at {at}{records}: probably nothing was handed out.")
            }
            (Came::Refused { .. }, _) if self.records.is_empty() => {
                format!("Refused here; an earlier look found Entra's record of {at}.")
            }
            (Came::Refused { .. }, true) => format!("Refused here, and logged by Entra as failed at {at}{records}."),
            (Came::Refused { status: Some(status) }, false) => format!(
                "Entra refused here ({status}), and logged a read by the same person at {at}{records}: it handed the key out \
                 after all, or they read it elsewhere. Take the key for read, and have it replaced."
            ),
            (Came::Refused { status: None }, false) => format!(
                "Taken for refused here, and Entra logged the read at {at}{records}. Take the key for read, and have it replaced."
            ),
        }
    }

    /// One word for a list.
    pub fn word(&self) -> &'static str {
        if self.is_contradicted() { "refused, read" } else { "matched" }
    }
}

impl Elsewhere {
    /// One or two words for a list.
    pub fn word(&self) -> &'static str {
        match self.who {
            Who::OtherDesk(_) => "another desk",
            Who::Owner => "self-service",
            Who::Technician | Who::Stranger { .. } => "portal or tool",
            Who::App => "an app",
            Who::Nobody => "nobody named",
        }
    }

    pub fn sentence(&self, zone: &TimeZone) -> String {
        let said = self.by_whom(zone);
        self.refused_here.as_ref().map_or_else(|| said.clone(), |own| format!("{said} {}", refused_beside(own, zone)))
    }

    fn by_whom(&self, zone: &TimeZone) -> String {
        let who = actor(&self.first.actor);
        let (read, records) = (verb(&self.first), times(1 + self.again.len()));
        match &self.who {
            Who::OtherDesk(disclosure) => format!(
                "{who} {read} at another desk at {}{records}: ticket {}, {}.",
                age::clock(disclosure.at, zone),
                disclosure.ticket,
                disclosure.device_name
            ),
            Who::Owner => {
                format!("{who} {read} as the device's own user, by self-service{records}. No ticket is needed.")
            }
            Who::Technician => format!(
                "{who} works at a desk like this one and {read} in the portal or with another tool{records}. Ask for the \
                 ticket, and have the key replaced."
            ),
            Who::Stranger { is_owner_known: true } => format!(
                "{who} {read} in the portal or with another tool{records}. It is not their device, and no ledger given here \
                 says why. Ask them."
            ),
            Who::Stranger { is_owner_known: false } => format!(
                "{who} {read} in the portal or with another tool{records}. Whose device it is could not be asked; no ledger \
                 given here says why. Ask them."
            ),
            Who::App => format!(
                "{who} {read} on its own, without a person{records}. Look at its consent for BitlockerKey.Read.All: nobody \
                 needs that."
            ),
            Who::Nobody => {
                format!("Somebody {read}{records}; Entra's record does not say who. Look it up in the portal.")
            }
        }
    }
}

/// What a refusal beside a read means.
fn refused_beside(own: &Disclosure, zone: &TimeZone) -> String {
    let (at, ticket) = (age::clock(own.at, zone), &own.ticket);
    match &own.book {
        Book::Own => format!(
            "At {at} a request here for {ticket} was refused, so nothing is owed for this read: record it with keydesk external."
        ),
        Book::Other(_) => format!("At {at} a request at another desk for {ticket} was refused."),
    }
}

fn verb(record: &Record) -> &'static str {
    if record.failed { "tried to read it" } else { "read it" }
}

impl Missing {
    /// One or two words for a list.
    pub fn word(&self) -> &'static str {
        match self.why {
            Absence::MayCome { .. } => "may still come",
            Absence::NotThere => "not in Entra",
            Absence::TooLate => "too late",
            Absence::NoneExpected => "refused",
        }
    }

    pub fn sentence(&self, zone: &TimeZone) -> String {
        let forgotten =
            self.forgotten.map(|at| format!(" Entra forgets it on {}: look again before.", age::day(at, zone)));
        let said = match (self.why, self.disclosure.came) {
            (Absence::MayCome { until }, _) => {
                format!("Entra's records come late: it may still come, until {}.", moment(until, zone))
            }
            (Absence::NotThere, Came::Unknown | Came::Asked) => {
                "Entra has logged no read: probably nothing was handed out. The debt stands until it is proved or waived.".into()
            }
            (Absence::NotThere, _) => "Entra handed this key out, says the ledger, and has logged no read of it. Look in the \
                                       portal."
                .into(),
            (Absence::TooLate, _) => "Entra has forgotten by now: it can no longer be checked.".into(),
            (Absence::NoneExpected, Came::Refused { status: None }) => {
                "Refused before Entra answered, and nothing of it is logged, as expected.".into()
            }
            (Absence::NoneExpected, _) => "Entra refused and logged nothing, as expected.".into(),
        };
        let licence = match self.why {
            Absence::NotThere if self.needs_licence => " Where the tenant has no premium licence Entra keeps 7 days.",
            _ => "",
        };
        said + licence + &forgotten.unwrap_or_default()
    }
}

impl Unreadable {
    pub fn sentence(&self, zone: &TimeZone) -> String {
        let at = self.at.map_or_else(|| "at an unknown time".to_owned(), |at| format!("of {}", moment(at, zone)));
        format!("A record {at} lacks {}: it may be of a read. Look it up in the portal.", self.lacks)
    }
}

impl Reconciliation {
    /// "12 matched, 2 read elsewhere, 1 not in Entra"
    pub fn summary(&self) -> String {
        let absent = |is: fn(&Absence) -> bool| self.missing.iter().filter(|missing| is(&missing.why)).count();
        let counts = [
            (self.elsewhere.len(), "read elsewhere"),
            (absent(|why| *why == Absence::NotThere), "not in Entra"),
            (absent(|why| matches!(why, Absence::MayCome { .. })), "still to come"),
            (absent(|why| *why == Absence::TooLate), "too late to check"),
            (absent(|why| *why == Absence::NoneExpected), "refused"),
            (self.unclear.len(), "unclear"),
        ];
        let some = counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}"));
        format!("{} matched{}", self.matched.len(), some.collect::<String>())
    }
}
