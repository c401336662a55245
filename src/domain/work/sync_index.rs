//! The listing behind the desk.

use jiff::Timestamp;

/// How full the index is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub keys: usize,
    pub devices: usize,
    /// A walk is under way.
    pub running: bool,
    /// When the last complete walk began.
    pub complete_since: Option<Timestamp>,
    /// Why the last walk stopped short, in a sentence.
    pub stopped: Option<String>,
}
