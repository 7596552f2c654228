//! The TLS port: the same gate behind TLS, what it shows, and what everybody else gets.

use std::sync::Arc;

use loopkey::agent::{PeerCheck, PeerFault};
use loopkey::certs::Certs;
use loopkey::clock::{Clock as _, SystemClock};
use loopkey::protocol::gate::REFUSAL;
use loopkey::protocol::peer::{OwnUser, StrangePeer};
use rustls::HandshakeKind;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::certs::{client, make};
use crate::support::world::World;

/// A world whose agent speaks TLS, and what made its certificate.
async fn world() -> (World, Certs) {
    let mut certs = None;
    let world = World::with(|settings| certs = Some(make(settings))).await;
    (world, certs.expect("made"))
}

fn port(world: &World) -> u16 {
    world.agent.handle.wss_port().expect("a TLS port")
}

async fn tls(port: u16, host: &'static str, config: rustls::ClientConfig) -> TlsStream<TcpStream> {
    let address = if host == "::1" { "::1" } else { "127.0.0.1" };
    let stream = TcpStream::connect((address, port)).await.expect("connected");
    let name = ServerName::try_from(host).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS")
}

fn head(world: &World, host: &str) -> String {
    let (port, origin) = (port(world), world.server.issuer.origin());
    format!(
        "GET /v1 HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: loopkey.1\r\n\r\n"
    )
}

/// What is said to a head, until it closes or the text is complete.
async fn answer(stream: &mut TlsStream<TcpStream>, head: &str, until: &str) -> String {
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(until) && stream.read_buf(&mut said).await.expect("read") > 0 {}
    String::from_utf8_lossy(&said).into_owned()
}

/// A page behind TLS that was told hello.
async fn page(world: &World, certs: &Certs) -> TlsStream<TcpStream> {
    let mut stream = tls(port(world), "127.0.0.1", client(&certs.files.authority())).await;
    let said = answer(&mut stream, &head(world, "127.0.0.1"), "\"hello\"").await;
    assert!(said.starts_with("HTTP/1.1 101 ") && said.contains("\"type\":\"hello\""), "{said}");
    stream
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().expect("certificates")[0].clone().into_owned()
}

#[tokio::test]
async fn the_gate_is_the_same_behind_tls_and_localhost_is_a_host_there() {
    let (world, certs) = world().await;
    for (name, host) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("localhost", "localhost")] {
        let mut stream = tls(port(&world), name, client(&certs.files.authority())).await;
        let said = answer(&mut stream, &head(&world, host), "\"hello\"").await;
        assert!(said.starts_with("HTTP/1.1 101 "), "{host}: {said}");
    }
    let sound = head(&world, "127.0.0.1");
    let origin = format!("Origin: {}", world.server.issuer.origin());
    for (from, to) in [
        ("Host: 127.0.0.1", "Host: evil.example"),
        ("Host: 127.0.0.1", "Host: x.localhost"),
        (origin.as_str(), "Origin: https://evil.example"),
        (origin.as_str(), "X: 1"),
        ("GET /v1 ", "GET / "),
        ("loopkey.1", "loopkey.2"),
    ] {
        let spoiled = sound.replace(from, to);
        assert_ne!(spoiled, sound);
        let mut stream = tls(port(&world), "127.0.0.1", client(&certs.files.authority())).await;
        assert_eq!(answer(&mut stream, &spoiled, "nothing more").await.as_bytes(), REFUSAL, "{to}");
    }
    // Without TLS it stays as it is.
    let plain = world.agent.handle.port();
    let mut stream = TcpStream::connect(("127.0.0.1", plain)).await.expect("connected");
    let sound = head(&world, "localhost").replace(&port(&world).to_string(), &plain.to_string());
    stream.write_all(sound.as_bytes()).await.expect("written");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.expect("read");
    assert_eq!(said, REFUSAL);
    world.agent.stop().await;
}

#[tokio::test]
async fn neither_port_speaks_the_others_language() {
    let (world, certs) = world().await;
    // Plain bytes where TLS is spoken: no HTTP comes back, whatever TLS has to say to it.
    let mut stream = TcpStream::connect(("127.0.0.1", port(&world))).await.expect("connected");
    stream.write_all(head(&world, "127.0.0.1").as_bytes()).await.expect("written");
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    assert!(!said.starts_with(b"HTTP") && said.len() < 16, "{:?}", String::from_utf8_lossy(&said));
    // A handshake where none is expected: the one refusal.
    let stream = TcpStream::connect(("127.0.0.1", world.agent.handle.port())).await.expect("connected");
    let connector = TlsConnector::from(Arc::new(client(&certs.files.authority())));
    let error = connector.connect(ServerName::try_from("127.0.0.1").expect("a name"), stream).await;
    assert!(error.is_err());
    let mut raw = TcpStream::connect(("127.0.0.1", world.agent.handle.port())).await.expect("connected");
    raw.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.expect("written");
    let mut said = Vec::new();
    raw.read_to_end(&mut said).await.expect("read");
    assert_eq!(said, REFUSAL);
    // The doctor has heard of the first.
    let findings = world.agent.handle.doctor().await.findings;
    assert!(findings.iter().any(|finding| finding.code == "wss_handshake"), "{findings:#?}");
    world.agent.stop().await;
}

