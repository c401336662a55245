//! The secret itself: 48 digits in eight blocks of six. This is the only type that holds one.

use std::{borrow::Cow, ops::Range};

use secrecy::{ExposeSecret, SecretString};

/// Blocks in a recovery password.
pub const BLOCKS: usize = 8;
/// Digits in a block.
pub const DIGITS: usize = 6;
/// The largest block: 65535 × 11.
const LARGEST_BLOCK: u32 = 720_885;

/// A recovery password as Entra gave it, cut into blocks. Zeroized on drop, redacted in `Debug`, never serialized.
#[derive(Clone, Debug)]
pub struct RecoveryPassword {
    blocks: Vec<SecretString>,
}

impl RecoveryPassword {
    /// Cuts `given` at its hyphens, or every six digits when it has none. Whatever Entra holds is kept as it stands: a caller needs it
    /// even when it fails the check.
    pub fn read(given: &SecretString) -> Self {
        let text = given.expose_secret().trim();
        let blocks = if text.contains('-') {
            text.split('-').map(SecretString::from).collect()
        } else {
            let mut rest = text;
            let mut blocks = Vec::with_capacity(BLOCKS);
            while !rest.is_empty() {
                let (block, more) = rest.split_at(rest.floor_char_boundary(DIGITS.min(rest.len())).max(1));
                blocks.push(SecretString::from(block));
                rest = more;
            }
            blocks
        };
        Self { blocks }
    }

    /// How many blocks there are: eight, unless Entra holds something odd.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Block `n`, counted from 0.
    pub fn block(&self, n: usize) -> Option<&SecretString> {
        self.blocks.get(n)
    }

    /// The blocks (from 1) that fail Microsoft's check, and whether there are eight. Empty when all is well.
    pub fn faults(&self) -> Vec<Fault> {
        let wrong = self.blocks.iter().enumerate().filter(|(_, block)| !is_valid_block(block.expose_secret()));
        let mut faults: Vec<Fault> = wrong.map(|(n, _)| Fault::Block(n + 1)).collect();
        if self.blocks.len() != BLOCKS {
            faults.push(Fault::Length(self.blocks.len()));
        }
        faults
    }

    /// Whether both hold the same digits.
    pub fn same_as(&self, other: &Self) -> bool {
        self.blocks.len() == other.blocks.len()
            && self.blocks.iter().zip(&other.blocks).all(|(a, b)| a.expose_secret() == b.expose_secret())
    }
}

impl PartialEq for RecoveryPassword {
    fn eq(&self, other: &Self) -> bool {
        self.same_as(other)
    }
}

/// What is wrong with a recovery password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This block, from 1, fails the check.
    Block(usize),
    /// There are so many blocks instead of eight.
    Length(usize),
}

impl Fault {
    /// The block that fails, if it is a block.
    pub fn block(self) -> Option<usize> {
        match self {
            Self::Block(n) => Some(n),
            Self::Length(_) => None,
        }
    }
}

/// Six digits, divisible by 11, at most 720885.
/// Source: Microsoft, "BitLocker recovery password details" (`si_team` archive): each block is a 16-bit number times 11.
pub fn is_valid_block(digits: &str) -> bool {
    digits.len() == DIGITS
        && digits.bytes().all(|b| b.is_ascii_digit())
        && digits.parse::<u32>().is_ok_and(|n| n.is_multiple_of(11) && n <= LARGEST_BLOCK)
}

/// So many marks may stand between two digits that belong together: " - ".
const MARKS: usize = 3;

/// Where `text` holds what looks like two blocks of a recovery password or more, as ranges of bytes: blocks that pass the check, side by
/// side, with one character or a few marks between; or three of them however they are cut, with a few marks between any two digits.
///
/// Two blocks inside a longer word, or at the end of a GUID, are chance: a page of hashes has some.
pub fn blocks_in(text: &str) -> Vec<Range<usize>> {
    let mut all = whole_blocks(text);
    all.extend(cut_blocks(text));
    // Nothing but zeros passes the check, and stands for "none" everywhere.
    all.retain(|range| text[range.clone()].contains(|c: char| c.is_ascii_digit() && c != '0'));
    all.sort_by_key(|range| range.start);
    all.into_iter().fold(Vec::new(), |mut merged: Vec<Range<usize>>, range| {
        match merged.last_mut().filter(|last| range.start <= last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => merged.push(range),
        }
        merged
    })
}

