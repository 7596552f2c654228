//! One thing that `install` or `uninstall` does, said before it is done.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::fault::InstallError;
use super::plan::{Entry, shown};
use super::run;

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Everything is there as it should be.
    Keep(PathBuf),
    /// A file or link is made, or takes the place of one that was made before.
    Write(Entry),
    /// The text of a file that is not Loopkey's alone changes.
    Edit {
        /// The file.
        path: PathBuf,
        /// Its whole new text.
        content: String,
        /// What is different.
        change: String,
    },
    /// A file or link goes.
    Remove(PathBuf),
    /// A folder goes, if nothing is in it.
    RemoveFolder(PathBuf),
    /// A program of the system is run.
    Run {
        /// Its words.
        words: Vec<String>,
        /// Whether it matters that it fails.
        must_succeed: bool,
    },
    /// A program of the system was run, and failed: in which words.
    Failed(String),
}

impl Step {
    /// What is to be done so that an entry stands. `is_ours`: it was made before, so that another one may take its place.
    pub(super) fn towards(entry: &Entry, is_ours: bool) -> Result<Self, InstallError> {
        let path = entry.path();
        let metadata = match std::fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::Write(entry.clone())),
            Err(error) => return Err(InstallError::io(path)(error)),
        };
        let is_there = match entry {
            Entry::File { content, .. } => {
                metadata.is_file() && std::fs::read(path).is_ok_and(|there| there == content.as_bytes())
            }
            Entry::Link { target, .. } => std::fs::read_link(path).is_ok_and(|there| there == *target),
        };
        if is_there {
            Ok(Self::Keep(path.to_owned()))
        } else if is_ours && !metadata.is_dir() {
            Ok(Self::Write(entry.clone()))
        } else {
            Err(InstallError::Foreign(path.to_owned()))
        }
    }

    /// Does it; true where something is different now.
    pub(super) fn take(&self) -> Result<bool, InstallError> {
        match self {
            Self::Keep(_) | Self::Failed(_) => Ok(false),
            Self::Write(entry) => write(entry).map(|()| true).map_err(InstallError::io(entry.path())),
            Self::Edit { path, content, .. } => edit(path, content).map(|()| true).map_err(InstallError::io(path)),
            Self::Remove(path) => gone(std::fs::remove_file(path)).map_err(InstallError::io(path)),
            Self::RemoveFolder(path) => gone(std::fs::remove_dir(path)).map_err(InstallError::io(path)),
            Self::Run { words, must_succeed } => match run(words) {
                Err(error) if *must_succeed => Err(error),
                Err(error) => {
                    tracing::warn!("{error}");
                    Ok(false)
                }
                Ok(()) => Ok(true),
            },
        }
    }
}

fn gone(removed: io::Result<()>) -> io::Result<bool> {
    match removed {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => Ok(false),
        Err(error) => Err(error),
    }
}

fn write(entry: &Entry) -> io::Result<()> {
    let path = entry.path();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match entry {
        Entry::File { content, executable, .. } => replace(path, content, if *executable { 0o755 } else { 0o644 }),
        Entry::Link { target, .. } => {
            gone(std::fs::remove_file(path))?;
            link(target, path)
        }
    }
}

/// Whoever reads the list meanwhile sees the old one or the new one. Where it is a link, what it leads to changes.
fn edit(path: &Path, content: &str) -> io::Result<()> {
    let path = match std::fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        other => other?,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    replace(&path, content, mode_of(&path).unwrap_or(0o644))
}

fn replace(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(content.as_bytes())?;
    #[cfg(unix)]
    fresh.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    #[cfg(not(unix))]
    let _ = mode;
    fresh.as_file().sync_all()?;
    fresh.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

fn mode_of(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).ok()?.permissions()) & 0o777);
    #[cfg(not(unix))]
    std::fs::metadata(path).ok().map(|_| 0)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep(path) => write!(f, "as it was  {}", path.display()),
            Self::Write(Entry::File { path, .. }) => write!(f, "file       {}", path.display()),
            Self::Write(Entry::Link { path, target }) => {
                write!(f, "link       {} -> {}", path.display(), target.display())
            }
            Self::Edit { path, change, .. } => write!(f, "edit       {}: {change}", path.display()),
            Self::Remove(path) => write!(f, "remove     {}", path.display()),
            Self::RemoveFolder(path) => write!(f, "remove     {}{}", path.display(), std::path::MAIN_SEPARATOR),
            Self::Run { words, .. } => write!(f, "run        {}", shown(words)),
            Self::Failed(how) => write!(f, "failed     {how}"),
        }
    }
}
