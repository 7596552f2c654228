//! The shelf of all connectors: notes that no flow waits for, each found by its name.

use std::fmt;
use std::sync::Weak;

use async_trait::async_trait;

use crate::connectors::{ConnectFault, Fault, Shelf};
use crate::login::state::State;
use crate::store::{NoteKey, NoteKind, NoteValue, StoreError};

const KIND: NoteKind = NoteKind::new("connect-shelf");
/// For how long what nobody writes anew is kept, in seconds: a year. What DingTalk pushes comes every few hours.
const LIFE: u64 = 365 * 24 * 3600;

/// The store, for as long as the server is there: a connector that outlives it must not hold the store open.
pub(super) struct StoreShelf(pub(super) Weak<State>);

impl fmt::Debug for StoreShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreShelf")
    }
}

impl StoreShelf {
    fn server(&self) -> Result<std::sync::Arc<State>, ConnectFault> {
        self.0.upgrade().ok_or_else(|| ConnectFault::new(Fault::Unavailable, "the login server is gone"))
    }
}

fn key(name: &str) -> NoteKey {
    NoteKey::of(KIND, name.as_bytes())
}

fn failed(error: StoreError) -> ConnectFault {
    ConnectFault::new(Fault::Unavailable, error)
}

#[async_trait]
impl Shelf for StoreShelf {
    async fn read(&self, name: &str) -> Result<Option<String>, ConnectFault> {
        let note = self.server()?.store.note(&key(name)).await.map_err(failed)?;
        Ok(note.map(|note| note.value.into()))
    }

    async fn write(&self, name: &str, former: Option<&str>, text: String) -> Result<bool, ConnectFault> {
        let (server, key) = (self.server()?, key(name));
        let value = NoteValue::try_from(text).map_err(|bad| ConnectFault::new(Fault::Unavailable, bad))?;
        let until = server.clock.timestamp().plus(LIFE);
        let written = match (server.store.note(&key).await.map_err(failed)?, former) {
            (None, None) => server.store.keep_note(&key, value, until).await,
            (Some(note), Some(former)) if note.value.as_str() == former => {
                server.store.change_note(&key, note.version, value, until).await
            }
            _ => Ok(false),
        };
        written.map_err(failed)
    }
}
