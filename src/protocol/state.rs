//! What the agent tells every page: how things stand, and nothing about who.

use serde::{Deserialize, Serialize};

use super::id::{Epoch, Seq};
use super::json;
use super::message::AgentMessage;
use super::text_frame::TextFrame;
use super::time::UnixMillis;

/// How the person stands to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case")]
pub enum PresenceState {
    /// Signed in and there.
    SignedIn,
    /// Still signed in, but not at the computer.
    Away,
    /// Signed in behind a lock: no token is issued.
    Locked,
    /// Nobody is signed in: no token, no proof.
    SignedOut,
}

json::words_only!(PresenceState);

impl std::fmt::Display for PresenceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SignedIn => "signed_in",
            Self::Away => "away",
            Self::Locked => "locked",
            Self::SignedOut => "signed_out",
        })
    }
}

/// The `state` of a message (protocol section 4.1). It names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct State {
    /// How the person stands to the client.
    pub presence: PresenceState,
    /// Since when.
    pub since: UnixMillis,
    /// The agent's epoch at the issuer.
    pub epoch: Epoch,
}

/// A state as it goes out: numbered and encoded once for every page of the issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The number of this state.
    pub seq: Seq,
    /// The state.
    pub state: State,
    /// Whether a device key is enrolled for whoever is meant: without one nothing can be proved.
    pub enrolled: bool,
    /// The `state` message, encoded.
    pub frame: TextFrame,
}

impl Published {
    /// Numbers and encodes a state.
    #[must_use]
    pub fn new(seq: Seq, state: State, enrolled: bool) -> Self {
        Self { seq, state, enrolled, frame: TextFrame::new(&AgentMessage::State { seq, state }.encode()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presence_is_shown_as_it_is_written() {
        use PresenceState::*;
        for presence in [SignedIn, Away, Locked, SignedOut] {
            assert_eq!(serde_json::to_value(presence).expect("JSON"), presence.to_string());
        }
    }
}
