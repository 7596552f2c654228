//! The private keys that challenges are signed with: PKCS#8 files next to the store, newest first.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::StoreError;
use crate::crypto::{Algorithm, Signer, SoftwareKey};
use crate::keyfile::{self, KeyFileError};
use crate::protocol::time::Timestamp;
use crate::verify::ChallengeKeys;

/// How long a new key is published before it signs, in seconds. Every replica asks for the keys more often than that, and
/// an agent that meets a key it does not know looks again after a minute (protocol section 6.1).
pub const ROTATION_LEAD_SECONDS: u64 = 120;

/// How long a challenge is good after it was signed, with room for clocks that differ, in seconds.
const STILL_GOOD_SECONDS: u64 = 480;

/// A challenge key, and when it was made.
#[derive(Clone)]
pub(super) struct MadeKey {
    pub(super) made_at: Timestamp,
    pub(super) key: Arc<dyn Signer>,
}

impl MadeKey {
    /// A new one, kept nowhere.
    pub(super) fn generate(algorithm: Algorithm, now: Timestamp) -> Result<Self, StoreError> {
        let (key, _) = SoftwareKey::generate(algorithm).map_err(StoreError::new)?;
        Ok(Self { made_at: now, key: Arc::new(key) })
    }
}

impl std::fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MadeKey").field(&self.key.public().id()).finish()
    }
}

/// The challenge keys: one signs, all verify.
#[derive(Clone)]
pub struct ChallengeSigners(Vec<MadeKey>);

impl ChallengeSigners {
    /// Of keys that are given newest first, those that matter now: what is newer than the signing key, that one, and the one
    /// before, whose challenges are still about. At least one must be given.
    pub(super) fn in_use(keys: Vec<MadeKey>, now: Timestamp) -> Self {
        debug_assert!(!keys.is_empty(), "there is always a key that signs");
        let signing = signing(&keys, now);
        // Whatever was signed before the next key began to is good for a while yet.
        let about = |at: usize| keys[at - 1].made_at.plus(ROTATION_LEAD_SECONDS + STILL_GOOD_SECONDS) > now;
        let oldest = (signing + 2..keys.len()).take_while(|at| about(*at)).last().unwrap_or(signing + 1);
        Self(keys.into_iter().take(oldest + 1).collect())
    }

    /// The key that signs new challenges at that time.
    #[must_use]
    pub fn current(&self, now: Timestamp) -> &dyn Signer {
        // Every constructor puts one in.
        self.0[signing(&self.0, now)].key.as_ref()
    }

    /// The public halves, for the JWKS and for verification.
    #[must_use]
    pub fn public(&self) -> ChallengeKeys {
        ChallengeKeys::new(self.0.iter().map(|made| made.key.public().clone()))
    }
}

/// The newest key that has been published for long enough; the oldest where none has.
fn signing(keys: &[MadeKey], now: Timestamp) -> usize {
    let known = |made: &MadeKey| made.made_at.plus(ROTATION_LEAD_SECONDS) <= now;
    keys.iter().position(known).unwrap_or(keys.len().saturating_sub(1))
}

impl std::fmt::Debug for ChallengeSigners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|made| made.key.public().id())).finish()
    }
}

/// Loads the keys of a folder; makes one where there is none, or none of that algorithm at the front.
pub(super) fn load(folder: &Path, algorithm: Algorithm, now: Timestamp) -> Result<ChallengeSigners, StoreError> {
    keyfile::private_folder(folder).map_err(StoreError::new)?;
    let mut files = list(folder)?;
    if files.first().is_none_or(|newest| newest.algorithm != algorithm) {
        files.insert(0, make(folder, algorithm, files.first(), now)?);
    }
    let keys = files.iter().take(READ_AT_MOST).map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(ChallengeSigners::in_use(keys, now))
}

/// Makes a new challenge key in a folder.
pub(super) fn rotate(folder: &Path, algorithm: Algorithm, now: Timestamp) -> Result<(), StoreError> {
    keyfile::private_folder(folder).map_err(StoreError::new)?;
    make(folder, algorithm, list(folder)?.first(), now).map(drop)
}

/// The folder of the keys inside the store's.
pub(super) const FOLDER: &str = "challenge-keys";

/// Keys that are read: more would mean that somebody rotates them more often than they can come into use.
pub(super) const READ_AT_MOST: usize = 64;

/// Whether a file is a challenge key, by its name.
pub(super) fn is_key_file(path: &Path) -> bool {
    KeyFile::parse(path.to_owned()).is_some()
}

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

/// An algorithm's name where keys are kept.
pub(super) const fn tag(algorithm: Algorithm) -> &'static str {
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

