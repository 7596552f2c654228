//! WebSockets to providers, through the same guarded client as every other call.

use reqwest::Method;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::fault::{ConnectFault, Fault};
use super::guard::Guarded;

/// A WebSocket of a provider.
pub type Socket = WebSocketStream<reqwest::Upgraded>;

/// Longest accepted message in bytes.
const MESSAGE_MAX_LEN: usize = 256 * 1024;

impl Guarded {
    /// Opens a WebSocket at a `wss://` address.
    ///
    /// # Errors
    /// [`Fault::Misconfigured`] where it is no address to call, [`Fault::Unavailable`] where nothing is there,
    /// [`Fault::Misbehaved`] where it is answered with something else.
    pub async fn socket(&self, url: &str) -> Result<Socket, ConnectFault> {
        let url = if let Some(rest) = url.strip_prefix("wss://") {
            format!("https://{rest}")
        } else if let Some(rest) = url.strip_prefix("ws://") {
            format!("http://{rest}")
        } else {
            return Err(ConnectFault::new(Fault::Misbehaved, "the address of a WebSocket is none"));
        };
        let key = generate_key();
        let refused = |_| ConnectFault::new(Fault::Misbehaved, "the address of a WebSocket is not called");
        // The address holds a ticket: what is wrong with it is not told with it.
        let request = self.request(Method::GET, &url).map_err(refused)?;
        let request = request
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", &key);
        let unavailable = |error: reqwest::Error| ConnectFault::new(Fault::Unavailable, error.without_url());
        let response = request.send().await.map_err(unavailable)?;
        let accepted =
            response.headers().get("sec-websocket-accept").is_some_and(|a| a == &derive_accept_key(key.as_bytes()));
        if response.status().as_u16() != 101 || !accepted {
            return Err(ConnectFault::new(
                Fault::Misbehaved,
                format_args!("{} in the place of a WebSocket", response.status()),
            ));
        }
        let stream = response.upgrade().await.map_err(unavailable)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(0)
            .max_write_buffer_size(4 * MESSAGE_MAX_LEN)
            .max_message_size(Some(MESSAGE_MAX_LEN))
            .max_frame_size(Some(MESSAGE_MAX_LEN));
        Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await)
    }
}
