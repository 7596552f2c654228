//! Where the server is, and how a connection to it is begun.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use redis::{AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisResult};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::RedisRefused;
use crate::store::shared::{Address, Shared};
use crate::store::tls;

/// From the first packet to a connection that takes commands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection without traffic is asked this often whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Calls that wait to be written to one connection.
const WAITING_CALLS: usize = 1024;

/// A server to connect to.
pub(super) struct Target {
    pub(super) address: Address,
    host: String,
    port: u16,
    settings: RedisConnectionInfo,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Target {
    pub(super) fn new(shared: &Shared) -> Result<Self, RedisRefused> {
        let bad = |reason: String| RedisRefused::Address { address: shared.address.clone(), reason };
        let url = shared.address.expose();
        if url.contains(['#', '?']) {
            return Err(bad("nothing may follow the number of the database".to_owned()));
        }
        // TLS is ours, not the client library's: it would take the process's provider, and its own roots.
        let (url, with_tls) = match url.strip_prefix("rediss://") {
            Some(rest) => (format!("redis://{rest}"), true),
            None => (url.to_owned(), false),
        };
        let info = url.as_str().into_connection_info().map_err(|error| bad(error.to_string()))?;
        let ConnectionAddr::Tcp(host, port) = info.addr().clone() else {
            return Err(bad("only TCP is spoken".to_owned()));
        };
        let mut settings = info.redis_settings().clone().set_lib_name("loopkey", env!("CARGO_PKG_VERSION"));
        if let Some(password) = &shared.options.password {
            settings = settings.set_password(password.expose());
        }
        let tls = if with_tls {
            let name = ServerName::try_from(host.clone()).map_err(|error| bad(error.to_string()))?;
            let config = tls::client_config(shared.options.ca_file.as_deref())?;
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        Ok(Self { address: shared.address.clone(), host, port, settings, tls })
    }

    /// The number of the logical database.
    pub(super) fn database(&self) -> i64 {
        self.settings.db()
    }

    pub(super) fn unreachable(&self, reason: String) -> RedisRefused {
        RedisRefused::Unreachable { address: self.address.clone(), reason }
    }

    /// A connection for calls, and the task that moves its bytes; it ends when the connection is lost.
    pub(super) async fn connect(&self) -> Result<(MultiplexedConnection, AbortHandle), String> {
        // How long a call may take is its caller's to say.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(WAITING_CALLS);
        let connecting = async {
            let stream = self.dial().await?;
            let connection = MultiplexedConnection::new_with_config(&self.settings, stream, config).await;
            connection.map_err(|error| error.to_string())
        };
        let (connection, driver) = within_timeout(connecting).await?;
        Ok((connection, tokio::spawn(driver).abort_handle()))
    }

    /// A connection for hints.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<PubSub, String> {
        within_timeout(async {
            let stream = self.dial().await?;
            let subscribed: RedisResult<PubSub> = async {
                let mut connection = PubSub::new(&self.settings, stream).await?;
                connection.subscribe(channel).await?;
                Ok(connection)
            }
            .await;
            subscribed.map_err(|error| error.to_string())
        })
        .await
    }

    async fn dial(&self) -> Result<Box<dyn Stream>, String> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, self.port)).await;
        let stream = stream.map_err(|error| format!("{error}; start it, or correct the address in `store`"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(|error| error.to_string())?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                Ok(Box::new(stream.map_err(|error| format!("TLS: {error}"))?))
            }
        }
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The settings hold the password.
        f.debug_tuple("Target").field(&self.address).finish()
    }
}

/// Gives a connection as long as it may take.
pub(super) async fn within_timeout<T>(connecting: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let timed = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
    timed.unwrap_or_else(|_| Err(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())))
}
