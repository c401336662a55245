//! Where a refresh token waits for the next start: the system's credential store, or nowhere.
//!
//! Windows Credential Manager holds 2,560 bytes an entry and an Entra refresh token can be longer, so a token is cut into chunks. The first
//! entry says how many there are and what their digest is: chunks of two tokens, left by a write that was cut short, are never joined.

mod trial;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use keyring::Entry;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;
use url::form_urlencoded;
use zeroize::Zeroizing;

pub use trial::{LENGTH as TRIAL_LENGTH, Trial};

use crate::domain::{connection::Connection, digest::fingerprint, work::profiles::DEFAULT};

const SERVICE: &str = "keydesk";
/// Header and data of one entry, in bytes.
const CHUNK: usize = 2_400;
/// More than any token has.
const MOST_CHUNKS: usize = 16;
/// The store may show a prompt of its own, so it gets time; a store that hangs does not get the desk.
const PATIENCE: Duration = Duration::from_secs(90);

/// The credential store crate forbids two threads on one entry.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Keeps one refresh token.
#[derive(Clone, Debug)]
pub enum Vault {
    /// The system's store, under a name made of authority, tenant, app and profile.
    Os(OsVault),
    /// The session ends with the program.
    Memory,
}

#[derive(Clone, Debug)]
pub struct OsVault {
    name: String,
    usable: Arc<AtomicBool>,
}

impl OsVault {
    fn new(name: String) -> Self {
        Self { name, usable: Arc::new(AtomicBool::new(true)) }
    }
}

impl Vault {
    /// The system's store where there is one that answers, with the entry of this profile.
    pub async fn open(connection: &Connection, profile: &str) -> Self {
        let there = on_own_thread(|| match Entry::store_status() {
            Ok(()) => true,
            Err(error) => {
                tracing::info!(%error, "no credential store: the session will end with the program");
                false
            }
        })
        .await;
        if there != Some(true) {
            return Self::Memory;
        }
        Self::Os(OsVault::new(name_of(connection, profile)))
    }

    pub fn memory() -> Self {
        Self::Memory
    }

    /// The kept token, if there is one that is whole.
    pub(super) async fn load(&self) -> Option<SecretString> {
        let token = self.with_store(|name| join(|n| get(name, n))).await?;
        token.and_then(|bytes| std::str::from_utf8(&bytes).ok().map(SecretString::from))
    }

    /// Keeps the token instead of any other; says whether it is kept.
    pub(super) async fn save(&self, token: &SecretString) -> bool {
        let chunks = split(token.expose_secret().as_bytes());
        let Some(chunks) = chunks else { return false };
        self.with_store(move |name| {
            // The first entry vouches for the others, so it is written last.
            let written = chunks.iter().enumerate().rev().all(|(n, chunk)| set(name, n, chunk));
            forget_from(name, chunks.len());
            written
        })
        .await
        .unwrap_or(false)
    }

    /// Whether nothing is left of the token.
    pub(super) async fn forget(&self) -> bool {
        match self {
            Self::Os(_) => self.with_store(|name| forget_from(name, 0)).await.unwrap_or(false),
            Self::Memory => true,
        }
    }

    /// Forgets this token, which is good for nothing any more, and not one that another desk has put in its place.
    pub(super) async fn forget_this(&self, over: SecretString) {
        self.with_store(move |name| {
            let is_another = join(|n| get(name, n)).is_some_and(|kept| *kept != over.expose_secret().as_bytes());
            if !is_another {
                forget_from(name, 0);
            }
        })
        .await;
    }

    /// Runs `work` with the entry's name, unless there is no store, or it did not answer once.
    async fn with_store<T: Send + 'static>(&self, work: impl FnOnce(&str) -> T + Send + 'static) -> Option<T> {
        let Self::Os(os) = self else { return None };
        if !os.usable.load(Ordering::Relaxed) {
            return None;
        }
        let name = os.name.clone();
        let done = on_own_thread(move || work(&name)).await;
        if done.is_none() {
            tracing::warn!("the credential store does not answer: the session will end with the program");
            os.usable.store(false, Ordering::Relaxed);
        }
        done
    }
}

/// Runs `work` where blocking harms nobody, and where a store that hangs cannot keep the program from ending.
async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name("vault".into()).spawn(move || {
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = tell.send(work());
    });
    thread.ok()?;
    tokio::time::timeout(PATIENCE, told).await.ok()?.ok()
}

/// Two profiles may be two accounts of one tenant, so the profile is part of it. Neither slash nor space occurs inside a part: what is no
/// letter, digit, dot or hyphen is encoded.
fn name_of(connection: &Connection, profile: &str) -> String {
    let authority = connection.authority.as_str().trim_end_matches('/');
    let part = |text: &str| form_urlencoded::byte_serialize(text.to_lowercase().as_bytes()).collect::<String>();
    let name = format!("{authority}/{} {}", part(&connection.tenant), part(&connection.client_id));
    if profile == DEFAULT { name } else { format!("{name} {}", part(profile)) }
}

