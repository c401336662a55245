//! An evidence pack.

use std::path::PathBuf;

/// A pack that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub file: PathBuf,
    /// Of the file, lower-case hex.
    pub sha256: String,
    /// How many calls and rows are in it.
    pub calls: usize,
    pub rows: usize,
    /// The ledger's head in it.
    pub head_seq: u64,
    pub head: String,
    /// Where the ledger's chain breaks, in a sentence.
    pub broken: Option<String>,
    /// The export's own row; `None` where the ledger was only read.
    pub recorded: Option<u64>,
}
