//! The control socket, as a desktop client uses it.

use std::sync::Arc;

use loopkey::agent::control::{self, rpc};
use loopkey::agent::{Agent, StartError};
use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::state::PresenceState;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

use crate::commands::until;
use crate::support::world::{RunningAgent, Server, TestAsker, TestClient, TestPage, World, settings};

async fn client(path: &std::path::Path) -> (rpc::Peer, mpsc::Receiver<rpc::Incoming>) {
    let (peer, incoming, driver) = control::connect(path).await.expect("connected");
    tokio::spawn(driver);
    (peer, incoming)
}

/// An agent that nobody embeds: prompts go to connected clients.
async fn bare_agent(server: &Server, folder: &std::path::Path) -> (Agent, std::path::PathBuf) {
    let settings = settings(folder, &server.issuer);
    let control = settings.control.clone();
    (Agent::builder(settings).any_port().bind().await.expect("an agent"), control)
}

#[tokio::test]
async fn a_client_enrols_answers_prompts_and_signs_out() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (agent, control) = bare_agent(&server, folder.path()).await;
    let handle = agent.handle();
    let running = tokio::spawn(agent.run(std::future::pending()));
    let (peer, mut incoming) = client(&control).await;
    let hello = peer.call("client.hello", &json!({ "name": "Test", "version": "1" })).await.expect("hello");
    assert_eq!(hello["protocol"], "loopkey.1");
    let enrolled = peer
        .call("account.enrol", &json!({ "issuer": server.issuer, "ticket": server.ticket("ada").await }))
        .await
        .expect("enrolled");
    let account = enrolled["account"].as_str().expect("an account").to_owned();

    let mut browser = crate::support::world::TestBrowser::of(&server);
    let open = loopkey::protocol::page::OpenWith::Challenge(browser.challenge().await);
    let mut page = TestPage::open(&handle, &server.issuer, open).await;
    let (_, message) = page.machine.login(browser.challenge().await);
    page.send(&message.encode()).await;
    let request = loop {
        let call = incoming.recv().await.expect("a call");
        if call.method == "consent.request" {
            break call;
        }
    };
    assert_eq!(request.params["origin"], json!(server.issuer.origin()));
    assert_eq!(request.params["account"], json!(account));
    assert_eq!(request.params["can_remember"], true);
    peer.answer(&request.id.expect("a number"), Ok(json!({ "allow": true, "remember": false }))).await;
    assert!(matches!(page.next().await, Ok(AgentMessage::Consent { .. })));
    assert!(matches!(page.next().await, Ok(AgentMessage::Token { .. })));

    // The page takes its next request back: the client is told. Of what is always asked nothing is remembered.
    let choice = json!({ "origin": server.issuer.origin(), "consent": "always" });
    peer.call("grants.set", &choice).await.expect("chosen");
    let (id, message) = page.machine.login(browser.challenge().await);
    page.send(&message.encode()).await;
    let request = incoming.recv().await.expect("a call");
    assert_eq!(request.params["can_remember"], false);
    assert!(matches!(page.next().await, Ok(AgentMessage::Consent { .. })));
    page.send(&json!({ "type": "cancel", "id": id }).to_string()).await;
    let withdrawn = incoming.recv().await.expect("a notification");
    assert_eq!((withdrawn.method.as_str(), Some(&withdrawn.params["id"])), ("consent.withdrawn", request.id.as_ref()));

    let epoch = peer.call("presence.signOut", &json!({ "account": account })).await.expect("signed out");
    assert_eq!(epoch["epoch"], 1);
    let status = peer.call("status", &Value::Null).await.expect("a status");
    assert_eq!(status["issuers"][0]["presence"], "signed_out");
    // Nobody is there to leave or to lock; who comes back says so.
    for presence in ["away", "locked"] {
        let refused = peer.call("presence.set", &json!({ "presence": presence })).await;
        assert!(refused.is_err_and(|error| error.to_string().contains("nobody is signed in")), "{presence}");
    }
    let status = peer.call("status", &Value::Null).await.expect("a status");
    assert_eq!(status["issuers"][0]["presence"], "signed_out");
    peer.call("presence.set", &json!({ "presence": "signed_in" })).await.expect("set");
    peer.call("stop", &json!({})).await.expect("stopped");
    running.await.expect("the agent ends");
    assert!(!control.exists(), "the socket file goes with the agent");
}

