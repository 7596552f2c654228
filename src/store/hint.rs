//! Hints between replicas. A hint may get lost; what must not is in the store.

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::protocol::id::{DeviceId, Subject};
use crate::protocol::state::PresenceState;

/// How many hints wait for a reader that is slow. It is told that it missed some, and looks by itself.
const WAITING: usize = 1024;

/// Something that it is worth to look at, or only to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hint", rename_all = "snake_case")]
pub enum Hint {
    /// The log of withdrawals grew.
    LogGrew,
    /// A person's presence at one computer, as the pages that it signed in show it.
    Presence {
        /// The computer's device.
        device: DeviceId,
        /// How the person stands to the client.
        presence: PresenceState,
    },
    /// An account's name or picture changed.
    ProfileChanged {
        /// Whose.
        subject: Subject,
    },
}

/// The hints inside one process.
#[derive(Debug)]
pub(super) struct Hints(broadcast::Sender<Hint>);

impl Default for Hints {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Hints {
    pub(super) fn send(&self, hint: Hint) {
        // Nobody listens, say in a test of the store alone: nothing is lost by it.
        let _ = self.0.send(hint);
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Hint> {
        self.0.subscribe()
    }
}
