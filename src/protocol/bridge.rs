//! The popup bridge (protocol section 8): a window of the agent's own that carries a page's messages where the browser
//! refuses the page its socket. Here is what its socket says besides them, and which windows may open one.
//!
//! The origin in [`BridgeMessage::Bridge`] is what the window's browser vouched for. It counts only from a window that the
//! agent itself delivered a moment ago, and then it goes by the same list as any other page's.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::id::BridgeKey;
use super::json;
use super::limits::{BRIDGE_KEY_LIFE, MAX_BRIDGE_KEYS};
use super::message::PageMessage;
use super::origin::Origin;
use super::time::Moment;
use crate::crypto;

/// Where the bridge of a port is at home, as its `Host` says it. There is no second spelling.
#[must_use]
pub fn host(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// What a bridge says. Closed, like everything that the agent receives.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum BridgeMessage {
    /// The first frame, once.
    Bridge {
        /// The key in the page that was delivered.
        key: BridgeKey,
        /// The origin of the page that opened the window, as the browser said it with that page's first message.
        origin: String,
    },
    /// A frame of the page that opened the window.
    Relay {
        /// What it says.
        #[serde(deserialize_with = "json::object")]
        data: PageMessage,
    },
    /// The person's answer in the window. No page can say this: what pages say stands inside `relay`.
    ConsentAnswer {
        /// The number of [`WindowMessage::ConsentRequest`].
        id: u64,
        /// Yes or no.
        allow: bool,
        /// Whether to ask no more for this origin.
        remember: bool,
    },
}

impl BridgeMessage {
    /// Reads a text frame.
    ///
    /// # Errors
    /// [`json::BadJson`] for anything that is no message of a bridge.
    pub fn parse(text: &str) -> Result<Self, json::BadJson> {
        json::parse_object(text)
    }
}

/// Shows which message it is and nothing of what it carries.
impl std::fmt::Debug for BridgeMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bridge { .. } => f.write_str("bridge"),
            Self::Relay { data } => write!(f, "relay {data:?}"),
            Self::ConsentAnswer { .. } => f.write_str("consent_answer"),
        }
    }
}

/// What the agent says to the window itself, besides the frames that it relays to the page.
#[derive(Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WindowMessage<'a> {
    /// Ask the person.
    ConsentRequest {
        /// To be named in the answer. Counted from 1 on each socket.
        id: u64,
        /// Where the person would be signed in.
        origin: &'a Origin,
        /// The person's name.
        name: &'a str,
        /// Two digits that the page shows too.
        code: &'a str,
        /// The program at the other end, where the system tells.
        #[serde(skip_serializing_if = "Option::is_none")]
        browser: Option<&'a str>,
        /// Whether the answer may be remembered.
        can_remember: bool,
        /// For how long it is waited for, in milliseconds.
        expires_in: u64,
    },
    /// Nobody waits for the answer any more.
    ConsentEnd {
        /// The number of the request.
        id: u64,
    },
}

impl WindowMessage<'_> {
    /// The text frame.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("messages have string keys and whole numbers only")
    }
}

