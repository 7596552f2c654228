//! The agent's half of a link: which frame may come when.

use super::{Asking, Profile, ToAgent, VERSION};
use crate::protocol::code::CloseCode;
use crate::protocol::id::{Epoch, Nonce, OrderId};

/// A link as the agent sees it, named for what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AgentLink {
    /// The login server's first frame.
    #[default]
    ExpectHello,
    /// The answer to `open`.
    ExpectReady,
    /// Whatever happens.
    Live,
}

/// What the login server said, where it may be said.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// Sign L with this nonce, and send `open`.
    Hello(Nonce),
    /// The link is open.
    Ready {
        /// The lowest epoch that counts from now on.
        epoch: Epoch,
        /// The account's person.
        profile: Profile,
    },
    /// The device's rights were taken away.
    Revoked,
    /// The person's name or picture is another.
    Profile(Profile),
    /// Sign the person out.
    SignOutRequest,
    /// The sign-out for this epoch was taken.
    SignedOut(Epoch),
    /// Ask the person about an order.
    Approval(Asking),
    /// Nobody waits for the answer any more.
    ApprovalOver(OrderId),
    /// A frame of a later version.
    Nothing,
}

impl AgentLink {
    /// Takes a text frame.
    ///
    /// # Errors
    /// The code to close with, where it may not come now or at all.
    pub fn take(&mut self, text: &str) -> Result<Heard, CloseCode> {
        let frame = ToAgent::parse(text).map_err(|_| CloseCode::Unexpected)?;
        let (next, heard) = match (*self, frame) {
            (Self::ExpectHello, ToAgent::Hello { v: VERSION, nonce }) => (Self::ExpectReady, Heard::Hello(nonce)),
            (Self::ExpectReady, ToAgent::Ready { epoch, profile }) => (Self::Live, Heard::Ready { epoch, profile }),
            (Self::ExpectReady | Self::Live, ToAgent::Revoked {}) => (Self::Live, Heard::Revoked),
            (Self::Live, ToAgent::Profile { name, avatar }) => (Self::Live, Heard::Profile(Profile { name, avatar })),
            (Self::Live, ToAgent::SignOutRequest {}) => (Self::Live, Heard::SignOutRequest),
            (Self::Live, ToAgent::SignedOut { epoch }) => (Self::Live, Heard::SignedOut(epoch)),
            (Self::Live, ToAgent::Approval(asking)) => (Self::Live, Heard::Approval(asking)),
            (Self::Live, ToAgent::ApprovalOver { order }) => (Self::Live, Heard::ApprovalOver(order)),
            (state, ToAgent::Unknown) if state != Self::ExpectHello => (state, Heard::Nothing),
            _ => return Err(CloseCode::Unexpected),
        };
        *self = next;
        Ok(heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<ToAgent> {
        let profile = Profile { name: "Ada".into(), avatar: None };
        vec![
            ToAgent::Hello { v: VERSION, nonce: Nonce::from_bytes([1; 32]) },
            ToAgent::Hello { v: VERSION + 1, nonce: Nonce::from_bytes([1; 32]) },
            ToAgent::Ready { epoch: Epoch(1), profile },
            ToAgent::Revoked {},
            ToAgent::Profile { name: "Ada".into(), avatar: None },
            ToAgent::SignOutRequest {},
            ToAgent::SignedOut { epoch: Epoch(1) },
            ToAgent::ApprovalOver { order: OrderId::from_bytes([1; 16]) },
        ]
    }

    #[test]
    fn each_frame_has_its_place() {
        let places = [
            (AgentLink::ExpectHello, [true, false, false, false, false, false, false, false]),
            (AgentLink::ExpectReady, [false, false, true, true, false, false, false, false]),
            (AgentLink::Live, [false, false, false, true, true, true, true, true]),
        ];
        for (state, taken) in places {
            for (frame, taken) in frames().iter().zip(taken) {
                let mut link = state;
                assert_eq!(link.take(&frame.encode()).is_ok(), taken, "{frame:?} in {state:?}");
                assert_eq!(link != state || taken, taken, "a refusal changes nothing");
            }
        }
    }

    #[test]
    fn an_unknown_frame_is_passed_over_but_not_in_place_of_the_first() {
        let later = r#"{"type":"later","order":7}"#;
        assert_eq!(AgentLink::ExpectHello.take(later), Err(CloseCode::Unexpected));
        for state in [AgentLink::ExpectReady, AgentLink::Live] {
            let mut link = state;
            assert_eq!((link.take(later), link), (Ok(Heard::Nothing), state));
        }
    }
}
