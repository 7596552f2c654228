//! Deadlines of the door and of the socket, in paused time over in-memory streams.

#[cfg(feature = "actions")]
mod actions;
mod bridge;
mod client;
mod counted;
mod door;
mod push;
mod shut;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::audit::Audit;
use super::core::{Core, Stop};
use super::handle::Handle;
use super::settings::{AgentSettings, OriginSettings};
use super::timers::Timers;
use crate::agent::door::census::Census;
use crate::agent::door::certificate::{Certificate, WssFiles};
use crate::agent::door::doorman::{Doorman, OpenSocket};
use crate::agent::door::peer::{self, Line, PeerCheck, PeerFault};
use crate::agent::issuer::client::{Enrolled, IssuerClient};
use crate::agent::issuer::hub::Hub;
use crate::agent::issuer::keystore::{FileKeyStore, KeyStore as _};
use crate::agent::person::consent::{Asker, Consents};
use crate::agent::person::open::DefaultBrowser;
use crate::clock::Clock;
use crate::crypto::{Algorithm, SoftwareKey};
use crate::protocol::gate::{Gate, REFUSAL};
use crate::protocol::grant::{ConsentMode, Grant, Grants, OpenProof};
use crate::protocol::id::{ChallengeId, Epoch, Sid, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::limits::{
    HANDSHAKE_TIMEOUT, HEAD_TIMEOUT, OPEN_TIMEOUT, PING_INTERVAL, PONG_TIMEOUT, SEND_QUEUE_MAX_LEN, SILENT_TIMEOUT,
    SocketLimits,
};
use crate::protocol::peer::{OwnUser, StrangePeer};
use crate::protocol::statement::{self, Audience, Challenge};
use crate::protocol::time::{Moment, Timestamp, UnixMillis};

/// What the stream between page and agent holds of its own.
const STREAM_LEN: usize = 16 * 1024;

const HEAD: &str = "GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:28970\r\nOrigin: https://app.example\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: loopkey.1\r\n\r\n";

/// The issuer's time.
const NOW: Timestamp = Timestamp(1_800_000_000);

/// tokio's clock, which the tests pause, of a computer that sleeps when they say so.
#[derive(Debug)]
struct PausedClock(Instant, Mutex<Duration>);

impl Clock for PausedClock {
    fn wall(&self) -> UnixMillis {
        UnixMillis(1_800_000_000_000)
    }

    fn now(&self) -> Moment {
        Moment(self.0.elapsed()) + self.slept()
    }

    fn slept(&self) -> Duration {
        *self.1.lock().expect("unpoisoned")
    }
}

pub(super) struct House {
    pub(super) doorman: Arc<Doorman>,
    clock: Arc<PausedClock>,
    stop: watch::Sender<Stop>,
    pub(super) folder: tempfile::TempDir,
}

/// An agent without a network: pages of one origin may open sockets by their origin alone.
pub(super) fn house() -> House {
    house_with(SocketLimits::default())
}

/// As [`house`], with room for other numbers of sockets.
fn house_with(limits: SocketLimits) -> House {
    house_of(limits, [Grant::Presence].into_iter().collect())
}

/// As [`house_with`], where a page that has given a challenge may do so much.
fn house_of(limits: SocketLimits, grants: Grants) -> House {
    house_asking(limits, grants, Vec::new())
}

/// As [`house_of`], with somebody who asks the person.
fn house_asking(limits: SocketLimits, grants: Grants, askers: Vec<Arc<dyn Asker>>) -> House {
    let folder = tempfile::tempdir().expect("a folder");
    let paused = Arc::new(PausedClock(Instant::now(), Mutex::default()));
    let clock: Arc<dyn Clock> = paused.clone();
    let issuer: Issuer = "https://login.example".parse().expect("an issuer");
    let origin = OriginSettings {
        origin: "https://app.example".parse().expect("an origin"),
        issuer: issuer.clone(),
        grants,
        consent: ConsentMode::Prompt,
        proof: OpenProof::Origin,
    };
    let keys = Arc::new(FileKeyStore::new(folder.path().join("keys"), Algorithm::Es256).expect("a key store"));
    let client = IssuerClient::new(issuer.clone(), None, Arc::clone(&clock)).expect("a client");
    let audit = Arc::new(Audit::open(folder.path(), Arc::clone(&clock)).expect("an audit log"));
    let hub = Hub::load(client, issuer.clone(), folder.path().to_owned(), keys, Arc::clone(&clock), Arc::clone(&audit))
        .expect("a hub");
    let consents = Consents::new(askers, false, Arc::clone(&clock), Arc::clone(&audit));
    let hubs = HashMap::from([(issuer, Arc::new(hub))]);
    let gate = Gate::new(28970, [origin.origin.clone()].into_iter().collect());
    let origins = HashMap::from([(origin.origin.clone(), origin)]);
    let timers = Timers::Runtime(clock);
    let core =
        Arc::new(Core::new(timers, Census::new(limits), consents, audit, Arc::new(DefaultBrowser), hubs, origins));
    let (stop, stopped) = watch::channel(Stop::No);
    let doorman = Arc::new(Doorman { core, gate, peers: Arc::new(peer::Off), certificate: None, stop: stopped });
    House { doorman, clock: paused, stop, folder }
}

/// A connection to its end.
async fn see_through(way_in: impl Future<Output = Option<OpenSocket>>) {
    if let Some(open) = Box::pin(way_in).await {
        open.await;
    }
}

impl House {
    /// A connection that is at the door.
    fn knock(&self) -> DuplexStream {
        self.knock_as(Arc::new(peer::Off))
    }

    /// A connection at the door, and what is found when its peer is looked at again.
    fn knock_as(&self, peers: Arc<dyn PeerCheck>) -> DuplexStream {
        let (page, agent) = tokio::io::duplex(STREAM_LEN);
        let doorman = Arc::clone(&self.doorman);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let line = Line { peers, page: nowhere, agent: nowhere };
        tokio::spawn(async move { see_through(doorman.let_in(agent, OwnUser::taken_on_trust(), line)).await });
        page
    }
}

impl House {
    /// The truth of its one issuer.
    fn hub(&self) -> &Arc<Hub> {
        self.doorman.core.hubs.values().next().expect("one issuer")
    }

    /// What its program tells it things with.
    fn handle(&self) -> Handle {
        let folder = self.folder.path();
        Handle {
            core: Arc::clone(&self.doorman.core),
            keys: Arc::new(FileKeyStore::new(folder.join("keys"), Algorithm::Es256).expect("a key store")),
            settings: Arc::new(AgentSettings::new(folder.to_owned(), folder.join("control.sock"))),
            port: 28970,
            wss_port: None,
            stop: self.stop.clone(),
        }
    }

    /// What the issuer would give to a page of the one origin.
    fn challenge(&self, key: &SoftwareKey) -> String {
        let issuer = self.hub().issuer().clone();
        let challenge = Challenge {
            rdm: issuer.login_url(),
            iss: issuer,
            aud: Audience::Agent,
            org: "https://app.example".parse().expect("an origin"),
            jti: ChallengeId::from_bytes(crate::crypto::random()),
            sid: Sid::from_bytes(crate::crypto::random()),
            iat: NOW,
            exp: Timestamp(NOW.0 + 120),
            inc: "life-1".parse().expect("a life"),
        };
        statement::sign(&challenge, key).expect("signed")
    }

    /// Has somebody enrolled and signed in.
    fn sign_in(&self) -> Subject {
        let keys = FileKeyStore::new(self.folder.path().join("keys"), Algorithm::Ed25519).expect("a key store");
        let enrolled = Enrolled {
            device: "device-of-ada".parse().expect("an id"),
            subject: "ada".parse().expect("a subject"),
            name: "Ada".to_owned(),
            avatar: None,
            epoch: Epoch(0),
        };
        self.hub().enrolled(enrolled, keys.create().expect("a key")).expect("enrolled").subject
    }

    /// A page that has said `open`.
    async fn open(&self) -> DuplexStream {
        self.open_as(Arc::new(peer::Off)).await
    }

    /// As [`House::open`], with what is found when the page's peer is looked at again.
    async fn open_as(&self, peers: Arc<dyn PeerCheck>) -> DuplexStream {
        self.open_saying(peers, "").await
    }

    /// As [`House::open`], with a challenge.
    async fn open_with(&self, key: &SoftwareKey) -> DuplexStream {
        self.open_saying(Arc::new(peer::Off), &format!(r#","challenge":"{}""#, self.challenge(key))).await
    }

    async fn open_saying(&self, peers: Arc<dyn PeerCheck>, more: &str) -> DuplexStream {
        let mut page = self.knock_as(peers);
        page.write_all(HEAD.as_bytes()).await.expect("written");
        let hello = String::from_utf8_lossy(&read_until(&mut page, "\"}").await).into_owned();
        let nonce = hello.split("\"nonce\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce");
        page.write_all(&frame(&format!(r#"{{"type":"open","nonce":"{nonce}"{more}}}"#))).await.expect("written");
        page
    }
}

/// Everything that comes until the other side closes, and when it does.
async fn until_closed(page: &mut DuplexStream) -> (Vec<u8>, Instant) {
    let mut bytes = Vec::new();
    page.read_to_end(&mut bytes).await.expect("readable");
    (bytes, Instant::now())
}

/// Reads until the text has come.
async fn read_until(page: &mut DuplexStream, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains(text) {
        let mut chunk = [0; 512];
        let read = page.read(&mut chunk).await.expect("readable");
        assert!(read > 0, "closed before {text}: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&chunk[..read]);
    }
    bytes
}

/// A masked text frame, as a browser sends it.
fn frame(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(short @ 0..126) => bytes.push(0x80 | short),
        _ => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(text.as_bytes());
    bytes
}

fn close_code(bytes: &[u8]) -> Option<u16> {
    let at = bytes.windows(2).rposition(|pair| pair == [0x88, 0x02])?;
    Some(u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?))
}

#[tokio::test(start_paused = true)]
async fn a_page_that_never_opens_is_closed_after_five_seconds() {
    let house = house();
    let mut page = house.knock();
    page.write_all(HEAD.as_bytes()).await.expect("written");
    read_until(&mut page, "hello").await;
    let upgraded = Instant::now();
    let mut close = [0; 4];
    page.read_exact(&mut close).await.expect("a close frame");
    assert_eq!((upgraded.elapsed(), close_code(&close)), (OPEN_TIMEOUT, Some(4408)));
}

#[tokio::test(start_paused = true)]
async fn a_script_that_does_not_answer_is_closed_after_seventy_five_seconds() {
    let house = house();
    let mut page = house.open().await;
    read_until(&mut page, "ready").await;
    let open = Instant::now();
    read_until(&mut page, "ping").await;
    assert_eq!(open.elapsed(), PING_INTERVAL);
    page.write_all(&frame(r#"{"type":"pong"}"#)).await.expect("written");
    let answered = Instant::now();
    read_until(&mut page, "ping").await;
    let (rest, _) = until_closed(&mut page).await;
    assert_eq!(close_code(&rest), Some(4408));
    // The page's own close frame never comes: a second later the connection is cut.
    assert_eq!(answered.elapsed(), PONG_TIMEOUT + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_read_is_not_waited_for() {
    let house = house();
    let mut page = house.open().await;
    // Thirty requests a second are allowed, and each is refused in a few bytes that nobody reads. The script is awake.
    let request = frame(&format!(r#"{{"type":"prove","id":{},"challenge":"c"}}"#, u64::MAX));
    let answer_len = 2 + format!(r#"{{"type":"refused","id":{},"code":"unavailable"}}"#, u64::MAX).len();
    let pong = frame(r#"{"type":"pong"}"#);
    let mut requests = 0;
    let flood = async {
        while page.write_all(&request).await.is_ok() {
            requests += 1;
            if requests % 100 == 0 && page.write_all(&pong).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    };
    tokio::time::timeout(PONG_TIMEOUT * 10, flood).await.expect("the socket is closed");
    // What the stream holds, what may wait for it, and the two seconds in which the agent would have heard a
    // goodbye and still reads what was under way.
    let kept = STREAM_LEN + SEND_QUEUE_MAX_LEN;
    let answered = requests * answer_len;
    assert!((kept - 1024..kept + 51 * answer_len).contains(&answered), "{answered} bytes of answers, {kept} may wait");
    let (bytes, _) = until_closed(&mut page).await;
    assert!(bytes.len() <= kept, "{} bytes were kept for it", bytes.len());
}

/// Finds somebody else at the other end.
#[derive(Debug)]
struct Another;

impl PeerCheck for Another {
    fn look_up(&self, _: SocketAddr, _: SocketAddr) -> Result<OwnUser, PeerFault> {
        Err(StrangePeer::Replaced.into())
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_sleep_a_socket_whose_peer_is_another_is_cut_and_the_others_stay() {
    let house = house();
    let mut same = house.open().await;
    let mut other = house.open_as(Arc::new(Another)).await;
    read_until(&mut same, "ready").await;
    read_until(&mut other, "ready").await;
    house.doorman.core.look_again();
    let (rest, _) = until_closed(&mut other).await;
    assert_eq!(rest, b"", "nothing is said to a stranger");
    read_until(&mut same, "ping").await;
}

/// Without the desktop's word, too: at its heartbeat, or at the first word that comes, a socket notices.
#[tokio::test(start_paused = true)]
async fn that_the_computer_has_slept_is_noticed_by_the_clocks() {
    let house = house();
    let sleep = |time: Duration| *house.clock.1.lock().expect("unpoisoned") += time;
    let mut same = house.open().await;
    let mut other = house.open_as(Arc::new(Another)).await;
    read_until(&mut same, "ready").await;
    read_until(&mut other, "ready").await;
    // What passes between the reading of two clocks is no sleep.
    sleep(Duration::from_secs(2));
    read_until(&mut other, "ping").await;
    sleep(Duration::from_secs(2));
    let began = Instant::now();
    same.write_all(&frame(r#"{"type":"pong"}"#)).await.expect("written");
    let (rest, at) = until_closed(&mut other).await;
    assert_eq!((rest, at), (Vec::new(), began), "at once, and nothing is said to a stranger");
    let mut other = house.open_as(Arc::new(Another)).await;
    read_until(&mut other, "ready").await;
    sleep(Duration::from_secs(3600));
    let began = Instant::now();
    until_closed(&mut other).await;
    assert!(began.elapsed() <= PING_INTERVAL, "at the next heartbeat of any socket");
    read_until(&mut same, "ping").await;
}
