//! The technician's browser: a graphical one, never a text browser in this terminal.

use crate::{
    desk::unblocked,
    domain::work::{Failure, Kind},
};

/// Why none can be opened here, as the end of a sentence; `None` where one can, as far as is known before it is tried.
pub fn missing() -> Option<&'static str> {
    let is_set =
        |names: [&str; 2]| names.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let has_display = is_set(["DISPLAY", "WAYLAND_DISPLAY"]);
    if is_set(["SSH_CONNECTION", "SSH_TTY"]) && !has_display {
        return Some(": you are connected over ssh");
    }
    (cfg!(all(unix, not(target_os = "macos"))) && !has_display).then_some(": there is no display")
}

/// Opens the address in it.
pub async fn open(address: String) -> Result<(), Failure> {
    // What to do instead stands on the screen already: the address, and where it may be opened.
    let by_hand = |why: &str| Failure::new(Kind::Failed, format!("No browser can be opened here{why}."));
    if !address.starts_with("https://") && !address.starts_with("http://") {
        return Err(by_hand(": this is no web address"));
    }
    if let Some(why) = missing() {
        return Err(by_hand(why));
    }
    unblocked(move || webbrowser::open(&address)).await.map_err(|_| by_hand(""))
}
