//! Before the upgrade: what an honest page is told. What everybody else gets is in `tests/it/hostile/`.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::world::World;

#[tokio::test]
async fn both_loopback_addresses_serve_and_the_probe_says_that_an_agent_is_here() {
    let world = World::new().await;
    let port = world.agent.handle.port();
    let origin = world.server.issuer.origin();
    for host in ["127.0.0.1", "[::1]"] {
        let head = format!(
            "GET /v1/probe HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {origin}\r\nSec-Fetch-Mode: cors\r\n\r\n"
        );
        let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.expect("connected");
        stream.write_all(head.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        for header in [&format!("Access-Control-Allow-Origin: {origin}"), "Vary: Origin", "Cache-Control: no-store"] {
            assert!(answer.contains(&format!("\r\n{header}\r\n")), "{header} is not in {answer}");
        }
    }
    world.agent.stop().await;
}
