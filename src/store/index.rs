//! `index.db`: what the listings said. It can be thrown away; no key, no owner, nothing that is not in a listing stands in it.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use uuid::Uuid;

use super::{
    StoreError, TxError, all, first, parsed, parsed_option,
    schema::{self, Care},
};
use crate::domain::{
    device::{DeviceId, DeviceSummary, Join},
    key::{Key, Place, Volume},
    key_id::{KeyId, KeyPrefix},
    moment::since,
    work::{
        find::{DeviceMatch, KeyMatch},
        sync_index::Listing,
    },
};

/// The index cannot be used. Never a reason to stop a call: Entra can be asked instead.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct IndexError(StoreError);

/// Which listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    Keys,
    Devices,
}

impl List {
    fn word(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Devices => "devices",
        }
    }
}

/// A listing under way: its generation, and the link to go on from (`None`: from the beginning).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    pub list: List,
    number: i64,
    pub next: Option<String>,
}

/// The index of one technician in one tenant.
#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    conn: Mutex<Connection>,
}

impl Index {
    /// Opens or makes the file. A damaged or newer one is thrown away: it only holds what a listing brings back.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        match Self::open_as_it_is(path) {
            Err(IndexError(StoreError::Damaged { .. } | StoreError::Newer(_))) => {
                remove(path);
                Self::open_as_it_is(path)
            }
            other => other,
        }
    }

    /// Opens or makes the file; one that is of no use is left to be looked at.
    pub fn open_as_it_is(path: &Path) -> Result<Self, IndexError> {
        let conn = schema::open(path, Care::Light).map_err(IndexError)?;
        Ok(Self { path: path.into(), conn: Mutex::new(conn) })
    }

    /// Opens the file to be used now. One that nobody has used for `after` is thrown away first.
    pub fn open_to_use(path: &Path, now: Timestamp, after: Duration) -> Result<Self, IndexError> {
        let mut index = Self::open(path)?;
        if index.is_unused(now, after)? {
            drop(index);
            remove(path);
            index = Self::open(path)?;
        }
        index.write(|conn| {
            conn.execute(
                "INSERT INTO use_ (id, at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET at = ?1",
                [now.to_string()],
            )?;
            Ok(())
        })?;
        Ok(index)
    }

    /// Whether nobody has opened or filled it for `after`.
    fn is_unused(&self, now: Timestamp, after: Duration) -> Result<bool, IndexError> {
        self.read(|conn| {
            let used = "SELECT at FROM use_ UNION ALL SELECT began AS at FROM walks";
            let used = all(conn, used, [], |row| parsed::<Timestamp>(row, "at"))?;
            Ok(used.into_iter().max().is_some_and(|used| since(used, now) > after))
        })
    }

    /// Closes the file and deletes it, with its side files. Whoever still holds this finds it empty, and can store nothing any more.
    pub fn wipe(&self) -> Result<(), IndexError> {
        let empty = Connection::open_in_memory().map_err(|e| IndexError(TxError::Sql(e).at(&self.path)))?;
        let before = std::mem::replace(&mut *self.conn(), empty);
        drop(before);
        remove(&self.path);
        Ok(())
    }

    /// How many keys begin so, on how many devices, and the first `limit` of them in order of key ID.
    pub fn by_prefix(&self, prefix: &KeyPrefix, limit: usize) -> Result<(usize, usize, Vec<KeyMatch>), IndexError> {
        let (from, to) = prefix.range();
        self.read(|conn| {
            let range = params![from.as_bytes(), to.as_bytes()];
            let (keys, devices): (i64, i64) = conn
                .prepare_cached("SELECT count(*), count(DISTINCT device) FROM keys WHERE id BETWEEN ?1 AND ?2")?
                .query_row(range, |row| Ok((row.get(0)?, row.get(1)?)))?;
            let found = all(
                conn,
                "SELECT keys.*, devices.name, devices.join_,
                        (SELECT count(*) FROM keys AS k WHERE k.device = keys.device) AS siblings,
                        (SELECT count(*) FROM keys AS k WHERE k.device = keys.device AND k.escrowed > keys.escrowed) AS newer
                 FROM keys LEFT JOIN devices ON devices.id = keys.device
                 WHERE keys.id BETWEEN ?1 AND ?2 ORDER BY keys.id LIMIT ?3",
                params![from.as_bytes(), to.as_bytes(), count(limit)],
                read_match,
            )?;
            Ok((size(keys), size(devices), found))
        })
    }

    /// Devices whose name begins with `text`, whatever the case.
    pub fn by_name(&self, text: &str, limit: usize) -> Result<Vec<DeviceMatch>, IndexError> {
        let from = text.to_lowercase();
        let to = format!("{from}\u{10FFFF}");
        self.read(|conn| {
            all(
                conn,
                "SELECT devices.*, (SELECT count(*) FROM keys WHERE keys.device = devices.id) AS keys
                 FROM devices WHERE folded >= ?1 AND folded < ?2 ORDER BY folded, id LIMIT ?3",
                params![from, to, count(limit)],
                |row| {
                    Ok(DeviceMatch {
                        device: read_device(row, "id")?,
                        because: String::new(),
                        keys: size(row.get("keys")?),
                    })
                },
            )
        })
    }

    /// How many keys a device has.
    pub fn keys_of(&self, device: DeviceId) -> Result<usize, IndexError> {
        self.read(|conn| {
            let n: i64 = conn
                .prepare_cached("SELECT count(*) FROM keys WHERE device = ?1")?
                .query_row([device.0.as_bytes()], |row| row.get(0))?;
            Ok(size(n))
        })
    }

    /// How full it is.
    pub fn listing(&self) -> Result<Listing, IndexError> {
        self.read(|conn| {
            let count = |sql: &str| -> Result<usize, TxError> { Ok(size(conn.query_row(sql, [], |row| row.get(0))?)) };
            let keys = first(conn, "SELECT * FROM walks WHERE list = 'keys'", [], |row| {
                Ok((row.get::<_, bool>("complete")?, parsed_option::<Timestamp>(row, "whole_since")?))
            })?;
            Ok(Listing {
                keys: count("SELECT count(*) FROM keys")?,
                devices: count("SELECT count(*) FROM devices")?,
                running: false,
                complete_since: keys.and_then(|(_, since)| since),
                stopped: None,
            })
        })
    }

    /// The walk to go on with: the one a former run left half done, or a new one.
    pub fn begin_walk(&self, list: List, now: Timestamp) -> Result<Walk, IndexError> {
        self.write(|conn| {
            let found = conn
                .query_row("SELECT walk, next, complete FROM walks WHERE list = ?1", [list.word()], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, bool>(2)?))
                })
                .optional()?;
            match found {
                Some((number, Some(next), false)) => Ok(Walk { list, number, next: Some(next) }),
                other => {
                    let number = other.map_or(1, |(number, ..)| number + 1);
                    conn.execute(
                        "INSERT INTO walks (list, walk, began, next, complete) VALUES (?1, ?2, ?3, NULL, 0)
                         ON CONFLICT (list) DO UPDATE SET walk = ?2, began = ?3, next = NULL, complete = 0",
                        params![list.word(), number, now.to_string()],
                    )?;
                    Ok(Walk { list, number, next: None })
                }
            }
        })
    }

    /// Forgets where a walk stood, so that the next one begins anew: its link was refused.
    pub fn restart_walk(&self, list: List) -> Result<(), IndexError> {
        self.write(|conn| {
            conn.execute("UPDATE walks SET next = NULL WHERE list = ?1", [list.word()])?;
            Ok(())
        })
    }

    /// Stores a page of keys and where the walk goes on. Without a further page the walk is complete and unseen rows go.
    pub fn store_keys(&self, walk: &mut Walk, keys: &[Key], next: Option<String>) -> Result<(), IndexError> {
        self.write(|conn| {
            upsert_keys(conn, keys, walk.number)?;
            turn_page(conn, walk, next.as_deref(), "keys")
        })?;
        walk.next = next;
        Ok(())
    }

    /// The same for devices.
    pub fn store_devices(
        &self,
        walk: &mut Walk,
        devices: &[DeviceSummary],
        next: Option<String>,
    ) -> Result<(), IndexError> {
        self.write(|conn| {
            upsert_devices(conn, devices, walk.number)?;
            turn_page(conn, walk, next.as_deref(), "devices")
        })?;
        walk.next = next;
        Ok(())
    }

    /// Adds keys that were just seen, whichever walk is under way.
    pub fn note_keys(&self, keys: &[Key]) -> Result<(), IndexError> {
        self.write(|conn| upsert_keys(conn, keys, current_walk(conn, List::Keys)?))
    }

    /// Takes over what was just seen of one device: its keys are exactly these.
    pub fn refresh_device(&self, device: &DeviceSummary, keys: &[Key]) -> Result<(), IndexError> {
        self.write(|conn| {
            conn.execute("DELETE FROM keys WHERE device = ?1", [device.id.0.as_bytes()])?;
            upsert_keys(conn, keys, current_walk(conn, List::Keys)?)?;
            upsert_devices(conn, std::slice::from_ref(device), current_walk(conn, List::Devices)?)
        })
    }

    fn conn(&self) -> MutexGuard<'_, Connection> {
        self.conn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, TxError>) -> Result<T, IndexError> {
        read(&self.conn()).map_err(|e| IndexError(e.at(&self.path)))
    }

    fn write<T>(&self, write: impl FnOnce(&Connection) -> Result<T, TxError>) -> Result<T, IndexError> {
        let mut conn = self.conn();
        let run = || -> Result<T, TxError> {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = write(&tx)?;
            tx.commit()?;
            Ok(value)
        };
        run().map_err(|e| IndexError(e.at(&self.path)))
    }
}

