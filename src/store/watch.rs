//! What the watchers of one store agree on: whose turn it is, and when each open rotation was looked at. Not folded from the ledger.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{
    TxError, all, first, instance, parsed,
    projection::{from_word, word},
};
use crate::domain::{
    debt::{InstanceId, RotationId},
    moment::{later, since},
    watch::{Follower, Role},
};

/// Whoever follows what is owed.
pub const WATCH: &str = "watch";
/// Whoever takes over when that one ends.
pub const NEXT: &str = "watch-next";
/// A run of `keydesk debts watch` as a task.
pub const TASK: &str = "watch-task";

/// The last such run could not sign in.
pub const TASK_FAILED: &str = "watch-task-failed";

/// No lease is given for longer. One that ends later was given under a clock that has been set back since.
pub const LONGEST_LEASE: Duration = Duration::from_hours(1);

/// One process's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub instance: InstanceId,
    pub follower: Follower,
    pub until: Timestamp,
}

/// When a rotation was looked at last, and how long it rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub rotation: RotationId,
    pub last: Timestamp,
    /// Before jitter.
    pub pause: Duration,
    /// How many looks there were.
    pub count: u32,
    /// The last one brought no answer.
    pub failed: bool,
}

pub fn lease(conn: &Connection, name: &str) -> Result<Option<Lease>, TxError> {
    first(conn, "SELECT instance, role, process, until FROM leases WHERE name = ?1", [name], |row| {
        Ok(Lease {
            instance: InstanceId(parsed(row, "instance")?),
            follower: Follower { role: from_word::<Role>(row.get("role")?)?, process: row.get("process")? },
            until: parsed(row, "until")?,
        })
    })
}

impl Lease {
    /// Whether its holder still counts, to a process that is not the holder.
    pub fn holds(&self, instances: &Path, now: Timestamp) -> bool {
        now < self.until && since(now, self.until) <= LONGEST_LEASE && instance::is_alive(instances, self.instance)
    }
}

/// Takes or renews the lease `name`, unless a living process holds it: then that one is given back. Inside a `BEGIN IMMEDIATE`.
pub fn take(
    conn: &Connection,
    name: &str,
    (instance, follower): (InstanceId, Follower),
    instances: &Path,
    (now, lasts): (Timestamp, Duration),
) -> Result<Option<Lease>, TxError> {
    let held = lease(conn, name)?.filter(|lease| lease.instance != instance && lease.holds(instances, now));
    if held.is_some() {
        return Ok(held);
    }
    let lease = Lease { instance, follower, until: later(now, lasts.min(LONGEST_LEASE)) };
    put(conn, name, &lease)?;
    // Whoever looks waits for nobody.
    if name == WATCH {
        release(conn, NEXT, instance)?;
    }
    Ok(None)
}

/// Writes a lease, whoever holds it.
pub fn put(conn: &Connection, name: &str, lease: &Lease) -> Result<(), TxError> {
    conn.execute(
        "INSERT INTO leases (name, instance, role, process, until) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (name) DO UPDATE SET instance = ?2, role = ?3, process = ?4, until = ?5",
        params![
            name,
            lease.instance.0.to_string(),
            word(&lease.follower.role)?,
            lease.follower.process,
            lease.until.to_string()
        ],
    )?;
    Ok(())
}

/// Gives a lease back, if it is this instance's.
pub fn release(conn: &Connection, name: &str, instance: InstanceId) -> Result<(), TxError> {
    conn.execute("DELETE FROM leases WHERE name = ?1 AND instance = ?2", [name, &instance.0.to_string()])?;
    Ok(())
}

/// Removes a lease, whoever holds it.
pub fn remove(conn: &Connection, name: &str) -> Result<(), TxError> {
    conn.execute("DELETE FROM leases WHERE name = ?1", [name])?;
    Ok(())
}

pub fn looks(conn: &Connection) -> Result<Vec<Look>, TxError> {
    all(conn, "SELECT rotation, last, pause, count, failed FROM looks", [], read_look)
}

fn read_look(row: &Row<'_>) -> Result<Look, TxError> {
    let pause: i64 = row.get("pause")?;
    Ok(Look {
        rotation: parsed(row, "rotation")?,
        last: parsed(row, "last")?,
        pause: Duration::from_millis(u64::try_from(pause).unwrap_or(0)),
        count: row.get("count")?,
        failed: row.get("failed")?,
    })
}

pub fn note(conn: &Connection, look: &Look) -> Result<(), TxError> {
    conn.execute(
        "INSERT INTO looks (rotation, last, pause, count, failed) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (rotation) DO UPDATE SET last = ?2, pause = ?3, count = ?4, failed = ?5",
        params![
            look.rotation.to_string(),
            look.last.to_string(),
            i64::try_from(look.pause.as_millis()).unwrap_or(i64::MAX),
            look.count,
            look.failed
        ],
    )?;
    Ok(())
}

