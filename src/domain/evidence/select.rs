//! Which rows of a ledger belong to a ticket, a call or a key: those of its calls, and those of the debts and rotations that followed.
//!
//! Rows are judged by the ids in them, not by their event's name: one that a newer version wrote is found all the same.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::{
    call::{CallId, DisclosureId},
    debt::{DebtId, RotationId},
    key_id::{KeyId, KeyPrefix},
};

/// What the evidence is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// As written, or as the policy completes it: any of these.
    Ticket(Vec<String>),
    /// A call by its number on this machine.
    CallNumber(u32),
    Call(CallId),
    Debt(DebtId),
    /// Every debt of a key: its ID, or the first characters of it.
    Key(KeyPrefix),
}

impl Subject {
    /// What a person is told that nothing was found of.
    pub fn words(&self) -> String {
        match self {
            Self::Ticket(spellings) => format!("ticket {}", spellings.first().map_or("", String::as_str)),
            Self::CallNumber(number) => format!("call {number}"),
            Self::Call(_) => "this call".into(),
            Self::Debt(_) => "this debt".into(),
            Self::Key(key) => format!("key {}", key.as_str()),
        }
    }
}

/// What a row is about, and nothing else of it: small enough to hold one for every row of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub seq: u64,
    event: String,
    call: Option<CallId>,
    number: Option<u64>,
    ticket: Option<String>,
    key: Option<KeyId>,
    debts: Vec<DebtId>,
    disclosures: Vec<DisclosureId>,
    rotations: Vec<RotationId>,
    /// Who and which run of the program: a sign-in belongs to what followed it.
    seat: (Option<String>, Option<String>),
    policy: Option<String>,
    /// The fingerprint a row of policy lines is for.
    digest: Option<String>,
}

impl Trace {
    /// Reads a stored row; `None` where it is no JSON object.
    pub fn read(seq: u64, body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let (what, stamp) = (body.get("what")?, body.get("stamp")?);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(Self {
            seq,
            event: text(&what["event"]).unwrap_or_default(),
            call: ids(&body, &["call"]).first().copied(),
            number: what["number"].as_u64(),
            ticket: text(&what["ticket"]),
            key: ids(what, &["key"]).first().copied().map(KeyId),
            debts: ids(what, &["debt", "debts"]),
            disclosures: ids(what, &["disclosure"]),
            rotations: rotations(what),
            seat: (text(&stamp["technician"]["id"]), text(&stamp["instance"])),
            policy: text(&stamp["policy"]),
            digest: text(&what["digest"]),
        })
    }
}

/// The ids in these fields, one or a list of them in each.
pub(super) fn ids<T: std::str::FromStr>(of: &Value, fields: &[&str]) -> Vec<T> {
    let values = fields.iter().filter_map(|field| of.get(*field));
    let each = values.flat_map(|value| value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice));
    each.filter_map(|value| value.as_str()?.parse().ok()).collect()
}

/// Every rotation an event names, by itself or with what it waits for.
pub(super) fn rotations(what: &Value) -> Vec<RotationId> {
    let mut all = ids(what, &["rotation", "into"]);
    all.extend(ids::<RotationId>(&what["rotation"], &["rotation", "id"]));
    all
}

/// What was selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Sequence numbers. Empty: the ledger knows nothing of the subject.
    pub rows: BTreeSet<u64>,
    pub calls: BTreeSet<CallId>,
    pub debts: BTreeSet<DebtId>,
    disclosures: BTreeSet<DisclosureId>,
    rotations: BTreeSet<RotationId>,
    /// Rows of a ticket that name nothing else.
    alone: BTreeSet<u64>,
}

