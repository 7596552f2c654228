//! Close codes and refusal codes, once.

use serde::{Deserialize, Serialize};

/// Why the agent closes a socket, or either side a link: RFC 6455 section 7.4 and protocol section 4. The reason text is
/// always empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The agent stops.
    GoingAway = 1001,
    /// Framing that RFC 6455 does not allow.
    ProtocolError = 1002,
    /// A binary frame.
    Unsupported = 1003,
    /// Text that is not UTF-8.
    InvalidUtf8 = 1007,
    /// A message or frame over the limit.
    TooBig = 1009,
    /// Try again later.
    TryLater = 1013,
    /// Anything unexpected: not JSON, unknown, out of order, the wrong nonce, too many fragments.
    Unexpected = 4400,
    /// The challenge or ticket was not accepted.
    NotAccepted = 4401,
    /// The origin's grant was withdrawn.
    Withdrawn = 4403,
    /// A deadline passed.
    TimedOut = 4408,
    /// More than its limit.
    OverLimit = 4429,
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// Why a request on an open socket was refused (protocol sections 4.2 to 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The person said no; or the state allows no action.
    Denied,
    /// The person did not answer in time; the client did not.
    Timeout,
    /// Nobody is signed in to the client.
    SignedOut,
    /// The computer or the client is locked.
    Locked,
    /// Another person, or the same one signed in anew, since the page drew its card.
    Switched,
    /// Another login or prompt is open.
    Busy,
    /// Nobody can be asked, or the key or the page cannot be reached just now.
    Unavailable,
    /// The page took its request back.
    Cancelled,
    /// The origin lacks the grant.
    NotGranted,
    /// No client registered an action of that name.
    UnknownAction,
    /// The client tried and could not.
    Failed,
}

impl RefusalCode {
    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Timeout => "timeout",
            Self::SignedOut => "signed_out",
            Self::Locked => "locked",
            Self::Switched => "switched",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::NotGranted => "not_granted",
            Self::UnknownAction => "unknown_action",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_as_it_is_written() {
        use RefusalCode::*;
        for code in [
            Denied,
            Timeout,
            SignedOut,
            Locked,
            Switched,
            Busy,
            Unavailable,
            Cancelled,
            NotGranted,
            UnknownAction,
            Failed,
        ] {
            assert_eq!(serde_json::to_value(code).expect("JSON"), code.word());
        }
    }

    #[test]
    fn the_numbers_on_the_wire() {
        use CloseCode::*;
        let codes = [
            (GoingAway, 1001),
            (ProtocolError, 1002),
            (Unsupported, 1003),
            (InvalidUtf8, 1007),
            (TooBig, 1009),
            (TryLater, 1013),
            (Unexpected, 4400),
            (NotAccepted, 4401),
            (Withdrawn, 4403),
            (TimedOut, 4408),
            (OverLimit, 4429),
        ];
        for (code, number) in codes {
            assert_eq!(code.number(), number, "{code:?}");
        }
    }
}
