//! How often an account was asked: three orders in ten minutes (protocol section 6.15), counted in the store, so that it is
//! three whatever the replica. Nobody is made to type digits until they hit. Beside the count stands the newest order, for
//! agents that link up while it waits.
//!
//! What its own signed-in browsers scan is counted apart: anybody may ask by a name, and would use up theirs.

use serde::{Deserialize, Serialize};

use super::super::state::State;
use crate::protocol::id::Subject;
use crate::protocol::order::{ORDERS_PER_WINDOW, ORDERS_WINDOW_SECONDS};
use crate::protocol::time::Timestamp;
use crate::store::{NoteKey, NoteKind, NoteValue, StoreError};

/// What is kept of an account.
#[derive(Default, Serialize, Deserialize)]
struct Asked {
    times: Vec<Timestamp>,
    /// The newest order that its agents are asked about.
    newest: Option<NoteKey>,
}

const ASKED: NoteKind = NoteKind::new("order-count");
const SCANNED: NoteKind = NoteKind::new("scan-count");
/// How often the count is tried again that another's came before.
const TRIES: usize = 8;

/// Counts one order of which an account's agents are asked, with its place. Whether they may be.
pub(super) async fn may_be_asked(server: &State, subject: &Subject, order: &NoteKey) -> Result<bool, StoreError> {
    count(server, subject, ASKED, Some(order)).await
}

/// Counts one order that a browser of an account takes on. Whether it may.
pub(super) async fn may_scan(server: &State, subject: &Subject) -> Result<bool, StoreError> {
    count(server, subject, SCANNED, None).await
}

async fn count(server: &State, subject: &Subject, kind: NoteKind, order: Option<&NoteKey>) -> Result<bool, StoreError> {
    let key = key_of(kind, subject);
    for _ in 0..TRIES {
        let now = server.clock.timestamp();
        let until = now.plus(ORDERS_WINDOW_SECONDS);
        let note = server.store.note(&key).await?;
        let mut asked = note.as_ref().map(|note| read(note.value.as_str())).unwrap_or_default();
        asked.times.retain(|at| now.seconds_since(*at) < ORDERS_WINDOW_SECONDS);
        if asked.times.len() >= ORDERS_PER_WINDOW {
            tracing::warn!(subject = subject.as_str(), "not asked: this account had its three orders in ten minutes");
            return Ok(false);
        }
        asked.times.push(now);
        asked.newest = order.cloned().or(asked.newest);
        let value = NoteValue::try_from(write(&asked)).expect("three numbers and a key are short");
        let counted = match note {
            Some(note) => server.store.change_note(&key, note.version, value, until).await?,
            None => server.store.keep_note(&key, value, until).await?,
        };
        if counted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The newest order that an account's agents are asked about. It may be over.
pub(super) async fn newest(server: &State, subject: &Subject) -> Result<Option<NoteKey>, StoreError> {
    let note = server.store.note(&key_of(ASKED, subject)).await?;
    Ok(note.and_then(|note| read(note.value.as_str()).newest))
}

fn key_of(kind: NoteKind, subject: &Subject) -> NoteKey {
    NoteKey::of(kind, subject.as_str().as_bytes())
}

fn read(text: &str) -> Asked {
    serde_json::from_str(text).unwrap_or_default()
}

fn write(asked: &Asked) -> String {
    serde_json::to_string(asked).expect("it has string keys only")
}
