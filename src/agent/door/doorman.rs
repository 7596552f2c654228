//! From an accepted connection to an admitted one (protocol section 3): who is it, what does the head say, is there room.
//! Whatever is not admitted gets the one refusal, by the one way out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::begun::Begun;
use super::census;
use super::certificate::Certificate;
use super::direct::Direct;
use super::listener::Accepted;
use super::peer::{Line, PeerCheck, PeerFault};
use crate::agent::core::{Core, Stop};
use crate::agent::doctor::origin_of;
use crate::agent::page::bridge::{self, Unmet};
use crate::agent::page::driver::{Driver, Page};
use crate::agent::page::wire::{Wire, drain};
use crate::agent::reported::Reported;
use crate::protocol::code::CloseCode;
use crate::protocol::gate::{Admitted, Gate, Purpose, REFUSAL, Refused};
use crate::protocol::head::{BadHead, RequestHead};
use crate::protocol::limits::{HANDSHAKE_TIMEOUT, HEAD_MAX_LEN, HEAD_TIMEOUT, SILENT_TIMEOUT};
use crate::protocol::message::SUBPROTOCOL;
use crate::protocol::origin::{AdmittedOrigin, Origin};
use crate::protocol::peer::{OwnUser, StrangePeer};

/// How long a refused connection may go on sending before it is cut.
const LINGER: Duration = Duration::from_secs(1);

/// Few heads are longer: those with many cookies take a second read.
const USUAL_HEAD_LEN: usize = 1024;

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

/// What becomes of a connection that was let in: a socket, until its end.
pub(in crate::agent) type OpenSocket = BoxFuture<'static, ()>;

impl Doorman {
    /// Sees a connection through to its end.
    pub(in crate::agent) async fn receive(self: Arc<Self>, Accepted { stream, page, agent }: Accepted) {
        let _reported = Reported;
        // The way in needs more room than what it leads to, so that it has it apart; and what few go through on their way has its
        // own again, for room beyond a kilobyte is slow to get.
        let line = Line { peers: Arc::clone(&self.peers), page, agent };
        if let Some(open) = self.way_in(stream, line).await {
            open.await;
        }
    }

