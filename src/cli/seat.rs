//! A desk with somebody at it: opened, caught up and signed in, as every command that asks Entra needs it.

use std::{io::IsTerminal as _, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::out;
use crate::{
    config::Settings,
    desk::{Clock, Desk, Seat, unblocked},
    domain::{
        age,
        capability::Feature,
        query::Query,
        work::{
            Failure, Kind, Progress,
            find::DeviceMatch,
            sign_in::{AnotherName, Prompt, SignedIn, Way},
        },
    },
    ops::{self, Asking, sign_in::Arrival},
    runtime::{self, Ending},
};

/// Opens the ledger; nobody is signed in.
pub(super) fn open(settings: &Settings) -> Result<Arc<Desk>, Failure> {
    Ok(Arc::new(Desk::open(settings, Clock::system())?))
}

/// How long a command that is done goes on with replacements that were due.
const FOLLOW: Duration = Duration::from_secs(20);

/// Does `work` at a desk with somebody at it. Then what is owed and due is taken one step further: no debt is forgotten where nobody opens
/// the console. What comes of that never changes what came of the work.
pub(super) async fn at<T>(
    settings: &Settings,
    manner: Manner,
    work: impl AsyncFnOnce(&Desk, SignedIn) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (desk, signed_in) = take(settings, manner).await?;
    let result = work(&desk, signed_in).await;
    follow(&desk).await;
    result
}

/// One look at what is due. Cut short by an interrupt or by its time, it goes on at the next start.
async fn follow(desk: &Desk) {
    let Ok(mut ending) = Ending::listen() else { return };
    let followed = tokio::select! {
        followed = tokio::time::timeout(FOLLOW, ops::watch::once(desk)) => followed,
        () = ending.asked() => return,
    };
    match followed {
        Ok(Ok(sentences)) => sentences.iter().for_each(|sentence| out::note(sentence)),
        Ok(Err(failure)) => tracing::warn!(%failure, "what is owed was not followed"),
        Err(_) => tracing::warn!("what is owed was not followed to its end"),
    }
}

/// How a command signs in where no session is remembered.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    /// Asked for on the command line; else what the settings begin with.
    pub way: Option<Way>,
    /// What consent is asked for, beside listing.
    pub features: Vec<Feature>,
    /// Nobody is there to sign in, or to confirm a name.
    pub no_input: bool,
}

impl Manner {
    /// Whatever the settings begin with, for listing.
    pub(super) fn usual(no_input: bool) -> Self {
        Self { way: None, features: Vec::new(), no_input }
    }
}

/// Opens the desk and signs in: silently where a session is remembered, else with a person.
async fn take(settings: &Settings, manner: Manner) -> Result<(Arc<Desk>, SignedIn), Failure> {
    let desk = open(settings)?;
    desk.connection()?;
    for sentence in ops::recover::recover(&desk).await? {
        out::note(&sentence);
    }
    let remembered = match ops::sign_in::resume(&desk).await {
        // Where the other way of signing in may work, a person may try it: what is remembered would be refused again and again.
        Err(failure) if failure.kind != Kind::SignIn && failure.instead.is_none() => return Err(failure),
        other => other.ok().flatten(),
    };
    let signed_in = match remembered {
        Some(Arrival::Seated(signed_in)) => signed_in,
        Some(Arrival::Another(another)) => confirmed(&desk, &another, manner.no_input).await?,
        None => prompted(&desk, manner).await?,
    };
    Ok((desk, signed_in))
}

async fn prompted(desk: &Desk, manner: Manner) -> Result<SignedIn, Failure> {
    if manner.no_input {
        return Err(Failure::new(Kind::SignIn, "A sign-in is needed, and --no-input forbids to ask for one.")
            .next("Run `keydesk sign-in` first, on a machine with a credential store."));
    }
    let offered = desk.offered_ways();
    let usual = if desk.is_locked() && runtime::browser::missing().is_none() {
        Way::to_unlock(&offered)
    } else {
        offered.first().copied()
    };
    let way = manner.way.or(usual).unwrap_or(Way::DeviceCode);
    let prompt = Prompt { way, features: manner.features, fresh: desk.is_locked() };
    match ops::sign_in::sign_in(desk, &prompt, &prompting()).await? {
        Arrival::Seated(signed_in) => Ok(signed_in),
        Arrival::Another(another) => confirmed(desk, &another, manner.no_input).await,
    }
}

