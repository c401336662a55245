//! `keydesk forward`: for a scheduled task or a service. Asks nobody, and needs no sign-in.

use serde::Serialize;

use super::{out, seat};
use crate::{
    config::Settings,
    desk::{Clock, Desk},
    domain::work::{Failure, Kind, News, forward::SinkState},
    ops,
    runtime::{self, Ending},
};

#[derive(Debug, clap::Args)]
pub(super) struct Forward {
    /// Send what waits, and end: 0 where nothing waits any more
    #[arg(long, conflicts_with = "status")]
    once: bool,
    /// Send nothing; say how each collector stands
    #[arg(long)]
    status: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// A collector for a script.
#[derive(Debug, Serialize)]
struct Facts<'a> {
    sink: &'a str,
    /// The last row it has; 0: none.
    taken: u64,
    at: Option<String>,
    waiting: u64,
    since: Option<String>,
    failures: u32,
    error: Option<&'a str>,
}

impl<'a> Facts<'a> {
    fn of(state: &'a SinkState) -> Self {
        Self {
            sink: &state.sink,
            taken: state.cursor.seq,
            at: state.cursor.at.map(|at| at.to_string()),
            waiting: state.waiting.rows,
            since: state.waiting.since.map(|at| at.to_string()),
            failures: state.cursor.failures,
            error: state.cursor.error.as_deref(),
        }
    }
}

impl Forward {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let desk = seat::open(settings)?;
        if desk.sinks().is_empty() {
            return Err(Failure::new(Kind::Usage, "The policy names no collector, so rows go nowhere.")
                .next("docs/forwarding.md says how one is named."));
        }
        if !self.once && !self.status {
            return stay(&desk).await;
        }
        let states = if self.once { ops::forward::once(&desk).await? } else { ops::forward::states(&desk).await? };
        if self.json {
            out::json(&states.iter().map(Facts::of).collect::<Vec<_>>())?;
        } else {
            for state in &states {
                out::line(&state.sink)?;
                out::line(&format!("  {}", state.sentence(desk.clock.now())))?;
            }
        }
        if self.once && states.iter().any(|state| state.waiting.rows > 0) {
            return Err(
                Failure::new(Kind::Failed, "Some rows still wait.").next("They stay here until they are taken.")
            );
        }
        Ok(())
    }
}

/// Forwards until the system asks it to end.
async fn stay(desk: &Desk) -> Result<(), Failure> {
    let listen = Ending::listen();
    let mut ending =
        listen.map_err(|e| Failure::new(Kind::Failed, format!("The program cannot hear its end: {e}.")))?;
    out::note("Forwarding. Ctrl+C ends it.");
    let tell = |news| {
        if let News::RowsWait(state) = news {
            out::note(&format!("{}: {}", state.sink, state.sentence(desk.clock.now())));
        }
    };
    tokio::select! {
        () = ops::forward::keep_forwarding(desk, tell) => {}
        () = ending.asked() => ops::forward::flush(desk, runtime::FLUSH).await,
    }
    Ok(())
}

/// What a command has written goes out before it ends, as far as a moment suffices.
pub(super) async fn rest(settings: &Settings) {
    if !settings.policy.forward.is_on() {
        return;
    }
    match Desk::open(settings, Clock::system()) {
        Ok(desk) => ops::forward::flush(&desk, runtime::FLUSH).await,
        Err(error) => tracing::warn!(%error, "rows wait"),
    }
}
