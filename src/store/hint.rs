//! Hints between replicas. A hint may get lost; what must not is in the store.

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::NoteKey;
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
        /// How the person stands to the client; nothing once no agent is there to say it.
        presence: Option<PresenceState>,
    },
    /// An account's name or picture changed.
    ProfileChanged {
        /// Whose.
        subject: Subject,
    },
    /// A note changed: whoever shows what it says reads it again.
    NoteChanged {
        /// Which one.
        note: NoteKey,
    },
    /// Somebody asks to be let in, and waits for a device of the account to approve it.
    ApprovalAsked {
        /// Whose devices are asked.
        subject: Subject,
        /// Where the order is kept.
        note: NoteKey,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::NoteKind;
    use crate::verify::testing::parsed;

    /// PostgreSQL's NOTIFY takes less than 8000 bytes.
    #[test]
    fn the_longest_hint_fits_a_notification_and_is_read_back() {
        let note = NoteKey::of(NoteKind::new("a-kind-of-thirty-two-characters-"), b"secret");
        let (subject, device) = (parsed(&"s".repeat(128)), parsed(&"d".repeat(128)));
        for hint in [
            Hint::LogGrew,
            Hint::Presence { device, presence: Some(PresenceState::SignedIn) },
            Hint::NoteChanged { note: note.clone() },
            Hint::ApprovalAsked { subject, note },
        ] {
            let text = serde_json::to_string(&hint).expect("JSON");
            assert!(text.len() < 1000, "{text}");
            assert_eq!(serde_json::from_str::<Hint>(&text).expect("read"), hint);
        }
    }
}
