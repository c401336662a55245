//! The event loop: keys, answers and deadlines become messages; effects become work; the model becomes a screen.
//!
//! One loop owns the model. It draws when something changed and no message waits, and sleeps until a key, an answer or the model's
//! next deadline: with nothing to do it does nothing.

pub mod browser;
mod console;
mod ending;
mod hardening;
mod look;
mod perform;
mod performer;
mod show;
mod stopped;
mod terminal;

use std::{io, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use crossterm::event::{Event, KeyEvent};
use futures::{FutureExt as _, Stream, StreamExt as _};
use tokio::sync::mpsc::{self, UnboundedReceiver};

pub use console::{open, setup};
pub use ending::Ending;
pub use hardening::refuse_core_dumps;
pub use look::look;
pub use show::show_until_key;
pub use stopped::until_open;
pub use terminal::Screen;

use crate::{
    desk::Desk,
    ops,
    tui::{self, Effect, KeyPress, Model, Msg},
};
use performer::Performer;

/// Why the console ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("The console needs a terminal, and this is none.")]
    NoTerminal,
    #[error("A file that ships inside the program is broken: {0}")]
    Assets(String),
    #[error("The terminal failed: {0}")]
    Terminal(String),
    #[error("The program cannot hear when the system asks it to end: {0}")]
    Signals(String),
    #[error("A part of the program failed; nothing that was recorded is lost. Start keydesk again.")]
    Panicked,
}

/// What to do once the console is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Quit,
    /// Open the desk of this profile.
    Profile(String),
}

/// All that stands on the screen while the last writes are waited for.
const FINISHING: &str = "Finishing what is being written…";

/// How long a program that ends goes on sending rows to their collectors.
pub const FLUSH: Duration = Duration::from_secs(2);

/// Runs the console on `screen` until it is told to quit, the terminal goes away, or the system asks it to end. Whatever ends it, what is
/// being written is finished, with no digit on the screen meanwhile.
pub async fn run(
    desk: Arc<Desk>,
    mut model: Model,
    screen: &mut Screen,
    events: impl Stream<Item = io::Result<Event>> + Unpin,
) -> Result<Ended, RunError> {
    let ending = Ending::listen().map_err(|e| RunError::Signals(e.to_string()))?;
    let (tell, told) = mpsc::unbounded_channel::<Msg>();
    let mut performer = Performer::new(Arc::clone(&desk), tell.clone());
    let news = move |news| {
        // The loop that listened has ended: so will this.
        let _ = tell.send(Msg::News(news));
    };
    performer.spawn({
        let (desk, news) = (Arc::clone(&desk), news.clone());
        async move { ops::watch::watch(&desk, news).await }
    });
    performer.spawn({
        let (desk, news) = (Arc::clone(&desk), news.clone());
        async move { ops::forward::keep_forwarding(&desk, news).await }
    });
    performer.spawn({
        let desk = Arc::clone(&desk);
        async move { ops::sync_index::keep_fresh(&desk, news).await }
    });
    let inputs = Inputs { told, events, ending };
    let conversation = converse(&desk, &mut model, screen, &mut performer, inputs);
    // A panic here must not drop the performer: what it writes would be torn off.
    let ended = AssertUnwindSafe(conversation).catch_unwind().await.unwrap_or(Err(RunError::Panicked));
    drop(model);
    // A terminal that is gone shows nothing any more.
    let _ = screen.wipe(FINISHING);
    performer.finish().await;
    ops::forward::flush(&desk, FLUSH).await;
    ended
}

/// What the loop waits for.
struct Inputs<E> {
    told: UnboundedReceiver<Msg>,
    events: E,
    ending: Ending,
}

async fn converse(
    desk: &Desk,
    model: &mut Model,
    screen: &mut Screen,
    performer: &mut Performer,
    mut inputs: Inputs<impl Stream<Item = io::Result<Event>> + Unpin>,
) -> Result<Ended, RunError> {
    let started = model.start();
    let mut ended = carry_out(performer, started);
    let mut changed = true;
    while ended.is_none() {
        if changed && inputs.told.is_empty() {
            let drawn = screen.draw(|frame| tui::view(model, frame)).map_err(|e| RunError::Terminal(e.to_string()))?;
            if !drawn {
                return Err(RunError::Panicked);
            }
            changed = false;
        }
        let now = desk.clock.moment();
        let sleep = model.next_deadline(now).map(|deadline| deadline.left(now));
        let msg = tokio::select! {
            // Answers before keys: a key is then judged against what is known.
            biased;
            () = inputs.ending.asked() => break,
            failed = performer.panicked() => return Err(failed),
            Some(msg) = inputs.told.recv() => Some(msg),
            event = inputs.events.next() => match event {
                Some(Ok(event)) => read(event),
                // The terminal is gone.
                Some(Err(_)) | None => break,
            },
            () = pause(sleep) => Some(Msg::Tick),
        };
        if let Some(msg) = msg {
            if matches!(msg, Msg::Key(_) | Msg::Paste(_)) {
                desk.touch();
            }
            let effects = tui::update(model, desk.clock.moment(), msg);
            ended = carry_out(performer, effects);
            changed = true;
        }
    }
    Ok(ended.unwrap_or(Ended::Quit))
}

/// Sleeps, or waits for ever.
async fn pause(sleep: Option<std::time::Duration>) {
    match sleep {
        Some(sleep) => tokio::time::sleep(sleep).await,
        None => std::future::pending().await,
    }
}

/// Starts what was wished for. How the model wants to end, if it does.
fn carry_out(performer: &mut Performer, effects: Vec<Effect>) -> Option<Ended> {
    let mut ended = None;
    for effect in effects {
        match effect {
            Effect::Ask { ask, request } => performer.ask(ask, request),
            Effect::Cancel { ask } => performer.cancel(ask),
            Effect::Quit => ended = Some(Ended::Quit),
            Effect::Switch(profile) => ended = Some(Ended::Profile(profile)),
        }
    }
    ended
}

/// A terminal's event as a message, if the desk cares.
fn read(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) => read_key(key),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::FocusGained => Some(Msg::Focus(true)),
        Event::FocusLost => Some(Msg::Focus(false)),
        Event::Resize(cols, rows) => Some(Msg::Resize { cols, rows }),
        Event::Mouse(_) => None,
    }
}

fn read_key(key: KeyEvent) -> Option<Msg> {
    KeyPress::read(key).map(Msg::Key)
}
