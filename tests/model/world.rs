//! A ledger, two desks on it, a tenant; what each step does to them, and what is expected of the debts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use keydesk::{
    domain::{
        call::{CallId, DisclosureId, Verification},
        debt::{
            Block, Debt, DebtId, DebtState, InstanceId, KnownKey, Next, Rotation, RotationId, RotationState, Sight,
            Situation, Target, Times, Urgency, decide,
        },
        device::ActionState,
        event::{Event, Intent, Return, Stamp},
        key::Key,
        key_id::KeyId,
        policy::Proof,
        technician::{Technician, UserId},
    },
    ops::{
        debts::rows::{self as person, ByWhat},
        rotate::rows,
    },
    store::{Ledger, Pen, StoreError, TxError, calls, debts, disclosures},
};
use rusqlite::Connection;
use uuid::Uuid;

use crate::{
    step::{Comes, Person, Post, Step},
    tenant::{Tenant, number, target},
};

const DEVICES: usize = 2;
const TIMES: Times = Times {
    rotation_delay: Duration::from_mins(30),
    uncertain_pause: Duration::from_mins(2),
    watch_longest: Duration::from_mins(15),
    closes: Proof::NewKeySeen,
};

/// What the cases together reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    steps: usize,
    disclosed: usize,
    sent: usize,
    uncertain: usize,
    joined: usize,
    busy: usize,
    proved: usize,
    waived: usize,
    confirmed: usize,
    refused_to_discloser: usize,
    write_failed: usize,
    raced: usize,
    restarts: usize,
    own: usize,
}

impl Totals {
    pub fn named(&self) -> [(&'static str, usize); 14] {
        [
            ("steps", self.steps),
            ("disclosed", self.disclosed),
            ("sent", self.sent),
            ("uncertain", self.uncertain),
            ("joined", self.joined),
            ("busy", self.busy),
            ("proved", self.proved),
            ("waived", self.waived),
            ("confirmed", self.confirmed),
            ("refused to the discloser", self.refused_to_discloser),
            ("write failed", self.write_failed),
            ("raced", self.raced),
            ("restarts", self.restarts),
            ("own", self.own),
        ]
    }

    pub fn add(&mut self, more: Self) {
        self.steps += more.steps;
        self.disclosed += more.disclosed;
        self.sent += more.sent;
        self.uncertain += more.uncertain;
        self.joined += more.joined;
        self.busy += more.busy;
        self.proved += more.proved;
        self.waived += more.waived;
        self.confirmed += more.confirmed;
        self.refused_to_discloser += more.refused_to_discloser;
        self.write_failed += more.write_failed;
        self.raced += more.raced;
        self.restarts += more.restarts;
        self.own += more.own;
    }
}

/// What the model says of a debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Owed,
    Proved,
    Waived,
    Cancelled,
}

#[derive(Debug)]
struct Expected {
    stands: Stands,
    device: usize,
    key: KeyId,
    known: BTreeSet<KeyId>,
    compromised: bool,
    /// Once for each disclosure that was not refused.
    disclosers: Vec<usize>,
}

struct Desk {
    ledger: Option<Ledger>,
    stamp: Stamp,
    call: Option<CallId>,
}

/// A request that left: to which device, when by a clock that never jumps, and whether what came of it is known.
struct Attempt {
    device: usize,
    at: Timestamp,
    uncertain: bool,
}

pub struct World {
    _folder: tempfile::TempDir,
    path: PathBuf,
    breaker: Connection,
    broken: bool,
    desks: Vec<Desk>,
    tenant: Tenant,
    /// How far the desks' clock is off.
    off: SignedDuration,
    jumped: Option<Timestamp>,
    expected: BTreeMap<DebtId, Expected>,
    attempts: Vec<Attempt>,
    reachable: bool,
    post: Post,
    /// The other desk acts before this write of the step; counts down.
    race: Option<usize>,
    /// Something stood in the way of this step: its look may be half written.
    disturbed: bool,
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

