//! One limiter for everything that leaves: how many requests a host gets at once, and who goes first.
//!
//! What a technician waits for ([`Turn::Front`]) and what runs behind the desk ([`Turn::Behind`]: listings, the watcher) have places
//! of their own, so that no page of a listing ever stands in a call's way. When a host asks to be left alone, everything behind the
//! desk stays away from it until then, whoever was told; a request in front goes all the same, and waits as its own answer says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until},
};

/// Requests of technicians under way to one host.
const IN_FRONT: usize = 6;
/// Requests from behind the desk under way to one host.
const BEHIND: usize = 2;

/// Who goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// Somebody waits for it.
    #[default]
    Front,
    /// Nobody does.
    Behind,
}

/// The places at every host.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<HashMap<String, Arc<Places>>>);

impl Limiter {
    /// The places at this host.
    pub fn at(&self, host: &str) -> Arc<Places> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(host.to_owned()).or_default())
    }
}

/// The places at one host.
#[derive(Debug)]
pub(super) struct Places {
    front: Semaphore,
    behind: Semaphore,
    /// Nothing from behind the desk before this.
    quiet_until: Mutex<Option<Instant>>,
}

impl Default for Places {
    fn default() -> Self {
        let (front, behind) = (Semaphore::new(IN_FRONT), Semaphore::new(BEHIND));
        Self { front, behind, quiet_until: Mutex::default() }
    }
}

impl Places {
    /// Waits for a place and, behind the desk, until the host may be asked; `on_quiet` hears how long before each such wait. The place
    /// is free again when the permit is dropped. `None` is never returned while the program runs: no semaphore here is closed.
    pub async fn take(&self, turn: Turn, on_quiet: impl Fn(Duration)) -> Option<SemaphorePermit<'_>> {
        match turn {
            Turn::Front => self.front.acquire().await.ok(),
            Turn::Behind => {
                let permit = self.behind.acquire().await.ok();
                // Somebody may be told to wait while we do.
                while let Some(until) = self.quiet_until() {
                    on_quiet(until.duration_since(Instant::now()));
                    sleep_until(until).await;
                }
                permit
            }
        }
    }

    /// The host asks to be left alone for so long.
    pub fn keep_quiet(&self, for_: Duration) {
        let until = Instant::now() + for_;
        let mut quiet = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        *quiet = (*quiet).max(Some(until));
    }

    fn quiet_until(&self) -> Option<Instant> {
        let quiet = *self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        quiet.filter(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    /// Whether a place is to be had at once.
    async fn is_free(places: &Places, turn: Turn) -> bool {
        tokio::time::timeout(MOMENT, places.take(turn, |_| {})).await.is_ok()
    }

    #[tokio::test]
    async fn a_host_that_listings_fill_still_has_a_place_for_a_call() {
        let limiter = Limiter::default();
        let places = limiter.at("graph.example");
        let taken = [places.take(Turn::Behind, |_| {}).await, places.take(Turn::Behind, |_| {}).await];
        assert!(!is_free(&places, Turn::Behind).await);
        assert!(is_free(&places, Turn::Front).await);
        assert!(is_free(&limiter.at("login.example"), Turn::Behind).await);
        drop(taken);
        assert!(is_free(&places, Turn::Behind).await);
    }

    #[tokio::test]
    async fn requests_in_front_are_bounded_too() {
        let places = Places::default();
        let mut taken = Vec::new();
        for _ in 0..IN_FRONT {
            taken.push(places.take(Turn::Front, |_| {}).await);
        }
        assert!(!is_free(&places, Turn::Front).await);
        taken.pop();
        assert!(is_free(&places, Turn::Front).await);
    }

    #[tokio::test]
    async fn a_host_that_asks_for_quiet_gets_it_from_behind_the_desk_and_answers_calls() {
        let places = Places::default();
        places.keep_quiet(Duration::from_millis(300));
        // A shorter wait told later does not shorten it.
        places.keep_quiet(MOMENT);
        assert!(is_free(&places, Turn::Front).await);
        let told = Mutex::new(Vec::new());
        let begun = Instant::now();
        let place = places.take(Turn::Behind, |wait| told.lock().unwrap().push(wait)).await;
        assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
        assert!(place.is_some() && told.lock().unwrap().len() == 1);
        assert!(is_free(&places, Turn::Behind).await);
    }
}
