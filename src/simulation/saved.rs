//! A tenant in a file, so that a story can be continued. The file holds metadata and dates: no digits of any key
//! (they follow from seed and key ID) and of tokens only digests.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Error, world::World};

/// Grows when the file's shape changes; another version's file is refused rather than guessed at.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    version: u32,
    scenario: String,
    /// How far simulated time ran before the wall clock, in milliseconds.
    pub offset_ms: i64,
    pub world: World,
}

#[derive(Serialize)]
struct Saving<'a> {
    version: u32,
    scenario: &'a str,
    offset_ms: i64,
    world: &'a World,
}

/// Replace the file in one step: whoever reads it finds the old tenant or the new one, whole.
pub fn save(path: &Path, scenario: &str, offset_ms: i64, world: &World) -> Result<(), Error> {
    let unwritable = |source| Error::Unwritable { path: path.to_owned(), source };
    let saving = Saving { version: VERSION, scenario, offset_ms, world };
    let text = serde_json::to_vec(&saving).map_err(|error| unwritable(error.into()))?;
    let beside = beside(path);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_data()?;
        drop(file);
        fs::rename(&beside, path)
    };
    write().map_err(unwritable)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// The tenant in this file; `None` where there is no file yet. A file of another scenario, seed or version is refused.
pub fn load(path: &Path, scenario: &str, seed: u64) -> Result<Option<Saved>, Error> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Unreadable { path: path.to_owned(), source }),
    };
    let strange = |why: String| Error::StrangeState { path: path.to_owned(), why };
    let mut saved: Saved = serde_json::from_slice(&text).map_err(|error| strange(error.to_string()))?;
    if saved.version != VERSION {
        return Err(strange(format!("it has version {}, this program writes {VERSION}", saved.version)));
    }
    if saved.scenario != scenario || saved.world.seed != seed {
        let why = format!("it holds the scenario {} under seed {}", saved.scenario, saved.world.seed);
        return Err(strange(why));
    }
    saved.world.reindex();
    Ok(Some(saved))
}
