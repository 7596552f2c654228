//! What a link costs the login server, measured on the program itself.

use std::process::{Child, Command, Stdio};

use futures::{SinkExt as _, StreamExt as _};
use loopkey::crypto::{Algorithm, Signer as _, SoftwareKey};
use loopkey::protocol::id::{DeviceIssuer, Epoch};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::link::{SUBPROTOCOL, ToAgent, ToServer};
use loopkey::protocol::statement::{self, Enrolment, Link};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::commands::until;
use crate::support::places::free_places;
use crate::support::trace;
use crate::support::world::http;

const SERVICE_KEY: &str = "a service key for a thousand links";
const LINKS: usize = 1000;
/// Links that are opened first, so that what the server makes once is not counted.
const FIRST: usize = 50;
/// Resident memory of the server for one link. The program of the tests is not optimised: it takes more than a release.
const MOST_PER_LINK: usize = 12 * 1024;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Resident memory in bytes.
    fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
    }
}

/// A new device of an account of its own.
async fn enrol(issuer: &Issuer, client: &reqwest::Client, number: usize) -> (SoftwareKey, DeviceIssuer) {
    let post = |path: &str, body: Value| client.post(issuer.endpoint(path)).bearer_auth(SERVICE_KEY).json(&body);
    let profile = json!({ "account": format!("account-{number}"), "name": "Ada Lovelace" });
    let ticket = post("/v1/enrolment-tickets", profile).send().await.expect("an answer");
    let ticket: Value = ticket.json().await.expect("JSON");
    trace::note_members(&ticket);
    let (key, document) = SoftwareKey::generate(Algorithm::Ed25519).expect("key");
    trace::note_bytes(document.expose());
    let nonce = ticket["ticket"].as_str().expect("a ticket").parse().expect("a ticket");
    let enrolment = Enrolment { aud: issuer.clone(), nonce, jwk: key.public().to_jwk(), name: "desk".into() };
    let enrolment = json!({ "enrolment": statement::sign(&enrolment, &key).expect("E") });
    trace::note_members(&enrolment);
    let answer = post("/v1/devices", enrolment).send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    (key, DeviceIssuer(answer["device"].as_str().expect("a device").parse().expect("an id")))
}

async fn link(issuer: &Issuer, key: &SoftwareKey, device: DeviceIssuer) -> WebSocketStream<TcpStream> {
    let mut request = issuer.link_url().as_str().into_client_request().expect("a request");
    request.headers_mut().insert("Sec-WebSocket-Protocol", SUBPROTOCOL.parse().expect("a header"));
    let stream = TcpStream::connect(issuer.origin().as_str().trim_start_matches("http://")).await.expect("connected");
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("upgraded");
    let mut heard = async || match socket.next().await {
        Some(Ok(Message::Text(text))) => ToAgent::parse(&text).expect("a frame"),
        other => panic!("{other:?}"),
    };
    let ToAgent::Hello { nonce, .. } = heard().await else { panic!("hello comes first") };
    let link = Link { iss: device, aud: issuer.link_url(), nonce, epo: Epoch(0) };
    let open = ToServer::Open { proof: statement::sign(&link, key).expect("L") }.encode();
    trace::note_message(&open);
    socket.send(Message::text(open)).await.expect("sent");
    let Some(Ok(Message::Text(ready))) = socket.next().await else { panic!("the link is not open") };
    assert!(matches!(ToAgent::parse(&ready), Ok(ToAgent::Ready { .. })));
    socket
}

#[tokio::test]
async fn a_thousand_links_take_less_than_twelve_kilobytes_each() {
    trace::start();
    trace::note(SERVICE_KEY);
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_places().site;
    std::fs::write(folder.path().join("service.key"), SERVICE_KEY).expect("written");
    let config = format!(
        "issuer = \"http://127.0.0.1:{port}\"\nlisten = \"127.0.0.1:{port}\"\nstore = \"memory:\"\ndevelopment = true\n\
         service_key_file = \"service.key\"\n[limits]\naddress_per_minute = 1000000\nlinks = {LINKS}\n"
    );
    std::fs::write(folder.path().join("server.toml"), config).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopkey"));
    command.args(["serve", "--config", "server.toml"]).current_dir(folder.path()).stdin(Stdio::null());
    // Without a trace: what it writes is in memory for a while.
    let server = Running(command.env("LOOPKEY_LOG", "error").spawn().expect("the program starts"));
    let issuer: Issuer = format!("http://127.0.0.1:{port}").parse().expect("an issuer");
    let client = http();
    until("the server is up", async || client.get(issuer.endpoint("/healthz")).send().await.is_ok()).await;
    let mut devices = Vec::new();
    for number in 0..LINKS {
        devices.push(enrol(&issuer, &client, number).await);
    }
    let mut links = Vec::new();
    let mut before = 0;
    for (number, (key, device)) in devices.into_iter().enumerate() {
        if number == FIRST {
            before = server.memory();
        }
        links.push(link(&issuer, &key, device).await);
    }
    let each = server.memory().saturating_sub(before) / (LINKS - FIRST);
    println!("{each} bytes for each of {LINKS} links");
    assert!(each < MOST_PER_LINK, "{each} bytes for each link");
}