/// The name of the n-th entry.
fn user_of(name: &str, n: usize) -> String {
    if n == 0 { name.to_owned() } else { format!("{name} +{n}") }
}

fn entry(name: &str, n: usize) -> Option<Entry> {
    Entry::new(SERVICE, &user_of(name, n)).inspect_err(|error| tracing::warn!(%error, "credential store")).ok()
}

fn get(name: &str, n: usize) -> Option<Zeroizing<Vec<u8>>> {
    match entry(name, n)?.get_secret() {
        Ok(bytes) => Some(Zeroizing::new(bytes)),
        Err(keyring::Error::NoEntry) => None,
        Err(error) => {
            tracing::warn!(kind = kind(&error), "the credential store gives nothing");
            None
        }
    }
}

fn set(name: &str, n: usize, chunk: &[u8]) -> bool {
    let Some(entry) = entry(name, n) else { return false };
    entry
        .set_secret(chunk)
        .inspect_err(|error| tracing::warn!(kind = kind(error), "the credential store keeps nothing"))
        .is_ok()
}

/// Deletes the entries from `n` on, and says whether they are gone. Every one is asked for: a write that was cut short leaves gaps, and pieces of a token behind them.
fn forget_from(name: &str, n: usize) -> bool {
    for n in n..MOST_CHUNKS {
        match entry(name, n).map(|entry| entry.delete_credential()) {
            Some(Ok(()) | Err(keyring::Error::NoEntry)) => {}
            Some(Err(error)) => {
                tracing::warn!(kind = kind(&error), "the credential store deletes nothing");
                return false;
            }
            None => return false,
        }
    }
    true
}

/// Some of the store's errors carry the secret with them, so they are never printed whole.
fn kind(error: &keyring::Error) -> &'static str {
    match error {
        keyring::Error::PlatformFailure(_) => "it does not answer",
        keyring::Error::NoStorageAccess(_) => "locked, or access denied",
        keyring::Error::BadEncoding(_) | keyring::Error::BadDataFormat(..) => "bad data",
        keyring::Error::TooLong(..) => "too long",
        keyring::Error::NoDefaultStore => "none is installed",
        _ => "other",
    }
}

/// `header newline data` first, then bare data. `None` for a token beyond all measure.
fn split(token: &[u8]) -> Option<Vec<Zeroizing<Vec<u8>>>> {
    let digest = fingerprint(token);
    let header = |count: usize| format!("1 {count} {digest}\n");
    // Two digits at most, so every header is as long as this one or a byte shorter.
    let room = CHUNK - header(10).len();
    let (first, rest) = token.split_at(token.len().min(room));
    let rest: Vec<&[u8]> = rest.chunks(CHUNK).collect();
    let count = rest.len() + 1;
    if count > MOST_CHUNKS {
        return None;
    }
    let mut head = Zeroizing::new(Vec::with_capacity(CHUNK));
    head.extend_from_slice(header(count).as_bytes());
    head.extend_from_slice(first);
    Some(std::iter::once(head).chain(rest.into_iter().map(|chunk| Zeroizing::new(chunk.to_vec()))).collect())
}

