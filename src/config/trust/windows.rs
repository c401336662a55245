//! Owners and access lists, from the drive down. Windows tells them in one line of text, which [`super::sddl`] judges.
//!
//! The crate that asks Windows is small and wraps winapi; only two of its functions are used, both without pointers of ours.

use std::{
    fs::{File, OpenOptions},
    io,
    os::windows::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use windows_permissions::{
    constants::{SeObjectType, SecurityInformation},
    wrappers::{ConvertSecurityDescriptorToStringSecurityDescriptor, GetSecurityInfo},
};

use super::{
    Distrust,
    sddl::{self, Kind},
};

const READ_CONTROL: u32 = 0x2_0000;
/// A folder can be opened only so.
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
/// What is opened is what stands there, not what it points to.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x400;

/// Opens `path`, which is absolute, when administrators alone decide what stands there. `None` where nothing does.
///
/// From the drive down: what was found in a folder that only administrators can change cannot be another thing a moment later.
pub(super) fn open(path: &Path) -> Result<Option<File>, Distrust> {
    let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
    folders.reverse();
    for folder in folders {
        let mut options = OpenOptions::new();
        options.access_mode(READ_CONTROL).custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
        let Some(opened) = present(folder, options.open(folder))? else { return Ok(None) };
        check(folder, &opened, Kind::Folder)?;
    }
    let opened = OpenOptions::new().read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path);
    let Some(file) = present(path, opened)? else { return Ok(None) };
    check(path, &file, Kind::File)?;
    Ok(Some(file))
}

fn present(path: &Path, opened: io::Result<File>) -> Result<Option<File>, Distrust> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(|error| Distrust::Io(path.into(), error)),
    }
}

fn check(path: &Path, opened: &File, kind: Kind) -> Result<(), Distrust> {
    let failed = |error: io::Error| Distrust::Io(path.into(), error);
    if opened.metadata().map_err(failed)?.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        let mend = format!("put the thing itself in the place of the link \"{}\"", path.display());
        return Err(Distrust::Weak { path: path.into(), what: "is a link to another place".into(), mend });
    }
    let wanted = SecurityInformation::Owner | SecurityInformation::Dacl;
    let descriptor = GetSecurityInfo(opened, SeObjectType::SE_FILE_OBJECT, wanted).map_err(failed)?;
    let text = ConvertSecurityDescriptorToStringSecurityDescriptor(&descriptor, wanted).map_err(failed)?;
    let text = text.to_string_lossy();
    sddl::judge(text.trim_end_matches('\0'), kind).map_err(|what| Distrust::Weak {
        path: path.into(),
        what,
        mend: mend(path, kind),
    })
}

/// By SID, since groups have other names in other languages: SYSTEM and Administrators everything, Users to read. Of a folder of the
/// system's own nobody is told to change the whole list.
fn mend(path: &Path, kind: Kind) -> String {
    let path = path.display();
    let below = match kind {
        Kind::File => "",
        Kind::Folder if path.to_string().ends_with("keydesk") => "(OI)(CI)",
        Kind::Folder => return format!("icacls \"{path}\" lists who may do what there"),
    };
    format!(
        "icacls \"{path}\" /setowner *S-1-5-32-544 && icacls \"{path}\" /reset && icacls \"{path}\" /inheritance:r \
         /grant *S-1-5-18:{below}F *S-1-5-32-544:{below}F *S-1-5-32-545:{below}RX"
    )
}

/// What lets ordinary accounts read there.
pub(super) fn let_read(path: &Path) -> String {
    format!("icacls \"{}\" /grant *S-1-5-32-545:RX", path.display())
}

/// Where the machine keeps what belongs to no user, as the registry's part for administrators tells it: the variable of the same name is the
/// user's to set.
pub(in crate::config) fn program_data() -> PathBuf {
    let version = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";
    let read = |key: &str, name: &str| windows_registry::LOCAL_MACHINE.open(key).ok()?.get_string(name).ok();
    let drive = read(version, "SystemRoot").and_then(|root| root.get(..2).map(str::to_owned));
    let drive = drive.filter(|drive| drive.ends_with(':')).unwrap_or_else(|| "C:".into());
    let told = read(&format!(r"{version}\ProfileList"), "ProgramData");
    let told = told.map(|told| told.replace("%SystemDrive%", &drive)).filter(|told| !told.contains('%'));
    PathBuf::from(told.unwrap_or_else(|| format!(r"{drive}\ProgramData")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::trust::read;

    #[test]
    fn a_policy_that_its_reader_wrote_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("policy.toml");
        assert!(read(&path).is_err() || read(&path).unwrap().is_none());
        std::fs::write(&path, "").unwrap();
        let opened = File::open(&path).unwrap();
        assert!(matches!(check(&path, &opened, Kind::File), Err(Distrust::Weak { .. })));
        assert!(read(&path).is_err());
    }

    /// So `.ci/run` has a machine without a policy under wine, where every drive belongs to its user.
    #[test]
    fn on_a_drive_that_is_not_there_is_no_policy_and_nothing_to_refuse() {
        let drives = ('D'..='Z').rev().map(|letter| PathBuf::from(format!(r"{letter}:\")));
        let nowhere = drives.into_iter().find(|drive| !drive.exists()).unwrap();
        assert_eq!(read(&nowhere.join(r"ProgramData\keydesk\policy.toml")).unwrap(), None);
    }

    #[test]
    fn no_variable_tells_where_the_policy_lies() {
        let path = program_data();
        assert!(path.is_absolute() && path.ends_with("ProgramData"), "{path:?}");
    }
}
