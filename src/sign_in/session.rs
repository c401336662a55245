//! Who is signed in, and a token for everything they may do.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{Challenge, SignInError, Vault, browser, device_code, renewal::Inner, scopes, wire::Asked};
use crate::{
    domain::{
        capability::{Feature, Light, Lights},
        connection::Connection,
        technician::Technician,
        work::{
            Report,
            sign_in::{BrowserPage, DeviceCode, Prompt, Way},
        },
    },
    http::Http,
};

/// The session. A clone is the same session.
#[derive(Clone)]
pub struct Session {
    pub(super) inner: Arc<Inner>,
}

/// What the technician has to be told while a sign-in waits for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    DeviceCode(DeviceCode),
    Browser(BrowserPage),
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
        Self { inner: Arc::new(Inner::new(http, connection, vault)) }
    }

    /// Goes on with the session the vault remembers, asking nobody. `false`: it remembers none, or a person is waited for.
    pub async fn restore(&self) -> Result<bool, SignInError> {
        if self.inner.state().waits_for_person {
            return Ok(false);
        }
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

    /// Signs in, the way the prompt says. `tell` is told what to show, once; the future ends when it is approved, declined or expired.
    ///
    /// Includes the claims that Entra last asked for. Replaces what the session holds only when it succeeds.
    pub async fn sign_in(&self, prompt: &Prompt, tell: impl Fn(Told) + Send + Sync) -> Result<(), SignInError> {
        let inner = &self.inner;
        let endpoints = inner.endpoints().await?;
        let expected = inner.expected().map(|technician| technician.upn.raw().to_owned());
        let asked = Asked {
            scopes: scopes::prompt(&prompt.features, &inner.connection.graph),
            claims: inner.claims(prompt),
            fresh: prompt.fresh,
            hint: expected.filter(|upn| !upn.is_empty()),
        };
        let since = Timestamp::now();
        let answered = match prompt.way {
            Way::DeviceCode => {
                let on_code = |code| tell(Told::DeviceCode(code));
                device_code::run(&inner.http, &inner.connection, &endpoints, &asked, &on_code).await
            }
            Way::Browser => {
                let on_page = |page| tell(Told::Browser(page));
                browser::run(&inner.http, &inner.connection, &endpoints, &asked, &on_page).await
            }
        };
        match answered {
            Ok(tokens) => inner.begin(prompt, tokens, since).await,
            Err(refused) => {
                inner.remember_claims(&refused.error);
                Err(refused.error)
            }
        }
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
        unhurried(async move { inner.renew(feature).await }).await
    }

    /// Graph answered a claims challenge to `used`: a new token with these claims, asking nobody. [`SignInError::Needed`] where a person must
    /// meet them; the next [`Session::sign_in`] asks for them.
    pub async fn challenged(
        &self,
        feature: Feature,
        used: &SecretString,
        claims: &Challenge,
    ) -> Result<SecretString, SignInError> {
        let (inner, used, claims) = (Arc::clone(&self.inner), used.clone(), claims.clone());
        unhurried(async move { inner.meet(feature, &used, claims).await }).await
    }

    /// Graph refused a token that was new, or one that was to meet `claims`: a person must sign in.
    pub fn not_accepted(&self, claims: Option<Challenge>, report: Box<Report>) -> SignInError {
        self.inner.not_accepted(claims, report)
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

    /// Template ids of their Entra directory roles, where the id token says them.
    pub fn roles(&self) -> Option<Vec<Uuid>> {
        self.inner.state().identity.as_ref()?.roles.clone()
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
        !state.waits_for_person
            && (state.refresh.is_some() || state.held.values().any(|held| !held.expires.passed(now)))
    }

    /// Whether the session outlives the program.
    pub fn remembered(&self) -> bool {
        self.inner.state().remembered
    }

    pub fn connection(&self) -> &Connection {
        &self.inner.connection
    }

    /// Forgets the session, here and in the vault; says whether nothing of it is left there.
    pub async fn sign_out(&self) -> bool {
        self.inner.forget().await
    }
}

/// Runs `work` on its own: whoever asked may stop waiting, but a new refresh token must not get lost half way.
async fn unhurried<T: Send + 'static>(
    work: impl Future<Output = Result<T, SignInError>> + Send + 'static,
) -> Result<T, SignInError> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| Err(SignInError::unexpected("the renewal of the session was interrupted")))
}
