//! `keydesk ledger set-aside`

use std::io::IsTerminal as _;

use super::super::out;
use crate::{
    config::Settings,
    desk::{Clock, Desk, SetAside, unblocked},
    domain::{
        age,
        event::Forwarded,
        foreign::printable,
        work::{Failure, Kind},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Aside {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Aside {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        if !self.yes {
            confirmed(settings).await?;
        }
        let settings = settings.clone();
        match unblocked(move || Desk::set_aside(&settings, &Clock::system())).await? {
            SetAside::Done(done) => {
                out::line(&format!("The damaged ledger is kept as it is in {}", done.folder.display()))?;
                out::line(&format!("SHA-256 of its ledger.db: {}", done.sha256))?;
                let rows = usize::try_from(done.rows).unwrap_or(usize::MAX);
                out::line(&format!("{} could be read.", age::count(rows, "row")))?;
                for (first, last) in &done.unread {
                    let which = if first == last { format!("Row {first}") } else { format!("Rows {first} to {last}") };
                    out::line(&format!("{which} could not: a debt that was made there may be missing."))?;
                }
                if done.rows == 0 {
                    out::line("Its debts could not be read: what was owed, only a copy or Entra's own log can tell.")?;
                }
                if done.debts_unread > 0 {
                    let debts = age::count(done.debts_unread, "debt");
                    out::line(&format!(
                        "At least {debts} more could not be read, and may be open: look in the kept file."
                    ))?;
                }
                for Forwarded { sink, never, .. } in &done.forwarded {
                    let Some((first, last)) = never else { continue };
                    let sink = printable(sink);
                    out::line(&format!(
                        "Rows {first} to {last} were never forwarded to {sink}: they stand in the kept file only."
                    ))?;
                }
                out::line(&match done.debts {
                    0 => "No open debt was found in it to carry on.".to_owned(),
                    n => format!("{} carried on; `keydesk debts` lists what is owed.", age::count(n, "open debt")),
                })
            }
            SetAside::Finished => out::line("It was set aside before, and that was cut short. Now it is done."),
            SetAside::Healthy => Err(Failure::new(Kind::Refused, "The ledger is whole: nothing is set aside.")
                .meaning("Nothing was changed.")
                .next("Open keydesk as usual.")),
            SetAside::Busy => Err(Failure::new(Kind::Refused, "Another desk is open on this ledger.")
                .meaning("Nothing was changed.")
                .next("Quit it first, then try again.")),
        }
    }
}

async fn confirmed(settings: &Settings) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::new(Kind::Usage, "Nobody is there to confirm it.").next("Say --yes."));
    }
    out::note(&format!("This keeps {} as it is, in a folder of its own,", settings.paths.ledger().display()));
    out::note("and begins another ledger that carries on what is still owed. It is for a damaged ledger only.");
    out::note("Type yes to go on.");
    let answer = unblocked(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    if answer.await.is_ok_and(|line| line.trim().eq_ignore_ascii_case("yes")) {
        return Ok(());
    }
    Err(Failure::new(Kind::Cancelled, "Nothing was changed."))
}
