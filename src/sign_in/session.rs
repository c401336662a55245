//! Who is signed in, and a token for everything they may do, renewed before it expires.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use oauth2::{RefreshToken, Scope};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{
    SignInError, Vault, claims,
    claims::Identity,
    device_code,
    discovery::{self, Endpoints},
    refusal::Read,
    scopes,
    wire::{Tokens, Wire, oauth},
};
use crate::{
    domain::{
        capability::{Feature, Light, Lights},
        connection::Connection,
        moment::{Deadline, Moment},
        technician::Technician,
        work::sign_in::DeviceCode,
    },
    http::{Http, Repeat},
};

/// A token is renewed when it has less than this left, or a third of its life where that is shorter.
const MARGIN: Duration = Duration::from_mins(5);

/// The session. A clone is the same session.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    http: Http,
    connection: Connection,
    vault: Vault,
    born: Instant,
    state: Mutex<State>,
    /// One renewal at a time: some services revoke a session when a refresh token is used twice.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    endpoints: Option<Endpoints>,
    refresh: Option<SecretString>,
    held: HashMap<Feature, Held>,
    identity: Option<Identity>,
    lights: Lights,
    remembered: bool,
}

/// An access token in use.
struct Held {
    token: SecretString,
    renew: Deadline,
    expires: Deadline,
    granted: Vec<String>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state();
        f.debug_struct("Session")
            .field("connection", &self.inner.connection)
            .field("identity", &state.identity)
            .field("remembered", &state.remembered)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A session in which nobody is signed in yet.
    pub fn new(http: Http, connection: Connection, vault: Vault) -> Self {
        let inner = Inner {
            http,
            connection,
            vault,
            born: Instant::now(),
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Goes on with the session the vault remembers, asking nobody. `false`: it remembers none.
    pub async fn restore(&self) -> Result<bool, SignInError> {
        let Some(refresh) = self.inner.vault.load().await else { return Ok(false) };
        {
            let mut state = self.inner.state();
            state.refresh = Some(refresh);
            state.remembered = true;
        }
        match self.token(Feature::List).await {
            Ok(_) => Ok(true),
            Err(error) => {
                self.inner.state().refresh = None;
                Err(error)
            }
        }
    }

    /// Signs in by device code. `on_code` is told what to show, once; the future ends when the code is approved, declined or expired.
    pub async fn sign_in(&self, on_code: impl Fn(DeviceCode) + Send + Sync) -> Result<(), SignInError> {
        let inner = &self.inner;
        let endpoints = inner.endpoints().await?;
        let tokens = device_code::run(&inner.http, &inner.connection, &endpoints, &on_code).await?;
        let _turn = inner.turn.lock().await;
        {
            let mut state = inner.state();
            *state = State { endpoints: state.endpoints.take(), ..State::default() };
        }
        inner.accept(Feature::List, tokens).await?;
        Ok(())
    }

    /// Gets tokens for these features ahead of time, so that nobody waits for one later and [`Session::lights`] knows what has consent.
    /// Refusals go into the lights.
    pub async fn ask_for(&self, features: &[Feature]) {
        for feature in features {
            if let Err(error) = self.token(*feature).await {
                tracing::debug!(feature = feature.word(), %error, "no token ahead of time");
            }
        }
    }

    /// A token for the feature that is good for some minutes. Renews quietly where needed; never prompts.
    pub async fn token(&self, feature: Feature) -> Result<SecretString, SignInError> {
        if let Some(token) = self.inner.fresh(feature) {
            return Ok(token);
        }
        let inner = Arc::clone(&self.inner);
        // On its own: whoever asked may stop waiting, but a new refresh token must not get lost half way.
        let renewal = tokio::spawn(async move { inner.renew(feature).await });
        renewal.await.unwrap_or_else(|_| Err(SignInError::unexpected("The renewal of the session was interrupted.")))
    }

    /// Graph refused `used`: it is not handed out again.
    pub fn invalidate(&self, feature: Feature, used: &SecretString) {
        let mut state = self.inner.state();
        if state.held.get(&feature).is_some_and(|held| held.token.expose_secret() == used.expose_secret()) {
            state.held.remove(&feature);
        }
    }

    /// What is known about each feature.
    pub fn lights(&self) -> Lights {
        self.inner.state().lights.clone()
    }

    /// Graph answered, or refused: now it is known.
    pub fn mark(&self, feature: Feature, light: Light) {
        self.inner.state().lights.set(feature, light);
    }

    /// Who is signed in, where the id token says so.
    pub fn technician(&self) -> Option<Technician> {
        self.inner.state().identity.as_ref()?.technician.clone()
    }

    /// The tenant's id, from the id token or the settings.
    pub fn tenant_id(&self) -> Option<Uuid> {
        let said = self.inner.state().identity.as_ref().and_then(|identity| identity.tenant);
        said.or_else(|| self.inner.connection.tenant.parse().ok())
    }

    /// Whether a token can be had without a prompt, as far as is known here.
    pub fn is_signed_in(&self) -> bool {
        let now = self.inner.now();
        let state = self.inner.state();
        state.refresh.is_some() || state.held.values().any(|held| !held.expires.passed(now))
    }

    /// Whether the session outlives the program.
    pub fn remembered(&self) -> bool {
        self.inner.state().remembered
    }

    pub fn connection(&self) -> &Connection {
        &self.inner.connection
    }

    /// Forgets the session, here and in the vault.
    pub async fn sign_out(&self) {
        let _turn = self.inner.turn.lock().await;
        *self.inner.state() = State::default();
        self.inner.vault.forget().await;
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment { wall: Timestamp::now(), up: self.born.elapsed() }
    }

    fn fresh(&self, feature: Feature) -> Option<SecretString> {
        let now = self.now();
        let state = self.state();
        state.held.get(&feature).filter(|held| !held.renew.passed(now)).map(|held| held.token.clone())
    }

    /// What is still good, if only for moments, or was granted for another feature and happens to suffice.
    fn still_good(&self, feature: Feature) -> Option<SecretString> {
        let now = self.now();
        let state = self.state();
        let own = state.held.get(&feature);
        let others = state.held.values().filter(|held| scopes::suffices(feature, &held.granted));
        own.into_iter().chain(others).find(|held| !held.expires.passed(now)).map(|held| held.token.clone())
    }

    async fn endpoints(&self) -> Result<Endpoints, SignInError> {
        if let Some(known) = self.state().endpoints.clone() {
            return Ok(known);
        }
        let found = discovery::discover(&self.http, &self.connection).await?;
        self.state().endpoints = Some(found.clone());
        Ok(found)
    }

    async fn renew(&self, feature: Feature) -> Result<SecretString, SignInError> {
        let _turn = self.turn.lock().await;
        if let Some(token) = self.fresh(feature) {
            return Ok(token);
        }
        let refresh = self.state().refresh.clone();
        let redeemed = match refresh {
            Some(refresh) => self.redeem(feature, &refresh).await,
            None => Err(Read { error: SignInError::nobody(), session_over: false }),
        };
        let refused = match redeemed {
            Ok(token) => return Ok(token),
            Err(refused) => refused,
        };
        if refused.session_over {
            self.state().refresh = None;
            self.state().remembered = false;
            self.vault.forget().await;
        }
        if refused.error.is_about_consent() {
            self.state().lights.set(feature, Light::No(without_consent(feature)));
        }
        self.still_good(feature).ok_or(refused.error)
    }

    /// Redeems the refresh token for the feature, by each of its alternatives until one has consent.
    async fn redeem(&self, feature: Feature, refresh: &SecretString) -> Result<SecretString, Read> {
        let stays = |error| Read { error, session_over: false };
        let endpoints = self.endpoints().await.map_err(stays)?;
        let oauth = oauth(&self.connection, &endpoints);
        let mut refused = stays(SignInError::nobody());
        for asked in scopes::asks(feature, &self.connection.graph) {
            let wire = Wire::new(&self.http, Repeat::NotServed);
            let current = self.state().refresh.clone().unwrap_or_else(|| refresh.clone());
            let token = RefreshToken::new(current.expose_secret().to_owned());
            let request = oauth.exchange_refresh_token(&token).add_scopes(asked.into_iter().map(Scope::new));
            match request.request_async(&wire).await {
                Ok(answer) => return self.accept(feature, answer.into()).await.map_err(stays),
                Err(error) => refused = wire.explain(error),
            }
            if !refused.error.is_about_consent() {
                break;
            }
        }
        Err(refused)
    }

    /// Takes what a token answer gave.
    async fn accept(&self, feature: Feature, tokens: Tokens) -> Result<SecretString, SignInError> {
        let identity =
            tokens.id_token.map(|token| claims::read(token.expose_secret(), &self.connection)).transpose()?;
        let now = self.now();
        let asked = || scopes::asks(feature, &self.connection.graph).into_iter().flatten().collect();
        let granted = tokens.granted.unwrap_or_else(asked);
        {
            let mut state = self.state();
            for other in Feature::ALL {
                let suffices = scopes::suffices(other, &granted);
                let undecided = !matches!(state.lights.of(other), Light::Yes);
                if suffices && undecided {
                    state.lights.set(other, Light::Unknown);
                } else if other == feature && !suffices {
                    state.lights.set(other, Light::No(without_consent(feature)));
                }
            }
            let renew = now.in_(tokens.lasts.saturating_sub(MARGIN.min(tokens.lasts / 3)));
            let held = Held { token: tokens.access.clone(), renew, expires: now.in_(tokens.lasts), granted };
            state.held.insert(feature, held);
            if identity.is_some() {
                state.identity = identity;
            }
        }
        if let Some(refresh) = tokens.refresh {
            self.state().refresh = Some(refresh.clone());
            let kept = self.vault.save(&refresh).await;
            self.state().remembered = kept;
        }
        Ok(tokens.access)
    }
}

fn without_consent(feature: Feature) -> String {
    format!("Nobody has consented to {}. An Entra administrator can.", scopes::names(feature))
}
