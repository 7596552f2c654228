//! The link between an agent and its login server (protocol section 7): its frames, its limits, and what may come when.
//!
//! One JSON object a text frame, as on the socket of a page. What the login server says may grow: members and frames that
//! an agent does not know are ignored. What the agent says is closed.

mod agent;
mod server;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use agent::{AgentLink, Heard};
pub use server::{Asked, ServerLink};

use super::id::{Epoch, Nonce, OrderId};
use super::json;
use super::order::Place;
use super::origin::Origin;
use super::state::PresenceState;

/// The version that `hello` names and the subprotocol's number.
pub const VERSION: u32 = 1;
/// The WebSocket subprotocol (RFC 6455 section 1.9).
pub const SUBPROTOCOL: &str = "loopkey-link.1";

/// Longest frame and message to the agent in bytes: a profile with a picture of 64 KiB, in base64, and some room. To the
/// login server it is [`MESSAGE_MAX_LEN`](super::limits::MESSAGE_MAX_LEN).
pub const TO_AGENT_MAX_LEN: usize = 128 * 1024;
/// From the upgrade to `open`, and from there to its answer.
pub const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two pings of the login server, a quarter more or less: agents that came together do not stay together. A link
/// on which nothing came between two of them is over.
pub const PING_INTERVAL: Duration = Duration::from_secs(240);
/// A link on which the agent has heard nothing for so long, not even a ping, is over.
pub const SILENCE_MAX: Duration = Duration::from_secs(400);
/// Between two presences that the agent sends; only the newest counts.
pub const PRESENCE_INTERVAL: Duration = Duration::from_millis(200);

/// A person as the login server knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The name.
    pub name: String,
    /// The picture: an `https` address or a `data:` URL. `null` where there is none.
    #[serde(default)]
    pub avatar: Option<String>,
}

/// An order that an agent's person is asked about (section 8). The digits are not in it: the person types them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// The order.
    pub order: OrderId,
    /// To be signed in A.
    pub nonce: Nonce,
    /// The origin of the page that waits.
    pub origin: Origin,
    /// The browser that waits, by its own word: "Firefox on Windows".
    #[serde(default)]
    pub browser: Option<String>,
    /// Where that browser is.
    pub place: Place,
    /// For how many seconds an answer counts.
    pub seconds: u64,
}

/// What the login server says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToAgent {
    /// The first frame.
    Hello {
        /// [`VERSION`].
        v: u32,
        /// To be signed in L.
        nonce: Nonce,
    },
    /// L was accepted.
    Ready {
        /// The lowest epoch that counts from now on. One above the agent's own means: signed out.
        epoch: Epoch,
        /// The account's person.
        profile: Profile,
    },
    /// The device's rights were taken away, for good. The link ends with it.
    Revoked {},
    /// The person's name or picture is another.
    Profile {
        /// As in [`Profile`].
        name: String,
        /// As in [`Profile`].
        #[serde(default)]
        avatar: Option<String>,
    },
    /// The person wants to be signed out everywhere, or an administrator does.
    SignOutRequest {},
    /// Answers `signout`: it need not be sent again.
    SignedOut {
        /// The epoch that the statement named.
        epoch: Epoch,
    },
    /// A browser asks to be let in: ask the person. Asked again where the link began anew.
    Approval(Asking),
    /// Nobody waits for the answer any more.
    ApprovalOver {
        /// The order.
        order: OrderId,
    },
    /// A frame of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl ToAgent {
    /// Reads a text frame, as an agent does.
    ///
    /// # Errors
    /// [`json::BadJson`] for what is no frame at all, or lacks what belongs into it.
    pub fn parse(text: &str) -> Result<Self, json::BadJson> {
        json::parse_object(text)
    }

    /// The text frame.
    ///
    /// # Panics
    /// For [`ToAgent::Unknown`], which only ever comes in.
    #[must_use]
    pub fn encode(&self) -> String {
        encode(self)
    }
}

/// Shows which frame it is and nothing of what it carries.
impl std::fmt::Debug for ToAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hello { .. } => "hello",
            Self::Ready { .. } => "ready",
            Self::Revoked {} => "revoked",
            Self::Profile { .. } => "profile",
            Self::SignOutRequest {} => "sign_out_request",
            Self::SignedOut { .. } => "signed_out",
            Self::Approval(_) => "approval",
            Self::ApprovalOver { .. } => "approval_over",
            Self::Unknown => "unknown",
        })
    }
}

/// What the agent says. Closed: an unknown member or frame is a refusal.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToServer {
    /// The first frame.
    Open {
        /// L.
        proof: String,
    },
    /// How the person stands to the client.
    Presence {
        /// How.
        presence: PresenceState,
        /// The agent's epoch.
        epoch: Epoch,
    },
    /// Delivers a sign-out.
    Signout {
        /// S.
        statement: String,
    },
    /// Answers `approval`.
    ApprovalResult {
        /// A.
        statement: String,
    },
}

impl ToServer {
    /// Reads a text frame.
    ///
    /// # Errors
    /// [`json::BadJson`] for anything that is no frame of an agent.
    pub fn parse(text: &str) -> Result<Self, json::BadJson> {
        json::parse_object(text)
    }

    /// The text frame.
    #[must_use]
    pub fn encode(&self) -> String {
        encode(self)
    }
}

