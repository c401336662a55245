//! The documents for whoever rolls it out say what is: their links lead somewhere, their commands can be typed, their lists are whole.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::Command;
use clap::Parser as _;
use keydesk::cli::Cli;
use serde_json::Value;

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every document, with its path from the root.
fn documents() -> Vec<(String, String)> {
    let pages = fs::read_dir(at("docs")).unwrap().map(|entry| format!("docs/{}", entry.unwrap().file_name().display()));
    let mut names: Vec<String> =
        pages.filter(|name| std::path::Path::new(name).extension().is_some_and(|kind| kind == "md")).collect();
    names.sort();
    names.push("README.md".into());
    names
        .into_iter()
        .map(|name| (fs::read_to_string(at(&name)).unwrap(), name))
        .map(|(text, name)| (name, text))
        .collect()
}

/// As a heading is linked to: lower case, blanks as hyphens, nothing else but letters and digits.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings.map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn every_link_of_every_document_leads_to_a_file_and_a_heading() {
    let mut count = 0;
    for (name, text) in documents() {
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { at(&name) } else { at(&name).with_file_name("").join(file) };
            assert!(target.exists(), "{name} links to {link}, which is not there");
            if !anchor.is_empty() {
                let found = anchors(&fs::read_to_string(&target).unwrap());
                assert!(found.contains(anchor), "{name} links to {link}; its headings are {found:#?}");
            }
            count += 1;
        }
    }
    assert!(count > 30, "{count} links");
}

/// Command lines that a person is told to type: in a console block after `$`, or between backticks.
fn commands(text: &str) -> Vec<String> {
    let typed = text.lines().filter_map(|line| line.trim().strip_prefix("$ keydesk"));
    let inline = text.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("keydesk"));
    let whole = |rest: &&str| rest.is_empty() || rest.starts_with(' ');
    let shell = |rest: &str| rest.split(['>', '#', '|']).next().unwrap_or_default().trim().to_owned();
    // Names of several commands at once, or of none, stand in tables.
    let one = |rest: &String| !rest.contains(['\\', '…', '=']) || rest.contains(" --");
    typed.chain(inline).filter(whole).map(shell).filter(one).collect()
}

/// The words of a command line; blanks between quotes belong to the word.
fn words(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let apart = |c: char| {
        quoted ^= c == '"';
        c == '"' || (!quoted && c.is_whitespace())
    };
    line.split(apart).filter(|word| !word.is_empty()).collect()
}

#[test]
fn every_command_line_that_a_document_tells_to_type_is_one_the_program_takes() {
    let mut count = 0;
    for (name, text) in documents() {
        for command in commands(&text) {
            let parsed = Cli::try_parse_from(std::iter::once("keydesk").chain(words(&command)));
            // What a command still lacks is left out in running text; what it does not know is wrong.
            let wrong = parsed.err().filter(|error| {
                use clap::error::ErrorKind;
                !matches!(
                    error.kind(),
                    ErrorKind::MissingRequiredArgument
                        | ErrorKind::MissingSubcommand
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                )
            });
            assert!(wrong.is_none(), "{name} says `keydesk {command}`: {}", wrong.unwrap());
            count += 1;
        }
    }
    assert!(count > 20, "{count} command lines");
}

#[test]
fn a_command_line_in_a_document_that_the_program_does_not_take_is_found() {
    let found = commands("Run `keydesk docter`.\n\n```console\n$ keydesk doctor --jsno > x\n```\n");
    assert_eq!(found, ["doctor --jsno", "docter"]);
    assert!(found.iter().all(|line| Cli::try_parse_from(format!("keydesk {line}").split(' ')).is_err()));
}

#[test]
fn every_check_and_field_of_the_doctor_is_described_and_no_other() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keydesk"));
    command.env_clear().env("KEYDESK_HOME", home.path()).env("HOME", home.path()).args(["doctor", "--json"]);
    for name in ["SYSTEMROOT", "SystemRoot"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let report: Value = serde_json::from_slice(&command.assert().code(1).get_output().stdout).unwrap();
    let page = fs::read_to_string(at("docs/doctor.md")).unwrap();
    let first_cells = |section: &str| -> BTreeSet<String> {
        let (_, rest) = page.split_once(section).unwrap();
        let rows = rest.split("\n## ").next().unwrap().lines().filter_map(|line| line.strip_prefix("| `"));
        let cells = rows.filter_map(|row| row.split(" | ").next());
        cells.flat_map(|cell| cell.split(", ")).map(|word| word.trim_matches('`').to_owned()).collect()
    };
    let checks = report["checks"].as_array().unwrap();
    let ids: BTreeSet<String> = checks.iter().map(|check| check["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), checks.len(), "an id stands twice");
    assert_eq!(first_cells("## The lines"), ids);
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    assert_eq!(first_cells("## The JSON"), &fields(&report) | &fields(&checks[0]));
}
