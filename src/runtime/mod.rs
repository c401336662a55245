//! The event loop: keys, answers and deadlines become messages; effects become work; the model becomes a screen.
//!
//! One loop owns the model. It draws when something changed and no message waits, and sleeps until a key, an answer or the model's
//! next deadline: with nothing to do it does nothing.

mod console;
mod hardening;
mod perform;
mod performer;
mod terminal;

use std::{io, sync::Arc};

use crossterm::event::{Event, KeyEvent};
use futures::{Stream, StreamExt as _};
use ratatui::{Terminal, backend::Backend};
use tokio::sync::mpsc;

pub use console::{open, setup};
pub use hardening::refuse_core_dumps;
pub use terminal::{Screen, show_until_key};

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
    #[error("A part of the program failed; nothing that was recorded is lost. Start keydesk again.")]
    Panicked,
}

/// Runs the console on `terminal` until it is told to quit, the terminal goes away, or the system asks it to end.
pub async fn run<B: Backend>(
    desk: Arc<Desk>,
    mut model: Model,
    terminal: &mut Terminal<B>,
    mut events: impl Stream<Item = io::Result<Event>> + Unpin,
) -> Result<(), RunError> {
    let (tell, mut told) = mpsc::unbounded_channel::<Msg>();
    let mut performer = Performer::new(Arc::clone(&desk), tell.clone());
    performer.spawn({
        let desk = Arc::clone(&desk);
        async move {
            ops::watch::watch(&desk, |news| {
                // The loop that listened has ended: so will this.
                let _ = tell.send(Msg::News(news));
            })
            .await;
        }
    });
    let mut ending = std::pin::pin!(end_asked_for());
    let started = model.start();
    let mut quit = carry_out(&mut performer, started);
    let mut changed = true;
    while !quit {
        if changed && told.is_empty() {
            terminal.draw(|frame| tui::view(&model, frame)).map_err(|e| RunError::Terminal(e.to_string()))?;
            changed = false;
        }
        let now = desk.clock.moment();
        let sleep = model.next_deadline(now).map(|deadline| deadline.left(now));
        let msg = tokio::select! {
            // Answers first: a key is then judged against what is known.
            biased;
            Some(msg) = told.recv() => Some(msg),
            failed = performer.panicked() => return Err(failed),
            event = events.next() => match event {
                Some(Ok(event)) => read(event),
                // The terminal is gone.
                Some(Err(_)) | None => break,
            },
            () = &mut ending => break,
            () = pause(sleep) => Some(Msg::Tick),
        };
        if let Some(msg) = msg {
            let effects = tui::update(&mut model, desk.clock.moment(), msg);
            quit = carry_out(&mut performer, effects);
            changed = true;
        }
    }
    drop(model);
    performer.finish().await;
    Ok(())
}

/// Sleeps, or waits for ever.
async fn pause(sleep: Option<std::time::Duration>) {
    match sleep {
        Some(sleep) => tokio::time::sleep(sleep).await,
        None => std::future::pending().await,
    }
}

/// Starts what was wished for. Whether the model wants to end.
fn carry_out(performer: &mut Performer, effects: Vec<Effect>) -> bool {
    let mut quit = false;
    for effect in effects {
        match effect {
            Effect::Ask { ask, request } => performer.ask(ask, request),
            Effect::Cancel { ask } => performer.cancel(ask),
            Effect::Quit => quit = true,
        }
    }
    quit
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

/// Resolves when the system asks the program to end: the session closes, the machine goes down.
async fn end_asked_for() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut hangup), Ok(mut terminate)) = (signal(SignalKind::hangup()), signal(SignalKind::terminate())) {
            tokio::select! {
                _ = hangup.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    #[cfg(windows)]
    {
        use tokio::signal::windows::{ctrl_close, ctrl_shutdown};
        if let (Ok(mut close), Ok(mut shutdown)) = (ctrl_close(), ctrl_shutdown()) {
            tokio::select! {
                _ = close.recv() => {}
                _ = shutdown.recv() => {}
            }
            return;
        }
    }
    std::future::pending::<()>().await;
}
