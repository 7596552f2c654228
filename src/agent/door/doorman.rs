//! From an accepted connection to an admitted one (protocol section 3): who is it, what does the head say, is there room.
//! Whatever is not admitted gets the one refusal, by the one way out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::Instrument as _;

use super::census::{self, Census};
use super::certificate::Certificate;
use super::peer::{Line, PeerCheck, PeerFault};
use crate::agent::core::{Core, Stop};
use crate::agent::doctor::origin_of;
use crate::agent::page::driver::{self, Page};
use crate::agent::page::wire::drain;
use crate::protocol::gate::{Admitted, Gate, Purpose, REFUSAL, Refused};
use crate::protocol::head::{BadHead, RequestHead};
use crate::protocol::limits::{HANDSHAKE_TIMEOUT, HEAD_MAX_LEN, HEAD_TIMEOUT, SILENT_TIMEOUT};
use crate::protocol::message::SUBPROTOCOL;
use crate::protocol::origin::Origin;
use crate::protocol::peer::{OwnUser, StrangePeer};

/// How long a refused connection may go on sending before it is cut.
const LINGER: Duration = Duration::from_secs(1);

/// What is read at once of a handshake; enough for what a browser begins with.
const HANDSHAKE_BUFFER_LEN: usize = 2 * 1024;
/// What TLS may hold back for a page that does not read, besides what waits in the page's own queue.
const TLS_BUFFER_LEN: usize = 16 * 1024;

/// What stands at the door of one port.
pub(in crate::agent) struct Doorman {
    pub(in crate::agent) core: Arc<Core>,
    pub(in crate::agent) gate: Gate,
    pub(in crate::agent) peers: Arc<dyn PeerCheck>,
    /// Where this port speaks TLS, what it shows.
    pub(in crate::agent) certificate: Option<Certificate>,
    pub(in crate::agent) stop: watch::Receiver<Stop>,
}

/// A connection that came to nothing before it had to be answered.
#[derive(Debug)]
enum Left {
    /// It closed, stayed silent for too long, or made place for a younger one.
    Silently,
    /// It is to be refused; what origin it named, where that is known.
    Refused(Refused, Option<Origin>),
}

impl<R: Into<Refused>> From<R> for Left {
    fn from(refused: R) -> Self {
        Self::Refused(refused.into(), None)
    }
}

impl Doorman {
    /// Sees a connection through to its end.
    pub(in crate::agent) async fn receive(self: Arc<Self>, stream: TcpStream, page: SocketAddr) {
        let Ok(agent) = stream.local_addr() else { return };
        // Every message is small and waited for.
        let _ = stream.set_nodelay(true);
        let line = Line { peers: Arc::clone(&self.peers), page, agent };
        let strange = match line.look_up() {
            Ok(peer) => {
                return match &self.certificate {
                    None => self.serve(stream, peer, line).await,
                    // Apart, so that those without TLS do not carry its room along.
                    Some(certificate) => Box::pin(self.serve_secure(stream, certificate, peer, line)).await,
                };
            }
            Err(PeerFault::Strange(strange)) => strange,
            Err(PeerFault::Unknowable(error)) => {
                tracing::error!(%error, "the kernel cannot be asked who is connected; refusing everybody");
                StrangePeer::NoRow
            }
        };
        match &self.certificate {
            None => refuse(stream, &self.core, strange.into(), None).await,
            // Nothing can be said before TLS.
            Some(_) => drop(note_refusal(&self.core, strange.into(), None)),
        }
    }

