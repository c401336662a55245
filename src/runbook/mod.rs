//! Runbooks: the steps of a call as data in `assets/runbooks/`, and the walk through one.

mod walk;

use serde::Deserialize;

pub use walk::{Evidence, Mark, Walk};

/// What a call goes through, and what is said in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runbook {
    pub title: String,
    /// In order; never empty.
    pub steps: Vec<Step>,
    pub aside: Aside,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub id: String,
    /// One word for the rail.
    pub rail: String,
    pub title: String,
    /// To the caller, word for word.
    pub say: String,
    /// For the technician.
    #[serde(rename = "do")]
    pub act: String,
    /// What ticks it.
    pub done: Evidence,
}

/// What is said when a step does not go its way.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Aside {
    /// Fewer than eight characters were read, one key fits already.
    pub go_on: String,
    /// No key starts like this.
    pub not_found: String,
    /// Entra asks us to wait.
    pub slow: String,
    /// Nobody knows whether Entra handed the key out.
    pub no_answer: String,
    /// The technician's own session has to be renewed.
    pub sign_in: String,
    /// In Windows again, and the replacement is not on its way.
    pub replace_later: String,
    /// The ledger cannot be written.
    pub stopped: String,
    /// The caller was refused.
    pub not_verified: String,
}

/// Why a runbook cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunbookError {
    #[error("{name}, line {line}: {what}")]
    Line { name: String, line: usize, what: String },
    #[error("{name}: it has no steps")]
    Empty { name: String },
    #[error("{name}: {what} stands twice, at {first} and at {second}")]
    Twice { name: String, what: &'static str, first: String, second: String },
}

impl Runbook {
    /// The runbook that ships inside the program.
    pub fn recovery_call() -> Result<Self, RunbookError> {
        Self::read("recovery-call.toml", include_str!("../../assets/runbooks/recovery-call.toml"))
    }

    /// Reads `text`, TOML; `name` is for the error.
    pub fn read(name: &str, text: &str) -> Result<Self, RunbookError> {
        let runbook: Self = toml::from_str(text).map_err(|error| RunbookError::Line {
            name: name.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            what: error.message().to_owned(),
        })?;
        if runbook.steps.is_empty() {
            return Err(RunbookError::Empty { name: name.to_owned() });
        }
        runbook.refuse_twins(name)?;
        Ok(runbook)
    }

    /// Two steps ticked by one evidence, or of one id, would make the walk ambiguous.
    fn refuse_twins(&self, name: &str) -> Result<(), RunbookError> {
        for (n, step) in self.steps.iter().enumerate() {
            let twice = |what, other: &Step| RunbookError::Twice {
                name: name.to_owned(),
                what,
                first: other.title.clone(),
                second: step.title.clone(),
            };
            for other in &self.steps[..n] {
                if other.id == step.id {
                    return Err(twice("an id", other));
                }
                if other.done == step.done {
                    return Err(twice("an evidence", other));
                }
            }
        }
        Ok(())
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&b| b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_runbook_has_the_seven_steps_of_the_rail() {
        let runbook = Runbook::recovery_call().unwrap();
        let rail: Vec<&str> = runbook.steps.iter().map(|step| step.rail.as_str()).collect();
        assert_eq!(rail, ["Screen", "Key ID", "Caller", "Ticket", "Read", "Windows", "Close"]);
    }

    #[test]
    fn a_typo_is_named_with_its_line() {
        let shipped = include_str!("../../assets/runbooks/recovery-call.toml");
        let line = shipped.lines().position(|line| line.starts_with("done = \"key-heard\"")).unwrap() + 1;
        let broken = shipped.replace("done = \"key-heard\"", "done = \"key-herd\"");
        let said = Runbook::read("broken.toml", &broken).unwrap_err().to_string();
        assert!(said.starts_with(&format!("broken.toml, line {line}: ")), "{said}");
        assert!(said.contains("key-herd"), "{said}");
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let shipped = include_str!("../../assets/runbooks/recovery-call.toml");
        let broken = shipped.replacen("title = \"Recovery call\"", "title = \"Recovery call\"\ntitel = \"x\"", 1);
        let said = Runbook::read("broken.toml", &broken).unwrap_err().to_string();
        assert!(said.contains("line 5") && said.contains("titel"), "{said}");
    }

    #[test]
    fn two_steps_with_one_evidence_are_refused() {
        let shipped = include_str!("../../assets/runbooks/recovery-call.toml");
        let broken = shipped.replace("done = \"key-heard\"", "done = \"something-heard\"");
        let said = Runbook::read("broken.toml", &broken).unwrap_err().to_string();
        assert!(said.contains("an evidence stands twice"), "{said}");
    }
}
