//! What the desk uses of this machine: credential store, clipboard, terminal.

use std::time::Instant;

use super::{skipped, within};
use crate::{
    clipboard::{Clipboard, ClipboardError},
    domain::work::doctor::{Check, Finding, Focus, TerminalSeen, Who},
    sign_in::{TRIAL_LENGTH, Trial, Vault},
};

/// The desk needs this much, in columns and rows.
const LEAST: (u16, u16) = (80, 24);
const TERMINAL: [(&str, &str); 4] = [
    ("terminal.size", "terminal, size"),
    ("terminal.colours", "terminal, colours"),
    ("terminal.utf8", "terminal, letters"),
    ("terminal.focus", "terminal, focus"),
];

pub(super) async fn examine(terminal: Option<TerminalSeen>) -> Vec<Check> {
    let (store, clipboard) = tokio::join!(within(store()), within(clipboard()));
    let mut checks = vec![
        Check::new("credential-store", "credential store", store),
        Check::new("clipboard", "clipboard", clipboard),
    ];
    match terminal {
        None => checks.extend(skipped(
            &TERMINAL,
            "Stdout is no terminal here. Run `keydesk doctor` in the window you will work in.",
        )),
        Some(seen) => checks.extend([
            Check::new("terminal.size", "terminal, size", size(seen.size)),
            Check::new("terminal.colours", "terminal, colours", colours(seen.colours)),
            Check::new("terminal.utf8", "terminal, letters", letters(seen.utf8)),
            Check::new("terminal.focus", "terminal, focus", focus(seen.focus)),
        ]),
    }
    checks
}

async fn store() -> Finding {
    let begun = Instant::now();
    let trial = Vault::try_out().await;
    judge_store(trial).took(begun.elapsed())
}

fn judge_store(trial: Trial) -> Finding {
    let odd = |what: &str| {
        Finding::fix(format!("A throw-away entry of {TRIAL_LENGTH} bytes {what}. The session ends with the program."))
            .by(Who::MachineAdministrator, "Unlock or repair this account's credential store.")
    };
    match trial {
        Trial::Kept => Finding::well(format!(
            "A throw-away entry of {TRIAL_LENGTH} bytes (more than Windows keeps in one) was written, read back and deleted."
        )),
        Trial::NoStore(why) => Finding::notice(format!(
            "There is none that is open here ({why}). The session ends with the program, and every start asks for a sign-in."
        ))
        .by(
            Who::MachineAdministrator,
            "On Linux a Secret Service (GNOME Keyring, KWallet) has to run and be unlocked in this session.",
        ),
        Trial::NotWritten => odd("was not taken"),
        Trial::NotRead => odd("did not come back as it was written"),
        Trial::NotDeleted => odd("came back, and could not be deleted"),
    }
}

async fn clipboard() -> Finding {
    judge_clipboard(Clipboard::new().is_there().await)
}

fn judge_clipboard(found: Result<(), ClipboardError>) -> Finding {
    match found {
        Ok(()) => Finding::well("There is one. Nothing was copied to try it, so that yours is left alone."),
        Err(error) => Finding::notice(format!("{error} Notes and sign-in codes have to be typed.")).by(
            Who::You,
            "Over ssh there is none on the far side; in a desktop session it needs a display (X11 or Wayland).",
        ),
    }
}

fn size(size: Option<(u16, u16)>) -> Finding {
    match size {
        Some((cols, rows)) if cols >= LEAST.0 && rows >= LEAST.1 => Finding::well(format!("{cols} × {rows}.")),
        Some((cols, rows)) => Finding::notice(format!("{cols} × {rows}; the desk needs {} × {}.", LEAST.0, LEAST.1))
            .by(Who::You, "Make the window larger, or its letters smaller."),
        None => Finding::not_checked("The terminal does not tell its size."),
    }
}

fn colours(colours: u16) -> Finding {
    match colours {
        u16::MAX => Finding::well("24 bit."),
        256.. => Finding::well("256."),
        few => Finding::notice(format!("{few}, as far as TERM and COLORTERM tell."))
            .by(Who::You, "If the colours look wrong, set `theme = \"mono\"` below [screen], or NO_COLOR."),
    }
}

fn letters(utf8: bool) -> Finding {
    if utf8 {
        return Finding::well("UTF-8.");
    }
    Finding::notice("The locale (LC_ALL, LC_CTYPE, LANG) does not say UTF-8, so drawn letters may come out wrong.")
        .by(Who::You, "Set a UTF-8 locale, or `ascii = true` below [screen].")
}

fn focus(focus: Focus) -> Finding {
    match focus {
        Focus::Told => Finding::well("It tells when its window loses the focus: a shown key is concealed then."),
        Focus::Always => {
            Finding::well("The system's console tells when its window loses the focus: a shown key is concealed then.")
        }
        Focus::Silent => Finding::not_checked(
            "It did not tell its state when asked, and may still tell changes. By hand: in `keydesk demo` read a key, click another window; \
             the digits have to go. Otherwise h conceals them, and so does the policy's timer.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::work::doctor::Grade;

    #[rstest]
    #[case(Trial::Kept, Grade::Well, "6000 bytes")]
    #[case(Trial::NoStore("no store"), Grade::Notice, "(no store)")]
    #[case(Trial::NotWritten, Grade::Fix, "was not taken")]
    #[case(Trial::NotRead, Grade::Fix, "did not come back")]
    #[case(Trial::NotDeleted, Grade::Fix, "could not be deleted")]
    fn a_store_is_well_only_where_an_entry_came_back_and_went(
        #[case] trial: Trial,
        #[case] grade: Grade,
        #[case] words: &str,
    ) {
        let finding = judge_store(trial);
        assert_eq!((finding.grade, finding.seen.contains(words)), (grade, true), "{}", finding.seen);
        assert_eq!(finding.fix.is_some(), grade != Grade::Well);
    }

    #[test]
    fn a_window_that_is_too_small_is_a_notice_with_the_size_it_needs() {
        assert_eq!(size(Some((80, 24))).grade, Grade::Well);
        let small = size(Some((79, 24)));
        assert_eq!((small.grade, small.seen.as_str()), (Grade::Notice, "79 × 24; the desk needs 80 × 24."));
    }

    #[test]
    fn without_a_clipboard_the_desk_still_works() {
        let finding = judge_clipboard(Err(ClipboardError::None));
        assert_eq!(finding.grade, Grade::Notice);
        assert!(finding.seen.starts_with("There is no clipboard here. Notes"), "{}", finding.seen);
    }
}
