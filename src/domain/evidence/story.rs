//! From selected rows to the whole of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    About, CallStory, DebtStory, Evidence, FORMAT, Happening, LedgerState, Made, Person, PolicyStory, RowCopy, Source,
    When, calls, debts,
    row::{Row, Stored},
    select::{Selection, Subject},
    summary,
};
use crate::domain::technician::Technician;

/// What evidence is made of.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    pub subject: &'a Subject,
    pub selection: &'a Selection,
    /// The selected rows, in order.
    pub rows: &'a [Stored],
    /// Number and hash of the ledger's last row.
    pub head: (u64, String),
    /// Where the chain breaks, if it does.
    pub broken: Option<String>,
    pub now: Timestamp,
    pub zone: &'a TimeZone,
    pub by: Option<Technician>,
    pub host: String,
    pub account: String,
    pub version: String,
    pub source: Source,
}

impl Evidence {
    pub fn of(input: &Input<'_>) -> Self {
        let rows: Vec<Row<'_>> = input.rows.iter().map(|stored| Row::open(stored, input.zone)).collect();
        let mut stories: Vec<CallStory> = input.selection.calls.iter().map(|call| calls::story(*call, &rows)).collect();
        stories.sort_by_key(|call| calls::when(call).map(|at| at.utc));
        let mut owed: Vec<DebtStory> = input.selection.debts.iter().map(|debt| debts::story(*debt, &rows)).collect();
        owed.sort_by_key(|debt| debt.since.as_ref().map(|at| at.utc));
        Self {
            format: FORMAT,
            made: made(input),
            about: about(input.subject, &stories, &owed, &rows),
            summary: summary::sentences(&stories, &owed),
            ledger: ledger(input),
            policies: policies(&stories, &rows),
            others: others(&stories, &owed, &rows),
            rows: copies(&rows, input.rows),
            calls: stories,
            debts: owed,
        }
    }

    /// The first word of the file's name: the ticket, the call, or the key.
    pub fn name(&self) -> String {
        let call = || self.calls.first().and_then(|call| call.number).map(|number| format!("call-{number}"));
        let key = || self.about.keys.first().map(|key| format!("key-{}", key.chars().take(8).collect::<String>()));
        let name = self.about.tickets.first().cloned().or_else(call).or_else(key).unwrap_or_else(|| "rows".into());
        // A ticket's form is the organisation's; a file's name is not.
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(60).collect()
    }
}

fn made(input: &Input<'_>) -> Made {
    let zone = input
        .zone
        .iana_name()
        .map_or_else(|| input.now.to_zoned(input.zone.clone()).strftime("UTC%:z").to_string(), str::to_owned);
    Made {
        at: When::new(input.now, input.zone),
        by: input.by.as_ref().map(|who| Person {
            id: who.id.to_string(),
            upn: who.upn.raw().to_owned(),
            name: who.name.raw().to_owned(),
        }),
        host: input.host.clone(),
        account: input.account.clone(),
        version: input.version.clone(),
        zone,
        source: input.source,
    }
}

fn about(subject: &Subject, calls: &[CallStory], debts: &[DebtStory], rows: &[Row<'_>]) -> About {
    let mut about = About { asked: subject.words(), ..About::default() };
    let mut add = |list: fn(&mut About) -> &mut Vec<String>, text: String| {
        let list = list(&mut about);
        if !text.is_empty() && !list.contains(&text) {
            list.push(text);
        }
    };
    if let Subject::Ticket(spellings) = subject {
        // As the rows write it.
        let written = rows.iter().filter_map(|row| row.text("ticket"));
        for ticket in written.filter(|ticket| spellings.iter().any(|spelling| spelling.eq_ignore_ascii_case(ticket))) {
            add(|about| &mut about.tickets, ticket);
        }
    }
    for disclosure in calls.iter().flat_map(|call| &call.disclosures) {
        add(|about| &mut about.tickets, disclosure.ticket.clone());
    }
    let keys =
        calls.iter().filter_map(|call| call.key.as_ref()).chain(debts.iter().filter_map(|debt| debt.key.as_ref()));
    for key in keys {
        add(|about| &mut about.keys, key.id.clone());
    }
    let devices = calls
        .iter()
        .filter_map(|call| call.device.as_ref())
        .chain(debts.iter().filter_map(|debt| debt.device.as_ref()));
    for device in devices {
        add(|about| &mut about.devices, device.name.clone());
    }
    about
}

fn ledger(input: &Input<'_>) -> LedgerState {
    let (seq, head) = input.head.clone();
    let chain = match &input.broken {
        None => {
            format!("The whole chain was walked when this was made: all {seq} rows follow one another, up to the head.")
        }
        Some(broken) => {
            format!(
                "THE CHAIN IS BROKEN at {broken}. What stands after it in the ledger proves nothing; find out why before you rely on this."
            )
        }
    };
    LedgerState {
        seq,
        head,
        whole: input.broken.is_none(),
        chain,
        first: input.rows.first().map_or(0, |row| row.seq),
        last: input.rows.last().map_or(0, |row| row.seq),
        count: input.rows.len(),
    }
}

fn policies(calls: &[CallStory], rows: &[Row<'_>]) -> Vec<PolicyStory> {
    let digests: BTreeSet<&String> =
        calls.iter().map(|call| &call.policy).filter(|digest| !digest.is_empty()).collect();
    let lines = |digest: &str| -> Option<BTreeMap<String, String>> {
        let said = |row: &&Row<'_>| row.event() == "policy-in-force" && row.what("digest").as_str() == Some(digest);
        serde_json::from_value(rows.iter().find(said)?.what("lines").clone()).ok()
    };
    digests.into_iter().map(|digest| PolicyStory { digest: digest.clone(), lines: lines(digest) }).collect()
}

/// Rows of the subject that no call and no debt tells of. What only explains others is none of them.
fn others(calls: &[CallStory], debts: &[DebtStory], rows: &[Row<'_>]) -> Vec<Happening> {
    let steps = calls.iter().flat_map(|call| &call.steps).chain(debts.iter().flat_map(|debt| &debt.timeline));
    let told: BTreeSet<u64> = steps.map(|step| step.seq).collect();
    let explains = |row: &&Row<'_>| matches!(row.event(), "signed-in" | "policy-in-force");
    rows.iter().filter(|row| !told.contains(&row.seq()) && !explains(row)).map(Row::told).collect()
}

fn copies(rows: &[Row<'_>], stored: &[Stored]) -> Vec<RowCopy> {
    let before = |n: usize| n.checked_sub(1).map(|n| &stored[n]).filter(|row| row.seq + 1 == stored[n].seq);
    rows.iter().enumerate().map(|(n, row)| row.copy(before(n).map(|row| row.hash.as_str()))).collect()
}
