//! Key IDs, and their beginnings as a caller reads them.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The GUID of a recovery-password protector: Entra's `bitlockerRecoveryKey.id`. Printed in capitals, as the recovery screen does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub Uuid);

impl KeyId {
    /// The eight characters a caller reads: `4F2B91C0`.
    pub fn short(self) -> String {
        format!("{:08X}", self.0.as_fields().0)
    }

    /// The same in two groups: `4F2B 91C0`.
    pub fn spoken(self) -> String {
        grouped(&self.short())
    }

    fn hex(self) -> String {
        format!("{:X}", self.0.simple())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.0.hyphenated())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How many characters a caller reads before a key may be disclosed.
pub const SPOKEN_LENGTH: usize = 8;

/// The first 1 to 32 hexadecimal characters of a key ID, in capitals.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// Reads what was typed or pasted: hex in any grouping, NATO and plain words ("four fox two bravo"), `O` for zero and `I` or `L`
    /// for one beside real digits, or a whole recovery screen with the key ID somewhere in it. `None` when it cannot be a key ID.
    pub fn read(text: &str) -> Option<Self> {
        if let Some(whole) = find_guid(text) {
            return Some(Self(whole));
        }
        let mut hex = String::new();
        for token in text.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty()) {
            match word(token) {
                Some(Word::Hex(c)) => hex.push(c),
                Some(Word::Filler) => {}
                None => hex.push_str(&hex_token(token)?),
            }
        }
        (1..=32).contains(&hex.len()).then_some(Self(hex))
    }

    /// How many characters were heard.
    pub fn heard(&self) -> usize {
        self.0.len()
    }

    /// How many are still missing before a key may be disclosed.
    pub fn missing(&self) -> usize {
        SPOKEN_LENGTH.saturating_sub(self.heard())
    }

    /// The whole key ID, when all 32 characters are there.
    pub fn whole(&self) -> Option<KeyId> {
        (self.0.len() == 32).then(|| Uuid::try_parse(&self.0).ok()).flatten().map(KeyId)
    }

    /// The first and the last GUID that begin so, both included: a range over an ordered index.
    pub fn range(&self) -> (Uuid, Uuid) {
        let bound = |fill: char| {
            let padded: String = self.0.chars().chain(std::iter::repeat(fill)).take(32).collect();
            Uuid::try_parse(&padded).unwrap_or_default()
        };
        (bound('0'), bound('F'))
    }

    pub fn begins(&self, id: KeyId) -> bool {
        id.hex().starts_with(&self.0)
    }

    /// As spoken, in fours: `4F2B 91`. At most the first eight.
    pub fn spoken(&self) -> String {
        grouped(&self.0[..self.0.len().min(SPOKEN_LENGTH)])
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn grouped(hex: &str) -> String {
    match hex.split_at_checked(4) {
        Some((first, rest)) if !rest.is_empty() => format!("{first} {rest}"),
        _ => hex.to_owned(),
    }
}

/// What the words before a GUID say that it is; the later wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Device,
    None,
    /// "ID", of something.
    Id,
    KeyId,
}

impl Label {
    /// Reads the last few words of `before`, what stands between a GUID and the one before it.
    fn read(before: &str) -> Self {
        const WORDS: usize = 12;
        let lower = before.to_lowercase();
        let mut words: Vec<&str> = lower.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).collect();
        words.drain(..words.len().saturating_sub(WORDS));
        let is_id = |word: &str| matches!(word, "id" | "identifier");
        let pair = |first: fn(&str) -> bool| words.windows(2).rposition(|pair| first(pair[0]) && is_id(pair[1]));
        // German Windows calls it "Kennung" and, in short, "Schlüssel-ID".
        let key = pair(|word| word == "key" || word.ends_with("schlüssel"))
            .max(words.iter().rposition(|word| *word == "keyid" || word.ends_with("kennung")));
        let is_device = |word: &str| word == "device" || word.starts_with("gerät");
        match (key, pair(is_device)) {
            (Some(key), device) if device.is_none_or(|device| device < key) => Self::KeyId,
            _ if words.iter().any(|word| is_device(word)) => Self::Device,
            _ if words.iter().any(|word| is_id(word)) => Self::Id,
            _ => Self::None,
        }
    }
}

/// The GUID in `text` that its label says to be the key ID, else the likeliest, as 32 capital hex characters. Of equals the first.
fn find_guid(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut best: Option<(Label, String)> = None;
    let (mut at, mut end_of_last) = (0, 0);
    while at + 36 <= bytes.len() {
        if let Some(hex) = guid_at(&bytes[at..at + 36]) {
            let label = Label::read(text.get(end_of_last..at).unwrap_or_default());
            if best.as_ref().is_none_or(|(known, _)| label > *known) {
                best = Some((label, hex));
            }
            at += 36;
            end_of_last = at;
        } else {
            at += 1;
        }
    }
    best.map(|(_, hex)| hex)
}

fn guid_at(window: &[u8]) -> Option<String> {
    let mut hex = String::with_capacity(32);
    for (i, &byte) in window.iter().enumerate() {
        match (i, byte) {
            (8 | 13 | 18 | 23, b'-') => {}
            (8 | 13 | 18 | 23, _) => return None,
            (_, b) if b.is_ascii_hexdigit() => hex.push(char::from(b.to_ascii_uppercase())),
            (_, b'o' | b'O') => hex.push('0'),
            _ => return None,
        }
    }
    Some(hex)
}

enum Word {
    Hex(char),
    /// Said, but not part of the ID.
    Filler,
}

