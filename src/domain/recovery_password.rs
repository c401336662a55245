//! The secret itself: 48 digits in eight blocks of six. This is the only type that holds one.

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
}
