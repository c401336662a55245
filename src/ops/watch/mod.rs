//! The watcher: follows what is open, and only that, with growing pauses. No debt is forgotten while a desk runs, and one process of a
//! store does the looking: see `lease`.

mod lease;
mod schedule;

use std::{collections::HashSet, time::Duration};

use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    desk::Desk,
    domain::{
        debt::{Debt, DebtState, Rotation, RotationId, RotationState},
        moment::Deadline,
        watch::{Role, Watch},
        work::{Failure, Kind, News},
    },
    ops::rotate::{self, Urgency},
    store::{
        debts,
        watch::{self as table, Look},
    },
};
use schedule::{Agenda, Pauses, Step};

/// At rest, this often a glance is cast at the file's own counter, at who else lives, and at the clock: no disk, no network.
const GLANCE: Duration = Duration::from_secs(3);
/// A lease lasts so much longer than until the next look.
const GRACE: Duration = Duration::from_mins(2);

/// Runs until it is dropped. `tell` hears of every change.
pub async fn watch(desk: &Desk, tell: impl Fn(News) + Send + Sync) {
    let mut watcher = Watcher::new(desk, Role::Desk, CancellationToken::new());
    loop {
        watcher.turn().await.news.into_iter().for_each(&tell);
        watcher.rest().await;
    }
}

/// Takes everything that is due one step further, once: for a command, which does not stay to watch. A sentence for every debt that was
/// proved or came to need a person. Where another process follows them already, nothing is done.
pub async fn once(desk: &Desk) -> Result<Vec<String>, Failure> {
    let mut watcher = Watcher::new(desk, Role::Watcher, CancellationToken::new());
    let before = super::debts::list(desk).await?;
    let done = watcher.round().await;
    lease::leave(desk).await?;
    done?;
    Ok(changes(&before, &super::debts::list(desk).await?).into_iter().map(|change| change.sentence).collect())
}

/// Who follows what is owed, as the store says.
pub async fn state(desk: &Desk) -> Result<Watch, Failure> {
    lease::state(desk).await
}

/// How a run of `keydesk debts watch` went, which a task began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskRun {
    SignedIn,
    /// Nothing was open, so nobody had to sign in.
    Idle,
    SignedOut,
}

/// Keeps in the store whether such a task can be counted on.
pub async fn task_ran(desk: &Desk, run: TaskRun) -> Result<(), Failure> {
    lease::task_ran(desk, run).await
}

/// How long until anything is due that goes on without a person, in whatever tenant; `None` where nothing is open. Asks nobody.
pub async fn next(desk: &Desk) -> Result<Option<Duration>, Failure> {
    let mut watcher = Watcher::new(desk, Role::Watcher, CancellationToken::new());
    Ok(watcher.tasks_of(None, false).await?.iter().map(|task| task.left).min())
}

/// One process following what is owed.
#[derive(Debug)]
pub struct Watcher<'a> {
    desk: &'a Desk,
    role: Role,
    /// Ends a round between two steps.
    stop: CancellationToken,
    agenda: Agenda,
    /// When something is due next.
    due: Option<Deadline>,
    /// The network, or the session, is gone: nothing is asked before this.
    pause: Option<(Deadline, u32, Duration)>,
    /// What failed is tried again at once.
    wake: bool,
    /// The store, when it was read last.
    version: Option<i64>,
    sittings: u64,
    said_signed_out: bool,
    /// What was told last.
    known: Option<Vec<Debt>>,
    watch: Watch,
}

/// What a turn brought.
#[derive(Debug, Default)]
pub struct Turn {
    pub news: Vec<News>,
    pub changes: Vec<Change>,
    /// Why it ended early.
    pub failure: Option<Failure>,
}

/// A debt that was proved, or came to need a person.
#[derive(Clone, Debug)]
pub struct Change {
    pub debt: Debt,
    pub sentence: String,
}

/// An open rotation that goes on by itself, and how long until it is due.
struct Task {
    id: RotationId,
    look: Option<Look>,
    urgent: bool,
    left: Duration,
}

impl<'a> Watcher<'a> {
    pub fn new(desk: &'a Desk, role: Role, stop: CancellationToken) -> Self {
        Self {
            desk,
            role,
            stop,
            agenda: Agenda::default(),
            due: None,
            pause: None,
            wake: false,
            version: None,
            sittings: 0,
            said_signed_out: false,
            known: None,
            watch: Watch::default(),
        }
    }

    /// Takes what is due one step further, if it is this process's turn, and says what has changed, also by others.
    pub async fn turn(&mut self) -> Turn {
        let mut turn = Turn::default();
        if self.known.is_none() {
            // What is proved in the first round is news too.
            self.look_around(&mut turn).await;
        }
        if let Err(failure) = self.round().await {
            // A network that is gone for a day is no thousand lines in the log.
            if self.pause.is_none_or(|(_, count, _)| count == 0) {
                tracing::warn!(%failure, "the watcher could not look");
            } else {
                tracing::debug!(%failure, "the watcher still cannot look");
            }
            if failure.kind == Kind::SignIn && !std::mem::replace(&mut self.said_signed_out, true) {
                turn.news.push(News::SignedOut);
            }
            turn.failure = Some(failure);
        }
        self.look_around(&mut turn).await;
        turn
    }

