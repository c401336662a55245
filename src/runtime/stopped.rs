//! The console where the ledger cannot be opened: the red stop, and nothing behind it but another try.

use std::io::{self, IsTerminal as _};

use crossterm::event::EventStream;
use futures::{FutureExt as _, StreamExt as _};

use super::{Ending, RunError, Screen, console, read};
use crate::{
    config::Settings,
    desk::{self, Clock, Desk, DeskError},
    domain::work::{Failure, Kind, Outcome, Request},
    tui::{self, Effect, Model, Msg},
};

/// Opens the desk. Where it does not open and there is a terminal, says so on the red stop and tries again when told to; `None`: the
/// technician gave up.
pub async fn until_open(
    settings: &Settings,
    demo: bool,
    open: impl Fn(&Settings) -> Result<Desk, DeskError>,
) -> Result<Option<Desk>, Failure> {
    let failure = match open(settings) {
        Ok(desk) => return Ok(Some(desk)),
        Err(error) => stopping(error),
    };
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(failure);
    }
    let failed = |error: RunError| Failure::new(Kind::Failed, error.to_string());
    stop(settings, demo, failure, &open).await.map_err(failed)
}

async fn stop(
    settings: &Settings,
    demo: bool,
    failure: Failure,
    open: &impl Fn(&Settings) -> Result<Desk, DeskError>,
) -> Result<Option<Desk>, RunError> {
    let terminal = |e: io::Error| RunError::Terminal(e.to_string());
    let clock = Clock::system();
    let (cols, rows) = crossterm::terminal::size().map_err(terminal)?;
    let setup = console::setup_before(settings, demo, clock.moment(), cols, rows);
    let mut model = Model::stopped(setup, failure).map_err(|e| RunError::Assets(e.to_string()))?;
    let mut ending = Ending::listen().map_err(|e| RunError::Signals(e.to_string()))?;
    let mut screen = Screen::enter().map_err(terminal)?;
    let mut events = EventStream::new();
    loop {
        if !screen.draw(|frame| tui::view(&model, frame)).map_err(terminal)? {
            return Err(RunError::Panicked);
        }
        let now = clock.moment();
        let sleep = model.next_deadline(now).map(|deadline| deadline.left(now));
        let msg = tokio::select! {
            biased;
            () = ending.asked() => return Ok(None),
            event = events.next().fuse() => match event {
                Some(Ok(event)) => read(event),
                Some(Err(_)) | None => return Ok(None),
            },
            () = super::pause(sleep) => Some(Msg::Tick),
        };
        let Some(msg) = msg else { continue };
        let mut effects = tui::update(&mut model, clock.moment(), msg);
        while let Some(effect) = effects.pop() {
            let Effect::Ask { ask, request } = effect else {
                if matches!(effect, Effect::Cancel { .. }) {
                    continue;
                }
                return Ok(None);
            };
            let result = match request {
                Request::CatchUp => match open(settings) {
                    Ok(desk) => return Ok(Some(desk)),
                    Err(error) => Err(stopping(error)),
                },
                Request::Copy(text) => copy(settings, text).await,
                _ => Err(Failure::new(Kind::Cancelled, "There is no desk to ask.")),
            };
            effects.extend(tui::update(&mut model, clock.moment(), Msg::Answer { ask, result }));
        }
    }
}

/// Whatever keeps the desk from opening keeps keys from being read here.
fn stopping(error: DeskError) -> Failure {
    Failure { kind: Kind::Record, ..error.into() }
}

async fn copy(settings: &Settings, text: String) -> Result<Outcome, Failure> {
    let simulation = settings.connection.as_ref().is_some_and(crate::domain::connection::Connection::is_simulation);
    super::perform::may_copy(&settings.policy, simulation)?;
    let copied = desk::clipboard().copy_text(text).await;
    copied.map(|()| Outcome::Copied).map_err(|error| Failure::new(Kind::Failed, error.to_string()))
}
