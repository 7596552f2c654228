//! What the login server's disk holds, and what it does not: a stolen database signs nobody in, and asking fills nothing.

use std::path::Path;

use loopkey::protocol::base64url;
use loopkey::protocol::state::PresenceState;
use loopkey::store::StoreUrl;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::login::device::{Device, ticket};
use crate::login::{ORIGIN, Server, clock};

/// Every file of a store by its name and content.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push((path.display().to_string(), std::fs::read(&path).expect("a readable file")));
        }
    }
    files.sort();
    files
}

fn holds(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}

/// A store in files, and a server over it.
async fn start(folder: &Path) -> Server {
    let clock = clock();
    let url = StoreUrl::Embedded(folder.to_owned());
    Server::start_with(loopkey::store::open(&url, clock.clone()).await.expect("a store"), clock).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_database_holds_no_cookie_ticket_or_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path()).await;
    let unused = ticket(&server, "ada").await.to_string();
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let mut secrets: Vec<_> = browser.cookies.values().cloned().collect();
    let (token, proof) = (device.token(&challenge), device.proof(&challenge, PresenceState::SignedIn));
    let proved = browser.post("/v1/presence", json!({"challenge": challenge, "proof": proof})).await;
    assert_eq!(proved.status, 200, "{proved:?}");
    assert_eq!(browser.login(&challenge, &token, device.subject.as_str()).await.status, 204);
    assert!(browser.is_signed_in().await);
    let sign_out = device.sign_out(0);
    device.signs_out(&server, 0).await;
    secrets.extend(browser.cookies.values().cloned());
    secrets.extend([unused, challenge, token, proof, sign_out]);
    assert_eq!(secrets.len(), 7);

    // Read while it is open: also what is in the write-ahead log only. Then what is left of it.
    let mut stolen = files(folder.path());
    server.stop().await;
    stolen.extend(files(folder.path()));
    let database: Vec<_> = stolen.iter().filter(|(name, _)| name.contains("sqlite3")).collect();
    assert!(database.iter().any(|(_, content)| holds(content, b"laptop")), "the device's row is there in clear");
    for (name, content) in &stolen {
        for secret in &secrets {
            let signature = secret.rsplit('.').next().expect("a last part");
            let bytes = base64url::decode(signature).expect("base64url");
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            for form in [signature.as_bytes(), &bytes, hex.as_bytes(), hex.to_uppercase().as_bytes()] {
                assert!(!holds(content, form), "{name} holds {secret}");
            }
        }
    }
}

/// Asks so many times on one connection, without waiting in between; returns how many challenges came.
async fn ask_for_challenges(server: &Server, times: usize) -> usize {
    let request = |connection: &str| {
        format!(
            "POST /loopkey/v1/challenge HTTP/1.1\r\nHost: app.example.com\r\nOrigin: {ORIGIN}\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\nConnection: {connection}\r\n\r\n{{}}"
        )
    };
    let requests = request("keep-alive").repeat(times - 1) + &request("close");
    let (mut reader, mut writer) = TcpStream::connect(server.address).await.expect("connected").into_split();
    let asking = tokio::spawn(async move { writer.write_all(requests.as_bytes()).await.map(|()| writer) });
    let mut answers = Vec::new();
    reader.read_to_end(&mut answers).await.expect("all answers");
    asking.await.expect("no panic").expect("all asked");
    String::from_utf8_lossy(&answers).matches(r#"{"challenge":""#).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_challenges_write_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path()).await;
    server.browser().challenge().await;
    let before = files(folder.path());
    assert_eq!(ask_for_challenges(&server, 10_000).await, 10_000);
    let after = files(folder.path());
    assert!(before.iter().map(|(name, _)| name).eq(after.iter().map(|(name, _)| name)), "a file came or went");
    assert!(before == after, "a file changed");
    // And this is how it would look if it did.
    ticket(&server, "ada").await;
    assert!(before != files(folder.path()));
    server.stop().await;
}
