//! Copying text so that no clipboard history and no cloud keeps it, where the system lets a program say so.

use arboard::Set;
use tokio::sync::oneshot;

/// On Linux the program that copied must stay to answer for it: so long, or until something else is copied.
#[cfg(all(unix, not(target_os = "macos")))]
const STAYS: std::time::Duration = std::time::Duration::from_mins(1);

/// Why nothing was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClipboardError {
    #[error("There is no clipboard here.")]
    None,
    #[error("Another program is holding the clipboard. Try again.")]
    Occupied,
    #[error("The clipboard did not take the text.")]
    Failed,
}

impl From<arboard::Error> for ClipboardError {
    fn from(error: arboard::Error) -> Self {
        match error {
            arboard::Error::ClipboardOccupied => Self::Occupied,
            arboard::Error::ClipboardNotSupported | arboard::Error::ContentNotAvailable => Self::None,
            _ => Self::Failed,
        }
    }
}

/// The system's clipboard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clipboard;

impl Clipboard {
    pub fn new() -> Self {
        Self
    }

    /// Whether there is a clipboard to copy to. Nothing is copied, and nothing on it is read.
    pub async fn is_there(self) -> Result<(), ClipboardError> {
        let (tell, told) = oneshot::channel();
        let look = move || tell.send(arboard::Clipboard::new().map(drop).map_err(|_| ClipboardError::None));
        let thread = std::thread::Builder::new().name("clipboard".into()).spawn(look);
        thread.map_err(|_| ClipboardError::Failed)?;
        told.await.unwrap_or(Err(ClipboardError::Failed))
    }

    /// Copies `text`, which must hold no secret: what a terminal or a remote desktop makes of a clipboard is out of our hands.
    pub async fn copy_text(self, text: String) -> Result<(), ClipboardError> {
        let (tell, told) = oneshot::channel();
        let thread = std::thread::Builder::new().name("clipboard".into()).spawn(move || copy(text, tell));
        thread.map_err(|_| ClipboardError::Failed)?;
        told.await.unwrap_or(Err(ClipboardError::Failed))
    }
}

/// Copies, tells the outcome, and stays for as long as the system needs us to.
fn copy(text: String, tell: oneshot::Sender<Result<(), ClipboardError>>) {
    let mut clipboard = match arboard::Clipboard::new() {
        Ok(clipboard) => clipboard,
        Err(error) => {
            tracing::debug!(%error, "no clipboard");
            let _ = tell.send(Err(ClipboardError::None));
            return;
        }
    };
    let copied = kept_out_of_history(clipboard.set()).text(text.as_str()).map_err(ClipboardError::from);
    let there = copied.is_ok();
    let _ = tell.send(copied);
    if there {
        stay(&mut clipboard, text);
    }
}

#[cfg(target_os = "windows")]
fn kept_out_of_history(set: Set<'_>) -> Set<'_> {
    use arboard::SetExtWindows;
    // Keeps it from the history and from the cloud alike.
    set.exclude_from_monitoring()
}

#[cfg(target_os = "macos")]
fn kept_out_of_history(set: Set<'_>) -> Set<'_> {
    use arboard::SetExtApple;
    set.exclude_from_history()
}

#[cfg(all(unix, not(target_os = "macos")))]
fn kept_out_of_history(set: Set<'_>) -> Set<'_> {
    use arboard::SetExtLinux;
    set.exclude_from_history()
}

#[cfg(all(unix, not(target_os = "macos")))]
fn stay(clipboard: &mut arboard::Clipboard, text: String) {
    use arboard::SetExtLinux;
    let until = std::time::Instant::now() + STAYS;
    if let Err(error) = kept_out_of_history(clipboard.set()).wait_until(until).text(text) {
        tracing::debug!(%error, "the clipboard was lost early");
    }
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn stay(_: &mut arboard::Clipboard, _: String) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_a_sentence() {
        let unknown = arboard::Error::Unknown { description: "X11 said \u{1b}[2J".into() };
        for (error, words) in [
            (arboard::Error::ClipboardNotSupported, "There is no clipboard here."),
            (arboard::Error::ClipboardOccupied, "Another program is holding the clipboard. Try again."),
            (unknown, "The clipboard did not take the text."),
        ] {
            assert_eq!(ClipboardError::from(error).to_string(), words);
        }
    }
}
