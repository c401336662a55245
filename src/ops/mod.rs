//! One file a verb: the order of steps lives here. The screens and the command line ask the same ops.

pub mod calls;
pub mod debts;
pub mod disclose;
pub mod doctor;
pub mod evidence;
pub mod external;
mod failure;
pub mod find;
pub mod forward;
pub mod history;
pub mod ledger;
pub mod open_device;
pub mod profiles;
pub mod reconcile;
pub mod recover;
pub mod rotate;
pub mod sign_in;
pub mod sync_index;
mod ticket_check;
pub mod watch;

use std::{fmt, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    desk::Seat,
    domain::work::{Progress, Waiting},
};

/// The asker's side of one question: where words in between go, and whether the answer is still wanted.
#[derive(Clone)]
pub struct Asking {
    tell: Arc<dyn Fn(Progress) + Send + Sync>,
    cancelled: CancellationToken,
}

impl Asking {
    pub fn new(tell: impl Fn(Progress) + Send + Sync + 'static, cancelled: CancellationToken) -> Self {
        Self { tell: Arc::new(tell), cancelled }
    }

    /// Nobody listens in between, and nobody cancels.
    pub fn quietly() -> Self {
        Self::new(|_| {}, CancellationToken::new())
    }

    /// A word in between.
    pub fn tell(&self, progress: Progress) {
        (self.tell)(progress);
    }

    /// For clients that may be asked to wait, and say so to whoever asked.
    pub fn on_wait(&self) -> Arc<dyn Fn(Waiting) + Send + Sync> {
        let tell = Arc::clone(&self.tell);
        Arc::new(move |waiting| tell(Progress::Waiting(waiting)))
    }

    /// The seat, its clients telling the asker of every wait.
    pub fn in_front(&self, seat: Seat) -> Seat {
        Seat { graph: seat.graph.with_waiting(self.on_wait()), ..seat }
    }

    /// The same for what runs behind the desk.
    pub fn behind(&self, seat: Seat) -> Seat {
        self.in_front(seat.behind())
    }

    /// Resolves once the asker has lost interest.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").finish_non_exhaustive()
    }
}
