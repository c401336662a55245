//! Which record belongs to which disclosure.
//!
//! Within one person and one key both stand in order of time, and no pair crosses another. Of all such pairings the best is taken: first as
//! many disclosures as possible that Entra certainly served, then those of which nobody knows; among equals the smallest distances in
//! time. What Entra refused comes last, among what is left; a request that was refused before it left explains no read at all.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Came, Disclosure, ONE_READ};
use crate::domain::{
    audit::{Actor, Record},
    call::DisclosureId,
    key_id::KeyId,
    technician::{Technician, UserId},
};

/// Each disclosure and each record, once.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub paired: Vec<(Disclosure, Vec<Record>)>,
    /// Reads that belong to no disclosure: the first record, and others of the same read.
    pub strays: Vec<(Record, Vec<Record>)>,
    /// Disclosures without a record.
    pub alone: Vec<Disclosure>,
}

/// A person, as far as records and ledgers name the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Id(UserId),
    /// Only a user principal name, in lower case.
    Upn(String),
    App(String),
    Nobody,
}

/// The records of one read.
type Read = Vec<Record>;

pub(super) fn pair(disclosures: &[Disclosure], records: &[Record]) -> Pairs {
    let names = Names::of(disclosures, records);
    let mut groups: BTreeMap<(Whom, KeyId), (Vec<Disclosure>, Vec<Record>)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    // A page that moved while it was read shows a record again, and a ledger may be given twice.
    for disclosure in disclosures.iter().filter(|disclosure| seen.insert(disclosure.id)) {
        let whom = disclosure.technician.as_ref().map_or(Whom::Nobody, |technician| Whom::Id(technician.id));
        groups.entry((whom, disclosure.key)).or_default().0.push(disclosure.clone());
    }
    let mut seen = BTreeSet::new();
    for record in records.iter().filter(|record| seen.insert(&record.id)) {
        groups.entry((names.whom(&record.actor), record.key)).or_default().1.push(record.clone());
    }
    let mut pairs = Pairs::default();
    for ((whom, _), (disclosures, records)) in groups {
        if whom == Whom::Nobody {
            pairs.alone.extend(disclosures);
            pairs.strays.extend(strays(reads(records)));
        } else {
            pair_group(disclosures, reads(records), &mut pairs);
        }
    }
    pairs
}

/// Which user principal name belongs to which object id.
struct Names(BTreeMap<String, UserId>);

impl Names {
    fn of(disclosures: &[Disclosure], records: &[Record]) -> Self {
        let from_records = records.iter().filter_map(|record| match &record.actor {
            Actor::Person { id: Some(id), upn } if !upn.is_empty() => Some((upn.raw().to_lowercase(), *id)),
            _ => None,
        });
        let technicians = disclosures.iter().filter_map(|disclosure| disclosure.technician.as_ref());
        let from_disclosures = technicians.map(|technician| (technician.upn.raw().to_lowercase(), technician.id));
        Self(from_records.chain(from_disclosures).collect())
    }

    fn whom(&self, actor: &Actor) -> Whom {
        match actor {
            Actor::Person { id: Some(id), .. } => Whom::Id(*id),
            Actor::Person { id: None, upn } => {
                let upn = upn.raw().to_lowercase();
                self.0.get(&upn).map_or(Whom::Upn(upn), |id| Whom::Id(*id))
            }
            Actor::App { name } => Whom::App(name.raw().to_owned()),
            Actor::Nobody => Whom::Nobody,
        }
    }
}

/// Records that certainly tell of one read stand together: they carry one correlation id.
fn reads(mut records: Vec<Record>) -> Vec<Read> {
    records.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    let mut reads: Vec<Read> = Vec::new();
    let mut by_correlation: BTreeMap<Uuid, usize> = BTreeMap::new();
    for record in records {
        let known = record.correlation.and_then(|correlation| by_correlation.get(&correlation).copied());
        let same = known.and_then(|at| reads.get_mut(at)).filter(|read| is_close(start(read), record.at));
        if let Some(read) = same {
            read.push(record);
        } else {
            by_correlation.extend(record.correlation.map(|correlation| (correlation, reads.len())));
            reads.push(vec![record]);
        }
    }
    reads
}

fn start(read: &Read) -> Timestamp {
    read.first().map_or(Timestamp::MIN, |record| record.at)
}

fn is_close(a: Timestamp, b: Timestamp) -> bool {
    a.duration_since(b).abs() <= ONE_READ
}

