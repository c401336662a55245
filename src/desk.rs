//! The wiring: settings, policy, clock, stores and clients become one [`Desk`] that ops work on.

mod ids;

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use tokio::sync::{Notify, watch};

use crate::{
    clipboard::Clipboard,
    config::{ConfigError, Paths, Profile, Settings},
    domain::{
        attendance::Attendance,
        capability::Lights,
        connection::Connection,
        debt::InstanceId,
        disclosure::Unwritten,
        event::Stamp,
        moment::Moment,
        policy::Policy,
        technician::{Technician, Tenant},
        work::{
            Failure, Kind,
            call::IncomingCaller,
            sign_in::{Way, Ways},
        },
    },
    forward::{self, Sink},
    graph::Graph,
    http::Http,
    sign_in::{Session, Vault},
    store::{Index, Instance, Ledger, Pen, StoreError, TxError, aside, index, instance::Alone},
};

/// Where ops take the time from.
#[derive(Clone, Debug)]
pub enum Clock {
    System(Instant),
    /// Stands still until it is moved: for tests.
    Manual(Arc<RwLock<Moment>>),
}

impl Clock {
    pub fn system() -> Self {
        Self::System(Instant::now())
    }

    pub fn moment(&self) -> Moment {
        match self {
            Self::System(start) => Moment { wall: Timestamp::now(), up: start.elapsed() },
            Self::Manual(moment) => *moment.read().unwrap_or_else(PoisonError::into_inner),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.moment().wall
    }
}

/// Who sits here, once signed in, and what their listings filled.
#[derive(Clone, Debug)]
pub struct Seat {
    pub technician: Technician,
    pub tenant: Tenant,
    pub graph: Graph,
    pub index: Arc<Index>,
}

impl Seat {
    /// The same, for what runs behind the desk: its requests leave the way to what a technician waits for.
    #[must_use]
    pub fn behind(self) -> Self {
        Self { graph: self.graph.behind(), ..self }
    }
}

/// How somebody came to the seat, which decides whether a locked desk opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Entra has just asked for their credentials: the desk opens.
    Fresh,
    /// Through a prompt that may have asked for nothing: a desk that has locked stays locked.
    Prompted,
    /// Nobody was asked for anything just now. `last`: when they last proved to be here.
    Quietly { last: Option<Timestamp> },
}

/// Somebody who signed in under another name than last time, and has not confirmed it: nothing is theirs yet.
#[derive(Clone, Debug)]
pub(crate) struct Arriving {
    pub technician: Technician,
    pub tenant: Tenant,
    pub session: Session,
    /// Entra asked for their credentials just now.
    pub fresh: bool,
    /// The session is the one the vault remembers, not one a prompt has just made.
    pub remembered: bool,
    /// A name that is confirmed long after proves no presence any more.
    pub since: Moment,
}

/// The demo's callers, in turn.
pub type Callers = Box<dyn FnMut() -> Option<IncomingCaller> + Send>;

