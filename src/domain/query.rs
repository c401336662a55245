//! What was typed into the box: one box takes everything.

use super::key_id::{KeyPrefix, SPOKEN_LENGTH};

/// More than this of a paste is not read: a recovery screen is a few hundred characters.
const READ_AT_MOST: usize = 16 * 1024;
/// The longest name Entra gives a device (`displayName`, 256 characters).
const LONGEST_NAME: usize = 256;

/// The readings of one input. Both may stand: `FACE` begins key IDs and device names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub key: Option<KeyPrefix>,
    /// A device name, a serial or a user: one line, trimmed, no controls.
    pub text: Option<String>,
}

impl Query {
    pub fn read(input: &str) -> Self {
        let input = &input[..input.floor_char_boundary(READ_AT_MOST)];
        if let Some(key) = KeyPrefix::read(input) {
            let text = key.whole().is_none().then(|| name_in(input)).flatten();
            return Self { key: Some(key), text };
        }
        match labelled(input) {
            Some(key) => Self { key: Some(key), text: None },
            None => Self { key: None, text: name_in(input) },
        }
    }

    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.text.is_none()
    }
}

/// The lines of a paste: terminals send them with CR, LF or both.
fn lines(input: &str) -> impl Iterator<Item = &str> {
    input.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty())
}

/// A key ID of eight characters or more that a label introduces, in its line or the next: "Key ID: B7D40E12".
fn labelled(input: &str) -> Option<KeyPrefix> {
    const LABELS: [&str; 4] = ["key id", "schlüssel-id", "kennung", "id:"];
    let lower = input.to_lowercase();
    let lines: Vec<&str> = lines(&lower).collect();
    let after = |label: &str| {
        lines.iter().enumerate().find_map(|(n, line)| {
            let (before, rest) = line.split_once(label)?;
            // Another thing's id is none of a key.
            let bare = label == "id:" && before.chars().any(char::is_alphanumeric);
            let next = lines.get(n + 1).copied().unwrap_or_default();
            let value = if rest.chars().any(char::is_alphanumeric) { rest } else { next };
            (!bare).then(|| value.split(|c: char| !c.is_alphanumeric()).find(|token| is_key_id(token))).flatten()
        })
    };
    LABELS.iter().find_map(|label| after(label)).and_then(KeyPrefix::read)
}

/// At least what a caller reads, and not a word.
fn is_key_id(token: &str) -> bool {
    (SPOKEN_LENGTH..=32).contains(&token.len())
        && token.chars().all(|c| c.is_ascii_hexdigit())
        && token.chars().any(|c| c.is_ascii_digit())
}

/// The first line with a letter or digit in it, of at least two characters.
fn name_in(input: &str) -> Option<String> {
    let line = lines(input).find(|line| line.chars().any(char::is_alphanumeric))?;
    let clean: String = line.chars().filter(|c| !c.is_control()).take(LONGEST_NAME + 1).collect();
    let length = clean.chars().count();
    (2..=LONGEST_NAME).contains(&length).then_some(clean)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn hex_reads_both_as_a_key_id_and_as_a_name() {
        let query = Query::read("face");
        assert_eq!(query.key.unwrap().as_str(), "FACE");
        assert_eq!(query.text.as_deref(), Some("face"));
    }

    #[test]
    fn a_name_reads_as_text_only() {
        let query = Query::read(" HVC-LT-0421 ");
        assert_eq!((query.key, query.text.as_deref()), (None, Some("HVC-LT-0421")));
    }

    #[test]
    fn a_whole_key_id_is_no_name() {
        let query = Query::read("4f2b91c0-6e1d-4c0b-9f7a-0b5d8b3c2a11");
        assert!(query.key.is_some() && query.text.is_none());
    }

    #[rstest]
    #[case("HVC-LT-0421\rKey ID: B7D40E12\rMara Voss")]
    #[case("HVC-LT-0421\r\nRecovery key ID:\r\nB7D40E12-6E1D")]
    #[case("Gerät HVC-LT-0421\nKennung: b7d40e12")]
    #[case("Laptop of Mara\nID: B7D40E12")]
    #[case("Device ID: 3C1E4A00\rkey id b7d40e12")]
    fn of_several_lines_the_labelled_key_id_is_meant(#[case] pasted: &str) {
        let query = Query::read(pasted);
        assert_eq!(query.key.unwrap().as_str(), "B7D40E12");
        assert_eq!(query.text, None);
    }

    #[rstest]
    #[case("HVC-LT-0421\rINC0048213")]
    #[case("HVC-LT-0421\nKey ID: not known")]
    #[case("HVC-LT-0421\nAsset ID: 30251842")]
    fn without_a_labelled_key_id_the_first_line_is_a_name(#[case] pasted: &str) {
        let query = Query::read(pasted);
        assert_eq!((query.key, query.text.as_deref()), (None, Some("HVC-LT-0421")));
    }

    #[test]
    fn punctuation_alone_is_nothing() {
        assert!(Query::read(" -- \u{7} ?").is_empty());
    }

    #[test]
    fn a_paste_of_ten_megabytes_is_read_in_a_bounded_way() {
        let huge = "é!".repeat(5 * 1024 * 1024);
        assert!(Query::read(&huge).is_empty());
    }
}
