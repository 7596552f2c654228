//! Who was refused at the gate, and why.

use std::time::Duration;

use loopkey::protocol::grant::Choice;
use loopkey::protocol::page::OpenWith;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::issuer::{Ahead, Issuer};
use super::{agent_of, examine};
use crate::support::world::{Server, TestBrowser, TestPage, enrol};

/// A page's connection with this origin, and a cookie that nobody is to see again.
async fn knock(port: u16, origin: &str) {
    let head = format!(
        "GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {origin}\r\nCookie: session=top-secret\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: loopkey.1\r\n\r\n"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn a_page_of_an_origin_that_is_not_listed_is_named() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let agent = agent_of(folder.path(), &server.issuer, |_| {}).await;
    for origin in
        ["https://www.app.example", "https://www.app.example", "null", "https://evil.example/<script>?top-secret"]
    {
        knock(agent.handle.port(), origin).await;
    }
    let diagnosis = examine(folder.path()).await;
    let wrong = vec!["nobody_enrolled", "origin_not_listed"];
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, wrong), "{}", diagnosis.words);
    let finding = diagnosis.finding("origin_not_listed", "warning", "add an [[origin]] with exactly this text");
    assert_eq!(
        (&finding["details"]["origin"], &finding["details"]["count"]),
        (&json!("https://www.app.example"), &json!(2))
    );
    assert!(finding["details"]["last"].as_u64().is_some_and(|last| last > 1_700_000_000_000), "{finding}");
    assert!(
        diagnosis.words.contains("https://www.app.example, which is not in this agent's configuration"),
        "{}",
        diagnosis.words
    );
    assert_eq!(diagnosis.finding("origin_unusable", "note", "over https://")["details"]["count"], 2);
    for told in [diagnosis.report.to_string(), diagnosis.words] {
        assert!(
            !told.contains("top-secret") && !told.contains("evil"),
            "nothing of what was sent but an origin: {told}"
        );
    }
    agent.stop().await;
}

#[tokio::test]
async fn pages_of_an_origin_that_the_person_has_blocked_are_a_note() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let agent = agent_of(folder.path(), &server.issuer, |_| {}).await;
    enrol(&server, &agent.handle, "ada").await;
    let origin = server.issuer.origin();
    agent.handle.choose(&origin, Some(Choice::Blocked)).expect("chosen");
    knock(agent.handle.port(), origin.as_str()).await;
    let diagnosis = examine(folder.path()).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (0, vec![]), "{}", diagnosis.words);
    let finding = diagnosis.finding("origin_blocked", "note", "loopkey grants set ORIGIN default");
    assert_eq!(finding["details"]["origin"], origin.as_str());
    agent.stop().await;
}

#[tokio::test]
async fn more_connections_than_there_may_be_and_requests_of_no_page_are_named() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let agent = agent_of(folder.path(), &server.issuer, |settings| settings.limits.per_origin = 1).await;
    enrol(&server, &agent.handle, "ada").await;
    let open = OpenWith::Challenge(TestBrowser::of(&server).challenge().await);
    let _page = TestPage::open(&agent.handle, &server.issuer, open).await;
    knock(agent.handle.port(), server.issuer.origin().as_str()).await;
    let mut stream = TcpStream::connect(("127.0.0.1", agent.handle.port())).await.expect("connected");
    stream.write_all(b"nothing of the kind\r\n\r\n").await.expect("written");
    stream.read_to_end(&mut Vec::new()).await.expect("an answer");
    let diagnosis = examine(folder.path()).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["too_many_connections"]), "{}", diagnosis.words);
    diagnosis.finding("too_many_connections", "warning", "close some tabs");
    diagnosis.finding("strange_request", "note", "Loopkey's own browser library");
    agent.stop().await;
}

#[tokio::test]
async fn more_refusals_than_the_log_has_room_for_are_counted() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let agent = agent_of(folder.path(), &server.issuer, |_| {}).await;
    for _ in 0..60 {
        let mut stream = TcpStream::connect(("127.0.0.1", agent.handle.port())).await.expect("connected");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("written");
        let _ = stream.read(&mut [0; 1]).await;
    }
    let diagnosis = examine(folder.path()).await;
    let counted =
        diagnosis.finding("knocked_too_often", "warning", "connects over and over")["details"]["count"].as_u64();
    let named = diagnosis.findings().filter(|finding| finding["code"] == "wrong_host");
    let named: u64 = named.filter_map(|finding| finding["details"]["count"].as_u64()).sum();
    assert_eq!(counted.expect("a number") + named, 60);
    agent.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn another_users_program_at_the_gate_is_a_note() {
    use crate::hostile::puppet::{NOBODY, has};
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let agent = agent_of(folder.path(), &server.issuer, |_| {}).await;
    enrol(&server, &agent.handle, "ada").await;
    let _ = has(NOBODY, &format!("listen {}", agent.handle.port())).await;
    let diagnosis = examine(folder.path()).await;
    assert_eq!(diagnosis.code, 0, "{}", diagnosis.words);
    assert_eq!(diagnosis.finding("other_user_refused", "note", "start both as the same one")["details"]["uid"], NOBODY);
    agent.stop().await;
}

/// The login server's time went on by ten minutes while the page kept its challenge.
#[tokio::test]
async fn challenges_of_another_time_are_counted_by_cause() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Ahead::by(Duration::ZERO);
    let server = Issuer::start(folder.path(), clock.clone()).await;
    let challenge = TestBrowser::at(&server.issuer).challenge().await;
    clock.set(Duration::from_secs(600));
    let agent = agent_of(folder.path(), &server.issuer, |_| {}).await;
    let mut page = TestPage::connect(&agent.handle, &server.issuer, OpenWith::Challenge(challenge)).await;
    assert_eq!(page.closed().await, Some(4401));
    let diagnosis = examine(folder.path()).await;
    let finding = diagnosis.finding("challenge_time", "error", "the same time server");
    assert_eq!(finding["details"]["origin"], Value::from(server.issuer.origin().as_str()));
    diagnosis.finding("clock", "warning", "timedatectl");
    agent.stop().await;
}
