//! What a session holds, and how it is renewed: one refresh token, and an access token for each feature in use.

mod succession;

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use oauth2::{RefreshToken, Scope};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Challenge, SignInError, Vault,
    challenge::parameter,
    discovery::{self, Endpoints},
    id_token::{self, Doubt, Expected, Fresh, Identity},
    jwks::Keys,
    refusal::{Read, Refusal},
    scopes,
    wire::{Tokens, Wire, oauth},
};
use crate::{
    domain::{
        capability::{Feature, Light, Lights},
        connection::Connection,
        moment::{Deadline, Moment},
        technician::Technician,
        work::{
            Report,
            sign_in::{Prompt, Way},
        },
    },
    http::{Http, Repeat},
};

/// A token is renewed when it has less than this left, or a third of its life where that is shorter.
const MARGIN: Duration = Duration::from_mins(5);

pub(super) struct Inner {
    pub http: Http,
    pub connection: Connection,
    pub vault: Vault,
    born: Instant,
    state: Mutex<State>,
    /// One renewal at a time: some services revoke a session when a refresh token is used twice.
    pub turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
pub(super) struct State {
    endpoints: Option<Endpoints>,
    keys: Option<Keys>,
    pub refresh: Option<SecretString>,
    pub held: HashMap<Feature, Held>,
    pub identity: Option<Identity>,
    /// Whom a prompt expects here, where nobody has signed in yet.
    expected: Option<Technician>,
    pub lights: Lights,
    pub remembered: bool,
    /// How this session began; `None` for one that the vault remembered.
    way: Option<Way>,
    /// What a person has to meet at the next sign-in.
    demanded: Option<Challenge>,
    /// A quiet renewal was refused in a way that only a person can settle.
    pub waits_for_person: bool,
}

/// An access token in use.
pub(super) struct Held {
    pub token: SecretString,
    renew: Deadline,
    pub expires: Deadline,
    granted: Vec<String>,
}

impl Inner {
    pub fn new(http: Http, connection: Connection, vault: Vault) -> Self {
        Self {
            http,
            connection,
            vault,
            born: Instant::now(),
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Moment {
        Moment { wall: Timestamp::now(), up: self.born.elapsed() }
    }

    /// The `claims` parameter of a prompt.
    pub fn claims(&self, prompt: &Prompt) -> String {
        parameter(self.state().demanded.as_ref(), prompt.fresh)
    }

    /// Who is signed in, where the id token says so; in a session that is to follow theirs, they all the same.
    pub fn expected(&self) -> Option<Technician> {
        let state = self.state();
        let own = state.identity.as_ref().and_then(|identity| identity.technician.clone());
        own.or_else(|| state.expected.clone())
    }

    pub fn fresh(&self, feature: Feature) -> Option<SecretString> {
        let now = self.now();
        let state = self.state();
        state.held.get(&feature).filter(|held| !held.renew.passed(now)).map(|held| held.token.clone())
    }

    /// What is still good, if only for moments, or was granted for another feature and happens to suffice.
    fn still_good(&self, feature: Feature) -> Option<SecretString> {
        let now = self.now();
        let state = self.state();
        let own = state.held.get(&feature);
        let others = state.held.values().filter(|held| feature.capability().suffices(&held.granted));
        own.into_iter().chain(others).find(|held| !held.expires.passed(now)).map(|held| held.token.clone())
    }

    pub async fn endpoints(&self) -> Result<Endpoints, SignInError> {
        if let Some(known) = self.state().endpoints.clone() {
            return Ok(known);
        }
        let found = discovery::discover(&self.http, &self.connection).await?;
        self.state().endpoints = Some(found.clone());
        Ok(found)
    }

    /// Begins the session that a person has just approved, in place of any other. `since`: when they were asked.
    pub async fn begin(&self, prompt: &Prompt, tokens: Tokens, since: Timestamp) -> Result<(), SignInError> {
        let Some(token) = &tokens.id_token else {
            return Err(SignInError::unexpected("it does not say who signed in"));
        };
        let fresh = if prompt.fresh {
            // A span of this machine's clock, taken from the service's: its own error does not count.
            let ago = Timestamp::now().duration_since(since);
            let answered = tokens.date.unwrap_or_else(Timestamp::now);
            let must_say = prompt.way == Way::Browser && !self.endpoints().await?.entra;
            Some(Fresh { since: answered.saturating_sub(ago).unwrap_or(answered), way: prompt.way, must_say })
        } else {
            None
        };
        let identity = self.identify(token, &tokens, fresh, None).await?;
        let _turn = self.turn.lock().await;
        {
            let mut state = self.state();
            let (endpoints, keys) = (state.endpoints.take(), state.keys.take());
            let (identity, way) = (Some(identity), Some(prompt.way));
            *state = State { endpoints, keys, identity, way, ..State::default() };
        }
        let asked = scopes::prompt(&prompt.features, &self.connection.graph);
        self.keep(&tokens).await;
        self.hold(Feature::List, &asked, tokens);
        Ok(())
    }

    /// Ends the session, here and in the vault; says whether nothing of it is left there.
    pub async fn forget(&self) -> bool {
        let _turn = self.turn.lock().await;
        *self.state() = State::default();
        self.vault.forget().await
    }

    pub async fn renew(&self, feature: Feature) -> Result<SecretString, SignInError> {
        let _turn = self.turn.lock().await;
        if let Some(token) = self.fresh(feature) {
            return Ok(token);
        }
        match self.redeemed(feature, None).await {
            Ok(token) => Ok(token),
            Err(error) => self.still_good(feature).ok_or(error),
        }
    }

    /// A token that meets `claims`, in place of `used`.
    pub async fn meet(
        &self,
        feature: Feature,
        used: &SecretString,
        claims: Challenge,
    ) -> Result<SecretString, SignInError> {
        let _turn = self.turn.lock().await;
        if let Some(token) = self.fresh(feature).filter(|token| token.expose_secret() != used.expose_secret()) {
            // Somebody else was challenged at the same time.
            return Ok(token);
        }
        self.state().held.remove(&feature);
        let redeemed = self.redeemed(feature, Some(&claims)).await;
        if let Err(SignInError::Needed(refusal)) = &redeemed
            && refusal.claims.is_none()
        {
            self.state().demanded = Some(claims);
        }
        redeemed
    }

    /// A new token was refused all the same.
    pub fn not_accepted(&self, claims: Option<Challenge>, report: Box<Report>) -> SignInError {
        let happened = match claims {
            Some(_) => "Your organisation's rules ask for another sign-in before this is answered.",
            None => "Microsoft Graph does not accept the session any more.",
        };
        let mut state = self.state();
        state.waits_for_person = true;
        let refusal = Refusal {
            happened: happened.into(),
            next: "Sign in again.".into(),
            report: Some(report),
            claims: claims.as_ref().map(Challenge::to_json),
            ..Refusal::default()
        };
        state.demanded = claims.or(state.demanded.take());
        SignInError::Needed(Box::new(refusal))
    }

    /// Keeps what a refusal wants the next sign-in to be asked for with.
    pub fn remember_claims(&self, refused: &SignInError) {
        let claims = refused.refusal().and_then(|refusal| refusal.claims.as_deref());
        if let Some(claims) = claims.and_then(Challenge::from_json) {
            self.state().demanded = Some(claims);
        }
    }

    /// Redeems the refresh token, and keeps what a refusal teaches.
    async fn redeemed(&self, feature: Feature, claims: Option<&Challenge>) -> Result<SecretString, SignInError> {
        let refused = match self.redeem(feature, claims).await {
            Ok(token) => return Ok(token),
            Err(refused) => refused,
        };
        if matches!(refused.error, SignInError::Needed(_)) {
            let mut state = self.state();
            // Where nothing was held nothing was refused: the vault may know more.
            state.waits_for_person |= state.refresh.is_some();
        }
        if refused.session_over {
            let over = self.state().refresh.take();
            self.state().remembered = false;
            if let Some(over) = over {
                self.vault.forget_this(over).await;
            }
        }
        self.remember_claims(&refused.error);
        if refused.error.is_about_consent() {
            self.state().lights.set(feature, Light::No(feature.capability().without_consent()));
        }
        Err(refused.error)
    }

    /// Redeems the refresh token for the feature, by each of its alternatives until one has consent.
    async fn redeem(&self, feature: Feature, claims: Option<&Challenge>) -> Result<SecretString, Read> {
        if self.state().refresh.is_none() {
            return Err(SignInError::nobody().into());
        }
        let endpoints = self.endpoints().await?;
        let oauth = oauth(&self.connection, &endpoints);
        let claims = parameter(claims, false);
        let mut refused = Read::from(SignInError::nobody());
        for asked in scopes::asks(feature, &self.connection.graph) {
            let (current, way) = {
                let state = self.state();
                (state.refresh.clone().ok_or_else(SignInError::nobody)?, state.way)
            };
            let wire = Wire::new(&self.http, Repeat::NotServed, way);
            let token = RefreshToken::new(current.expose_secret().to_owned());
            let request = oauth
                .exchange_refresh_token(&token)
                .add_scopes(asked.iter().cloned().map(Scope::new))
                .add_extra_param("claims", &claims);
            match request.request_async(&wire).await {
                Ok(answer) => return Ok(self.accept(feature, &asked, Tokens::of(&answer, &wire)).await?),
                Err(error) => refused = wire.explain(error),
            }
            if !refused.error.is_about_consent() {
                break;
            }
        }
        Err(refused)
    }

    /// Takes what a renewal gave for what was `asked`.
    async fn accept(&self, feature: Feature, asked: &[String], tokens: Tokens) -> Result<SecretString, SignInError> {
        // First of all: where refresh tokens are good for one use, this is the only one left.
        self.keep(&tokens).await;
        if let Some(token) = &tokens.id_token {
            let subject = self.state().identity.as_ref().map(|identity| identity.subject.clone());
            let identity = self.identify(token, &tokens, None, subject.as_deref()).await?;
            self.state().identity = Some(identity);
        }
        Ok(self.hold(feature, asked, tokens))
    }

    /// Whose tokens these are. A key that is not known is looked for once more: authorities change theirs.
    async fn identify(
        &self,
        token: &SecretString,
        tokens: &Tokens,
        fresh: Option<Fresh>,
        subject: Option<&str>,
    ) -> Result<Identity, SignInError> {
        let endpoints = self.endpoints().await?;
        let expected = Expected {
            connection: &self.connection,
            issuer: &endpoints.issuer,
            nonce: tokens.nonce.as_deref(),
            now: tokens.date.unwrap_or_else(Timestamp::now),
            fresh,
            subject,
        };
        let read = |keys: &Keys| id_token::read(token.expose_secret(), keys, &expected);
        let known = self.state().keys.clone();
        if let Some(keys) = known {
            match read(&keys) {
                Err(Doubt::UnknownKey) => {}
                decided => return Ok(decided?),
            }
        }
        let keys = Keys::fetch(&self.http, &endpoints.keys).await?;
        let decided = read(&keys);
        self.state().keys = Some(keys);
        Ok(decided?)
    }

    /// Keeps the refresh token, here and in the vault.
    async fn keep(&self, tokens: &Tokens) {
        let Some(refresh) = &tokens.refresh else { return };
        self.state().refresh = Some(refresh.clone());
        let kept = self.vault.save(refresh).await;
        self.state().remembered = kept;
    }

    /// Holds the access token for the feature, and says in the lights what it was granted for.
    fn hold(&self, feature: Feature, asked: &[String], tokens: Tokens) -> SecretString {
        let now = self.now();
        let granted = tokens.granted.unwrap_or_else(|| asked.to_vec());
        let mut state = self.state();
        for other in Feature::ALL {
            let suffices = other.capability().suffices(&granted);
            let undecided = !matches!(state.lights.of(other), Light::Yes(_));
            if suffices && undecided {
                state.lights.set(other, Light::Unknown);
            } else if other == feature && !suffices {
                state.lights.set(other, Light::No(feature.capability().without_consent()));
            }
        }
        let renew = now.in_(tokens.lasts.saturating_sub(MARGIN.min(tokens.lasts / 3)));
        let held = Held { token: tokens.access.clone(), renew, expires: now.in_(tokens.lasts), granted };
        state.held.insert(feature, held);
        tokens.access
    }
}