/// Everything ops work on. Shared by reference; one a process.
pub struct Desk {
    /// `None`: no tenant is configured. The ledger can be read all the same.
    pub connection: Option<Connection>,
    pub policy: Policy,
    pub paths: Paths,
    /// The profile this desk is open on.
    pub profile: String,
    /// All that can be switched to, this one included.
    pub profiles: Vec<Profile>,
    pub clock: Clock,
    pub zone: TimeZone,
    pub instance: Instance,
    /// Whether a session may outlive the program.
    pub remembers: bool,
    pub http: Http,
    pub clipboard: Clipboard,
    ledger: Arc<Ledger>,
    /// How people may sign in here, the way to begin with first.
    pub ways: Ways,
    /// Opened on first use: the vault may ask the system for it.
    session: tokio::sync::Mutex<Option<Session>>,
    seat: RwLock<Option<Seat>>,
    pub(crate) arriving: Mutex<Option<Arriving>>,
    /// Whether somebody is there; `None` before anybody was.
    attendance: Mutex<Option<Attendance>>,
    changed: Notify,
    /// How often somebody took the seat.
    sittings: AtomicU64,
    /// Counts the writes that appended rows.
    rows: watch::Sender<u64>,
    /// Where copies of the rows go.
    sinks: Vec<Sink>,
    stamp: Stamp,
    /// The demo has some.
    callers: Option<tokio::sync::Mutex<Callers>>,
    /// Outcomes the ledger could not take yet.
    unwritten: Mutex<Vec<Unwritten>>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("connection", &self.connection).field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// What became of the wish to set the ledger aside.
#[derive(Clone, Debug)]
pub enum SetAside {
    Done(aside::SetAside),
    /// An earlier time was cut short; now it is done.
    Finished,
    /// There is nothing wrong with it.
    Healthy,
    /// Another desk is open on it.
    Busy,
}

/// The clipboard, where no desk is open.
pub fn clipboard() -> Clipboard {
    Clipboard::new()
}

/// Nobody has signed in yet.
fn stamp(settings: &Settings, instance: InstanceId) -> Stamp {
    Stamp {
        technician: None,
        tenant: None,
        app: settings.connection.as_ref().map(|c| c.client_id.clone()).unwrap_or_default(),
        host: whoami::hostname().unwrap_or_default(),
        account: whoami::account().unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").into(),
        policy: settings.policy.digest(),
        instance,
    }
}

/// Why a desk cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("The folder of the ledger cannot be written: {0}.")]
    Instance(std::io::Error),
    #[error(transparent)]
    Http(#[from] crate::http::HttpError),
}

impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Store(error) => error.into(),
            DeskError::Config(error) => error.into(),
            DeskError::Instance(_) => Self::new(Kind::Record, error.to_string())
                .meaning("No request has left. Entra has recorded no read.")
                .next("Let this account write to the state folder, and see that its disk has room."),
            other @ DeskError::Http(_) => Self::new(Kind::Failed, other.to_string()),
        }
    }
}

impl Desk {
    /// Opens the ledger and takes this process's place among the desks of the machine.
    pub fn open(settings: &Settings, clock: Clock) -> Result<Self, DeskError> {
        let paths = settings.paths.clone();
        paths.create()?;
        // First, so that a ledger that is being set aside is done before it is opened.
        let instance = Instance::start(&paths.instances()).map_err(DeskError::Instance)?;
        let ledger = Ledger::open(&paths.ledger())?.knowing(&settings.policy);
        index::remove_unused(&paths.state, clock.now(), settings.policy.index_expires);
        let stamp = stamp(settings, instance.id);
        Ok(Self {
            connection: settings.connection.clone(),
            policy: settings.policy.clone(),
            paths,
            profile: settings.profile.clone(),
            profiles: settings.profiles.clone(),
            clock,
            zone: TimeZone::system(),
            instance,
            remembers: settings.remembers,
            http: Http::default(),
            clipboard: Clipboard::new(),
            ledger: Arc::new(ledger),
            ways: settings.ways,
            session: tokio::sync::Mutex::default(),
            seat: RwLock::new(None),
            arriving: Mutex::default(),
            attendance: Mutex::default(),
            changed: Notify::new(),
            sittings: AtomicU64::default(),
            rows: watch::Sender::new(0),
            sinks: forward::sinks(&settings.policy.forward),
            stamp,
            callers: None,
            unwritten: Mutex::default(),
        })
    }

    /// Keeps a damaged ledger as it is and begins another, while no desk is open on it and none can start.
    pub fn set_aside(settings: &Settings, clock: &Clock) -> Result<SetAside, DeskError> {
        let paths = &settings.paths;
        paths.create()?;
        let Some(_alone) = Alone::take(&paths.instances()).map_err(DeskError::Instance)? else {
            return Ok(SetAside::Busy);
        };
        let stamp = stamp(settings, InstanceId(uuid::Uuid::now_v7()));
        let delay = SignedDuration::try_from(settings.policy.rotation_delay).unwrap_or(SignedDuration::MAX);
        let done = aside::set_aside(&paths.ledger(), clock.now(), delay, &stamp, |_| Ok(()))?;
        Ok(match done {
            aside::Done::SetAside(done) => SetAside::Done(done),
            aside::Done::Finished => SetAside::Finished,
            aside::Done::Healthy => SetAside::Healthy,
        })
    }

