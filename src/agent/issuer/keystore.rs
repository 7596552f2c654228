//! Where device keys live. Files here; a keychain, TPM or secure enclave behind the same trait elsewhere.

use std::path::PathBuf;
use std::sync::Arc;

use crate::crypto::{Algorithm, KeyId, Secret, SignError, Signer, SoftwareKey};
use crate::keyfile::{self, KeyFileError};

/// Why a device key could not be made or loaded.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// Its file.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The key itself.
    #[error(transparent)]
    Key(#[from] SignError),
    /// The file holds another key than its name says, or none.
    #[error("the file of device key {0} does not hold that key; move it away and enrol anew")]
    Mismatch(KeyId),
}

/// Makes, loads and removes device keys.
pub trait KeyStore: Send + Sync + std::fmt::Debug {
    /// Makes a key that is kept from now on.
    ///
    /// # Errors
    /// [`KeyStoreError`] where it cannot be made or kept.
    fn create(&self) -> Result<Arc<dyn Signer>, KeyStoreError>;

    /// Loads a key that was made before.
    ///
    /// # Errors
    /// [`KeyStoreError`] where it is missing, unsafe or unusable.
    fn load(&self, id: KeyId) -> Result<Arc<dyn Signer>, KeyStoreError>;

    /// Destroys a key.
    ///
    /// # Errors
    /// [`KeyStoreError`] where it is still there afterwards.
    fn remove(&self, id: KeyId) -> Result<(), KeyStoreError>;
}

/// One file of mode 0600 a key, named after its thumbprint: the algorithm's name, a line end, PKCS#8.
#[derive(Debug)]
pub struct FileKeyStore {
    folder: PathBuf,
    algorithm: Algorithm,
}

impl FileKeyStore {
    /// Keeps keys in a folder, which is made where it does not exist.
    ///
    /// # Errors
    /// [`KeyStoreError::File`] where the folder cannot be made private.
    pub fn new(folder: PathBuf, algorithm: Algorithm) -> Result<Self, KeyStoreError> {
        keyfile::private_folder(&folder)?;
        Ok(Self { folder, algorithm })
    }

    fn path(&self, id: KeyId) -> PathBuf {
        self.folder.join(format!("{id}.key"))
    }
}

const fn label(algorithm: Algorithm) -> &'static [u8] {
    match algorithm {
        Algorithm::Es256 => b"ES256\n",
        Algorithm::Ed25519 => b"Ed25519\n",
    }
}

impl KeyStore for FileKeyStore {
    fn create(&self) -> Result<Arc<dyn Signer>, KeyStoreError> {
        let (key, document) = SoftwareKey::generate(self.algorithm)?;
        let content = Secret::new([label(self.algorithm), document.expose()].concat());
        keyfile::create(&self.path(key.public().id()), content.expose())?;
        Ok(Arc::new(key))
    }

    fn load(&self, id: KeyId) -> Result<Arc<dyn Signer>, KeyStoreError> {
        let content = keyfile::read(&self.path(id))?;
        let of = |algorithm| content.expose().strip_prefix(label(algorithm)).map(|document| (algorithm, document));
        let (algorithm, document) =
            of(Algorithm::Es256).or_else(|| of(Algorithm::Ed25519)).ok_or(KeyStoreError::Mismatch(id))?;
        let key = SoftwareKey::from_pkcs8(algorithm, document).map_err(|_| KeyStoreError::Mismatch(id))?;
        if key.public().id() == id { Ok(Arc::new(key)) } else { Err(KeyStoreError::Mismatch(id)) }
    }

    fn remove(&self, id: KeyId) -> Result<(), KeyStoreError> {
        let path = self.path(id);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(KeyFileError::Io { path, source }.into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_outlive_the_process_and_not_their_removal() {
        let folder = tempfile::tempdir().expect("folder");
        for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
            let store = FileKeyStore::new(folder.path().join("keys"), algorithm).expect("store");
            let key = store.create().expect("key");
            let id = key.public().id();
            let other = store.create().expect("key").public().id();
            let again = FileKeyStore::new(folder.path().join("keys"), Algorithm::Es256).expect("store");
            let signature = again.load(id).expect("the same key").sign(b"m").expect("signature");
            assert!(key.public().verify(b"m", &signature).is_ok());
            std::fs::copy(again.path(other), again.path(id)).expect("copied");
            assert!(matches!(again.load(id), Err(KeyStoreError::Mismatch(_))));
            again.remove(id).expect("removed");
            assert!(again.load(id).is_err());
            again.remove(id).expect("removing twice is no fault");
        }
    }
}
