//! From the client's word to the page's script, in real Chromium: how long until an open page knows that the person left.
//!
//! The floor is a bare tokio-tungstenite server that pushes a text of the same length to the same page, turn by turn with the
//! agent. Both ends read the same computer's clock.

#[path = "support/mod.rs"]
mod support;
#[path = "../tests/support/mod.rs"]
mod tests;

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{SinkExt as _, StreamExt as _};
use loopkey::demo::Demo;
use loopkey::protocol::state::PresenceState;
use support::{Samples, print};
use tests::browser::{Browser, Engine, LaunchOptions, Page};
use tests::places::free_places;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

const ROUNDS: usize = 200;
const WARM_UP: usize = 20;
const SOON: Duration = Duration::from_secs(20);

/// Notes when a message arrives, by the wall clock, in milliseconds with a fraction.
const LISTEN: &str = "(() => {
    const now = () => performance.timeOrigin + performance.now();
    const card = document.querySelector('loopkey-card');
    globalThis.seen = { agent: [], floor: [] };
    card.loopkey.addEventListener('presence', () => seen.agent.push(now()));
    const socket = new WebSocket('ws://127.0.0.1:PORT/');
    socket.onmessage = () => seen.floor.push(now());
    return new Promise((open) => { socket.onopen = () => open(true); });
})()";

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(pushes());
}

async fn pushes() {
    let places = free_places();
    // The second candidate port is one that the page may speak to, and that the agent leaves alone.
    let floor_port = places.agent[1];
    let floor = floor(floor_port).await;
    let demo = Demo::start(places).await.expect("the demo");
    let browser = Browser::launch(Engine::Chromium, LaunchOptions::default()).await.expect("Chromium");
    let page = browser.new_context().await.expect("a context").new_page().await.expect("a tab");
    page.goto(&demo.site_url()).await.expect("the site");
    let found = "document.querySelector('loopkey-card')?.getAttribute('view') === 'person'";
    page.wait_for(found, SOON).await.expect("the person is found");
    page.eval::<bool>(&LISTEN.replace("PORT", &floor_port.to_string())).await.expect("listening");

    let (mut bare, mut agent) = (Samples::default(), Samples::default());
    for round in 0..WARM_UP + ROUNDS {
        let presence = if round % 2 == 0 { PresenceState::Away } else { PresenceState::SignedIn };
        let sent = wall();
        floor.send(()).await.expect("the floor pushes");
        let floor_time = arrival(&page, "floor", round).await - sent;
        let sent = wall();
        demo.set_presence(presence).await.expect("the client speaks");
        let agent_time = arrival(&page, "agent", round).await - sent;
        if round >= WARM_UP {
            bare.add(span(floor_time));
            agent.add(span(agent_time));
        }
    }
    print(
        format_args!("Push: the client's presence.set to the page's script in Chromium, {ROUNDS} rounds"),
        &[("bare tokio-tungstenite: send to onmessage", &bare), ("agent: presence.set to the SDK's event", &agent)],
    );
    demo.stop().await;
}

/// When the page's script saw the message of a round.
async fn arrival(page: &Page, kind: &str, round: usize) -> f64 {
    page.wait_for(&format!("seen.{kind}.length > {round}"), SOON).await.expect("the page hears of it");
    page.eval(&format!("seen.{kind}[{round}]")).await.expect("a time")
}

fn span(milliseconds: f64) -> Duration {
    Duration::from_secs_f64(milliseconds.max(0.0) / 1000.0)
}

#[expect(clippy::disallowed_methods, reason = "both ends are compared by the computer's own clock")]
fn wall() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1000.0
}

/// A server that pushes to its one page whenever it is told to.
async fn floor(port: u16) -> mpsc::Sender<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port");
    let (push, mut pushed) = mpsc::channel(1);
    tokio::spawn(async move {
        let text =
            format!(r#"{{"type":"state","seq":18,"state":{{"presence":"away","since":{},"epoch":0}}}}"#, 1_u64 << 40);
        // The page's first look at the port is a probe, which is no WebSocket.
        let mut socket = loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.set_nodelay(true);
            if let Ok(socket) = tokio_tungstenite::accept_async(stream).await {
                break socket;
            }
        };
        while pushed.recv().await.is_some() {
            socket.send(Message::text(text.clone())).await.expect("sent");
        }
        let _ = socket.next().await;
    });
    push
}
