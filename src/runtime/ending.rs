//! The system asks the program to end: the session closes, the machine goes down, somebody interrupts it from outside.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
};

/// Hears every signal that asks for the end, from [`Ending::listen`] on. From then on none of them ends the process by itself.
#[derive(Debug)]
pub struct Ending {
    #[cfg(unix)]
    signals: Vec<Signal>,
    #[cfg(windows)]
    signals: (CtrlC, CtrlBreak, CtrlClose, CtrlShutdown),
}

impl Ending {
    #[cfg(unix)]
    pub fn listen() -> io::Result<Self> {
        let kinds = [SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()];
        Ok(Self { signals: kinds.into_iter().map(signal).collect::<Result<_, _>>()? })
    }

    #[cfg(windows)]
    pub fn listen() -> io::Result<Self> {
        Ok(Self { signals: (ctrl_c()?, ctrl_break()?, ctrl_close()?, ctrl_shutdown()?) })
    }

    /// Resolves once the end was asked for.
    pub async fn asked(&mut self) {
        poll_fn(|context| if self.was_asked(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    #[cfg(unix)]
    fn was_asked(&mut self, context: &mut Context<'_>) -> bool {
        self.signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready())
    }

    #[cfg(windows)]
    fn was_asked(&mut self, context: &mut Context<'_>) -> bool {
        let (c, pause, close, shutdown) = &mut self.signals;
        c.poll_recv(context).is_ready()
            || pause.poll_recv(context).is_ready()
            || close.poll_recv(context).is_ready()
            || shutdown.poll_recv(context).is_ready()
    }
}