/// Deletes the file of an index and its side files.
pub fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "an index could not be deleted");
            }
            _ => {}
        }
    }
}

/// Deletes every index in `folder` that nobody has used for `after`.
pub fn remove_unused(folder: &Path, now: Timestamp, after: Duration) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let is_index =
        |name: &str| name.starts_with("index-") && Path::new(name).extension().is_some_and(|end| end == "db");
    for entry in entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_index)) {
        let path = entry.path();
        if Index::open(&path).and_then(|index| index.is_unused(now, after)).unwrap_or(false) {
            tracing::info!(path = %path.display(), "nobody has used this index for a long time: it is deleted");
            remove(&path);
        }
    }
}

/// The generation of the walk under way, or of the last one.
fn current_walk(conn: &Connection, list: List) -> rusqlite::Result<i64> {
    let walk = conn.query_row("SELECT walk FROM walks WHERE list = ?1", [list.word()], |row| row.get(0)).optional()?;
    Ok(walk.unwrap_or(0))
}

fn upsert_keys(conn: &Connection, keys: &[Key], walk: i64) -> Result<(), TxError> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO keys (id, device, escrowed, volume, walk) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET device = ?2, escrowed = ?3, volume = ?4, walk = ?5",
    )?;
    for key in keys {
        statement.execute(params![
            key.id.0.as_bytes(),
            key.device.0.as_bytes(),
            key.escrowed.as_millisecond(),
            volume_number(key.volume),
            walk,
        ])?;
    }
    Ok(())
}

