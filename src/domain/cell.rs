//! Text in a table that a spreadsheet will open. What begins like a formula is one to a spreadsheet, wherever a cell begins: also in the
//! middle of a text, where it splits at another character than the file was written with.

use super::foreign::printable;

/// What begins a formula, full-width forms included: some spreadsheets take them for the same.
const STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// Where a spreadsheet may begin a cell.
const SEPARATES: [char; 3] = [',', ';', '|'];

/// `text` for a cell: nothing in it drives a terminal, and nothing in it is a formula, however the line is split. Whatever could begin one
/// has an apostrophe before it.
pub fn cell(text: &str) -> String {
    let text = printable(text);
    let mut out = String::with_capacity(text.len());
    // At its start, or after a separator and any blanks and quotes.
    let mut begins = true;
    for c in text.chars() {
        if begins && STARTS.contains(&c) {
            out.push('\'');
        }
        out.push(c);
        begins = SEPARATES.contains(&c) || c == '"' || (begins && (c.is_whitespace() || c == '\''));
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_begins_like_a_formula_is_text() {
        assert_eq!(cell("=HYPERLINK(\"http://evil\")"), "'=HYPERLINK(\"http://evil\")");
        assert_eq!(cell("+1-2"), "'+1-2");
        assert_eq!(cell(" @SUM(A1)"), " '@SUM(A1)");
        assert_eq!(cell("＝1"), "'＝1");
        assert_eq!(cell("x;=1,\"-2\" | +3"), "x;'=1,\"'-2\" | '+3");
        assert_eq!(cell("\t=1\r\n=2"), "\\u{9}=1\\u{d}\\u{a}=2");
        assert_eq!(cell("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(cell("HVC-LT-0421, 4f2b-91c0"), "HVC-LT-0421, 4f2b-91c0");
    }

    proptest! {
        #[test]
        fn no_part_of_any_text_begins_a_formula(text in "[-=+@,;|\"' \t\r\nａ＝ab]{0,24}", separator in "[,;|]") {
            for part in cell(&text).split(separator.as_str()) {
                let first = part.trim_start_matches(|c: char| c.is_whitespace() || c == '"').chars().next();
                prop_assert!(!first.is_some_and(|c| STARTS.contains(&c)), "{part:?}");
            }
        }
    }
}
