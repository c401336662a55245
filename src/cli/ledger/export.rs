//! `keydesk ledger export`

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use super::super::{out, seat};
use crate::{
    config::Settings,
    domain::{
        age,
        work::{Failure, Kind},
    },
    ops::ledger::export as op,
};

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// The stored bytes, one row a line; or a table for a spreadsheet
    #[arg(long, value_enum)]
    format: Format,
    /// The first row
    #[arg(long, default_value_t = 1, value_name = "SEQ")]
    from: u64,
    /// The last row; else the last there is
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
    /// A file that is not there yet; else the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

impl Export {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let format = match self.format {
            Format::Jsonl => op::Format::Jsonl,
            Format::Csv => op::Format::Csv,
        };
        if self.out.is_none() && matches!(self.format, Format::Jsonl) && io::stdout().is_terminal() {
            return Err(Failure::new(Kind::Usage, "These are the bytes as they are stored, with names anybody chose.")
                .meaning("A terminal could take some of them for commands.")
                .next("Name a file with --out, or send them into a pipe."));
        }
        let desk = seat::open(settings)?;
        let to_file = self.out.is_some();
        let asked = op::Request { format, from: self.from, to: self.to, file: self.out };
        let export = op::export(&desk, asked).await?;
        if !to_file {
            out::written(export.write_to(&desk, &mut io::stdout().lock())?)?;
        }
        let rows = usize::try_from(export.to - export.from + 1).unwrap_or(0);
        out::note(&format!(
            "{}, {} to {}, SHA-256 {}; recorded in the ledger.",
            age::count(rows, "row"),
            export.from,
            export.to,
            export.sha256
        ));
        Ok(())
    }
}