/// Makes a key file. Its age is told by the file's time, which is set by the clock that all else here goes by.
fn make(folder: &Path, algorithm: Algorithm, newest: Option<&KeyFile>, now: Timestamp) -> Result<KeyFile, StoreError> {
    let number = newest.map_or(1, |file| file.number + 1);
    let path = folder.join(format!("challenge-{number:08}-{}.pk8", tag(algorithm)));
    let (_, document) = SoftwareKey::generate(algorithm).map_err(StoreError::new)?;
    keyfile::create(&path, document.expose()).map_err(StoreError::new)?;
    let made_at = std::time::UNIX_EPOCH + Duration::from_secs(now.0);
    let dated = std::fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(made_at));
    dated.map_err(|source| StoreError::new(KeyFileError::Io { path: path.clone(), source }))?;
    Ok(KeyFile { number, algorithm, path })
}

fn read(file: &KeyFile) -> Result<MadeKey, StoreError> {
    let unreadable = |source| StoreError::new(KeyFileError::Io { path: file.path.clone(), source });
    let document = keyfile::read(&file.path).map_err(StoreError::new)?;
    let key = SoftwareKey::from_pkcs8(file.algorithm, document.expose())
        .map_err(|source| StoreError::new(format!("{}: {source}", file.path.display())))?;
    let modified = std::fs::metadata(&file.path).and_then(|metadata| metadata.modified()).map_err(unreadable)?;
    let made_at = modified.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(MadeKey { made_at: Timestamp(made_at), key: Arc::new(key) })
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const LATER: Timestamp = Timestamp(u64::MAX / 2);

    #[test]
    fn keys_outlive_the_process_and_two_are_published_in_a_rotation() {
        let folder = tempfile::tempdir().expect("folder");
        let keys = folder.path().join(FOLDER);
        let load = |algorithm| load(&keys, algorithm, LATER).expect("loaded");
        let first = load(Algorithm::Es256).public();
        assert_eq!(load(Algorithm::Es256).public(), first);
        rotate(&keys, Algorithm::Es256, Timestamp(1000)).expect("rotated");
        let second = load(Algorithm::Es256).public();
        assert_eq!(second.keys().len(), 2);
        assert_eq!(second.keys()[1], first.keys()[0]);
        let third = load(Algorithm::Ed25519).public();
        assert_eq!(third.keys()[0].algorithm(), Algorithm::Ed25519);
        assert_eq!(third.keys()[1..], second.keys()[..1]);
    }

    #[test]
    fn a_new_key_is_published_before_it_signs() {
        let made = |at| {
            let (key, _) = SoftwareKey::generate(Algorithm::Es256).expect("key");
            MadeKey { made_at: Timestamp(at), key: Arc::new(key) }
        };
        let (old, new, newer) = (made(0), made(1000), made(1050));
        let keys = ChallengeSigners::in_use(vec![newer.clone(), new.clone(), old.clone(), made(0)], Timestamp(1060));
        assert_eq!(keys.public().keys().len(), 4, "those to come, the one that signs, the one before");
        for (now, signing) in [(1060, &old), (1119, &old), (1120, &new), (1169, &new), (1170, &newer)] {
            assert_eq!(keys.current(Timestamp(now)).public(), signing.key.public(), "at {now}");
        }
        let keys = ChallengeSigners::in_use(vec![newer.clone(), new.clone(), old], Timestamp(2000));
        assert_eq!(keys.public().keys().len(), 2, "what is older is gone");
        let before = ChallengeSigners::in_use(vec![newer.clone(), new.clone(), made(10), made(0)], Timestamp(1200));
        assert_eq!(before.public().keys().len(), 3, "what the last but one signed is still about");
        let before = ChallengeSigners::in_use(vec![newer, new.clone(), made(10), made(0)], Timestamp(1600));
        assert_eq!(before.public().keys().len(), 2);
        let alone = ChallengeSigners::in_use(vec![new.clone()], Timestamp(1000));
        assert_eq!(alone.current(Timestamp(1000)).public(), new.key.public(), "the only one need not wait");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("folder");
        load(folder.path(), Algorithm::Es256, LATER).expect("made");
        let file = list(folder.path()).expect("list").remove(0).path;
        assert_eq!(std::fs::metadata(&file).expect("metadata").permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("mode");
        let error = load(folder.path(), Algorithm::Es256, LATER).expect_err("refused").to_string();
        assert!(error.contains("challenge-00000001-es256.pk8"), "{error}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("mode");
        std::fs::write(&file, b"truncated").expect("write");
        assert!(load(folder.path(), Algorithm::Es256, LATER).is_err());
    }
}
