//! Trying the credential store out: a throw-away token, longer than Windows keeps in one entry, is written, read and deleted.

use secrecy::SecretString;
use uuid::Uuid;

use super::{Entry, OsVault, Vault, get, join, kind, on_own_thread};

/// Longer than one entry of Windows Credential Manager (2,560 bytes), as an Entra refresh token can be. In bytes.
pub const LENGTH: usize = 6_000;

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It came back whole and was deleted.
    Kept,
    /// There is none to try: what the system said, in a word or two.
    NoStore(&'static str),
    NotWritten,
    /// Written, and something else came back.
    NotRead,
    NotDeleted,
}

impl Vault {
    /// Tries the system's store with an entry of its own, beside any session it keeps.
    pub async fn try_out() -> Trial {
        match on_own_thread(|| Entry::store_status().as_ref().map_err(kind)).await {
            Some(Ok(())) => Self::Os(OsVault::new(format!("keydesk doctor {}", Uuid::new_v4()))).trial().await,
            Some(Err(why)) => Trial::NoStore(why),
            None => Trial::NoStore("no answer"),
        }
    }

    async fn trial(self) -> Trial {
        let text: String = ('a'..='z').cycle().take(LENGTH).collect();
        let written = self.save(&SecretString::from(text.clone())).await;
        let read = |name: &str| join(|n| get(name, n));
        let back = if written { self.with_store(read).await.flatten() } else { None };
        self.forget().await;
        let left = self.with_store(|name| get(name, 0).is_some()).await.unwrap_or(true);
        match back {
            _ if !written => Trial::NotWritten,
            Some(back) if *back == text.as_bytes() && left => Trial::NotDeleted,
            Some(back) if *back == text.as_bytes() => Trial::Kept,
            _ => Trial::NotRead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[ignore = "needs a credential store that asks nobody: on Linux a D-Bus session with an unlocked keyring"]
    async fn a_throw_away_token_comes_back_from_the_systems_store_and_is_gone() {
        assert_eq!(Vault::try_out().await, Trial::Kept);
    }

    #[tokio::test]
    async fn without_a_store_nothing_counts_as_written() {
        assert_eq!(Vault::memory().trial().await, Trial::NotWritten);
    }
}
