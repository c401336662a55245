//! What an auditor is handed about a ticket, a call or a key: who read which key, when, why, how the caller was verified, that it was
//! replaced, and the ledger's own rows to check it by. Pure: from rows to facts; `crate::evidence` makes files of them.
//!
//! The form is that of `docs/evidence.schema.json`. A field may be added to it; one that changes its meaning makes it another format.

mod calls;
mod debts;
mod fold;
mod row;
mod select;
mod story;
mod summary;
mod words;

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use serde_json::Value;

pub use row::Stored;
pub use select::{Selection, Subject, Trace, select};
pub use story::Input;

use super::verdict::Why;

/// The version of the form.
pub const FORMAT: u32 = 1;

/// Everything in a pack. Texts from outside are as they came, but for digits of a key: whoever prints them escapes them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    pub format: u32,
    pub made: Made,
    pub about: About,
    /// The story in sentences.
    pub summary: Vec<String>,
    pub ledger: LedgerState,
    pub calls: Vec<CallStory>,
    pub debts: Vec<DebtStory>,
    /// What belongs to the subject and to none of its calls and debts.
    pub others: Vec<Happening>,
    pub policies: Vec<PolicyStory>,
    pub rows: Vec<RowCopy>,
}

/// When, for whom, where.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Made {
    pub at: When,
    /// Who sat at the desk; absent where nobody was signed in.
    pub by: Option<Person>,
    pub host: String,
    /// The operating system's account.
    pub account: String,
    /// The program's.
    pub version: String,
    /// The time zone of every local time here.
    pub zone: String,
    /// From the ledger of this desk, where the making is itself recorded; or from a file, which stays as it is.
    pub source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Desk,
    File,
}

/// One time, on two clocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct When {
    pub utc: Timestamp,
    /// With its offset.
    pub local: String,
    /// "20 Nov 2026 09:41:07 UTC (10:41:07 local)"
    #[serde(skip)]
    pub words: String,
}

impl When {
    pub fn new(utc: Timestamp, zone: &TimeZone) -> Self {
        let (plain, there) = (utc.to_zoned(TimeZone::UTC), utc.to_zoned(zone.clone()));
        let form = if plain.date() == there.date() { "%H:%M:%S" } else { "%-d %b %H:%M:%S" };
        let words = format!("{} UTC ({} local)", plain.strftime("%-d %b %Y %H:%M:%S"), there.strftime(form));
        Self { utc, local: there.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(), words }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    pub id: String,
    pub upn: String,
    pub name: String,
}

impl Person {
    /// "Dana Reyes (dana@harborview.example)"
    pub fn words(&self) -> String {
        if self.name.is_empty() || self.name == self.upn {
            self.upn.clone()
        } else {
            format!("{} ({})", self.name, self.upn)
        }
    }
}

/// What it is about, as far as the rows say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct About {
    /// What was asked for: "ticket INC0048213".
    pub asked: String,
    pub tickets: Vec<String>,
    pub keys: Vec<String>,
    pub devices: Vec<String>,
}

/// The ledger when the pack was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerState {
    /// The head: the last row's number and hash.
    pub seq: u64,
    pub head: String,
    pub whole: bool,
    /// What the walk over the whole chain said, in a sentence.
    pub chain: String,
    /// The rows of this pack: the first, the last, and how many.
    pub first: u64,
    pub last: u64,
    pub count: usize,
}

/// A key, by its ID alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyFacts {
    pub id: String,
    pub volume: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceFacts {
    /// Empty where Entra's device is not known.
    pub id: String,
    pub name: String,
    /// Why this device, where the row says it.
    pub why: Option<Why>,
}

