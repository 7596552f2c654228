//! Stream mode: events of DingTalk over a WebSocket that this side opens, so that no address of ours has to be public and
//! nothing to be decrypted. The suite's ticket comes this way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::fault::DingTalkFault;
use super::settings::Dialect;
use super::wire::{Call, Wire, text};
use crate::connectors::{Fault, Socket};
use crate::crypto::Secret;

/// Between two attempts; grows up to a minute.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// DingTalk pings oftener than that; a connection without a word is none.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// How many events are remembered: DingTalk sends one again whose answer it did not see.
const REMEMBERED: usize = 256;

/// The events of one application.
#[derive(Debug)]
pub struct EventStream {
    key: String,
    secret: Secret<String>,
    wire: Arc<Wire>,
}

/// An event.
#[derive(Clone)]
pub struct Event {
    /// Its id: it comes again where the answer was lost.
    pub id: String,
    /// What happened: `suite_ticket`, `user_leave_org`.
    pub kind: String,
    /// The organisation where it did.
    pub corp_id: Option<String>,
    /// The rest.
    pub data: Value,
}

/// A suite's ticket may be in it.
impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It is dealt with.
    Success,
    /// It shall be sent again.
    Later,
}

#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "type")]
    kind: String,
    headers: FrameHeaders,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FrameHeaders {
    topic: String,
    message_id: String,
    event_id: Option<String>,
    event_type: Option<String>,
    event_corp_id: Option<String>,
}

/// Why a connection ended.
enum Ended {
    /// DingTalk asked for another one.
    Asked,
    Fault(DingTalkFault),
}

impl EventStream {
    pub(super) const fn new(key: String, secret: Secret<String>, wire: Arc<Wire>) -> Self {
        Self { key, secret, wire }
    }

    /// Hears events until the future that this is dropped, one after the other; connects again whenever a connection ends.
    pub async fn run<F: Future<Output = Heard>>(&self, mut on_event: impl FnMut(Event) -> F) {
        let (mut seen, mut pause) = (VecDeque::new(), FIRST_PAUSE);
        loop {
            let began = self.wire.clock().now();
            match self.hear(&mut seen, &mut on_event).await {
                Ended::Asked => {}
                Ended::Fault(fault) if fault.fault == Fault::Misconfigured => {
                    tracing::error!(application = %self.key, %fault, "DingTalk gives this application no stream of events");
                }
                Ended::Fault(fault) => {
                    tracing::warn!(application = %self.key, again_in = ?pause, %fault, "no stream of DingTalk's events now");
                }
            }
            // One that lasted shows that all is well; one that ends at once must not become a storm.
            if self.wire.clock().now().since(began) >= LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn hear<F: Future<Output = Heard>>(
        &self,
        seen: &mut VecDeque<String>,
        on_event: &mut impl FnMut(Event) -> F,
    ) -> Ended {
        let mut socket = match self.connect().await {
            Ok(socket) => socket,
            Err(fault) => return Ended::Fault(fault),
        };
        let broke = |why: String| Ended::Fault(DingTalkFault::new(Fault::Unavailable, why));
        loop {
            let message = match tokio::time::timeout(SILENCE_MAX, socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => text,
                Ok(Some(Ok(Message::Close(_))) | None) => return broke("it was closed".to_owned()),
                Ok(Some(Ok(_))) => continue,
                Ok(Some(Err(error))) => return broke(error.to_string()),
                Err(_) => return broke("not a word for two minutes".to_owned()),
            };
            let Ok(frame) = serde_json::from_str::<Frame>(&message) else {
                return Ended::Fault(DingTalkFault::new(Fault::Misbehaved, "a frame that is none"));
            };
            if frame.kind == "SYSTEM" && frame.headers.topic == "disconnect" {
                return Ended::Asked;
            }
            if let Some(answer) = answer(&frame, seen, on_event).await
                && let Err(error) = socket.send(Message::Text(Utf8Bytes::from(answer.to_string()))).await
            {
                return broke(error.to_string());
            }
        }
    }

    /// Asks for an address and a ticket, and connects there.
    async fn connect(&self) -> Result<Socket, DingTalkFault> {
        let body = json!({
            "clientId": self.key,
            "clientSecret": self.secret.expose(),
            "subscriptions": [
                { "type": "SYSTEM", "topic": "ping" },
                { "type": "SYSTEM", "topic": "disconnect" },
                { "type": "EVENT", "topic": "*" },
            ],
            "ua": concat!("loopkey/", env!("CARGO_PKG_VERSION")),
        });
        let answer = self.wire.call(&Call::post(Dialect::New, "/v1.0/gateway/connections/open", body), None).await?;
        let (endpoint, ticket) = (text(&answer, "endpoint")?, Secret::new(text(&answer, "ticket")?));
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("ticket", ticket.expose()).finish();
        let mark = if endpoint.contains('?') { '&' } else { '?' };
        Ok(self.wire.http().socket(&format!("{endpoint}{mark}{query}")).await?)
    }
}

/// What a frame is answered with; nothing for a kind that nobody asked for.
async fn answer<F: Future<Output = Heard>>(
    frame: &Frame,
    seen: &mut VecDeque<String>,
    on_event: &mut impl FnMut(Event) -> F,
) -> Option<Value> {
    let reply = |code: u16, data: &str| {
        let headers = json!({ "contentType": "application/json", "messageId": frame.headers.message_id });
        Some(json!({ "code": code, "headers": headers, "message": "ok", "data": data }))
    };
    match (frame.kind.as_str(), frame.headers.topic.as_str()) {
        ("SYSTEM", "ping") => reply(200, &frame.data),
        ("EVENT", _) => {
            let headers = &frame.headers;
            let event = Event {
                id: headers.event_id.clone().unwrap_or_else(|| headers.message_id.clone()),
                kind: headers.event_type.clone().unwrap_or_default(),
                corp_id: headers.event_corp_id.clone(),
                data: serde_json::from_str(&frame.data).unwrap_or(Value::Null),
            };
            let id = event.id.clone();
            let heard = if seen.contains(&id) { Heard::Success } else { on_event(event).await };
            if heard == Heard::Later {
                return reply(500, r#"{"status":"LATER"}"#);
            }
            if !seen.contains(&id) {
                seen.push_back(id);
                seen.drain(..seen.len().saturating_sub(REMEMBERED));
            }
            reply(200, r#"{"status":"SUCCESS"}"#)
        }
        _ => None,
    }
}
