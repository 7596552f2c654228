//! Deadlines of a link over in-memory streams; the test is the agent. Time is paused once the store, which has threads of
//! its own, is not needed any more.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::talk::talk;
use super::upgrade::LinkSocket;
use crate::clock::SystemClock;
use crate::crypto::{Algorithm, Signer as _, SoftwareKey};
use crate::login::state::State;
use crate::login::{LoginConfig, state};
use crate::protocol::id::{DeviceIssuer, EnrolmentTicket, Epoch};
use crate::protocol::link::{OPENING_TIMEOUT, PING_INTERVAL, ToAgent, ToServer};
use crate::protocol::statement::{self, Link};
use crate::store::{DisplayName, Profile, StoreUrl, TicketHash};
use crate::verify::testing::parsed;

type Agent = WebSocketStream<DuplexStream>;

async fn server() -> state::Shared {
    let store = crate::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await.expect("store");
    let config = LoginConfig::new(parsed("https://app.example.com"));
    State::start(config, store, Arc::new(SystemClock)).await.expect("server")
}

async fn connect(server: &state::Shared) -> Agent {
    let (agent, stream) = tokio::io::duplex(64 * 1024);
    let socket = LinkSocket::from_raw_socket(Box::new(stream), Role::Server, None).await;
    tokio::spawn(talk(socket, Arc::clone(server)));
    WebSocketStream::from_raw_socket(agent, Role::Client, None).await
}

async fn hear(agent: &mut Agent) -> ToAgent {
    match agent.next().await.expect("the server is there").expect("a frame") {
        Message::Text(text) => ToAgent::parse(&text).expect("a frame of a login server"),
        other => panic!("{other:?}"),
    }
}

/// A link of a newly enrolled device.
async fn open(server: &state::Shared) -> Agent {
    let key = SoftwareKey::generate(Algorithm::Ed25519).expect("key").0;
    let ticket = TicketHash::of(&EnrolmentTicket::from_bytes([1; 32]));
    let name = || DisplayName::clean("Ada").expect("a name");
    let profile = Profile { account: parsed("ada"), name: name(), avatar: None };
    server.store.issue_ticket(ticket, profile).await.expect("store").expect("a ticket");
    let enrolled = server.store.enrol(ticket, key.public().clone(), name()).await.expect("store").expect("enrolled");
    let mut agent = connect(server).await;
    let ToAgent::Hello { nonce, .. } = hear(&mut agent).await else { panic!("hello comes first") };
    let aud = server.config.issuer.link_url();
    let link = Link { iss: DeviceIssuer(enrolled.device), aud, nonce, epo: Epoch(0) };
    let proof = statement::sign(&link, &key).expect("L");
    agent.send(Message::text(ToServer::Open { proof }.encode())).await.expect("sent");
    assert!(matches!(hear(&mut agent).await, ToAgent::Ready { .. }));
    // Behind `ready` the server asks its store once more, and reads on when that is done: a clock that was paused before would
    // step on meanwhile.
    agent.send(Message::Ping("".into())).await.expect("sent");
    assert!(matches!(agent.next().await, Some(Ok(Message::Pong(_)))));
    agent
}

fn code_of(frame: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) -> u16 {
    match frame {
        Some(Ok(Message::Close(Some(CloseFrame { code, .. })))) => code.into(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_link_that_is_never_opened_is_closed() {
    let server = server().await;
    tokio::time::pause();
    let mut agent = connect(&server).await;
    assert!(matches!(hear(&mut agent).await, ToAgent::Hello { .. }));
    let started = Instant::now();
    // A ping is no sign of an agent.
    agent.send(Message::Ping("".into())).await.expect("sent");
    assert!(matches!(agent.next().await, Some(Ok(Message::Pong(_)))));
    assert_eq!(code_of(agent.next().await), 4408);
    let waited = started.elapsed();
    // tokio's timers count whole milliseconds.
    assert!(
        waited <= OPENING_TIMEOUT + Duration::from_millis(2) && waited > OPENING_TIMEOUT - Duration::from_secs(1),
        "{waited:?}"
    );
}

#[tokio::test]
async fn an_open_link_is_pinged_and_closed_once_nothing_answers() {
    let server = server().await;
    let mut agent = open(&server).await;
    tokio::time::pause();
    let (least, most) = (PING_INTERVAL.mul_f64(0.75), PING_INTERVAL.mul_f64(1.25) + Duration::from_millis(2));
    for _ in 0..5 {
        let before = Instant::now();
        assert!(matches!(agent.next().await, Some(Ok(Message::Ping(_)))));
        let waited = before.elapsed();
        assert!(waited >= least - Duration::from_secs(1) && waited <= most, "{waited:?}");
        // Read again, the library answers.
        assert!(futures::poll!(agent.next()).is_pending());
    }
    // Below the library nothing does: one more ping, and the end.
    let (mut bytes, started) = (Vec::new(), Instant::now());
    agent.get_mut().read_to_end(&mut bytes).await.expect("read to the end");
    assert_eq!(bytes, [[0x89, 0].as_slice(), &[0x88, 2], &4408_u16.to_be_bytes()].concat());
    let waited = started.elapsed();
    assert!(waited > least * 2 - Duration::from_secs(1) && waited < most * 2 + Duration::from_secs(2), "{waited:?}");
}