/// Entra directory roles, as the token said when the technician signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Roles {
    pub recorded: bool,
    /// Names, or the template id of one that has none here.
    pub names: Vec<String>,
    pub said: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallStory {
    pub id: String,
    pub number: Option<u64>,
    pub opened: Option<When>,
    /// open, parked, closed
    pub state: &'static str,
    /// Everybody under whose name a row of it was written.
    pub technicians: Vec<Person>,
    pub roles: Roles,
    pub tenant: Option<String>,
    pub app: String,
    pub host: String,
    pub account: String,
    pub version: String,
    /// Fingerprint of the policy in force.
    pub policy: String,
    pub key: Option<KeyFacts>,
    pub device: Option<DeviceFacts>,
    /// How many characters of the key ID the caller read.
    pub heard: Option<u64>,
    pub verifications: Vec<VerificationStory>,
    pub disclosures: Vec<DisclosureStory>,
    pub steps: Vec<Happening>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerificationStory {
    pub at: When,
    pub verified: bool,
    pub by: Option<Person>,
    pub method: Option<String>,
    pub words: Option<String>,
    /// Which facts were compared and how; never what the caller said.
    pub claims: Vec<ClaimFacts>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimFacts {
    pub fact: String,
    pub compared: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// No outcome is recorded yet.
    Intended,
    Served,
    Refused,
    Unknown,
    /// Read elsewhere: Entra was not asked.
    External,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DisclosureStory {
    pub id: String,
    /// What was sent to Microsoft with the request: the same id.
    pub client_request_id: String,
    pub debt: Option<String>,
    pub key: KeyFacts,
    pub device: DeviceFacts,
    pub asked: When,
    pub technician: Option<Person>,
    pub ticket: String,
    pub reason: String,
    pub reason_words: String,
    pub verified_by_method: String,
    /// Every key of the device just before, on Entra's word.
    pub known: Vec<KeyFacts>,
    /// Entra's own clock then.
    pub entra_time: Option<Timestamp>,
    pub outcome: Outcome,
    pub outcome_at: Option<When>,
    pub outcome_words: String,
    pub status: Option<u64>,
    /// Microsoft's id of the request.
    pub request_id: Option<String>,
    /// What Microsoft's check of the digits said.
    pub digits: Option<String>,
    pub stage: Vec<Happening>,
    pub entra: EntraRecords,
    /// Read to the wrong person.
    pub compromised: Option<Happening>,
}

/// Entra's own audit of this read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntraRecords {
    pub found: Vec<EntraRecord>,
    pub said: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntraRecord {
    /// The audit record's id.
    pub audit: String,
    pub at: Option<When>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DebtStanding {
    Owed,
    Proved,
    Waived,
    /// The key was certainly never handed out.
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DebtStory {
    pub id: String,
    pub key: Option<KeyFacts>,
    pub device: Option<DeviceFacts>,
    pub since: Option<When>,
    pub state: DebtStanding,
    /// When it ended, if it did.
    pub ended: Option<When>,
    /// How well the replacement is proved.
    pub grade: Option<String>,
    /// The same in words.
    pub grade_words: Option<String>,
    pub new_key: Option<String>,
    pub compromised: bool,
    /// How it stands, in a sentence.
    pub said: String,
    pub timeline: Vec<Happening>,
}

/// One row, told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Happening {
    pub seq: u64,
    pub at: Option<When>,
    pub event: String,
    pub by: Option<String>,
    pub host: String,
    pub said: String,
    /// The event's own fields, as recorded.
    pub fields: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyStory {
    pub digest: String,
    /// `None`: the ledger has no row with its lines.
    pub lines: Option<BTreeMap<String, String>>,
}

/// A row as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowCopy {
    pub seq: u64,
    pub at: Option<When>,
    pub event: String,
    pub prev: String,
    pub hash: String,
    /// Whether the stored bytes have that hash.
    pub hash_holds: bool,
    /// Whether it names the hash of the row before; `None` where that row is not in the pack.
    pub follows: Option<bool>,
    /// The stored bytes, which are what is hashed. `None` where they are withheld.
    pub body: Option<String>,
    pub withheld: Option<String>,
}

impl DisclosureStory {
    /// Nobody can say, or not yet.
    pub fn outcome_is_open(&self) -> bool {
        matches!(self.outcome, Outcome::Intended | Outcome::Unknown)
    }
}

impl DebtStory {
    pub fn is_open(&self) -> bool {
        self.state == DebtStanding::Owed
    }

    pub fn state_word(&self) -> &'static str {
        match self.state {
            DebtStanding::Owed => "owed",
            DebtStanding::Proved => "proved replaced",
            DebtStanding::Waived => "waived",
            DebtStanding::Cancelled => "nothing was handed out",
        }
    }
}

impl RowCopy {
    /// The row before is in the pack, and this one does not name its hash.
    pub fn broken_link(&self) -> bool {
        self.follows == Some(false)
    }
}