#[tokio::test]
async fn without_a_client_nobody_can_be_asked() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (agent, _) = bare_agent(&server, folder.path()).await;
    let handle = agent.handle();
    let running = tokio::spawn(agent.run(std::future::pending()));
    crate::support::world::enrol(&server, &handle, "ada").await;
    let mut browser = crate::support::world::TestBrowser::of(&server);
    let open = loopkey::protocol::page::OpenWith::Challenge(browser.challenge().await);
    let mut page = TestPage::open(&handle, &server.issuer, open).await;
    let (answer, _) = page.login(browser.challenge().await).await;
    assert!(matches!(answer, AgentMessage::Refused { code: RefusalCode::Unavailable, .. }), "{answer:?}");
    handle.stop();
    running.await.expect("the agent ends");
}

#[tokio::test]
async fn mistakes_get_their_own_code_and_change_nothing() {
    let world = World::new().await;
    let (peer, _incoming) = client(&world.settings.control).await;
    let before = peer.call("account.list", &json!({})).await.expect("a list");
    for (method, params, code) in [
        ("no.such", json!({}), None),
        ("presence.set", json!({ "presence": "asleep" }), None),
        ("presence.set", json!([]), None),
        ("presence.set", json!({ "presence": "away", "extra": 1 }), None),
        ("presence.set", json!({ "presence": "signed_out" }), Some("not_a_presence")),
        ("presence.set", json!({ "presence": "signed_out", "profile": { "name": "Mallory" } }), Some("not_a_presence")),
        ("presence.set", json!({ "account": "nobody", "presence": "away" }), Some("no_such_account")),
        ("account.enrol", json!({ "issuer": world.server.issuer, "ticket": "short" }), None),
        (
            "account.enrol",
            json!({ "issuer": "https://elsewhere.example", "ticket": "A".repeat(43) }),
            Some("unknown_issuer"),
        ),
        ("account.enrol", json!({ "issuer": world.server.issuer, "ticket": "A".repeat(43) }), Some("issuer_refused")),
    ] {
        let error = peer.call(method, &params).await.expect_err(method);
        assert_eq!(error.data.as_ref().map(|data| data.code.as_str()), code, "{method} {params}: {error:?}");
        assert_eq!(error.message.contains("ticket: it has 43 letters"), params["ticket"] == "short", "{error:?}");
    }
    assert_eq!(peer.call("account.list", &json!({})).await.expect("a list"), before);
    assert_eq!(world.agent.handle.accounts().len(), 1);
    let keys = std::fs::read_dir(world.folder.path().join("state/keys")).expect("a folder").count();
    assert_eq!(keys, 1, "no key is kept of an enrolment that was refused");
    world.agent.stop().await;
}

/// As a shell does that pipes one line into the socket.
#[tokio::test]
async fn what_a_client_says_before_it_hangs_up_is_done() {
    let world = World::new().await;
    let mut stream = tokio::net::UnixStream::connect(&world.settings.control).await.expect("connected");
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"presence.set","params":{"presence":"locked"}}"#;
    stream.write_all(format!("{call}\n").as_bytes()).await.expect("written");
    drop(stream);
    until("the lock", || async { world.agent.handle.status().issuers[0].presence == PresenceState::Locked }).await;
    world.agent.stop().await;
}

