//! A ledger, two desks on it, a tenant; what each step does to them, and what is expected of the debts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use keydesk::{
    domain::{
        call::{CallId, DisclosureId},
        debt::{DebtId, InstanceId, RotationId, RotationState, Times, Urgency},
        event::{Event, Stamp},
        key_id::KeyId,
        policy::Proof,
        technician::{Technician, UserId},
    },
    store::{Ledger, Pen, StoreError, TxError, debts, disclosures},
};
use rusqlite::Connection;
use uuid::Uuid;

use crate::{
    step::{Meanwhile, Post, Step},
    tenant::Tenant,
    totals::Totals,
};

const DEVICES: usize = 2;
pub const TIMES: Times = Times {
    rotation_delay: Duration::from_mins(30),
    uncertain_pause: Duration::from_mins(2),
    watch_longest: Duration::from_mins(15),
    closes: Proof::NewKeySeen,
};

/// What the model says of a debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    Owed,
    Proved,
    /// On a person's word alone.
    Confirmed,
    Waived,
    Cancelled,
}

#[derive(Debug)]
pub struct Expected {
    pub stands: Stands,
    pub device: usize,
    pub key: KeyId,
    pub known: BTreeSet<KeyId>,
    pub compromised: bool,
    /// Once for each disclosure that was not refused.
    pub disclosers: Vec<usize>,
}

pub struct Desk {
    pub ledger: Option<Ledger>,
    pub stamp: Stamp,
    pub call: Option<CallId>,
}

/// A request that left: to which device, when by a clock that never jumps, and whether what came of it is known.
pub struct Attempt {
    pub device: usize,
    pub at: Timestamp,
    pub uncertain: bool,
}

pub struct World {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
    pub breaker: Connection,
    pub broken: bool,
    pub desks: Vec<Desk>,
    pub tenant: Tenant,
    /// How far the desks' clock is off.
    pub off: SignedDuration,
    pub jumped: Option<Timestamp>,
    pub expected: BTreeMap<DebtId, Expected>,
    pub attempts: Vec<Attempt>,
    pub reachable: bool,
    pub post: Post,
    /// The other desk acts before this write of the step; counts down.
    pub race: Option<(usize, Meanwhile)>,
    /// Something stood in the way of this step: its look may be half written.
    pub disturbed: bool,
    pub totals: Totals,
}

impl World {
    pub fn new() -> Self {
        // What is tested here is the order of rows, not the disk: memory is enough where there is some.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let path = folder.path().join("ledger.db");
        let desk = |n: u128, upn: &str| Desk {
            ledger: Some(Ledger::open(&path).unwrap()),
            stamp: Stamp {
                technician: Some(Technician { id: UserId(Uuid::from_u128(n)), upn: upn.into(), name: upn.into() }),
                tenant: Some(Uuid::from_u128(9)),
                app: "app".into(),
                host: "host".into(),
                account: "account".into(),
                version: "0".into(),
                policy: "p".into(),
                instance: InstanceId(Uuid::from_u128(n)),
            },
            call: None,
        };
        let desks = vec![desk(1, "dana@harborview.example"), desk(2, "omar@harborview.example")];
        let now = "2026-11-20T09:00:00Z".parse().unwrap();
        Self {
            breaker: Connection::open(&path).unwrap(),
            broken: false,
            path,
            _folder: folder,
            desks,
            tenant: Tenant::new(DEVICES, now),
            off: SignedDuration::ZERO,
            jumped: None,
            expected: BTreeMap::new(),
            attempts: Vec::new(),
            reachable: true,
            post: Post::Taken,
            race: None,
            disturbed: false,
            totals: Totals::default(),
        }
    }

    pub fn take(&mut self, step: &Step) {
        self.totals.steps += 1;
        self.tenant.pass(SignedDuration::from_secs(1));
        match step {
            Step::Unreachable => return self.reachable = false,
            Step::Post(post) => return self.post = *post,
            Step::WriteFails { row } => return self.break_row(*row),
            _ => {}
        }
        self.act(step);
        self.mend();
        (self.reachable, self.race, self.disturbed) = (true, None, false);
        self.check();
    }

