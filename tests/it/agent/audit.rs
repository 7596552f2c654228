//! The audit log of an agent that does something.

use loopkey::agent::audit::{Act, Outcome};
use loopkey::agent::{Answer, Browser};
use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::state::PresenceState;
use serde_json::json;

use crate::commands::until;
use crate::support::places::free_places;
use crate::support::world::{Server, TestBrowser, TestClient, TestPage, World};

#[tokio::test]
async fn every_consent_token_refusal_and_sign_out_has_its_line() {
    let world = World::new().await;
    let (issuer, origin, account) = (world.server.issuer.clone(), world.server.issuer.origin(), world.account.clone());
    let set = |answer| *world.asker.answer.lock().expect("unpoisoned") = Some(answer);
    let (mut browser, mut page) = world.open_page().await;
    set(Answer::Deny);
    page.login(browser.challenge().await).await;
    set(Answer::Allow { remember: true });
    page.login(browser.challenge().await).await;
    let (answer, _) = page.login(browser.challenge().await).await;
    assert!(matches!(answer, AgentMessage::Token { .. }));
    world.agent.handle.revoke(&origin).expect("revoked");
    let epoch = world.agent.handle.sign_out(&account).expect("signed out");
    world.agent.handle.set_presence(&account, PresenceState::Away).expect("back");
    world.agent.handle.remove(&account).expect("removed");

    let reading = world.agent.handle.log(100).expect("readable");
    assert_eq!(reading.faults, []);
    let mut acts: Vec<_> = reading.entries.into_iter().map(|entry| entry.act).collect();
    assert!(matches!(acts.remove(0), Act::Enrolled { account: of, .. } if of == account));
    let consent = |outcome, remembered| Act::Consent {
        issuer: issuer.clone(),
        origin: origin.clone(),
        account: account.clone(),
        outcome,
        remembered,
    };
    let token = || Act::Token {
        issuer: issuer.clone(),
        origin: origin.clone(),
        account: account.clone(),
        epoch: loopkey::protocol::id::Epoch(0),
    };
    let left = |epoch| Act::SignedOut { issuer: issuer.clone(), account: account.clone(), epoch };
    let expected = [
        consent(Outcome::Denied, false),
        Act::Refused { origin: origin.clone(), code: "denied".into() },
        consent(Outcome::Allowed, true),
        token(),
        consent(Outcome::Remembered, true),
        token(),
        Act::Revoked { origin: origin.clone() },
        left(epoch),
        left(epoch.next()),
        Act::Removed { issuer: issuer.clone(), account: account.clone() },
    ];
    assert_eq!(acts, expected);
    world.agent.stop().await;
}

#[tokio::test]
async fn a_prompt_that_the_page_leaves_behind_is_written_down() {
    let world = World::new().await;
    *world.asker.answer.lock().expect("unpoisoned") = None;
    let (mut browser, mut page) = world.open_page().await;
    let (id, message) = page.machine.login(browser.challenge().await);
    page.send(&message.encode()).await;
    assert!(matches!(page.next().await, Ok(AgentMessage::Consent { .. })));
    page.send(&json!({ "type": "cancel", "id": id }).to_string()).await;
    assert!(matches!(page.next().await, Ok(AgentMessage::Refused { code: RefusalCode::Cancelled, .. })));
    let withdrawn = || {
        let entries = world.agent.handle.log(100).expect("readable").entries;
        entries.into_iter().any(|entry| matches!(entry.act, Act::Consent { outcome: Outcome::Withdrawn, .. }))
    };
    while !withdrawn() {
        tokio::task::yield_now().await;
    }
    world.agent.stop().await;
}

/// Opens nothing.
struct NoBrowser;

impl Browser for NoBrowser {
    fn open(&self, _: &str) -> std::io::Result<()> {
        Ok(())
    }
}

/// No token leaves the agent that is not in the log: where it cannot be written, there is none.
#[tokio::test]
async fn what_cannot_be_written_down_is_not_given_out() {
    let world = World::built(|_| {}, |builder| builder.browser(std::sync::Arc::new(NoBrowser))).await;
    let state = world.folder.path().join("state");
    let url = world.server.issuer.origin().to_string();
    // The next line is to begin a new file, and the full one cannot be put away: its name is taken.
    while std::fs::metadata(state.join("audit.log")).expect("a file").len() < 1024 * 1024 {
        world.agent.handle.open_page(&url).expect("opened");
    }
    let last = world.agent.handle.log(1).expect("readable").entries[0].n;
    let taken = state.join(format!("audit-{last:012}.log"));
    std::fs::create_dir(&taken).expect("made");
    world.agent.handle.open_page(&url).expect_err("it is not written down");
    let (mut browser, mut page) = world.open_page().await;
    let (answer, _) = page.login(browser.challenge().await).await;
    assert!(matches!(answer, AgentMessage::Refused { code: RefusalCode::Unavailable, .. }), "{answer:?}");
    std::fs::remove_dir(&taken).expect("removed");
    let (answer, _) = page.login(browser.challenge().await).await;
    assert!(matches!(answer, AgentMessage::Token { .. }), "{answer:?}");
    assert_eq!(world.agent.handle.log(100).expect("readable").faults, []);
    world.agent.stop().await;
}

