//! The rule of arrows, read from the source: which room imports which, and what the pure rooms never touch.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each room with the rooms it may import: the map's last column.
type Rules = BTreeMap<String, BTreeSet<String>>;

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
    "now_v7",
    "new_v4",
];

#[test]
fn every_import_points_the_right_way() {
    let mut wrong = Vec::new();
    let rules = rules(&map());
    for file in sources() {
        let room = room_of(&file);
        if room == "lib" || room == "main" {
            continue;
        }
        let allowed = rules.get(&room).unwrap_or_else(|| panic!("{room}: a room that is not on the map"));
        for target in imports(&code(&file)) {
            if target != room && rules.contains_key(&target) && !allowed.contains(&target) {
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
fn the_map_names_every_room_and_only_files_that_exist() {
    let map = map();
    let rooms: BTreeSet<String> = rules(&map).into_keys().collect();
    let on_disk: BTreeSet<String> = sources().iter().map(|file| room_of(file)).collect();
    assert_eq!(rooms, on_disk.into_iter().filter(|room| room != "lib" && room != "main").collect());
    let named: Vec<&str> = map.split('`').filter(|word| word.starts_with("tests/")).collect();
    assert!(!named.is_empty());
    for name in named {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(name).exists(), "src/lib.rs names {name}");
    }
}

#[test]
fn rules_are_read_from_the_maps_table() {
    let map = "//! | room | what | may import |\n//! |---|---|---|\n//! | [`a`] | the [`a::b`] | nothing of ours |\n//! | [`c_d`] | x | a, `e_f` |\n";
    let read = rules(map);
    assert_eq!(read.len(), 2);
    assert_eq!((read["a"].len(), &read["c_d"]), (0, &["a", "e_f"].map(str::to_owned).into()));
}

#[test]
fn the_rules_are_read_from_real_imports() {
    let text = "use crate::{domain::{a, b}, store::Ledger};\nuse crate::graph;\nlet x = crate::ops::find();";
    let expected: BTreeSet<String> = ["domain", "store", "graph", "ops"].map(str::to_owned).into();
    assert_eq!(imports(text), expected);
    assert!(sources().len() > 50);
}

fn map() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap()
}

/// The rows `| [`room`] | what stands in it | may import |` of the map's table.
fn rules(map: &str) -> Rules {
    let cells = |line: &str| -> Option<(String, BTreeSet<String>)> {
        let row = line.strip_prefix("//! | [`")?.strip_suffix(" |")?;
        let (room, rest) = row.split_once("`]")?;
        let (_, list) = rest.rsplit_once(" | ")?;
        let rooms = list.split(", ").map(|name| name.trim_matches('`').to_owned());
        Some((room.to_owned(), if list == "nothing of ours" { BTreeSet::new() } else { rooms.collect() }))
    };
    map.lines().filter_map(cells).collect()
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
