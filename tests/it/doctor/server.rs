//! The login server as the program that it is, with a store, a clock or a proxy that is not as it should be.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use loopkey::protocol::issuer::Issuer;
use serde_json::json;
use tokio::process::{Child, Command};

use super::{Agent, PROGRAM, agent_of, agent_toml, at_home, doctor, examine, until};
use crate::support::nginx::Nginx;
use crate::support::places::free_places;
use crate::support::redis::RedisServer;
use crate::support::trace;
use crate::support::world::{RunningAgent, http};

const SERVICE_KEY: &str = "the service key of a doctor's patient";

/// `loopkey serve`, as a process of its own.
struct Serving {
    folder: tempfile::TempDir,
    address: String,
    child: Child,
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The whole group: `faketime` is the parent of what it runs.
        let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl Serving {
    /// Starts it as `issuer`, or by its own address, with a store; `command` is what starts the program.
    async fn start(issuer: Option<&Issuer>, port: u16, store: &str, command: Command) -> Self {
        trace::note(SERVICE_KEY);
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("http://127.0.0.1:{port}");
        let issuer = issuer.map_or(address.as_str(), Issuer::as_str);
        let toml = format!(
            "issuer = \"{issuer}\"\nlisten = \"127.0.0.1:{port}\"\norigins = [\"{issuer}\"]\nstore = \"{store}\"\n\
             service_key_file = \"service.key\"\ndevelopment = true\n"
        );
        // What several servers would share.
        let shared = "[shared_store]\nsecret_file = \"store.secret\"\n";
        let toml = toml + if store.starts_with("redis") { shared } else { "" };
        std::fs::write(folder.path().join("server.toml"), toml).expect("written");
        let secret = "0123456789abcdef".repeat(4);
        trace::note(&secret);
        for (name, content) in [("service.key", SERVICE_KEY), ("store.secret", &secret)] {
            let file = folder.path().join(name);
            std::fs::write(&file, content).expect("written");
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        }
        let mut command = at_home(command, folder.path(), &[]);
        command.process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let ready = format!("{address}/readyz");
        until("a login server", async || {
            http().get(&ready).send().await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        Self { folder, address, child }
    }

    fn issuer(&self) -> Issuer {
        self.address.parse().expect("an issuer")
    }

    async fn enrol(&self, issuer: &Issuer, agent: &RunningAgent) {
        let call = http().post(format!("{}/v1/enrolment-tickets", self.address)).bearer_auth(SERVICE_KEY);
        let answer = call.json(&json!({ "account": "ada", "name": "Ada" })).send().await.expect("an answer");
        let answer: serde_json::Value = answer.json().await.expect("JSON");
        trace::note_members(&answer);
        let ticket = answer["ticket"].as_str().expect("a ticket").parse().expect("a ticket");
        agent.handle.enrol(issuer, ticket).await.expect("enrolled");
    }
}

fn serve() -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--config", "server.toml"]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_stopped_is_told_from_a_server_that_was() {
    let (folder, mut redis) = (tempfile::tempdir().expect("a folder"), RedisServer::start(&[]));
    let server = Serving::start(None, free_places().site, &redis.url(), serve()).await;
    let agent = agent_of(folder.path(), &server.issuer(), |_| {}).await;
    server.enrol(&server.issuer(), &agent).await;
    let diagnosis = examine(folder.path()).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (0, vec![]), "{}", diagnosis.words);
    redis.kill();
    let diagnosis = examine(folder.path()).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["issuer_store"]), "{}", diagnosis.words);
    diagnosis.finding("issuer_store", "error", "look at the store");
    drop(server);
    until("another finding", async || examine(folder.path()).await.wrong() == ["issuer_unreachable"]).await;
    agent.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_computer_whose_clock_is_behind_is_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (folder, ports) = (folder.path(), free_places().agent);
    // The server is the one whose clock is off: what this computer says is the same.
    let mut ahead = Command::new("faketime");
    ahead.args(["-f", "+3h", PROGRAM, "serve", "--config", "server.toml"]);
    let server = Serving::start(None, free_places().site, "memory:", ahead).await;
    std::fs::write(folder.join("agent.toml"), agent_toml("a", &ports, &server.address)).expect("written");
    let _agent = Agent::start(folder, "agent.toml", "a.sock").await;
    let diagnosis = doctor(folder, &["--config", "agent.toml"]).await;
    let finding = diagnosis.finding("clock", "warning", "have both set by a time server");
    let what = finding["what"].as_str().expect("words");
    assert!(what.contains("3.0 hours behind") || what.contains("2.9 hours behind"), "{what}");
}

/// A proxy in front of the login server that is not as operations.md shows it.
async fn behind(location: impl Fn(u16) -> String) -> (Serving, Nginx, Issuer) {
    let port = free_places().site;
    let pass = |to: &str| format!("proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $http_host; {to}");
    let nginx =
        Nginx::start(|listen| format!("server {{ {listen} {} location / {{ {} }} }}", location(port), pass("")));
    let issuer: Issuer = format!("http://{}", nginx.address).parse().expect("an issuer");
    let server = Serving::start(Some(&issuer), port, "memory:", serve()).await;
    (server, nginx, issuer)
}

/// What is found of the link, once the agent has set out for it.
async fn found_of_link(folder: &Path, server: &Serving, issuer: &Issuer, code: &str, severity: &str) -> String {
    let agent = agent_of(folder, issuer, |_| {}).await;
    server.enrol(issuer, &agent).await;
    until(code, async || examine(folder).await.findings().any(|finding| finding["code"] == code)).await;
    let diagnosis = examine(folder).await;
    let cure = "`/v1/link` through with its upgrade to WebSocket";
    let what = diagnosis.finding(code, severity, cure)["what"].as_str().expect("words").to_owned();
    let wrong = if severity == "note" { vec![] } else { vec![code] };
    assert_eq!(diagnosis.wrong(), wrong, "{}", diagnosis.words);
    agent.stop().await;
    what
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_hides_the_link_is_a_note() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, _nginx, issuer) = behind(|_| "location /v1/link { return 404; }".to_owned()).await;
    let what = found_of_link(folder.path(), &server, &issuer, "no_link", "note").await;
    assert!(what.contains("has no link"), "{what}");
    assert!(server.folder.path().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_not_let_the_link_be_upgraded_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    // What nginx does without `proxy_set_header Upgrade`.
    let (server, _nginx, issuer) = behind(|_| String::new()).await;
    let what = found_of_link(folder.path(), &server, &issuer, "link_refused", "warning").await;
    assert!(what.contains("refuses the link (426)"), "{what}");
}