fn word(token: &str) -> Option<Word> {
    let lower = token.to_ascii_lowercase();
    let hex = match lower.as_str() {
        "zero" | "oh" | "null" | "nought" => '0',
        "one" | "won" => '1',
        "two" => '2',
        "three" | "tree" => '3',
        "four" | "fower" => '4',
        "five" | "fife" => '5',
        "six" => '6',
        "seven" => '7',
        "eight" => '8',
        "nine" | "niner" => '9',
        "alpha" | "alfa" => 'A',
        "bravo" => 'B',
        "charlie" | "charly" => 'C',
        "delta" => 'D',
        "echo" => 'E',
        "fox" | "foxtrot" => 'F',
        "dash" | "hyphen" | "minus" | "key" | "id" => return Some(Word::Filler),
        _ => return None,
    };
    Some(Word::Hex(hex))
}

/// A run of letters and digits as hex, or `None`. Look-alikes count only beside a digit: "LAB" is a name, "4F2BO1" is not.
fn hex_token(token: &str) -> Option<String> {
    let has_digit = token.chars().any(|c| c.is_ascii_digit());
    token
        .chars()
        .map(|c| match c.to_ascii_uppercase() {
            c if c.is_ascii_hexdigit() => Some(c),
            'O' if has_digit => Some('0'),
            'I' | 'L' if has_digit => Some('1'),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::bare("4F2B91C0", "4F2B91C0")]
    #[case::lower_and_grouped("4f2b 91c0", "4F2B91C0")]
    #[case::hyphens_and_braces("{4f2b91c0-12", "4F2B91C012")]
    #[case::plain_and_nato_words("four, fox, two, bravo, nine, one, charlie, zero", "4F2B91C0")]
    #[case::letters_and_words_mixed("4 f two B 9 one charlie oh", "4F2B91C0")]
    #[case::look_alikes_beside_digits("4F2B9lCO", "4F2B91C0")]
    #[case::a_dash_that_was_said("four fox two bravo nine one charlie zero dash one two", "4F2B91C012")]
    fn what_a_caller_reads_becomes_a_prefix(#[case] typed: &str, #[case] hex: &str) {
        assert_eq!(KeyPrefix::read(typed).unwrap().as_str(), hex);
    }

    #[rstest]
    #[case::device_name("HVC-LT-0421")]
    #[case::short_word("LAB")]
    #[case::user("mara.voss")]
    #[case::empty("  ")]
    #[case::too_long("4F2B91C0 4F2B91C0 4F2B91C0 4F2B91C0 4")]
    fn what_cannot_be_a_key_id_is_none(#[case] typed: &str) {
        assert_eq!(KeyPrefix::read(typed), None);
    }

    #[test]
    fn a_pasted_recovery_screen_yields_its_key_id() {
        let screen = "BitLocker recovery\nEnter the recovery key for this drive\n\nRecovery key ID (to identify your key):\n\
                      4F2B91C0-6E1D-4C0B-9F7A-0B5D8B3C2A11\nDevice 3C1E4A00-1111-4222-8333-444455556666";
        let prefix = KeyPrefix::read(screen).unwrap();
        assert_eq!(prefix.whole().unwrap().to_string(), "4F2B91C0-6E1D-4C0B-9F7A-0B5D8B3C2A11");
    }

    #[rstest]
    #[case::device_first("Device ID: {other}, Recovery key ID: {key}")]
    #[case::key_first("Recovery key ID: {key}\nDevice ID: {other}")]
    #[case::a_bare_id_is_no_key_id("ID {other}. Key ID: {key}")]
    #[case::provided_is_no_id("as provided {other}, ID {key}")]
    #[case::of_a_device("Key ID of this device: {key}, device id {other}")]
    #[case::german("Geräte-ID: {other}\nWiederherstellungsschlüssel-ID: {key}")]
    #[case::german_in_short("Gerät {other}, Kennung für den Schlüssel: {key}")]
    #[case::without_a_label("{key} {other}")]
    #[case::device_without_id("the device {other} and {key}")]
    fn of_several_guids_the_one_labelled_as_the_key_id_is_meant(#[case] pasted: &str) {
        let key = "4F2B91C0-6E1D-4C0B-9F7A-0B5D8B3C2A11";
        let text = pasted.replace("{key}", key).replace("{other}", "3C1E4A00-1111-4222-8333-444455556666");
        assert_eq!(KeyPrefix::read(&text).unwrap().whole().unwrap().to_string(), key);
    }

    #[test]
    fn the_range_holds_every_id_that_begins_so_and_no_other() {
        let prefix = KeyPrefix::read("4F2B9").unwrap();
        let (first, last) = prefix.range();
        assert_eq!(first.to_string(), "4f2b9000-0000-0000-0000-000000000000");
        assert_eq!(last.to_string(), "4f2b9fff-ffff-ffff-ffff-ffffffffffff");
        assert!(prefix.begins(KeyId(first)) && prefix.begins(KeyId(last)));
        assert!(!prefix.begins(KeyId(Uuid::from_u128(last.as_u128() + 1))));
    }

    #[test]
    fn ids_print_as_the_recovery_screen_prints_them() {
        let id = KeyId("4f2b91c0-6e1d-4c0b-9f7a-0b5d8b3c2a11".parse().unwrap());
        assert_eq!((id.short(), id.spoken()), ("4F2B91C0".into(), "4F2B 91C0".into()));
        assert_eq!(format!("{id:?}"), "4F2B91C0-6E1D-4C0B-9F7A-0B5D8B3C2A11");
    }
}