/// The frame of a page in the form in which a bridge's socket carries it.
#[must_use]
pub fn relayed(frame: &str) -> String {
    format!(r#"{{"type":"relay","data":{frame}}}"#)
}

/// Proof that a bridge's page was delivered by this agent a moment ago and opens its socket for the first time. Only
/// [`Deliveries::take`] makes one.
#[derive(Debug)]
pub struct Delivery(());

/// The deliveries of the bridge's page that have not opened their socket yet. They are few and short-lived: whoever opens
/// windows without end costs others their turn, and the agent nothing.
#[derive(Debug, Default)]
pub struct Deliveries(VecDeque<(Digest, Moment)>);

/// A key's SHA-256. How long it takes to compare two of these tells nothing that leads to a key.
type Digest = [u8; 32];

impl Deliveries {
    /// Notes a delivery with its fresh random key.
    pub fn add(&mut self, key: BridgeKey, now: Moment) {
        self.0.retain(|(_, until)| now < *until);
        if self.0.len() >= MAX_BRIDGE_KEYS {
            self.0.pop_front();
        }
        self.0.push_back((digest(&key), now + BRIDGE_KEY_LIFE));
    }

    /// Uses a key up. `None` where it is no key of this agent, was used, has waited for too long or made way for others.
    pub fn take(&mut self, key: &BridgeKey, now: Moment) -> Option<Delivery> {
        let key = digest(key);
        let at = self.0.iter().position(|(waiting, _)| *waiting == key)?;
        let (_, until) = self.0.remove(at)?;
        (now < until).then_some(Delivery(()))
    }
}

fn digest(key: &BridgeKey) -> Digest {
    crypto::sha256(&[key.as_bytes()])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Moment = Moment(Duration::from_secs(5000));

    fn key(number: u8) -> BridgeKey {
        BridgeKey::from_bytes([number; 32])
    }

    #[test]
    fn a_key_is_taken_once_and_in_time() {
        let mut deliveries = Deliveries::default();
        deliveries.add(key(1), NOW);
        deliveries.add(key(2), NOW);
        assert!(deliveries.take(&key(3), NOW).is_none(), "nobody's");
        assert!(Deliveries::default().take(&key(1), NOW).is_none(), "another agent's");
        assert!(deliveries.take(&key(1), NOW).is_some());
        assert!(deliveries.take(&key(1), NOW).is_none(), "used");
        let (last, moment_before) = (NOW + BRIDGE_KEY_LIFE, NOW + Duration::from_millis(29_999));
        assert!(deliveries.take(&key(2), last).is_none(), "too late");
        assert!(deliveries.take(&key(2), NOW).is_none(), "and used up by being late");
        deliveries.add(key(4), NOW);
        assert!(deliveries.take(&key(4), moment_before).is_some(), "at the last moment");
        assert_eq!(BRIDGE_KEY_LIFE.as_secs(), 30);
    }

    #[test]
    fn only_so_many_wait_and_the_oldest_makes_way() {
        let mut deliveries = Deliveries::default();
        let many = u8::try_from(MAX_BRIDGE_KEYS).expect("few");
        for number in 0..=many {
            deliveries.add(key(number), NOW);
        }
        assert_eq!(deliveries.0.len(), MAX_BRIDGE_KEYS);
        assert!(deliveries.take(&key(0), NOW).is_none(), "the oldest");
        assert!(deliveries.take(&key(1), NOW).is_some() && deliveries.take(&key(many), NOW).is_some());
        deliveries.add(key(99), NOW + BRIDGE_KEY_LIFE);
        assert_eq!(deliveries.0.len(), 1, "what is too old is not kept");
    }

    #[test]
    fn what_a_bridge_says_is_closed() {
        let key = "A".repeat(43);
        let sound = [
            format!(r#"{{"type":"bridge","key":"{key}","origin":"https://app.example"}}"#),
            r#"{"data":{"type":"pong"},"type":"relay"}"#.to_owned(),
            r#"{"type":"relay","data":{"type":"action","id":1,"name":"o","params":[true,-7,1.5,"x",null,{"a":[{}]}]}}"#
                .to_owned(),
            r#"{"type":"consent_answer","id":1,"allow":true,"remember":false}"#.to_owned(),
        ];
        for text in &sound {
            let message = BridgeMessage::parse(text).unwrap_or_else(|_| panic!("{text}"));
            let again = serde_json::to_string(&message).expect("JSON");
            assert!(BridgeMessage::parse(&again).is_ok_and(|again| again == message), "{again}");
        }
        let hostile = [
            format!(r#"{{"type":"bridge","key":"{key}"}}"#),
            format!(r#"{{"type":"bridge","key":"{key}=","origin":"https://app.example"}}"#),
            format!(r#"{{"type":"bridge","key":"{}B","origin":"https://app.example"}}"#, &key[1..]),
            format!(r#"{{"type":"bridge","key":"{key}","origin":null}}"#),
            format!(r#"{{"type":"bridge","key":"{key}","origin":["https://app.example"]}}"#),
            format!(
                r#"{{"type":"bridge","key":"{key}","origin":"https://app.example","origin":"https://evil.example"}}"#
            ),
            format!(r#"{{"type":"bridge","key":"{key}","origin":"https://app.example","id":1}}"#),
            r#"{"type":"relay"}"#.to_owned(),
            r#"{"type":"relay","data":null}"#.to_owned(),
            r#"{"type":"relay","data":"{\"type\":\"pong\"}"}"#.to_owned(),
            r#"{"type":"relay","data":["pong"]}"#.to_owned(),
            r#"{"type":"relay","data":{"type":"pong"},"data":{"type":"pong"}}"#.to_owned(),
            r#"{"type":"relay","data":{"type":"pong","type":"pong"}}"#.to_owned(),
            r#"{"type":"relay","data":{"type":"pong","x":1}}"#.to_owned(),
            r#"{"type":"relay","data":{"type":"cancel","id":1,"id":1}}"#.to_owned(),
            r#"{"type":"relay","data":{"type":"action","id":1,"name":"o","params":{"a":1,"a":2}}}"#.to_owned(),
            r#"{"type":"relay","data":{"type":"consent_answer","id":1,"allow":true,"remember":true}}"#.to_owned(),
            r#"{"type":"relay","data":{"type":"relay","data":{"type":"pong"}}}"#.to_owned(),
            format!(r#"{{"type":"relay","data":{{"type":"bridge","key":"{key}","origin":"https://app.example"}}}}"#),
            r#"{"type":"relay","data":{"type":"pong"},"allow":true}"#.to_owned(),
            r#"{"type":"consent_answer","id":1,"allow":true}"#.to_owned(),
            r#"{"type":"consent_answer","id":1,"allow":1,"remember":false}"#.to_owned(),
            r#"{"type":"consent_answer","id":1.0,"allow":true,"remember":false}"#.to_owned(),
            r#"{"type":"consent_answer","id":1,"allow":false,"allow":true,"remember":false}"#.to_owned(),
            r#"{"type":"pong"}"#.to_owned(),
            r#"["relay",{"type":"pong"}]"#.to_owned(),
            String::new(),
        ];
        for text in &hostile {
            assert!(BridgeMessage::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn messages_do_not_show_what_they_carry() {
        let message = BridgeMessage::Bridge { key: key(1), origin: "https://app.example".into() };
        assert_eq!(format!("{message:?}"), "bridge");
        assert_eq!(format!("{:?}", BridgeMessage::Relay { data: PageMessage::Pong {} }), "relay pong");
        assert_eq!(relayed(r#"{"type":"ping"}"#), r#"{"type":"relay","data":{"type":"ping"}}"#);
    }
}