    fn act(&mut self, step: &Step) {
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

    fn now(&self) -> Timestamp {
        self.tenant.now + self.off
    }

    fn nth(&self, n: usize) -> Option<DebtId> {
        self.expected.keys().nth(n % self.expected.len().max(1)).copied()
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, TxError>) -> T {
        self.desks.iter().find_map(|desk| desk.ledger.as_ref()).unwrap().read(read).unwrap()
    }

    fn write<T>(
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
    fn break_row(&mut self, row: u64) {
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
    fn mend(&mut self) {
        if std::mem::take(&mut self.broken) {
            self.breaker.execute_batch("DROP TRIGGER broken").unwrap();
        }
    }

    fn restart(&mut self, desk: usize) {
        self.totals.restarts += 1;
        self.desks[desk].ledger = None;
        self.desks[desk].ledger = Some(Ledger::open(&self.path).unwrap());
        self.desks[desk].call = None;
        self.recover(desk);
    }

    /// Intents of desks that died are closed as unknown; no step leaves one of a living desk.
    fn recover(&mut self, desk: usize) {
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

    fn owed_again(&mut self, disclosure: DisclosureId) {
        let debt = self.read(|conn| disclosures::debt_of(conn, disclosure));
        if let Some(expected) = self.expected.get_mut(&debt) {
            expected.stands = Stands::Owed;
        }
    }

    fn disclose(&mut self, desk: usize, device: usize, key: usize, comes: Comes) {
        let keys = self.tenant.devices[device].keys.clone();
        let key: Key = keys[key % keys.len()].clone();
        let (call, disclosure) = (CallId::new(), DisclosureId::new());
        let known: Vec<KnownKey> = keys.iter().map(KnownKey::of).collect();
        let at = self.now();
        let verification =
            Verification { method: "called-back".into(), words: "called back".into(), claims: vec![], at };
        let mut intent = Intent {
            disclosure,
            debt: DebtId::new(),
            key: key.id,
            volume: key.volume,
            device: key.device,
            device_name: "HVC-LT-0421".into(),
            ticket: serde_json::from_str("\"INC0048213\"").unwrap(),
            reason: "windows-update".into(),
            reason_words: "Windows update".into(),
            verification,
            known: known.clone(),
            entra_time: Some(self.tenant.now),
        };
        let opened = self.write(desk, |pen| {
            let number = calls::next_number(pen.conn())?;
            let (key, volume, device) = (key.id, key.volume, key.device);
            let device_name = "HVC-LT-0421".into();
            pen.append(Some(call), &Event::CallOpened { number, key, volume, device, device_name, heard: 8, why: None })
        });
        if opened.is_err() {
            return;
        }
        self.desks[desk].call = Some(call);
        // As `ops::disclose` does: no intent, no request.
        let Ok(debt) = self.write(desk, |pen| {
            if let Some(standing) = debts::open_for_key(pen.conn(), intent.key)? {
                intent.debt = standing;
            }
            pen.append(Some(call), &Event::Intended(Box::new(intent.clone())))?;
            Ok(intent.debt)
        }) else {
            return;
        };
        let expected = self.expected.entry(debt).or_insert_with(|| Expected {
            stands: Stands::Owed,
            device,
            key: key.id,
            known: known.iter().map(|known| known.id).collect(),
            compromised: false,
            disclosers: Vec::new(),
        });
        expected.disclosers.push(desk);
        self.came(desk, call, disclosure, debt, key.device, comes);
    }

    fn came(
        &mut self,
        desk: usize,
        call: CallId,
        disclosure: DisclosureId,
        debt: DebtId,
        device: keydesk::domain::device::DeviceId,
        comes: Comes,
    ) {
        let written = self.write(desk, |pen| {
            let held_until = pen.at() + SignedDuration::from_mins(30);
            let rotation = debts::held_for_device(pen.conn(), device)?.unwrap_or_else(RotationId::new);
            let event = match comes {
                Comes::Death => return Ok(false),
                Comes::Served => {
                    Event::Served { disclosure, rotation, held_until, status: 200, request_id: None, faults: vec![] }
                }
                Comes::Unknown => Event::Unknown { disclosure, rotation, held_until, why: "no answer".into() },
                Comes::Refused => Event::Refused { disclosure, status: Some(403), code: "no".into(), request_id: None },
            };
            pen.append(Some(call), &event).map(|_| true)
        });
        match (written, comes) {
            (Ok(true), Comes::Refused) => {
                // A key handed out before is owed all the same.
                let stands = self.read(|conn| disclosures::last_of_debt(conn, debt)).is_some();
                let expected = self.expected.get_mut(&debt).unwrap();
                expected.disclosers.pop();
                if !stands {
                    expected.stands = Stands::Cancelled;
                }
            }
            (Ok(true), _) => {
                self.totals.disclosed += 1;
                // Whatever held its replacement up before, it is due again.
                let rotation = self.read(|conn| debts::get(conn, debt)).unwrap().rotation.unwrap();
                assert!(!matches!(rotation.state, RotationState::Blocked { .. }), "{rotation:#?}");
            }
            // It died, or cannot write: the next start closes it as unknown.
            _ => {
                self.mend();
                self.restart(desk);
            }
        }
    }

    fn call(&mut self, desk: usize, what: usize) {
        let Some(call) = self.desks[desk].call else { return };
        let event = [Event::CallParked, Event::CallResumed, Event::CallClosed][what].clone();
        let before = self.read(|conn| calls::get(conn, call)).unwrap();
        if before.closed.is_none() {
            let _ = self.write(desk, |pen| pen.append(Some(call), &event));
        }
    }

    fn person(&mut self, desk: usize, debt: usize, what: Person) {
        let Some(id) = self.nth(debt) else { return };
        let before = self.read(|conn| debts::get(conn, id)).unwrap();
        let expected = &self.expected[&id];
        let open = expected.stands == Stands::Owed;
        let own = expected.compromised && expected.disclosers.contains(&desk);
        let allowed = match what {
            Person::Retry => open && !before.is_sent(),
            Person::Hold => open && !before.is_sent() && !expected.compromised && before.rotation.is_some(),
            Person::Waive | Person::Confirm => open && !own,
            Person::Compromised => self.read(|conn| disclosures::last_of_debt(conn, id)).is_some(),
        };
        let done = match what {
            Person::Retry => self.write(desk, |pen| person::retry(pen, id).map(Some)),
            Person::Hold => self.write(desk, |pen| person::hold(pen, id).map(|()| None)),
            Person::Waive => self.write(desk, |pen| person::waive(pen, id, "scrapped".into()).map(|()| None)),
            Person::Confirm => self.write(desk, |pen| person::confirm(pen, id, None, "seen".into()).map(|()| None)),
            Person::Compromised => {
                self.write(desk, |pen| person::compromised(pen, None, ByWhat::Debt(id), String::new()))
            }
        };
        let failed = matches!(&done, Err(error) if !matches!(error, StoreError::Conflict(_)));
        assert!(failed || done.is_ok() == allowed, "{what:?} of {before:?}: {done:?}, allowed {allowed}");
        let Ok(due) = done else {
            self.totals.refused_to_discloser += usize::from(open && own && !failed);
            return;
        };
        let expected = self.expected.get_mut(&id).unwrap();
        match what {
            Person::Waive => expected.stands = Stands::Waived,
            Person::Confirm => expected.stands = Stands::Proved,
            Person::Compromised => {
                expected.compromised = true;
                if expected.stands == Stands::Waived {
                    expected.stands = Stands::Owed;
                }
            }
            Person::Retry | Person::Hold => {}
        }
        self.totals.waived += usize::from(matches!(what, Person::Waive));
        self.totals.confirmed += usize::from(matches!(what, Person::Confirm));
        if let Some(rotation) = due {
            self.advance(desk, rotation, Urgency::Now);
        }
    }

    fn round(&mut self, desk: usize) {
        let tenant = self.desks[desk].stamp.tenant.unwrap();
        for rotation in self.read(|conn| debts::open_rotations(conn, Some(tenant))) {
            self.advance(desk, rotation.id, Urgency::WhenDue);
        }
    }

    /// `ops::rotate::advance`, with this tenant instead of Graph.
    fn advance(&mut self, desk: usize, id: RotationId, urgency: Urgency) {
        let (rotation, owed) = self.read(|conn| Ok((debts::rotation(conn, id)?, debts::of_rotation(conn, id)?)));
        let Some(mut rotation) = rotation.filter(|_| !owed.is_empty()) else { return };
        let before = rotation.clone();
        let device = number(owed[0].device);
        let (mut choice, mut sight) = (None, None);
        loop {
            let situation = Situation {
                rotation: &rotation,
                owed: &owed,
                now: self.now(),
                urgency,
                times: TIMES,
                choice: choice.clone(),
                sight: sight.clone(),
            };
            let decision = decide(&situation);
            if !decision.events.is_empty() {
                self.maybe_race(desk, id);
                let written = self.write(desk, |pen| rows::decided(pen, &rotation, &decision.events));
                if !matches!(written, Ok(true)) {
                    return;
                }
                self.note_joined(id);
            }
            match decision.next {
                Next::Rest => break,
                Next::Choose | Next::Look(_) if !self.reachable => return,
                Next::Choose => {
                    let gone = self.tenant.devices[device].gone;
                    choice = Some(if gone { Err(Block::NoManagedDevice) } else { Ok(target(device)) });
                }
                Next::Look(target) => {
                    rotation.target = Some(target);
                    sight = Some(self.tenant.see(target));
                }
                Next::Send { target, earlier } => {
                    self.maybe_race(desk, id);
                    let committed =
                        self.write(desk, |pen| rows::sending(pen, &rotation, target, earlier, TIMES.uncertain_pause));
                    if let Ok(Some(since)) = committed {
                        self.send(desk, id, target, since);
                    } else {
                        self.note_joined(id);
                    }
                    break;
                }
            }
        }
        if let Some(Sight::Seen(_)) = &sight
            && !self.disturbed
        {
            self.was_looked_at(&before, device, &owed);
        }
    }

    fn note_joined(&mut self, id: RotationId) {
        let last = self.read(keydesk::store::chain::head).seq;
        let rows = self.desks[0].ledger.as_ref().or(self.desks[1].ledger.as_ref()).unwrap().rows(last).unwrap();
        let is_joined = |event: &Event| matches!(event, Event::RotationJoined { rotation, .. } if *rotation == id);
        self.totals.joined += rows.iter().filter(|row| is_joined(&row.event)).count();
    }

    /// The other desk acts on the same rotation, once in a step.
    fn maybe_race(&mut self, desk: usize, id: RotationId) {
        match self.race {
            Some(0) => {
                self.race = None;
                self.disturbed = true;
                self.totals.raced += 1;
                self.advance(1 - desk, id, Urgency::Now);
            }
            Some(n) => self.race = Some(n - 1),
            None => {}
        }
    }

    fn send(&mut self, desk: usize, id: RotationId, target: Target, since: Timestamp) {
        let (device, at) = (number(target.device), self.tenant.now);
        assert!(!self.tenant.is_pending(device), "sent although one is under way");
        if let Some(last) = self.attempts.iter().rev().find(|attempt| attempt.device == device) {
            let clock_held = self.jumped.is_none_or(|jumped| jumped < last.at);
            let paused = at.duration_since(last.at) >= SignedDuration::from_mins(2);
            assert!(!last.uncertain || !clock_held || paused, "sent again before the pause was over");
        }
        let post = std::mem::replace(&mut self.post, Post::Taken);
        self.totals.sent += 1;
        if matches!(post, Post::Taken | Post::LostAfter | Post::Death) {
            self.tenant.post(device);
        }
        let event = match post {
            Post::Taken => Some(Event::RotationAccepted { rotation: id, request_id: None, found: false }),
            Post::Refused => Some(Event::RotationBlocked { rotation: id, why: Block::NotPermitted }),
            Post::NotSent => {
                let until = self.now() + SignedDuration::from_secs(20);
                Some(Event::RotationReturned { rotation: id, until, why: Return::NotSent })
            }
            Post::LostAfter | Post::LostBefore | Post::Death => None,
        };
        // One that was taken is seen: it is pending.
        let taken = self.tenant.is_pending(device);
        let uncertain = event.is_none() && !taken;
        self.totals.uncertain += usize::from(event.is_none());
        self.attempts.push(Attempt { device, at, uncertain });
        if let Some(event) = event {
            let sending = Rotation::new(id, RotationState::Sending { since });
            if self.write(desk, |pen| rows::decided(pen, &sending, &[event])).is_err()
                && let Some(last) = self.attempts.last_mut()
            {
                last.uncertain = !taken;
            }
        }
        if post == Post::Death {
            self.mend();
            self.restart(desk);
        }
    }

    /// After a look that nothing stood in the way of: every debt with a new key is proved, and the rotation says what the tenant knows.
    fn was_looked_at(&mut self, before: &Rotation, device: usize, owed: &[Debt]) {
        for debt in owed {
            let now = self.read(|conn| debts::get(conn, debt.id)).unwrap();
            let replaced = self.is_replaced(&self.expected[&debt.id]);
            assert_eq!(!now.is_open(), replaced, "{now:#?}");
        }
        let now = self.read(|conn| debts::rotation(conn, before.id)).unwrap();
        let left = self.read(|conn| debts::of_rotation(conn, before.id)).len();
        let asked = self.tenant.devices[device].action.clone().filter(|action| action.started > before.earlier);
        let sent = matches!(
            before.state,
            RotationState::Sending { .. } | RotationState::Accepted { .. } | RotationState::Reported { .. }
        );
        let fits = match (&now.state, asked.map(|action| action.state)) {
            (RotationState::Over { .. }, _) => left == 0,
            (_, Some(ActionState::Pending)) => matches!(
                now.state,
                RotationState::Accepted { .. } | RotationState::Sending { .. } | RotationState::Reported { .. }
            ),
            (state, Some(ActionState::Failed)) if sent => matches!(
                state,
                RotationState::Blocked { why: Block::Reported { .. } | Block::NotPermitted, .. }
                    | RotationState::Held { .. }
                    | RotationState::Sending { .. }
                    | RotationState::Accepted { .. }
            ),
            _ => left > 0,
        };
        assert!(fits, "{before:#?} became {now:#?}; Intune says {:?}", self.tenant.devices[device].action);
        self.totals.busy += usize::from(now.busy.is_some() && now.busy != before.busy);
    }

    /// Entra lists a key of the device that was not there before the disclosure.
    fn is_replaced(&self, expected: &Expected) -> bool {
        let keys = &self.tenant.devices[expected.device].keys;
        keys.iter().any(|key| key.id != expected.key && !expected.known.contains(&key.id))
    }

    fn check(&mut self) {
        let ids: Vec<DebtId> = self.expected.keys().copied().collect();
        for id in ids {
            let now = self.read(|conn| debts::get(conn, id)).unwrap();
            let replaced = self.is_replaced(&self.expected[&id]);
            let expected = self.expected.get_mut(&id).unwrap();
            let stands = match now.state {
                DebtState::Owed => Stands::Owed,
                DebtState::Proved { .. } => Stands::Proved,
                DebtState::Waived { .. } => Stands::Waived,
                DebtState::Cancelled { .. } => Stands::Cancelled,
            };
            // The one change nobody asked for: a proof, where there is a new key.
            if expected.stands == Stands::Owed && stands == Stands::Proved && replaced {
                expected.stands = Stands::Proved;
                self.totals.proved += 1;
            }
            assert_eq!(stands, expected.stands, "{now:#?}");
            assert_eq!(now.compromised.is_some(), expected.compromised);
            // An open debt waits for something: a rotation, or for its outcome to be known.
            let waits = now.rotation.as_ref().is_some_and(|r| !matches!(r.state, RotationState::Over { .. }));
            assert!(!now.is_open() || waits, "nobody follows {now:#?}");
        }
        let lost: i64 = self.read(|conn| {
            Ok(conn.query_row(
                "SELECT count(*) FROM disclosures LEFT JOIN debts ON debts.id = disclosures.debt
                 WHERE disclosures.state <> 'refused'
                   AND (debts.id IS NULL OR debts.state ->> '$.state' = 'cancelled')",
                [],
                |row| row.get(0),
            )?)
        });
        assert_eq!(lost, 0, "a debt is lost");
    }

    /// The chain is whole, the tables are what the rows make of them, and each request had its row.
    pub fn end(&mut self) {
        self.mend();
        let ledger = self.desks[0].ledger.as_ref().unwrap();
        ledger.verify().unwrap().unwrap();
        let before = self.tables();
        ledger.rebuild().unwrap();
        assert_eq!(self.tables(), before);
        let rows = ledger.rows(1).unwrap();
        let committed = rows.iter().filter(|row| matches!(row.event, Event::RotationSending { .. })).count();
        assert_eq!(self.attempts.len(), committed, "one request for each commit");
        assert_eq!(self.read(disclosures::in_flight), []);
    }

    fn tables(&self) -> Vec<String> {
        let table = |name: &str| {
            self.read(|conn| {
                let mut statement = conn.prepare(&format!("SELECT * FROM {name} ORDER BY id"))?;
                let columns = statement.column_count();
                let rows = statement.query_map([], |row| {
                    Ok((0..columns).map(|n| format!("{:?}", row.get_ref(n).unwrap())).collect::<Vec<_>>().join(" | "))
                })?;
                Ok(rows.map(Result::unwrap).collect::<Vec<_>>())
            })
        };
        ["calls", "debts", "rotations", "disclosures"].into_iter().flat_map(table).collect()
    }
}