/// Whoever reads it takes the first member or the last, and pages and the person are not told the same.
#[tokio::test]
async fn what_a_client_says_twice_is_refused() {
    let world = World::new().await;
    let stream = tokio::net::UnixStream::connect(&world.settings.control).await.expect("connected");
    let mut stream = BufReader::new(stream);
    for (method, params) in [
        ("actions.register", r#"{"name":"open","schema":{"type":"object","type":"object"}}"#),
        ("actions.publish", r#"{"name":"open","value":[{"a":{"b":1,"b":2}}]}"#),
        ("presence.set", r#"{"presence":"away","presence":"away"}"#),
        ("presence.set", r#"{"presence":"away","profile":{"name":"a","name":"a"}}"#),
    ] {
        let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#) + "\n";
        stream.write_all(call.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_line(&mut answer).await.expect("an answer");
        assert!(answer.contains(r#""code":-32602"#), "{method}: {answer}");
    }
    world.agent.stop().await;
}

#[tokio::test]
async fn a_second_agent_is_told_of_the_first_and_a_dead_ones_socket_is_taken_over() {
    let world = World::new().await;
    let second = Agent::builder(world.settings.clone()).any_port().bind().await;
    assert!(matches!(second, Err(StartError::InUse(_))), "the same state folder");
    let mut elsewhere = world.settings.clone();
    elsewhere.state_dir = world.folder.path().join("elsewhere");
    let second = Agent::builder(elsewhere).any_port().bind().await;
    assert!(
        matches!(second, Err(StartError::Control(control::ControlError::AnotherAgent(_)))),
        "the same control socket"
    );
    world.agent.stop().await;
    drop(std::os::unix::net::UnixListener::bind(&world.settings.control).expect("a socket that nobody serves"));
    let asker: Arc<TestAsker> = TestAsker::new(None);
    RunningAgent::start(world.settings.clone(), asker).await.stop().await;
}

#[tokio::test]
async fn a_client_that_cannot_ask_passes_the_question_on() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (agent, control) = bare_agent(&server, folder.path()).await;
    let handle = agent.handle();
    let running = tokio::spawn(agent.run(std::future::pending()));
    crate::support::world::enrol(&server, &handle, "ada").await;
    let hello = json!({ "name": "Test", "version": "1" });
    let (first, mut of_first) = client(&control).await;
    first.call("client.hello", &hello).await.expect("hello");
    let (second, mut of_second) = client(&control).await;
    second.call("client.hello", &hello).await.expect("hello");
    tokio::spawn(async move {
        while let Some(call) = of_first.recv().await {
            if let Some(id) = call.id {
                first.answer(&id, Err(rpc::RpcError::failed("no_window", "there is no window"))).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Some(call) = of_second.recv().await {
            if let Some(id) = call.id {
                second.answer(&id, Ok(json!({ "allow": true }))).await;
            }
        }
    });
    let mut browser = crate::support::world::TestBrowser::of(&server);
    let open = loopkey::protocol::page::OpenWith::Challenge(browser.challenge().await);
    let mut page = TestPage::open(&handle, &server.issuer, open).await;
    let (answer, _) = page.login(browser.challenge().await).await;
    assert!(matches!(answer, AgentMessage::Token { .. }), "{answer:?}");
    handle.stop();
    running.await.expect("the agent ends");
}

#[tokio::test]
async fn a_prompt_goes_on_to_the_next_client_when_its_own_goes_away() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let agent = RunningAgent::run(Agent::builder(settings(folder.path(), &server.issuer))).await;
    let control = settings(folder.path(), &server.issuer).control;
    crate::support::world::enrol(&server, &agent.handle, "ada").await;
    // The first of all cannot ask, the second goes away under the prompt.
    let mut mute = TestClient::connect(&control).await;
    mute.ok("client.hello", json!({ "name": "Test", "version": "1", "consent": false })).await;
    let mut first = TestClient::hello(&control).await;
    let mut second = TestClient::hello(&control).await;
    let mut browser = crate::support::world::TestBrowser::of(&server);
    let open = loopkey::protocol::page::OpenWith::Challenge(browser.challenge().await);
    let mut page = TestPage::open(&agent.handle, &server.issuer, open).await;
    let (_, message) = page.machine.login(browser.challenge().await);
    page.send(&message.encode()).await;
    let asked = first.next("consent.request").await;
    drop(first);
    let request = second.next("consent.request").await;
    assert_eq!(request.params, asked.params, "the same question, with the same digits");
    second.peer.answer(&request.id.expect("a number"), Ok(json!({ "allow": true }))).await;
    assert!(matches!(page.next().await, Ok(AgentMessage::Consent { .. })));
    assert!(matches!(page.next().await, Ok(AgentMessage::Token { .. })));
    agent.stop().await;
    while let Some(heard) = mute.incoming.recv().await {
        assert_ne!(heard.method, "consent.request");
    }
}

#[tokio::test]
async fn an_enrolment_that_nobody_waits_for_any_more_leaves_no_key() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a login server that never answers");
    let issuer = format!("http://{}", silent.local_addr().expect("an address")).parse().expect("an issuer");
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path(), &issuer);
    let agent = RunningAgent::start(settings, TestAsker::new(None)).await;
    let handle = agent.handle.clone();
    let keys = || std::fs::read_dir(folder.path().join("state/keys")).expect("a folder").count();
    let waiting = tokio::spawn(async move { handle.enrol(&issuer, "A".repeat(43).parse().expect("a ticket")).await });
    while keys() == 0 {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    drop(silent);
    while keys() > 0 {
        tokio::task::yield_now().await;
    }
    agent.stop().await;
}

#[tokio::test]
async fn a_control_folder_that_others_can_write_in_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new().await;
    let open = world.folder.path().join("open");
    std::fs::create_dir(&open).expect("made");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).expect("opened");
    let mut elsewhere = world.settings.clone();
    elsewhere.state_dir = world.folder.path().join("elsewhere");
    elsewhere.control = open.join("control.sock");
    let error = Agent::builder(elsewhere).any_port().bind().await.err().expect("refused").to_string();
    assert!(error.contains("chmod 700"), "{error}");
    world.agent.stop().await;
}
