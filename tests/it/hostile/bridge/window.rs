//! A bridge's window without a browser: the page fetched, the key read out of it, the socket opened by hand.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::hostile::raw::{PATIENCE, Raw, masked, text};

/// The head with which a browser asks for the bridge's page.
pub(crate) fn page_head(port: u16) -> String {
    format!(
        "GET /bridge HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\n\r\n"
    )
}

/// The head with which that page asks for its script.
pub(crate) fn script_head(port: u16) -> String {
    format!(
        "GET /bridge.js HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: script\r\n\r\n"
    )
}

/// The head with which it opens its socket.
pub(crate) fn socket_head(port: u16) -> String {
    crate::hostile::raw::upgrade(port, &format!("http://127.0.0.1:{port}")).replace("GET /v1 ", "GET /v1/bridge ")
}

/// A whole answer: head and body.
pub(crate) async fn fetch(port: u16, head: &str) -> (String, String) {
    let mut raw = Raw::connect(port).await;
    raw.say(head).await;
    let answer = String::from_utf8(raw.rest().await).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

/// The key in a fresh delivery of the page.
pub(crate) async fn key(port: u16) -> String {
    let (head, body) = fetch(port, &page_head(port)).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let key = body.split("name=\"loopkey-key\" content=\"").nth(1).and_then(|rest| rest.split('"').next());
    key.expect("a key").to_owned()
}

/// The socket of a window.
pub(crate) struct Window {
    pub(crate) raw: Raw,
    nonce: String,
}

impl Window {
    /// A socket that has said nothing yet.
    pub(crate) async fn silent(port: u16) -> Self {
        let mut raw = Raw::connect(port).await;
        raw.say(socket_head(port)).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(PATIENCE, raw.0.read_u8()).await.expect("an answer").expect("a whole head"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        Self { raw, nonce: String::new() }
    }

    /// A socket that has said whose it is.
    pub(crate) async fn of(port: u16, key: &str, origin: &str) -> Self {
        let mut window = Self::silent(port).await;
        window.say(&json!({ "type": "bridge", "key": key, "origin": origin })).await;
        window
    }

    /// The same, greeted.
    pub(crate) async fn greeted(port: u16, key: &str, origin: &str) -> Self {
        let mut window = Self::of(port, key, origin).await;
        let hello = window.relayed().await;
        assert_eq!((&hello["type"], &hello["v"]), (&json!("hello"), &json!(1)));
        window.nonce = hello["nonce"].as_str().expect("a nonce").to_owned();
        window
    }

    /// A window of its own, whose page has opened with that challenge.
    pub(crate) async fn live(port: u16, origin: &str, challenge: &str) -> Self {
        let mut window = Self::greeted(port, &key(port).await, origin).await;
        window.open(challenge).await;
        assert_eq!(window.relayed().await["type"], "ready");
        window
    }

    /// The page opens with a challenge.
    pub(crate) async fn open(&mut self, challenge: &str) {
        let open = json!({ "type": "open", "nonce": self.nonce, "challenge": challenge });
        self.relay(&open).await;
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.raw.say(text(&message.to_string())).await;
    }

    /// Says what the page says.
    pub(crate) async fn relay(&mut self, message: &Value) {
        self.say(&json!({ "type": "relay", "data": message })).await;
    }

    /// The person's answer.
    pub(crate) async fn answer(&mut self, id: &Value, allow: bool, remember: bool) {
        self.say(&json!({ "type": "consent_answer", "id": id, "allow": allow, "remember": remember })).await;
    }

    /// The next message; `Err` with the code where the agent closes instead.
    pub(crate) async fn next(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match self.raw.frame().await {
                None => return Err(None),
                Some((0x81, payload)) => return Ok(serde_json::from_slice(&payload).expect("JSON")),
                Some((0x88, payload)) => {
                    let code: [u8; 2] = payload.try_into().expect("a code, and never a reason");
                    return Err(Some(u16::from_be_bytes(code)));
                }
                Some(_) => {}
            }
        }
    }

    /// The next message of that type, of the agent to the window.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await.expect(kind);
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The next message for the page.
    pub(crate) async fn relayed(&mut self) -> Value {
        self.next_of("relay").await["data"].clone()
    }

    /// The answer to the page's request of that number.
    pub(crate) async fn answer_to(&mut self, id: u64) -> Value {
        loop {
            let message = self.relayed().await;
            if message["id"] == json!(id) && message["type"] != "consent" {
                return message;
            }
        }
    }

    /// The code that the agent closes with, and that nothing was said before it that is for a page.
    pub(crate) async fn refused(mut self) -> Option<u16> {
        let end = self.next().await.expect_err("nothing but the close");
        self.raw.say(masked(0x88, &end.unwrap_or(1000).to_be_bytes())).await;
        end
    }

    /// The code that the agent closes with, whatever it says before.
    pub(crate) async fn closed(mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next().await {
                self.raw.say(masked(0x88, &code.unwrap_or(1000).to_be_bytes())).await;
                return code;
            }
        }
    }
}
