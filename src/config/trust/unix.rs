//! Owners and modes, from the root folder down. Access lists of Linux show in the group's bits of the mode; those of macOS are not read.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, open as open_path, openat, readlinkat, statat},
    io::Errno,
};

use super::Distrust;

/// So many symbolic links are followed, as the systems do.
const MOST_LINKS: usize = 40;
const ROOT: u32 = 0;
const COMPARE: &str = "compare what stands there with the policy that was rolled out, then";

/// A folder on the way, open.
struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// Opens `path`, which is absolute, when root alone decides what stands there. `None` where nothing does.
///
/// Each folder is checked on its own handle before a name is looked up in it: what was found in a folder that only root can change
/// cannot be another thing a moment later.
pub(super) fn open(path: &Path) -> Result<Option<File>, Distrust> {
    let mut way = parts(path);
    let mut folders = vec![root()?];
    let mut links = 0;
    let mut link = None;
    while let Some(name) = way.pop_front() {
        let Some(folder) = folders.last() else { return Ok(None) };
        if name == ".." {
            if folders.len() > 1 {
                folders.pop();
            }
            continue;
        }
        let here = folder.path.join(&name);
        let failed = |errno: Errno| Distrust::Io(here.clone(), errno.into());
        let found = match statat(&folder.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return link.map_or(Ok(None), |link: PathBuf| Err(astray(&link, &here))),
            found => found.map_err(failed)?,
        };
        if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
            links += 1;
            if links > MOST_LINKS {
                return Err(failed(Errno::LOOP));
            }
            check_owner(&here, &found).map_err(|weak| behind(link.as_deref(), weak))?;
            let target = readlinkat(&folder.fd, &name, Vec::new()).map_err(failed)?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            if target.is_absolute() {
                folders.truncate(1);
            }
            for part in parts(&target).into_iter().rev() {
                way.push_front(part);
            }
            link = Some(here);
            continue;
        }
        // Not a link by what was just seen; should it have become one, opening fails. A pipe that nobody writes must not hold us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = openat(&folder.fd, &name, flags, Mode::empty()).map_err(failed)?;
        let is_folder = check(&here, fd.as_fd()).map_err(|weak| behind(link.as_deref(), weak))?;
        if !is_folder {
            let is_last = way.is_empty();
            return if is_last { Ok(Some(fd.into())) } else { Err(failed(Errno::NOTDIR)) };
        }
        folders.push(Folder { fd, path: here });
    }
    Err(Distrust::Io(path.into(), io::Error::from(io::ErrorKind::IsADirectory)))
}

fn root() -> Result<Folder, Distrust> {
    let path = PathBuf::from("/");
    let opened = open_path(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let fd = opened.map_err(|errno| Distrust::Io(path.clone(), errno.into()))?;
    check(&path, fd.as_fd())?;
    Ok(Folder { fd, path })
}

/// The names to walk, `..` among them.
fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::new("..").to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}

/// Whether what is open is a folder; refused where it is neither file nor folder, or not root's alone.
///
/// A folder where everybody may make files but only remove their own (`/tmp`) keeps safe what root has put there.
fn check(path: &Path, fd: impl AsFd) -> Result<bool, Distrust> {
    let found = fstat(fd).map_err(|errno| Distrust::Io(path.into(), errno.into()))?;
    let kind = FileType::from_raw_mode(found.st_mode);
    let mode = Mode::from_raw_mode(found.st_mode);
    if !matches!(kind, FileType::RegularFile | FileType::Directory) {
        let mend = format!("sudo rm {}", quoted(path));
        return Err(Distrust::Weak { path: path.into(), what: "is no file".into(), mend });
    }
    check_owner(path, &found)?;
    let is_kept = kind == FileType::Directory && mode.contains(Mode::SVTX);
    if mode.intersects(Mode::WGRP | Mode::WOTH) && !is_kept {
        let who = if mode.contains(Mode::WOTH) { "everybody" } else { "its group" };
        let bits = mode & Mode::from(0o777);
        return Err(weak(path, &format!("can be written by {who} (mode {:03o})", bits.bits()), "chmod go-w"));
    }
    Ok(kind == FileType::Directory)
}

