//! The files of an evidence pack: facts for a program, a page for a person, a script that checks both. One zip, the same bytes for the
//! same evidence.

use std::io::{Cursor, Write as _};

use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::domain::{
    digest::sha256,
    evidence::Evidence,
    foreign::{escaped_json, is_unsafe},
    recovery_password::blocks_in,
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("verify.py");

/// Why no pack can be made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("the evidence cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the page cannot be drawn: {0}")]
    Page(#[from] askama::Error),
    #[error("the zip cannot be written: {0}")]
    Zip(#[from] zip::result::ZipError),
    #[error("the zip cannot be written: {0}")]
    Write(#[from] std::io::Error),
    /// The last look before it is written found what no earlier step took out.
    #[error("{0} holds what looks like digits of a recovery password")]
    Digits(&'static str),
}

/// A pack, ready to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct Pack {
    pub bytes: Vec<u8>,
    /// Of the bytes, lower-case hex.
    pub sha256: String,
}

impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    e: &'a Evidence,
    style: &'a str,
    /// The only style the page's own rule lets a browser take.
    style_digest: String,
    script: &'a str,
}

/// Makes the pack. Refused where a file of it would hold what looks like digits of a key.
pub fn pack(evidence: &Evidence) -> Result<Pack, PackError> {
    let members =
        [("evidence.json", json(evidence)?), ("evidence.html", page(evidence)?), ("verify.py", SCRIPT.to_owned())];
    if let Some((name, _)) = members.iter().find(|(_, text)| !blocks_in(text).is_empty()) {
        return Err(PackError::Digits(name));
    }
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip_time(evidence.made.at.utc))
        .unix_permissions(0o600);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in members {
        zip.start_file(name, options)?;
        zip.write_all(text.as_bytes())?;
    }
    let bytes = zip.finish()?.into_inner();
    Ok(Pack { sha256: sha256(&bytes), bytes })
}

fn json(evidence: &Evidence) -> Result<String, PackError> {
    let text = serde_json::to_string_pretty(evidence)? + "\n";
    Ok(escaped_json(&text).into_owned())
}

/// The page. Names from outside are escaped by the template as HTML, and here whatever could turn or hide a line.
fn page(evidence: &Evidence) -> Result<String, PackError> {
    let style_digest = STANDARD.encode(Sha256::digest(STYLE));
    let drawn = Page { e: evidence, style: STYLE, style_digest, script: SCRIPT }.render()?;
    let mut out = String::with_capacity(drawn.len());
    for c in drawn.chars() {
        if c != '\n' && is_unsafe(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Ok(out)
}

/// UTC, to two seconds, as a zip can say it.
fn zip_time(at: jiff::Timestamp) -> DateTime {
    let at = at.to_zoned(jiff::tz::TimeZone::UTC);
    let part = |value: i8| u8::try_from(value).unwrap_or_default();
    DateTime::from_date_and_time(
        u16::try_from(at.year()).unwrap_or_default(),
        part(at.month()),
        part(at.day()),
        part(at.hour()),
        part(at.minute()),
        part(at.second()),
    )
    .unwrap_or_default()
}
