//! Taking the seat: a session, who it belongs to, and the index that is theirs.

use std::sync::Arc;

use crate::{
    desk::{Desk, Seat, unblocked},
    domain::{
        capability::Feature,
        connection::Connection,
        digest::fingerprint,
        event::Event,
        technician::{Technician, Tenant},
        work::{
            Failure, Progress,
            sign_in::{Prompt, SignedIn, Way},
        },
    },
    graph::Graph,
    ops::Asking,
    sign_in::{Session, Told, Vault},
    store::Index,
};

/// Takes up a remembered session, if there is one. Never prompts.
pub async fn resume(desk: &Desk) -> Result<Option<SignedIn>, Failure> {
    let session = session(desk).await?;
    if session.is_signed_in() || session.restore().await? { sit(desk, session).await.map(Some) } else { Ok(None) }
}

/// Signs in: with the remembered session, or by device code.
pub async fn sign_in(desk: &Desk, asking: &Asking) -> Result<SignedIn, Failure> {
    match resume(desk).await {
        Ok(Some(signed_in)) => return Ok(signed_in),
        Ok(None) => {}
        // A remembered session that ended is no failure: sign in anew.
        Err(failure) if failure.kind == crate::domain::work::Kind::SignIn => {}
        Err(failure) => return Err(failure),
    }
    afresh(desk, asking).await
}

/// Signs in by device code, whatever is remembered.
pub async fn afresh(desk: &Desk, asking: &Asking) -> Result<SignedIn, Failure> {
    let session = session(desk).await?;
    let tell = |told| {
        if let Told::DeviceCode(code) = told {
            asking.tell(Progress::DeviceCode(code));
        }
    };
    session.sign_in(&Prompt::by(Way::DeviceCode), tell).await?;
    sit(desk, session).await
}

/// Gets tokens for these ahead of need. What is refused shows in the lights.
pub async fn redeem(desk: &Desk, features: &[Feature]) {
    if let Ok(seat) = desk.seat() {
        seat.graph.session().ask_for(features).await;
    }
}

async fn session(desk: &Desk) -> Result<Session, Failure> {
    let connection = desk.connection()?.clone();
    let session = desk.session.get_or_init(|| async {
        let vault = if desk.remembers { Vault::open(&connection).await } else { Vault::memory() };
        Session::new(desk.http.clone(), connection, vault)
    });
    Ok(session.await.clone())
}

/// Finds out who signed in, opens their index, and records it.
async fn sit(desk: &Desk, session: Session) -> Result<SignedIn, Failure> {
    let connection = desk.connection()?.clone();
    let graph = Graph::new(desk.http.clone(), session.clone());
    let technician = match session.technician() {
        Some(technician) => technician,
        None => graph.me().await?,
    };
    let tenant = graph.organization().await?;
    let path = desk.paths.index(&whose(&connection, &technician, &tenant));
    let index = unblocked(move || Index::open(&path)).await?;
    desk.sit(Seat { technician: technician.clone(), tenant: tenant.clone(), graph, index: Arc::new(index) });
    desk.record(|pen| pen.append(None, &Event::SignedIn)).await?;
    session.ask_for(&[Feature::List]).await;
    desk.debts_changed();
    Ok(SignedIn { technician, tenant, lights: session.lights(), remembered: session.remembered() })
}

/// Names an index after (cloud, tenant, technician).
fn whose(connection: &Connection, technician: &Technician, tenant: &Tenant) -> String {
    let cloud = connection.graph.host_str().unwrap_or_default();
    let named = format!("{cloud}\n{}\n{}", tenant.id, technician.id);
    fingerprint(named)
}
