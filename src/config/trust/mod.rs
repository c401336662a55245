//! Whether a file is the administrators' alone: what an ordinary user can write, rename or replace is no policy of the organisation's.

#[cfg(any(windows, test))]
mod sddl;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;
#[cfg(windows)]
pub(super) use windows::program_data;

use super::ConfigError;

/// A policy is a few kilobytes. In bytes.
const LONGEST: u64 = 1024 * 1024;

/// Why a file is not believed.
#[derive(Debug)]
enum Distrust {
    /// It cannot be looked at.
    Io(PathBuf, io::Error),
    /// What stands there, what is wrong with it ("belongs to user 1000"), and the command that mends it.
    Weak { path: PathBuf, what: String, mend: String },
}

/// The text of `path`, or `None` where there is no such file.
///
/// The file that is read is the one that was checked: it is opened first, and every folder on the way is checked on its open handle
/// before anything is looked up in it.
///
/// # Errors
/// [`ConfigError::Untrusted`] when the file, or a folder above it, lets an ordinary user put other words there.
pub(super) fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let file = system::open(path).map_err(|distrust| match distrust {
        Distrust::Io(path, source) => ConfigError::Read { path, source },
        Distrust::Weak { path, what, mend } => ConfigError::Untrusted { path, what, mend },
    })?;
    file.map(|file| text(file).map_err(|source| ConfigError::Read { path: path.into(), source })).transpose()
}

fn text(file: File) -> io::Result<String> {
    let mut text = String::new();
    if file.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "this is more than a policy"));
    }
    // Editors on Windows begin a file with it.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