    fn way_in(&self, stream: TcpStream, line: Line) -> BoxFuture<'_, Option<OpenSocket>> {
        let stream = Direct(stream);
        match (line.look_up(), &self.certificate) {
            (Ok(peer), None) => Box::pin(self.let_in(stream, peer, line)),
            (Ok(peer), Some(certificate)) => Box::pin(self.let_in_secured(stream, certificate, peer, line)),
            (Err(fault), None) => Box::pin(refuse(stream, &self.core, reason_of(fault), None).map(|()| None)),
            // Nothing can be said before TLS.
            (Err(fault), Some(_)) => {
                note(&self.core, reason_of(fault), None);
                Box::pin(std::future::ready(None))
            }
        }
    }

    /// TLS first, then as on any other port.
    pub(in crate::agent) async fn let_in_secured<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        certificate: &Certificate,
        peer: OwnUser,
        line: Line,
    ) -> Option<OpenSocket> {
        let stream = Box::pin(self.secure(stream, certificate)).await?;
        self.let_in(stream, peer, line).await
    }

    /// The TLS handshake. The browser may hold the connection silent before it and, where it asks its person, behind it.
    async fn secure<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        mut stream: S,
        certificate: &Certificate,
    ) -> Option<Box<TlsStream<Begun<S>>>> {
        let mut first = [0; 1];
        let begun = async { stream.read(&mut first).await.ok().filter(|read| *read > 0) };
        unless_silent(begun, &self.core, self.stop.clone()).await?;
        let handshake = async {
            let _opening = self.core.census.opening()?;
            let accepting = TlsAcceptor::from(certificate.current()).accept(Begun::new(first, stream));
            match timeout(HANDSHAKE_TIMEOUT, accepting).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "no TLS");
                    Err(Refused::Handshake)
                }
                Err(_) => Err(Refused::Handshake),
            }
        };
        match handshake.await {
            Ok(mut stream) => {
                stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_LEN));
                Some(Box::new(stream))
            }
            Err(reason) => {
                note(&self.core, reason, None);
                None
            }
        }
    }

    /// From the first byte to a socket whose page may be spoken to; `None` for whatever came to another end.
    pub(in crate::agent) async fn let_in<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        mut stream: S,
        peer: OwnUser,
        line: Line,
    ) -> Option<OpenSocket> {
        match self.admit(&mut stream, peer).await {
            Ok((admitted, opening)) => self.enter(stream, admitted, opening, line).await,
            Err(Left::Refused(reason, origin)) => {
                Box::pin(refuse(stream, &self.core, reason, origin)).await;
                None
            }
            Err(Left::Silently) => None,
        }
    }

    async fn admit<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        peer: OwnUser,
    ) -> Result<(Admitted, census::Opening), Left> {
        let mut head = Vec::with_capacity(USUAL_HEAD_LEN);
        let begun = async { read_head(stream, &mut head).await.ok().filter(|read| *read > 0) };
        unless_silent(begun, &self.core, self.stop.clone()).await.ok_or(Left::Silently)?;
        let opening = self.core.census.opening()?;
        let head = match RequestHead::parse(&head).map_err(Refused::from)? {
            Some(head) => head,
            // Few heads take more than one read, and only those need a clock.
            None => Box::pin(timeout(HEAD_TIMEOUT, read_on(stream, head))).await.map_err(|_| Refused::SlowHead)??,
        };
        let admitted = self.gate.admit(&head, peer).map_err(|reason| Left::Refused(reason, origin_of(&head)))?;
        Ok((admitted, opening))
    }

    async fn enter<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        admitted: Admitted,
        opening: census::Opening,
        line: Line,
    ) -> Option<OpenSocket> {
        let (core, peer) = (&self.core, admitted.peer());
        match admitted.purpose() {
            Purpose::Socket { origin, key } => match self.receive_page(origin, false, peer, opening, line) {
                Ok(page) => return Some(self.open(Wire::new(stream, upgraded(key)), page)),
                Err(reason) => Box::pin(refuse(stream, core, reason, Some(origin.origin().clone()))).await,
            },
            Purpose::BridgeSocket { key } => {
                let wire = Wire::new(stream, upgraded(key));
                return Box::pin(self.receive_bridge(wire, peer, opening, line)).await;
            }
            Purpose::BridgePage => {
                let home = self.gate.bridge_host().unwrap_or_default();
                let page = bridge::page(&core.bridge_key(), home);
                Box::pin(say_and_close(stream, page.as_bytes())).await;
            }
            Purpose::BridgeScript => Box::pin(say_and_close(stream, bridge::script().as_bytes())).await,
            Purpose::Probe { origin } => match core.page_of(origin.origin()) {
                Ok(_) => {
                    let answer = format!(
                        "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: {}\r\nVary: Origin\r\n\
                         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                        origin.origin()
                    );
                    Box::pin(say_and_close(stream, answer.as_bytes())).await;
                }
                Err(reason) => Box::pin(refuse(stream, core, reason, Some(origin.origin().clone()))).await,
            },
        }
        None
    }

    /// Sees a bridge's socket through its first frame: until then it is nobody's, and from then on a page's like any other.
    async fn receive_bridge<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        mut wire: Wire<S>,
        peer: OwnUser,
        opening: census::Opening,
        line: Line,
    ) -> Option<OpenSocket> {
        let since = self.core.clock.now();
        wire.flush();
        let met = bridge::meet(&mut wire, &self.core, &self.gate, since, self.stop.clone()).await;
        let page = met.and_then(|origin| {
            let page = self.receive_page(&origin, true, peer, opening, line);
            page.map_err(|reason| Unmet::Refused(reason, Some(origin.origin().clone())))
        });
        match page {
            Ok(mut page) => {
                page.since = since;
                wire.relay();
                return Some(self.open(wire, page));
            }
            Err(Unmet::Refused(reason, origin)) => {
                // One code for every reason, but that there is no room: the bridge is told no more than a page at the gate.
                let code = if reason == Refused::Limit { CloseCode::OverLimit } else { CloseCode::Unexpected };
                note(&self.core, reason, origin);
                wire.close(code).await;
            }
            Err(Unmet::Closed(code)) => wire.close(code).await,
            Err(Unmet::Gone) => {}
        }
        None
    }

    fn open<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, wire: Wire<S>, page: Page) -> OpenSocket {
        Box::pin(Driver::new(wire, page, &self.stop).drive())
    }

    /// What a page of an admitted origin needs to be spoken to, where the person lets it and there is room.
    fn receive_page(
        &self,
        origin: &AdmittedOrigin,
        bridged: bool,
        peer: OwnUser,
        opening: census::Opening,
        line: Line,
    ) -> Result<Page, Refused> {
        let core = Arc::clone(&self.core);
        let (settings, hub) = core.page_of(origin.origin())?;
        let socket = core.census.socket(origin.origin())?;
        let since = core.clock.now();
        Ok(Page { core, hub, origin: settings, peer, line, opening: Some(opening), socket, since, bridged })
    }
}

