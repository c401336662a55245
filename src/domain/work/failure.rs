//! The one failure a technician meets: what happened, what it means for the call, what to do next.

use std::fmt;

/// What kind of failure: decides the screen it gets and the command line's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Failed,
    /// The question itself was wrong.
    Usage,
    /// Policy or permission.
    Refused,
    /// Allowed, once a person has confirmed it: asked again with the confirmation, it goes on.
    Confirm,
    NotFound,
    /// Sign-in is needed, or may not be asked for.
    SignIn,
    /// The ledger cannot be written: no key can be read here.
    Record,
    /// Nobody knows whether Entra handed the key out.
    Uncertain,
    /// Entra or Intune cannot be reached.
    Unreachable,
    Cancelled,
}

impl Kind {
    /// 1 failed, 2 usage, 3 refused by policy or permission, 4 not found.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Refused | Self::Confirm | Self::SignIn => 3,
            Self::NotFound => 4,
            Self::Failed | Self::Record | Self::Uncertain | Self::Unreachable | Self::Cancelled => 1,
        }
    }
}

/// Why a request was not fulfilled, in the technician's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    pub happened: String,
    /// For the call. May be empty.
    pub means: String,
    /// What to do next. May be empty.
    pub next: String,
    /// Microsoft's id of the failed request, for their support.
    pub request_id: Option<String>,
}

impl Failure {
    pub fn new(kind: Kind, happened: impl Into<String>) -> Self {
        Self { kind, happened: happened.into(), means: String::new(), next: String::new(), request_id: None }
    }

    #[must_use]
    pub fn meaning(mut self, means: impl Into<String>) -> Self {
        self.means = means.into();
        self
    }

    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    #[must_use]
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.request_id = id;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.happened, &self.means, &self.next];
        let said: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        f.write_str(&said.join(" "))
    }
}

impl std::error::Error for Failure {}
