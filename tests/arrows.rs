//! The rule of arrows, read from the source: which room imports which, and what the pure rooms never touch.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each room with the rooms it may import. The same table stands in `src/lib.rs` for people.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("runbook", &["domain"]),
    ("http", &["domain"]),
    ("store", &["domain"]),
    ("clipboard", &["domain"]),
    ("config", &["domain"]),
    ("sign_in", &["http", "domain"]),
    ("graph", &["sign_in", "http", "domain"]),
    ("desk", &["config", "graph", "sign_in", "http", "store", "clipboard", "domain"]),
    ("ops", &["desk", "graph", "sign_in", "http", "store", "clipboard", "domain"]),
    ("tui", &["domain", "runbook"]),
    ("runtime", &["tui", "ops", "desk", "config", "domain"]),
    ("cli", &["desk", "ops", "runtime", "config", "simulation", "domain"]),
    ("simulation", &[]),
];

/// What a pure room never names: clocks, files, sockets, threads.
const PURE: &[&str] = &["domain", "runbook", "tui"];
const IMPURE: &[&str] = &[
    "tokio",
    "reqwest",
    "rusqlite",
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::thread",
    "std::env",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
];

#[test]
fn every_import_points_the_right_way() {
    let mut wrong = Vec::new();
    for file in sources() {
        let room = room_of(&file);
        if room == "lib" || room == "main" {
            continue;
        }
        let (_, allowed) = MAY_IMPORT
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{room}: a room without a rule"));
        for target in imports(&code(&file)) {
            if target != room && is_room(&target) && !allowed.contains(&target.as_str()) {
                wrong.push(format!("{}: {room} → {target}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn the_pure_rooms_read_no_clock_file_or_socket() {
    let mut wrong = Vec::new();
    for file in sources().into_iter().filter(|file| PURE.contains(&room_of(file).as_str())) {
        if is_test_file(&file) {
            continue;
        }
        for (number, line) in code(&file).lines().enumerate() {
            for word in IMPURE.iter().filter(|word| names(line, word)) {
                wrong.push(format!("{}:{}: {word}", file.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "what a pure room may not touch:\n{}", wrong.join("\n"));
}

#[test]
fn the_rules_are_read_from_real_imports() {
    let text = "use crate::{domain::{a, b}, store::Ledger};\nuse crate::graph;\nlet x = crate::ops::find();";
    let expected: BTreeSet<String> = ["domain", "store", "graph", "ops"].map(str::to_owned).into();
    assert_eq!(imports(text), expected);
    assert!(sources().len() > 50);
}

fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort();
    found
}

fn room_of(file: &Path) -> String {
    let below = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn is_room(name: &str) -> bool {
    MAY_IMPORT.iter().any(|(room, _)| *room == name)
}

fn is_test_file(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

/// The file's code: comments and the test module at its end left out.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_word(line[..at].chars().next_back()) && !is_word(line[at + word.len()..].chars().next())
    })
}

/// The first names after every `crate::`, groups opened.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.extend(first_name(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = 0;
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => {
                            found.extend(first_name(&group[start..i]));
                            break;
                        }
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            found.extend(first_name(&group[start..i]));
                            start = i + 1;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn first_name(text: &str) -> Option<String> {
    let name: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}
