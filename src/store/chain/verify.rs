//! Whether the rows follow one another, and if not, where and how somebody was at work. Only the place of a row is read here, never its
//! event: a row of a newer version is no break.

use std::str::FromStr;

use rusqlite::Connection;

use super::{Envelope, GENESIS, Head, Stored, stored};
use crate::{domain::digest::sha256, store::TxError};

/// A call note prints so many characters of a hash: fewer name nothing.
const LEAST: usize = 8;
/// From the lowest number there can be: no row of ours is below 1, but one that was put there is seen.
const EVERY: u64 = i64::MIN.cast_unsigned();

/// Where and how a chain breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    #[error("row {0} was edited: its bytes do not have the hash that is stored beside them")]
    Edited(u64),
    #[error("row {0} was edited and its hash computed anew: what stands around it names another")]
    Rehashed(u64),
    #[error("row {0} is no row of a ledger: {1}")]
    NoRow(u64, String),
    #[error("{} deleted", rows(*.first, *.last))]
    Deleted { first: u64, last: u64 },
    #[error("row {0} was inserted: it is not of this chain")]
    Inserted(u64),
    #[error("row {0} stands in another place than it was written (reordered)")]
    Reordered(u64),
    #[error(
        "the rows end at {end}, and none bears the head {given}: rows were cut off the end (truncated), or this is another chain"
    )]
    Truncated { end: u64, given: Given },
    #[error("row {seq} has another hash than the head {given}: this is another chain")]
    Another { seq: u64, given: Given },
}

fn rows(first: u64, last: u64) -> String {
    if first == last { format!("row {first} was") } else { format!("rows {first} to {last} were") }
}

impl Break {
    /// In a word, for scripts.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Edited(_) | Self::Rehashed(_) => "edited",
            Self::NoRow(..) => "no-row",
            Self::Deleted { .. } => "deleted",
            Self::Inserted(_) => "inserted",
            Self::Reordered(_) => "reordered",
            Self::Truncated { .. } => "truncated",
            Self::Another { .. } => "another",
        }
    }

    /// The first row it concerns; of rows cut off the end, the first that may be missing.
    pub fn row(&self) -> u64 {
        match self {
            Self::Edited(seq)
            | Self::Rehashed(seq)
            | Self::NoRow(seq, _)
            | Self::Inserted(seq)
            | Self::Reordered(seq)
            | Self::Another { seq, .. }
            | Self::Deleted { first: seq, .. } => *seq,
            Self::Truncated { end, .. } => end + 1,
        }
    }
}

/// A head somebody kept elsewhere: its hash or the first characters of it, perhaps with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    seq: Option<u64>,
    /// Lower-case hex.
    hash: String,
}

/// Why a text is no head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a head is 8 to 64 hexadecimal digits, as a call note ends with, or SEQ:HASH")]
pub struct NoHead;

impl Given {
    /// This very head.
    pub fn of(head: &Head) -> Self {
        Self { seq: Some(head.seq), hash: head.hash.clone() }
    }
}

impl FromStr for Given {
    type Err = NoHead;

    fn from_str(text: &str) -> Result<Self, NoHead> {
        let (seq, hash) = match text.trim().split_once(':') {
            Some((seq, hash)) => (Some(seq.trim().parse().map_err(|_| NoHead)?), hash.trim()),
            None => (None, text.trim()),
        };
        let is_hash = (LEAST..=GENESIS.len()).contains(&hash.len()) && hash.bytes().all(|b| b.is_ascii_hexdigit());
        is_hash.then(|| Self { seq, hash: hash.to_ascii_lowercase() }).ok_or(NoHead)
    }
}

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "{seq}:{}", self.hash),
            None => f.write_str(&self.hash),
        }
    }
}

/// Where a given head stands in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    pub row: Head,
    /// Only its first characters were given.
    pub prefix: bool,
}

/// A whole chain: its end, and where the given head stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub head: Head,
    pub given: Option<Matched>,
}

