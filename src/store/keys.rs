//! The private keys that challenges are signed with: PKCS#8 files next to the store, newest first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StoreError;
use crate::crypto::{Algorithm, Signer, SoftwareKey};
use crate::keyfile::{self, KeyFileError};
use crate::verify::ChallengeKeys;

/// How many keys are published at a time: the one that signs, and the one before, whose challenges are still about.
const PUBLISHED: usize = 2;

/// The challenge keys: the first signs, all verify.
#[derive(Clone)]
pub struct ChallengeSigners(Vec<Arc<dyn Signer>>);

impl ChallengeSigners {
    /// Keys that live no longer than this process.
    ///
    /// # Errors
    /// [`StoreError`] where no key can be made.
    pub fn ephemeral(algorithm: Algorithm) -> Result<Self, StoreError> {
        let (key, _) = SoftwareKey::generate(algorithm).map_err(StoreError::new)?;
        Ok(Self(vec![Arc::new(key)]))
    }

    /// The key that signs new challenges.
    #[must_use]
    pub fn current(&self) -> &dyn Signer {
        // Every constructor puts one in.
        self.0[0].as_ref()
    }

    /// The public halves, for the JWKS and for verification.
    #[must_use]
    pub fn public(&self) -> ChallengeKeys {
        ChallengeKeys::new(self.0.iter().map(|key| key.public().clone()))
    }
}

impl std::fmt::Debug for ChallengeSigners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| key.public().id())).finish()
    }
}

/// Loads the keys of a folder; makes one where there is none, or none of that algorithm at the front.
pub(super) fn load(folder: &Path, algorithm: Algorithm) -> Result<ChallengeSigners, StoreError> {
    keyfile::private_folder(folder).map_err(StoreError::new)?;
    let mut files = list(folder)?;
    if files.first().is_none_or(|newest| newest.algorithm != algorithm) {
        files.insert(0, make(folder, algorithm, files.first())?);
    }
    files.iter().take(PUBLISHED).map(read).collect::<Result<_, _>>().map(ChallengeSigners)
}

/// Makes a new challenge key in a store's folder. From its next start on the server signs with it; the one before stays
/// published, so that challenges that are about go on being accepted.
///
/// # Errors
/// [`StoreError`] where the folder cannot be read or written.
pub fn rotate_challenge_key(store_folder: &Path, algorithm: Algorithm) -> Result<(), StoreError> {
    let folder = store_folder.join(FOLDER);
    keyfile::private_folder(&folder).map_err(StoreError::new)?;
    make(&folder, algorithm, list(&folder)?.first()).map(drop)
}

/// The folder of the keys inside the store's.
pub(super) const FOLDER: &str = "challenge-keys";

/// `challenge-00000007-es256.pk8`
struct KeyFile {
    number: u32,
    algorithm: Algorithm,
    path: PathBuf,
}

impl KeyFile {
    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_prefix("challenge-")?.strip_suffix(".pk8")?;
        let (number, algorithm) = name.split_once('-')?;
        let algorithm = [Algorithm::Es256, Algorithm::Ed25519].into_iter().find(|a| tag(*a) == algorithm)?;
        Some(Self { number: number.parse().ok()?, algorithm, path })
    }
}

const fn tag(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "es256",
        Algorithm::Ed25519 => "ed25519",
    }
}

/// Newest first.
fn list(folder: &Path) -> Result<Vec<KeyFile>, StoreError> {
    let unreadable = |source| StoreError::new(KeyFileError::Io { path: folder.to_owned(), source });
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        files.extend(KeyFile::parse(entry.map_err(unreadable)?.path()));
    }
    files.sort_by_key(|file| std::cmp::Reverse(file.number));
    Ok(files)
}

fn make(folder: &Path, algorithm: Algorithm, newest: Option<&KeyFile>) -> Result<KeyFile, StoreError> {
    let number = newest.map_or(1, |file| file.number + 1);
    let path = folder.join(format!("challenge-{number:08}-{}.pk8", tag(algorithm)));
    let (_, document) = SoftwareKey::generate(algorithm).map_err(StoreError::new)?;
    keyfile::create(&path, document.expose()).map_err(StoreError::new)?;
    Ok(KeyFile { number, algorithm, path })
}

fn read(file: &KeyFile) -> Result<Arc<dyn Signer>, StoreError> {
    let document = keyfile::read(&file.path).map_err(StoreError::new)?;
    let key = SoftwareKey::from_pkcs8(file.algorithm, document.expose())
        .map_err(|source| StoreError::new(format!("{}: {source}", file.path.display())))?;
    Ok(Arc::new(key))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_outlive_the_process_and_two_are_published_in_a_rotation() {
        let folder = tempfile::tempdir().expect("folder");
        let keys = folder.path().join(FOLDER);
        let first = load(&keys, Algorithm::Es256).expect("made").public();
        assert_eq!(load(&keys, Algorithm::Es256).expect("loaded").public(), first);
        rotate_challenge_key(folder.path(), Algorithm::Es256).expect("rotated");
        let second = load(&keys, Algorithm::Es256).expect("loaded").public();
        assert_eq!(second.keys().len(), 2);
        assert_eq!(second.keys()[1], first.keys()[0]);
        let third = load(&keys, Algorithm::Ed25519).expect("another algorithm").public();
        assert_eq!(third.keys()[0].algorithm(), Algorithm::Ed25519);
        assert_eq!(third.keys()[1..], second.keys()[..1]);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("folder");
        load(folder.path(), Algorithm::Es256).expect("made");
        let file = list(folder.path()).expect("list").remove(0).path;
        assert_eq!(std::fs::metadata(&file).expect("metadata").permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("mode");
        let error = load(folder.path(), Algorithm::Es256).expect_err("refused").to_string();
        assert!(error.contains("challenge-00000001-es256.pk8"), "{error}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("mode");
        std::fs::write(&file, b"truncated").expect("write");
        assert!(load(folder.path(), Algorithm::Es256).is_err());
    }
}
