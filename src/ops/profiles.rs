//! The tenants this desk is set up for. Each has a ledger of its own; those of the others are only looked into.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::{
    desk::{Desk, unblocked},
    domain::{
        debt::Debt,
        work::{Failure, profiles::ProfileState},
    },
    store::{Ledger, TxError, debts, seats},
};

/// Each profile with what its own ledger knows.
pub async fn list(desk: &Desk) -> Result<Vec<ProfileState>, Failure> {
    let mut states = Vec::new();
    for profile in &desk.profiles {
        let is_here = profile.name == desk.profile;
        let (last, owed) = if is_here {
            desk.read(look).await?
        } else {
            look_into(desk.paths.of_other(&desk.profile, &profile.name).ledger()).await
        };
        states.push(ProfileState {
            name: profile.name.clone(),
            label: profile.label.clone(),
            tenant: profile.tenant.clone(),
            is_here,
            signed_out: last.as_ref().is_some_and(|last| last.signed_out),
            last: last.map(|last| last.technician),
            owed: owed.len(),
            oldest: owed.iter().map(|debt| debt.since).min(),
        });
    }
    Ok(states)
}

type Known = (Option<seats::LastSeat>, Vec<Debt>);

fn look(conn: &rusqlite::Connection) -> Result<Known, TxError> {
    // Nothing has ended after the end of time: what is open is left.
    Ok((seats::last(conn, None)?, debts::list(conn, Timestamp::MAX)?))
}

/// What another profile's ledger knows. One that is not there, or cannot be read, knows nothing; its own desk says why.
async fn look_into(path: PathBuf) -> Known {
    let known = unblocked(move || match Ledger::peek(&path)? {
        Some(ledger) => ledger.read(look),
        None => Ok((None, Vec::new())),
    });
    known.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "another profile's ledger cannot be read");
        (None, Vec::new())
    })
}