/// One row's place as its bytes tell it.
#[derive(Clone, Debug)]
struct Link {
    /// The column's number.
    at: u64,
    seq: u64,
    prev: String,
    hash: String,
}

impl Link {
    fn of(row: &Stored) -> Result<Self, Break> {
        let hash = sha256(&row.bytes);
        if hash != row.hash {
            return Err(Break::Edited(row.seq));
        }
        let Envelope { seq, prev } =
            serde_json::from_slice(&row.bytes).map_err(|error| Break::NoRow(row.seq, error.to_string()))?;
        Ok(Self { at: row.seq, seq, prev, hash })
    }
}

/// Walks the whole chain, and looks for `given` in it. The first break where it does not hold.
pub(in crate::store) fn verify(conn: &Connection, given: Option<&Given>) -> Result<Result<Seen, Break>, TxError> {
    let mut before = Link { at: 0, seq: 0, prev: String::new(), hash: GENESIS.into() };
    let (mut broken, mut unlinked, mut matched) = (None, None, None);
    stored(conn, EVERY, |row| {
        let link = match Link::of(row) {
            Ok(link) => link,
            Err(error) => {
                broken = Some(error);
                return false;
            }
        };
        if link.prev != before.hash || link.seq != link.at || link.at != before.at + 1 {
            unlinked = Some(link);
            return false;
        }
        if let Some(given) = given {
            match given.meets(&link) {
                Some(true) => {
                    let row = Head { seq: link.seq, hash: link.hash.clone() };
                    matched = Some(Matched { prefix: given.hash.len() < GENESIS.len(), row });
                }
                Some(false) => {
                    broken = Some(Break::Another { seq: link.seq, given: given.clone() });
                    return false;
                }
                None => {}
            }
        }
        before = link;
        true
    })?;
    if let Some(link) = unlinked {
        return Ok(Err(diagnose(conn, &before, &link)?));
    }
    if let Some(broken) = broken {
        return Ok(Err(broken));
    }
    Ok(match given {
        Some(given) if matched.is_none() => Err(Break::Truncated { end: before.seq, given: given.clone() }),
        _ => Ok(Seen { head: Head { seq: before.seq, hash: before.hash }, given: matched }),
    })
}

impl Given {
    /// Whether this row is the one meant: by number where one was given, else by hash alone.
    fn meets(&self, link: &Link) -> Option<bool> {
        let same = link.hash.starts_with(&self.hash);
        match self.seq {
            Some(seq) => (seq == link.seq).then_some(same),
            None => same.then_some(true),
        }
    }
}

/// What was done at `link`, the first row that does not follow `before`: told from what the rows elsewhere in the table name.
fn diagnose(conn: &Connection, before: &Link, link: &Link) -> Result<Break, TxError> {
    let mut others = Vec::new();
    stored(conn, EVERY, |row| {
        others.extend(Link::of(row).ok().filter(|other| other.at != link.at));
        true
    })?;
    let expected = before.at + 1;
    let is_copy = others.iter().any(|other| other.hash == link.hash);
    let follows_another = others.iter().any(|other| other.hash == link.prev);
    let has_successor = others.iter().any(|other| other.prev == before.hash);
    Ok(if link.prev == before.hash {
        // Its bytes name the right row before it, and a wrong number.
        if link.seq == expected { Break::Reordered(link.at) } else { Break::Rehashed(link.at) }
    } else if is_copy {
        Break::Inserted(link.at)
    } else if before.at > 0 && link.prev == before.prev {
        // Two rows name the same one before them: the later one bears the number that the earlier took.
        Break::Inserted(before.at)
    } else if has_successor {
        if follows_another { Break::Reordered(link.at) } else { Break::Inserted(link.at) }
    } else if link.at > expected {
        Break::Deleted { first: expected, last: link.at - 1 }
    } else if link.seq > expected {
        Break::Deleted { first: expected, last: link.seq - 1 }
    } else if link.seq < expected {
        Break::Inserted(link.at)
    } else {
        Break::Rehashed(if before.at > 0 { before.at } else { link.at })
    })
}
