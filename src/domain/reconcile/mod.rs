//! What this desk recorded against what Entra recorded: every disclosure and every read ends in exactly one list.
//!
//! A read is ours when the same person read the same key at about the same time. Time is Entra's: a disclosure carries Entra's clock as it
//! was just before, so a laptop whose clock is wrong is matched all the same. Entra may log one read twice, and minutes late.

mod pairing;
#[cfg(test)]
mod tests;
pub mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    audit::{Actor, Record, Unreadable},
    call::{CallId, DisclosureId},
    device::DeviceId,
    foreign::Foreign,
    key_id::KeyId,
    moment::later,
    technician::{Technician, UserId},
    ticket::Ticket,
};

/// How much earlier than Entra's clock at the disclosure its record may say, where that clock is known: services differ by seconds.
const BEFORE: SignedDuration = SignedDuration::from_mins(2);
/// How much later: the key is asked for some seconds after, minutes where Entra asked us to wait.
const AFTER: SignedDuration = SignedDuration::from_mins(10);
/// Either way, where only this machine's clock is known.
const WITHOUT_CLOCK: SignedDuration = SignedDuration::from_mins(20);
/// Records of one person and one key this close together, more than there are disclosures, are one read.
const ONE_READ: SignedDuration = SignedDuration::from_mins(2);
/// What was read before the window can have been recorded within it, and the other way round.
pub const MARGIN: Duration = Duration::from_mins(30);
/// A disclosure without a record is warned of this long before Entra forgets.
pub const WARNS: Duration = Duration::from_hours(3 * 24);
/// Entra's records come after minutes; nobody publishes how many.
pub const GRACE: Duration = Duration::from_hours(1);
/// How long Entra keeps its log with a premium licence (P1 or P2).
pub const RETENTION: Duration = Duration::from_hours(30 * 24);
/// How long it does with none.
const WITHOUT_LICENCE: Duration = Duration::from_hours(7 * 24);

/// Which ledger tells of a disclosure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Book {
    Own,
    /// Another desk's, by its file.
    Other(String),
}

/// What came of a key request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// No outcome is written yet.
    Asked,
    Served,
    /// Entra certainly handed nothing out, by the answer that came.
    Refused {
        /// `None`: no answer was waited for, mostly because no request left. What Entra logs around then is another read.
        status: Option<u16>,
    },
    /// Nobody can say.
    Unknown,
}

/// One disclosure, as a ledger tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    pub id: DisclosureId,
    pub book: Book,
    pub technician: Option<Technician>,
    pub key: KeyId,
    pub device: DeviceId,
    pub device_name: Foreign,
    pub ticket: Ticket,
    pub call: CallId,
    /// On the desk's clock.
    pub at: Timestamp,
    /// Entra's clock just before.
    pub entra_time: Option<Timestamp>,
    pub came: Came,
    /// Records that an earlier reconciliation found, and when Entra says it was.
    pub known: BTreeMap<String, Timestamp>,
}

impl Disclosure {
    pub fn was_refused(&self) -> bool {
        matches!(self.came, Came::Refused { .. })
    }

    /// Refused before Entra could answer.
    fn went_unanswered(&self) -> bool {
        self.came == Came::Refused { status: None }
    }

    /// Every record that could be of it has come by then; before, what stands nearest in time is a guess.
    pub fn settles(&self, grace: Duration) -> Timestamp {
        later(self.at, grace)
    }

    /// When Entra should say that it was.
    pub fn expected(&self) -> Timestamp {
        self.entra_time.unwrap_or(self.at)
    }

    fn window(&self) -> (Timestamp, Timestamp) {
        let (before, after) = match self.entra_time {
            Some(_) => (BEFORE, AFTER),
            None => (WITHOUT_CLOCK, WITHOUT_CLOCK),
        };
        let expected = self.expected();
        (shifted(expected, -before), shifted(expected, after))
    }
}

/// Whose device it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// Registered in Entra.
    pub ids: BTreeSet<UserId>,
    /// Primary users in Intune, by user principal name.
    pub upns: BTreeSet<String>,
}

