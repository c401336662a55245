//! When to send once more, and how long to wait before.

use std::{future::Future, time::Instant};

use backon::{ExponentialBuilder, Retryable};

use super::{Answer, HttpError, Limits, Lost, NoWay, OnWait, Repeat};
use crate::domain::work::Waiting;

/// How often a request is repeated after the first attempt.
const REPEATS: usize = 4;

/// What stands in the way of an answer: the service's word, or none at all.
enum Setback {
    Answer(Answer),
    Error(HttpError),
}

/// Attempts, waits as the service asks or longer and longer, and attempts again, while `repeat` allows and patience lasts. The service's
/// last word is returned as it stands.
pub(super) async fn with_patience<F, A>(
    limits: Limits,
    repeat: Repeat,
    on_wait: Option<&OnWait>,
    mut attempt: F,
) -> Result<Answer, HttpError>
where
    F: FnMut() -> A,
    A: Future<Output = Result<Answer, HttpError>>,
{
    let give_up = Instant::now() + limits.patience;
    let pauses = ExponentialBuilder::new()
        .with_min_delay(limits.first_pause)
        .with_max_delay(limits.first_pause * 32)
        .with_max_times(REPEATS)
        .with_jitter();
    let tried = || {
        let attempt = attempt();
        async {
            match attempt.await {
                Ok(answer) if is_setback(answer.status) => Err(Setback::Answer(answer)),
                Ok(answer) => Ok(answer),
                Err(error) => Err(Setback::Error(error)),
            }
        }
    };
    let last = tried
        .retry(pauses)
        .when(|setback| may_repeat(repeat, setback))
        .adjust(|setback, own| {
            let own = own?;
            let pause = match setback {
                // A service that says "at once" is given a moment all the same.
                Setback::Answer(answer) => answer.retry_after.map_or(own, |asked| asked.max(own / 4)),
                Setback::Error(_) => own,
            };
            (Instant::now() + pause < give_up).then_some(pause)
        })
        .notify(|setback, pause| {
            tracing::debug!(?pause, "waiting before another attempt");
            // Where nothing answered nobody asked us to wait.
            if let (Setback::Answer(_), Some(on_wait)) = (setback, on_wait) {
                on_wait(Waiting { for_: pause });
            }
        })
        .await;
    match last {
        Ok(answer) | Err(Setback::Answer(answer)) => Ok(answer),
        Err(Setback::Error(error)) => Err(error),
    }
}

fn is_setback(status: u16) -> bool {
    matches!(status, 429 | 503 | 504)
}

fn may_repeat(repeat: Repeat, setback: &Setback) -> bool {
    match (repeat, setback) {
        (Repeat::Never, _) | (Repeat::NotServed, Setback::Error(_)) => false,
        (Repeat::NotServed, Setback::Answer(answer)) => was_not_served(answer),
        (Repeat::Freely, Setback::Answer(_)) => true,
        (Repeat::Freely, Setback::Error(error)) => match error {
            HttpError::NotReached { why, .. } => {
                matches!(why, NoWay::Name | NoWay::Refused | NoWay::Timeout | NoWay::Other)
            }
            HttpError::Uncertain { why, .. } => *why == Lost::Broken,
            HttpError::PlainHttp { .. } | HttpError::Malformed { .. } => false,
        },
    }
}

/// Whether the service itself says that it did nothing: 429, or 503 with `Retry-After`.
pub fn was_not_served(answer: &Answer) -> bool {
    answer.status == 429 || (answer.status == 503 && answer.retry_after.is_some())
}
