//! The messages of protocol section 4: one enum a direction.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::code::RefusalCode;
use super::grant::Grants;
use super::id::{Epoch, Nonce, PageMark, Seq};
use super::json;
use super::state::State;

/// The version that `hello` names and the subprotocol's number.
pub const VERSION: u32 = 1;
/// The WebSocket subprotocol (RFC 6455 section 1.9).
pub const SUBPROTOCOL: &str = "loopkey.1";

/// Few messages are longer, and the longest not by much.
const USUAL_LEN: usize = 1024;

/// What a page says. Closed: an unknown member or message is a refusal.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum PageMessage {
    /// The first message, in one of three forms: a challenge, a resume ticket with the last `seq`, or neither.
    Open {
        /// The nonce of `hello`.
        nonce: Nonce,
        /// C, at first contact.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
        challenge: Option<String>,
        /// The ticket of the last `ready`, after a lost socket.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
        resume: Option<String>,
        /// The last state that the page saw.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
        seq: Option<Seq>,
    },
    /// Asks for a presence proof.
    Prove {
        /// The page's number for this request.
        id: u64,
        /// A fresh C.
        challenge: String,
    },
    /// Asks for a login token, on a click.
    Login {
        /// The page's number for this request.
        id: u64,
        /// The epoch of the state that the card was drawn from.
        epoch: Epoch,
        /// A fresh C, fetched on the click.
        challenge: String,
        /// The mark in the page's address, where the person opened it from the client: no prompt is needed then.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
        mark: Option<PageMark>,
    },
    /// Takes a login request back.
    Cancel {
        /// The login's number.
        id: u64,
    },
    /// Invokes an action of the client.
    Action {
        /// The page's number for this request.
        id: u64,
        /// The action's name.
        name: String,
        /// What the action's schema asks for.
        #[serde(deserialize_with = "json::without_duplicates")]
        params: Value,
    },
    /// Answers `ping`.
    Pong {},
}

impl PageMessage {
    /// Reads a text frame.
    ///
    /// # Errors
    /// [`json::BadJson`] for anything that is no message of a page.
    pub fn parse(text: &str) -> Result<Self, json::BadJson> {
        json::parse_object(text)
    }

    /// The text frame.
    #[must_use]
    pub fn encode(&self) -> String {
        encode(self)
    }
}

/// Shows which message it is and nothing of what it carries: challenges and tickets have no place in a log.
impl std::fmt::Debug for PageMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open { .. } => "open",
            Self::Prove { .. } => "prove",
            Self::Login { .. } => "login",
            Self::Cancel { .. } => "cancel",
            Self::Action { .. } => "action",
            Self::Pong {} => "pong",
        })
    }
}

/// What the agent says, as [`AgentMessage::encode`] writes it. A page ignores members and messages that it does not know.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AgentMessage {
    /// The first message.
    Hello {
        /// [`VERSION`].
        v: u32,
        /// To be echoed in `open`.
        nonce: Nonce,
    },
    /// The socket is open.
    Ready {
        /// The number of `state`.
        seq: Seq,
        /// What the page may ask for on this socket.
        grants: Grants,
        /// How things stand.
        state: State,
        /// P, where a challenge was given and someone is enrolled. [`AgentMessage::encode`] adds it, and nothing else does.
        #[serde(default, skip_serializing)]
        proof: Option<String>,
        /// For reopening after a lost socket: single use, ten minutes.
        resume: String,
        /// Whether this socket continues the one before: false where the epoch has changed since.
        resumed: bool,
        /// Where the person opened the page from the client, to be signed in without a further prompt: the
        /// SHA-256 of the mark in the page's address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opened: Option<String>,
    },
    /// Something changed.
    State {
        /// The number of `state`.
        seq: Seq,
        /// How things stand now.
        state: State,
    },
    /// Answers `prove`.
    Proof {
        /// The request's number.
        id: u64,
        /// P.
        proof: String,
    },
    /// A prompt is open.
    Consent {
        /// The login's number.
        id: u64,
        /// Two digits that the prompt shows too.
        code: String,
    },
    /// Answers `login`.
    Token {
        /// The login's number.
        id: u64,
        /// T.
        token: String,
    },
    /// Answers `action`.
    Result {
        /// The request's number.
        id: u64,
        /// What the client answered.
        value: Value,
    },
    /// What the client last said of an action that the page may invoke.
    News {
        /// The action's name.
        name: String,
        /// What the client said.
        value: Value,
    },
    /// Refuses a request.
    Refused {
        /// The request's number.
        id: u64,
        /// Why.
        code: RefusalCode,
    },
    /// Asks the page's script whether it is alive.
    Ping {},
}

impl AgentMessage {
    /// Reads a text frame, as a page does.
    ///
    /// # Errors
    /// [`json::BadJson`] for anything that is no known message of an agent.
    pub fn parse(text: &str) -> Result<Self, json::BadJson> {
        json::parse_object(text)
    }

    /// The text frame.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = encode(self);
        if let Self::Ready { proof: Some(proof), .. } = self {
            json::append(&mut text, "proof", proof);
        }
        text
    }
}

