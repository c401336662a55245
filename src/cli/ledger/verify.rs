//! `keydesk ledger verify`: the chain of a file, and a head that was kept elsewhere held against it.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::out;
use crate::{
    config::Overrides,
    domain::{
        age,
        work::{Failure, Kind},
    },
    ops::{self, ledger::Verdict},
};

#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Exit codes: 0 the chain is whole, 1 it is broken or the file cannot be read, 2 usage. docs/ledger.md says what a whole \
                       chain proves and what it does not."
)]
pub(super) struct Verify {
    /// A copy of a ledger.db; else this machine's own. It is only read, and nothing is made beside it
    file: Option<PathBuf>,
    /// A head that was kept elsewhere, as a call note ends with: HASH, its first 8 characters or more, or SEQ:HASH
    #[arg(long, value_name = "HASH")]
    head: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn run(self, overrides: &Overrides) -> Result<(), Failure> {
        let head = self.head.as_deref();
        let (path, verdict) = if let Some(file) = self.file {
            let verdict = ops::ledger::examine_copy(&file, head)?;
            (file, verdict)
        } else {
            let path = super::own(overrides)?;
            let verdict = ops::ledger::examine_own(&path, head)?;
            (path, verdict)
        };
        if self.json {
            out::json(&facts(&path, head, &verdict))?;
        }
        let differ = verdict.differ();
        let seen = match ops::ledger::whole(verdict.chain) {
            Ok(seen) => seen,
            Err(failure) => {
                // Said apart: the one may hold without the other.
                if differ {
                    out::note(&format!("Also, {}.", verdict.projections));
                }
                return Err(failure);
            }
        };
        if !self.json {
            let rows = age::count(usize::try_from(seen.head.seq).unwrap_or(0), "row");
            out::line(&format!("{rows}, the chain is whole, head {}", seen.head.hash))?;
            if let Some(matched) = &seen.given {
                let how = if matched.prefix { "by its first characters, is that of" } else { "is that of" };
                let after = usize::try_from(seen.head.seq - matched.row.seq).unwrap_or(0);
                out::line(&format!(
                    "The head you gave, {how} row {}: {}",
                    matched.row.seq,
                    if after == 0 {
                        "the last one.".to_owned()
                    } else {
                        format!("{} came after it.", age::count(after, "row"))
                    }
                ))?;
            }
        }
        if differ {
            return Err(Failure::new(Kind::Failed, format!("The chain is whole, but {}.", verdict.projections))
                .meaning("The rows are the record. What keydesk shows of calls and debts may be wrong.")
                .next("Run `keydesk ledger rebuild`, and find out who wrote to the file."));
        }
        if self.json { Ok(()) } else { out::line(&format!("Also, {}.", verdict.projections)) }
    }
}

fn facts(path: &std::path::Path, head: Option<&str>, verdict: &Verdict) -> Value {
    let mut facts = json!({
        "file": path.display().to_string(),
        "whole": verdict.chain.is_ok(),
        "rows": null,
        "head": null,
        "break": null,
        "given": head,
        "given_row": null,
        "given_was_prefix": null,
        "projections": verdict.word(),
    });
    match &verdict.chain {
        Ok(seen) => {
            facts["rows"] = seen.head.seq.into();
            facts["head"] = seen.head.hash.clone().into();
            if let Some(matched) = &seen.given {
                facts["given_row"] = matched.row.seq.into();
                facts["given_was_prefix"] = matched.prefix.into();
            }
        }
        Err(broken) => {
            facts["break"] = json!({ "what": broken.word(), "row": broken.row(), "sentence": broken.to_string() });
        }
    }
    facts
}
