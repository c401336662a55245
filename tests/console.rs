//! The real binary in a pseudo-terminal, against a simulated tenant in another thread.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{fs, path::Path, time::Duration};

use common::{
    Served,
    pty::{Term, console, end_the_call, keydesk, to_the_question},
    serve,
};
use portable_pty::CommandBuilder;
use rustix::process::Signal;

const F1: &str = "\x1bOP";
const F2: &str = "\x1bOQ";
const F3: &str = "\x1bOR";
const CTRL_Q: &str = "\x11";
const ESC: &str = "\x1b";
const ENTER: &str = "\r";

/// From the empty desk to the stage.
fn to_the_stage(term: &mut Term) {
    to_the_question(term);
    term.send(ENTER);
    term.wait_for("1 of 8");
}

/// The key's blocks as the tenant holds them.
fn blocks(served: &Served) -> Vec<String> {
    let id = served.running.tenant().dump()["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|key| {
            let id = key["id"].as_str().unwrap();
            id.to_uppercase().starts_with("4F2B91C0").then(|| id.parse().unwrap())
        })
        .unwrap();
    served.running.tenant().recovery_password(id).unwrap().split('-').map(str::to_owned).collect()
}

#[test]
fn the_golden_path_is_walked_in_the_real_program() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut term = console(home.path(), &served);
    let blocks = blocks(&served);
    to_the_stage(&mut term);
    assert!(term.screen().contains(&blocks[1]), "{}", term.screen());
    term.send(" ");
    term.wait_for("2 of 8");
    term.send("h");
    term.wait_for("Concealed");
    assert!(!term.screen().contains(&blocks[2]), "{}", term.screen());
    term.send("h");
    term.wait_for("2 of 8");
    end_the_call(&mut term);
    assert!(!term.is_alternate());
}

#[test]
fn quitting_in_the_middle_and_starting_again_goes_on_with_the_call_and_its_debt() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut term = console(home.path(), &served);
    to_the_stage(&mut term);
    term.kill();
    let term = console(home.path(), &served);
    term.wait_for("Parked");
    term.wait_for("1 debt");
    drop(term);
}

/// The demo as a newcomer starts it, but faster.
fn demo(home: &Path) -> Term {
    let mut command = keydesk(home, None);
    command.args(["demo", "--scenario", "small", "--speed", "400"]);
    let term = Term::spawn(command, 80, 24);
    term.wait_for("keys,");
    term
}

/// From the desk to the call that was left, and on to its end: in Windows again, replaced, paid.
fn go_on_with_the_call(term: &mut Term) {
    term.wait_for("Parked");
    term.wait_for("1 debt");
    term.send(F3);
    term.wait_for("HVC-LT-0421");
    term.send(ENTER);
    term.wait_for("w in Windows");
    end_the_call(term);
}

#[test]
fn a_demo_that_is_killed_on_the_stage_goes_on_with_its_call_and_pays_its_debt() {
    let home = tempfile::tempdir().unwrap();
    let mut term = demo(home.path());
    to_the_stage(&mut term);
    term.kill();
    go_on_with_the_call(&mut demo(home.path()));
}

#[test]
fn a_demo_that_is_quit_on_the_stage_goes_on_with_its_story() {
    let home = tempfile::tempdir().unwrap();
    let mut term = demo(home.path());
    to_the_stage(&mut term);
    term.send(CTRL_Q);
    if term.sees("Enter quits", Duration::from_secs(2)) {
        term.send(ENTER);
    }
    assert_eq!(term.exit_code(), 0);
    assert!(!term.is_alternate());
    let mut term = demo(home.path());
    // Quitting sent the replacement; the call waits, its debt is paid, and the caller reads the new key.
    term.wait_for("Parked    call 1, HVC-LT-0421");
    term.wait_for("Paid      √ HVC-LT-0421");
    term.wait_for("no debts");
    assert!(!term.screen().contains("four, fox, two, bravo"), "{}", term.screen());
    term.send(F3);
    term.wait_for("1 call to go on with");
    term.send(ENTER);
    term.wait_for("w in Windows");
    term.send(CTRL_Q);
    assert_eq!(term.exit_code(), 0);
}

