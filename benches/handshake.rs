//! How long a page waits for the agent, from `connect()` to `ready`, beside what the same exchange costs without an agent.
//!
//! The floors are measured in the same run, turn by turn with the agent, so that the ratio holds whatever else the machine
//! does: the same number of bare TCP round trips, and a bare tokio-tungstenite server with the same messages.

#[path = "support/mod.rs"]
mod support;
#[path = "../tests/support/mod.rs"]
mod tests;

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::state::PresenceState;
use support::{Samples, print};
use tests::world::{TestPage, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

const ROUNDS: usize = 600;
const WARM_UP: usize = 60;
/// Lengths of what crosses the wire: upgrade and answer, hello, open, ready.
const UPGRADE: usize = 320;
const ANSWER: usize = 170;
const HELLO: &str = r#"{"type":"hello","v":1,"nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;

/// The time that a future takes.
async fn timed<T>(future: impl Future<Output = T>) -> (Duration, T) {
    let started = tokio::time::Instant::now();
    let value = future.await;
    (started.elapsed(), value)
}

fn main() {
    // The agent has a thread of its own, as it has in a program that embeds it.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        handshakes().await;
        pushes().await;
    });
}

async fn handshakes() {
    let world = World::new().await;
    let tcp = tcp_floor().await;
    let websocket = websocket_floor().await;
    let (mut round_trips, mut bare, mut full, mut resumed) =
        (Samples::default(), Samples::default(), Samples::default(), Samples::default());
    let mut browser = world.browser();
    for round in 0..WARM_UP + ROUNDS {
        let challenge = browser.challenge().await;
        let (tcp_time, ()) = timed(two_round_trips(tcp)).await;
        let (bare_time, ()) = timed(bare_handshake(websocket)).await;
        let open = OpenWith::Challenge(challenge);
        let (full_time, page) = timed(TestPage::open(&world.agent.handle, &world.server.issuer, open)).await;
        let again = page.machine.reopen().expect("a ticket");
        drop(page);
        let (resumed_time, page) = timed(TestPage::open(&world.agent.handle, &world.server.issuer, again)).await;
        drop(page);
        if round >= WARM_UP {
            round_trips.add(tcp_time);
            bare.add(bare_time);
            full.add(full_time);
            resumed.add(resumed_time);
        }
    }
    print(
        format_args!("Handshake: connect to ready, {ROUNDS} rounds, one after the other"),
        &[
            ("bare TCP: connect and two round trips", &round_trips),
            ("bare tokio-tungstenite: upgrade and three messages", &bare),
            ("agent: gate, peer look-up, challenge, signed proof", &full),
            ("agent: resumed by ticket, no signature", &resumed),
        ],
    );
    world.agent.stop().await;
}

async fn pushes() {
    let world = World::new().await;
    let tcp = tcp_floor().await;
    let (_, mut page) = world.open_page().await;
    let (mut floor, mut push) = (Samples::default(), Samples::default());
    let mut stream = TcpStream::connect(tcp).await.expect("connected");
    stream.set_nodelay(true).expect("no delay");
    let mut answer = [0; ANSWER];
    for round in 0..WARM_UP + ROUNDS {
        let presence = if round % 2 == 0 { PresenceState::Away } else { PresenceState::SignedIn };
        let (floor_time, ()) = timed(async {
            stream.write_all(&[0; UPGRADE]).await.expect("written");
            stream.read_exact(&mut answer).await.expect("read");
        })
        .await;
        let (push_time, _) = timed(async {
            world.agent.handle.set_presence(&world.account, presence).expect("set");
            page.next().await.expect("a state")
        })
        .await;
        if round >= WARM_UP {
            floor.add(floor_time);
            push.add(push_time);
        }
    }
    print(
        format_args!("Push: the client's change of state to the page, {ROUNDS} rounds"),
        &[("bare TCP: one round trip", &floor), ("agent: presence set to state read", &push)],
    );
    world.agent.stop().await;
}

async fn tcp_floor() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let mut request = [0; UPGRADE];
                while stream.read_exact(&mut request).await.is_ok() {
                    if stream.write_all(&[0; ANSWER]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

async fn two_round_trips(address: std::net::SocketAddr) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("no delay");
    let mut answer = [0; ANSWER];
    for _ in 0..2 {
        stream.write_all(&[0; UPGRADE]).await.expect("written");
        stream.read_exact(&mut answer).await.expect("read");
    }
}

async fn websocket_floor() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let mut socket = tokio_tungstenite::accept_async(stream).await.expect("upgraded");
                socket.send(Message::text(HELLO)).await.expect("sent");
                let _open = socket.next().await;
                let _ = socket.send(Message::text("r".repeat(900))).await;
                let _ = socket.next().await;
            });
        }
    });
    address
}

async fn bare_handshake(address: std::net::SocketAddr) {
    let stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("no delay");
    let url = format!("ws://{address}/v1");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.expect("upgraded");
    socket.next().await.expect("hello").expect("hello");
    socket.send(Message::text("o".repeat(800))).await.expect("sent");
    socket.next().await.expect("ready").expect("ready");
}
