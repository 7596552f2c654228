//! Where the challenge keys of an embedded store are: files in its folder, or with it in memory.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::crypto::Algorithm;
use crate::protocol::time::Timestamp;
use crate::store::StoreError;
use crate::store::keys::{self, ChallengeSigners, MadeKey};

/// The keys of one store.
#[derive(Debug, Clone)]
pub(super) enum Keys {
    /// With the turn of whoever reads or makes keys there.
    Folder(PathBuf, Arc<Mutex<()>>),
    /// Newest first. Made when they are first asked for, and gone with the store.
    Memory(Arc<Mutex<Vec<MadeKey>>>),
}

impl Keys {
    /// The keys that count now; makes one where there is none of that algorithm.
    pub(super) async fn load(&self, algorithm: Algorithm, now: Timestamp) -> Result<ChallengeSigners, StoreError> {
        match self.clone() {
            Self::Folder(folder, turn) => in_turn(turn, move || keys::load(&folder, algorithm, now)).await,
            Self::Memory(made) => {
                let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                if made.first().is_none_or(|newest| newest.key.public().algorithm() != algorithm) {
                    // As in a folder: nobody waits for the first key of an algorithm to be known.
                    made.insert(0, MadeKey::generate(algorithm, now)?);
                }
                Ok(ChallengeSigners::in_use(made.clone(), now))
            }
        }
    }

    /// Makes a new key, which is published first and signs later.
    pub(super) async fn rotate(&self, algorithm: Algorithm, now: Timestamp) -> Result<(), StoreError> {
        match self.clone() {
            Self::Folder(folder, turn) => in_turn(turn, move || keys::rotate(&folder, algorithm, now)).await,
            Self::Memory(made) => {
                let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                made.insert(0, MadeKey::generate(algorithm, now)?);
                made.truncate(keys::READ_AT_MOST);
                Ok(())
            }
        }
    }
}

async fn in_turn<T: Send + 'static>(
    turn: Arc<Mutex<()>>,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let work = move || {
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(StoreError::new)?
}
