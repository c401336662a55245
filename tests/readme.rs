//! What the documents repeat from the program is the program's: the tables are generated, the links lead somewhere, the script works.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{fmt::Write as _, fs, path::PathBuf, process::Command};

use clap::CommandFactory as _;
use keydesk::{
    cli::Cli,
    domain::capability::CAPABILITIES,
    tui::{Action, Keymap, Place},
};
use serde::Deserialize;

use common::{TICKET, environment, serve};

/// Every document with links.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/app-registration.md",
    "docs/audit.md",
    "docs/conditional-access.md",
    "docs/doctor.md",
    "docs/ledger.md",
    "docs/network.md",
    "docs/outside.md",
    "docs/permissions.md",
    "docs/policy.md",
    "docs/rollout.md",
    "docs/secrets.md",
];
const PICTURES: &str = "assets/pictures";

#[derive(Deserialize)]
struct Table {
    keys: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    does: Action,
    help: String,
    #[serde(rename = "where")]
    places: Vec<String>,
}

fn at(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(at(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The README's text between `<!-- name -->` and `<!-- /name -->` is `expected`.
fn assert_stands(name: &str, expected: &str) {
    assert_stands_in("README.md", name, expected);
}

/// The same of any document.
fn assert_stands_in(document: &str, name: &str, expected: &str) {
    let text = read(document);
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let stands = text.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end)).unwrap().0;
    assert!(stands == expected, "{document} should say, between its marks «{name}»:\n\n{expected}");
}

#[test]
fn the_page_of_permissions_repeats_the_programs_own_table() {
    let mut table =
        "| light | request | permission | role in Entra | role in Intune | without it |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for row in &CAPABILITIES {
        let mut beside = format!("{} | {} | {}", row.entra_roles.join(", "), row.intune_roles.join(", "), row.without);
        let mut light = format!("**{}**: {}", row.feature.word(), row.does);
        for permission in row.permissions {
            let asked = permission.asks.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", else ");
            let optional = if permission.required { "" } else { " (does without)" };
            writeln!(table, "| {light} | `{}` | {asked}{optional} | {beside} |", permission.endpoint).unwrap();
            light.clear();
            " | | ".clone_into(&mut beside);
        }
    }
    assert_stands_in("docs/permissions.md", "permissions", &table);
}

#[test]
fn the_readme_lists_the_keys_of_the_key_table() {
    let map = Keymap::shipped().unwrap();
    let table: Table = toml::from_str(&read("assets/keymap.toml")).unwrap();
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for Line { does, help, places } in table.keys {
        let first = Place::deserialize(toml::Value::String(places[0].clone())).unwrap();
        let key = format!("`{}` {help}", map.label(first, does));
        let places = places.join(", ").replace('-', " ");
        match rows.iter_mut().find(|(known, _)| *known == places) {
            Some((_, keys)) => keys.push(key),
            None => rows.push((places, vec![key])),
        }
    }
    let mut expected = String::from("| where | keys |\n|---|---|\n");
    for (places, keys) in rows {
        writeln!(expected, "| {places} | {} |", keys.join(" · ")).unwrap();
    }
    assert_stands("keys", &expected);
}

#[test]
fn the_readme_lists_the_commands_and_exit_codes_of_the_program() {
    let program = Cli::command();
    let mut expected = String::from("| command | |\n|---|---|\n");
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        let subs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let name = [command.get_name(), &subs.join("\\|")].join(" ");
        writeln!(expected, "| `keydesk {}` | {} |", name.trim_end(), command.get_about().unwrap()).unwrap();
    }
    assert_stands("commands", &expected);
    let after = program.get_after_long_help().unwrap().to_string();
    assert!(read("README.md").contains(after.lines().next().unwrap()), "README.md should say:\n{after}");
}

#[test]
fn every_event_of_the_ledger_is_described() {
    let (code, described) = (read("src/domain/event.rs"), read("docs/ledger.md"));
    let body = code.split_once("pub enum Event {").unwrap().1.split_once("\n}\n").unwrap().0;
    let variants: Vec<&str> = body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.split([' ', '(', ',']).next().unwrap())
        .collect();
    assert!(variants.len() > 20, "{variants:?}");
    for variant in variants {
        let name = kebab(variant);
        assert!(described.contains(&format!("`{name}`")), "docs/ledger.md does not describe {name}");
    }
}

/// As serde writes a variant's name.
fn kebab(variant: &str) -> String {
    let mut name = String::new();
    for c in variant.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

#[test]
fn every_picture_is_shown_and_every_link_leads_somewhere() {
    let readme = read("README.md");
    let pictures: Vec<String> = fs::read_dir(at(PICTURES))
        .unwrap()
        .map(|entry| format!("{PICTURES}/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    assert!(pictures.len() >= 12, "{pictures:?}");
    for picture in pictures {
        assert!(readme.contains(&format!("({picture})")), "README.md does not show {picture}");
    }
    for document in DOCUMENTS {
        let text = read(document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let path = at(document).with_file_name("").join(link.split('#').next().unwrap());
            assert!(path.exists(), "{document} links to {link}, which is not there");
        }
    }
}

#[test]
fn every_path_that_a_document_names_is_there() {
    for document in DOCUMENTS {
        let text = read(document);
        for word in text.split('`').skip(1).step_by(2) {
            let is_path =
                ["src/", "tests/", "assets/", "docs/", "examples/", ".ci/"].iter().any(|dir| word.starts_with(dir));
            let plain = !word.contains(['*', '<', '{', ' ', '…']);
            assert!(!(is_path && plain) || at(word).exists(), "{document} names {word}, which is not there");
        }
    }
}

#[test]
#[ignore = "needs python3"]
fn the_script_that_verifies_a_ledger_agrees_with_the_program_and_finds_an_edit() {
    let (served, home) = (serve(), tempfile::tempdir().unwrap());
    let keydesk = |arguments: &[&str]| {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_keydesk"));
        command.env_clear().envs(environment(home.path(), Some(&served.running)));
        let output = command.args(arguments).assert().success();
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    keydesk(&[
        "reveal",
        "4F2B91C0",
        "--print",
        "--ticket",
        TICKET,
        "--reason",
        "windows-update",
        "--verified",
        "manager",
        "--claim",
        "name=mara voss",
    ]);
    let head = keydesk(&["ledger"]);

    let document = read("docs/ledger.md");
    let script = document.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
    let file = home.path().join("ledger.db");
    let verified = || Command::new("python3").arg("-c").arg(script).arg(&file).output().unwrap();
    assert_eq!(String::from_utf8(verified().stdout).unwrap(), head);

    let lines = home.path().join("rows.jsonl");
    keydesk(&["ledger", "export", "--format", "jsonl", "--out", lines.to_str().unwrap()]);
    let script = document.split("```python\n").nth(2).unwrap().split_once("```").unwrap().0;
    let exported = Command::new("python3").arg("-c").arg(script).arg(&lines).output().unwrap();
    let end = String::from_utf8(exported.stdout).unwrap();
    assert!(head.trim_end().ends_with(end.trim_end()) && end.len() == 65, "{end}");

    let ledger = rusqlite::Connection::open(&file).unwrap();
    ledger.execute_batch("DROP TRIGGER ledger_is_never_updated").unwrap();
    let edit = "UPDATE ledger SET body = CAST(replace(CAST(body AS TEXT), 'INC', 'INX') AS BLOB) WHERE seq = 5";
    assert_eq!(ledger.execute(edit, []).unwrap(), 1);
    let found = verified();
    assert!(!found.status.success() && String::from_utf8(found.stderr).unwrap().contains("row 5: edited"));
}
