//! The ledger as a whole: judged, read, exported, folded anew.

mod csv;
pub mod export;

use std::path::Path;

use crate::{
    desk::{Desk, unblocked},
    domain::{
        event::Row,
        work::{Failure, Kind},
    },
    store::{
        Ledger, StoreError,
        chain::{Break, Given, Head, Seen},
        compare::Projections,
    },
};

/// What was found out about a ledger.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub chain: Result<Seen, Break>,
    pub projections: Projections,
}

impl Verdict {
    /// The tables folded from the rows say something else than the rows.
    pub fn differ(&self) -> bool {
        matches!(self.projections, Projections::Differ(_))
    }

    /// The same in a word, for scripts.
    pub fn word(&self) -> &'static str {
        match self.projections {
            Projections::AsTheRows => "as-the-rows",
            Projections::Differ(_) => "differ",
            Projections::NotCompared(_) => "not-compared",
        }
    }
}

/// Judges this machine's ledger, which a desk may have open.
pub fn examine_own(path: &Path, head: Option<&str>) -> Result<Verdict, Failure> {
    let given = head.map(given).transpose()?;
    // Noted before it is looked for: a desk may write meanwhile.
    let noted = Ledger::noted(path);
    let Some(ledger) = Ledger::peek(path).map_err(unreadable)? else {
        // None yet: an empty chain is whole, unless there should be rows.
        let chain = match noted.map(|head| Given::of(&head)).or(given) {
            Some(given) => Err(Break::Truncated { end: 0, given }),
            None => Ok(Seen { head: Head::default(), given: None }),
        };
        return Ok(Verdict { chain, projections: Projections::AsTheRows });
    };
    let mut verdict = examine(&ledger, given.as_ref())?;
    // This machine notes the end itself: rows that are lost here show without a head from elsewhere.
    if let (Ok(_), Some(noted)) = (&verdict.chain, noted)
        && let Some(lost) = ledger.lost(&noted).map_err(unreadable)?
    {
        verdict.chain = Err(lost);
    }
    Ok(verdict)
}

/// Judges a file that lies anywhere.
pub fn examine_copy(path: &Path, head: Option<&str>) -> Result<Verdict, Failure> {
    let given = head.map(given).transpose()?;
    if !path.exists() {
        return Err(missing(path));
    }
    examine(&Ledger::open_copy(path).map_err(unreadable)?, given.as_ref())
}

fn examine(ledger: &Ledger, given: Option<&Given>) -> Result<Verdict, Failure> {
    let (chain, projections) = ledger.examine(given).map_err(unreadable)?;
    Ok(Verdict { chain, projections })
}

fn given(head: &str) -> Result<Given, Failure> {
    head.parse().map_err(|error| Failure::new(Kind::Usage, format!("`--head {head}`: {error}.")))
}

/// Hands `each` the rows of this machine's ledger from `from` on: number, bytes, hash, and what they say where this version can read it.
pub fn rows(
    path: &Path,
    from: u64,
    mut each: impl FnMut(u64, &[u8], &str, Option<&Row>) -> bool,
) -> Result<(), Failure> {
    let Some(ledger) = Ledger::peek(path).map_err(unreadable)? else { return Ok(()) };
    let walk = ledger.stored(from, |row| each(row.seq, &row.bytes, &row.hash, row.read().ok().as_ref()));
    walk.map_err(unreadable)
}

/// The end of a whole chain, or what is wrong with it.
pub fn whole(chain: Result<Seen, Break>) -> Result<Seen, Failure> {
    chain.map_err(|broken| {
        let (means, next) = match broken {
            Break::Truncated { .. } | Break::Another { .. } => (
                "What is left follows row by row, but it is not the chain that the head was taken from.",
                "Copy the file aside, and tell whoever keeps the records.",
            ),
            _ => ("The rows from there on prove nothing.", "Copy the file aside, and tell whoever keeps the records."),
        };
        Failure::new(Kind::Failed, format!("The chain is broken: {broken}.")).meaning(means).next(next)
    })
}

/// Folds calls, debts and everything else from the rows again.
pub async fn rebuild(desk: &Desk) -> Result<&'static str, Failure> {
    let ledger = desk.ledger().clone();
    unblocked(move || {
        whole(ledger.verify()?.map(|head| Seen { head, given: None }))?;
        if ledger.examine(None)?.1 == Projections::AsTheRows {
            return Ok("The tables already say what the rows say; nothing was changed.");
        }
        ledger.rebuild()?;
        Ok("The tables are folded from the rows again.")
    })
    .await
}

fn missing(path: &Path) -> Failure {
    Failure::new(Kind::NotFound, format!("There is no ledger at {}.", path.display()))
        .next("Name a copy of a ledger.db.")
}

/// Nothing is about to be disclosed here: what it means is another thing than at the desk.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn unreadable(error: StoreError) -> Failure {
    let next = match error {
        StoreError::Damaged { .. } => {
            "Copy it aside before anything else is done to it, and tell whoever keeps the records."
        }
        StoreError::Newer(_) => "Use the keydesk that wrote it, or a later one.",
        StoreError::Busy(_) => "Wait a moment, then try again.",
        _ => "Check that it is a ledger.db, and that this account may read it.",
    };
    Failure::new(Kind::Failed, format!("{error}.")).meaning("Its rows cannot be read.").next(next)
}