/// Has whoever sits here sign in afresh where the desk has locked: it reads no key before.
pub(super) async fn unlock(desk: &Desk, manner: Manner) -> Result<Option<SignedIn>, Failure> {
    if !desk.is_locked() {
        return Ok(None);
    }
    let after = age::short(desk.policy.lock_after);
    out::note(&format!("Nobody signed in or read a key here for {after}: before the next key, sign in again."));
    prompted(desk, manner).await.map(Some)
}

/// Asks for what was not consented to yet: silently first, then a person for what is lacking.
pub(super) async fn ask_for(desk: &Desk, manner: Manner) -> Result<Option<SignedIn>, Failure> {
    let lacking = ops::sign_in::redeem(desk, &manner.features).await?.lacking;
    if lacking.is_empty() {
        return Ok(None);
    }
    prompted(desk, Manner { features: lacking, ..manner }).await.map(Some)
}

/// Asks whether the other name is meant; the desk is theirs only then.
async fn confirmed(desk: &Desk, another: &AnotherName, no_input: bool) -> Result<SignedIn, Failure> {
    let AnotherName { now, before } = another;
    let said = format!("Signed in as {}, {}. Last time it was {}, {}.", now.name, now.upn, before.name, before.upn);
    if no_input || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        ops::sign_in::send_away(desk).await;
        return Err(Failure::new(Kind::Confirm, said)
            .meaning("Nobody is there to confirm it, so that account is signed out again.")
            .next("Run `keydesk sign-in` in a terminal."));
    }
    out::note(&said);
    out::note("Type yes to go on under the new name; anything else signs that account out.");
    let answer = unblocked(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    if answer.await.is_ok_and(|line| line.trim().eq_ignore_ascii_case("yes")) {
        return ops::sign_in::confirm(desk).await;
    }
    ops::sign_in::send_away(desk).await;
    Err(Failure::new(Kind::Confirm, "That account is signed out again. Nothing was recorded under its name."))
}

/// Says the device code and progress on stderr; Ctrl-C ends the program as usual.
pub(super) fn prompting() -> Asking {
    Asking::new(
        |progress| match progress {
            Progress::DeviceCode(code) => {
                out::note(&format!(
                    "To sign in, open {} and type {} (within {}).",
                    code.address,
                    code.user_code,
                    age::short(code.expires_in)
                ));
                out::note("Approve only this code, never one that somebody reads to you.");
            }
            Progress::BrowserPage(page) => {
                let within = age::short(page.expires_in);
                out::note(&format!("To sign in, open this page in a browser on this machine (within {within}):"));
                out::note(&page.address);
                out::note("Sign in on that page only, never on one that somebody sends you.");
                // Where none opens by itself, the address stands there.
                tokio::spawn(runtime::browser::open(page.address));
            }
            Progress::Waiting(waiting) => {
                out::note(&format!("Entra asks us to wait {}.", age::short(waiting.for_)));
            }
            Progress::Forwarding => out::note("Waiting for the record to be taken by the security team's collector."),
            Progress::Listing(_) | Progress::Records(_) | Progress::Recorded => {}
        },
        CancellationToken::new(),
    )
}

/// The one device meant by a name, serial, user or GUID; a failure that lists them when it is not one.
pub(super) async fn one_device(seat_of: &Desk, text: &str) -> Result<DeviceMatch, Failure> {
    let query = Query::read(text);
    let found = ops::find::look_up(seat_of, &crate::domain::work::find::LookUp { query }, &prompting()).await?;
    let exact: Vec<&DeviceMatch> =
        found.devices.iter().filter(|hit| hit.device.name.raw().eq_ignore_ascii_case(text.trim())).collect();
    let candidates = if exact.is_empty() { found.devices.iter().collect() } else { exact };
    match candidates[..] {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new(Kind::NotFound, "No device is called so, has this serial or belongs to this user.")),
        _ => {
            let list: Vec<String> = candidates
                .iter()
                .map(|hit| format!("{} {} ({})", hit.device.name, hit.device.id, hit.device.join.words()))
                .collect();
            Err(Failure::new(Kind::Usage, format!("{} devices match; name one by its device id:", candidates.len()))
                .meaning(list.join("\n  ")))
        }
    }
}

/// Fills the index where it is empty or was never completed: a prefix needs it.
pub(super) async fn with_index(desk: &Desk) -> Result<Seat, Failure> {
    let seat = desk.seat()?;
    if ops::sync_index::listing(&seat).await?.complete_since.is_none() {
        out::note("Listing the tenant's keys once; later searches answer at once.");
        ops::sync_index::sync_index(desk, &prompting()).await?;
    }
    Ok(seat)
}
