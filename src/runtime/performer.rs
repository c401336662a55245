//! Questions under way: each runs on a task of its own, answers once, and can be cancelled.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::UnboundedSender,
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{RunError, perform::perform};
use crate::{
    desk::Desk,
    domain::{
        capability::Lights,
        work::{AskId, News, Request},
    },
    ops::Asking,
    tui::Msg,
};

/// How long the program waits at its end for what must be finished. A key request that hangs longer is *unknown* anyway.
const FINISH_WITHIN: Duration = Duration::from_mins(1);

pub(super) struct Performer {
    desk: Arc<Desk>,
    tell: UnboundedSender<Msg>,
    tasks: JoinSet<()>,
    asked: HashMap<AskId, Asked>,
    lights: Arc<std::sync::Mutex<Lights>>,
}

struct Asked {
    cancelled: CancellationToken,
    task: AbortHandle,
    must_finish: bool,
}

impl Performer {
    pub(super) fn new(desk: Arc<Desk>, tell: UnboundedSender<Msg>) -> Self {
        Self { desk, tell, tasks: JoinSet::new(), asked: HashMap::new(), lights: Arc::default() }
    }

    /// Runs something until the end of the program.
    pub(super) fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Starts on a question.
    pub(super) fn ask(&mut self, ask: AskId, request: Request) {
        self.asked.retain(|_, asked| !asked.task.is_finished());
        let must_finish = request.must_finish();
        let cancelled = CancellationToken::new();
        let asking = {
            let tell = self.tell.clone();
            Asking::new(
                move |progress| {
                    let _ = tell.send(Msg::Progress { ask, progress });
                },
                cancelled.clone(),
            )
        };
        let (desk, tell, lights) = (Arc::clone(&self.desk), self.tell.clone(), Arc::clone(&self.lights));
        let task = self.tasks.spawn(async move {
            let result = perform(&desk, request, &asking).await;
            tell_lights(&desk, &lights, &tell);
            let _ = tell.send(Msg::Answer { ask, result });
        });
        self.asked.insert(ask, Asked { cancelled, task, must_finish });
    }

    /// Nobody waits for this any more: a read is dropped; a write hears of it and answers all the same.
    pub(super) fn cancel(&mut self, ask: AskId) {
        if let Some(asked) = self.asked.get(&ask) {
            asked.cancelled.cancel();
            if !asked.must_finish {
                asked.task.abort();
            }
        }
    }

    /// Resolves when a task panicked.
    pub(super) async fn panicked(&mut self) -> RunError {
        loop {
            match self.tasks.join_next().await {
                Some(Err(error)) if error.is_panic() => return RunError::Panicked,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Drops the reads and waits for the writes.
    pub(super) async fn finish(self) {
        let writes: Vec<AbortHandle> = self.asked.into_values().filter(|a| a.must_finish).map(|a| a.task).collect();
        let all_done = async {
            while !writes.iter().all(AbortHandle::is_finished) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(FINISH_WITHIN, all_done).await.is_err() {
            tracing::error!("ended before every write was answered; the next start closes it as unknown");
        }
        // The rest is dropped with the set.
        drop(self.tasks);
    }
}

/// Tells of the four lights when a request changed one.
fn tell_lights(desk: &Desk, known: &std::sync::Mutex<Lights>, tell: &UnboundedSender<Msg>) {
    let Some(now) = desk.lights() else { return };
    let mut known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if *known != now {
        known.clone_from(&now);
        let _ = tell.send(Msg::News(News::Lights(now)));
    }
}
