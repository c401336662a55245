//! `keydesk debts watch`: what follows behind a desk, without a desk.

use std::{io::Write as _, time::Duration};

use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{length::length, out, seat},
    config::Settings,
    desk::Desk,
    domain::{
        age,
        debt::{Debt, DebtId},
        watch::{By, Follower, Role, Watch as Followed},
        work::{Failure, Kind, News},
    },
    ops::{
        self,
        sign_in::Arrival,
        watch::{TaskRun, Turn, Watcher},
    },
    runtime::Ending,
};

/// Between two tries to sign in where nothing can be reached.
const OFFLINE: Duration = Duration::from_mins(1);
/// With nothing open, so often the store is looked at.
const QUIET: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// Look once at what is due, then end
    #[arg(long, conflicts_with = "for_")]
    once: bool,
    /// End after so long, such as 10m, or once nothing goes on by itself
    #[arg(long = "for", value_name = "DURATION", value_parser = length)]
    for_: Option<Duration>,
    /// One JSON document a line
    #[arg(long)]
    json: bool,
}

/// A change of a debt, for a script.
#[derive(Serialize)]
struct ChangeFacts {
    at: String,
    debt: String,
    key_id: String,
    device: String,
    ticket: String,
    before: Option<&'static str>,
    state: &'static str,
    urgent: bool,
    sentence: String,
}

/// Who follows, for a script.
#[derive(Serialize)]
struct WhoFacts {
    /// "this", "other" or "nobody".
    watching: &'static str,
    role: Option<Role>,
    process: Option<u32>,
}

impl Watch {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let desk = seat::open(settings)?;
        desk.connection()?;
        let mut ending = Ending::listen().map_err(|e| {
            Failure::new(Kind::Failed, format!("The program cannot hear when it is asked to end: {e}."))
        })?;
        for sentence in ops::recover::recover(&desk).await? {
            out::note(&sentence);
        }
        let stop = CancellationToken::new();
        let work = self.follow(&desk, stop.clone());
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = ending.asked() => stop.cancel(),
            // What it writes, and what others left, goes out meanwhile.
            () = ops::forward::keep_forwarding(&desk, |_| {}) => {}
        }
        // Between two steps: what was sent is heard out, and the lease given back.
        work.await
    }

    async fn follow(&self, desk: &Desk, stop: CancellationToken) -> Result<(), Failure> {
        let end = self.for_.map(|span| Instant::now() + span);
        let over = |stop: &CancellationToken| stop.is_cancelled() || end.is_some_and(|end| Instant::now() >= end);
        let left = loop {
            if let Some(left) = ops::watch::next(desk).await? {
                break left;
            }
            if self.is_task() {
                self.say("Nothing is open that goes on by itself.");
                return ops::watch::task_ran(desk, TaskRun::Idle).await;
            }
            if over(&stop) {
                return Ok(());
            }
            pause(QUIET, &stop).await;
        };
        if let By::Other(follower) = ops::watch::state(desk).await?.by {
            return self.left_to(follower);
        }
        if self.once && !left.is_zero() {
            // What is due later needs nobody to sign in now.
            self.say(&format!("Nothing is due yet: the next look is in {}.", age::short(left)));
            return Ok(());
        }
        if !self.sign_in(desk, &stop).await? {
            return Ok(());
        }
        if self.is_task() {
            ops::watch::task_ran(desk, TaskRun::SignedIn).await?;
        }
        let mut watcher = Watcher::new(desk, Role::Watcher, stop.clone());
        let mut told = Told::default();
        let done = loop {
            let turn = watcher.turn().await;
            if let Err(failure) = self.tell(desk, &turn, &mut told) {
                break Err(failure);
            }
            match turn.failure {
                Some(failure) if failure.kind == Kind::SignIn => break self.signed_out(desk, &failure).await,
                Some(failure) if self.once => break Err(failure),
                Some(_) | None => {}
            }
            if self.once || over(&stop) || (end.is_some() && watcher.is_idle()) {
                break Ok(());
            }
            match end {
                Some(end) => drop(tokio::time::timeout_at(end, watcher.rest()).await),
                None => watcher.rest().await,
            }
        };
        watcher.leave().await?;
        done
    }

    /// Whether it ends by itself, as a scheduled task does.
    fn is_task(&self) -> bool {
        self.once || self.for_.is_some()
    }

    fn say(&self, sentence: &str) {
        if !self.json {
            out::note(sentence);
        }
    }

    /// Another process has the lease: it does what this one would.
    fn left_to(&self, follower: Follower) -> Result<(), Failure> {
        if self.json {
            return line(&WhoFacts::of(&Followed { by: By::Other(follower), ..Followed::default() }));
        }
        let (role, process) = (follower.role, follower.process);
        let what = if role == Role::Desk { "A desk" } else { "Another keydesk debts watch" };
        out::note(&format!(
            "{what} on this machine (process {process}) follows what is owed: nothing is left to do here."
        ));
        Ok(())
    }

    /// Goes on with the remembered session. `false`: asked to end meanwhile.
    async fn sign_in(&self, desk: &Desk, stop: &CancellationToken) -> Result<bool, Failure> {
        loop {
            let failure = match ops::sign_in::resume(desk).await {
                Ok(Some(Arrival::Seated(_))) => return Ok(true),
                Ok(Some(Arrival::Another(another))) => {
                    let (now, before) = (another.now.upn, another.before.upn);
                    let said = format!("The remembered session is {now}'s, and last time it was {before}'s");
                    return self.not_followed(desk, &said, "open keydesk and say that the other name is meant").await;
                }
                Ok(None) => return self.not_followed(desk, "Nobody is signed in here", SIGN_IN).await,
                Err(failure) if failure.kind == Kind::SignIn => {
                    return self.not_followed(desk, failure.happened.trim_end_matches('.'), SIGN_IN).await;
                }
                Err(failure) => failure,
            };
            if self.is_task() || failure.kind != Kind::Unreachable {
                return Err(failure);
            }
            tracing::info!(%failure, "not signed in yet");
            pause(OFFLINE, stop).await;
            if stop.is_cancelled() {
                return Ok(false);
            }
        }
    }

    /// The session ended in the middle.
    async fn signed_out(&self, desk: &Desk, failure: &Failure) -> Result<(), Failure> {
        self.not_followed(desk, failure.happened.trim_end_matches('.'), SIGN_IN).await.map(drop)
    }

    async fn not_followed(&self, desk: &Desk, why: &str, what_to_do: &str) -> Result<bool, Failure> {
        ops::watch::task_ran(desk, TaskRun::SignedOut).await?;
        let open = ops::debts::list(desk).await?.iter().filter(|debt| debt.is_open()).count();
        let (debts, stand) = (age::count(open, "open debt"), if open == 1 { "stands" } else { "stand" });
        Err(Failure::new(Kind::SignIn, format!("{why}: {debts} {stand}, and nothing is followed; {what_to_do}.")))
    }

    /// Says what a turn brought: one line a change on stdout, who follows on stderr, or all of it as JSON.
    fn tell(&self, desk: &Desk, turn: &Turn, told: &mut Told) -> Result<(), Failure> {
        for news in &turn.news {
            match news {
                News::Debts(debts) => {
                    for (before, debt) in told.changes(debts) {
                        self.change(desk, before, debt)?;
                    }
                    told.debts = Some(debts.iter().map(|debt| (debt.id, debt.word(), debt.is_urgent())).collect());
                }
                News::Watch(watch) if self.json => line(&WhoFacts::of(watch))?,
                News::Watch(watch) => watch.elsewhere().iter().for_each(|sentence| out::note(sentence)),
                _ => {}
            }
        }
        Ok(())
    }

    fn change(&self, desk: &Desk, before: Option<&'static str>, debt: &Debt) -> Result<(), Failure> {
        let now = desk.clock.now();
        let sentence = super::sentence(debt, now, &desk.zone);
        if self.json {
            return line(&ChangeFacts {
                at: now.to_string(),
                debt: debt.id.to_string(),
                key_id: debt.key.to_string(),
                device: debt.device_name.raw().to_owned(),
                ticket: debt.ticket.to_string(),
                before,
                state: debt.word(),
                urgent: debt.is_urgent(),
                sentence,
            });
        }
        let at = now.to_zoned(desk.zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
        let urgent = if debt.is_urgent() { "urgent, " } else { "" };
        let (key, device, ticket, word) = (debt.key.short(), &debt.device_name, &debt.ticket, debt.word());
        out::line(&format!("{at}  {key}  {device}  {ticket}  {urgent}{word}: {sentence}"))
    }
}

