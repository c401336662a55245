//! What was ever owed, and how each debt came to where it is.

use crate::{
    desk::{Desk, unblocked},
    domain::{
        debt::{Debt, DebtId},
        timeline::{Step, Timeline},
        work::{Failure, Kind},
    },
    store::{Ledger, debts},
};

/// Every debt of this ledger: the open ones as on the list, then all that ended, the newest first.
pub async fn all(desk: &Desk) -> Result<Vec<Debt>, Failure> {
    desk.read(debts::all_of_them).await
}

/// Every step of a debt. Read on a connection of its own: a long ledger makes no reveal wait.
pub async fn timeline(desk: &Desk, debt: DebtId) -> Result<Vec<Step>, Failure> {
    let (path, zone) = (desk.paths.ledger(), desk.zone.clone());
    let walked = unblocked(move || {
        let mut timeline = Timeline::new(debt, zone);
        let Some(ledger) = Ledger::peek(&path)? else { return Ok(timeline) };
        ledger.walk(1, |row| {
            timeline.take(&row);
            true
        })?;
        Ok::<_, crate::store::StoreError>(timeline)
    });
    let steps = walked.await?.steps();
    if steps.is_empty() {
        return Err(Failure::new(Kind::NotFound, "The ledger has no rows about this debt."));
    }
    Ok(steps)
}