/// The answer to an upgrade.
fn upgraded(key: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
        derive_accept_key(key.as_bytes()),
    )
}

/// Waits for a connection's first bytes. A browser that asks its person for permission holds a connection silent for
/// minutes and goes on with it, so silence alone is no offence; only too many silent ones are.
async fn unless_silent<T>(
    first_bytes: impl Future<Output = Option<T>>,
    core: &Core,
    mut stop: watch::Receiver<Stop>,
) -> Option<T> {
    tokio::pin!(first_bytes);
    // Most have spoken by the time they are looked at: they were never silent.
    if let Some(begun) = first_bytes.as_mut().now_or_never() {
        return begun;
    }
    let mut silent = core.census.silent();
    let too_long = core.clock.now() + SILENT_TIMEOUT;
    let waiting = async {
        tokio::select! {
            // Whoever speaks was not silent, whatever else is true by now.
            biased;
            begun = first_bytes => begun,
            () = silent.evicted() => None,
            () = core.timers.sleep_until(too_long) => None,
            () = Stop::wait(&mut stop) => None,
        }
    };
    Box::pin(waiting).await
}

/// Reads on until the head is complete.
async fn read_on<S: AsyncRead + Unpin>(stream: &mut S, mut head: Vec<u8>) -> Result<RequestHead, Left> {
    loop {
        match read_head(stream, &mut head).await {
            Ok(0) => return Err(Refused::Head(BadHead::Syntax).into()),
            Err(_) => return Err(Left::Silently),
            Ok(_) => {}
        }
        if let Some(head) = RequestHead::parse(&head).map_err(Refused::from)? {
            return Ok(head);
        }
    }
}

/// Reads more of a head. Where that fills the room, there is more of it, and what has come already is read too: nothing may stand
/// behind a head. There is never room for more than one byte too many, and what has that is refused.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S, head: &mut Vec<u8>) -> io::Result<usize> {
    let read = stream.read_buf(head).await?;
    if head.len() == head.capacity() && head.len() <= HEAD_MAX_LEN {
        head.reserve_exact(HEAD_MAX_LEN + 1 - head.len());
        if let Some(more) = stream.read_buf(head).now_or_never() {
            more?;
        }
    }
    Ok(read)
}

/// Why a connection is refused whose peer is not the agent's own user, as far as can be told.
fn reason_of(fault: PeerFault) -> Refused {
    match fault {
        PeerFault::Strange(strange) => strange.into(),
        PeerFault::Unknowable(error) => {
            tracing::error!(%error, "the kernel cannot be asked who is connected; refusing everybody");
            StrangePeer::NoRow.into()
        }
    }
}

/// The one way out for everything that is not admitted.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, core: &Core, reason: Refused, origin: Option<Origin>) {
    if note(core, reason, origin) {
        say_and_close(stream, REFUSAL).await;
    }
}

/// Writes a refusal down; whether it may be answered. Over the budget the log is spared too.
fn note(core: &Core, reason: Refused, origin: Option<Origin>) -> bool {
    if let Some(origin) = origin.as_ref().filter(|origin| core.origins.contains_key(*origin)) {
        core.audit.refused(origin, reason.word());
    }
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