fn check_owner(path: &Path, found: &Stat) -> Result<(), Distrust> {
    if found.st_uid == ROOT {
        return Ok(());
    }
    Err(weak(path, &format!("belongs to the user {} and not to root", found.st_uid), "chown -h root"))
}

/// Whoever could write there may have done so.
fn weak(path: &Path, what: &str, command: &str) -> Distrust {
    let mend = format!("{COMPARE} sudo {command} {}", quoted(path));
    Distrust::Weak { path: path.into(), what: what.into(), mend }
}

/// What lies behind a link may be somebody's rightly: nobody is told to take it from them.
fn behind(link: Option<&Path>, distrust: Distrust) -> Distrust {
    match (link, distrust) {
        (Some(link), Distrust::Weak { path, what, .. }) => Distrust::Weak {
            path: link.into(),
            what: format!("is a link, and {} {what}", path.display()),
            mend: instead_of(link),
        },
        (_, distrust) => distrust,
    }
}

/// A link that leads nowhere was meant to lead to a policy: a file server that is away does not make the shipped one the organisation's.
fn astray(link: &Path, target: &Path) -> Distrust {
    let what = format!("is a link to {}, which is not there", target.display());
    Distrust::Weak { path: link.into(), what, mend: instead_of(link) }
}

fn instead_of(link: &Path) -> String {
    format!("put the policy itself in the place of the link {}", quoted(link))
}