impl Owners {
    fn include(&self, actor: &Actor) -> bool {
        let Actor::Person { id, upn } = actor else { return false };
        let same = |own: &String| !upn.is_empty() && own.eq_ignore_ascii_case(upn.raw());
        id.is_some_and(|id| self.ids.contains(&id)) || self.upns.iter().any(same)
    }
}

/// Everything that is compared.
#[derive(Clone, Debug, Default)]
pub struct Input {
    pub disclosures: Vec<Disclosure>,
    pub records: Vec<Record>,
    pub unreadable: Vec<Unreadable>,
    /// Whoever works at one of these desks.
    pub technicians: BTreeMap<UserId, Foreign>,
    /// Of the devices that were asked about.
    pub owners: BTreeMap<DeviceId, Owners>,
}

/// The window, and how patient Entra's log lets us be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What lies before is compared, and not reported.
    pub from: Timestamp,
    pub now: Timestamp,
    pub grace: Duration,
    pub retention: Duration,
}

/// A disclosure of this desk that Entra has recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    pub disclosure: Disclosure,
    /// One read: the first record, then others of the same. Empty where only an earlier reconciliation saw them.
    pub records: Vec<Record>,
    /// Entra's record carries the id that we sent with the request.
    pub same_id: bool,
}

impl Matched {
    /// Refused, says the ledger; read, says Entra.
    pub fn is_contradicted(&self) -> bool {
        self.disclosure.was_refused() && self.records.iter().any(|record| !record.failed)
    }

    /// When Entra says it was.
    pub fn at(&self) -> Timestamp {
        let known = self.disclosure.known.values().next().copied();
        self.records.first().map(|record| record.at).or(known).unwrap_or_else(|| self.disclosure.expected())
    }
}

/// Who read a key without a disclosure of this desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Another desk, as its ledger says.
    OtherDesk(Box<Disclosure>),
    /// The device's owner: self-service.
    Owner,
    /// Somebody who works at one of these desks, in the portal or with another tool.
    Technician,
    /// Somebody else. `is_owner_known`: it was asked whose device it is.
    Stranger { is_owner_known: bool },
    /// An application without a person.
    App,
    /// Entra names nobody.
    Nobody,
}

/// A read that no disclosure of this desk explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    pub first: Record,
    /// Other records of the same read.
    pub again: Vec<Record>,
    pub who: Who,
    /// This person's own request for this key was refused here at about this time.
    pub refused_here: Option<Box<Disclosure>>,
}

impl Elsewhere {
    /// Nobody has justified it.
    pub fn is_unjustified(&self) -> bool {
        !matches!(self.who, Who::OtherDesk(_) | Who::Owner)
    }
}

/// Why there is no record of a disclosure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It may still come, until then.
    MayCome {
        until: Timestamp,
    },
    NotThere,
    /// Entra has forgotten by now.
    TooLate,
    /// None is expected: Entra handed nothing out.
    NoneExpected,
}

/// A disclosure that Entra has not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub disclosure: Disclosure,
    pub why: Absence,
    /// When Entra forgets it, where that is near.
    pub forgotten: Option<Timestamp>,
    /// Older than what Entra keeps for a tenant without a premium licence.
    pub needs_licence: bool,
}

impl Missing {
    /// Handed out for certain, and certainly not logged.
    pub fn is_unexplained(&self) -> bool {
        self.why == Absence::NotThere && self.disclosure.came == Came::Served
    }
}

/// Every disclosure and every record, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciliation {
    pub matched: Vec<Matched>,
    pub elsewhere: Vec<Elsewhere>,
    pub missing: Vec<Missing>,
    /// Records that say too little.
    pub unclear: Vec<Unreadable>,
    /// Before the window: compared, and not judged.
    pub before: Before,
}

/// What lies before the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    pub disclosures: Vec<Disclosure>,
    pub records: Vec<Record>,
}

impl Reconciliation {
    /// What somebody has to explain: reads without a justification, reads of what was refused here, keys handed out without a record,
    /// records that cannot be judged.
    pub fn findings(&self) -> usize {
        self.elsewhere.iter().filter(|read| read.is_unjustified()).count()
            + self.matched.iter().filter(|matched| matched.is_contradicted()).count()
            + self.missing.iter().filter(|missing| missing.is_unexplained()).count()
            + self.unclear.len()
    }

