//! The same in the real program: the sentence stands on the screen, and the next key goes on.

use std::{path::Path, time::Duration};

use keydesk::{simulation::Running, store::Ledger};
use rstest::rstest;
use serde_json::Value;

use super::{
    ALL_KEYS, KEYS_OF_DEVICE, REVEAL,
    common::{
        Served, key_requests,
        pty::{BEAT, Term, console, end_the_call, keydesk, to_the_question},
        serve,
    },
    hurt,
    troubles::{self, *},
};

const ENTER: &str = "\r";
const CTRL_Q: &str = "\x11";

/// A sentence may be wrapped: the screen's words, one blank apart, without its frames.
fn words(term: &Term) -> String {
    let screen = term.screen();
    let words = screen.split_whitespace().filter(|word| word.chars().any(|c| c.is_ascii_alphanumeric()));
    words.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn wait_for_words(term: &Term, said: &str) {
    let deadline = std::time::Instant::now() + Duration::from_secs(40);
    while !words(term).contains(said) {
        assert!(std::time::Instant::now() < deadline, "{said:?} never came; the screen is:\n{}", term.screen());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Key requests that the tenant carried out.
fn key_requests_served(tenant: &Running) -> usize {
    key_requests(tenant).iter().filter(|entry| entry.served).count()
}

/// Goes on with Enter, through the ticket and the reason that stand there, until the digits are shown.
fn ask_again(term: &mut Term) {
    for _ in 0..4 {
        // The same key within 1.2 s counts as held down.
        if term.sees("1 of 8", Duration::from_millis(1_400)) {
            return;
        }
        term.send(ENTER);
    }
    term.wait_for("1 of 8");
}

fn assert_whole(home: &Path) {
    Ledger::open(&home.join("ledger.db")).unwrap().verify().unwrap().unwrap();
}

/// Asks for the key under this trouble, reads the sentence, and asks again until the digits stand there.
fn ask_twice(served: &Served, home: &Path, trouble: Value, said: &str, reads_before: usize) -> Term {
    let mut term = console(home, served);
    to_the_question(&mut term);
    hurt(&served.running, REVEAL, trouble);
    term.send(ENTER);
    wait_for_words(&term, said);
    assert_eq!(key_requests_served(&served.running), reads_before, "{}", term.screen());
    served.running.tenant().heal();
    ask_again(&mut term);
    assert_eq!(key_requests_served(&served.running), reads_before + 1);
    term
}

/// The call comes to its end, and leaves a whole ledger.
fn end_whole(mut term: Term, home: &Path) {
    end_the_call(&mut term);
    assert_whole(home);
}

#[rstest]
#[case::reset(served(reset()), "No answer came from Entra. It may have recorded a read.", 1)]
#[case::truncated(truncated(), "Entra's answer arrived damaged. It may have recorded a read.", 1)]
#[case::page(page(200), "Entra's answer arrived damaged.", 0)]
#[case::flood(flood(), "Entra's answer arrived damaged.", 0)]
#[case::down(status(503), "Entra answered with an error (503).", 0)]
fn a_key_that_does_not_come_is_a_sentence_and_enter_asks_again(
    #[case] trouble: Value,
    #[case] said: &str,
    #[case] reads: usize,
) {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    end_whole(ask_twice(&served, home.path(), trouble, said, reads), home.path());
}

#[test]
#[ignore = "needs half a minute"]
fn a_stall_of_thirty_seconds_is_a_sentence_and_enter_asks_again() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let term = ask_twice(
        &served,
        home.path(),
        troubles::served(stall()),
        "No answer came from Entra. It may have recorded a read.",
        1,
    );
    end_whole(term, home.path());
}

#[test]
fn a_wait_that_is_too_long_is_a_sentence_and_enter_asks_again() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    // What runs behind the desk keeps away as it was told, so the debt is followed later than this test waits.
    ask_twice(&served, home.path(), busy_for(3_600), "Entra asked us to wait, several times.", 0).kill();
    assert_whole(home.path());
}

#[rstest]
#[case::busy(busy_for(3), "Entra asks us to wait")]
#[case::claims(claims_challenge(), "")]
fn a_wait_and_a_challenge_are_passed_through_to_the_digits(#[case] trouble: Value, #[case] said: &str) {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut term = console(home.path(), &served);
    to_the_question(&mut term);
    hurt(&served.running, REVEAL, trouble);
    term.send(ENTER);
    wait_for_words(&term, said);
    term.wait_for("1 of 8");
    assert_eq!(key_requests_served(&served.running), 1);
    term.kill();
    assert_whole(home.path());
}

#[rstest]
#[case::page(page(200), "a web page came instead")]
#[case::link(elsewhere(), "leads to another host")]
#[case::down(lasting(status(500)), "a fault of its own")]
fn a_listing_that_fails_is_a_sentence_and_the_desk_finds_devices_all_the_same(
    #[case] trouble: Value,
    #[case] said: &str,
) {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    hurt(&served.running, ALL_KEYS, trouble);
    let mut term = Term::spawn(keydesk(home.path(), Some(&served.running)), 80, 24);
    wait_for_words(&term, said);
    served.running.tenant().heal();
    std::thread::sleep(BEAT);
    term.send("HVC-LT-0421");
    term.wait_for("Entra joined");
    term.send(CTRL_Q);
    assert_eq!(term.exit_code(), 0);
    assert_whole(home.path());
}

#[test]
fn a_card_that_does_not_come_is_a_sentence_and_comes_when_asked_again() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut term = console(home.path(), &served);
    hurt(&served.running, KEYS_OF_DEVICE, lasting(page(200)));
    term.send("4F2B91C0");
    wait_for_words(&term, "a web page came instead");
    served.running.tenant().heal();
    term.send("\x1b[15~");
    term.wait_for("HVC-LT-0421, Entra joined");
    term.send(CTRL_Q);
    assert_eq!(term.exit_code(), 0);
    assert_whole(home.path());
}