/// What lets ordinary accounts read there.
pub(super) fn let_read(path: &Path) -> String {
    format!("sudo chmod go+rX {}", quoted(path))
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, chown, symlink},
    };

    use tempfile::TempDir;

    use super::*;
    use crate::config::{ConfigError, trust::read};

    /// `nobody`, on the systems that have one.
    const STRANGER: u32 = 65534;

    /// A policy as an administrator lays it down. `None`, said aloud, where the test is not root and cannot.
    fn laid_down() -> Option<(TempDir, PathBuf)> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can lay down what only root may write");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("keydesk");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("policy.toml");
        fs::write(&path, "a = 1").unwrap();
        allow(&folder, 0o755);
        allow(&path, 0o644);
        Some((home, path))
    }

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn refused(path: &Path) -> String {
        read(path).unwrap_err().to_string()
    }

    #[test]
    fn what_only_root_can_write_is_read_and_what_is_not_there_is_nothing() {
        let Some((home, path)) = laid_down() else { return };
        assert_eq!(read(&path).unwrap().as_deref(), Some("a = 1"));
        assert!(read(&home.path().join("none/policy.toml")).unwrap().is_none());
        fs::write(&path, "\u{feff}a = 2").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("a = 2"));
    }

    #[test]
    fn a_file_that_a_group_everybody_or_its_owner_can_write_is_refused() {
        let Some((_home, path)) = laid_down() else { return };
        allow(&path, 0o664);
        assert!(refused(&path).contains("its group (mode 664)"), "{}", refused(&path));
        allow(&path, 0o646);
        assert!(refused(&path).contains("everybody (mode 646)"), "{}", refused(&path));
        let command = format!("sudo chmod go-w '{}'", path.display());
        assert!(matches!(read(&path), Err(ConfigError::Policy { mend, .. }) if mend.ends_with(&command)));
        allow(&path, 0o400);
        chown(&path, Some(STRANGER), None).unwrap();
        assert!(refused(&path).contains("belongs to the user 65534"), "{}", refused(&path));
    }

    #[test]
    fn a_folder_above_in_which_a_user_can_rename_is_refused_and_a_kept_one_is_not() {
        let Some((home, path)) = laid_down() else { return };
        for folder in [path.parent().unwrap(), home.path()] {
            allow(folder, 0o777);
            assert!(refused(&path).contains("everybody (mode 777)"), "{}", refused(&path));
            allow(folder, 0o1777);
            assert!(read(&path).is_ok());
            allow(folder, 0o755);
            chown(folder, Some(STRANGER), None).unwrap();
            assert!(refused(&path).contains(&format!("{} belongs to", folder.display())), "{}", refused(&path));
            chown(folder, Some(0), None).unwrap();
        }
    }

    #[test]
    fn links_are_followed_and_each_folder_on_the_way_counts() {
        let Some((home, path)) = laid_down() else { return };
        let theirs = home.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        let (link, by_folder) = (home.path().join("link.toml"), home.path().join("etc"));
        symlink("keydesk/../keydesk/policy.toml", &link).unwrap();
        symlink(path.parent().unwrap(), &by_folder).unwrap();
        assert!(read(&link).is_ok() && read(&by_folder.join("policy.toml")).is_ok());
        // A link in a folder of somebody else's is theirs to point elsewhere.
        let hop = theirs.join("hop.toml");
        symlink(&path, &hop).unwrap();
        fs::remove_file(&link).unwrap();
        symlink(&hop, &link).unwrap();
        assert!(read(&link).is_ok());
        chown(&theirs, Some(STRANGER), None).unwrap();
        assert!(refused(&link).contains("theirs belongs to"), "{}", refused(&link));
        // So is a link of theirs in a folder for everybody.
        chown(&theirs, Some(0), None).unwrap();
        allow(&theirs, 0o1777);
        std::os::unix::fs::lchown(&hop, Some(STRANGER), None).unwrap();
        assert!(refused(&link).contains("hop.toml belongs to"), "{}", refused(&link));
        fs::remove_file(&link).unwrap();
        symlink("link.toml", &link).unwrap();
        assert!(matches!(open(&link), Err(Distrust::Io(..))));
    }

    #[test]
    fn a_link_that_leads_nowhere_or_to_a_user_is_refused_and_nobody_is_told_to_take_their_folder() {
        let Some((home, path)) = laid_down() else { return };
        let theirs = home.path().join("theirs");
        let link = path.parent().unwrap().with_file_name("linked");
        symlink(&theirs, &link).unwrap();
        assert!(refused(&link.join("policy.toml")).contains("theirs, which is not there"));
        fs::create_dir(&theirs).unwrap();
        chown(&theirs, Some(STRANGER), None).unwrap();
        let said = refused(&link.join("policy.toml"));
        assert!(said.contains("is a link, and") && said.contains("belongs to the user 65534"), "{said}");
        assert!(!said.contains("chown") && said.ends_with(&format!("link '{}'", link.display())), "{said}");
        // Where no link leads, nothing was meant to be.
        assert!(read(&home.path().join("none/policy.toml")).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_to_do() {
        let Some((home, path)) = laid_down() else { return };
        fs::write(&path, b"\xff\xfe[\0l\0").unwrap();
        assert!(refused(&path).ends_with("is not written in UTF-8. An administrator mends it: save it as UTF-8"));
        fs::write(&path, vec![b'#'; 2_000_000]).unwrap();
        assert!(refused(&path).contains("it is more than a policy"), "{}", refused(&path));
        assert!(refused(path.parent().unwrap()).contains("is a folder, and no file"));
        assert!(refused(&path.join("policy.toml")).contains("is a file, and no folder"));
        let closed = Distrust::Io(home.path().into(), io::ErrorKind::PermissionDenied.into());
        let said = ConfigError::from(closed).to_string();
        assert!(said.ends_with(&format!("sudo chmod go+rX '{}'", home.path().display())), "{said}");
    }

    #[test]
    fn a_pipe_or_a_folder_is_no_policy() {
        let Some((home, path)) = laid_down() else { return };
        assert!(read(path.parent().unwrap()).is_err());
        let pipe = home.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::from(0o600)).unwrap();
        assert!(refused(&pipe).contains("is no file"), "{}", refused(&pipe));
    }

    #[test]
    fn somebody_who_is_not_root_lays_down_no_policy() {
        if rustix::process::geteuid().is_root() {
            eprintln!("skipped: this test is for an ordinary user, and root is none");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("policy.toml");
        fs::write(&path, "").unwrap();
        assert!(refused(&path).contains("belongs to the user"), "{}", refused(&path));
    }
}
