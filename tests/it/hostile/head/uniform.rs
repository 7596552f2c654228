//! A25: what a stranger can learn. Every refusal is the same stream of bytes with the same end, and what two login
//! servers are told of one person has nothing in common.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use loopkey::agent::{PeerCheck, PeerFault};
use loopkey::protocol::base64url;
use loopkey::protocol::gate::REFUSAL;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::peer::{OwnUser, StrangePeer};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::super::raw::{PATIENCE, Raw, upgrade};
use super::gatehouse::{Gatehouse, PAGE};
use crate::support::world::{Server, TestBrowser, TestPage, World, enrol};

/// A peer check that knows one answer.
#[derive(Debug)]
struct Says(Fault);

type Fault = fn() -> PeerFault;

impl PeerCheck for Says {
    fn look_up(&self, _: SocketAddr, _: SocketAddr) -> Result<OwnUser, PeerFault> {
        Err((self.0)())
    }
}

/// Everything that comes back, and whether it ended in order (or by a reset).
async fn whole_stream(house: &Gatehouse, head: &str, hang_up: bool) -> (String, bool) {
    house.clock.advance(Duration::from_millis(100));
    let mut raw = Raw::connect(house.port()).await;
    raw.say(head).await;
    if hang_up {
        let _ = raw.0.shutdown().await;
    }
    let mut all = Vec::new();
    let end = timeout(PATIENCE, raw.0.read_to_end(&mut all)).await.expect("the agent closes");
    (String::from_utf8_lossy(&all).into_owned(), end.is_ok())
}

#[tokio::test]
async fn a25_every_reason_is_the_same_bytes_and_the_same_end() {
    let expected = (String::from_utf8_lossy(REFUSAL).into_owned(), true);
    let house = Gatehouse::new().await;
    let foreign = "https://evil.example";
    for (reason, head) in [
        ("no origin", house.changed(&format!("Origin: {PAGE}\r\n"), "")),
        ("another origin", house.origin(foreign)),
        ("no host", house.changed(&format!("Host: 127.0.0.1:{}\r\n", house.port()), "")),
        ("another host", house.host("evil.example")),
        ("another target", house.target("/")),
        ("a target of later", house.target("/bridge")),
        ("another method", house.changed("GET", "OPTIONS")),
        ("another version of HTTP", house.changed("HTTP/1.1", "HTTP/1.0")),
        ("a line feed alone", house.changed("\r\n", "\n")),
        ("a head too long", house.with(&format!("X: {}", "y".repeat(9000)))),
        ("too many headers", house.with(["X: y"; 130].join("\r\n").as_str())),
        ("a body", house.with("Content-Length: 5") + "hello"),
        ("bytes behind the head", upgrade(house.port(), PAGE) + "GET"),
        ("a fetch of another kind", house.with("Sec-Fetch-Mode: navigate")),
        ("another version of the socket", house.changed("Version: 13", "Version: 8")),
        ("another subprotocol", house.changed("loopkey.1", "chat")),
        ("no key", house.changed("Sec-WebSocket-Key", "X-Key")),
        ("a probe of another origin", house.probe(foreign)),
        ("a preflight", house.probe(foreign).replace("GET", "OPTIONS")),
    ] {
        assert_eq!(whole_stream(&house, &head, false).await, expected, "{reason}");
    }
    assert_eq!(whole_stream(&house, "GET /v1 HT", true).await, expected, "a head that breaks off");
    house.serves_and_stops().await;
}

#[tokio::test]
async fn a25_a_limit_and_a_stranger_get_what_a_wrong_path_gets() {
    let expected = (String::from_utf8_lossy(REFUSAL).into_owned(), true);
    let per_origin = Gatehouse::built(|settings| settings.limits.per_origin = 1, |builder| builder).await;
    let total = Gatehouse::built(|settings| settings.limits.total = 1, |builder| builder).await;
    let not_yet_open = Gatehouse::built(|settings| settings.limits.not_yet_open = 1, |builder| builder).await;
    for (reason, house) in [("of an origin", per_origin), ("in all", total), ("not yet open", not_yet_open)] {
        let first = Raw::upgraded(house.port(), PAGE).await;
        let full = whole_stream(&house, &upgrade(house.port(), PAGE), false).await;
        assert_eq!(full, expected, "one too many {reason}");
        drop(first);
        house.world.agent.stop().await;
    }
    let faults: [(&str, Fault); 3] = [
        ("another user", || StrangePeer::OtherUser(7).into()),
        ("nobody", || StrangePeer::Orphan.into()),
        ("a kernel that does not tell", || std::io::Error::from(std::io::ErrorKind::PermissionDenied).into()),
    ];
    for (reason, fault) in faults {
        let house = Gatehouse::built(|_| {}, |builder| builder.peer_check(Arc::new(Says(fault)))).await;
        for head in [upgrade(house.port(), PAGE), house.target("/"), house.origin("https://evil.example")] {
            assert_eq!(whole_stream(&house, &head, false).await, expected, "{reason}");
        }
        house.world.agent.stop().await;
    }
}

/// What a statement says in places that could name the one who said it: everything but what all statements of the kind
/// have in common, and times and counters.
fn names(statement: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for part in statement.split('.').take(2) {
        let json = base64url::decode(part).expect("base64url");
        let Value::Object(members) = serde_json::from_slice(&json).expect("JSON") else { panic!("no object") };
        for (member, value) in members {
            match member.as_str() {
                "alg" | "typ" | "pst" | "uv" => {}
                "iat" | "exp" | "seq" | "epo" => assert!(value.is_u64(), "{member} is more than a number: {value}"),
                _ => {
                    names.insert(value.as_str().expect("text").to_owned());
                }
            }
        }
    }
    names
}

/// A presence proof and a login token for a page of the server's own origin.
async fn statements(world: &World, server: &Server) -> [String; 2] {
    let mut browser = TestBrowser::of(server);
    let open = OpenWith::Challenge(browser.challenge().await);
    let mut page = TestPage::connect(&world.agent.handle, &server.issuer, open).await;
    let ready = page.next().await.expect("ready");
    let AgentMessage::Ready { proof: Some(proof), .. } = ready else { panic!("no proof: {ready:?}") };
    let (answer, _) = page.login(browser.challenge().await).await;
    let AgentMessage::Token { token, .. } = answer else { panic!("no token: {answer:?}") };
    [proof, token]
}

#[tokio::test]
async fn a25_two_login_servers_cannot_tell_that_it_is_the_same_person() {
    let second = Server::start().await;
    let world = World::with(|settings| {
        let mut origin = settings.origins[0].clone();
        (origin.origin, origin.issuer) = (second.issuer.origin(), second.issuer.clone());
        settings.origins.push(origin);
        let mut issuer = settings.issuers[0].clone();
        issuer.url = second.issuer.clone();
        settings.issuers.push(issuer);
    })
    .await;
    // The same agent, and the same account name at both.
    let other_subject = enrol(&second, &world.agent.handle, "ada").await;
    assert_ne!(other_subject, world.account);
    let [first_proof, first_token] = statements(&world, &world.server).await;
    let [second_proof, second_token] = statements(&world, &second).await;
    let first: BTreeSet<_> = names(&first_proof).union(&names(&first_token)).cloned().collect();
    let second: BTreeSet<_> = names(&second_proof).union(&names(&second_token)).cloned().collect();
    assert_eq!(first.intersection(&second).collect::<Vec<_>>(), [""; 0], "what both login servers learn");
    // Within one issuer the same key, device and person do show: the comparison sees what it should.
    assert!(names(&first_proof).intersection(&names(&first_token)).count() >= 4);
    world.agent.stop().await;
}
