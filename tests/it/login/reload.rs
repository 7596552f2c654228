//! A configuration that changes while the server runs: in a program that embeds it, and by SIGHUP.

use std::sync::Arc;
use std::time::Duration;

use loopkey::crypto::Secret;
use loopkey::login::{ConfigFault, LoginConfig, NeedsRestart, RateLimits};
use loopkey::protocol::id::Epoch;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::browser::Browser;
use super::device::Device;
use super::http::Call;
use super::program::Program;
use super::{NOW, SERVICE_KEY, Server, config, no_limits};
use crate::commands::until;

const WWW: &str = "https://www.example.com";

async fn ticket_with(server: &Server, key: &str) -> u16 {
    let call = Call::new("POST", "/v1/enrolment-tickets").header("Authorization", &format!("Bearer {key}"));
    call.json(&json!({"account": "lin", "name": "Lin"})).send(server.address).await.status
}

#[tokio::test]
async fn what_can_change_without_a_restart_changes_with_the_next_request() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut foreign = Browser::new(server.address, "https://shop.example.com");
    foreign.post("/v1/challenge", json!({})).await.expect_error(403, "forbidden");
    let mut www = Browser::new(server.address, WWW);
    www.challenge().await;

    let mut newer = LoginConfig { ports: vec![20_000], ..config() };
    newer.origins = vec!["https://shop.example.com".parse().expect("an origin"), super::ORIGIN.parse().expect("one")];
    newer.service_key = Some(Secret::new("another service key".to_owned()));
    newer.lifetimes.absolute = Duration::from_secs(600);
    assert_eq!(server.login.reload(newer.clone()).await, Ok(Vec::new()));

    assert_eq!(foreign.post("/v1/challenge", json!({})).await.json()["ports"], json!([20_000]));
    www.post("/v1/challenge", json!({})).await.expect_error(403, "forbidden");
    let metadata = Call::new("GET", "/.well-known/loopkey.json").send(server.address).await.json();
    assert_eq!(metadata["origins"], json!(["https://shop.example.com", super::ORIGIN]));
    assert_eq!(metadata["ports"], json!([20_000]));
    assert_eq!(
        (ticket_with(&server, SERVICE_KEY).await, ticket_with(&server, "another service key").await),
        (401, 201)
    );
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    assert_eq!(browser.get("/v1/session").await.json()["expires_at"], NOW + 600);

    newer.limits = RateLimits { address_per_minute: 2, ..no_limits() };
    assert_eq!(server.login.reload(newer).await, Ok(Vec::new()));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(browser.post("/v1/challenge", json!({})).await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    device.signs_out(&server, 1).await;
    assert_eq!(device.epoch, Epoch(0), "the device is the same as before");
}

#[tokio::test]
async fn what_stays_is_said_and_what_is_wrong_changes_nothing() {
    let server = Server::start().await;
    let moved = LoginConfig { issuer: "https://app.example.com/other".parse().expect("an issuer"), ..config() };
    let limits = RateLimits { connections: 100, links: 100, ..no_limits() };
    let moved = LoginConfig { development: true, ports: vec![20_001], limits, ..moved };
    let waiting = vec![NeedsRestart::Issuer, NeedsRestart::Development, NeedsRestart::Connections, NeedsRestart::Links];
    assert_eq!(server.login.reload(moved).await, Ok(waiting));
    let ports = async || server.browser().post("/v1/challenge", json!({})).await.json()["ports"].clone();
    assert_eq!(ports().await, json!([20_001]), "the rest is taken over");

    let mut wrong = LoginConfig { ports: vec![80], ..config() };
    wrong.origins.push("https://evil.example.org".parse().expect("an origin"));
    let faults = server.login.reload(wrong).await.expect_err("faults");
    assert!(matches!(faults[..], [ConfigFault::ForeignOrigin { .. }, ConfigFault::Port(80)]), "{faults:?}");
    assert_eq!(ports().await, json!([20_001]));
    // Sound by itself, and not beside the issuer that stays.
    let elsewhere = LoginConfig::new("https://app.example.org".parse().expect("an issuer"));
    let faults = server.login.reload(elsewhere).await.expect_err("faults");
    assert!(matches!(faults[..], [ConfigFault::ForeignOrigin { .. }]), "{faults:?}");
    assert_eq!(ports().await, json!([20_001]));
}

/// A certificate and its key, as PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["app.example.com".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Asks over TLS: the metadata, and the certificate that was shown.
async fn ask(program: &Program, trusted: &[&str]) -> Option<(serde_json::Value, CertificateDer<'static>)> {
    let mut roots = rustls::RootCertStore::empty();
    for pem in trusted {
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")).expect("a root");
    }
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(program.address).await.ok()?;
    let name = ServerName::try_from("app.example.com").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.ok()?;
    let shown = stream.get_ref().1.peer_certificates().expect("a certificate")[0].clone().into_owned();
    let path = "/loopkey/.well-known/loopkey.json";
    let request = format!("GET {path} HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).ok()?;
    Some((serde_json::from_str(answer.split_once("\r\n\r\n")?.1).expect("JSON"), shown))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_file_and_the_certificate_anew() {
    let ((first, first_key), (second, second_key)) = (certificate(), certificate());
    let lines = |entries: &str| {
        format!("store = \"memory:\"\n{entries}\n[tls]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"")
    };
    let files = [("cert.pem", first.as_str()), ("key.pem", first_key.as_str())];
    let program = Program::begin(&lines("ports = [20000]"), &files);
    let both = [first.as_str(), second.as_str()];
    until("the server", || async { ask(&program, &both).await.is_some() }).await;
    let (said, shown) = ask(&program, &[&first]).await.expect("an answer");
    assert_eq!(said["ports"], json!([20_000]));
    assert_eq!(shown, CertificateDer::from_pem_slice(first.as_bytes()).expect("a certificate"));

    std::fs::write(program.path("cert.pem"), &second).expect("written");
    std::fs::write(program.path("key.pem"), &second_key).expect("written");
    program.reload(&lines("ports = [20001]\ndrain_seconds = 7\ndevelopment = true"));
    until("other ports", || async {
        ask(&program, &both).await.is_some_and(|(said, _)| said["ports"] == json!([20_001]))
    })
    .await;
    assert!(ask(&program, &[&second]).await.is_some(), "the second certificate is shown");
    until("the end of the reload", || async { program.log().contains("the configuration was read anew") }).await;
    for entry in ["development", "drain_seconds"] {
        let line = format!("{entry}: changed in the file, and takes a restart to change here");
        assert!(program.log().contains(&line), "{}", program.log());
    }

    program.reload(&lines("ports = [80]\norigins = [\"https://evil.example.org\"]"));
    until("a refusal", || async { program.log().contains("nothing was changed") }).await;
    for fault in ["line 5: ports[0]: choose one from 10240 to 32767", "line 6: origins[0]: not of the same site"] {
        assert!(program.log().contains(fault), "{fault} is not in\n{}", program.log());
    }
    assert_eq!(ask(&program, &[&second]).await.expect("an answer").0["ports"], json!([20_001]));
}
