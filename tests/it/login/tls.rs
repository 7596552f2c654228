//! Where TLS ends at the login server itself.

use std::sync::Arc;

use loopkey::login::LoginServer;
use loopkey::store::StoreUrl;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use super::{clock, config};

#[tokio::test]
async fn http_2_and_1_1_are_offered_over_tls() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let made = rcgen::generate_simple_self_signed(["app.example.com".to_owned()]).expect("certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("key");
    let tls = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("certificate and key");

    let clock = clock();
    let store = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
    let server = LoginServer::start(config(), store, clock).await.expect("server");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("address");
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(server.run(vec![listener], Some(Arc::new(tls)), async { drop(stopped.await) }));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("root");
    let connect = async |protocols: &[&[u8]]| {
        let mut client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        client.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        let stream = TcpStream::connect(address).await.expect("connected");
        let name = ServerName::try_from("app.example.com").expect("name");
        TlsConnector::from(Arc::new(client)).connect(name, stream).await.expect("handshake")
    };
    let mut stream = connect(&[b"http/1.1"]).await;
    let request = b"GET /loopkey/healthz HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));

    let mut stream = connect(&[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    // The preface and an empty SETTINGS frame (RFC 9113 sections 3.4 and 6.5); SETTINGS is frame type 4.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("sent");
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await.expect("a frame");
    assert_eq!(frame[3], 4, "the server speaks HTTP/2");

    drop((stream, stop));
    task.await.expect("no panic").expect("served");
}
