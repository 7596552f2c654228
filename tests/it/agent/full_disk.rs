//! A full disk keeps nobody signed in: the real program, on a small disk in a mount namespace of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::state::PresenceState;
use serde_json::{Value, json};

use crate::commands::until;
use crate::hostile::puppet::{ROOT, loopkey, own_user, run_as};
use crate::support::places::free_places;
use crate::support::world::{Server, TestBrowser, TestClient, TestPage};

/// Makes a small disk where the state will be, says who it is, and becomes this user's agent.
const IN_A_NAMESPACE: &str = r#"set -e
cd "$1"; mount -t tmpfs -o size=256k,mode=700,uid="$3",gid="$3" tmpfs state
echo $$ > pid; exec setpriv --reuid "$3" --regid "$3" --clear-groups "$2" --log warn agent --config agent.toml"#;

struct Computer {
    folder: tempfile::TempDir,
    port: u16,
    agent: Child,
}

impl Drop for Computer {
    fn drop(&mut self) {
        let _ = run_as(ROOT, Path::new("kill")).args(["-KILL", &self.pid()]).status();
        let _ = self.agent.wait();
    }
}

impl Computer {
    async fn start(issuer: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_places().agent[0];
        std::fs::create_dir(folder.path().join("state")).expect("a folder");
        let toml = format!(
            "ports = [{port}]\nstate_dir = \"state\"\ncontrol = \"control.sock\"\ndevelopment = true\nallow_root = true\n\
             [[issuer]]\nurl = \"{issuer}\"\n[[origin]]\norigin = \"{issuer}\"\nissuer = \"{issuer}\"\nconsent = \"page\"\n"
        );
        std::fs::write(folder.path().join("agent.toml"), toml).expect("written");
        let mut command = run_as(ROOT, Path::new("unshare"));
        command.args(["--mount", "--", "sh", "-c", IN_A_NAMESPACE, "sh"]).arg(folder.path()).arg(loopkey());
        command.arg(own_user().to_string()).stdin(Stdio::null());
        let agent = command.spawn().expect("unshare runs (it takes root, or sudo)");
        let computer = Self { folder, port, agent };
        let control = computer.control();
        until("an agent on a small disk", || async { tokio::net::UnixStream::connect(&control).await.is_ok() }).await;
        computer
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    fn pid(&self) -> String {
        let pid = std::fs::read_to_string(self.folder.path().join("pid"));
        pid.unwrap_or_default().trim().to_owned()
    }

    /// A shell on that disk.
    fn shell(&self, script: &str) -> String {
        let mut command = run_as(ROOT, Path::new("nsenter"));
        let state = self.folder.path().join("state");
        command.args(["-t", &self.pid(), "-m", "--", "sh", "-c", "cd \"$0\" && eval \"$1\""]).arg(state).arg(script);
        let output = command.output().expect("nsenter runs");
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn loopkey(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loopkey"));
        command.args(arguments).env("LOOPKEY_CONTROL", self.control()).env("LOOPKEY_LOG", "error");
        let output = command.output().expect("the program runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    }
}

/// Whether the doctor finds that something is not on the disk.
async fn is_unsaved(client: &TestClient) -> bool {
    let report = client.ok("doctor", json!({})).await;
    let findings = report["findings"].as_array().expect("a list");
    findings.iter().any(|finding| finding["code"] == "state_unusable")
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_a_person_can_sign_out_and_block() {
    let server = Server::start().await;
    let (issuer, origin) = (&server.issuer, server.issuer.origin());
    let computer = Computer::start(issuer.as_str()).await;
    let client = TestClient::hello(&computer.control()).await;
    let ticket = server.ticket("ada").await;
    let enrolled = client.ok("account.enrol", json!({ "issuer": issuer, "ticket": ticket })).await;
    let account = enrolled["account"].as_str().expect("an account").parse().expect("an account");
    let mut browser = TestBrowser::of(&server);
    let challenge = browser.challenge().await;
    let mut page =
        TestPage::connect_to_port(computer.port, issuer, OpenWith::Challenge(browser.challenge().await)).await;
    assert!(matches!(page.next().await, Ok(AgentMessage::Ready { .. })));
    let (AgentMessage::Token { token, .. }, _) = page.login(challenge.clone()).await else { panic!("a token") };
    assert_eq!(browser.redeem(&challenge, &token, &account).await, 204);
    assert!(browser.is_signed_in().await && !is_unsaved(&client).await);

    computer.shell("dd if=/dev/zero of=fill bs=1k 2>&1 || true");
    let (code, words) = computer.loopkey(&["sign-out"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("it is done, but could not be written down"), "{words}");
    assert!(words.contains("the disk is full: free space there"), "{words}");
    let Ok(AgentMessage::State { state, .. }) = page.next().await else { panic!("a state") };
    assert_eq!(state.presence, PresenceState::SignedOut);
    let browser = &browser;
    until("the end of the web session", || async { !browser.is_signed_in().await }).await;
    assert_eq!(client.code("grants.set", json!({ "origin": origin, "consent": "blocked" })).await, "not_saved");
    assert_eq!(page.closed().await, Some(4403));
    // What would give more is refused, with the cure.
    let error = client.peer.call("grants.set", &json!({ "origin": origin, "consent": "default" })).await;
    let error = error.expect_err("the disk is full");
    assert_eq!(error.data.map(|data| data.code).as_deref(), Some("storage"));
    assert!(error.message.contains("the disk is full: free space there"), "{}", error.message);
    assert!(is_unsaved(&client).await);

    computer.shell("rm fill");
    let client = &client;
    until("the record on the disk", || async { !is_unsaved(client).await }).await;
    let record: Value = serde_json::from_str(&computer.shell("cat issuer-*.json")).expect("a record");
    assert_eq!((&record["epoch"], record.get("current")), (&json!(1), None));
    assert_eq!(record["choices"][origin.as_str()], "blocked");
}
