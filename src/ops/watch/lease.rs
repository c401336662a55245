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
        moment::{later, since},
        watch::{By, Follower, Role, TASK_COUNTS, Watch},
        work::Failure,
    },
    ops::watch::TaskRun,
    store::{
        TxError,
        watch::{self as table, Lease, NEXT, TASK, TASK_FAILED, WATCH},
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
    let held = desk.keep(move |conn| table::take(conn, name, whose, &folder, (now, lasts))).await?;
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
        desk.keep(move |conn| {
            table::release(conn, WATCH, id)?;
            table::release(conn, NEXT, id)
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

/// Notes a run that signed in, or had nothing to do and has not failed to sign in lately. After one that could not, nobody counts on it.
pub(super) async fn task_ran(desk: &Desk, run: TaskRun) -> Result<(), Failure> {
    let ((instance, follower), now) = (own(desk, Role::Watcher), desk.clock.now());
    let lease = Lease { instance, follower, until: later(now, TASK_COUNTS) };
    let until = lease.until;
    let (noted, failed) = desk
        .read(move |conn| {
            let stands = |lease: Option<Lease>| lease.filter(|lease| now < lease.until);
            let lately = |lease: &Lease| since(lease.until, until) < TASK_NOTED;
            let noted = stands(table::lease(conn, TASK)?);
            Ok((noted.as_ref().map(lately), stands(table::lease(conn, TASK_FAILED)?).is_some()))
        })
        .await?;
    let is_said = match run {
        TaskRun::SignedIn => noted == Some(true) && !failed,
        TaskRun::Idle => noted == Some(true) || failed,
        TaskRun::SignedOut => noted.is_none() && failed,
    };
    if is_said {
        return Ok(());
    }
    let (name, other) = if run == TaskRun::SignedOut { (TASK_FAILED, TASK) } else { (TASK, TASK_FAILED) };
    desk.keep(move |conn| {
        table::remove(conn, other)?;
        table::put(conn, name, &lease)
    })
    .await
}
