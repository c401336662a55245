//! `keydesk debts retry | hold | waive | confirm | target | compromised`: what a person does about one debt.

use super::{DebtFacts, which::KeyPrefix};
use crate::{
    cli::{
        out,
        seat::{self, Manner},
    },
    config::Settings,
    desk::Desk,
    domain::{
        debt::{Debt, RotationState},
        device::ManagedDeviceId,
        key_id::KeyId,
        work::{
            Failure, Kind,
            debts::{How, Settle},
        },
    },
    ops,
};

/// The debt, and how to print it.
#[derive(Debug, clap::Args)]
struct Of {
    /// The key's ID, or its first eight characters or more
    key: KeyPrefix,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Retry {
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, clap::Args)]
pub(super) struct Hold {
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, clap::Args)]
pub(super) struct Waive {
    #[command(flatten)]
    of: Of,
    /// Why no replacement is needed; it is written down
    #[arg(long, value_name = "WORDS")]
    reason: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Confirm {
    #[command(flatten)]
    of: Of,
    /// How you know: who saw the new key, and where; it is written down
    #[arg(long, value_name = "WORDS")]
    how: String,
    /// The new key's whole ID, where it is known
    #[arg(long, value_name = "KEY ID", value_parser = whole)]
    new_key: Option<KeyId>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Target {
    #[command(flatten)]
    of: Of,
    /// The Intune device's ID; without it the choice is listed
    #[arg(value_name = "INTUNE DEVICE")]
    managed: Option<ManagedDeviceId>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Compromised {
    #[command(flatten)]
    of: Of,
    /// What happened; it is written down
    #[arg(long, value_name = "WORDS", default_value = "")]
    words: String,
}

impl Retry {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        self.of.settle(settings, no_input, How::Retry).await
    }
}

impl Hold {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        self.of.settle(settings, no_input, How::Hold).await
    }
}

impl Waive {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        self.of.settle(settings, no_input, How::Waive { reason: self.reason }).await
    }
}

impl Confirm {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        self.of.settle(settings, no_input, How::Confirm { new_key: self.new_key, how: self.how }).await
    }
}

impl Compromised {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        self.of.settle(settings, no_input, How::Compromised { words: self.words }).await
    }
}

impl Target {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        match self.managed {
            Some(managed) => self.of.settle(settings, no_input, How::Target { managed }).await,
            None => Err(choice(&self.of.key.debt(&*seat::open(settings)?).await?)),
        }
    }
}

fn whole(text: &str) -> Result<KeyId, uuid::Error> {
    text.trim().parse().map(KeyId)
}

/// What can be chosen, as a failure of use.
fn choice(debt: &Debt) -> Failure {
    let candidates = match debt.rotation.as_ref().map(|rotation| &rotation.state) {
        Some(RotationState::Blocked { why, .. }) => why.candidates(),
        _ => &[],
    };
    if candidates.is_empty() {
        return Failure::new(
            Kind::Usage,
            "For this debt there is nothing to choose; name the Intune device by its ID.",
        );
    }
    let list: Vec<String> = candidates
        .iter()
        .map(|one| {
            let seen = one.checked_in.map_or_else(|| "never checked in".into(), |at| format!("checked in {at}"));
            format!("{}  {}  {seen}", one.managed, one.name)
        })
        .collect();
    Failure::new(
        Kind::Usage,
        "Several Intune devices may be this laptop; ask the caller for the serial, then name one:",
    )
    .meaning(list.join("\n  "))
}

impl Of {
    async fn settle(self, settings: &Settings, no_input: bool, how: How) -> Result<(), Failure> {
        // Whether there is such a debt is known before anybody has to sign in.
        self.key.debt(&*seat::open(settings)?).await?;
        seat::at(settings, Manner::usual(no_input), async |desk, _| self.settle_at(desk, how).await).await
    }

    async fn settle_at(&self, desk: &Desk, how: How) -> Result<(), Failure> {
        let debt = self.key.debt(desk).await?;
        let settled = ops::debts::settle(desk, Settle { debt: debt.id, how }).await?;
        let now = desk.clock.now();
        let debt = settled.into_iter().find(|other| other.id == debt.id).unwrap_or(debt);
        if self.json {
            return out::json(&DebtFacts::of(&debt, now, &desk.zone));
        }
        let (key, word, sentence) = (debt.key.short(), debt.word(), super::sentence(&debt, now, &desk.zone));
        out::hanging(&format!("{key}  {}: {word}. {sentence}", debt.device_name), "          ")
    }
}
