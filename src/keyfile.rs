//! Files that hold secrets: made exclusively with mode 0600, and refused where anybody else could read or swap them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::crypto::Secret;

/// Longest secret file in bytes.
const MAX_LEN: u64 = 64 * 1024;

/// Why a secret file was not made or not read. Each message names the file and the cure.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system said no.
    #[error("{path}: {}", in_words(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner have rights on it.
    #[error("{path}: others can read this file (mode {mode:03o}); run: chmod 600 {path}")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// Others than its owner may put files into the folder, or swap them.
    #[error("{path}: others can write in this folder (mode {mode:03o}); run: chmod 700 {path}")]
    FolderTooOpen {
        /// The folder.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// Another user owns it.
    #[error("{path}: belongs to user {owner}, not to this one; move it away")]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
    },
    /// A link, a folder, or something longer than any key.
    #[error("{path}: is not a plain file of a sensible length; move it away")]
    NotAKeyFile {
        /// The file.
        path: PathBuf,
    },
}

/// What the system said, and what to do where that is known.
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full: free space there".to_owned(),
        _ => error.to_string(),
    }
}

/// Makes a secret file that did not exist. It is on the disk when this returns.
///
/// # Errors
/// [`KeyFileError::Io`], also where the file exists already.
pub fn create(path: &Path, secret: &[u8]) -> Result<(), KeyFileError> {
    let make = || {
        // The name is the caller's alone: drawn at random, or under the folder's lock.
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // A power loss leaves the whole file under its name, or none.
        std::fs::rename(write_beside(path, secret)?, path)?;
        sync_folder(path)
    };
    make().map_err(io_error(path))
}

/// Replaces a secret file, or makes it: at every moment the old or the new content is there in full.
///
/// # Errors
/// [`KeyFileError::Io`].
pub fn replace(path: &Path, secret: &[u8]) -> Result<(), KeyFileError> {
    let swap = || {
        std::fs::rename(write_beside(path, secret)?, path)?;
        sync_folder(path)
    };
    swap().map_err(io_error(path))
}

/// Reads a secret file.
///
/// # Errors
/// [`KeyFileError`] where it is missing, a link, not this user's alone, or too long.
pub fn read(path: &Path) -> Result<Secret<Vec<u8>>, KeyFileError> {
    read_up_to(path, MAX_LEN)
}

/// As [`read`], for a file of up to `max_len` bytes.
///
/// # Errors
/// [`KeyFileError`] where it is missing, a link, not this user's alone, or too long.
pub fn read_up_to(path: &Path, max_len: u64) -> Result<Secret<Vec<u8>>, KeyFileError> {
    let file = open_without_following(path, OpenOptions::new().read(true))?;
    let metadata = file.metadata().map_err(io_error(path))?;
    if !metadata.is_file() || metadata.len() > max_len {
        return Err(KeyFileError::NotAKeyFile { path: path.to_owned() });
    }
    require_private(path, &metadata)?;
    let mut secret = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(max_len).read_to_end(&mut secret).map_err(io_error(path))?;
    Ok(Secret::new(secret))
}

/// Opens a file that only this user may read or write, and makes it where it is missing: for what other code fills or locks.
///
/// # Errors
/// [`KeyFileError`] where it is a link, no plain file, or not this user's alone.
pub fn open_private(path: &Path) -> Result<File, KeyFileError> {
    open_private_with(path, OpenOptions::new().create(true))
}