/// Blocks that stand as six digits each.
fn whole_blocks(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut row: Vec<Range<usize>> = Vec::new();
    let mut end = |row: &mut Vec<Range<usize>>| {
        if let (Some(first), Some(last)) = (row.first(), row.last()) {
            let range = first.start..last.end;
            if row.len() > 2 || (row.len() == 2 && stands_alone(text, &range)) {
                found.push(range);
            }
        }
        row.clear();
    };
    for block in six_digits(text) {
        let follows = row.last().is_some_and(|before| is_between(&text[before.end..block.start]));
        if !follows {
            end(&mut row);
        }
        if is_valid_block(&text[block.clone()]) {
            row.push(block);
        } else {
            end(&mut row);
        }
    }
    end(&mut row);
    found
}

/// Whether this can stand between two blocks: one character, or a few marks.
fn is_between(text: &str) -> bool {
    let count = text.chars().count();
    count < 2 || (count <= MARKS && !text.contains(char::is_alphanumeric))
}

/// Three blocks or more from any digit on, whatever marks are between their digits.
fn cut_blocks(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for stretch in stretches(text) {
        let mut at = 0;
        while at + DIGITS <= stretch.len() {
            let valid = |block: &&[(usize, char)]| {
                block.len() == DIGITS && is_valid_block(&block.iter().map(|(_, digit)| digit).collect::<String>())
            };
            let blocks = stretch[at..].chunks(DIGITS).take_while(valid).count();
            if blocks > 2 {
                let last = at + blocks * DIGITS - 1;
                found.push(stretch[at].0..stretch[last].0 + 1);
                at = last;
            }
            at += 1;
        }
    }
    found
}

/// Digits with their places, as long as no more than a few marks stand between two of them. A letter ends a stretch.
fn stretches(text: &str) -> Vec<Vec<(usize, char)>> {
    let mut all = vec![Vec::new()];
    let mut marks = 0;
    for (place, c) in text.char_indices() {
        if c.is_ascii_digit() {
            if let Some(last) = all.last_mut() {
                last.push((place, c));
            }
            marks = 0;
        } else {
            marks += if c.is_alphanumeric() { MARKS + 1 } else { 1 };
            if marks > MARKS && all.last().is_some_and(|last| !last.is_empty()) {
                all.push(Vec::new());
            }
        }
    }
    all
}

/// Every run of digits that can be cut into sixes, cut.
fn six_digits(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(u8::is_ascii_digit)?;
        let end = start + bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        at = end;
        Some(start..end)
    })
    .filter(|run| run.len().is_multiple_of(DIGITS))
    .flat_map(|run| run.step_by(DIGITS).map(|start| start..start + DIGITS))
}

fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let (before, after) = (&text[..range.start], &text[range.end..]);
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let ends_guid = || {
        let bytes = &before.as_bytes()[before.len().saturating_sub(GUID_HEAD.len())..];
        bytes.len() == GUID_HEAD.len()
            && bytes
                .iter()
                .zip(GUID_HEAD)
                .all(|(byte, form)| if *form == b'-' { byte == form } else { byte.is_ascii_hexdigit() })
    };
    !is_word(before.chars().next_back()) && !is_word(after.chars().next()) && !ends_guid()
}

/// What stands before a GUID's last twelve characters.
const GUID_HEAD: &[u8] = b"xxxxxxxx-xxxx-xxxx-xxxx-";

/// Whether `text` holds three blocks or more. Numbers that others made hold two by chance, now and then: a serial number of twelve digits.
pub fn is_in(text: &str) -> bool {
    let digits = |range: Range<usize>| text[range].bytes().filter(u8::is_ascii_digit).count();
    blocks_in(text).into_iter().any(|range| digits(range) >= 3 * DIGITS)
}