/// Selects the subject's rows out of a whole ledger's.
pub fn select(traces: &[Trace], subject: &Subject) -> Selection {
    let mut found = Selection::default();
    for trace in traces.iter().filter(|trace| is_about(trace, subject)) {
        match (trace.call, subject) {
            // A debt is followed wherever it leads; of the calls it came from all is wanted.
            (Some(call), _) => drop(found.calls.insert(call)),
            (None, _) if trace.debts.is_empty() && trace.disclosures.is_empty() => drop(found.alone.insert(trace.seq)),
            (None, _) => {}
        }
        match subject {
            Subject::Debt(debt) => drop(found.debts.insert(*debt)),
            _ => found.debts.extend(&trace.debts),
        }
    }
    if found.calls.is_empty() && found.debts.is_empty() && found.alone.is_empty() {
        return Selection::default();
    }
    // Ids lead to rows, and rows to further ids, until nothing new turns up.
    loop {
        let known = found.rows.len();
        for trace in traces {
            if found.wants(trace) {
                found.take(trace);
            }
        }
        if found.rows.len() == known {
            break;
        }
    }
    found.rows.extend(context(traces, &found));
    found
}

fn is_about(trace: &Trace, subject: &Subject) -> bool {
    // That a pack was handed out is no reason for another.
    if trace.event == "exported" {
        return false;
    }
    match subject {
        Subject::Ticket(spellings) => trace
            .ticket
            .as_ref()
            .is_some_and(|ticket| spellings.iter().any(|spelling| spelling.eq_ignore_ascii_case(ticket))),
        Subject::CallNumber(number) => trace.number == Some(u64::from(*number)),
        Subject::Call(call) => trace.call == Some(*call),
        Subject::Debt(debt) => trace.debts.contains(debt),
        // A call about a key whose caller was refused has no debt, and is about the key all the same.
        Subject::Key(key) => trace.key.is_some_and(|id| key.begins(id)),
    }
}

impl Selection {
    fn wants(&self, trace: &Trace) -> bool {
        let ours = trace.call.is_some_and(|call| self.calls.contains(&call));
        let named = trace.debts.iter().any(|debt| self.debts.contains(debt))
            || trace.disclosures.iter().any(|id| self.disclosures.contains(id));
        // Another call on the same device shares its rotation: that alone does not make it part of this.
        let sent = trace.call.is_none() && trace.rotations.iter().any(|id| self.rotations.contains(id));
        ours || named || sent || self.alone.contains(&trace.seq)
    }

    fn take(&mut self, trace: &Trace) {
        if !self.rows.insert(trace.seq) {
            return;
        }
        // A rotation that is held for several debts names them all; only ours are followed.
        if trace.call.is_some() || trace.debts.len() == 1 {
            self.debts.extend(&trace.debts);
        }
        self.disclosures.extend(&trace.disclosures);
        self.rotations.extend(&trace.rotations);
    }
}

