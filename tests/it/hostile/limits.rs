//! Every limit before the upgrade (protocol sections 3 and 3.2), each hit exactly: so many pass, and not one more.
//!
//! The two deadlines, three seconds for a head and 310 for silence, are in `src/agent/tests/door.rs`, in paused time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loopkey::agent::{AgentSettings, OriginSettings, PeerCheck, PeerFault};
use loopkey::protocol::gate::REFUSAL;
use loopkey::protocol::grant::OpenProof;
use loopkey::protocol::limits::{HEAD_MAX_LEN, MAX_SILENT, REFUSALS_PER_SECOND, SocketLimits};
use loopkey::protocol::peer::{OwnUser, StrangePeer};
use serde_json::{Value, json};

use super::head::gatehouse::{Gatehouse, PAGE, answer_head};
use super::raw::{Raw, expect_refusal, masked, text, upgrade};

/// Lets pages open their sockets by their origin alone, and adds `more` origins.
fn by_origin(more: usize) -> impl FnOnce(&mut AgentSettings) {
    move |settings| {
        let page = OriginSettings { proof: OpenProof::Origin, ..settings.origins[1].clone() };
        let others =
            (0..more).map(|n| OriginSettings { origin: numbered(n).parse().expect("an origin"), ..page.clone() });
        settings.origins[1] = page.clone();
        settings.origins.extend(others);
    }
}

fn numbered(n: usize) -> String {
    format!("https://page-{n}.example.com")
}