    /// TLS first, then as on any other port. The browser may hold the connection silent before it and, where it asks its
    /// person, behind it.
    pub(in crate::agent) async fn serve_secure<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        stream: S,
        certificate: &Certificate,
        peer: OwnUser,
        line: Line,
    ) {
        let mut stream = BufReader::with_capacity(HANDSHAKE_BUFFER_LEN, stream);
        let begun = async { stream.fill_buf().await.ok().filter(|bytes| !bytes.is_empty()).map(drop) };
        if unless_silent(begun, &self.core.census, self.stop.clone()).await.is_none() {
            return;
        }
        let refused = match self.core.census.opening() {
            Ok(_opening) => {
                let handshake = TlsAcceptor::from(certificate.current()).accept(stream);
                match timeout(HANDSHAKE_TIMEOUT, handshake).await {
                    Ok(Ok(mut stream)) => Ok({
                        stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_LEN));
                        stream
                    }),
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "no TLS");
                        Err(Refused::Handshake)
                    }
                    Err(_) => Err(Refused::Handshake),
                }
            }
            Err(full) => Err(full),
        };
        match refused {
            Ok(stream) => self.serve(stream, peer, line).await,
            Err(reason) => drop(note_refusal(&self.core, reason, None)),
        }
    }

    /// The part that does not depend on TCP.
    pub(in crate::agent) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        mut stream: S,
        peer: OwnUser,
        line: Line,
    ) {
        match self.admit(&mut stream, peer).await {
            Ok((admitted, opening)) => self.enter(stream, admitted, opening, line).await,
            Err(Left::Refused(reason, origin)) => refuse(stream, &self.core, reason, origin).await,
            Err(Left::Silently) => {}
        }
    }

    async fn admit<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        peer: OwnUser,
    ) -> Result<(Admitted, census::Opening), Left> {
        let mut head = vec![0; HEAD_MAX_LEN + 1];
        let begun = async { stream.read(&mut head).await.ok().filter(|read| *read > 0) };
        let mut filled = unless_silent(begun, &self.core.census, self.stop.clone()).await.ok_or(Left::Silently)?;
        let opening = self.core.census.opening()?;
        let reading = async {
            loop {
                if let Some(head) = RequestHead::parse(&head[..filled]).map_err(Refused::from)? {
                    return Ok(head);
                }
                match stream.read(&mut head[filled..]).await {
                    Ok(0) => return Err(Refused::Head(BadHead::Syntax).into()),
                    Err(_) => return Err(Left::Silently),
                    Ok(read) => filled += read,
                }
            }
        };
        let head = timeout(HEAD_TIMEOUT, reading).await.map_err(|_| Refused::SlowHead)??;
        let admitted = self.gate.admit(&head, peer).map_err(|reason| Left::Refused(reason, origin_of(&head)))?;
        Ok((admitted, opening))
    }

    async fn enter<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        mut stream: S,
        admitted: Admitted,
        opening: census::Opening,
        line: Line,
    ) {
        let origin = admitted.origin().origin().clone();
        // Before the person's choice is looked at: a later one is heard of.
        let revoked = self.core.revocations();
        let (settings, hub) = match self.core.page_of(&origin) {
            Ok(page) => page,
            Err(reason) => return refuse(stream, &self.core, reason, Some(origin)).await,
        };
        let Purpose::Socket { key } = admitted.purpose() else {
            let answer = format!(
                "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n\
                 Cache-Control: no-store\r\nConnection: close\r\n\r\n"
            );
            return say_and_close(stream, answer.as_bytes()).await;
        };
        let socket = match self.core.census.socket(&origin) {
            Ok(socket) => socket,
            Err(reason) => return refuse(stream, &self.core, reason, Some(origin)).await,
        };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
            derive_accept_key(key.as_bytes()),
        );
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        let (core, opening) = (Arc::clone(&self.core), Some(opening));
        let page = Page { core, hub, origin: settings, peer: admitted.peer(), line, opening, socket };
        let span = tracing::info_span!("socket", %origin);
        driver::drive(stream, page, revoked, self.stop.clone()).instrument(span).await;
    }
}

/// Waits for a connection's first bytes. A browser that asks its person for permission holds a connection silent for
/// minutes and goes on with it, so silence alone is no offence; only too many silent ones are.
async fn unless_silent<T>(
    first_bytes: impl Future<Output = Option<T>>,
    census: &Census,
    mut stop: watch::Receiver<Stop>,
) -> Option<T> {
    let mut silent = census.silent();
    tokio::select! {
        begun = first_bytes => begun,
        () = silent.evicted() => None,
        () = tokio::time::sleep(SILENT_TIMEOUT) => None,
        () = Stop::wait(&mut stop) => None,
    }
}

/// The one way out for everything that is not admitted.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, core: &Core, reason: Refused, origin: Option<Origin>) {
    if note_refusal(core, reason, origin) {
        say_and_close(stream, REFUSAL).await;
    }
}

/// Writes down why a connection is refused; false where there are so many that it is not even answered.
fn note_refusal(core: &Core, reason: Refused, origin: Option<Origin>) -> bool {
    if let Some(origin) = origin.as_ref().filter(|origin| core.origins.contains_key(*origin)) {
        core.audit.refused(origin, reason.word());
    }
    // Over the budget the log is spared too.
    if !core.census.may_answer_refusal(reason, core.clock.now()) {
        core.troubles.over_budget();
        return false;
    }
    core.troubles.refused(reason, origin, core.clock.wall());
    match reason {
        Refused::Peer(_) => tracing::warn!(%reason, "refused a connection"),
        _ => tracing::info!(%reason, "refused a connection"),
    }
    true
}

async fn say_and_close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, bytes: &[u8]) {
    let goodbye = async {
        if stream.write_all(bytes).await.is_ok() && stream.shutdown().await.is_ok() {
            // Closing on unread bytes would reset the connection and take the answer with it.
            drain(&mut stream).await;
        }
    };
    let _ = timeout(LINGER, goodbye).await;
}
