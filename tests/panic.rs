//! A panic with a key on screen: the terminal is given back, and no digit stands on the primary screen.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::time::{Duration, Instant};

use common::pty::Term;
use portable_pty::CommandBuilder;
use ratatui::{layout::Rect, widgets::Paragraph};

const CHILD: &str = "KEYDESK_TEST_PANIC_CHILD";
const DIGITS: &str = "537284-046310-447106-391402";

/// What the test below runs in a pseudo-terminal; by itself it does nothing.
#[test]
fn child_that_panics_with_digits_on_screen() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let mut screen = keydesk::runtime::Screen::enter().unwrap();
    screen.draw(|frame| frame.render_widget(Paragraph::new(DIGITS), frame.area())).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    panic!("something broke");
}

/// Keeps drawing digits while a task panics on another thread.
#[test]
fn child_that_draws_digits_while_another_thread_panics() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let mut screen = keydesk::runtime::Screen::enter().unwrap();
    runtime.spawn(async {
        std::thread::sleep(Duration::from_millis(700));
        panic!("something broke");
    });
    let end = Instant::now() + Duration::from_millis(1500);
    let (mut drawn, mut refused) = (0, 0);
    while Instant::now() < end {
        // Somewhere else each time, so that every frame writes all its digits.
        let row = u16::try_from(drawn % 20).unwrap();
        let frame = screen.draw(|frame| {
            let area = frame.area().intersection(Rect::new(0, row, 80, 1));
            frame.render_widget(DIGITS, area);
        });
        if frame.unwrap() { drawn += 1 } else { refused += 1 }
    }
    assert!(drawn > 20 && refused > 20, "{drawn} frames drawn, {refused} refused");
}

fn child(name: &str) -> Term {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(CHILD, "1");
    command.env("TERM", "xterm-256color");
    command.env("RUST_BACKTRACE", "0");
    Term::spawn(command, 80, 24)
}

#[test]
fn a_panic_gives_the_terminal_back_without_a_digit_on_it() {
    let mut term = child("child_that_panics_with_digits_on_screen");
    term.wait_for("537284-046310");
    assert!(term.is_alternate());
    assert_ne!(term.exit_code(), 0);
    assert!(!term.is_alternate());
    let text = term.all_text();
    assert!(text.contains("something broke"), "{text}");
    assert!(!text.contains("537284"), "{text}");
}

#[test]
fn after_a_panic_on_another_thread_no_frame_reaches_the_primary_screen() {
    let mut term = child("child_that_draws_digits_while_another_thread_panics");
    term.wait_for("537284-046310");
    assert!(term.is_alternate());
    assert_eq!(term.exit_code(), 0, "{}", term.all_text());
    assert!(!term.is_alternate());
    let text = term.all_text();
    assert!(text.contains("something broke"), "{text}");
    assert!(!text.contains("537284"), "{text}");
}