    /// Disclosures without a record that Entra forgets soon.
    pub fn forgotten_soon(&self) -> usize {
        self.missing.iter().filter(|missing| missing.forgotten.is_some()).count()
    }

    /// Devices whose owner would tell self-service from anything else.
    pub fn whose(&self) -> BTreeSet<DeviceId> {
        let open = |read: &&Elsewhere| matches!(read.who, Who::Technician | Who::Stranger { .. });
        self.elsewhere.iter().filter(open).filter_map(|read| read.first.device).collect()
    }
}

/// Compares. Newest first in every list.
pub fn reconcile(input: &Input, terms: &Terms) -> Reconciliation {
    let mut result = Reconciliation { unclear: input.unreadable.clone(), ..Reconciliation::default() };
    let pairing::Pairs { paired, strays, alone } = pairing::pair(&input.disclosures, &input.records);
    for (disclosure, records) in paired {
        let at = records.first().map_or_else(|| disclosure.expected(), |record| record.at);
        match (&disclosure.book, records.split_first()) {
            _ if at.max(disclosure.expected()) < terms.from => {
                result.before.disclosures.push(disclosure);
                result.before.records.extend(records);
            }
            (Book::Other(_), Some((first, again))) => result.elsewhere.push(Elsewhere {
                first: first.clone(),
                again: again.to_vec(),
                who: Who::OtherDesk(Box::new(disclosure)),
                refused_here: None,
            }),
            (Book::Own, _) | (_, None) => {
                let same_id = records.iter().any(|record| record.correlation == Some(disclosure.id.0));
                result.matched.push(Matched { disclosure, records, same_id });
            }
        }
    }
    for (first, again) in strays {
        if first.at < terms.from {
            result.before.records.push(first);
            result.before.records.extend(again);
        } else {
            let who = who(&first, input);
            let refused_here = pairing::refused_beside(&first, &input.disclosures).cloned().map(Box::new);
            result.elsewhere.push(Elsewhere { first, again, who, refused_here });
        }
    }
    for disclosure in alone {
        if disclosure.expected() < terms.from {
            result.before.disclosures.push(disclosure);
        } else {
            result.missing.push(missing(disclosure, terms));
        }
    }
    result.matched.sort_by_key(|matched| std::cmp::Reverse((matched.at(), matched.disclosure.id)));
    result.elsewhere.sort_by(|a, b| (b.first.at, &b.first.id).cmp(&(a.first.at, &a.first.id)));
    result.missing.sort_by_key(|missing| std::cmp::Reverse((missing.disclosure.at, missing.disclosure.id)));
    result
}

fn who(record: &Record, input: &Input) -> Who {
    let owners = record.device.and_then(|device| input.owners.get(&device));
    let (id, upn) = match &record.actor {
        Actor::App { .. } => return Who::App,
        Actor::Nobody => return Who::Nobody,
        Actor::Person { id, upn } => (id, upn),
    };
    let works_here = id.map_or_else(
        || input.technicians.values().any(|known| known.raw().eq_ignore_ascii_case(upn.raw())),
        |id| input.technicians.contains_key(&id),
    );
    match () {
        () if owners.is_some_and(|owners| owners.include(&record.actor)) => Who::Owner,
        () if works_here => Who::Technician,
        () => Who::Stranger { is_owner_known: owners.is_some() },
    }
}

fn missing(disclosure: Disclosure, terms: &Terms) -> Missing {
    let until = disclosure.settles(terms.grace);
    let forgets = later(disclosure.expected(), terms.retention);
    let why = match disclosure.came {
        Came::Refused { .. } => Absence::NoneExpected,
        _ if forgets <= terms.now => Absence::TooLate,
        _ if until > terms.now => Absence::MayCome { until },
        _ => Absence::NotThere,
    };
    let is_near = matches!(why, Absence::MayCome { .. } | Absence::NotThere) && forgets <= later(terms.now, WARNS);
    let needs_licence = later(disclosure.expected(), WITHOUT_LICENCE) <= terms.now;
    Missing { disclosure, why, forgotten: is_near.then_some(forgets), needs_licence }
}

/// `at + by`, held at the ends of time.
fn shifted(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}
