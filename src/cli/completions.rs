//! `keydesk completions SHELL`, and the manual page.

use std::io::Write as _;

use super::out;
use crate::domain::work::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// Whose
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(&self, mut command: clap::Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "keydesk", &mut script);
        out::written(std::io::stdout().write_all(&script))
    }
}

/// The manual page, in roff.
pub(super) fn man(command: clap::Command) -> Result<(), Failure> {
    out::written(clap_mangen::Man::new(command).render(&mut std::io::stdout()))
}
