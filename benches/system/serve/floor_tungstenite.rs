//! The floor of a handshake: the same round trips, writes and two signatures over tokio-tungstenite with small buffers, on one
//! thread. No gate, no peer look-up, no statement is read. With the agent's certificate it is the floor of `wss` too.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::{SinkExt as _, StreamExt as _};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::bare::Bare;
use crate::process;
use crate::spec::{FloorSpec, Serving};

pub(crate) fn run(spec: FloorSpec) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(spec))
}

async fn serve(spec: FloorSpec) -> anyhow::Result<()> {
    let bare = Rc::new(Bare::new(&spec)?);
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(1024)?;
    let port = listener.local_addr()?.port();
    process::say(&Serving { port, wss_port: Some(port), trigger: None });
    match &spec.identity {
        Some(identity) => accept_secure(&listener, &bare, acceptor(identity)?).await,
        None => loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::task::spawn_local(page(stream, Rc::clone(&bare)));
        },
    }
}

async fn accept_secure(listener: &TcpListener, bare: &Rc<Bare>, acceptor: TlsAcceptor) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, bare) = (acceptor.clone(), Rc::clone(bare));
        tokio::task::spawn_local(async move {
            let handshake = Box::pin(acceptor.accept(stream));
            if let Ok(stream) = handshake.await {
                // A task of its own is smaller without the handshake.
                tokio::task::spawn_local(page(stream, bare));
            }
        });
    }
}

fn acceptor(identity: &std::path::Path) -> anyhow::Result<TlsAcceptor> {
    let leaf = CertificateDer::from_pem_file(identity)?;
    let key = PrivateKeyDer::from_pem_file(identity)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)?;
    // As the agent has them.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.send_tls13_tickets = 1;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[expect(clippy::result_large_err, reason = "the library's own signature")]
fn named(
    _: &Request,
    mut answer: Response,
) -> Result<Response, tokio_tungstenite::tungstenite::handshake::server::ErrorResponse> {
    answer.headers_mut().insert("Sec-WebSocket-Protocol", "loopkey.1".parse().expect("a header"));
    Ok(answer)
}

/// One page, from the upgrade to its end; `None` where the page leaves.
async fn page<S: AsyncRead + AsyncWrite + Unpin>(stream: S, bare: Rc<Bare>) -> Option<()> {
    let config = WebSocketConfig::default()
        .read_buffer_size(bare.read_buffer)
        .write_buffer_size(0)
        .max_write_buffer_size(64 * 1024)
        .max_message_size(Some(8 * 1024))
        .max_frame_size(Some(8 * 1024));
    let stream = Corked { stream, held: Vec::new(), holds: true };
    let upgrade = tokio_tungstenite::accept_hdr_async_with_config(stream, named, Some(config));
    let mut socket = Box::pin(upgrade).await.ok()?;
    socket.get_mut().holds = false;
    socket.send(Message::text(bare.hello())).await.ok()?;
    let open = socket.next().await?.ok()?.into_text().ok()?;
    bare.verify(&open)?;
    socket.send(Message::text(bare.ready())).await.ok()?;
    while socket.next().await?.is_ok() {}
    None
}

/// Holds the answer to the upgrade back until it can leave in one write with what is said first, as the agent's does.
struct Corked<S> {
    stream: S,
    held: Vec<u8>,
    holds: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, held, holds } = self.get_mut();
        if *holds {
            held.extend(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        if held.is_empty() {
            return Pin::new(stream).poll_write(cx, bytes);
        }
        let all = [held.as_slice(), bytes].concat();
        let written = ready!(Pin::new(stream).poll_write(cx, &all))?;
        assert_eq!(written, all.len(), "an empty socket takes a short answer");
        *held = Vec::new();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
