//! The store's folder and what lies in it.

use std::path::{Path, PathBuf};

use super::EmbeddedError;
use crate::keyfile::{self, FolderLock};

pub(super) const DATABASE: &str = "loopkey.sqlite3";

/// Makes the folder where it is missing, and takes it for this process. The folder is given back with the lock.
pub(super) fn lock(folder: &Path) -> Result<FolderLock, EmbeddedError> {
    keyfile::private_folder(folder)?;
    keyfile::lock_folder(folder)?.ok_or_else(|| EmbeddedError::InUse(folder.to_owned()))
}

/// Makes the database file where it is missing, so that SQLite gives its own files the same mode.
pub(super) fn database(folder: &Path) -> Result<PathBuf, EmbeddedError> {
    let path = folder.join(DATABASE);
    keyfile::open_private(&path)?;
    Ok(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use super::super::Embedded;
    use super::*;
    use crate::clock::SystemClock;
    use crate::keyfile::KeyFileError;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777
    }

    #[test]
    fn everything_in_the_folder_is_private() {
        let parent = tempfile::tempdir().expect("folder");
        let folder = parent.path().join("store");
        let _store = Embedded::open(&folder, Arc::new(SystemClock)).expect("store");
        assert_eq!(mode(&folder), 0o700);
        for entry in std::fs::read_dir(&folder).expect("list") {
            let path = entry.expect("entry").path();
            assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
        }
    }

    #[test]
    fn a_database_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        drop(Embedded::open(folder.path(), Arc::new(SystemClock)).expect("store"));
        let path = folder.path().join(DATABASE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("mode");
        let error = Embedded::open(folder.path(), Arc::new(SystemClock)).expect_err("refused");
        assert!(matches!(error, EmbeddedError::Files(KeyFileError::TooOpen { .. })), "{error}");
    }

    #[test]
    fn one_process_at_a_time() {
        let folder = tempfile::tempdir().expect("folder");
        let first = Embedded::open(folder.path(), Arc::new(SystemClock)).expect("store");
        let error = Embedded::open(folder.path(), Arc::new(SystemClock)).expect_err("in use");
        assert!(matches!(error, EmbeddedError::InUse(_)), "{error}");
        drop(first);
        assert!(Embedded::open(folder.path(), Arc::new(SystemClock)).is_ok());
    }
}