/// A page whose socket has said `ready`.
async fn opened(port: u16, origin: &str) -> Raw {
    let mut raw = Raw::upgraded(port, origin).await;
    let (_, hello) = raw.frame().await.expect("hello");
    let hello: Value = serde_json::from_slice(&hello).expect("JSON");
    raw.say(text(&json!({ "type": "open", "nonce": hello["nonce"] }).to_string())).await;
    let (_, ready) = raw.frame().await.expect("ready");
    assert!(ready.starts_with(br#"{"type":"ready""#), "{}", String::from_utf8_lossy(&ready));
    raw
}

/// Closes a socket; its place is free when this returns.
async fn close(mut raw: Raw) {
    raw.say(masked(0x88, &1000_u16.to_be_bytes())).await;
    assert_eq!(raw.closed().await, Some(1000));
}

#[test]
fn the_defaults_are_the_protocols() {
    assert_eq!(SocketLimits::default(), SocketLimits { per_origin: 32, total: 256, not_yet_open: 16 });
    assert_eq!((HEAD_MAX_LEN, MAX_SILENT, REFUSALS_PER_SECOND), (8192, 64, 10));
}

#[tokio::test]
async fn thirty_two_sockets_an_origin_and_not_one_more() {
    let house = Gatehouse::built(by_origin(1), |builder| builder).await;
    let mut sockets = Vec::new();
    for _ in 0..32 {
        sockets.push(opened(house.port(), PAGE).await);
    }
    house.refuses(upgrade(house.port(), PAGE)).await;
    // Another origin has places of its own, and a place that is given back is a place.
    let _other = opened(house.port(), &numbered(0)).await;
    close(sockets.swap_remove(7)).await;
    let _instead = opened(house.port(), PAGE).await;
    house.refuses(upgrade(house.port(), PAGE)).await;
    // Whether an agent is here may still be asked: that takes no place.
    assert!(house.answer_to(house.probe(PAGE)).await.starts_with("HTTP/1.1 204 "));
    house.world.agent.stop().await;
}

#[tokio::test]
async fn a_full_house_refuses() {
    let house = Gatehouse::built(by_origin(8), |builder| builder).await;
    let mut sockets = Vec::new();
    for n in 0..256 {
        sockets.push(opened(house.port(), &numbered(n / 32)).await);
    }
    // This origin has no socket yet: it is the house that is full.
    house.refuses(upgrade(house.port(), PAGE)).await;
    close(sockets.swap_remove(100)).await;
    let _instead = opened(house.port(), PAGE).await;
    house.refuses(upgrade(house.port(), PAGE)).await;
    house.world.agent.stop().await;
}

#[tokio::test]
async fn sixteen_that_are_not_yet_open_and_not_one_more() {
    let house = Gatehouse::built(by_origin(0), |builder| builder).await;
    let port = house.port();
    let mut not_yet_open = Vec::new();
    for _ in 0..16 {
        not_yet_open.push(Raw::upgraded(port, PAGE).await);
    }
    house.refuses(upgrade(port, PAGE)).await;
    house.refuses(house.probe(PAGE)).await;
    // One that opens makes room for the next, and so does one that goes.
    let mut opening = not_yet_open.swap_remove(3);
    let (_, hello) = opening.frame().await.expect("hello");
    let hello: Value = serde_json::from_slice(&hello).expect("JSON");
    opening.say(text(&json!({ "type": "open", "nonce": hello["nonce"] }).to_string())).await;
    let _ready = opening.frame().await.expect("ready");
    not_yet_open.push(Raw::upgraded(port, PAGE).await);
    house.refuses(upgrade(port, PAGE)).await;
    close(not_yet_open.swap_remove(5)).await;
    not_yet_open.push(Raw::upgraded(port, PAGE).await);
    house.refuses(upgrade(port, PAGE)).await;
    drop(not_yet_open);
    house.world.agent.stop().await;
}

/// A head in the making counts from its first byte, before anybody knows whose it is.
#[tokio::test]
async fn heads_in_the_making_are_among_the_sixteen() {
    let house = Gatehouse::built(|settings| settings.limits.not_yet_open = 1, |builder| builder).await;
    let sound = upgrade(house.port(), PAGE);
    let mut first = Raw::connect(house.port()).await;
    first.say(&sound[..1]).await;
    // The agent accepts in order: what comes later finds the byte read.
    house.refuses(&sound).await;
    first.say(&sound[1..]).await;
    assert!(answer_head(&mut first).await.starts_with("HTTP/1.1 101 "));
    close(first).await;
    house.serves_and_stops().await;
}

#[tokio::test]
async fn a_head_of_8192_bytes_and_not_one_more() {
    let house = Gatehouse::new().await;
    let of_len = |len: usize| {
        let bare = house.with("X: ");
        house.with(&format!("X: {}", "y".repeat(len - bare.len())))
    };
    for target in ["/v1 ", "/v1/probe "] {
        let head = of_len(8192 + "/v1 ".len() - target.len()).replace("/v1 ", target);
        assert_eq!(head.len(), 8192);
        let head = if target == "/v1 " { head } else { head.replace("Upgrade: websocket", "Xpgrade: websocket") };
        let answer = house.answer_to(&head).await;
        assert!(answer.starts_with("HTTP/1.1 101 ") || answer.starts_with("HTTP/1.1 204 "), "{answer}");
        house.refuses(head.replacen("X: ", "X: y", 1)).await;
    }
    // However it is cut.
    let mut raw = Raw::connect(house.port()).await;
    let longest = of_len(8192);
    for piece in longest.as_bytes().chunks(1000) {
        raw.say(piece).await;
        tokio::task::yield_now().await;
    }
    assert!(answer_head(&mut raw).await.starts_with("HTTP/1.1 101 "));
    house.serves_and_stops().await;
}

/// With the clock standing still: ten, then silence; a tenth of a second buys one more.
#[tokio::test]
async fn over_the_budget_nothing_is_said_at_all() {
    let house = Gatehouse::new().await;
    let answer = async || {
        let mut raw = Raw::connect(house.port()).await;
        raw.say("GET / HTTP/1.1\r\n\r\n").await;
        raw.rest().await
    };
    for (milliseconds, answered) in [(0, 10), (99, 0), (1, 1), (5000, 10)] {
        house.clock.advance(Duration::from_millis(milliseconds));
        for _ in 0..answered {
            assert_eq!(answer().await, REFUSAL);
        }
        for _ in 0..3 {
            assert_eq!(answer().await, b"", "over the budget");
        }
    }
    // Whoever is admitted costs nothing.
    for _ in 0..20 {
        let mut raw = Raw::connect(house.port()).await;
        raw.say(house.probe(PAGE)).await;
        assert!(answer_head(&mut raw).await.starts_with("HTTP/1.1 204 "));
    }
    house.serves_and_stops().await;
}

/// Takes everybody for a stranger while it is told to.
#[derive(Debug, Default)]
struct Moody(AtomicBool);

impl PeerCheck for Moody {
    fn look_up(&self, _: SocketAddr, _: SocketAddr) -> Result<OwnUser, PeerFault> {
        if self.0.load(Ordering::Relaxed) {
            Err(StrangePeer::OtherUser(7).into())
        } else {
            Ok(OwnUser::taken_on_trust())
        }
    }
}

impl Moody {
    /// A house whose peer check the test has in hand.
    async fn house() -> (Gatehouse, Arc<Self>) {
        let moody = Arc::new(Self::default());
        let peers = Arc::clone(&moody);
        (Gatehouse::built(|_| {}, |builder| builder.peer_check(peers)).await, moody)
    }

    fn strangers(&self, strangers: bool) {
        self.0.store(strangers, Ordering::Relaxed);
    }
}

/// Another user of the computer has a budget of his own: his refusals are not at the cost of the person's browsers.
#[tokio::test]
async fn strangers_spend_a_budget_of_their_own() {
    let (house, peers) = Moody::house().await;
    peers.strangers(true);
    for expected in [REFUSAL; 10].into_iter().chain([&b""[..]; 5]) {
        assert_eq!(Raw::connect(house.port()).await.rest().await, expected);
    }
    peers.strangers(false);
    for _ in 0..10 {
        expect_refusal(house.port(), house.target("/")).await;
    }
    house.serves_and_stops().await;
}

/// Sixty-four say nothing and are kept; the next one costs the oldest its place, without a word.
#[tokio::test]
async fn the_oldest_of_too_many_silent_connections_goes() {
    let (house, peers) = Moody::house().await;
    let port = house.port();
    let mut silent = std::collections::VecDeque::new();
    for _ in 0..MAX_SILENT - 1 {
        silent.push_back(Raw::connect(port).await);
    }
    // Connections are accepted in order. This one is the sixty-fourth until it speaks; a stranger's is never counted.
    assert!(house.answer_to(house.probe(PAGE)).await.starts_with("HTTP/1.1 204 "));
    peers.strangers(true);
    for _ in 0..3 {
        house.clock.advance(Duration::from_millis(100));
        assert_eq!(Raw::connect(port).await.rest().await, REFUSAL);
    }
    peers.strangers(false);
    let goes_on = async |mut raw: Raw| {
        raw.say(house.probe(PAGE)).await;
        assert!(answer_head(&mut raw).await.starts_with("HTTP/1.1 204 "));
    };
    goes_on(silent.pop_front().expect("the oldest")).await;
    // Sixty-two are left. With two more it is full, and the third is one too many.
    silent.extend([Raw::connect(port).await, Raw::connect(port).await]);
    let third = Raw::connect(port).await;
    assert_eq!(silent.pop_front().expect("the oldest").rest().await, b"");
    goes_on(third).await;
    for raw in silent {
        goes_on(raw).await;
    }
    house.serves_and_stops().await;
}
