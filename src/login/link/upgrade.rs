//! From a request to a WebSocket (RFC 6455 section 4.2), over hyper's own upgrade.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{self, HeaderMap, HeaderValue, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::login::answer::Refusal;
use crate::login::serve::{Stream, stream_below};
use crate::protocol::limits::MESSAGE_MAX_LEN;
use crate::protocol::link::{SUBPROTOCOL, TO_AGENT_MAX_LEN};

/// The library makes its read buffer in full for each link, so it is small; longer frames still fit.
const READ_BUFFER_LEN: usize = 512;

/// A link's WebSocket.
pub(super) type LinkSocket = WebSocketStream<Box<dyn Stream>>;

/// Answers an upgrade with 101; anything else is refused.
pub(super) fn accept(mut request: Request) -> Result<(OnUpgrade, Response), Refusal> {
    // Absent where the request came over HTTP/2, or whoever serves the router lets nothing be upgraded.
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or(Refusal::UpgradeRequired)?;
    let mut handshake = http::Request::new(());
    *handshake.method_mut() = request.method().clone();
    *handshake.version_mut() = request.version();
    *handshake.headers_mut() = std::mem::take(request.headers_mut());
    if !offers_subprotocol(handshake.headers()) {
        return Err(Refusal::UpgradeRequired);
    }
    let accepted = create_response(&handshake).map_err(|fault| {
        tracing::debug!("refused a link: {fault}");
        Refusal::UpgradeRequired
    })?;
    let mut response = accepted.map(|()| Body::empty());
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok((upgrade, response))
}

fn offers_subprotocol(headers: &HeaderMap) -> bool {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    offered.flat_map(|value| value.split(',')).any(|name| name.trim() == SUBPROTOCOL)
}

/// The WebSocket, once the 101 is on its way; nothing where the connection broke first.
pub(super) async fn complete(upgrade: OnUpgrade) -> Option<LinkSocket> {
    let upgraded = upgrade.await.map_err(|error| tracing::debug!("a link broke as it began: {error}")).ok()?;
    let (stream, read) = stream_below(upgraded);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_LEN)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * TO_AGENT_MAX_LEN)
        .max_message_size(Some(MESSAGE_MAX_LEN))
        .max_frame_size(Some(MESSAGE_MAX_LEN));
    Some(WebSocketStream::from_partially_read(stream, read.into(), Role::Server, Some(config)).await)
}
