//! Which authority there is and which stores were told of it, so that exactly that can be taken away.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fault::CertsError;
use super::stores::Store;
use crate::keyfile::{self, KeyFileError};
use crate::protocol::time::Timestamp;

/// What `loopkey certs` did. The file is this user's alone: what it names is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The authority's name.
    pub(super) name: String,
    /// When it and the certificate end.
    pub(super) ends: Timestamp,
    /// Former authorities that may still be known somewhere: a renewal was broken off.
    pub(super) former: Vec<String>,
    /// Who was told of the authority.
    pub(super) stores: Vec<Store>,
    /// Folders and files of a database that was not there before, in the order in which they were made.
    pub(super) made: Vec<PathBuf>,
}

impl Record {
    pub(super) fn read(path: &Path) -> Result<Option<Self>, CertsError> {
        let text = match keyfile::read(path) {
            Ok(text) => text,
            Err(KeyFileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(text.expose())
            .map(Some)
            .map_err(|error| CertsError::Unreadable { path: path.to_owned(), reason: error.to_string() })
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), CertsError> {
        let text = serde_json::to_vec_pretty(self).expect("names, times and paths of UTF-8 are JSON");
        Ok(keyfile::replace(path, &text)?)
    }
}
