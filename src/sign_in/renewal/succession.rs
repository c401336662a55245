//! From one session to the next: what a prompt brings is taken over only once it is known whose it is.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use super::{Inner, State};
use crate::{
    domain::capability::{Feature, Light},
    sign_in::{Session, Vault},
};

impl Session {
    /// A session of the same connection in which nobody is signed in and that keeps nothing, for a prompt. What Entra demanded of this one
    /// is asked for there, and whoever is signed in here is expected.
    #[must_use]
    pub fn successor(&self) -> Self {
        let next = self.beside(Vault::memory());
        next.inner.state().expected = self.inner.expected();
        next
    }

    /// The prompt failed: what Entra demanded there is asked for at the next.
    pub fn heed(&self, failed: &Self) {
        let demanded = failed.inner.state().demanded.clone();
        self.inner.state().demanded = demanded;
    }

    /// Goes on with what `brought` holds; [`Session::remember`] then keeps it. What worked here for the same person is still known to work.
    pub async fn adopt(&self, brought: Self) {
        let _turn = self.inner.turn.lock().await;
        let mut state = mem::take(&mut *brought.inner.state());
        let mut own = self.inner.state();
        let subject = |state: &State| state.identity.as_ref().map(|identity| identity.subject.clone());
        let is_same = subject(&own) == subject(&state);
        for feature in Feature::ALL {
            let untried = matches!(state.lights.of(feature), Light::NotAsked | Light::Unknown);
            if is_same && untried && matches!(own.lights.of(feature), Light::Yes(_)) {
                state.lights.set(feature, own.lights.of(feature).clone());
            }
        }
        *own = state;
    }

    /// Keeps the session in the vault. The store may ask a person first, so nothing waits for it that need not.
    pub async fn remember(&self) {
        let _turn = self.inner.turn.lock().await;
        let refresh = self.inner.state().refresh.clone();
        let kept = match refresh {
            Some(refresh) => self.inner.vault.save(&refresh).await,
            None => false,
        };
        self.inner.state().remembered = kept;
    }

    /// Ends this session for whoever still holds it, and leaves its vault to the one that is returned.
    pub async fn retire(&self) -> Self {
        let next = self.beside(self.inner.vault.clone());
        let _turn = self.inner.turn.lock().await;
        *self.inner.state() = State::default();
        next
    }

    fn beside(&self, vault: Vault) -> Self {
        let Inner { http, connection, born, .. } = &*self.inner;
        let (endpoints, demanded) = {
            let state = self.inner.state();
            (state.endpoints.clone(), state.demanded.clone())
        };
        let state = Mutex::new(State { endpoints, demanded, ..State::default() });
        let (http, connection, born, turn) = (http.clone(), connection.clone(), *born, tokio::sync::Mutex::default());
        Self { inner: Arc::new(Inner { http, connection, vault, born, state, turn }) }
    }
}
