//! Stream mode: the far side of the WebSocket, in the hands of the test.

use std::sync::{Arc, Mutex, PoisonError};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::state::State;

/// One connection.
pub struct StreamSide(WebSocketStream<TcpStream>);

impl StreamSide {
    pub async fn send(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.expect("sent");
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Value {
        loop {
            let message = self.0.next().await.expect("an answer").expect("a frame");
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }

    /// Reads until the connection is gone.
    pub async fn end(mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }

    pub fn system(topic: &str, message: &str) -> Value {
        json!({
            "specVersion": "1.0", "type": "SYSTEM", "time": 1_800_000_000_000_u64,
            "headers": { "topic": topic, "messageId": message, "contentType": "application/json", "time": "1" },
            "data": "{\"opaque\":\"0\"}",
        })
    }

    pub fn event(id: &str, kind: &str, data: &Value) -> Value {
        json!({
            "specVersion": "1.0", "type": "EVENT", "time": 1_800_000_000_000_u64,
            "headers": {
                "topic": "*", "messageId": format!("m-{id}"), "contentType": "application/json", "time": "1",
                "eventId": id, "eventType": kind, "eventCorpId": "dingcorp0001", "eventBornTime": "1",
                "eventUnifiedAppId": "u1",
            },
            "data": data.to_string(),
        })
    }
}

/// Takes connections that show a ticket; each counts once.
pub(super) async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, sides: UnboundedSender<StreamSide>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        #[expect(clippy::result_large_err, reason = "the library's own type")]
        let admit = |request: &Request, response: Response| {
            let query = request.uri().query().unwrap_or_default();
            let ticket = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket");
            let ticket = ticket.map(|(_, value)| value.into_owned()).unwrap_or_default();
            if state.lock().unwrap_or_else(PoisonError::into_inner).gateway_tickets.remove(&ticket) {
                return Ok(response);
            }
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::UNAUTHORIZED;
            Err(refusal)
        };
        if let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, admit).await
            && sides.send(StreamSide(socket)).is_err()
        {
            return;
        }
    }
}