#[test]
fn a_desk_that_is_asked_to_end_takes_the_digits_down_first() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let blocks = blocks(&served);
    for signal in [Signal::HUP, Signal::TERM, Signal::INT, Signal::QUIT] {
        let mut term = console(home.path(), &served);
        to_the_stage(&mut term);
        assert!(term.screen().contains(&blocks[1]), "{signal:?}: {}", term.screen());
        term.signal(signal);
        assert_eq!(term.exit_code(), 0, "{signal:?}");
        assert!(!term.is_alternate(), "{signal:?}");
        assert_eq!(found_digits(term.all_text().as_bytes(), &blocks.concat()), None, "{signal:?}");
    }
}

#[test]
fn while_the_last_write_is_waited_for_no_digit_is_on_the_screen() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let blocks = blocks(&served);
    let mut term = console(home.path(), &served);
    to_the_stage(&mut term);
    // Somebody else writes: whatever this desk wants to record now waits.
    let other = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    term.send("h");
    term.wait_for("Concealed");
    term.send("h");
    term.wait_for("1 of 8");
    term.signal(Signal::TERM);
    term.wait_for("Finishing what is being written");
    assert!(term.is_alternate());
    assert_eq!(found_digits(term.screen().as_bytes(), &blocks.concat()), None, "{}", term.screen());
    assert!(!blocks.iter().any(|block| term.screen().contains(block.as_str())), "{}", term.screen());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(term.exit_code(), 0);
    let recorded: i64 = other
        .query_row("SELECT count(*) FROM ledger WHERE CAST(body AS TEXT) LIKE '%\"concealed\"%'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(recorded, 1, "what was being written is written");
}

/// `keydesk sign-in` in a terminal, its code approved as `who`.
fn signing_in_as(who: &str, home: &Path, served: &Served) -> Term {
    let mut command = keydesk(home, Some(&served.running));
    command.arg("sign-in");
    let term = Term::spawn(command, 100, 24);
    term.wait_for("Approve only this code");
    let screen = term.screen();
    let code = screen.split_once(" and type ").and_then(|(_, rest)| rest.split_whitespace().next()).unwrap();
    served.running.tenant().approve(code, Some(who)).unwrap();
    term
}

#[test]
fn the_command_line_asks_whether_another_name_is_meant_and_takes_only_a_yes() {
    let (home, served) = (tempfile::tempdir().unwrap(), common::serve_people());
    let (dana, sam) = ("dana@harborview.example", "sam@harborview.example");
    assert_eq!(signing_in_as(dana, home.path(), &served).exit_code(), 0);
    for (answer, code, said) in [
        ("\r", 3, "Nothing was recorded under its name."),
        ("yeah\r", 3, "That account is signed out again."),
        ("yes\r", 0, "Signed in to Harborview Clinics as sam@harborview.example."),
    ] {
        let mut term = signing_in_as(sam, home.path(), &served);
        term.wait_for("Last time it was Dana Reyes");
        term.wait_for("Type yes to go on under the new name");
        term.send(answer);
        assert_eq!(term.exit_code(), code, "{answer:?}: {}", term.screen());
        assert!(term.screen().contains(said), "{answer:?}: {}", term.screen());
    }
    // From now on it is the name of last time.
    let mut term = signing_in_as(sam, home.path(), &served);
    assert_eq!(term.exit_code(), 0, "{}", term.screen());
    assert!(!term.screen().contains("Last time"), "{}", term.screen());
}

#[test]
fn help_and_debts_open_and_close_by_their_keys() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut term = console(home.path(), &served);
    term.send(F1);
    term.wait_for("Everywhere");
    term.send(ESC);
    term.wait_for("Type what the caller reads");
    term.send(F2);
    term.wait_for("0 open");
    term.send(ESC);
    // An Esc with a key right behind it would be that key with Alt.
    term.wait_for("Type what the caller reads");
    term.send(CTRL_Q);
    assert_eq!(term.exit_code(), 0);
}

#[test]
fn a_window_that_is_too_small_says_so_and_is_left_by_its_key() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut term = Term::spawn(keydesk(home.path(), Some(&served.running)), 48, 8);
    term.wait_for("This window is 48 × 8");
    term.send(CTRL_Q);
    assert_eq!(term.exit_code(), 0);
    let mut tiny = Term::spawn(keydesk(home.path(), Some(&served.running)), 20, 5);
    tiny.wait_for("keydesk");
    assert!(tiny.screen().split_whitespace().collect::<Vec<_>>().join(" ").contains("20 × 5"), "{}", tiny.screen());
    tiny.send(CTRL_Q);
    assert_eq!(tiny.exit_code(), 0);
}

