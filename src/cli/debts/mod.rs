//! `keydesk debts`: what is owed, how each debt came to where it is, and what a person does about one.

mod list;
mod settle;
mod show;
mod watch;
pub(super) mod which;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use crate::{
    config::Settings,
    domain::{debt::Debt, key_id::KeyId, work::Failure},
};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Debts {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: list::List,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List what is owed, urgent and oldest first, then what ended in the last day
    ///
    /// Reads the ledger of this machine and asks nobody: it works signed out and offline.
    List(list::List),
    /// Print every step of one debt, with time, reason and who
    Show(show::Show),
    /// Send a replacement now, or again
    Retry(settle::Retry),
    /// Keep a replacement from being sent until `retry`
    Hold(settle::Hold),
    /// End a debt without a replacement, with a reason
    Waive(settle::Waive),
    /// Say that a key was replaced, and how you know
    Confirm(settle::Confirm),
    /// Say which of several Intune devices the laptop is, and send the replacement to it
    Target(settle::Target),
    /// Record that a key was read to the wrong person: its replacement goes out at once
    Compromised(settle::Compromised),
    /// Follow what is owed without a console, for a scheduled task
    ///
    /// Goes on with the remembered session and never asks for a sign-in: signed out it says so and ends with 3. Where another process of
    /// this machine follows already, it says so and ends with 0. With nothing open it sends nothing.
    Watch(watch::Watch),
}

impl Debts {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        match self.command {
            None => self.list.run(settings).await,
            Some(Command::List(command)) => command.run(settings).await,
            Some(Command::Show(command)) => command.run(settings).await,
            Some(Command::Retry(command)) => command.run(settings, no_input).await,
            Some(Command::Hold(command)) => command.run(settings, no_input).await,
            Some(Command::Waive(command)) => command.run(settings, no_input).await,
            Some(Command::Confirm(command)) => command.run(settings, no_input).await,
            Some(Command::Target(command)) => command.run(settings, no_input).await,
            Some(Command::Compromised(command)) => command.run(settings, no_input).await,
            Some(Command::Watch(command)) => command.run(settings).await,
        }
    }
}

/// A debt for a script.
#[derive(Debug, Serialize)]
pub(super) struct DebtFacts {
    debt: String,
    key_id: String,
    device_id: String,
    device: String,
    ticket: String,
    since: String,
    open: bool,
    /// The key was read to the wrong person.
    urgent: bool,
    state: &'static str,
    sentence: String,
}

impl DebtFacts {
    pub(super) fn of(debt: &Debt, now: Timestamp, zone: &TimeZone) -> Self {
        Self {
            debt: debt.id.to_string(),
            key_id: debt.key.to_string(),
            device_id: debt.device.to_string(),
            device: debt.device_name.raw().to_owned(),
            ticket: debt.ticket.to_string(),
            since: debt.since.to_string(),
            open: debt.is_open(),
            urgent: debt.is_urgent(),
            state: debt.word(),
            sentence: sentence(debt, now, zone),
        }
    }
}

/// What a debt waits for: where the console's sentence names a key to press, the command that does the same.
pub(super) fn sentence(debt: &Debt, now: Timestamp, zone: &TimeZone) -> String {
    for_a_shell(&debt.sentence(now, zone), debt.key)
}

fn for_a_shell(sentence: &str, key: KeyId) -> String {
    let retry = format!("`keydesk debts retry {}`", key.short());
    [("t try again", ""), ("t tries again", " tries again"), ("t sends it", " sends it"), ("t looks for", " looks for")]
        .iter()
        .fold(sentence.to_owned(), |text, (pressed, does)| {
            // A word of its own: not the end of another.
            match text.strip_prefix(pressed) {
                Some(rest) => format!("{retry}{does}{rest}"),
                None => text.replace(&format!(" {pressed}"), &format!(" {retry}{does}")),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::debt::Block;

    #[test]
    fn no_sentence_tells_a_shell_to_press_a_key() {
        let now = Timestamp::UNIX_EPOCH;
        let key = KeyId(uuid::Uuid::from_u128(0x4F2B_91C0 << 96));
        let hresults =
            [0x8031_00DA, 0x8031_00E1, 0x8031_0008, 0x8031_0000, 0x8031_002D, 0x8031_004A, 0x8007_0490, 0x1, 0];
        let reported = hresults.map(|code: u32| Block::Reported { hresult: code.cast_signed(), times: 1 });
        let others = [
            Block::NotJoined,
            Block::DeviceDeleted,
            Block::NotPermitted,
            Block::OnHold,
            Block::TargetGone,
            Block::Cancelled,
            Block::NothingCame,
            Block::SeveralManagedDevices { count: 2, candidates: Vec::new() },
        ];
        for block in reported.into_iter().chain(others) {
            let console = block.sentence(now);
            let said = for_a_shell(&console, key);
            let presses = |text: &str| text.split([' ', ':', ';']).any(|word| word == "t");
            assert!(!presses(&said), "{said}");
            assert_eq!(presses(&console), said.contains("`keydesk debts retry 4F2B91C0`"), "{said}");
        }
    }
}