#[tokio::test]
async fn the_log_is_read_over_the_control_socket_and_an_edited_line_is_found() {
    let world = World::new().await;
    let client = TestClient::hello(&world.settings.control).await;
    world.agent.handle.sign_out(&world.account).expect("signed out");
    let tail = client.ok("log.tail", json!({ "count": 1 })).await;
    assert_eq!((&tail["entries"][0]["act"], &tail["entries"][0]["n"]), (&json!("signed_out"), &json!(2)));
    assert_eq!((tail["entries"].as_array().map(Vec::len), &tail["faults"]), (Some(1), &json!([])));
    let path = world.folder.path().join("state/audit.log");
    let text = std::fs::read_to_string(&path).expect("text");
    std::fs::write(&path, text.replacen("enrolled", "enrolleD", 1)).expect("written");
    let faults = client.ok("log.tail", json!({})).await["faults"].clone();
    assert_eq!((&faults[0]["file"], &faults[0]["line"]), (&json!("audit.log"), &json!(1)), "{faults}");
    world.agent.stop().await;
}

#[tokio::test]
async fn a_log_that_was_spoiled_all_over_is_still_told_in_one_line() {
    let world = World::built(|_| {}, |builder| builder.browser(std::sync::Arc::new(NoBrowser))).await;
    let url = world.server.issuer.origin().to_string();
    for _ in 0..400 {
        world.agent.handle.open_page(&url).expect("opened");
    }
    let client = TestClient::hello(&world.settings.control).await;
    assert_eq!(client.ok("log.tail", json!({ "count": 300 })).await["entries"].as_array().map(Vec::len), Some(300));
    assert_eq!(client.code("log.tail", json!({ "count": 301 })).await, "-32602");
    let path = world.folder.path().join("state/audit.log");
    let text = std::fs::read_to_string(&path).expect("text");
    std::fs::write(&path, text.replace("opened", "0pened")).expect("written");
    let tail = client.ok("log.tail", json!({ "count": 300 })).await;
    assert_eq!(tail["faults"].as_array().map(Vec::len), Some(100), "the first hundred");
    assert_eq!(tail["faults"][0]["line"], 2);
    world.agent.stop().await;
}

/// A power cut takes away no line of a token that went out: the real program's calls to the system, as strace sees them.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_out_when_its_line_is_on_the_disk() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let (folder, issuer, port) = (folder.path(), &server.issuer, free_places().agent[0]);
    let toml = format!(
        "ports = [{port}]\nstate_dir = \"state\"\ncontrol = \"control.sock\"\ndevelopment = true\nallow_root = true\n\
         [[issuer]]\nurl = \"{issuer}\"\n[[origin]]\norigin = \"{issuer}\"\nissuer = \"{issuer}\"\nconsent = \"page\"\n"
    );
    std::fs::write(folder.join("agent.toml"), toml).expect("written");
    let mut agent = tokio::process::Command::new("strace");
    // The agent is the child, and strace its companion: the one ends with the other.
    agent.args(["-D", "-f", "-y", "-s", "400", "-e", "trace=write,sendto,fdatasync", "-o", "calls"]);
    agent.args([env!("CARGO_BIN_EXE_loopkey"), "agent", "--config", "agent.toml"]).current_dir(folder);
    let _agent = agent.kill_on_drop(true).spawn().expect("strace starts");
    let control = folder.join("control.sock");
    until("the agent", || async { tokio::net::UnixStream::connect(&control).await.is_ok() }).await;
    let client = TestClient::hello(&control).await;
    let ticket = server.ticket("ada").await;
    client.ok("account.enrol", json!({ "issuer": issuer, "ticket": ticket })).await;
    let mut browser = TestBrowser::of(&server);
    let open = OpenWith::Challenge(browser.challenge().await);
    let mut page = TestPage::connect_to_port(port, issuer, open).await;
    assert!(matches!(page.next().await, Ok(AgentMessage::Ready { .. })));
    assert!(matches!(page.login(browser.challenge().await).await.0, AgentMessage::Token { .. }));
    client.ok("stop", json!({})).await;

    let calls = || std::fs::read_to_string(folder.join("calls")).unwrap_or_default();
    let is_goodbye = |call: &str| call.contains("exited with");
    until("the last call", || async { calls().lines().last().is_some_and(is_goodbye) }).await;
    let calls = calls();
    let mut after =
        calls.lines().skip_while(|call| !(call.contains("write(") && call.contains(r#"\"act\":\"token\""#)));
    assert!(after.next().is_some_and(|call| call.contains("audit.log")), "{calls}");
    for (call, file) in [("fdatasync(", "audit.log"), ("write(", "audit.bounds"), ("fdatasync(", "audit.bounds")] {
        let next = after.next().unwrap_or_default();
        assert!(next.contains(call) && next.contains(file) && next.contains(" = "), "{next} instead of {call}{file}");
    }
    assert!(after.any(|call| call.contains("sendto(")), "and then it goes out: {calls}");
}
