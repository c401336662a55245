//! Rows leave for the collectors: in order, each at least once, from the ledger itself. Nothing waits for them, unless the policy says
//! that a key does.

use std::time::Duration;

use backon::BackoffBuilder as _;
use jiff::Timestamp;

use crate::{
    desk::Desk,
    domain::{
        moment::{later, since},
        outbox::{Cursor, Parcel},
        work::{Failure, News, forward::SinkState},
    },
    forward::{ForwardError, LIMIT, MOST_AT_ONCE, Sink},
    ops::Asking,
    store::forwarded,
};

/// With nothing to send the ledger is looked at this often: another process may have added to it.
const QUIET: Duration = Duration::from_secs(30);
/// Another process sends: its turn ends soon.
const BUSY: Duration = Duration::from_secs(1);
const BUSY_IN_FRONT: Duration = Duration::from_millis(50);
/// The first pause after a failure, and the longest it grows to.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// A turn lasts this long at most without being renewed; one attempt takes [`LIMIT`].
const TURN: Duration = Duration::from_mins(1);
/// Rows that wait longer are told of.
const LONG: Duration = Duration::from_mins(3);
/// A technician waits no longer than this for a collector.
const BEFORE_KEY: Duration = LIMIT;
/// Before a key, an attempt that no answer came to is made once more: a kept connection may just have been closed.
const ONCE_MORE: Duration = Duration::from_millis(300);

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// Nothing waits any more, up to the row asked for.
    All,
    /// Another process has the turn.
    Busy,
}

/// Why rows still wait.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error(transparent)]
    Sink(#[from] ForwardError),
    #[error(transparent)]
    Record(#[from] Failure),
}

/// Why no key may be asked for.
#[derive(Debug)]
pub(super) enum Withheld {
    /// The technician does not want to wait any more.
    Cancelled,
    /// A sentence.
    NotTaken(String),
}

/// Forwards until it is dropped. `tell` hears of rows that have waited long, once, until they have gone.
pub async fn keep_forwarding(desk: &Desk, tell: impl Fn(News) + Sync) {
    futures::future::join_all(desk.sinks().iter().map(|sink| follow(desk, sink, &tell))).await;
    // No collector is named: nothing will ever be due.
    std::future::pending::<()>().await;
}

async fn follow(desk: &Desk, sink: &Sink, tell: &impl Fn(News)) {
    let mut rows = desk.rows_written();
    let (mut pauses, mut told) = (growing(), false);
    loop {
        rows.mark_unchanged();
        let (wait, is_stuck) = match drain(desk, sink, u64::MAX).await {
            Ok(Reached::All) => (QUIET, false),
            Ok(Reached::Busy) => (BUSY, false),
            Err(stuck) => {
                tracing::warn!(sink = sink.name(), %stuck, "rows wait");
                let asked = if let Stuck::Sink(error) = &stuck { error.retry_after() } else { None };
                (pauses.next().unwrap_or(LONGEST_PAUSE).max(asked.unwrap_or_default()), true)
            }
        };
        if is_stuck {
            told = told || tell_of(desk, sink, tell).await;
            // Rows that are written meanwhile wait with the others.
            tokio::time::sleep(wait).await;
        } else {
            (pauses, told) = (growing(), false);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // The desk is gone, and with it whatever would be forwarded.
                Err(_) = rows.changed() => return,
                else => {}
            }
        }
    }
}

/// Each longer than the one before, with some chance in it: a hundred desks do not come back at the same moment.
fn growing() -> impl Iterator<Item = Duration> {
    let pauses = backon::ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE);
    pauses.with_factor(2.0).with_jitter().without_max_times().build()
}

/// Whether there was something to tell.
async fn tell_of(desk: &Desk, sink: &Sink, tell: &impl Fn(News)) -> bool {
    let Ok(state) = state(desk, sink.name()).await else { return false };
    let is_long = state.waiting.since.is_some_and(|oldest| since(oldest, desk.clock.now()) >= LONG);
    if is_long {
        tell(News::RowsWait(state));
    }
    is_long
}

/// Sends what waits, for at most `limit`: at the end of what does not stay. What is left goes out next time.
pub async fn flush(desk: &Desk, limit: Duration) {
    let all = futures::future::join_all(desk.sinks().iter().map(|sink| async move {
        if let Ok(Err(stuck)) = within(desk, sink, u64::MAX, tokio::time::sleep(limit)).await {
            tracing::warn!(sink = sink.name(), %stuck, "rows wait");
        }
    }));
    all.await;
}

/// Sends everything that waits, once. How each collector stands then.
pub async fn once(desk: &Desk) -> Result<Vec<SinkState>, Failure> {
    for sink in desk.sinks() {
        // Another process that is sending comes to an end, or to a failure of its own.
        let deadline = later(desk.clock.now(), TURN);
        loop {
            match drain(desk, sink, u64::MAX).await {
                Ok(Reached::Busy) if desk.clock.now() < deadline => tokio::time::sleep(BUSY).await,
                Ok(_) | Err(Stuck::Sink(_)) => break,
                Err(Stuck::Record(failure)) => return Err(failure),
            }
        }
    }
    states(desk).await
}

/// How each collector of the policy stands.
pub async fn states(desk: &Desk) -> Result<Vec<SinkState>, Failure> {
    let mut states = Vec::new();
    for sink in desk.sinks() {
        states.push(state(desk, sink.name()).await?);
    }
    Ok(states)
}