    /// Whether another desk is open on these files.
    pub fn is_open_elsewhere(paths: &Paths) -> bool {
        crate::store::instance::any_alive(&paths.instances())
    }

    /// Adds the demo's callers.
    #[must_use]
    pub fn with_callers(mut self, callers: Callers) -> Self {
        self.callers = Some(tokio::sync::Mutex::new(callers));
        self
    }

    /// Whether this is the demo, whose tenant approves sign-ins by itself.
    pub fn is_demo(&self) -> bool {
        self.callers.is_some()
    }

    /// Whoever calls next in the demo.
    pub async fn next_caller(&self) -> Option<IncomingCaller> {
        let mut next = self.callers.as_ref()?.lock().await;
        next()
    }

    /// The configured connection.
    pub fn connection(&self) -> Result<&Connection, Failure> {
        self.connection.as_ref().ok_or_else(|| Failure::new(Kind::Usage, ConfigError::NoTenant.to_string()))
    }

    /// Whether this is the simulated tenant: some things the policy allows there alone.
    pub fn is_simulation(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_simulation)
    }

    /// Who is signed in, and what hangs on it.
    pub fn seat(&self) -> Result<Seat, Failure> {
        let seat = self.seat.read().unwrap_or_else(PoisonError::into_inner).clone();
        seat.ok_or_else(|| {
            Failure::new(Kind::SignIn, "You are not signed in.")
                .meaning("The call is kept, and so is what you typed.")
                .next("Sign in, then try again.")
        })
    }

    /// Takes the seat.
    pub fn sit(&self, seat: Seat, came: Came) {
        *self.seat.write().unwrap_or_else(PoisonError::into_inner) = Some(seat);
        self.sittings.fetch_add(1, Ordering::Relaxed);
        let (now, after) = (self.clock.moment(), self.policy.lock_after);
        let mut attendance = self.attendance.lock().unwrap_or_else(PoisonError::into_inner);
        *attendance = Some(match (*attendance, came) {
            (_, Came::Fresh) | (None, Came::Prompted) => Attendance::begin(now, after),
            (None, Came::Quietly { last }) => Attendance::resume(now, after, last),
            (Some(mut known), Came::Prompted | Came::Quietly { .. }) => {
                known.touch(now);
                known
            }
        });
    }

    /// How often somebody took the seat: what was refused for want of a sign-in is worth another try when this has grown.
    pub(crate) fn sittings(&self) -> u64 {
        self.sittings.load(Ordering::Relaxed)
    }

    /// Whether anybody has sat here since the program started.
    pub fn is_attended(&self) -> bool {
        self.attendance.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Leaves the seat empty. A locked desk stays locked.
    pub fn stand_up(&self) -> Option<Seat> {
        self.seat.write().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A key was pressed: somebody is there.
    pub fn touch(&self) {
        if let Some(attendance) = self.attendance.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            attendance.touch(self.clock.moment());
        }
    }

    /// Whether nobody was there for so long that the next reveal wants a fresh sign-in.
    pub fn is_locked(&self) -> bool {
        let mut attendance = self.attendance.lock().unwrap_or_else(PoisonError::into_inner);
        attendance.as_mut().is_some_and(|attendance| attendance.is_locked(self.clock.moment()))
    }

    /// The ways of signing in that are offered here, the one to begin with first.
    pub fn offered_ways(&self) -> Vec<Way> {
        self.ways.within(&self.policy.ways)
    }

    /// The session on this connection's vault, opened on first use.
    pub(crate) async fn session(&self) -> Result<Session, Failure> {
        let connection = self.connection()?.clone();
        let mut session = self.session.lock().await;
        if session.is_none() {
            let vault = if self.remembers { Vault::open(&connection, &self.profile).await } else { Vault::memory() };
            *session = Some(Session::new(self.http.clone(), connection, vault));
        }
        session.clone().ok_or_else(|| Failure::new(Kind::Failed, "There is no session."))
    }

    /// Goes on with another session.
    pub(crate) async fn replace_session(&self, session: Session) {
        *self.session.lock().await = Some(session);
    }

    /// What the technician can do here, once signed in.
    pub fn lights(&self) -> Option<Lights> {
        let seat = self.seat.read().unwrap_or_else(PoisonError::into_inner);
        seat.as_ref().map(|seat| seat.graph.session().lights())
    }

    pub fn technician(&self) -> Option<Technician> {
        self.seat.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|seat| seat.technician.clone())
    }

    /// Appends to the ledger, off the async threads. Nothing of `write` stands unless all of it does, durably.
    pub async fn record<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut Pen<'_>) -> Result<T, TxError> + Send + 'static,
    ) -> Result<T, Failure> {
        let written = self.write(self.stamp(), write).await;
        self.rows.send_modify(|count| *count += 1);
        written
    }

    /// Appends in the name of somebody who does not sit here, or not yet.
    pub async fn record_for<T: Send + 'static>(
        &self,
        technician: Option<Technician>,
        tenant: Option<uuid::Uuid>,
        write: impl FnOnce(&mut Pen<'_>) -> Result<T, TxError> + Send + 'static,
    ) -> Result<T, Failure> {
        let written = self.write(Stamp { technician, tenant, ..self.stamp.clone() }, write).await;
        self.rows.send_modify(|count| *count += 1);
        written
    }

    /// Writes what is no row: how far others have come with them.
    pub(crate) async fn keep<T: Send + 'static>(
        &self,
        write: impl FnOnce(&rusqlite::Connection) -> Result<T, TxError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.write(self.stamp.clone(), |pen| write(pen.conn())).await
    }

    async fn write<T: Send + 'static>(
        &self,
        stamp: Stamp,
        write: impl FnOnce(&mut Pen<'_>) -> Result<T, TxError> + Send + 'static,
    ) -> Result<T, Failure> {
        let (ledger, at) = (Arc::clone(&self.ledger), self.clock.now());
        Ok(unblocked(move || ledger.write(at, &stamp, write)).await?)
    }

    /// Reads the ledger's projections, off the async threads.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> Result<T, TxError> + Send + 'static,
    ) -> Result<T, Failure> {
        let ledger = Arc::clone(&self.ledger);
        Ok(unblocked(move || ledger.read(read)).await?)
    }

    /// The ledger itself, for what reads all of it.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Changes whenever rows were appended in this process.
    pub fn rows_written(&self) -> watch::Receiver<u64> {
        self.rows.subscribe()
    }

    /// Where copies of the rows go.
    pub fn sinks(&self) -> &[Sink] {
        &self.sinks
    }

    /// Wakes the watcher: something is owed, sent or settled.
    pub fn debts_changed(&self) {
        self.changed.notify_one();
    }

    /// Waits for [`Desk::debts_changed`].
    pub async fn until_debts_change(&self) {
        self.changed.notified().await;
    }

    /// Keeps an outcome until the ledger can be written again.
    pub(crate) fn keep_unwritten(&self, unwritten: Unwritten) {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).push(unwritten);
    }

    pub(crate) fn take_unwritten(&self) -> Vec<Unwritten> {
        std::mem::take(&mut *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn stamp(&self) -> Stamp {
        let seat = self.seat.read().unwrap_or_else(PoisonError::into_inner);
        Stamp {
            technician: seat.as_ref().map(|seat| seat.technician.clone()),
            tenant: seat.as_ref().map(|seat| seat.tenant.id),
            ..self.stamp.clone()
        }
    }
}

/// Runs blocking work on a thread of its own; a panic there is a panic here.
pub(crate) async fn unblocked<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is ending cancels it, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
