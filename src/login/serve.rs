//! Serving HTTP on sockets that the caller bound: HTTP/1.1, and HTTP/2 where TLS ends here.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::conn::auto::upgrade::downcast;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_layer::Layer as _;

/// How long open requests may go on after the shutdown.
pub const DRAIN_GRACE: Duration = Duration::from_secs(10);

/// From the connection to the end of the TLS handshake, and from one request to the end of the next one's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest request head in bytes; cookies of a whole site may be in it.
const HEAD_MAX_LEN: usize = 32 * 1024;
/// Once the server stops: for a request that is on its way through the system's buffers, or to a busy processor. Closed
/// with it unread, its connection would be reset.
const LAST_WORD: Duration = Duration::from_millis(250);
/// After a failure to accept that is not the connection's own, such as no free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why serving ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There was nothing to listen on.
    #[error("nothing to listen on")]
    NoListener,
}

/// Answers requests with `router`, on so many connections at once, until `shutdown` completes; then accepts no more than what is
/// connected already, lets open requests finish for [`DRAIN_GRACE`] at most, and returns. Whoever has endless answers (event streams) ends them in `shutdown`.
///
/// # Errors
/// [`ServeError`] where there is no listener. A connection's own faults end that connection alone.
pub async fn serve(
    router: Router,
    listeners: Vec<TcpListener>,
    tls: Option<Arc<rustls::ServerConfig>>,
    connections: u32,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    if listeners.is_empty() {
        return Err(ServeError::NoListener);
    }
    let permits = Arc::new(Semaphore::new(
        usize::try_from(connections).map_or(Semaphore::MAX_PERMITS, |many| many.min(Semaphore::MAX_PERMITS)),
    ));
    let server = Server { router, tls: tls.map(acceptor), permits };
    let (stop, stopping) = watch::channel(false);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(server.clone().accept(listener, stopping.clone()));
    }
    drop(stopping);
    shutdown.await;
    stop.send_replace(true);
    let drained = async { while accepting.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_GRACE, drained).await.is_err() {
        tracing::warn!("connections were still open after {} s and are cut", DRAIN_GRACE.as_secs());
    }
    Ok(())
}

fn acceptor(config: Arc<rustls::ServerConfig>) -> TlsAcceptor {
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Waits until the flag is set, or nobody is left to set it.
pub(super) async fn until_set(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|set| *set).await;
}

#[derive(Clone)]
struct Server {
    router: Router,
    tls: Option<TlsAcceptor>,
    permits: Arc<Semaphore>,
}

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

impl Server {
    /// Accepts connections until it is told to stop, then waits for the open ones. Dropped, it cuts them.
    async fn accept(self, listener: TcpListener, stopping: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let mut stop = stopping.clone();
        let mut stop = std::pin::pin!(until_set(&mut stop));
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.next(&listener) => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok(accepted) => self.spawn(&mut connections, accepted, &stopping),
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        for accepted in self.queued(listener) {
            self.spawn(&mut connections, accepted, &stopping);
        }
        while connections.join_next().await.is_some() {}
    }

    fn spawn(&self, connections: &mut JoinSet<()>, accepted: Accepted, stopping: &watch::Receiver<bool>) {
        let (stream, peer, permit) = accepted;
        let connection = self.clone().converse(stream, peer, stopping.clone());
        connections.spawn(async move {
            connection.await;
            drop(permit);
        });
    }

    async fn next(&self, listener: &TcpListener) -> io::Result<Accepted> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, peer, permit))
    }

    /// Stops listening; whoever is in the system's queue just then is connected as far as they know, and would be reset.
    fn queued(&self, listener: TcpListener) -> Vec<Accepted> {
        let mut queued = Vec::new();
        // The system's own call: the runtime asks it only when it has heard that somebody is there.
        let Ok(listener) = listener.into_std() else { return queued };
        while let (Ok(permit), Ok((stream, peer))) = (Arc::clone(&self.permits).try_acquire_owned(), listener.accept())
        {
            let prepared = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
            if let Ok(stream) = prepared.and_then(|()| TcpStream::from_std(stream)) {
                queued.push((stream, peer, permit));
            }
        }
        queued
    }

    async fn converse(self, stream: TcpStream, peer: SocketAddr, stopping: watch::Receiver<bool>) {
        let Some(tls) = self.tls else { return answer(self.router, stream, peer, false, stopping).await };
        match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => answer(self.router, stream, peer, true, stopping).await,
            Ok(Err(error)) => tracing::debug!("no TLS: {error}"),
            Err(_) => tracing::debug!("no TLS handshake in {} s", HEAD_TIMEOUT.as_secs()),
        }
    }
}

/// A connection that is not HTTP's any more.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The connection below an upgrade, as it was accepted, and what was read of it already: hyper's own layers and buffers
/// are not kept for as long as a link is open. Where somebody else serves the router, theirs stay.
pub(super) fn stream_below(upgraded: Upgraded) -> (Box<dyn Stream>, Bytes) {
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => (Box::new(parts.io.into_inner()), parts.read_buf),
        Err(upgraded) => match downcast::<TokioIo<TlsStream<TcpStream>>>(upgraded) {
            Ok(parts) => (Box::new(parts.io.into_inner()), parts.read_buf),
            Err(upgraded) => (Box::new(TokioIo::new(upgraded)), Bytes::new()),
        },
    }
}

