//! Taking the seat: a session, whose it is, whether they mean to be that person, and the index that is theirs. And leaving it.
//!
//! A prompt signs in to a session of its own. Only when it is known to be the technician's, or they have said that they mean the other
//! name, does the desk go on with it: until then nothing at the desk can act with what somebody else was given.

mod out;

use std::{
    mem,
    sync::{Arc, PoisonError},
};

use jiff::Timestamp;
pub use out::sign_out;
use uuid::Uuid;

use crate::{
    desk::{Arriving, Came, Desk, Seat, unblocked},
    domain::{
        attendance::Attendance,
        capability::Feature,
        connection::Connection,
        digest::fingerprint,
        event::Event,
        technician::{Technician, Tenant, UserId},
        work::{
            Failure, Kind, Progress,
            sign_in::{AnotherName, Prompt, Redeemed, SignedIn, Way},
        },
    },
    graph::Graph,
    ops::Asking,
    sign_in::{Session, Told},
    store::{Index, calls, seats},
};

/// Who came of a sign-in.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    Seated(SignedIn),
    /// Somebody else than last time: [`confirm`] or [`send_away`].
    Another(AnotherName),
}

/// Takes up a remembered session, if there is one. Never prompts.
pub async fn resume(desk: &Desk) -> Result<Option<Arrival>, Failure> {
    let session = desk.session().await?;
    if !session.is_signed_in() && !session.restore().await? {
        return Ok(None);
    }
    arrive(desk, session, false, true).await.map(Some)
}

/// Has a person sign in.
pub async fn sign_in(desk: &Desk, prompt: &Prompt, asking: &Asking) -> Result<Arrival, Failure> {
    allowed(desk, prompt.way)?;
    let session = desk.session().await?;
    let brought = session.successor();
    let tell = |told| match told {
        Told::DeviceCode(code) => asking.tell(Progress::DeviceCode(code)),
        Told::Browser(page) => asking.tell(Progress::BrowserPage(page)),
    };
    let fresh = prompt.fresh || must_be_fresh(desk).await?;
    if let Err(error) = brought.sign_in(&Prompt { fresh, ..prompt.clone() }, tell).await {
        session.heed(&brought);
        return Err(error.into());
    }
    arrive(desk, brought, fresh, false).await
}

fn allowed(desk: &Desk, way: Way) -> Result<(), Failure> {
    if desk.policy.ways.contains(&way) {
        return Ok(());
    }
    let (this, other) = (way.words(), way.other().words());
    Err(Failure::new(Kind::Refused, format!("Your organisation's policy does not allow signing in {this} here."))
        .next(format!("Sign in {other}."))
        .instead(way.other()))
}

/// Whoever arrived under another name means it: the desk is theirs.
pub async fn confirm(desk: &Desk) -> Result<SignedIn, Failure> {
    let Some(arriving) = expect(desk, None) else {
        return Err(Failure::new(Kind::SignIn, "Nobody has signed in.").next("Sign in, then try again."));
    };
    take_seat(desk, arriving).await
}

/// They do not: their session ends, here and in the vault. Whoever sat here before still does.
pub async fn send_away(desk: &Desk) {
    if let Some(arriving) = expect(desk, None) {
        arriving.session.sign_out().await;
    }
}

/// Who is waited for to confirm their name from now on; gives whoever was before.
fn expect(desk: &Desk, arriving: Option<Arriving>) -> Option<Arriving> {
    mem::replace(&mut *desk.arriving.lock().unwrap_or_else(PoisonError::into_inner), arriving)
}

/// Gets tokens for these ahead of need, asking nobody. What is refused shows in the lights.
pub async fn redeem(desk: &Desk, features: &[Feature]) -> Result<Redeemed, Failure> {
    let session = desk.seat()?.graph.session().clone();
    let mut lacking = Vec::new();
    for feature in features {
        match session.token(*feature).await {
            Err(error) if error.wants_a_person() => lacking.push(*feature),
            Err(error) => tracing::debug!(feature = feature.word(), %error, "no token ahead of time"),
            Ok(_) => {}
        }
    }
    Ok(Redeemed { lights: session.lights(), lacking })
}

/// Finds out who signed in. The seat is taken at once only by whom it was taken last time.
async fn arrive(desk: &Desk, session: Session, fresh: bool, remembered: bool) -> Result<Arrival, Failure> {
    let graph = Graph::new(desk.http.clone(), session.clone());
    let technician = match session.technician() {
        Some(technician) => technician,
        None => graph.me().await?,
    };
    let tenant = graph.organization().await?;
    let before = last_name(desk, &tenant).await?.filter(|before| before.id != technician.id);
    let since = desk.clock.moment();
    let arriving = Arriving { technician: technician.clone(), tenant, session, fresh, remembered, since };
    match before {
        None => {
            // Somebody who arrived before and never said that they mean it does not come back through a later question.
            expect(desk, None);
            take_seat(desk, arriving).await.map(Arrival::Seated)
        }
        Some(before) => {
            expect(desk, Some(arriving));
            Ok(Arrival::Another(AnotherName { now: technician, before }))
        }
    }
}