/// Shows which frame it is and nothing of what it carries.
impl std::fmt::Debug for ToServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open { .. } => "open",
            Self::Presence { .. } => "presence",
            Self::Signout { .. } => "signout",
            Self::ApprovalResult { .. } => "approval_result",
        })
    }
}

fn encode<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).expect("frames have string keys and finite numbers only")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn asking() -> Asking {
        Asking {
            order: OrderId::from_bytes([1; 16]),
            nonce: Nonce::from_bytes([2; 32]),
            origin: "https://app.example".parse().expect("an origin"),
            browser: Some("Firefox on Windows".into()),
            place: Place::Local,
            seconds: 120,
        }
    }

    #[test]
    fn what_the_login_server_receives_is_closed() {
        for sound in [
            r#"{"type":"open","proof":"a.b.c"}"#,
            r#"{"type":"presence","presence":"locked","epoch":4}"#,
            r#"{"statement":"a.b.c","type":"signout"}"#,
        ] {
            assert!(ToServer::parse(sound).is_ok(), "{sound}");
        }
        for hostile in [
            r#"{"type":"open","proof":"a.b.c","x":1}"#,
            r#"{"type":"open","proof":"a.b.c","proof":"a.b.c"}"#,
            r#"{"type":"open","type":"open","proof":"a.b.c"}"#,
            r#"{"type":"open","proof":null}"#,
            r#"{"type":"open"}"#,
            r#"["open","a.b.c"]"#,
            r#"{"type":"presence","presence":{"locked":null},"epoch":4}"#,
            r#"{"type":"presence","presence":"there","epoch":4}"#,
            r#"{"type":"presence","presence":"locked","epoch":-1}"#,
            r#"{"type":"presence","presence":"locked"}"#,
            r#"{"type":"approval_result","statement":"a.b.c","code":"47"}"#,
            r#"{"type":"approval_result"}"#,
            r#"{"type":"hello","v":1}"#,
            "null",
            "",
        ] {
            assert!(ToServer::parse(hostile).is_err(), "{hostile}");
        }
    }

    #[test]
    fn what_the_agent_receives_may_grow() {
        let hello = format!(r#"{{"type":"hello","v":1,"nonce":"{NONCE}","later":[1]}}"#);
        assert!(matches!(ToAgent::parse(&hello), Ok(ToAgent::Hello { v: 1, .. })));
        let ready = r#"{"type":"ready","epoch":4,"profile":{"name":"Ada","later":1},"more":{}}"#;
        let profile = Profile { name: "Ada".into(), avatar: None };
        assert_eq!(ToAgent::parse(ready), Ok(ToAgent::Ready { epoch: Epoch(4), profile }));
        assert_eq!(ToAgent::parse(r#"{"type":"later","order":7}"#), Ok(ToAgent::Unknown));
        assert!(ToAgent::parse(r#"{"type":"approval","order":7}"#).is_err());
        assert_eq!(ToAgent::parse(r#"{"type":"revoked","since":1}"#), Ok(ToAgent::Revoked {}));
        for broken in [r#"{"type":"ready","epoch":4}"#, r#"{"type":"hello","v":1,"nonce":"A"}"#, "[]", r#"{"v":1}"#] {
            assert!(ToAgent::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn frames_read_back_as_they_were_written_and_do_not_show_what_they_carry() {
        let profile = Profile { name: "Ada".into(), avatar: Some("https://a.example/a.png".into()) };
        for (frame, word) in [
            (ToAgent::Hello { v: VERSION, nonce: Nonce::from_bytes([7; 32]) }, "hello"),
            (ToAgent::Ready { epoch: Epoch(1), profile }, "ready"),
            (ToAgent::Revoked {}, "revoked"),
            (ToAgent::Profile { name: "Ada".into(), avatar: None }, "profile"),
            (ToAgent::SignOutRequest {}, "sign_out_request"),
            (ToAgent::SignedOut { epoch: Epoch(2) }, "signed_out"),
            (ToAgent::Approval(asking()), "approval"),
            (ToAgent::ApprovalOver { order: OrderId::from_bytes([7; 16]) }, "approval_over"),
        ] {
            assert_eq!(ToAgent::parse(&frame.encode()), Ok(frame.clone()));
            assert_eq!(format!("{frame:?}"), word);
            assert!(frame.encode().starts_with(&format!(r#"{{"type":"{word}""#)), "{}", frame.encode());
        }
        for (frame, word) in [
            (ToServer::Open { proof: "a.b.c".into() }, "open"),
            (ToServer::Presence { presence: PresenceState::Away, epoch: Epoch(2) }, "presence"),
            (ToServer::Signout { statement: "a.b.c".into() }, "signout"),
            (ToServer::ApprovalResult { statement: "a.b.c".into() }, "approval_result"),
        ] {
            assert_eq!(ToServer::parse(&frame.encode()), Ok(frame.clone()));
            assert_eq!(format!("{frame:?}"), word);
        }
    }

    #[test]
    fn the_numbers_of_the_protocol() {
        assert_eq!(TO_AGENT_MAX_LEN, 131_072);
        assert!(SILENCE_MAX > PING_INTERVAL.mul_f64(1.25), "a ping comes before the agent gives up");
    }
}