fn upsert_devices(conn: &Connection, devices: &[DeviceSummary], walk: i64) -> Result<(), TxError> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO devices (id, name, folded, join_, walk) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET name = ?2, folded = ?3, join_ = ?4, walk = ?5",
    )?;
    for device in devices {
        statement.execute(params![
            device.id.0.as_bytes(),
            device.name.raw(),
            device.name.raw().to_lowercase(),
            join_number(device.join),
            walk,
        ])?;
    }
    Ok(())
}

/// Remembers where to go on; at the end sweeps what this walk did not see. `table` is one of ours, never input.
fn turn_page(conn: &Connection, walk: &Walk, next: Option<&str>, table: &'static str) -> Result<(), TxError> {
    if next.is_none() {
        conn.execute(&format!("DELETE FROM {table} WHERE walk < ?1"), [walk.number])?;
    }
    conn.execute(
        "UPDATE walks SET next = ?2, complete = ?3, whole_since = CASE WHEN ?3 THEN began ELSE whole_since END
         WHERE list = ?1",
        params![walk.list.word(), next, next.is_none()],
    )?;
    Ok(())
}

fn read_match(row: &rusqlite::Row<'_>) -> Result<KeyMatch, TxError> {
    let known = row.get::<_, Option<String>>("name")?.is_some();
    let (newer, of): (i64, i64) = (row.get("newer")?, row.get("siblings")?);
    Ok(KeyMatch {
        key: read_key(row)?,
        device: known.then(|| read_device(row, "device")).transpose()?,
        place: Place { rank: size(newer) + 1, of: size(of) },
    })
}

fn read_key(row: &rusqlite::Row<'_>) -> Result<Key, TxError> {
    let escrowed = Timestamp::from_millisecond(row.get("escrowed")?).map_err(|e| TxError::Row(e.to_string()))?;
    Ok(Key {
        id: KeyId(Uuid::from_bytes(row.get("id")?)),
        device: DeviceId(Uuid::from_bytes(row.get("device")?)),
        escrowed,
        volume: volume(row.get("volume")?),
    })
}

fn read_device(row: &rusqlite::Row<'_>, id: &str) -> Result<DeviceSummary, TxError> {
    Ok(DeviceSummary {
        id: DeviceId(Uuid::from_bytes(row.get(id)?)),
        name: row.get::<_, String>("name")?.as_str().into(),
        join: join(row.get("join_")?),
    })
}

fn volume_number(volume: Volume) -> i64 {
    match volume {
        Volume::Unknown => 0,
        Volume::OperatingSystem => 1,
        Volume::FixedData => 2,
        Volume::RemovableData => 3,
    }
}

fn volume(number: i64) -> Volume {
    match number {
        1 => Volume::OperatingSystem,
        2 => Volume::FixedData,
        3 => Volume::RemovableData,
        _ => Volume::Unknown,
    }
}

fn join_number(join: Join) -> i64 {
    match join {
        Join::Unknown => 0,
        Join::EntraJoined => 1,
        Join::HybridJoined => 2,
        Join::Registered => 3,
    }
}

fn join(number: i64) -> Join {
    match number {
        1 => Join::EntraJoined,
        2 => Join::HybridJoined,
        3 => Join::Registered,
        _ => Join::Unknown,
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn size(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}
