//! Whose turn it is to look and to send behind the desks of one store: a lease, taken and renewed in one `BEGIN IMMEDIATE`.
//!
//! It saves requests; it is not what keeps a rotation from being sent twice. That is the commit of *sending*, which reads the rotation's
//! state in its own transaction: see [`crate::ops::rotate`].

use std::time::Duration;

use rusqlite::Connection;

use crate::{
    desk::Desk,
    domain::{
        debt::InstanceId,
        moment::since,
        watch::{By, Follower, Role, TASK_COUNTS, Watch},
        work::Failure,
    },
    store::{
        TxError,
        watch::{self as table, Lease, NEXT, TASK, WATCH},
    },
};

/// A run of the task is noted at most so often: one every few minutes is the same promise.
const TASK_NOTED: Duration = Duration::from_mins(30);

fn own(desk: &Desk, role: Role) -> (InstanceId, Follower) {
    (desk.instance.id, Follower { role, process: std::process::id() })
}

/// Takes or renews the lease for `lasts`. `false`: another living process holds it.
pub(super) async fn hold(desk: &Desk, role: Role, lasts: Duration) -> Result<bool, Failure> {
    take(desk, WATCH, role, lasts).await
}

/// Says that this process takes over when the holder ends, unless another one has said so.
pub(super) async fn wait_for_it(desk: &Desk, role: Role) -> Result<bool, Failure> {
    take(desk, NEXT, role, table::LONGEST_LEASE).await
}

async fn take(desk: &Desk, name: &'static str, role: Role, lasts: Duration) -> Result<bool, Failure> {
    let (whose, folder, now) = (own(desk, role), desk.paths.instances(), desk.clock.now());
    // Most often nothing has to be written.
    let enough = desk
        .read(move |conn| {
            let lease = table::lease(conn, name)?;
            Ok(lease.is_some_and(|lease| lease.instance == whose.0 && since(now, lease.until) >= lasts / 2))
        })
        .await?;
    if enough {
        return Ok(true);
    }
    let held = desk.record(move |pen| table::take(pen.conn(), name, whose, &folder, (now, lasts))).await?;
    Ok(held.is_none())
}

/// Gives back what this process holds.
pub(super) async fn leave(desk: &Desk) -> Result<(), Failure> {
    let id = desk.instance.id;
    let holds = |conn: &Connection, id| -> Result<bool, TxError> {
        let is_own = |lease: Option<Lease>| lease.is_some_and(|lease| lease.instance == id);
        Ok(is_own(table::lease(conn, WATCH)?) || is_own(table::lease(conn, NEXT)?))
    };
    if desk.read(move |conn| holds(conn, id)).await? {
        desk.record(move |pen| {
            table::release(pen.conn(), WATCH, id)?;
            table::release(pen.conn(), NEXT, id)
        })
        .await?;
    }
    Ok(())
}

/// Who follows what is owed, as the store says.
pub(super) async fn state(desk: &Desk) -> Result<Watch, Failure> {
    let (id, folder, now) = (desk.instance.id, desk.paths.instances(), desk.clock.now());
    desk.read(move |conn| {
        let living = |name| -> Result<Option<Lease>, TxError> {
            Ok(table::lease(conn, name)?.filter(|lease| lease.instance == id || lease.holds(&folder, now)))
        };
        let by = match living(WATCH)? {
            Some(lease) if lease.instance == id => By::This,
            Some(lease) => By::Other(lease.follower),
            None => By::Nobody,
        };
        let next = living(NEXT)?.filter(|lease| lease.instance != id).map(|lease| lease.follower);
        // When the task ran stands in the row as the time until which it counts.
        let ran = |lease: Lease| lease.until.checked_sub(TASK_COUNTS).ok().filter(|_| now < lease.until);
        Ok(Watch { by, next, task: table::lease(conn, TASK)?.and_then(ran) })
    })
    .await
}

/// `keydesk debts watch` ran as a task, and could sign in or had nothing to do.
pub(super) async fn task_ran(desk: &Desk) -> Result<(), Failure> {
    let ((instance, follower), now) = (own(desk, Role::Watcher), desk.clock.now());
    let until = crate::domain::moment::later(now, TASK_COUNTS);
    let noted = desk.read(move |conn| Ok(table::lease(conn, TASK)?.map(|lease| since(lease.until, until)))).await?;
    if noted.is_some_and(|ago| ago < TASK_NOTED) {
        return Ok(());
    }
    desk.record(move |pen| table::put(pen.conn(), TASK, &Lease { instance, follower, until })).await
}

/// It could not sign in: nobody may count on it.
pub(super) async fn task_failed(desk: &Desk) -> Result<(), Failure> {
    if desk.read(|conn| table::lease(conn, TASK)).await?.is_some() {
        desk.record(|pen| table::remove(pen.conn(), TASK)).await?;
    }
    Ok(())
}