async fn answer(
    router: Router,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    secured: bool,
    stopping: watch::Receiver<bool>,
) {
    // Each request says whom it came from: the limits of the login server go by it.
    let service = TowerToHyperService::new(Extension(ConnectInfo(peer)).layer(router));
    let io = TokioIo::new(stream);
    let ended = if secured {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_MAX_LEN);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(HEAD_MAX_LEN as u32)
            .keep_alive_interval(HEAD_TIMEOUT)
            .max_concurrent_streams(100);
        drive(builder.serve_connection_with_upgrades(io, service), |c| c.graceful_shutdown(), stopping).await
    } else {
        // HTTP/2 is for connections whose TLS ends here; the builder of both would speak it in clear too.
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_MAX_LEN);
        let connection = builder.serve_connection(io, service).with_upgrades();
        drive(connection, |c| c.graceful_shutdown(), stopping).await.map_err(Into::into)
    };
    if let Err(error) = ended {
        // Browsers break connections off all the time.
        tracing::debug!("a connection ended: {error}");
    }
}

/// Answers on a connection until it ends; once the server stops, only what was asked already.
async fn drive<C: Future>(connection: C, finish: fn(Pin<&mut C>), mut stopping: watch::Receiver<bool>) -> C::Output {
    let mut connection = std::pin::pin!(connection);
    let last_word = async {
        until_set(&mut stopping).await;
        tokio::time::sleep(LAST_WORD).await;
    };
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = last_word => {
            finish(connection.as_mut());
            connection.await
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::{Instant, interval};

    use super::*;
    use crate::clock::SystemClock;
    use crate::login::{LoginConfig, LoginServer};
    use crate::store::StoreUrl;

    /// What a login is answered whose body trickles in, and after how long.
    async fn trickle(announced: &str, piece: &'static [u8]) -> (String, Duration) {
        let start = async {
            let store = crate::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await.expect("store");
            let config = LoginConfig::new("https://app.example.com".parse().expect("issuer"));
            LoginServer::start(config, store, Arc::new(SystemClock)).await.expect("server").router()
        };
        // On a thread that may block, and the paused time stands still: the store's own thread takes real time.
        let runtime = tokio::runtime::Handle::current();
        let router = tokio::task::spawn_blocking(move || runtime.block_on(start)).await.expect("started");
        let (page, socket) = tokio::io::duplex(1024);
        let (_stop, stopping) = watch::channel(false);
        let peer = SocketAddr::from(([127, 0, 0, 1], 50_000));
        tokio::spawn(answer(router, socket, peer, false, stopping));
        let (mut reading, mut writing) = tokio::io::split(page);
        let head = format!(
            "POST /v1/login HTTP/1.1\r\nHost: app.example.com\r\nOrigin: https://app.example.com\r\n\
             Content-Type: application/json\r\n{announced}\r\n\r\n"
        );
        writing.write_all(head.as_bytes()).await.expect("sent");
        let started = Instant::now();
        let trickling = tokio::spawn(async move {
            let mut seconds = interval(Duration::from_secs(1));
            while writing.write_all(piece).await.is_ok() {
                seconds.tick().await;
            }
        });
        let mut text = String::new();
        reading.read_to_string(&mut text).await.expect("an answer and the end");
        trickling.abort();
        (text, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn i139_a_body_that_comes_byte_by_byte_is_cut_after_ten_seconds() {
        for (announced, piece) in [
            ("Content-Length: 1000", &b" "[..]),
            ("Transfer-Encoding: chunked", b"1\r\n \r\n"),
            ("Content-Length: 2", b""),
        ] {
            let (answer, time) = trickle(announced, piece).await;
            assert!(answer.starts_with("HTTP/1.1 408 "), "{announced}: {answer}");
            assert!(answer.ends_with("\r\n\r\n{\"error\":\"timeout\"}"), "{announced}: {answer}");
            assert!(answer.contains("connection: close"), "{announced}: {answer}");
            assert_eq!(time, Duration::from_secs(10), "{announced}");
        }
    }

    #[tokio::test]
    async fn who_comes_when_all_connections_are_taken_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(async || "here");
        tokio::spawn(serve(router, vec![listener], None, 2, std::future::pending()));
        let ask = async || {
            let mut stream = TcpStream::connect(address).await.expect("connected");
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
            stream
        };
        let hear = async |stream: &mut TcpStream| {
            let mut text = String::new();
            while !text.ends_with("here") {
                text.push(char::from(stream.read_u8().await.expect("an answer")));
            }
        };
        let (mut first, mut second) = (ask().await, ask().await);
        hear(&mut first).await;
        hear(&mut second).await;
        let mut third = ask().await;
        // Both who are there are answered again and again meanwhile: the third would have been, too.
        for stream in [&mut first, &mut second] {
            for _ in 0..20 {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
                hear(stream).await;
            }
        }
        assert!(third.try_read(&mut [0; 1]).is_err(), "it is not answered yet");
        drop(first);
        hear(&mut third).await;
    }
}
