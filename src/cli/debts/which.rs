//! Which debt is meant: by its key's ID, whole or the first eight characters and more.

use crate::{
    desk::Desk,
    domain::{
        debt::Debt,
        key_id::{self, KeyId, SPOKEN_LENGTH},
        work::{Failure, Kind},
    },
    ops,
};

/// A key ID, or at least as much of it as a caller reads aloud and the list shows.
#[derive(Clone, Debug)]
pub(in crate::cli) struct KeyPrefix(pub(in crate::cli) key_id::KeyPrefix);

impl std::str::FromStr for KeyPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Nothing but the ID: an argument is no place for a whole recovery screen.
        let is_bare = text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '-' | '{' | '}' | ' '));
        let typed = text.chars().filter(char::is_ascii_hexdigit).count();
        let is_whole = |prefix: &key_id::KeyPrefix| is_bare && prefix.heard() == typed && prefix.missing() == 0;
        let read = key_id::KeyPrefix::read(text).filter(is_whole);
        read.map(Self).ok_or_else(|| format!("a key ID, or its first {SPOKEN_LENGTH} characters or more"))
    }
}

impl KeyPrefix {
    /// The one debt of this key: the open one, else the one that ended last.
    pub(super) async fn debt(&self, desk: &Desk) -> Result<Debt, Failure> {
        one(self, ops::history::all(desk).await?)
    }
}

fn one(prefix: &KeyPrefix, mut debts: Vec<Debt>) -> Result<Debt, Failure> {
    let keys: Vec<KeyId> = debts.iter().map(|debt| debt.key).collect();
    match prefix.among(&keys)[..] {
        [] => Err(Failure::new(Kind::NotFound, "No key of this ledger's debts begins so.")
            .next("`keydesk debts list --all` names every debt there ever was.")),
        [at] => Ok(debts.swap_remove(at)),
        ref several => {
            let named = several.iter().map(|at| &debts[*at]);
            let list: Vec<String> =
                named.map(|debt| format!("{}  {}  {}", debt.key, debt.device_name, debt.word())).collect();
            Err(Failure::new(Kind::Usage, format!("{} keys begin so; name one by its whole ID:", list.len()))
                .meaning(list.join("\n  ")))
        }
    }
}

impl KeyPrefix {
    /// Where each key that begins so stands first: of two debts of one key the first is meant.
    fn among(&self, keys: &[KeyId]) -> Vec<usize> {
        (0..keys.len()).filter(|&at| self.0.begins(keys[at]) && !keys[..at].contains(&keys[at])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(text: &str, keys: &[&str]) -> Vec<usize> {
        let keys: Vec<KeyId> = keys.iter().map(|key| KeyId(key.parse().unwrap())).collect();
        text.parse::<KeyPrefix>().unwrap().among(&keys)
    }

    const ONE: &str = "4f2b91c0-0000-0000-0000-000000000000";
    const ALIKE: &str = "4f2b91c0-0000-0000-0000-000000000001";
    const OTHER: &str = "c70e55a1-0000-0000-0000-000000000000";

    #[test]
    fn eight_characters_name_a_key_however_they_are_written() {
        for text in
            ["4f2b91c0", "4F2B91C0", "4F2B 91C0", "4F2B91C0-0000-0000", "{4f2b91c0-0000-0000-0000-000000000000}"]
        {
            assert_eq!(among(text, &[OTHER, ONE]), [1], "{text}");
        }
        assert!(among("4F2B91C1", &[ONE, OTHER]).is_empty());
        for text in ["4F2B91C", "HVC-LT-0421", "", "4f2b91c0-0000-0000-0000-000000000000-0"] {
            assert!(text.parse::<KeyPrefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn two_keys_that_begin_alike_are_both_found_and_one_key_twice_is_one() {
        assert_eq!(among("4F2B91C0", &[ONE, OTHER, ALIKE]), [0, 2]);
        assert_eq!(among(ALIKE, &[ONE, OTHER, ALIKE]), [2]);
        assert_eq!(among("4F2B91C0", &[ONE, ONE, OTHER]), [0]);
    }
}
