//! Chance that can be repeated: everything that is drawn follows from the seed and a label.

use rand::{Rng, RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// A source of draws. The same seed and label give the same draws on every machine.
#[derive(Debug, Clone)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64, label: &str) -> Self {
        let digest = Sha256::new_with_prefix(seed.to_le_bytes()).chain_update(label).finalize();
        Self(ChaCha8Rng::from_seed(digest.into()))
    }

    /// A random (version 4) GUID.
    pub fn guid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A GUID that starts with these hexadecimal digits, at most eight.
    pub fn guid_starting(&mut self, prefix: &str) -> Uuid {
        let drawn = self.guid().simple().to_string();
        let start = prefix.len().min(8);
        format!("{}{}", &prefix[..start], &drawn[start..]).parse().unwrap_or_else(|_| self.guid())
    }

    /// From `low` up to and including `high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high.max(low))
    }

    /// One of them; `None` of an empty list.
    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.choose(&mut self.0)
    }

    /// One of them, by weight.
    pub fn one_weighted<'a, T>(&mut self, of: &'a [T], weight: impl Fn(&T) -> u32) -> Option<&'a T> {
        of.choose_weighted(&mut self.0, weight).ok()
    }

    /// The numbers below `n` in a random order.
    pub fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.0.random_range(0..=last));
        }
        order
    }

    /// `length` characters out of `alphabet`.
    pub fn text(&mut self, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..length).filter_map(|_| letters.choose(&mut self.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_label_draw_the_same() {
        let draw = |seed, label| Dice::new(seed, label).guid();
        assert_eq!(draw(7, "keys"), draw(7, "keys"));
        assert_ne!(draw(7, "keys"), draw(8, "keys"));
        assert_ne!(draw(7, "keys"), draw(7, "devices"));
    }

    #[test]
    fn a_guid_keeps_the_digits_it_should_start_with() {
        let guid = Dice::new(1, "x").guid_starting("4F2B91C0");
        assert!(guid.to_string().starts_with("4f2b91c0-"), "{guid}");
    }
}
