//! The red stop in the real program: nothing leaves, and it is there from the first screen on where the ledger cannot be opened.
#![cfg(all(unix, feature = "simulation"))]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{fs, time::Duration};

use common::{
    key_requests,
    pty::{Term, console, end_the_call, keydesk, to_the_question},
    serve,
};

const CTRL_Q: &str = "\x11";

#[test]
fn a_damaged_ledger_opens_the_console_on_a_red_stop_that_tries_again() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let path = home.path().join("ledger.db");
    fs::write(&path, "no ledger any more ".repeat(500)).unwrap();
    let mut term = Term::spawn(keydesk(home.path(), Some(&served.running)), 80, 24);
    term.wait_for("STOP");
    assert!(term.is_alternate() && term.screen().contains("The file is damaged: "), "{}", term.screen());
    assert!(term.screen().contains("set-aside") && !term.screen().contains("no debts"), "{}", term.screen());
    term.send("t");
    term.wait_for("STOP");
    fs::remove_file(&path).unwrap();
    term.send("t");
    term.wait_for("keys,");
    term.send(CTRL_Q);
    assert_eq!(term.exit_code(), 0);
    assert!(key_requests(&served.running).is_empty());
}

#[test]
fn the_red_stop_can_be_quit() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    fs::create_dir(home.path().join("ledger.db")).unwrap();
    let mut term = Term::spawn(keydesk(home.path(), Some(&served.running)), 80, 24);
    term.wait_for("STOP");
    term.send(CTRL_Q);
    assert_eq!(term.exit_code(), 0);
    assert!(!term.is_alternate());
}

#[test]
fn while_the_ledger_is_held_the_key_is_not_asked_for_and_afterwards_it_is() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut term = console(home.path(), &served);
    to_the_question(&mut term);
    let other = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    term.send("\r");
    assert!(term.sees("STOP", Duration::from_secs(20)), "{}", term.screen());
    assert!(term.screen().contains("Another desk holds the file"), "{}", term.screen());
    assert!(key_requests(&served.running).is_empty());
    other.execute_batch("COMMIT").unwrap();
    term.send("t");
    term.wait_for("Enter tries again.");
    // A key that comes right behind another may have been meant for what stood there before.
    std::thread::sleep(Duration::from_millis(400));
    term.send("\r");
    term.wait_for("1 of 8");
    assert_eq!(key_requests(&served.running).len(), 1);
    end_the_call(&mut term);
}
