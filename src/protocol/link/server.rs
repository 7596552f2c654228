//! The login server's half of a link: which frame may come when, and how often.

use super::{ToAgent, ToServer, VERSION};
use crate::protocol::code::CloseCode;
use crate::protocol::id::{Epoch, Nonce};
use crate::protocol::limits::{CONTROLS_PER_SECOND, MESSAGES_PER_SECOND, RATE_BURST};
use crate::protocol::rate::RateLimit;
use crate::protocol::state::PresenceState;
use crate::protocol::time::Moment;

/// A link as the login server sees it.
#[derive(Debug)]
pub struct ServerLink {
    /// The nonce of `hello`, until L has answered it.
    expect_open: Option<Nonce>,
    texts: RateLimit,
    controls: RateLimit,
}

/// What the agent said, where it may be said.
#[derive(Clone, PartialEq)]
pub enum Asked {
    /// Verify this L for this nonce; nothing that follows counts if it is not sound.
    Open {
        /// L.
        proof: String,
        /// What it has to name.
        nonce: Nonce,
    },
    /// How the person stands to the client, since the given epoch.
    Presence(PresenceState, Epoch),
    /// Take this S in.
    SignOut(String),
    /// Take this A in.
    Approval(String),
}

/// Shows which it is and nothing of what it carries.
impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open { .. } => "open",
            Self::Presence(..) => "presence",
            Self::SignOut(_) => "sign-out",
            Self::Approval(_) => "approval",
        })
    }
}

impl ServerLink {
    /// A link that was upgraded, and the frame to begin it with. The nonce is fresh.
    #[must_use]
    pub fn new(nonce: Nonce) -> (Self, ToAgent) {
        let link = Self {
            expect_open: Some(nonce),
            texts: RateLimit::new(MESSAGES_PER_SECOND, RATE_BURST),
            controls: RateLimit::new(CONTROLS_PER_SECOND, RATE_BURST),
        };
        (link, ToAgent::Hello { v: VERSION, nonce })
    }

    /// Takes a text frame.
    ///
    /// # Errors
    /// The code to close with, where it may not come now or at all, or too many came.
    pub fn take(&mut self, text: &str, now: Moment) -> Result<Asked, CloseCode> {
        if !self.texts.admit(now) {
            return Err(CloseCode::OverLimit);
        }
        let frame = ToServer::parse(text).map_err(|_| CloseCode::Unexpected)?;
        match (self.expect_open.take(), frame) {
            (Some(nonce), ToServer::Open { proof }) => Ok(Asked::Open { proof, nonce }),
            (None, ToServer::Presence { presence, epoch }) => Ok(Asked::Presence(presence, epoch)),
            (None, ToServer::Signout { statement }) => Ok(Asked::SignOut(statement)),
            (None, ToServer::ApprovalResult { statement }) => Ok(Asked::Approval(statement)),
            _ => Err(CloseCode::Unexpected),
        }
    }

    /// Counts a ping or a pong.
    ///
    /// # Errors
    /// The code to close with, where too many came.
    pub fn control(&mut self, now: Moment) -> Result<(), CloseCode> {
        if self.controls.admit(now) { Ok(()) } else { Err(CloseCode::OverLimit) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Moment = Moment(Duration::from_secs(100));

    fn link() -> ServerLink {
        ServerLink::new(Nonce::from_bytes([3; 32])).0
    }

    fn open() -> String {
        ToServer::Open { proof: "a.b.c".into() }.encode()
    }

    fn rest() -> [String; 3] {
        [
            ToServer::Presence { presence: PresenceState::Away, epoch: Epoch(1) }.encode(),
            ToServer::Signout { statement: "a.b.c".into() }.encode(),
            ToServer::ApprovalResult { statement: "a.b.c".into() }.encode(),
        ]
    }

    #[test]
    fn open_comes_first_and_once() {
        for early in rest() {
            assert_eq!(link().take(&early, NOW), Err(CloseCode::Unexpected), "{early}");
        }
        let mut link = link();
        let asked = link.take(&open(), NOW);
        assert_eq!(asked, Ok(Asked::Open { proof: "a.b.c".into(), nonce: Nonce::from_bytes([3; 32]) }));
        for later in rest() {
            assert!(link.take(&later, NOW).is_ok(), "{later}");
        }
        assert_eq!(link.take(&open(), NOW), Err(CloseCode::Unexpected), "a second L");
    }

    #[test]
    fn so_many_frames_and_no_more() {
        let mut link = link();
        assert!(link.take(&open(), NOW).is_ok());
        let [presence, ..] = rest();
        let taken = (0..200).take_while(|_| link.take(&presence, NOW).is_ok()).count();
        assert_eq!(taken, 59);
        assert_eq!(link.take(&presence, NOW), Err(CloseCode::OverLimit));
        assert_eq!((0..200).filter(|_| link.control(NOW).is_ok()).count(), 60);
        assert_eq!(link.control(NOW), Err(CloseCode::OverLimit));
    }
}
