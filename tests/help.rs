//! What `--help` and the manual page say, so that a change of it shows in review.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use assert_cmd::Command;
use clap::CommandFactory as _;
use keydesk::cli::Cli;

/// Where the settings begin that every command has.
const SETTINGS: &str = "\nSettings:\n";

/// The program's words, in a terminal of 80 columns and with nothing of the tester's environment in them.
fn said(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keydesk"));
    command.env_clear().env("COLUMNS", "80").args(arguments);
    let output = command.assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

fn assert_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(&format!(r"\bv?{}\b", env!("CARGO_PKG_VERSION").replace('.', r"\.")), "[version]");
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Every command a person can find, as typed, down to the last subcommand.
fn commands(command: &clap::Command, path: &[String]) -> Vec<Vec<String>> {
    let mut found = vec![path.to_vec()];
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        found.extend(commands(sub, &[path, &[sub.get_name().to_owned()]].concat()));
    }
    found
}

#[test]
fn the_help_of_every_command_is_as_reviewed() {
    let whole = said(&["--help"]);
    assert_snapshot("keydesk", &whole);
    let (_, settings) = whole.split_once(SETTINGS).unwrap();
    let settings = settings.split("\nExit codes").next().unwrap().trim_end();

    let all = commands(&Cli::command(), &[]);
    assert!(all.len() > 12, "{all:?}");
    for path in all.into_iter().skip(1) {
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = said(&arguments);
        let (own, general) = help.split_once(SETTINGS).unwrap();
        assert_eq!(general.trim_end(), settings, "the settings of {path:?}");
        assert_snapshot(&path.join("-"), own.trim_end());
    }
}

#[test]
fn the_short_help_fits_a_screen_of_eighty_columns() {
    let short = said(&["-h"]);
    assert!(short.lines().all(|line| line.chars().count() <= 80), "{short}");
    assert_snapshot("keydesk-short", &short);
}

#[test]
fn the_manual_page_is_as_reviewed() {
    assert_snapshot("man", &said(&["man"]));
}