async fn state(desk: &Desk, sink: &str) -> Result<SinkState, Failure> {
    let sink = sink.to_owned();
    desk.read(move |conn| {
        let cursor = forwarded::cursor(conn, &sink)?;
        Ok(SinkState { waiting: forwarded::waiting(conn, cursor.seq)?, sink, cursor })
    })
    .await
}

/// Returns once the webhook has taken every row up to `seq`, and so says that a key may be asked for.
pub(super) async fn until_taken(desk: &Desk, seq: u64, asking: &Asking) -> Result<(), Withheld> {
    let Some(sink) = desk.sinks().iter().find(|sink| sink.is_webhook()) else {
        return Err(Withheld::NotTaken("The policy names no webhook.".into()));
    };
    let deadline = tokio::time::Instant::now() + BEFORE_KEY;
    let mut is_second = false;
    loop {
        let end = async {
            tokio::select! {
                biased;
                () = asking.cancelled() => Withheld::Cancelled,
                () = tokio::time::sleep_until(deadline) => {
                    Withheld::NotTaken(ForwardError::Late(sink.place()).to_string())
                }
            }
        };
        let pause = match within(desk, sink, seq, end).await? {
            Ok(Reached::All) => return Ok(()),
            Ok(Reached::Busy) => BUSY_IN_FRONT,
            Err(Stuck::Sink(error)) if !is_second && !error.is_answer() => {
                is_second = true;
                ONCE_MORE
            }
            Err(stuck) => return Err(Withheld::NotTaken(stuck.to_string())),
        };
        tokio::select! {
            biased;
            () = asking.cancelled() => return Err(Withheld::Cancelled),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// [`drain`] until `end`; what that said, where it came first. The turn is given back either way: this process lives on, and others wait.
async fn within<E>(
    desk: &Desk,
    sink: &Sink,
    last: u64,
    end: impl Future<Output = E>,
) -> Result<Result<Reached, Stuck>, E> {
    tokio::pin!(end);
    let _turn = tokio::select! {
        biased;
        ended = &mut end => return Err(ended),
        turn = sink.turn() => turn,
    };
    let drained = tokio::select! {
        biased;
        ended = end => Err(ended),
        drained = send_in_turn(desk, sink, last) => Ok(drained),
    };
    end_turn(desk, sink).await;
    drained
}

/// Sends what waits, up to the row `last`.
async fn drain(desk: &Desk, sink: &Sink, last: u64) -> Result<Reached, Stuck> {
    let _turn = sink.turn().await;
    let drained = send_in_turn(desk, sink, last).await;
    end_turn(desk, sink).await;
    drained
}

async fn send_in_turn(desk: &Desk, sink: &Sink, last: u64) -> Result<Reached, Stuck> {
    loop {
        let Some((cursor, parcels)) = next(desk, sink, last).await? else { return Ok(Reached::Busy) };
        let Some(end) = parcels.last().map(|parcel| parcel.seq) else { return Ok(Reached::All) };
        if let Err(error) = sink.send(&parcels).await {
            let (name, said) = (sink.name().to_owned(), error.to_string());
            desk.keep(move |conn| forwarded::failed(conn, &name, &said)).await?;
            return Err(error.into());
        }
        tracing::debug!(sink = sink.name(), from = cursor.seq + 1, to = end, "forwarded");
        let (name, at) = (sink.name().to_owned(), desk.clock.now());
        desk.keep(move |conn| forwarded::advance(conn, &name, end, at)).await?;
    }
}

/// What to send next, with the turn to do so; `None` where another process has it. Nothing to send needs no turn.
async fn next(desk: &Desk, sink: &Sink, last: u64) -> Result<Option<(Cursor, Vec<Parcel>)>, Failure> {
    let name = sink.name().to_owned();
    let waits = desk
        .read({
            let name = name.clone();
            move |conn| {
                let cursor = forwarded::cursor(conn, &name)?;
                Ok(forwarded::parcels(conn, cursor.seq, last, 1)?.is_empty().then_some(cursor))
            }
        })
        .await?;
    if let Some(cursor) = waits {
        return Ok(Some((cursor, Vec::new())));
    }
    let (own, folder, now) = (desk.instance.id, desk.paths.instances(), desk.clock.now());
    let until: Timestamp = later(now, TURN);
    desk.keep(move |conn| {
        if !forwarded::take_turn(conn, &name, own, &folder, now, until)? {
            return Ok(None);
        }
        let cursor = forwarded::cursor(conn, &name)?;
        let mut parcels = forwarded::parcels(conn, cursor.seq, last, MOST_AT_ONCE)?;
        // The row that a key waits for goes alone: the answer to it is about nothing else.
        if parcels.len() > 1 && parcels.last().is_some_and(|parcel| parcel.seq == last) {
            parcels.pop();
        }
        Ok(Some((cursor, parcels)))
    })
    .await
}

async fn end_turn(desk: &Desk, sink: &Sink) {
    let (name, own) = (sink.name().to_owned(), desk.instance.id);
    if let Err(failure) = desk.keep(move |conn| forwarded::end_turn(conn, &name, own)).await {
        tracing::debug!(sink = sink.name(), %failure, "a turn ends by itself");
    }
}
