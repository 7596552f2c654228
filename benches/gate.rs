//! How long a refusal before the upgrade takes, from `connect()` to the end of the connection, for each cause: whoever is
//! refused must not learn from the time why.

#[path = "support/mod.rs"]
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loopkey::agent::{Agent, AgentSettings, IssuerSettings, OriginSettings};
use loopkey::clock::ManualClock;
use loopkey::protocol::gate::REFUSAL;
use loopkey::protocol::grant::{ConsentMode, Grant, OpenProof};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::time::UnixMillis;
use support::{Samples, print};

const ROUNDS: usize = 400;
const WARM_UP: usize = 40;
const ORIGIN: &str = "http://localhost:9";

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer: Issuer = ORIGIN.parse().expect("an issuer");
    let mut settings = AgentSettings::new(folder.path().join("state"), folder.path().join("control.sock"));
    settings.development = true;
    settings.allow_root = true;
    settings.origins = vec![OriginSettings {
        origin: issuer.origin(),
        issuer: issuer.clone(),
        grants: [Grant::Presence].into_iter().collect(),
        consent: ConsentMode::Prompt,
        proof: OpenProof::Origin,
    }];
    settings.issuers = vec![IssuerSettings { url: issuer, ca_file: None }];
    let clock = Arc::new(ManualClock::at(UnixMillis(1_800_000_000_000)));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let agent = Agent::builder(settings).clock(clock.clone()).any_port();
    let agent = runtime.block_on(agent.bind()).expect("an agent");
    let port = agent.handle().port();
    runtime.spawn(agent.run(std::future::pending()));

    let causes = causes(port);
    let mut samples: Vec<Samples> = causes.iter().map(|_| Samples::default()).collect();
    for round in 0..ROUNDS {
        for ((_, head), samples) in causes.iter().zip(&mut samples) {
            // The budget of refusals must not run out.
            clock.advance(Duration::from_secs(1));
            let time = refused(port, head);
            if round >= WARM_UP {
                samples.add(time);
            }
        }
    }
    let rows: Vec<_> = causes.iter().map(|(cause, _)| *cause).zip(&samples).collect();
    print("the gate: from connect() to the end of a refused connection", &rows);
}

fn causes(port: u16) -> Vec<(&'static str, String)> {
    let sound = format!(
        "GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {ORIGIN}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: loopkey.1\r\n\r\n"
    );
    let changed = |from: &str, to: &str| sound.replacen(from, to, 1);
    vec![
        ("foreign origin", changed(ORIGIN, "https://evil.example")),
        ("null origin", changed(ORIGIN, "null")),
        ("no origin", changed(&format!("Origin: {ORIGIN}\r\n"), "")),
        ("foreign host", changed("127.0.0.1", "evil.example")),
        ("no host", changed(&format!("Host: 127.0.0.1:{port}\r\n"), "")),
        ("no such target", changed("/v1 ", "/v2 ")),
        ("POST", changed("GET", "POST")),
        ("not HTTP", "\u{16}\u{3}\u{1}\r\n\r\n".to_owned()),
        ("a body", changed("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\n")),
        ("wrong Sec-Fetch-Mode", changed("Origin:", "Sec-Fetch-Mode: navigate\r\nOrigin:")),
        ("wrong version", changed("13", "8")),
        ("no key", changed("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "")),
        ("another subprotocol", changed("loopkey.1", "loopkey.9")),
    ]
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
fn refused(port: u16, head: &str) -> Duration {
    let started = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream.set_nodelay(true).expect("no delay");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let time = started.elapsed();
    assert_eq!(answer, REFUSAL);
    time
}
