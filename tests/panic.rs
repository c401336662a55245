//! A panic with a key on screen: the terminal is given back, and no digit stands on the primary screen.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use common::pty::Term;
use portable_pty::CommandBuilder;
use ratatui::widgets::Paragraph;

const CHILD: &str = "KEYDESK_TEST_PANIC_CHILD";
const DIGITS: &str = "537284-046310-447106-391402";

/// What the test below runs in a pseudo-terminal; by itself it does nothing.
#[test]
fn child_that_panics_with_digits_on_screen() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let mut screen = keydesk::runtime::Screen::enter().unwrap();
    screen.terminal().draw(|frame| frame.render_widget(Paragraph::new(DIGITS), frame.area())).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    panic!("something broke");
}

#[test]
fn a_panic_gives_the_terminal_back_without_a_digit_on_it() {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_that_panics_with_digits_on_screen", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, "1");
    command.env("TERM", "xterm-256color");
    command.env("RUST_BACKTRACE", "0");
    let mut term = Term::spawn(command, 80, 24);
    term.wait_for("537284-046310");
    assert!(term.is_alternate());
    assert_ne!(term.exit_code(), 0);
    assert!(!term.is_alternate());
    let text = term.all_text();
    assert!(text.contains("something broke"), "{text}");
    assert!(!text.contains("537284"), "{text}");
}
