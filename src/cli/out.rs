//! Printing: facts on stdout, everything else on stderr. A pipe that was closed is no failure.

use std::io::{self, IsTerminal as _, Write};

use crossterm::terminal;
use serde::Serialize;

use crate::domain::{
    foreign::escaped_json,
    work::{Failure, Kind, sign_in::Way},
};

/// One line on stdout.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    written(writeln!(io::stdout().lock(), "{text}"))
}

/// One sentence or more on stdout, the lines below the first behind `indent`. In a terminal it fits its width; a pipe gets one line.
pub(super) fn hanging(text: &str, indent: &str) -> Result<(), Failure> {
    let width = io::stdout().is_terminal().then(terminal::size).and_then(Result::ok);
    match width {
        Some((cols, _)) => line(&textwrap::fill(text, textwrap::Options::new(cols.into()).subsequent_indent(indent))),
        None => line(text),
    }
}

/// Facts as one JSON document. Names from outside are in it as they came, but escaped: nothing in it can drive a terminal.
pub(super) fn json(facts: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(facts)
        .map_err(|e| Failure::new(Kind::Failed, format!("The facts cannot be written as JSON: {e}.")))?;
    line(&escaped_json(&text))
}

/// The same on one line, for a stream of them.
pub(super) fn json_line(facts: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(facts)
        .map_err(|e| Failure::new(Kind::Failed, format!("The facts cannot be written as JSON: {e}.")))?;
    line(&escaped_json(&text))
}

/// A word in between, on stderr.
pub(super) fn note(text: &str) {
    // Nothing can be said of a stderr that is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// What went wrong, on stderr: what happened, what it means, what to do, and one line for a Microsoft ticket.
pub(super) fn failure(failure: &Failure) {
    note(&format!("keydesk: {}", failure.happened));
    for line in [&failure.means, &failure.next] {
        if !line.is_empty() {
            note(&format!("  {line}"));
        }
    }
    if let Some(way) = failure.instead {
        let flag = match way {
            Way::DeviceCode => "--device-code",
            Way::Browser => "--browser",
        };
        note(&format!("  That is `keydesk sign-in {flag}`."));
    }
    if let Some(report) = &failure.report {
        note(&format!("  For Microsoft: {report}"));
    }
}

/// Rows of equal columns, two blanks apart, measured as a terminal does.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    use unicode_width::UnicodeWidthStr as _;
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let all = || std::iter::once(&head).chain(rows);
    let widths: Vec<usize> = (0..head.len())
        .map(|i| all().map(|row| row.get(i).map_or(0, |cell| cell.width())).max().unwrap_or(0))
        .collect();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

pub(super) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Kind::Failed, format!("The answer cannot be written: {e}.")))
        }
        _ => Ok(()),
    }
}