    /// Waits until something is due, changed or ended. At a glance every few seconds: a suspended machine and another process say nothing.
    pub async fn rest(&mut self) {
        loop {
            let now = self.desk.clock.moment();
            let due = self.due.map_or(GLANCE, |due| due.left(now)).min(GLANCE);
            tokio::select! {
                () = tokio::time::sleep(due) => {}
                () = self.stop.cancelled() => return,
                () = self.desk.until_debts_change() => {
                    // Somebody signed in, or did something about a debt: the way may be open again.
                    self.wake = true;
                    return;
                }
            }
            if self.due.is_some_and(|due| due.passed(self.desk.clock.moment())) || self.sees_a_change().await {
                return;
            }
        }
    }

    /// When something is due next, if anything is.
    pub fn is_idle(&self) -> bool {
        self.due.is_none()
    }

    /// Who follows, as of the last turn.
    pub fn watch(&self) -> Watch {
        self.watch
    }

    /// Gives the lease back.
    pub async fn leave(&self) -> Result<(), Failure> {
        lease::leave(self.desk).await
    }

    /// Another process wrote, or one that lived does not.
    async fn sees_a_change(&self) -> bool {
        let version = self.desk.read(table::version).await;
        version.is_ok_and(|version| Some(version) != self.version)
            || lease::state(self.desk).await.is_ok_and(|watch| watch != self.watch)
    }

    /// What the store says now, against what was told last.
    async fn look_around(&mut self, turn: &mut Turn) {
        // Read first: what is written from here on counts as a change.
        self.version = self.desk.read(table::version).await.ok();
        if let Ok(debts) = super::debts::list(self.desk).await
            && self.known.as_ref() != Some(&debts)
        {
            let changes = self.known.as_ref().map(|known| changes(known, &debts)).unwrap_or_default();
            turn.news.extend(changes.iter().map(|change| News::Debt(change.sentence.clone())));
            turn.changes.extend(changes);
            turn.news.push(News::Debts(debts.clone()));
            self.known = Some(debts);
        }
        if let Ok(watch) = lease::state(self.desk).await
            && watch != self.watch
        {
            self.watch = watch;
            turn.news.push(News::Watch(watch));
        }
    }

    /// Takes every rotation that is due one step further, while it is this process's turn.
    async fn round(&mut self) -> Result<(), Failure> {
        super::disclose::write_unwritten(self.desk).await;
        let woken = self.is_woken();
        if woken {
            self.pause = None;
        }
        self.due = None;
        let done = self.take_turn(woken).await;
        if done.is_err() {
            self.rest_longer();
            if matches!(&done, Err(failure) if failure.kind == Kind::SignIn) {
                // Another desk may be signed in.
                lease::leave(self.desk).await?;
            }
        }
        done
    }

    async fn take_turn(&mut self, retry: bool) -> Result<(), Failure> {
        let tasks = self.tasks(retry).await?;
        if tasks.is_empty() {
            return lease::leave(self.desk).await;
        }
        let now = self.desk.clock.moment();
        if let Some((until, ..)) = self.pause.filter(|(until, ..)| !until.passed(now)) {
            self.due = Some(until);
            return Ok(());
        }
        if !lease::hold(self.desk, self.role, GRACE).await? {
            if self.role == Role::Desk {
                lease::wait_for_it(self.desk, self.role).await?;
                // What it says of itself is said again in time.
                self.due = Some(now.in_(table::LONGEST_LEASE / 3));
            }
            return Ok(());
        }
        self.steps(tasks).await?;
        self.pause = None;
        // This round's own changes wake nobody; what comes from here on does.
        let _ = self.desk.until_debts_change().now_or_never();
        let next = self.tasks(false).await?.iter().map(|task| task.left).min();
        self.due = next.map(|next| self.desk.clock.moment().in_(next));
        match next {
            Some(next) => lease::hold(self.desk, self.role, next + GRACE).await.map(drop),
            None => lease::leave(self.desk).await,
        }
    }