const SIGN_IN: &str = "run `keydesk sign-in` as this account, on a machine with a credential store";

/// What was said of each debt last.
#[derive(Debug, Default)]
struct Told {
    debts: Option<Vec<(DebtId, &'static str, bool)>>,
}

impl Told {
    /// The debts whose state is another than was said last, with that one. What stands at the beginning is no change.
    fn changes<'a>(&self, debts: &'a [Debt]) -> Vec<(Option<&'static str>, &'a Debt)> {
        let Some(told) = &self.debts else { return Vec::new() };
        let before = |debt: &Debt| told.iter().find(|(id, ..)| *id == debt.id);
        let all = debts.iter().map(|debt| (before(debt), debt));
        let changed = all.filter(|(before, debt)| {
            before.is_none_or(|(_, word, urgent)| *word != debt.word() || *urgent != debt.is_urgent())
        });
        changed.map(|(before, debt)| (before.map(|(_, word, _)| *word), debt)).collect()
    }
}

impl WhoFacts {
    fn of(watch: &Followed) -> Self {
        let (watching, follower) = match watch.by {
            By::This => ("this", Some(Follower { role: Role::Watcher, process: std::process::id() })),
            By::Other(follower) => ("other", Some(follower)),
            By::Nobody => ("nobody", None),
        };
        Self { watching, role: follower.map(|who| who.role), process: follower.map(|who| who.process) }
    }
}

/// One JSON document on one line, written at once: whoever reads a pipe reads it now.
fn line(facts: &impl Serialize) -> Result<(), Failure> {
    out::json_line(facts)?;
    out::written(std::io::stdout().flush())
}

async fn pause(span: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(span) => {}
        () = stop.cancelled() => {}
    }
}