/// Who sits here, or sat here last in this tenant.
async fn last_name(desk: &Desk, tenant: &Tenant) -> Result<Option<Technician>, Failure> {
    if let Some(technician) = desk.technician() {
        return Ok(Some(technician));
    }
    let tenant = tenant.id;
    Ok(desk.read(move |conn| seats::last(conn, Some(tenant))).await?.map(|last| last.technician))
}

/// Records the sign-in and takes the seat; what was open here for somebody else has to be verified again.
async fn take_seat(desk: &Desk, arriving: Arriving) -> Result<SignedIn, Failure> {
    let Arriving { technician, tenant, session, fresh, remembered, since } = arriving;
    let before = desk.seat().ok();
    let is_same = before.as_ref().is_some_and(|seat| seat.technician.id == technician.id);
    let index = match &before {
        Some(seat) if is_same && seat.tenant.id == tenant.id => Arc::clone(&seat.index),
        _ => open_index(desk, technician.id, &tenant).await?,
    };
    let is_stale = since.in_(desk.policy.lock_after).passed(desk.clock.moment());
    let came = match (fresh, remembered || is_stale) {
        (true, false) => Came::Fresh,
        (false, false) => Came::Prompted,
        (_, true) => Came::Quietly { last: last_there(desk, Some((tenant.id, technician.id))).await? },
    };
    let there = match came {
        Came::Fresh => true,
        Came::Prompted => !desk.is_locked(),
        Came::Quietly { .. } => false,
    };
    let event = Event::SignedIn { there, roles: session.roles() };
    record(desk, &technician, &tenant, event, before.is_some() && !is_same).await?;
    let brought = !remembered;
    let session = if remembered { session } else { hand_over(desk, session, before.is_none() || is_same).await? };
    let graph = Graph::new(desk.http.clone(), session.clone());
    desk.sit(Seat { technician: technician.clone(), tenant: tenant.clone(), graph, index }, came);
    // Only now: the store may ask them something of its own, and whoever gives up waiting sits here all the same.
    if brought {
        session.remember().await;
    }
    session.ask_for(&[Feature::List]).await;
    desk.debts_changed();
    let (lights, remembered) = (session.lights(), session.remembered());
    Ok(SignedIn { technician, tenant, lights, remembered, locked: desk.is_locked() })
}

async fn last_there(desk: &Desk, who: Option<(Uuid, UserId)>) -> Result<Option<Timestamp>, Failure> {
    desk.read(move |conn| seats::last_there(conn, who)).await
}

/// Whether the first prompt since the start has to ask for credentials: somebody was here before, and so long ago that their desk would
/// have locked. Otherwise leaving the program would open what its lock had closed.
async fn must_be_fresh(desk: &Desk) -> Result<bool, Failure> {
    if desk.is_attended() {
        return Ok(false);
    }
    let Some(last) = last_there(desk, None).await? else { return Ok(false) };
    let now = desk.clock.moment();
    Ok(Attendance::resume(now, desk.policy.lock_after, Some(last)).is_locked(now))
}

async fn record(
    desk: &Desk,
    technician: &Technician,
    tenant: &Tenant,
    event: Event,
    takes_over: bool,
) -> Result<(), Failure> {
    let own = desk.instance.id;
    desk.record_for(Some(technician.clone()), Some(tenant.id), move |pen| {
        pen.append(None, &event)?;
        if takes_over {
            for call in calls::open_at(pen.conn(), own)? {
                pen.append(Some(call), &Event::CallTakenOver)?;
            }
        }
        Ok(())
    })
    .await
}

/// What the prompt brought becomes the desk's. The same person goes on in the same session, so that what runs behind the desk does too;
/// another's begins anew, and what still runs for the one before gets no token any more.
async fn hand_over(desk: &Desk, brought: Session, is_same: bool) -> Result<Session, Failure> {
    let mut session = desk.session().await?;
    if !is_same {
        let next = session.retire().await;
        desk.replace_session(next.clone()).await;
        session = next;
    }
    session.adopt(brought).await;
    Ok(session)
}

async fn open_index(desk: &Desk, technician: UserId, tenant: &Tenant) -> Result<Arc<Index>, Failure> {
    let path = desk.paths.index(&whose(desk.connection()?, technician, tenant.id));
    let (now, after) = (desk.clock.now(), desk.policy.index_expires);
    Ok(unblocked(move || Index::open_to_use(&path, now, after)).await.map(Arc::new)?)
}

/// Names an index after (cloud, tenant, technician).
fn whose(connection: &Connection, technician: UserId, tenant: uuid::Uuid) -> String {
    let cloud = connection.graph.host_str().unwrap_or_default();
    fingerprint(format!("{cloud}\n{tenant}\n{technician}"))
}
