//! `keydesk debts show KEY`

use serde::Serialize;

use super::{DebtFacts, which::KeyPrefix};
use crate::{
    cli::{out, seat},
    config::Settings,
    domain::work::Failure,
    ops,
};

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The key's ID, or its first eight characters or more
    key: KeyPrefix,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Facts {
    #[serde(flatten)]
    debt: DebtFacts,
    steps: Vec<StepFacts>,
}

#[derive(Serialize)]
struct StepFacts {
    at: String,
    /// The row in the ledger.
    seq: u64,
    state: &'static str,
    sentence: String,
    technician: Option<String>,
}

impl Show {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let desk = seat::open(settings)?;
        let debt = self.key.debt(&desk).await?;
        let steps = ops::history::timeline(&desk, debt.id).await?;
        let now = desk.clock.now();
        if self.json {
            let steps = steps.into_iter().map(|step| StepFacts {
                at: step.at.to_string(),
                seq: step.seq,
                state: step.word,
                sentence: super::for_a_shell(&step.sentence, debt.key),
                technician: step.who.map(|who| who.raw().to_owned()),
            });
            return out::json(&Facts { debt: DebtFacts::of(&debt, now, &desk.zone), steps: steps.collect() });
        }
        out::line(&format!("Key {}, {}, {}", debt.key, debt.volume.words(), debt.device_name))?;
        let urgent = if debt.is_urgent() { "urgent, " } else { "" };
        out::hanging(
            &format!(
                "{}, since {}: {urgent}{}. {}",
                debt.ticket,
                debt.since.to_zoned(desk.zone.clone()).strftime("%Y-%m-%d %H:%M"),
                debt.word(),
                super::sentence(&debt, now, &desk.zone)
            ),
            "  ",
        )?;
        for step in steps {
            let at = step.at.to_zoned(desk.zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
            let who = step.who.map_or_else(String::new, |who| format!(" ({who})"));
            let line = format!(
                "{at}  {:<10}  {}{who}  [row {}]",
                step.word,
                super::for_a_shell(&step.sentence, debt.key),
                step.seq
            );
            out::hanging(&line, "                                 ")?;
        }
        Ok(())
    }
}
