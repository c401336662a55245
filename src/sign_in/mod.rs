//! Signing in, and staying signed in: device code, browser, session, vault.
//!
//! A [`Session`] is the one thing others hold. It begins signed out; [`Session::restore`] and [`Session::sign_in`] change that, and from
//! then on [`Session::token`] gives a token for a [`Feature`](crate::domain::capability::Feature), renewed before it expires.

mod aadsts;
mod browser;
mod challenge;
mod device_code;
mod discovery;
mod id_token;
mod jwks;
mod landing;
mod refusal;
mod renewal;
mod scopes;
mod session;
mod vault;
mod wire;

pub use challenge::Challenge;
pub use discovery::{Discovered, discovered};
pub use refusal::{Refusal, SignInError};
pub use session::{Session, Told};
pub use vault::{TRIAL_LENGTH, Trial, Vault};

#[cfg(test)]
pub(crate) mod test_tenant;
#[cfg(test)]
mod tests;
