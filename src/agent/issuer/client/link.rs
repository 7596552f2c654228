//! Setting out for the link: from the metadata's address to an upgraded WebSocket (protocol section 6.8). No proxy is
//! asked, no redirect followed.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::{IssuerClient, IssuerFault};
use crate::protocol::issuer::{Issuer, LinkUrl};
use crate::protocol::limits::MESSAGE_MAX_LEN;
use crate::protocol::link::{SUBPROTOCOL, TO_AGENT_MAX_LEN};

/// From the first packet to the answer to the upgrade.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The library makes its read buffer in full.
const READ_BUFFER_LEN: usize = 512;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(in crate::agent) enum DialFault {
    /// The metadata could not be had.
    #[error(transparent)]
    Issuer(#[from] IssuerFault),
    /// It names no address, or nothing is there.
    #[error("{0} has no link")]
    NoLink(Issuer),
    /// It names an address that is not its own.
    #[error("{issuer} names a link of another origin: {link}")]
    Foreign { issuer: Issuer, link: LinkUrl },
    /// It answers the upgrade with something else.
    #[error("{issuer} refuses the link ({status})")]
    Refused { issuer: Issuer, status: u16 },
    /// It cannot be reached, or breaks off.
    #[error("the link to {issuer} cannot be reached: {reason}")]
    Unreachable { issuer: Issuer, reason: String },
}

/// What a link goes over.
pub(in crate::agent) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A link that was upgraded.
pub(in crate::agent) type LinkSocket = WebSocketStream<Box<dyn Stream>>;

/// Small buffers: little is said on a link.
pub(in crate::agent) fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_LEN)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MESSAGE_MAX_LEN)
        .max_message_size(Some(TO_AGENT_MAX_LEN))
        .max_frame_size(Some(TO_AGENT_MAX_LEN))
}

impl IssuerClient {
    /// Opens a link; L is still to be shown. The metadata is fetched anew where it is old.
    pub(in crate::agent) async fn dial(&self) -> Result<(LinkSocket, LinkUrl), DialFault> {
        self.refresh().await?;
        let Some(link) = self.lock().link.clone() else { return Err(DialFault::NoLink(self.issuer.clone())) };
        if !link.is_of(&self.issuer) {
            return Err(DialFault::Foreign { issuer: self.issuer.clone(), link });
        }
        let upgraded = tokio::time::timeout(DIAL_TIMEOUT, self.upgrade(&link)).await;
        let socket = upgraded.unwrap_or_else(|_| Err(self.unreached("no answer in time")))?;
        Ok((socket, link))
    }

    async fn upgrade(&self, link: &LinkUrl) -> Result<LinkSocket, DialFault> {
        let uri: Uri = link.as_str().parse().map_err(|error| self.unreached(error))?;
        let host = uri.host().unwrap_or_default();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let is_secured = uri.scheme_str() == Some("wss");
        let port = uri.port_u16().unwrap_or(if is_secured { 443 } else { 80 });
        let stream = TcpStream::connect((name, port)).await.map_err(|error| self.unreached(error))?;
        stream.set_nodelay(true).map_err(|error| self.unreached(error))?;
        let stream: Box<dyn Stream> = if is_secured {
            let name = ServerName::try_from(name.to_owned()).map_err(|error| self.unreached(error))?;
            let tls = self.way.tls().await.map_err(|error| self.unreached(error))?;
            let stream = TlsConnector::from(tls).connect(name, stream).await;
            Box::new(stream.map_err(|error| self.unreached(error))?)
        } else {
            Box::new(stream)
        };
        let mut request = uri.into_client_request().map_err(|error| self.unreached(error))?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
        match tokio_tungstenite::client_async_with_config(request, stream, Some(socket_config())).await {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::Error::Http(answer)) => Err(match answer.status().as_u16() {
                404 => DialFault::NoLink(self.issuer.clone()),
                // Not for long: as if it could not be reached.
                status @ (429 | 500..) => self.unreached(format_args!("it answers {status}")),
                status => DialFault::Refused { issuer: self.issuer.clone(), status },
            }),
            Err(error) => Err(self.unreached(error)),
        }
    }

    fn unreached(&self, reason: impl std::fmt::Display) -> DialFault {
        DialFault::Unreachable { issuer: self.issuer.clone(), reason: reason.to_string() }
    }
}

impl DialFault {
    /// Whether trying again soon would change nothing.
    pub(in crate::agent) const fn is_refusal(&self) -> bool {
        matches!(self, Self::NoLink(_) | Self::Foreign { .. } | Self::Refused { .. })
    }
}
