//! `keydesk doctor`: what was looked at on the technician's machine, in order, and what to do about what was found.

use std::{path::PathBuf, time::Duration};

use crate::domain::{connection::Connection, policy::Forwarding};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    Well,
    /// Not looked at, and why.
    NotChecked,
    /// It works; somebody should know about it.
    Notice,
    /// Something to fix.
    Fix,
}

impl Grade {
    /// The mark at the beginning of its line.
    pub fn mark(self, ascii: bool) -> &'static str {
        match (self, ascii) {
            (Self::Well, false) => "√",
            (Self::Well, true) => "+",
            (Self::NotChecked, false) => "·",
            (Self::NotChecked, true) => "-",
            (Self::Notice, _) => "!",
            (Self::Fix, false) => "×",
            (Self::Fix, true) => "x",
        }
    }

    /// The word in the JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::NotChecked => "not-checked",
            Self::Notice => "notice",
            Self::Fix => "fix",
        }
    }
}

/// Who can fix it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    You,
    MachineAdministrator,
    NetworkTeam,
    EntraAdministrator,
    /// Whoever keeps the records.
    Auditor,
}

impl Who {
    pub fn words(self) -> &'static str {
        match self {
            Self::You => "you",
            Self::MachineAdministrator => "whoever administers this machine",
            Self::NetworkTeam => "your network team",
            Self::EntraAdministrator => "an Entra administrator",
            Self::Auditor => "whoever keeps the records",
        }
    }
}

/// What was seen, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub grade: Grade,
    /// One or more sentences. No secret stands in them.
    pub seen: String,
    /// What to do, and who can.
    pub fix: Option<(Who, String)>,
    /// How long it took, where that says something.
    pub took: Option<Duration>,
}

impl Finding {
    fn new(grade: Grade, seen: impl Into<String>) -> Self {
        Self { grade, seen: seen.into(), fix: None, took: None }
    }

    pub fn well(seen: impl Into<String>) -> Self {
        Self::new(Grade::Well, seen)
    }

    pub fn not_checked(why: impl Into<String>) -> Self {
        Self::new(Grade::NotChecked, why)
    }

    pub fn notice(seen: impl Into<String>) -> Self {
        Self::new(Grade::Notice, seen)
    }

    pub fn fix(seen: impl Into<String>) -> Self {
        Self::new(Grade::Fix, seen)
    }

    #[must_use]
    pub fn by(mut self, who: Who, what: impl Into<String>) -> Self {
        self.fix = Some((who, what.into()));
        self
    }

    #[must_use]
    pub fn took(mut self, took: Duration) -> Self {
        self.took = Some(took);
        self
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Stable, for tickets and scripts: `tls.graph`.
    pub id: &'static str,
    /// For a person: "certificate of graph.microsoft.com".
    pub name: String,
    pub finding: Finding,
}

impl Check {
    pub fn new(id: &'static str, name: impl Into<String>, finding: Finding) -> Self {
        Self { id, name: name.into(), finding }
    }
}

/// Every check under its heading, in the order of the report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub sections: Vec<(&'static str, Vec<Check>)>,
}

impl Report {
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.sections.iter().flat_map(|(_, checks)| checks)
    }

    pub fn count(&self, grade: Grade) -> usize {
        self.checks().filter(|check| check.finding.grade == grade).count()
    }

    /// Nothing is to be fixed.
    pub fn is_well(&self) -> bool {
        self.count(Grade::Fix) == 0
    }
}

/// What the command line knows before anything is asked: it reads the files, and the terminal is its own.
#[derive(Clone, Debug)]
pub struct Setup {
    pub config: FileSeen,
    /// The machine-wide policy, and the digest of the effective one.
    pub policy: FileSeen,
    pub digest: Option<String>,
    /// Where the policy sends copies of the ledger's rows.
    pub forward: Forwarding,
    pub profile: String,
    pub has_several_profiles: bool,
    /// Which tenant through which hosts, or why that is not known.
    pub connection: Result<Connection, NoConnection>,
    pub places: Places,
    /// Whether a session may outlive the program, in the system's own store.
    pub remembers: bool,
    pub terminal: Option<TerminalSeen>,
}

/// A settings file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSeen {
    pub path: PathBuf,
    pub is_there: bool,
    /// Why it cannot be used, in the words of whoever read it.
    pub refused: Option<String>,
    /// What mends that, where it is one command.
    pub mend: Option<String>,
}

/// Why no host can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoConnection {
    NoTenant,
    /// The settings cannot be read.
    Unreadable,
}

/// Where this account's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    pub state: PathBuf,
    /// Why the folder cannot be made, where it cannot.
    pub refused: Option<String>,
    pub ledger: PathBuf,
    pub instances: PathBuf,
}

/// What a terminal says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSeen {
    /// Columns and rows.
    pub size: Option<(u16, u16)>,
    /// How many colours.
    pub colours: u16,
    pub utf8: bool,
    pub focus: Focus,
}

/// Whether the terminal tells that its window lost the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// It told its state when it was asked to report changes.
    Told,
    /// The system's console always tells.
    Always,
    /// Terminals that report changes need not tell their state: only trying shows it.
    Silent,
}
