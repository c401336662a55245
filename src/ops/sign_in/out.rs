//! Signing out: the session leaves the vault and the index this machine. What is owed stays on record, and so does who signed out.

use uuid::Uuid;

use super::whose;
use crate::{
    desk::{Desk, unblocked},
    domain::{
        event::Event,
        technician::Technician,
        work::{Failure, Kind, sign_in::SignedOut},
    },
    ops,
    store::{calls, index, seats},
};

/// Signs out whoever sits here, or else whom the vault remembers. A call that is open is parked.
pub async fn sign_out(desk: &Desk) -> Result<SignedOut, Failure> {
    let here = desk.seat().ok().map(|seat| (seat.technician, seat.tenant.id));
    let last = if here.is_some() { here } else { remembered(desk).await? };
    let own = desk.instance.id;
    let (technician, tenant) = last.clone().unzip();
    let is_known = technician.is_some();
    desk.record_for(technician, tenant, move |pen| {
        for call in calls::open_at(pen.conn(), own)? {
            pen.append(Some(call), &Event::CallParked)?;
        }
        if is_known {
            pen.append(None, &Event::SignedOut)?;
        }
        Ok(())
    })
    .await?;
    let seat = desk.stand_up();
    super::send_away(desk).await;
    let forgotten = desk.session().await?.sign_out().await;
    if let Some(seat) = seat {
        unblocked(move || seat.index.wipe()).await?;
    }
    if let Some((technician, tenant)) = last {
        let path = desk.paths.index(&whose(desk.connection()?, technician.id, tenant));
        unblocked(move || index::remove(&path)).await;
    }
    let kept = (!forgotten).then(|| {
        Failure::new(Kind::Failed, "Signed out here, but the credential store did not let the session go.")
            .meaning("The next start may find it and go on with it.")
            .next("Unlock the store and sign out again, or have your sessions revoked in Entra.")
    });
    Ok(SignedOut { calls: ops::calls::list(desk).await?, kept })
}

/// Whose session the vault may hold, as the ledger knows it.
async fn remembered(desk: &Desk) -> Result<Option<(Technician, Uuid)>, Failure> {
    let last = desk.read(|conn| seats::last(conn, None)).await?;
    Ok(last.filter(|last| !last.signed_out).map(|last| (last.technician, last.tenant)))
}
