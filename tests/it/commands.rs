//! The program itself, started as administrators and packages start it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::state::PresenceState;
use serde_json::{Value, json};

use crate::support::trace;
use crate::support::world::TestPage;

const PROGRAM: &str = env!("CARGO_BIN_EXE_loopkey");
const SERVICE_KEY: &str = "a service key for the commands";

/// Ends the process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn loopkey(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(folder).env("LOOPKEY_CONTROL", folder.join("control.sock"));
    command.env("LOOPKEY_LOG", "warn").stdin(Stdio::null());
    command
}

/// A program that goes on: what it logs is not a test's business, and so may be everything.
fn start(folder: &Path, arguments: &[&str]) -> Running {
    let mut command = loopkey(folder, arguments);
    Running(trace::of_child(&mut command).spawn().expect("the program starts"))
}

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    outcome(&loopkey(folder, arguments).output().expect("the program runs"))
}

fn outcome(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Tries until it holds; the deadline is far beyond anything that is not broken.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let started = tokio::time::Instant::now();
    while !condition().await {
        assert!(started.elapsed().as_secs() < 30, "{what} never came about");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_an_agent_and_the_commands_between() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let places = crate::support::places::free_places();
    let (site, agent_port) = (places.site, places.agent[0]);
    let issuer = format!("http://127.0.0.1:{site}");
    std::fs::write(folder.join("service.key"), SERVICE_KEY).expect("written");
    let server_toml = format!(
        "issuer = \"{issuer}\"\nlisten = \"127.0.0.1:{site}\"\norigins = [\"{issuer}\"]\nstore = \"embedded:data\"\n\
         service_key_file = \"service.key\"\ndevelopment = true\n"
    );
    let agent_toml = format!(
        "ports = [{agent_port}]\nstate_dir = \"state\"\ncontrol = \"control.sock\"\ndevelopment = true\nallow_root = true\n\
         [[issuer]]\nurl = \"{issuer}\"\n[[origin]]\norigin = \"{issuer}\"\nissuer = \"{issuer}\"\n"
    );
    std::fs::write(folder.join("server.toml"), server_toml).expect("written");
    std::fs::write(folder.join("agent.toml"), agent_toml).expect("written");
    for file in ["server.toml", "agent.toml"] {
        assert_eq!(run(folder, &["check-config", file]).0, 0, "{file}");
    }

    assert_eq!(run(folder, &["status"]).0, 3, "no agent is running");
    assert_eq!(run(folder, &["presence", "away"]).0, 3);
    let _server = start(folder, &["serve", "--config", "server.toml"]);
    let http = crate::support::world::http();
    let healthy = || async { http.get(format!("{issuer}/healthz")).send().await.is_ok_and(|a| a.status() == 200) };
    until("the server's health", healthy).await;
    let agent = start(folder, &["agent", "--config", "agent.toml"]);
    until("the agent's status", || async { run(folder, &["status"]).0 == 0 }).await;

    let ticket = http.post(format!("{issuer}/v1/enrolment-tickets")).bearer_auth(SERVICE_KEY);
    let ticket: Value = ticket
        .json(&json!({ "account": "ada", "name": "Ada" }))
        .send()
        .await
        .expect("sent")
        .json()
        .await
        .expect("JSON");
    trace::note_members(&ticket);
    trace::note(SERVICE_KEY);
    let mut enrol = loopkey(folder, &["enrol", "--issuer", &issuer, "--ticket", "-"]);
    let mut enrol = enrol.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    writeln!(enrol.stdin.take().expect("a pipe"), "{}", ticket["ticket"].as_str().expect("a ticket")).expect("written");
    let (code, said, _) = outcome(&enrol.wait_with_output().expect("it ends"));
    assert_eq!((code, said.contains("enrolled Ada")), (0, true), "{said}");

    let presence = |state: &str| run(folder, &["presence", state]).0;
    assert_eq!((presence("signed_in"), presence("away"), presence("locked")), (0, 0, 0));
    assert_eq!(presence("asleep"), 2);
    let (code, status, _) = run(folder, &["status", "--json"]);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!((code, &status["issuers"][0]["presence"], &status["port"]), (0, &json!("locked"), &json!(agent_port)));
    let (_, words, _) = run(folder, &["status"]);
    assert!(words.contains("Ada") && words.contains("locked"), "{words}");
    assert_eq!(run(folder, &["grants"]).0, 0);
    assert_eq!(run(folder, &["sign-out"]).0, 0);
    let keys = || std::fs::read_dir(folder.join("state/keys")).expect("a folder").count();
    assert!(run(folder, &["status"]).1.contains("nobody") && keys() == 1);
    // A ticket is good once, and the reason is one line.
    let (code, _, reason) =
        run(folder, &["enrol", "--issuer", &issuer, "--ticket", ticket["ticket"].as_str().expect("text")]);
    assert_eq!((code, reason.lines().count()), (1, 1), "{reason}");
    assert_eq!(run(folder, &["enrol", "--issuer", "no issuer", "--ticket", "x"]).0, 2);
    let (code, _, reason) = run(folder, &["agent", "--config", "agent.toml"]);
    assert_eq!((code, reason.contains("another agent is running")), (1, true), "{reason}");

    trace::note_keys(folder);
    assert_eq!((run(folder, &["sign-out", "--forget"]).0, keys()), (0, 0), "its key is gone");
    let (code, _, reason) = run(folder, &["sign-out", "--forget"]);
    assert!(code == 1 && reason.contains("no account is enrolled on this computer"), "{reason}");
    // Of an origin that nobody knows nothing is done, and nothing is written down.
    assert_eq!(run(folder, &["grants", "revoke", "https://x.example"]).0, 1);
    let (code, _, said) = run(folder, &["grants", "revoke", "x.example"]);
    assert!(code == 2 && said.contains("'x.example'"), "it is no origin: {said}");
    let (_, lines, _) = run(folder, &["log"]);
    assert!(lines.contains("enrolled") && !lines.contains("x.example"), "{lines}");

    assert_eq!(run(folder, &["stop"]).0, 0);
    let ended = tokio::task::spawn_blocking(move || {
        let mut agent = agent;
        agent.0.wait().expect("the agent ends").code()
    });
    assert_eq!(ended.await.expect("joined"), Some(0));
    assert_eq!(run(folder, &["status"]).0, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_comes_back_with_what_it_knew() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let server = crate::support::world::Server::start().await;
    let (issuer, port) = (&server.issuer, crate::support::places::free_places().agent[0]);
    let agent_toml = format!(
        "ports = [{port}]\nstate_dir = \"state\"\ncontrol = \"control.sock\"\ndevelopment = true\nallow_root = true\n\
         [[issuer]]\nurl = \"{issuer}\"\n[[origin]]\norigin = \"{issuer}\"\nissuer = \"{issuer}\"\n"
    );
    std::fs::write(folder.join("agent.toml"), agent_toml).expect("written");
    let start = || start(folder, &["agent", "--config", "agent.toml"]);
    let running = || async { run(folder, &["status"]).0 == 0 };
    let mut browser = crate::support::world::TestBrowser::at(issuer);

    let agent = start();
    until("the agent's status", running).await;
    let ticket = server.ticket("ada").await;
    assert_eq!(run(folder, &["enrol", "--issuer", issuer.as_str(), "--ticket", &ticket]).0, 0);
    let open = OpenWith::Challenge(browser.challenge().await);
    let mut page = TestPage::connect_to_port(port, issuer, open).await;
    assert!(matches!(page.next().await, Ok(AgentMessage::Ready { .. })));
    let resume = page.machine.reopen().expect("a ticket");
    drop(agent); // SIGKILL
    assert_eq!(page.closed().await, None, "no goodbye");
    assert_eq!(run(folder, &["status"]).0, 3);

    let _agent = start();
    until("the agent's status", running).await;
    let mut page = TestPage::connect_to_port(port, issuer, resume).await;
    assert_eq!(page.closed().await, Some(4401), "a ticket of the process that was killed");
    let open = OpenWith::Challenge(browser.challenge().await);
    let mut page = TestPage::connect_to_port(port, issuer, open).await;
    let ready = page.next().await.expect("ready");
    let AgentMessage::Ready { state, proof: Some(_), .. } = ready else { panic!("{ready:?}") };
    assert_eq!(state.presence, PresenceState::Locked, "the client has not spoken yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_drains_and_ends_with_success() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let site = crate::support::places::free_places().site;
    let server_toml = format!(
        "issuer = \"http://127.0.0.1:{site}\"\nlisten = \"127.0.0.1:{site}\"\nstore = \"memory:\"\ndevelopment = true\n"
    );
    std::fs::write(folder.join("server.toml"), server_toml).expect("written");
    let mut server = start(folder, &["serve", "--config", "server.toml"]);
    let http = crate::support::world::http();
    let url = format!("http://127.0.0.1:{site}/healthz");
    until("the server's health", || async { http.get(&url).send().await.is_ok() }).await;
    let pid = server.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    let code = tokio::task::spawn_blocking(move || server.0.wait().expect("it ends").code()).await.expect("joined");
    assert_eq!(code, Some(0));
}

#[test]
fn a_wrong_configuration_is_explained_and_nothing_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let text = "ports = [80]\n[[issuer]]\nurl = \"https://app.example.com/\"\n[[origin]]\norigin = \"https://*.example.com\"\n\
                issuer = \"https://app.example.com\"\ngrant = []\n";
    std::fs::write(folder.join("agent.toml"), text).expect("written");
    for arguments in [&["check-config", "agent.toml"][..], &["agent", "--config", "agent.toml"]] {
        let (code, _, reason) = run(folder, arguments);
        assert_eq!(code, 2, "{reason}");
        for line in ["line 1: ports[0]", "line 3: issuer[0].url", "line 5: origin[0].origin", "line 7: origin[0].grant"]
        {
            assert!(reason.contains(line), "{line} is not in {reason}");
        }
    }
    std::fs::write(folder.join("empty.toml"), "").expect("written");
    let (code, said, _) = run(folder, &["check-config", "empty.toml"]);
    assert!(code == 0 && said.contains("no page can speak to this agent"), "{said}");
    let (code, _, reason) = run(folder, &["serve", "--config", "empty.toml"]);
    assert!(code == 2 && reason.contains("issuer: is missing"), "{reason}");
    std::fs::write(folder.join("elsewhere.toml"), "allow_root = true\nstate_dir = \"empty.toml/state\"\n")
        .expect("written");
    let (code, _, reason) = run(folder, &["agent", "--config", "elsewhere.toml"]);
    assert!(code == 1 && reason.contains("`state_dir`") && reason.contains("empty.toml/state"), "{reason}");
    assert_eq!(run(folder, &["agent", "--config", "nowhere.toml"]).0, 2);
    assert_eq!(run(folder, &["no-such-command"]).0, 2);
    let (code, help, _) = run(folder, &["--help"]);
    assert!(code == 0 && help.contains("demo") && help.contains("Exit codes"), "{help}");
}