/// Whether looks of rotations that have ended are still there.
pub fn has_ended(conn: &Connection) -> Result<bool, TxError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM looks WHERE rotation NOT IN (SELECT id FROM rotations WHERE open = 1))";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

/// Removes the looks of rotations that have ended.
pub fn forget_ended(conn: &Connection) -> Result<(), TxError> {
    conn.execute("DELETE FROM looks WHERE rotation NOT IN (SELECT id FROM rotations WHERE open = 1)", [])?;
    Ok(())
}

/// Rotations that pay a debt whose key was read to the wrong person.
pub fn urgent(conn: &Connection) -> Result<Vec<RotationId>, TxError> {
    all(
        conn,
        "SELECT DISTINCT rotation FROM debts WHERE open = 1 AND compromised IS NOT NULL AND rotation IS NOT NULL",
        [],
        |row| parsed(row, "rotation"),
    )
}

/// Another number after each write of another connection to the file. Touches no disk.
pub fn version(conn: &Connection) -> Result<i64, TxError> {
    Ok(conn.query_row("PRAGMA data_version", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::event::Stamp,
        store::{Instance, Ledger},
    };

    const MINUTE: Duration = Duration::from_mins(1);

    struct World {
        folder: tempfile::TempDir,
        ledger: Ledger,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("instances")).unwrap();
            let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
            Self { folder, ledger }
        }

        fn instances(&self) -> std::path::PathBuf {
            self.folder.path().join("instances")
        }

        fn take(&self, instance: InstanceId, now: &str) -> Option<InstanceId> {
            let (now, follower) = (now.parse().unwrap(), Follower { role: Role::Desk, process: 1 });
            let stamp = Stamp {
                technician: None,
                tenant: None,
                app: String::new(),
                host: String::new(),
                account: String::new(),
                version: String::new(),
                policy: String::new(),
                instance,
            };
            let instances = self.instances();
            let held = self
                .ledger
                .write(now, &stamp, |pen| take(pen.conn(), WATCH, (instance, follower), &instances, (now, MINUTE)));
            held.unwrap().map(|lease| lease.instance)
        }
    }

    #[test]
    fn one_process_at_a_time_holds_a_lease_until_it_ends_or_its_time_is_over() {
        let world = World::new();
        let [one, other] = [(); 2].map(|()| Instance::start(&world.instances()).unwrap());
        assert_eq!(world.take(one.id, "2026-11-20T09:00:00Z"), None);
        assert_eq!(world.take(other.id, "2026-11-20T09:00:30Z"), Some(one.id));
        assert_eq!(world.take(one.id, "2026-11-20T09:00:50Z"), None, "renewed");
        assert_eq!(world.take(other.id, "2026-11-20T09:01:10Z"), Some(one.id));
        assert_eq!(world.take(other.id, "2026-11-20T09:02:00Z"), None, "its time is over");
        let id = other.id;
        drop(other);
        assert_eq!(world.take(one.id, "2026-11-20T09:02:01Z"), None, "{id:?} has ended");
    }

    #[test]
    fn a_lease_given_under_a_clock_that_ran_ahead_binds_nobody_for_ever() {
        let world = World::new();
        let [one, other] = [(); 2].map(|()| Instance::start(&world.instances()).unwrap());
        world.take(one.id, "2036-11-20T09:00:00Z");
        assert_eq!(world.take(other.id, "2026-11-20T09:00:00Z"), None);
    }

    #[test]
    fn looks_are_kept_and_those_of_ended_rotations_go() {
        let world = World::new();
        let look = Look {
            rotation: RotationId(Uuid::from_u128(7)),
            last: "2026-11-20T09:00:00Z".parse().unwrap(),
            pause: Duration::from_millis(1500),
            count: 3,
            failed: true,
        };
        let read = |conn: &Connection| {
            note(conn, &look)?;
            let kept = looks(conn)?;
            forget_ended(conn)?;
            Ok((kept, looks(conn)?))
        };
        assert_eq!(world.ledger.read(read).unwrap(), (vec![look], vec![]));
    }

    #[test]
    fn another_connections_write_is_noticed_and_ones_own_is_not() {
        let world = World::new();
        let other = Ledger::open(&world.folder.path().join("ledger.db")).unwrap();
        let before = world.ledger.read(version).unwrap();
        world.take(InstanceId(Uuid::nil()), "2026-11-20T09:00:00Z");
        assert_eq!(world.ledger.read(version).unwrap(), before);
        other.read(|conn| remove(conn, WATCH)).unwrap();
        assert_ne!(world.ledger.read(version).unwrap(), before);
    }
}
