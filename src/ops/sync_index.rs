//! The listing behind the desk: page after page into the index, with progress, going on where a former run stood.

use std::time::Duration;

use crate::{
    desk::{Desk, Seat, unblocked},
    domain::{
        device::DeviceSummary,
        moment::since,
        work::{Failure, News, Progress, sync_index::Listing},
    },
    graph::{GraphError, Link},
    ops::{Asking, find::summary},
    store::index::{List, Walk},
};

/// A list older than this is walked anew.
const FRESH_FOR: Duration = Duration::from_hours(1);
/// And not looked at more often than this, whatever the clock does.
const SHORTEST_WAIT: Duration = Duration::from_mins(1);

/// Lists every device, then every key: a match without a name helps nobody.
pub async fn sync_index(desk: &Desk, asking: &Asking) -> Result<Listing, Failure> {
    let seat = asking.behind(desk.seat()?);
    for list in [List::Devices, List::Keys] {
        walk(desk, &seat, list, asking).await?;
    }
    let listing = listing(&seat).await?;
    asking.tell(Progress::Listing(listing.clone()));
    Ok(listing)
}

/// Lists anew whenever the list has grown old, for as long as it is polled. Keys that were stored since the last walk are found again.
pub async fn keep_fresh(desk: &Desk, tell: impl Fn(News) + Clone + Send + Sync + 'static) {
    loop {
        let wait = match desk.seat() {
            Ok(seat) => next_walk(desk, &seat).await,
            Err(_) => FRESH_FOR,
        };
        tokio::time::sleep(wait.max(SHORTEST_WAIT)).await;
        let Ok(seat) = desk.seat() else { continue };
        if !next_walk(desk, &seat).await.is_zero() {
            continue;
        }
        let told = tell.clone();
        let asking = Asking::new(
            move |progress| match progress {
                Progress::Listing(listing) => told(News::Listing(listing)),
                Progress::Waiting(waiting) => told(News::Waiting(waiting)),
                _ => {}
            },
            tokio_util::sync::CancellationToken::new(),
        );
        if let Err(failure) = sync_index(desk, &asking).await {
            tracing::warn!(%failure, "the list could not be refreshed");
        }
    }
}

/// How long until the list has grown old. One that was never complete is the desk's own to fill.
async fn next_walk(desk: &Desk, seat: &Seat) -> Duration {
    match listing(seat).await.ok().and_then(|listing| listing.complete_since) {
        Some(at) => FRESH_FOR.saturating_sub(since(at, desk.clock.now())),
        None => FRESH_FOR,
    }
}

/// How full the index is now.
pub async fn listing(seat: &Seat) -> Result<Listing, Failure> {
    let index = seat.index.clone();
    Ok(unblocked(move || index.listing()).await?)
}

async fn walk(desk: &Desk, seat: &Seat, list: List, asking: &Asking) -> Result<(), Failure> {
    let (index, now) = (seat.index.clone(), desk.clock.now());
    let mut walk = unblocked(move || index.begin_walk(list, now)).await?;
    let mut resumed = walk.next.is_some();
    loop {
        let next = match page(seat, &mut walk).await {
            Ok(next) => next,
            // A link of yesterday may be refused: begin anew, once.
            Err(PageError::Graph(error)) if resumed && !is_passing(&error) => {
                resumed = false;
                let (index, now) = (seat.index.clone(), desk.clock.now());
                walk = unblocked(move || {
                    index.restart_walk(list)?;
                    index.begin_walk(list, now)
                })
                .await?;
                continue;
            }
            Err(PageError::Graph(error)) => return Err(error.into()),
            Err(PageError::Failure(failure)) => return Err(failure),
        };
        let seen = listing(seat).await?;
        asking.tell(Progress::Listing(Listing { running: true, ..seen }));
        if !next {
            return Ok(());
        }
    }
}

enum PageError {
    Graph(GraphError),
    Failure(Failure),
}

/// Fetches and stores one page. Whether there is another.
async fn page(seat: &Seat, walk: &mut Walk) -> Result<bool, PageError> {
    let link = walk.next.clone().map(Link::new);
    let mut after = walk.clone();
    let index = seat.index.clone();
    let stored = match walk.list {
        List::Keys => {
            let page = seat.graph.keys_page(link.as_ref()).await.map_err(PageError::Graph)?;
            let next = page.next.map(|link| link.as_str().to_owned());
            unblocked(move || index.store_keys(&mut after, &page.items, next).map(|()| after)).await
        }
        List::Devices => {
            let page = seat.graph.devices_page(link.as_ref()).await.map_err(PageError::Graph)?;
            let next = page.next.map(|link| link.as_str().to_owned());
            let devices: Vec<DeviceSummary> = page.items.iter().map(summary).collect();
            unblocked(move || index.store_devices(&mut after, &devices, next).map(|()| after)).await
        }
    };
    *walk = stored.map_err(|error| PageError::Failure(error.into()))?;
    Ok(walk.next.is_some())
}

/// Whether the same request may succeed later.
fn is_passing(error: &GraphError) -> bool {
    matches!(error, GraphError::Throttled { .. } | GraphError::Unreachable { .. } | GraphError::SignIn(_))
}