    pub fn act(&mut self, step: &Step) {
        match *step {
            Step::Disclose { desk, device, key, comes } => self.disclose(desk, device, key, comes),
            Step::InWindows { desk } => {
                let Some(call) = self.desks[desk].call else { return };
                let owed = self.read(|conn| debts::of_call(conn, call));
                let held = owed.iter().filter_map(|debt| debt.rotation.as_ref());
                let held = held.filter(|rotation| matches!(rotation.state, RotationState::Held { .. }));
                for id in held.map(|rotation| rotation.id).collect::<BTreeSet<_>>() {
                    self.advance(desk, id, Urgency::Now);
                }
            }
            Step::Call { desk, what } => self.call(desk, what),
            Step::Person { desk, debt, what } => self.person(desk, debt, what),
            Step::Round { desk, race } => {
                self.race = race;
                self.round(desk);
            }
            Step::CheckIn { device, code } => self.tenant.check_in(device, code),
            Step::OwnRotation { device } => {
                self.totals.own += 1;
                self.tenant.new_key(device);
            }
            Step::Gone { device } => self.tenant.devices[device].gone ^= true,
            Step::KeyDeleted { desk, debt } => {
                let Some(debt) = self.nth(debt) else { return };
                let at = self.tenant.now;
                let _ = self.write(desk, |pen| {
                    pen.append(None, &Event::KeyDeleted { debt, audit: "audit".into(), at }).map(drop)
                });
            }
            Step::Restart { desk } => self.restart(desk),
            Step::Pass { minutes } => self.tenant.pass(SignedDuration::from_mins(minutes)),
            Step::ClockSet { minutes } => {
                self.off = SignedDuration::from_mins(minutes);
                self.jumped = Some(self.tenant.now);
            }
            Step::Unreachable | Step::Post(_) | Step::WriteFails { .. } => {}
        }
    }

    pub fn now(&self) -> Timestamp {
        self.tenant.now + self.off
    }

    pub fn nth(&self, n: usize) -> Option<DebtId> {
        self.expected.keys().nth(n % self.expected.len().max(1)).copied()
    }

    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, TxError>) -> T {
        self.desks.iter().find_map(|desk| desk.ledger.as_ref()).unwrap().read(read).unwrap()
    }

    pub fn write<T>(
        &mut self,
        desk: usize,
        write: impl FnOnce(&mut Pen<'_>) -> Result<T, TxError>,
    ) -> Result<T, StoreError> {
        let (now, desk) = (self.now(), &self.desks[desk]);
        let written = desk.ledger.as_ref().unwrap().write(now, &desk.stamp, write);
        if let Err(error) = &written
            && !matches!(error, StoreError::Conflict(_))
        {
            self.totals.write_failed += 1;
            self.disturbed = true;
        }
        written
    }

    /// From now on the n-th row cannot be written, nor what would stand in one transaction with it.
    pub fn break_row(&mut self, row: u64) {
        self.mend();
        self.broken = true;
        let head = self.read(keydesk::store::chain::head).seq;
        self.breaker
            .execute_batch(&format!(
                "CREATE TRIGGER broken BEFORE INSERT ON ledger WHEN NEW.seq > {} BEGIN SELECT RAISE(ABORT, 'no'); END;",
                head + row
            ))
            .unwrap();
    }

    /// Rows can be written again.
    pub fn mend(&mut self) {
        if std::mem::take(&mut self.broken) {
            self.breaker.execute_batch("DROP TRIGGER broken").unwrap();
        }
    }

    pub fn restart(&mut self, desk: usize) {
        self.totals.restarts += 1;
        self.desks[desk].ledger = None;
        self.desks[desk].ledger = Some(Ledger::open(&self.path).unwrap());
        self.desks[desk].call = None;
        self.recover(desk);
    }

    /// Intents of desks that died are closed as unknown; no step leaves one of a living desk.
    pub fn recover(&mut self, desk: usize) {
        let left = self.read(disclosures::in_flight);
        for intent in left {
            let written = self.write(desk, |pen| {
                let held_until = pen.at() + SignedDuration::from_mins(30);
                let rotation = debts::held_for_device(pen.conn(), intent.device)?.unwrap_or_else(RotationId::new);
                let (disclosure, why) = (intent.disclosure, "the desk died".into());
                pen.append(Some(intent.call), &Event::Unknown { disclosure, rotation, held_until, why })
            });
            if written.is_ok() {
                self.owed_again(intent.disclosure);
            }
        }
    }

    pub fn owed_again(&mut self, disclosure: DisclosureId) {
        let debt = self.read(|conn| disclosures::debt_of(conn, disclosure));
        if let Some(expected) = self.expected.get_mut(&debt) {
            expected.stands = Stands::Owed;
        }
    }
}
