//! Every limit of protocol sections 2 to 4, once.

use std::time::Duration;

/// Where pages look for an agent unless the issuer says otherwise, in order (section 2).
pub const DEFAULT_PORTS: [u16; 2] = [28970, 28971];
/// Where an agent with a certificate speaks TLS, unless it is configured otherwise (section 2).
pub const DEFAULT_WSS_PORT: u16 = 28972;
/// Browsers punish long lists of probed ports.
pub const MAX_PORTS: usize = 3;
/// Below lie ports that need privileges or that browsers refuse; above, the range systems hand out to clients.
pub const PORT_RANGE: std::ops::RangeInclusive<u16> = 10_240..=32_767;

/// Longest request head in bytes (section 3, point 1).
pub const HEAD_MAX_LEN: usize = 8 * 1024;
/// From a head's first byte to its last.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(3);
/// On the TLS port: from a connection's first byte to the end of the handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection may stay silent: a browser's permission prompt holds it so and then continues on it.
pub const SILENT_TIMEOUT: Duration = Duration::from_secs(310);
/// Silent connections kept at once; the oldest goes first.
pub const MAX_SILENT: usize = 64;
/// Refusals a second that are answered with bytes.
pub const REFUSALS_PER_SECOND: u32 = 10;

/// Longest message and longest frame in bytes (section 3.2).
pub const MESSAGE_MAX_LEN: usize = 8 * 1024;
/// Fragments in one message.
pub const MAX_FRAGMENTS: u32 = 16;
/// Text messages a second on one socket.
pub const MESSAGES_PER_SECOND: u32 = 30;
/// Control frames a second on one socket.
pub const CONTROLS_PER_SECOND: u32 = 10;
/// What either rate may be exceeded by at once.
pub const RATE_BURST: u32 = 60;
/// Bytes that may wait for a page that does not read.
pub const SEND_QUEUE_MAX_LEN: usize = 64 * 1024;

/// From the upgrade to the page's `open`.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two `ping` messages.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Without a `pong`, after which the socket closes; browsers run timers of hidden pages once a minute.
pub const PONG_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a challenge is accepted after it was issued, in seconds (section 4.1).
pub const CHALLENGE_MAX_AGE_SECONDS: u64 = 120;
/// How long a resume ticket is accepted.
pub const RESUME_TICKET_LIFE: Duration = Duration::from_secs(600);
/// Resume tickets that are remembered as used of the same [`RESUME_TICKET_LIFE`], and of the one before: a page that opens its
/// socket again and again takes no more memory with it than that, two mebibytes in all. Whoever comes then opens with a challenge.
pub const MAX_USED_TICKETS: usize = 32_768;
/// How long after a token the agent gives a second one for a challenge of the store's next life (section 6.4).
pub const SECOND_TOKEN_WINDOW: Duration = Duration::from_secs(60);

/// How long a bridge's page may take from its delivery to the first frame on its socket (section 8).
pub const BRIDGE_KEY_LIFE: Duration = Duration::from_secs(30);
/// Deliveries of the bridge's page that may wait for their socket at once; the oldest goes first.
pub const MAX_BRIDGE_KEYS: usize = 16;

/// How long a prompt must have been there before an answer counts (section 4.3).
pub const PROMPT_DEAD_TIME: Duration = Duration::from_millis(500);
/// From the prompt to the person's answer (section 4.3).
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(60);
/// Prompts for one origin within [`PROMPT_WINDOW`], unless the embedding application raises them.
pub const PROMPTS_PER_WINDOW: usize = 3;
/// See [`PROMPTS_PER_WINDOW`].
pub const PROMPT_WINDOW: Duration = Duration::from_secs(600);

/// Proofs that may be in the making for one socket at once.
pub const MAX_PROOFS_IN_FLIGHT: usize = 4;

/// From a page's `action` to the client's answer (section 4.4).
pub const ACTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Actions of one socket that may wait for their result at once.
pub const MAX_ACTIONS_IN_FLIGHT: usize = 4;
/// Actions that clients may register in all.
pub const MAX_ACTIONS: usize = 64;
/// Longest result or news of an action in bytes of JSON: with what stands around it, it fits a message.
pub const ACTION_VALUE_MAX_LEN: usize = 7 * 1024;

/// Sockets: the embedding application may raise them, a configuration file only lower them (section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketLimits {
    /// Open sockets of one origin.
    pub per_origin: usize,
    /// Open sockets in all.
    pub total: usize,
    /// Connections between the first byte of their head and `ready`.
    pub not_yet_open: usize,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self { per_origin: 32, total: 256, not_yet_open: 16 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written out, as the protocol's page has them: a number that is computed can be computed wrongly.
    #[test]
    fn the_numbers_of_the_protocol() {
        assert_eq!((HEAD_MAX_LEN, MESSAGE_MAX_LEN, SEND_QUEUE_MAX_LEN), (8_192, 8_192, 65_536));
        assert_eq!(ACTION_VALUE_MAX_LEN, 7_168);
        assert_eq!(crate::protocol::statement::MAX_STATEMENT_LEN, 8_192);
    }
}