/// Rows that explain others: under which sign-in they were written, and what the policy said then.
fn context(traces: &[Trace], found: &Selection) -> BTreeSet<u64> {
    let mut rows = BTreeSet::new();
    for (n, trace) in traces.iter().enumerate().filter(|(_, trace)| found.rows.contains(&trace.seq)) {
        if trace.seat.0.is_some() {
            let signed_in = |earlier: &&Trace| earlier.event == "signed-in" && earlier.seat == trace.seat;
            rows.extend(traces[..n].iter().rev().find(signed_in).map(|earlier| earlier.seq));
        }
        if let Some(policy) = &trace.policy {
            let said = |row: &&Trace| row.event == "policy-in-force" && row.digest.as_ref() == Some(policy);
            rows.extend(traces.iter().find(said).map(|row| row.seq));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> String {
        Uuid::from_u128(n).to_string()
    }

    fn traces(rows: &[(Option<u128>, Value)]) -> Vec<Trace> {
        let stamp = json!({"technician": {"id": id(1)}, "instance": id(2), "policy": "aa"});
        let body = |(call, what): &(Option<u128>, Value)| json!({"call": call.map(id), "stamp": stamp, "what": what});
        (1..).zip(rows).map(|(seq, row)| Trace::read(seq, body(row).to_string().as_bytes()).unwrap()).collect()
    }

    fn ticket(text: &str) -> Subject {
        Subject::Ticket(vec![text.into()])
    }

    fn rows(found: &Selection) -> Vec<u64> {
        found.rows.iter().copied().collect()
    }

    #[test]
    fn a_ticket_takes_its_call_whole_and_what_its_debt_led_to_without_a_call() {
        let traces = traces(&[
            (None, json!({"event": "policy-in-force", "digest": "aa"})),
            (None, json!({"event": "signed-in"})),
            (Some(10), json!({"event": "call-opened", "number": 1})),
            (Some(10), json!({"event": "intended", "disclosure": id(20), "debt": id(30), "ticket": "INC1"})),
            (Some(10), json!({"event": "served", "disclosure": id(20), "rotation": id(40)})),
            (Some(11), json!({"event": "intended", "disclosure": id(21), "debt": id(31), "ticket": "INC2"})),
            (Some(11), json!({"event": "served", "disclosure": id(21), "rotation": id(40)})),
            (None, json!({"event": "rotation-joined", "rotation": id(40), "into": id(41)})),
            (None, json!({"event": "rotation-reported", "rotation": id(41)})),
            (None, json!({"event": "debt-proved", "debt": id(31)})),
            (None, json!({"event": "debt-proved", "debt": id(30)})),
            (None, json!({"event": "entra-record", "disclosure": id(20)})),
        ]);
        let found = select(&traces, &ticket("inc1"));
        assert_eq!(rows(&found), [1, 2, 3, 4, 5, 8, 9, 11, 12]);
        assert_eq!(select(&traces, &Subject::CallNumber(1)), found);
        assert_eq!(select(&traces, &ticket("INC3")), Selection::default());
    }

    #[test]
    fn a_second_read_of_a_key_that_is_owed_belongs_to_its_debt_and_not_the_rest_of_that_call() {
        let traces = traces(&[
            (Some(10), json!({"event": "intended", "disclosure": id(20), "debt": id(30), "ticket": "INC1"})),
            (Some(11), json!({"event": "call-opened", "number": 2})),
            (Some(11), json!({"event": "intended", "disclosure": id(21), "debt": id(30), "ticket": "INC2"})),
            (Some(11), json!({"event": "served", "disclosure": id(21), "rotation": id(40)})),
        ]);
        assert_eq!(rows(&select(&traces, &ticket("INC1"))), [1, 3, 4]);
        assert_eq!(rows(&select(&traces, &Subject::Debt(id(30).parse().unwrap()))), [1, 2, 3, 4]);
    }

    #[test]
    fn a_held_rotation_of_several_debts_brings_no_other_debt_in() {
        let traces = traces(&[
            (None, json!({"event": "rotation-held", "rotation": id(40), "debts": [id(30), id(31)]})),
            (Some(10), json!({"event": "intended", "disclosure": id(20), "debt": id(30), "ticket": "INC1"})),
            (None, json!({"event": "debt-waived", "debt": id(31)})),
        ]);
        assert_eq!(rows(&select(&traces, &ticket("INC1"))), [1, 2]);
    }

    #[test]
    fn an_event_nobody_here_knows_is_found_by_its_ids_and_by_its_ticket() {
        let traces = traces(&[
            (None, json!({"event": "read-elsewhere", "debt": id(30), "ticket": "INC1"})),
            (None, json!({"event": "moon-phase", "debt": id(30)})),
            (None, json!({"event": "mentioned", "ticket": "INC1"})),
            (None, json!({"event": "exported", "ticket": "INC9"})),
        ]);
        assert_eq!(rows(&select(&traces, &ticket("INC1"))), [1, 2, 3]);
        assert_eq!(select(&traces, &ticket("INC9")).rows.len(), 0, "an export is nothing to export");
    }

    #[test]
    fn a_key_is_named_by_its_first_eight_characters_or_more() {
        let key = "4f2b91c0-6e1d-4c0b-9f7a-0b5d8b3c2a11";
        let traces = traces(&[(Some(10), json!({"event": "call-opened", "number": 1, "key": key}))]);
        let found = |said: &str| select(&traces, &Subject::Key(KeyPrefix::read(said).unwrap())).rows.len();
        assert_eq!([found("4F2B91C0"), found("4f2b91c0-6e1d"), found(key), found("4F2B91C1")], [1, 1, 1, 0]);
    }
}