fn pair_group(mut disclosures: Vec<Disclosure>, mut reads: Vec<Read>, pairs: &mut Pairs) {
    disclosures.sort_by_key(|disclosure| (disclosure.expected(), disclosure.at, disclosure.id));
    let mut found: BTreeMap<DisclosureId, Vec<Record>> = BTreeMap::new();
    // What is certain: found before, or under the id that was sent with the request.
    for disclosure in &disclosures {
        let is_its_own =
            |record: &Record| disclosure.known.contains_key(&record.id) || record.correlation == Some(disclosure.id.0);
        for read in reads.extract_if(.., |read| read.iter().any(is_its_own)) {
            found.entry(disclosure.id).or_default().extend(read);
        }
    }
    // Without an answer of Entra's there is no read of ours to look for: what stands near in time was made elsewhere.
    let awaits = |one: &&Disclosure| one.known.is_empty() && !one.went_unanswered();
    let (refused, others): (Vec<&Disclosure>, Vec<&Disclosure>) =
        disclosures.iter().filter(awaits).partition(|one| one.was_refused());
    // A second record of an explained read must not look like a read that Entra refused, so refused ones come after.
    for open in [others, refused] {
        reads = explain(&open, reads, &mut found);
    }
    pairs.strays.extend(strays(reads));
    for disclosure in disclosures {
        match found.remove(&disclosure.id) {
            Some(mut records) => {
                records.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
                pairs.paired.push((disclosure, records));
            }
            None if !disclosure.known.is_empty() => pairs.paired.push((disclosure, Vec::new())),
            None => pairs.alone.push(disclosure),
        }
    }
}

/// Gives each of these its read, and reads that are one of those once more; the rest comes back.
fn explain(open: &[&Disclosure], reads: Vec<Read>, found: &mut BTreeMap<DisclosureId, Vec<Record>>) -> Vec<Read> {
    let open: Vec<&Disclosure> = open.iter().filter(|one| !found.contains_key(&one.id)).copied().collect();
    let taken: BTreeMap<usize, DisclosureId> =
        best(&open, &reads).into_iter().map(|(disclosure, read)| (read, open[disclosure].id)).collect();
    let mut left = Vec::new();
    for (n, read) in reads.into_iter().enumerate() {
        match taken.get(&n) {
            Some(id) => found.entry(*id).or_default().extend(read),
            None => left.push(read),
        }
    }
    // More records than disclosures: what stands close to a read that is explained is that read once more.
    left.retain_mut(|read| {
        let at = start(read);
        let close = found.values_mut().filter(|records| records.iter().any(|record| is_close(record.at, at)));
        let nearest = close.min_by_key(|records| start(records).duration_since(at).abs());
        nearest.map(|records| records.append(read)).is_none()
    });
    left
}

/// The refused request of the same person for the same key that stands nearest to this read, if one stands near.
pub(super) fn refused_beside<'a>(read: &Record, disclosures: &'a [Disclosure]) -> Option<&'a Disclosure> {
    let Actor::Person { id, upn } = &read.actor else { return None };
    let is_theirs = |one: &&Disclosure| {
        let same =
            |own: &Technician| id.map_or_else(|| own.upn.raw().eq_ignore_ascii_case(upn.raw()), |id| own.id == id);
        let (from, to) = one.window();
        let is_near = (from..=to).contains(&read.at);
        one.was_refused() && one.key == read.key && is_near && one.technician.as_ref().is_some_and(same)
    };
    let distance = |one: &&Disclosure| (one.expected().duration_since(read.at).abs(), one.id);
    disclosures.iter().filter(is_theirs).min_by_key(distance)
}

/// Reads that nobody explains, those close together as one. `reads` are of one person and one key, in order of time.
fn strays(reads: Vec<Read>) -> Vec<(Record, Vec<Record>)> {
    let mut strays: Vec<(Record, Vec<Record>)> = Vec::new();
    for read in reads {
        for record in read {
            match strays.last_mut() {
                Some((first, again)) if is_close(first.at, record.at) => again.push(record),
                _ => strays.push((record, Vec::new())),
            }
        }
    }
    strays
}

/// How good a pairing is; the larger the better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    served: u32,
    others: u32,
    distance: Reverse<SignedDuration>,
}

impl Score {
    fn with(self, disclosure: &Disclosure, read: &Read) -> Self {
        let served = u32::from(disclosure.came == Came::Served);
        let distance = start(read).duration_since(disclosure.expected()).abs();
        Self {
            served: self.served + served,
            others: self.others + 1 - served,
            distance: Reverse(self.distance.0.saturating_add(distance)),
        }
    }
}

/// The best pairing that crosses nowhere: places of disclosures and of their reads. Both are in order of time.
fn best(disclosures: &[&Disclosure], reads: &[Read]) -> Vec<(usize, usize)> {
    let fits = |i: usize, j: usize| {
        let (from, to) = disclosures[i].window();
        (from..=to).contains(&start(&reads[j]))
    };
    // scores[i][j]: the best of the first i disclosures and the first j reads.
    let mut scores = vec![vec![Score::default(); reads.len() + 1]; disclosures.len() + 1];
    for i in 1..=disclosures.len() {
        for j in 1..=reads.len() {
            let without = scores[i - 1][j].max(scores[i][j - 1]);
            let with = fits(i - 1, j - 1).then(|| scores[i - 1][j - 1].with(disclosures[i - 1], &reads[j - 1]));
            scores[i][j] = with.map_or(without, |with| with.max(without));
        }
    }
    let (mut i, mut j) = (disclosures.len(), reads.len());
    let mut pairs = Vec::new();
    while i > 0 && j > 0 {
        if scores[i][j] == scores[i - 1][j] {
            i -= 1;
        } else if scores[i][j] == scores[i][j - 1] {
            j -= 1;
        } else {
            (i, j) = (i - 1, j - 1);
            pairs.push((i, j));
        }
    }
    pairs
}