/// As [`open_private`], and makes nothing: `None` where there is no such file.
///
/// # Errors
/// [`KeyFileError`] where it is a link, no plain file, or not this user's alone.
pub fn open_private_if_there(path: &Path) -> Result<Option<File>, KeyFileError> {
    match open_private_with(path, &mut OpenOptions::new()) {
        Ok(file) => Ok(Some(file)),
        Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn open_private_with(path: &Path, options: &mut OpenOptions) -> Result<File, KeyFileError> {
    options.read(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    let file = open_without_following(path, options)?;
    let metadata = file.metadata().map_err(io_error(path))?;
    if !metadata.is_file() {
        return Err(KeyFileError::NotAKeyFile { path: path.to_owned() });
    }
    require_private(path, &metadata)?;
    Ok(file)
}

/// A folder that this process has for itself, by the lock on its file `lock`. Given back when this is dropped.
#[derive(Debug)]
pub struct FolderLock(File);

/// Takes a folder for this process alone; nothing where another has it.
///
/// # Errors
/// [`KeyFileError`] where the lock's file cannot be used.
pub fn lock_folder(folder: &Path) -> Result<Option<FolderLock>, KeyFileError> {
    let path = folder.join("lock");
    let file = open_private(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(FolderLock(file))),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(source)) => Err(KeyFileError::Io { path, source }),
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing would not do: a program that is just being started elsewhere in this process still has the file open.
        let _ = self.0.unlock();
    }
}

/// Makes a folder that only this user can enter, and its parents. One that is there already is left as it is, but must be
/// this user's, and nobody else's to write in.
///
/// # Errors
/// [`KeyFileError`] where it cannot be made, or is open to others.
pub fn private_folder(path: &Path) -> Result<(), KeyFileError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(io_error(path))?;
    let metadata = std::fs::metadata(path).map_err(io_error(path))?;
    require_owner(path, &metadata)?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
        if mode & 0o022 != 0 {
            return Err(KeyFileError::FolderTooOpen { path: path.to_owned(), mode });
        }
    }
    Ok(())
}

/// Writes the file under another name, which is returned, in place of one that a power loss may have left there.
fn write_beside(path: &Path, secret: &[u8]) -> io::Result<PathBuf> {
    let fresh = path.with_extension("new");
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&fresh)?;
    file.write_all(secret)?;
    file.sync_all()?;
    Ok(fresh)
}

/// Has the folder know the file of this name, or that it is gone, also after a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    // Windows has no such call, and needs none.
    match path.parent().filter(|_| cfg!(unix)) {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn open_without_following(path: &Path, options: &mut OpenOptions) -> Result<File, KeyFileError> {
    // Nor waits for whoever might write into a pipe of that name.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        options,
        i32::try_from((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits()).unwrap_or(0),
    );
    options.open(path).map_err(|source| {
        if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            KeyFileError::NotAKeyFile { path: path.to_owned() }
        } else {
            KeyFileError::Io { path: path.to_owned(), source }
        }
    })
}

#[cfg(unix)]
fn require_private(path: &Path, metadata: &std::fs::Metadata) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt as _;
    require_owner(path, metadata)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 { Err(KeyFileError::TooOpen { path: path.to_owned(), mode }) } else { Ok(()) }
}

#[cfg(unix)]
fn require_owner(path: &Path, metadata: &std::fs::Metadata) -> Result<(), KeyFileError> {
    let owner = std::os::unix::fs::MetadataExt::uid(metadata);
    let own = rustix::process::geteuid().as_raw();
    if owner == own { Ok(()) } else { Err(KeyFileError::ForeignOwner { path: path.to_owned(), owner }) }
}

#[cfg(not(unix))]
fn require_private(_: &Path, _: &std::fs::Metadata) -> Result<(), KeyFileError> {
    // The platform's data folder is readable by its user alone, and files inherit that.
    Ok(())
}

#[cfg(not(unix))]
fn require_owner(_: &Path, _: &std::fs::Metadata) -> Result<(), KeyFileError> {
    Ok(())
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> KeyFileError {
    move |source| KeyFileError::Io { path: path.to_owned(), source }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_key_file_is_private_and_made_once() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("key");
        create(&path, b"secret").expect("created");
        assert_eq!(std::fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path).expect("read").expose(), b"secret");
        assert!(matches!(create(&path, b"other"), Err(KeyFileError::Io { .. })));
        replace(&path, b"other").expect("replaced");
        assert_eq!(read(&path).expect("read").expose(), b"other");
        assert_eq!(std::fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn wider_files_links_and_folders_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("key");
        create(&path, b"secret").expect("created");
        for mode in [0o640, 0o604, 0o644, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
            assert!(matches!(read(&path), Err(KeyFileError::TooOpen { .. })), "{mode:o}");
        }
        let link = folder.path().join("link");
        symlink(&path, &link).expect("link");
        assert!(matches!(read(&link), Err(KeyFileError::NotAKeyFile { .. })));
        assert!(matches!(read(folder.path()), Err(KeyFileError::NotAKeyFile { .. })));
        assert!(matches!(read(&folder.path().join("none")), Err(KeyFileError::Io { .. })));
    }
}