    /// Each that is due, urgent ones first, and those that failed last time last: one laptop that cannot be asked about holds up no other.
    /// Ends early at the second that cannot be reached: then it is the way, and the others would fare no better. An error where nobody
    /// answered at all.
    async fn steps(&mut self, mut tasks: Vec<Task>) -> Result<(), Failure> {
        tasks.sort_by_key(|task| (task.look.is_some_and(|look| look.failed), !task.urgent));
        let (mut answered, mut out_of_reach) = (false, None);
        for task in tasks.iter().filter(|task| task.left.is_zero()) {
            if self.stop.is_cancelled() || !lease::hold(self.desk, self.role, GRACE).await? {
                break;
            }
            let outcome = rotate::advance(self.desk, task.id, Urgency::WhenDue).await;
            let step = match &outcome {
                Ok(true) => Step::Changed,
                Ok(false) => Step::Same,
                Err(_) => Step::Failed,
            };
            if !matches!(&outcome, Err(failure) if failure.kind == Kind::SignIn) {
                let look = self.pauses().after(task.look.as_ref(), task.id, step, self.desk.clock.now());
                self.desk.keep(move |conn| table::note(conn, &look)).await?;
            }
            match outcome {
                Err(failure) if matches!(failure.kind, Kind::SignIn | Kind::Record) => return Err(failure),
                Err(failure) if failure.kind == Kind::Unreachable => {
                    tracing::debug!(%failure, rotation = %task.id, "a replacement could not be looked at");
                    if out_of_reach.replace(failure).is_some() {
                        break;
                    }
                }
                Err(failure) => {
                    tracing::warn!(%failure, "a replacement could not be followed");
                    answered = true;
                }
                Ok(_) => answered = true,
            }
        }
        match out_of_reach {
            Some(failure) if !answered => Err(failure),
            _ => Ok(()),
        }
    }

    /// After a failure that was not one rotation's everything rests, longer and longer.
    fn rest_longer(&mut self) {
        let pauses = self.pauses();
        let (count, length) = match self.pause {
            Some((_, count, length)) => (count.wrapping_add(1), pauses.grown(length)),
            None => (0, pauses.first),
        };
        let rests = schedule::jittered(length, self.desk.instance.id.0.as_u128(), count).min(pauses.longest);
        let until = self.desk.clock.moment().in_(rests);
        self.pause = Some((until, count, length));
        self.due = Some(until);
    }

    fn is_woken(&mut self) -> bool {
        let sittings = self.desk.sittings();
        let somebody_sat_down = std::mem::replace(&mut self.sittings, sittings) != sittings;
        self.said_signed_out &= !somebody_sat_down;
        std::mem::take(&mut self.wake) || somebody_sat_down
    }

    fn pauses(&self) -> Pauses {
        Pauses { first: self.desk.policy.watch_first, longest: self.desk.policy.watch_longest }
    }

    /// What is open in this tenant and goes on by itself, and when. Empty where nobody is signed in.
    async fn tasks(&mut self, retry: bool) -> Result<Vec<Task>, Failure> {
        match self.desk.seat() {
            Ok(seat) => self.tasks_of(Some(seat.tenant.id), retry).await,
            Err(_) => Ok(Vec::new()),
        }
    }

    /// The same of one tenant, or of whatever tenant.
    async fn tasks_of(&mut self, tenant: Option<Uuid>, retry: bool) -> Result<Vec<Task>, Failure> {
        let (open, looks, urgent, some_ended) = self
            .desk
            .read(move |conn| {
                let urgent: HashSet<RotationId> = table::urgent(conn)?.into_iter().collect();
                let open = debts::open_rotations(conn, tenant)?;
                Ok((open, table::looks(conn)?, urgent, table::has_ended(conn)?))
            })
            .await?;
        self.agenda.keep(|id| open.iter().any(|rotation| rotation.id == id));
        if some_ended {
            self.desk.keep(table::forget_ended).await?;
        }
        let (now, pauses) = (self.desk.clock.moment(), self.pauses());
        let tasks = open.into_iter().filter(goes_on).map(|rotation| {
            let look = looks.iter().find(|look| look.rotation == rotation.id).copied();
            let urgent = urgent.contains(&rotation.id);
            let rests = match look {
                Some(look) if look.failed && retry => Duration::ZERO,
                _ => self.agenda.left(look.as_ref(), urgent, now, pauses),
            };
            let left = match rotation.state {
                RotationState::Held { until } => rests.max(rotate::waits(self.desk, until)),
                _ => rests,
            };
            Task { id: rotation.id, look, urgent, left }
        });
        Ok(tasks.collect())
    }
}

/// Whether a rotation goes on by itself: neither ended nor waiting for a person.
fn goes_on(rotation: &Rotation) -> bool {
    match rotation.state {
        RotationState::Blocked { .. } | RotationState::Over { .. } => false,
        RotationState::Held { .. }
        | RotationState::Sending { .. }
        | RotationState::Accepted { .. }
        | RotationState::Reported { .. } => true,
    }
}

/// One sentence for each debt that was proved, or came to need a person.
fn changes(before: &[Debt], after: &[Debt]) -> Vec<Change> {
    let mut changes = Vec::new();
    for debt in after {
        let Some(old) = before.iter().find(|old| old.id == debt.id) else { continue };
        let sentence = match &debt.state {
            DebtState::Proved { new_key: Some(key), .. } if old.is_open() => {
                format!("{}: new key {} seen, the debt is paid.", debt.device_name, key.short())
            }
            DebtState::Proved { new_key: None, .. } if old.is_open() => {
                format!("{}: the debt is paid.", debt.device_name)
            }
            DebtState::Owed if debt.is_blocked() && !old.is_blocked() => {
                format!("{}: the replacement is blocked. F2 says why.", debt.device_name)
            }
            _ => continue,
        };
        changes.push(Change { debt: debt.clone(), sentence });
    }
    changes
}
