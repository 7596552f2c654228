//! `examples/embed.rs`, as the program that it is.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::state::PresenceState;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::places::free_places;
use crate::support::trace;
use crate::support::world::{Server, TestBrowser, TestPage};

/// Far longer than anything takes.
const SOON: Duration = Duration::from_secs(30);

/// Where cargo puts examples: beside the folder of this test.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/it");
    let program = profile.join("examples").join(format!("embed{}", std::env::consts::EXE_SUFFIX));
    assert!(program.is_file(), "{} is not built; run: cargo build --all-features --example embed", program.display());
    program
}

struct Embed {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Embed {
    fn start(folder: &std::path::Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("the example starts");
        let output = process.stdout.take().expect("a pipe");
        Self { process, lines: BufReader::new(output).lines() }
    }

    /// The next line, which has these words in it.
    async fn says(&mut self, words: &str) -> String {
        let line = tokio::time::timeout(SOON, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("the example never says {words:?}")).expect("text").expect("a line");
        assert!(line.contains(words), "{line:?}, not {words:?}");
        line
    }

    /// Types a line.
    async fn hears(&mut self, word: &str) {
        let input = self.process.stdin.as_mut().expect("a pipe");
        input.write_all(format!("{word}\n").as_bytes()).await.expect("written");
    }
}

#[tokio::test]
async fn a_program_that_embeds_the_agent_asks_the_person_itself() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (issuer, port) = (server.issuer.clone(), free_places().agent[0]);
    let ticket = server.ticket("ada").await;
    let port_text = port.to_string();
    let known = ["--issuer", issuer.as_str(), "--port", &port_text];
    let mut embed = Embed::start(folder.path(), &[&known[..], &["--ticket", &ticket]].concat());
    embed.says(&format!("Signed in on port {port}")).await;
    trace::note_keys(folder.path());

    let mut browser = TestBrowser::at(&issuer);
    let challenge = browser.challenge().await;
    let mut page = TestPage::connect_to_port(port, &issuer, OpenWith::Challenge(challenge.clone())).await;
    let ready = page.next().await.expect("ready");
    let AgentMessage::Ready { state, proof: Some(proof), .. } = ready else { panic!("{ready:?}") };
    assert_eq!(state.presence, PresenceState::SignedIn);
    let (_, person) = browser.post("/v1/presence", json!({ "challenge": challenge, "proof": proof })).await;
    let subject = &person["account"]["subject"];

    for (word, allowed) in [("no", false), ("yes", true)] {
        let challenge = browser.challenge().await;
        let (_, message) = page.machine.login(challenge.clone());
        page.send(&message.encode()).await;
        let AgentMessage::Consent { code, .. } = page.next().await.expect("a prompt") else { panic!("no prompt") };
        let asked = embed.says("asks to sign ada of the test in").await;
        assert!(asked.contains(issuer.origin().as_str()) && asked.ends_with(&format!("shows {code}.")), "{asked}");
        embed.says("Allow it?").await;
        embed.hears(word).await;
        match page.next().await.expect("an answer") {
            AgentMessage::Token { token, .. } if allowed => {
                let body = json!({ "challenge": challenge, "token": token, "subject": subject });
                assert_eq!(browser.post("/v1/login", body).await.0, 204);
            }
            AgentMessage::Refused { code: RefusalCode::Denied, .. } if !allowed => {}
            other => panic!("{word}: {other:?}"),
        }
        assert_eq!(browser.is_signed_in().await, allowed, "{word}");
    }

    for (word, presence) in
        [("away", PresenceState::Away), ("lock", PresenceState::Locked), ("in", PresenceState::SignedIn)]
    {
        embed.hears(word).await;
        embed.says(&format!("Now {presence}")).await;
        let AgentMessage::State { state, .. } = page.next().await.expect("a state") else { panic!("no state") };
        assert_eq!(state.presence, presence);
    }
    embed.hears("out").await;
    embed.says("Signed out").await;
    let AgentMessage::State { state, .. } = page.next().await.expect("a state") else { panic!("no state") };
    assert_eq!(state.presence, PresenceState::SignedOut);

    // Ctrl-C is SIGINT: pages are told, and the program ends well.
    let pid = embed.process.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.expect("kill runs").success());
    assert_eq!(page.closed().await, Some(1001));
    assert!(embed.process.wait().await.expect("it ends").success());

    // It knows the account from now on, without a ticket.
    let mut embed = Embed::start(folder.path(), &known);
    embed.says(&format!("Signed in on port {port}")).await;
}