/// Shows which message it is and nothing of what it carries.
impl std::fmt::Debug for AgentMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hello { .. } => "hello",
            Self::Ready { .. } => "ready",
            Self::State { .. } => "state",
            Self::Proof { .. } => "proof",
            Self::Consent { .. } => "consent",
            Self::Token { .. } => "token",
            Self::Result { .. } => "result",
            Self::News { .. } => "news",
            Self::Refused { .. } => "refused",
            Self::Ping {} => "ping",
        })
    }
}

fn encode<T: Serialize>(message: &T) -> String {
    let mut text = Vec::with_capacity(USUAL_LEN);
    serde_json::to_writer(&mut text, message).expect("messages have string keys and finite numbers only");
    String::from_utf8(text).expect("JSON is text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::state::PresenceState;
    use crate::protocol::time::UnixMillis;

    const NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn what_the_agent_receives_is_closed() {
        let open = |rest: &str| format!(r#"{{"type":"open","nonce":"{NONCE}"{rest}}}"#);
        let sound = [
            open(""),
            open(r#","challenge":"a.b.c""#),
            open(r#","resume":"t","seq":17"#),
            r#"{"id":3,"type":"cancel"}"#.to_owned(),
            r#"{"type":"pong"}"#.to_owned(),
            r#"{"type":"action","id":1,"name":"open","params":{"a":[1,null,{"b":"c"}]}}"#.to_owned(),
        ];
        for text in &sound {
            assert!(PageMessage::parse(text).is_ok(), "{text}");
        }
        let hostile = [
            open(r#","nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#),
            open(r#","extra":1"#),
            open(r#","challenge":null"#),
            open(r#","seq":-1"#),
            open(r#","seq":1e3"#),
            open(r#","seq":"17""#),
            open(r#","seq":18446744073709551616"#),
            format!(r#"["open","{NONCE}"]"#),
            format!(r#"{{"type":"open","nonce":"{}B"}}"#, &NONCE[1..]),
            r#"{"type":"open"}"#.to_owned(),
            r#"{"type":"pong","type":"pong"}"#.to_owned(),
            r#"{"type":"pong","x":1}"#.to_owned(),
            r#"{"type":"hello","v":1}"#.to_owned(),
            r#"{"type":null}"#.to_owned(),
            r#"{"type":["pong"]}"#.to_owned(),
            r#"{"type":"prove","id":1.0,"challenge":"c"}"#.to_owned(),
            r#"{"type":"prove","id":1,"challenge":["c"]}"#.to_owned(),
            r#"{"type":"prove","id":1,"challenge":"\ud800"}"#.to_owned(),
            r#"{"type":"action","id":1,"name":"open","params":{"a":1,"a":2}}"#.to_owned(),
            r#"{"type":"action","id":1,"name":"open","params":[{"a":{"b":1,"b":2}}]}"#.to_owned(),
            r#"{"type":"action","id":1,"name":"open"}"#.to_owned(),
            r#"{"type":"action","id":1,"name":"open","params":1e400}"#.to_owned(),
            format!(r#"{{"type":"action","id":1,"name":"o","params":{}{}}}"#, "[".repeat(200), "]".repeat(200)),
            r#" ["pong"]"#.to_owned(),
            r#"{"type":"pong"} {}"#.to_owned(),
            String::new(),
            "null".to_owned(),
        ];
        for text in &hostile {
            assert!(PageMessage::parse(text).is_err(), "{text}");
        }
    }

    /// What passes through to the client arrives as it was sent.
    #[test]
    fn free_form_values_keep_every_kind_of_value() {
        let text = r#"{"type":"action","id":1,"name":"o","params":[true,-7,7,1.5,"x",null,{"a":[{}]}]}"#;
        let Ok(PageMessage::Action { params, .. }) = PageMessage::parse(text) else { panic!("an action") };
        assert_eq!(params, serde_json::json!([true, -7, 7, 1.5, "x", null, {"a": [{}]}]));
        assert!(matches!(PageMessage::parse(text), Ok(message) if message.encode() == text));
        let answer = r#"{"type":"result","id":1,"value":{"a":1.5}}"#;
        assert!(matches!(AgentMessage::parse(answer), Ok(message) if message.encode() == answer));
    }

    #[test]
    fn a_ready_with_a_proof_is_read_as_it_was_written() {
        let state = State { presence: PresenceState::SignedIn, since: UnixMillis(1), epoch: Epoch(4) };
        for proof in [None, Some("a.b.c".to_owned()), Some("\"".to_owned())] {
            let (grants, resume) = (Grants::default(), "t".to_owned());
            let ready = AgentMessage::Ready { seq: Seq(1), grants, state, proof, resume, resumed: false, opened: None };
            assert!(AgentMessage::parse(&ready.encode()) == Ok(ready));
        }
    }

    #[test]
    fn messages_do_not_show_what_they_carry() {
        let message = AgentMessage::Token { id: 1, token: "a.b.c".into() };
        assert_eq!(format!("{message:?}"), "token");
        let message = PageMessage::Prove { id: 1, challenge: "a.b.c".into() };
        assert_eq!(format!("{message:?}"), "prove");
    }
}
