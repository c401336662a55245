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
    /// What stands there, what is wrong with it ("belongs to the user 1000"), and what mends it.
    Weak { path: PathBuf, what: String, mend: String },
}

impl From<Distrust> for ConfigError {
    fn from(distrust: Distrust) -> Self {
        let (path, error) = match distrust {
            Distrust::Weak { path, what, mend } => return Self::Policy { path, what, mend },
            Distrust::Io(path, error) => (path, error),
        };
        let (what, mend) = match error.kind() {
            io::ErrorKind::PermissionDenied => ("cannot be read by this account".into(), system::let_read(&path)),
            io::ErrorKind::IsADirectory => ("is a folder, and no file".into(), "put the file in its place".into()),
            io::ErrorKind::NotADirectory => ("is a file, and no folder".into(), "put the folder in its place".into()),
            io::ErrorKind::InvalidData => ("is not written in UTF-8".into(), "save it as UTF-8".into()),
            _ => (format!("cannot be read: {error}"), "lay the policy down anew".into()),
        };
        Self::Policy { path, what, mend }
    }
}

/// The text of `path`, or `None` where there is no such file.
///
/// The file that is read is the one that was checked: it is opened first, and every folder on the way is checked on its open handle
/// before anything is looked up in it.
///
/// # Errors
/// [`ConfigError::Policy`] when the file, or a folder above it, lets an ordinary user put other words there, or cannot be read.
pub(super) fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let Some(file) = system::open(path)? else { return Ok(None) };
    Ok(Some(text(file).map_err(|error| Distrust::Io(path.into(), error))?))
}

fn text(file: File) -> io::Result<String> {
    let mut text = String::new();
    if file.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is more than a policy"));
    }
    // Editors on Windows begin a file with it.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
