//! What was typed into the box: one box takes everything.

use super::key_id::KeyPrefix;

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
        let key = KeyPrefix::read(input);
        let whole = key.as_ref().is_some_and(|key| key.whole().is_some());
        let text = (!whole).then(|| name_in(input)).flatten();
        Self { key, text }
    }

    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.text.is_none()
    }
}

/// The first line with a letter or digit in it, of at least two characters.
fn name_in(input: &str) -> Option<String> {
    let line = input.lines().map(str::trim).find(|line| line.chars().any(char::is_alphanumeric))?;
    let clean: String = line.chars().filter(|c| !c.is_control()).take(LONGEST_NAME + 1).collect();
    let length = clean.chars().count();
    (2..=LONGEST_NAME).contains(&length).then_some(clean)
}

#[cfg(test)]
mod tests {
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