/// `text` with a word in the place of every digit that [`blocks_in`] finds.
pub fn withheld(text: &str) -> Cow<'_, str> {
    let found = blocks_in(text);
    if found.is_empty() {
        return text.into();
    }
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for range in found {
        out.push_str(&text[at..range.start]);
        out.push_str("[digits withheld]");
        at = range.end;
    }
    out.push_str(&text[at..]);
    out.into()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> RecoveryPassword {
        RecoveryPassword::read(&SecretString::from(text))
    }

    #[rstest]
    #[case("496298-461032-321464-595518-463221-173943-033616-139579")]
    #[case("158422-038236-492536-574783-256300-205084-114356-069773")]
    #[case("531058303050716078383614460922106975083446139161")]
    fn passwords_microsoft_printed_pass_the_check(#[case] text: &str) {
        assert_eq!(read(text).faults(), []);
        assert_eq!(read(text).len(), BLOCKS);
    }

    #[test]
    fn a_wrong_block_is_named_and_the_password_is_kept() {
        let password = read("496298-461033-321464-595518-463221-173943-033616-139579");
        assert_eq!(password.faults(), [Fault::Block(2)]);
        assert_eq!(password.block(1).unwrap().expose_secret(), "461033");
    }

    #[test]
    fn a_password_of_odd_length_says_so() {
        assert!(read("496298-461032").faults().contains(&Fault::Length(2)));
        assert!(read("").is_empty());
    }

    #[test]
    fn no_digit_shows_in_debug() {
        let shown = format!("{:?}", read("496298-461032-321464-595518-463221-173943-033616-139579"));
        assert!(!shown.contains("496298"), "{shown}");
    }

    #[test]
    fn the_largest_block_passes_and_the_next_multiple_of_eleven_does_not() {
        assert!(is_valid_block("720885"));
        assert!(!is_valid_block("720896"));
        assert!(is_valid_block("000000"));
        assert!(!is_valid_block("+00011"));
    }

    #[rstest]
    #[case::whole("say 496298-461032-321464-595518-463221-173943-033616-139579 now", "say [digits withheld] now")]
    #[case::without_hyphens("531058303050716078383614460922106975083446139161", "[digits withheld]")]
    #[case::two_blocks("it began 496298 461032.", "it began [digits withheld].")]
    #[case::with_another_mark("496298·461032·321464", "[digits withheld]")]
    #[case::one_block("ticket 496298", "ticket 496298")]
    #[case::fails_the_check("496299-461033", "496299-461033")]
    #[case::a_hash("a496298461032f", "a496298461032f")]
    #[case::a_guid("4f2b91c0-6e1d-4c0b-9f7a-496298461032", "4f2b91c0-6e1d-4c0b-9f7a-496298461032")]
    #[case::three_blocks_in_a_word("x496298461032321464y", "x[digits withheld]y")]
    #[case::one_digit_more("1531058303050716078383614460922106975083446139161", "1[digits withheld]")]
    #[case::what_the_first_row_names(&"0".repeat(64), &"0".repeat(64))]
    #[case::listed("496298, 461032 - 321464", "[digits withheld]")]
    #[case::in_pairs("53 10 58 30 30 50 71 60 78", "[digits withheld]")]
    #[case::a_time("2026-11-20T09:41:07.123456Z", "2026-11-20T09:41:07.123456Z")]
    fn blocks_that_pass_the_check_are_withheld_wherever_they_stand(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(withheld(text), expected);
    }

    proptest::proptest! {
        #[test]
        fn no_twelve_digits_of_a_password_are_left_however_they_are_marked_off(
            numbers in proptest::collection::vec(0_u32..65_536, BLOCKS),
            marks in proptest::collection::vec(proptest::option::of("[ ._/·-]{1,3}"), BLOCKS * DIGITS),
            before in "[ a-z0-9]{0,9}",
            after in "[ a-z0-9]{0,9}",
        ) {
            let digits: String = numbers.iter().map(|number| format!("{:06}", number * 11)).collect::<Vec<_>>().concat();
            let marked: String = digits.chars().zip(marks).map(|(digit, mark)| digit.to_string() + &mark.unwrap_or_default()).collect();
            let text = format!("{before}{marked}{after}");
            let left: String = withheld(&text).chars().filter(char::is_ascii_digit).collect();
            for twelve in 0..=digits.len() - 12 {
                proptest::prop_assert!(!left.contains(&digits[twelve..twelve + 12]), "{text} leaves {left}");
            }
        }
    }
}
