//! Text that somebody else wrote. A device name is chosen by anyone who can join a laptop, so it never reaches a terminal, a file or a
//! log as it came.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use serde::{Deserialize, Serialize};

/// Text from outside. `Display` is safe to print; [`Foreign::raw`] is for comparing and searching only.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Foreign(String);

impl Foreign {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it came. Never print this.
    pub fn raw(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// Holds a strongly right-to-left letter: such text goes last in its row.
    pub fn is_right_to_left(&self) -> bool {
        self.0.chars().any(|c| matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}'))
    }
}

impl From<&str> for Foreign {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&self.0))
    }
}

/// `text` with every control, format and direction character written out as `\u{..}`, on one line.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Controls, line and paragraph separators, zero-width and bidirectional format characters, tags and private use.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{E0FFF}')
}

/// `json` with what a terminal must not see as `\u` escapes. Outside its strings JSON has none of it but the line ends.
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    let hides = |c: char| c != '\n' && is_unsafe(c);
    if !json.contains(hides) {
        return json.into();
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if hides(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // A `String` takes all that is written to it.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_in_a_device_name_are_written_out() {
        let name = Foreign::new("HVC\u{1b}[2J\u{7}-LT");
        assert_eq!(name.to_string(), "HVC\\u{1b}[2J\\u{7}-LT");
    }

    #[test]
    fn direction_controls_are_written_out_and_letters_stay() {
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(printable("診察室 שלום"), "診察室 שלום");
    }

    #[test]
    fn json_holds_hostile_names_escaped_and_reads_back_as_they_came() {
        let name = "HVC\u{9b}2J\u{7f}\u{202e}\u{e0041}\u{1b}-LT \u{5e9}\u{5dc} \"診\"\n";
        let text = serde_json::to_string_pretty(&[name]).unwrap();
        let out = escaped_json(&text);
        assert!(!out.contains(|c| c != '\n' && is_unsafe(c)), "{out}");
        assert!(out.contains(r"\u009b2J\u007f\u202e\udb40\udc41\u001b-LT"), "{out}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&out).unwrap(), [name]);
    }

    #[test]
    fn harmless_json_is_printed_as_it_is() {
        assert!(matches!(escaped_json("{\n  \"device\": \"診察室\"\n}"), Cow::Borrowed(_)));
    }
}
