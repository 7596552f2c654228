//! What was registered, so that exactly that can be taken away, by a later version too; and what a wake starts.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fault::InstallError;
use crate::keyfile::{self, KeyFileError};

/// What starts the agent at login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartsBy {
    /// The person's systemd.
    Systemd,
    /// The desktop's session (XDG autostart).
    Session,
    /// launchd.
    Launchd,
    /// The registry's key `Run`.
    RunKey,
}

/// What `loopkey install` did. The file is this user's alone: what it names is started, and removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The configuration that the agent is started with.
    pub config: PathBuf,
    /// What starts the agent at login.
    pub starts_by: StartsBy,
    /// Whether it was done for root, since the configuration allows it.
    pub allow_root: bool,
    /// Files and links, Loopkey's alone.
    pub(super) files: Vec<PathBuf>,
    /// Folders that were not there before, outer ones first.
    pub(super) folders: Vec<PathBuf>,
    /// A place in a shared list.
    pub(super) listed: Option<Listed>,
    /// What is run before anything is taken away.
    pub(super) undo: Vec<Vec<String>>,
    /// What is run afterwards.
    pub(super) undone: Vec<Vec<String>>,
}

/// A place in a shared list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    pub(super) list: PathBuf,
    pub(super) program: String,
    /// What was put in.
    pub(super) inserted: String,
    /// Whether the list was not there before.
    pub(super) made: bool,
}

impl Record {
    /// What was registered for this user; `None` where nothing is.
    ///
    /// # Errors
    /// [`InstallError::Record`] where others could have written it, [`InstallError::Unreadable`] where it is no record.
    pub fn read(path: &Path) -> Result<Option<Self>, InstallError> {
        let text = match keyfile::read(path) {
            Ok(text) => text,
            Err(KeyFileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(text.expose())
            .map(Some)
            .map_err(|error| InstallError::Unreadable { path: path.to_owned(), reason: error.to_string() })
    }

    /// The record's file: whoever holds its lock starts the agent. `None` where there is none, since nothing is installed any
    /// more; none is made, for an empty one would be nobody's to take away.
    ///
    /// # Errors
    /// [`InstallError::Record`].
    pub fn open(path: &Path) -> Result<Option<File>, InstallError> {
        Ok(keyfile::open_private_if_there(path)?)
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), InstallError> {
        let text = serde_json::to_vec_pretty(self).expect("paths of UTF-8 and words are JSON");
        Ok(keyfile::replace(path, &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_that_comes_after_an_uninstall_makes_no_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("install.json");
        assert!(Record::open(&place).expect("nothing is wrong").is_none());
        assert!(!place.exists());
        keyfile::create(&place, b"{}").expect("made");
        assert!(Record::open(&place).expect("nothing is wrong").is_some());
    }
}
