//! Before the upgrade: one refusal for everything, to the byte.

use loopkey::protocol::gate::REFUSAL;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::world::World;

async fn exchange(address: (&str, u16), head: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    // A connection that is closed on unread bytes is reset: that, too, is no answer.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

fn upgrade(port: u16, origin: &str) -> String {
    format!(
        "GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: loopkey.1\r\n\r\n"
    )
}

#[tokio::test]
async fn every_refusal_is_the_same_bytes() {
    let world = World::new().await;
    let port = world.agent.handle.port();
    let origin = world.server.issuer.origin();
    let sound = upgrade(port, origin.as_str());
    let hostile = [
        sound.replace(origin.as_str(), "null"),
        sound.replace(origin.as_str(), &format!("{origin}.evil.example")),
        sound.replace(&format!("Host: 127.0.0.1:{port}"), "Host: evil.example"),
        sound.replace("/v1 ", "/v2 "),
        sound.replace("13", "8"),
        sound.replace("GET", "POST"),
        sound.replace("loopkey.1", "loopkey.9"),
        sound.replace("Origin:", "Sec-Fetch-Mode: navigate\r\nOrigin:"),
        "\u{16}\u{3}\u{1}TLS?\r\n\r\n".to_owned(),
    ];
    for head in hostile {
        let answer = exchange(("127.0.0.1", port), &head).await;
        assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(REFUSAL), "{head}");
    }
    world.agent.stop().await;
}

#[tokio::test]
async fn over_the_budget_nothing_is_said_at_all() {
    let world = World::new().await;
    let port = world.agent.handle.port();
    let mut silent = 0;
    for _ in 0..40 {
        let answer = exchange(("127.0.0.1", port), "GET / HTTP/1.1\r\n\r\n").await;
        assert!(answer.is_empty() || answer == REFUSAL);
        silent += usize::from(answer.is_empty());
    }
    assert!(silent > 0, "forty refusals at once were all answered");
    // The honest page beside them is served.
    let _ = world.open_page().await;
    world.agent.stop().await;
}

#[tokio::test]
async fn both_loopback_addresses_serve_and_the_probe_says_that_an_agent_is_here() {
    let world = World::new().await;
    let port = world.agent.handle.port();
    let origin = world.server.issuer.origin();
    for host in ["127.0.0.1", "[::1]"] {
        let head = format!(
            "GET /v1/probe HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {origin}\r\nSec-Fetch-Mode: cors\r\n\r\n"
        );
        let answer = exchange((host.trim_matches(['[', ']']), port), &head).await;
        let answer = String::from_utf8(answer).expect("text");
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        for header in [&format!("Access-Control-Allow-Origin: {origin}"), "Vary: Origin", "Cache-Control: no-store"] {
            assert!(answer.contains(&format!("\r\n{header}\r\n")), "{header} is not in {answer}");
        }
    }
    world.agent.stop().await;
}

#[tokio::test]
async fn a_full_house_refuses() {
    let world = World::with(|settings| settings.limits.per_origin = 2).await;
    let port = world.agent.handle.port();
    let first = world.open_page().await;
    let second = world.open_page().await;
    let origin = world.server.issuer.origin();
    assert_eq!(exchange(("127.0.0.1", port), &upgrade(port, origin.as_str())).await, REFUSAL);
    drop(first);
    drop(second);
    world.agent.stop().await;
}
