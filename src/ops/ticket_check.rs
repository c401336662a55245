//! The organisation's own word on a ticket: a program of theirs, asked before a key is.

use std::{process::Stdio, time::Duration};

use tokio::process::Command;

use crate::domain::{
    foreign::printable,
    ticket::Ticket,
    work::{Failure, Kind},
};

/// A check that takes longer has failed: a caller is waiting.
const WITHIN: Duration = Duration::from_secs(10);
/// A console of its own, which nobody sees: in ours it could change the terminal's modes, and read what stands on the screen.
#[cfg(windows)]
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

/// What is shown of its first line.
const SHOWN: usize = 120;

/// Runs `command`, `{ticket}` replaced in its arguments, without a shell. Nothing to do where none is configured.
pub(super) async fn check(command: &[String], ticket: &Ticket) -> Result<(), Failure> {
    let [program, arguments @ ..] = command else { return Ok(()) };
    let cannot = |why: String| {
        Failure::new(Kind::Failed, format!("The ticket could not be checked: {why}."))
            .meaning("No request has left. Entra has recorded no read.")
            .next("Try again, or hand the call over.")
    };
    let mut run = Command::new(program);
    run.args(arguments.iter().map(|argument| argument.replace("{ticket}", ticket.as_str())))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    #[cfg(windows)]
    run.creation_flags(CREATE_NO_WINDOW);
    let output = match tokio::time::timeout(WITHIN, run.output()).await {
        Err(_) => return Err(cannot("the check took longer than ten seconds".into())),
        Ok(Err(error)) => return Err(cannot(printable(&error.to_string()))),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let line: String = said.lines().map(printable).find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line: String = line.chars().take(SHOWN).collect();
    let why = if line.is_empty() { format!("{ticket} is not accepted by your organisation's check.") } else { line };
    Err(Failure::new(Kind::Refused, why).next("Type the number of the caller's ticket."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        serde_json::from_str("\"INC0048213\"").unwrap()
    }

    /// A script as an organisation would write it, and the command that runs it with the ticket.
    fn script(unix: &str, windows: &str) -> (tempfile::TempDir, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(if cfg!(windows) { "check.cmd" } else { "check.sh" });
        std::fs::write(&file, if cfg!(windows) { windows } else { unix }).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let shell = (!cfg!(windows)).then(|| "sh".to_owned());
        (folder, shell.into_iter().chain([file, "{ticket}".to_owned()]).collect())
    }

    #[tokio::test]
    async fn a_check_that_ends_with_0_lets_the_ticket_pass() {
        assert_eq!(check(&[], &ticket()).await, Ok(()));
        let (_folder, good) = script("test \"$1\" = INC0048213", "@if not \"%~1\"==\"INC0048213\" exit /b 1\r\n");
        assert_eq!(check(&good, &ticket()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_check_that_refuses_says_its_first_line_made_safe() {
        let (_folder, refusing) = script(
            "printf '\\n%s is closed\\033[2J\\nmore\\n' $1; exit 1",
            "@echo.\r\n@echo %~1 is closed\u{1b}[2J\r\n@echo more\r\n@exit /b 1\r\n",
        );
        let failure = check(&refusing, &ticket()).await.unwrap_err();
        assert_eq!((failure.kind, failure.happened.as_str()), (Kind::Refused, "INC0048213 is closed\\u{1b}[2J"));
    }

    #[tokio::test]
    async fn a_check_that_cannot_run_stops_the_disclosure() {
        let failure = check(&["/nowhere/ticket-exists".to_owned()], &ticket()).await.unwrap_err();
        assert!(failure.happened.contains("could not be checked") && failure.means.contains("No request has left"));
    }
}