/// Everybody but the agent's own user.
#[derive(Debug)]
struct Strangers;

impl PeerCheck for Strangers {
    fn look_up(&self, _: std::net::SocketAddr, _: std::net::SocketAddr) -> Result<OwnUser, PeerFault> {
        Err(StrangePeer::OtherUser(1815).into())
    }
}

#[tokio::test]
async fn another_user_is_not_even_shown_a_certificate() {
    let mut certs = None;
    let server = crate::support::world::Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = crate::support::world::settings(folder.path(), &server.issuer);
    certs.replace(make(&mut settings));
    let builder = loopkey::agent::Agent::builder(settings).peer_check(Arc::new(Strangers));
    let agent = crate::support::world::RunningAgent::run(builder).await;
    let port = agent.handle.wss_port().expect("a TLS port");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.expect("closed at once");
    assert_eq!(said, b"");
    agent.stop().await;
}

#[tokio::test]
async fn a_renewal_is_shown_to_the_next_connection_and_open_sockets_stay() {
    let (world, certs) = world().await;
    let mut open = page(&world, &certs).await;
    let former = (shown(&open), client(&certs.files.authority()));
    certs.renew(SystemClock.timestamp()).expect("renewed");

    let newer = page(&world, &certs).await;
    assert_ne!(shown(&newer), former.0);
    let stream = TcpStream::connect(("127.0.0.1", port(&world))).await.expect("connected");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let refused = TlsConnector::from(Arc::new(former.1)).connect(name, stream).await;
    assert!(refused.is_err(), "the former authority did not sign this one");

    // A file that cannot be used changes nothing.
    std::fs::write(certs.files.identity(), "no certificate").expect("written");
    assert_eq!(shown(&page(&world, &certs).await), shown(&newer));

    // The socket from before is as it was: it is answered.
    let message = b"{\"type\":\"open\",\"nonce\":\"x\"}";
    let mut frame = vec![0x81, 0x80 | u8::try_from(message.len()).expect("short"), 0, 0, 0, 0];
    frame.extend(message);
    open.write_all(&frame).await.expect("written");
    let mut said = Vec::new();
    // A page that does not say goodbye itself is cut.
    let _ = open.read_to_end(&mut said).await;
    assert_eq!(said, [0x88, 2, 0x11, 0x30], "4400 from the machine, over the connection from before");
    world.agent.stop().await;
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_and_resumed_and_nothing_older() {
    let (world, certs) = world().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = rustls::RootCertStore::empty();
        let authority =
            rustls::pki_types::pem::PemObject::from_pem_file(certs.files.authority()).expect("a certificate");
        roots.add(authority).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]);
        let config = Arc::new(config.expect("a version").with_root_certificates(roots).with_no_client_auth());
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let stream = TcpStream::connect(("127.0.0.1", port(&world))).await.expect("connected");
            let name = ServerName::try_from("127.0.0.1").expect("a name");
            let mut stream = TlsConnector::from(Arc::clone(&config)).connect(name, stream).await.expect("TLS");
            kinds.push(stream.get_ref().1.handshake_kind());
            answer(&mut stream, &head(&world, "127.0.0.1"), "\"hello\"").await;
        }
        assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)], "{version:?}");
    }
    // Only HTTP/1.1 is offered: a client that insists on another protocol is turned away.
    let mut config = client(&certs.files.authority());
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", port(&world))).await.expect("connected");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    assert!(TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_err());
    world.agent.stop().await;
}

#[tokio::test]
async fn an_agent_that_cannot_speak_tls_does_not_start_and_says_why() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = crate::support::world::Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let start = async |settings: &loopkey::agent::AgentSettings| {
        let started = loopkey::agent::Agent::builder(settings.clone()).any_port().bind().await;
        started.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let mut settings = crate::support::world::settings(folder.path(), &server.issuer);
    settings.wss = Some(loopkey::agent::WssSettings::default());
    let fault = start(&settings).await;
    assert!(fault.starts_with("wss: ") && fault.contains("loopkey certs create"), "{fault}");
    let certs = make(&mut settings);
    let identity = certs.files.identity();
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let fault = start(&settings).await;
    assert!(fault.contains("others can read this file") && fault.contains("chmod 600"), "{fault}");
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    std::fs::write(&identity, "no certificate").expect("written");
    let fault = start(&settings).await;
    assert!(fault.contains("loopkey certs renew"), "{fault}");
    settings.ports = vec![28970, 28972];
    let fault = start(&settings).await;
    assert!(fault.contains("wss.port: 28972 is one of `ports`"), "{fault}");
}