#[test]
fn a_dead_address_is_a_sentence_and_the_program_can_be_left() {
    let home = tempfile::tempdir().unwrap();
    let mut command: CommandBuilder = keydesk(home.path(), None);
    for (name, value) in [
        ("KEYDESK_AUTHORITY", "http://127.0.0.1:9"),
        ("KEYDESK_GRAPH", "http://127.0.0.1:9"),
        ("KEYDESK_TENANT", "harborview.example"),
        ("KEYDESK_CLIENT_ID", "7c1d8f4e-52a6-4b0e-9a53-1f0d6c2e8b71"),
    ] {
        command.env(name, value);
    }
    let mut term = Term::spawn(command, 80, 24);
    term.wait_for("cannot be reached");
    term.send(CTRL_Q);
    assert_eq!(term.exit_code(), 0);
}

#[test]
fn a_huge_paste_is_answered_and_nothing_is_lost() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut term = console(home.path(), &served);
    term.send(&format!("\x1b[200~{}\x1b[201~", "lorem ipsum ".repeat(900_000)));
    term.send("\x15");
    assert!(term.sees("DEMO", Duration::from_mins(1)));
    term.send(CTRL_Q);
    assert_eq!(term.exit_code(), 0);
}

#[test]
fn no_digit_of_a_revealed_key_is_left_behind() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let mut command = keydesk(home.path(), Some(&served.running));
    command.env("KEYDESK_LOG", "trace");
    let mut term = Term::spawn(command, 80, 24);
    term.wait_for("keys,");
    let blocks = blocks(&served);
    to_the_stage(&mut term);
    assert!(term.screen().contains(&blocks[1]));
    term.send("w");
    term.wait_for("Note");
    term.send(CTRL_Q);
    if term.sees("Enter quits", Duration::from_secs(1)) {
        term.send(ENTER);
    }
    assert_eq!(term.exit_code(), 0);
    assert!(!term.is_alternate());

    let key = blocks.concat();
    assert_eq!(found_digits(term.all_text().as_bytes(), &key), None, "on the primary screen");
    let mut searched = 0;
    let mut bytes = 0;
    for file in files(home.path()) {
        let content = fs::read(&file).unwrap();
        assert_eq!(found_digits(&content, &key), None, "in {}", file.display());
        searched += 1;
        bytes += content.len();
    }
    let log = fs::metadata(home.path().join("keydesk.log")).unwrap().len();
    assert!(searched >= 3 && bytes > 10_000 && log > 1_000, "{searched} files, {bytes} bytes, log {log}");
}

#[test]
fn the_search_for_digits_finds_them_however_they_are_written() {
    let key = "537284046310447106391402120824665038083743710259";
    let utf16: Vec<u8> = "x 447106-391402".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for left in [b"a 537284-046310 b".to_vec(), b"5372 84\n0463 10".to_vec(), utf16] {
        assert!(found_digits(&left, key).is_some(), "{left:?}");
    }
    assert_eq!(found_digits(b"537284 and then 046310", key), None);
    assert_eq!(found_digits(b"2026-11-20T09:00:00 53728404631", key), None);
}

/// Twelve consecutive digits of `key` in `bytes`, read as UTF-8 and as UTF-16 of both orders, blanks and punctuation between digits ignored.
fn found_digits(bytes: &[u8], key: &str) -> Option<String> {
    let windows: std::collections::HashSet<&[u8]> = key.as_bytes().windows(12).collect();
    let every_second = |from: usize| bytes.iter().skip(from).step_by(2).copied().collect::<Vec<u8>>();
    [bytes.to_vec(), every_second(0), every_second(1)].iter().find_map(|text| {
        let mut run: Vec<u8> = Vec::new();
        for &byte in text {
            match byte {
                b'0'..=b'9' => run.push(byte),
                b' ' | b'-' | b'\n' | b'\r' | b'\t' | b'_' | b'.' | b',' => continue,
                _ => run.clear(),
            }
            if run.len() >= 12 && windows.contains(&run[run.len() - 12..]) {
                return Some(String::from_utf8_lossy(&run).into_owned());
            }
        }
        None
    })
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