fn join(read: impl Fn(usize) -> Option<Zeroizing<Vec<u8>>>) -> Option<Zeroizing<Vec<u8>>> {
    let head = read(0)?;
    let end = head.iter().position(|byte| *byte == b'\n')?;
    let mut words = std::str::from_utf8(&head[..end]).ok()?.split(' ');
    let ("1", count, said) = (words.next()?, words.next()?.parse::<usize>().ok()?, words.next()?) else { return None };
    if !(1..=MOST_CHUNKS).contains(&count) {
        return None;
    }
    let mut token = Zeroizing::new(Vec::with_capacity(CHUNK * count));
    token.extend_from_slice(&head[end + 1..]);
    for n in 1..count {
        token.extend_from_slice(&read(n)?);
    }
    (fingerprint(&token) == said).then_some(token)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rstest::rstest;

    use super::*;

    fn token(length: usize) -> Vec<u8> {
        (0..length).map(|n| b'a' + u8::try_from(n % 26).unwrap()).collect()
    }

    #[rstest]
    #[case::usual(1_524, 1)]
    #[case::just_over_one_entry(2_400, 2)]
    #[case::long(9_000, 4)]
    fn a_token_comes_back_from_entries_that_windows_can_hold(#[case] length: usize, #[case] entries: usize) {
        let chunks = split(&token(length)).unwrap();
        assert_eq!(chunks.len(), entries);
        assert!(chunks.iter().all(|chunk| chunk.len() <= CHUNK));
        let joined = join(|n| chunks.get(n).cloned()).unwrap();
        assert_eq!(*joined, token(length));
    }

    #[test]
    fn chunks_of_two_tokens_are_never_joined() {
        let (old, new) = (split(&token(5_000)).unwrap(), split(&token(5_001)).unwrap());
        assert!(join(|n| if n == 0 { old.get(n).cloned() } else { new.get(n).cloned() }).is_none());
        assert!(join(|n| new.get(n).filter(|_| n != 1).cloned()).is_none());
    }

    #[test]
    fn what_is_no_entry_of_ours_is_nothing() {
        for odd in [&b""[..], b"hello", b"1 0 00\n", b"1 99999999999999999999 00\nx", b"2 1 00\nx", b"\xff\xfe\nx"] {
            assert!(join(|_| Some(Zeroizing::new(odd.to_vec()))).is_none(), "{odd:?}");
        }
    }

    #[test]
    fn a_token_beyond_all_measure_is_not_kept() {
        assert!(split(&token(1_000_000)).is_none());
    }

    #[test]
    fn every_authority_tenant_app_and_profile_has_an_entry_of_its_own() {
        let connection = |tenant: &str, app: &str| Connection {
            authority: "https://login.example/".parse().unwrap(),
            graph: "https://graph.example".parse().unwrap(),
            tenant: tenant.into(),
            client_id: app.into(),
        };
        let plain = name_of(&connection("Contoso.example", "App-1"), DEFAULT);
        assert_eq!(plain, "https://login.example/contoso.example app-1");
        let names = [
            plain,
            name_of(&connection("Contoso.example", "App-1"), "admin"),
            name_of(&connection("App-1", "Contoso.example"), DEFAULT),
            name_of(&connection("contoso.example app-1", "admin"), DEFAULT),
            name_of(&connection("contoso.example", "app-1 admin"), DEFAULT),
            name_of(&connection("contoso.example", "app-1 +1"), DEFAULT),
            name_of(&connection("a/contoso.example", "app-1"), DEFAULT),
        ];
        let whole = names.iter().flat_map(|name| (0..MOST_CHUNKS).map(move |n| user_of(name, n)));
        let distinct: HashSet<String> = whole.collect();
        assert_eq!(distinct.len(), names.len() * MOST_CHUNKS);
    }

    #[tokio::test]
    async fn without_a_store_nothing_is_kept_and_nothing_fails() {
        let vault = Vault::memory();
        assert!(!vault.save(&SecretString::from("token")).await);
        assert!(vault.load().await.is_none());
        vault.forget().await;
    }

    /// Which of a token's entries the system's store holds.
    async fn entries(vault: &Vault) -> Vec<usize> {
        vault.with_store(|name| (0..MOST_CHUNKS).filter(|&n| get(name, n).is_some()).collect()).await.unwrap()
    }

    /// A write of `text` that is cut short after its last `written` entries: they come first.
    async fn cut_short(vault: &Vault, text: &str, written: usize) {
        let chunks = split(text.as_bytes()).unwrap();
        let last =
            move |name: &str| chunks.iter().enumerate().rev().take(written).all(|(n, chunk)| set(name, n, chunk));
        assert!(vault.with_store(last).await.unwrap());
    }

    #[tokio::test]
    #[ignore = "needs a credential store that asks nobody: on Linux a D-Bus session with an unlocked keyring"]
    async fn a_token_of_6_kb_is_kept_replaced_and_forgotten_to_the_last_entry() {
        // A tenant nobody else has: the store is this account's own.
        let connection = Connection {
            authority: "https://login.example/".parse().unwrap(),
            graph: "https://graph.example".parse().unwrap(),
            tenant: uuid::Uuid::new_v4().to_string(),
            client_id: "app".into(),
        };
        let vault = Vault::open(&connection, DEFAULT).await;
        let text = |length: usize| String::from_utf8(token(length)).unwrap();
        let kept = async || {
            let token = Vault::open(&connection, DEFAULT).await.load().await;
            token.map(|token| token.expose_secret().to_owned())
        };
        assert_eq!(kept().await, None);
        assert!(vault.save(&SecretString::from(text(6_000))).await, "the store keeps nothing");
        assert_eq!((kept().await, entries(&vault).await), (Some(text(6_000)), vec![0, 1, 2]));
        assert!(vault.save(&SecretString::from(text(1_500))).await);
        assert_eq!((kept().await, entries(&vault).await), (Some(text(1_500)), vec![0]), "replaced by a shorter one");

        assert!(vault.save(&SecretString::from(text(6_000))).await);
        cut_short(&vault, &text(9_000).to_uppercase(), 2).await;
        assert_eq!((kept().await, entries(&vault).await), (None, vec![0, 1, 2, 3]), "of two tokens nothing is joined");
        vault.forget().await;
        assert!(entries(&vault).await.is_empty());

        assert!(vault.save(&SecretString::from(text(1_500))).await);
        cut_short(&vault, &text(9_000).to_uppercase(), 2).await;
        assert_eq!(
            (kept().await, entries(&vault).await),
            (Some(text(1_500)), vec![0, 2, 3]),
            "the old one still vouches"
        );
        vault.forget().await;
        assert_eq!((kept().await, entries(&vault).await), (None, vec![]), "nor what lies behind a gap");
    }
}
