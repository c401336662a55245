//! Ticket numbers, as the organisation writes them.

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{
    foreign::{is_unsafe, printable},
    recovery_password,
};

/// A ticket number that fits the policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(String);

impl Ticket {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text is no ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    #[error("Type the number of the caller's ticket.")]
    Empty,
    #[error("{0} does not fit the pattern; a ticket looks like {1}.")]
    Pattern(String, String),
    #[error("{0} is a placeholder. Type the number of the caller's ticket.")]
    Placeholder(String),
    #[error(
        "That holds digits of a recovery password, which are written down nowhere. Type the number of the caller's ticket."
    )]
    Digits,
    #[error("A ticket's number has no invisible characters. Type it instead of pasting it.")]
    Invisible,
}

/// What a ticket looks like here.
#[derive(Clone, Debug)]
pub struct TicketRule {
    /// Must match the whole number. All of them: an organisation's pattern and a stricter one of the desk's own.
    patterns: Vec<Regex>,
    /// Filled in before the technician types: `INC`.
    pub prefix: String,
    /// Shown when the pattern does not fit.
    pub example: String,
}

/// Around a pattern, so that it must match the whole number.
const BEFORE: &str = "^(?:";
const AFTER: &str = ")$";

impl TicketRule {
    pub fn new(pattern: &str, prefix: &str, example: &str) -> Result<Self, regex::Error> {
        let mut rule = Self { prefix: prefix.to_owned(), example: example.to_owned(), ..Self::blank() };
        rule.also(pattern)?;
        Ok(rule)
    }

    /// A rule that has no pattern yet: whoever makes one demands one.
    pub(super) fn blank() -> Self {
        Self { patterns: Vec::new(), prefix: String::new(), example: String::new() }
    }

    /// Demand a further pattern.
    pub fn also(&mut self, pattern: &str) -> Result<(), regex::Error> {
        self.patterns.push(Regex::new(&format!("{BEFORE}{pattern}{AFTER}"))?);
        Ok(())
    }

    /// The patterns as written.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().filter_map(|pattern| pattern.as_str().strip_prefix(BEFORE)?.strip_suffix(AFTER))
    }

    /// The number meant by `typed`: the prefix is put before bare digits, and kept where it was typed. In capitals, so that one ticket
    /// has one spelling; as typed where only that fits.
    pub fn complete(&self, typed: &str) -> String {
        let typed = typed.trim();
        let prefix = if typed.starts_with(|c: char| c.is_ascii_digit()) { self.prefix.as_str() } else { "" };
        let (as_typed, capitals) = (format!("{prefix}{typed}"), format!("{prefix}{}", typed.to_uppercase()));
        if self.fits(&as_typed) && !self.fits(&capitals) { as_typed } else { capitals }
    }

    fn fits(&self, number: &str) -> bool {
        self.patterns.iter().all(|pattern| pattern.is_match(number))
    }

    /// The ticket `typed` names, or why it names none.
    pub fn read(&self, typed: &str) -> Result<Ticket, TicketError> {
        let number = self.complete(typed);
        if number.is_empty() {
            return Err(TicketError::Empty);
        }
        if number.contains(is_unsafe) {
            return Err(TicketError::Invisible);
        }
        if recovery_password::is_in(&number) {
            return Err(TicketError::Digits);
        }
        if !self.fits(&number) {
            let shown: String = printable(&number).chars().take(40).collect();
            return Err(TicketError::Pattern(shown, self.example.clone()));
        }
        if is_placeholder(&number) {
            return Err(TicketError::Placeholder(number));
        }
        Ok(Ticket(number))
    }
}

/// One digit repeated (INC0000000), or counted up from one (INC1234567), with at least four digits.
fn is_placeholder(number: &str) -> bool {
    let digits: Vec<u8> = number.bytes().filter(u8::is_ascii_digit).collect();
    let repeated = digits.windows(2).all(|pair| pair[0] == pair[1]);
    let counted = digits.windows(2).all(|pair| pair[1] == pair[0] + 1) && digits.first() == Some(&b'1');
    digits.len() >= 4 && (repeated || counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> TicketRule {
        TicketRule::new("INC[0-9]{7}", "INC", "INC0048213").unwrap()
    }

    #[test]
    fn bare_digits_get_the_prefix_and_a_typed_one_is_kept() {
        assert_eq!(rule().read("0048213").unwrap().as_str(), "INC0048213");
        assert_eq!(rule().read(" inc0048213 ").unwrap().as_str(), "INC0048213");
    }

    #[test]
    fn placeholders_are_refused_by_name() {
        assert_eq!(rule().read("0000000"), Err(TicketError::Placeholder("INC0000000".into())));
        assert_eq!(rule().read("INC1234567"), Err(TicketError::Placeholder("INC1234567".into())));
    }

    #[test]
    fn a_ticket_that_does_not_fit_says_what_one_looks_like() {
        let said = rule().read("48213").unwrap_err().to_string();
        assert_eq!(said, "INC48213 does not fit the pattern; a ticket looks like INC0048213.");
        assert_eq!(rule().read(""), Err(TicketError::Empty));
    }

    #[test]
    fn invisible_characters_are_refused_whatever_the_pattern() {
        let anything = TicketRule::new(".*", "", "1").unwrap();
        for typed in ["INC00\u{1b}[2J48213", "INC\u{202e}0048213", "INC0048213\u{200b}", "INC00\t48213"] {
            assert_eq!(anything.read(typed), Err(TicketError::Invisible), "{typed:?}");
        }
        assert_eq!(anything.read(" INC0048213\n").unwrap().as_str(), "INC0048213");
    }

    #[test]
    fn a_recovery_password_is_no_ticket_whatever_the_pattern() {
        let anything = TicketRule::new(".*", "", "1").unwrap();
        let password = "496298-461032-321464-595518-463221-173943-033616-139579";
        for rule in [rule(), anything] {
            let refused = rule.read(password).unwrap_err();
            assert_eq!(refused, TicketError::Digits);
            assert!(!refused.to_string().contains("496298"));
        }
    }

    #[test]
    fn a_pattern_in_small_letters_can_be_met() {
        let rule = TicketRule::new("req-[0-9]{4,}", "req-", "req-48213").unwrap();
        assert_eq!(rule.read("req-48213").unwrap().as_str(), "req-48213");
        assert_eq!(rule.read("48213").unwrap().as_str(), "req-48213");
        assert!(rule.read("REQ-48213").is_err());
    }

    #[test]
    fn where_both_spellings_fit_one_ticket_has_one_spelling() {
        let rule = TicketRule::new("(?i)inc[0-9]{7}", "INC", "INC0048213").unwrap();
        assert_eq!(rule.read("inc0048213"), rule.read("INC0048213"));
    }

    #[test]
    fn a_second_pattern_only_narrows() {
        let mut rule = rule();
        rule.also("INC00.*").unwrap();
        assert!(rule.read("0048213").is_ok());
        assert!(rule.read("1048213").is_err());
    }
}
