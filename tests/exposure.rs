//! The few places that take a secret out of its type are counted: a new one is a decision, made here.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{collections::BTreeMap, fs, path::Path};

/// File and how often it exposes a secret, outside its tests.
const EXPOSED: &[(&str, usize)] = &[
    // The recovery password, measured and joined for a terminal or a pipe.
    ("src/cli/reveal.rs", 2),
    // Cut into blocks, checked, compared.
    ("src/domain/recovery_password.rs", 4),
    // The secret that signs what a collector gets.
    ("src/forward/webhook.rs", 1),
    // From the answer into its type.
    ("src/graph/recovery_keys.rs", 1),
    // Tokens: the Authorization header, the state and nonce of a browser, the device code shown to a person, the session, the vault, the token forms.
    ("src/http/request.rs", 1),
    ("src/sign_in/browser.rs", 2),
    ("src/sign_in/device_code.rs", 1),
    ("src/sign_in/renewal.rs", 4),
    ("src/sign_in/session.rs", 2),
    ("src/sign_in/vault.rs", 2),
    ("src/sign_in/wire.rs", 2),
    // The stage.
    ("src/tui/screens/stage/mod.rs", 1),
];

#[test]
fn every_place_that_exposes_a_secret_is_known() {
    let mut found = BTreeMap::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let expected: BTreeMap<String, usize> = EXPOSED.iter().map(|&(file, n)| (file.to_owned(), n)).collect();
    assert_eq!(found, expected);
}

fn walk(folder: &Path, found: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
            continue;
        }
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_string_lossy().replace('\\', "/");
        if path.extension().is_none_or(|ext| ext != "rs") || name.ends_with("tests.rs") || name.contains("/tests/") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let count = code.matches("expose_secret()").count() + code.matches(".secret()").count();
        if count > 0 {
            found.insert(name, count);
        }
    }
}
