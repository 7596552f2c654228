//! The agent as a program of its own, in an environment of the test's choice, with a login server, one account that is
//! enrolled, and no client that said hello.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use loopkey::agent::control::{self, rpc};
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::state::PresenceState;
use serde_json::json;
use tokio::time::Instant;

use crate::support::places::free_places;
use crate::support::trace;
use crate::support::world::{Server, TestBrowser, TestPage};

/// Far longer than anything takes; what is waited for is always a condition.
const SOON: Duration = Duration::from_secs(30);

/// Ends the process with the test.
pub(super) struct Running(pub(super) Child);

impl Running {
    /// Starts a program that the tests need.
    pub(super) fn start(command: &mut Command, package: &str) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        Self(command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started ({error}): {}", cure(package))))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cure(package: &str) -> String {
    format!("install it with `apt-get install {package}`, or run ./test, which does")
}

/// What a program that the tests need says; panics where it fails.
pub(super) fn output(command: &mut Command, package: &str) -> String {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|error| panic!("{name} cannot be run ({error}): {}", cure(package)));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {} {complaint}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// Tries until it holds.
pub(super) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < SOON, "{what} never came about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for something that comes by itself.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.unwrap_or_else(|_| panic!("{what} never came about"))
}

pub(super) struct Program {
    pub(super) server: Server,
    pub(super) process: Running,
    /// A connection to the control socket that has not said hello.
    pub(super) control: rpc::Peer,
    pub(super) folder: tempfile::TempDir,
    port: u16,
}

impl Program {
    /// Starts the agent with these further lines at the top of its configuration and in its one origin. `command` makes
    /// the command of the program's path and its arguments.
    pub(super) async fn start(
        settings: &str,
        of_origin: &str,
        command: impl FnOnce(&str, [&str; 3]) -> Command,
    ) -> Self {
        let server = Server::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let (issuer, port) = (&server.issuer, free_places().agent[0]);
        let agent_toml = format!(
            "ports = [{port}]\nstate_dir = \"state\"\ncontrol = \"control.sock\"\ndevelopment = true\nallow_root = true\n\
             {settings}\n[[issuer]]\nurl = \"{issuer}\"\n[[origin]]\norigin = \"{issuer}\"\nissuer = \"{issuer}\"\n\
             {of_origin}\n"
        );
        std::fs::write(folder.path().join("agent.toml"), agent_toml).expect("written");
        let mut command = command(env!("CARGO_BIN_EXE_loopkey"), ["agent", "--config", "agent.toml"]);
        command.current_dir(folder.path());
        let process = Running::start(&mut command, "bsdutils");
        let control = connect(&folder.path().join("control.sock")).await;
        let enrolment = json!({ "issuer": issuer, "ticket": server.ticket("ada").await });
        control.call("account.enrol", &enrolment).await.expect("enrolled");
        trace::note_keys(folder.path());
        Self { server, process, control, folder, port }
    }

    /// The agent without a terminal, with these variables in its environment.
    pub(super) async fn with(settings: &str, of_origin: &str, variables: &[(&str, &str)]) -> Self {
        Self::start(settings, of_origin, |program, arguments| {
            let mut command = Command::new(program);
            command.args(arguments).env("LOOPKEY_LOG", "warn").stdin(Stdio::null());
            trace::of_child(&mut command);
            command.envs(variables.iter().copied());
            command
        })
        .await
    }

    /// A page whose socket is open.
    pub(super) async fn open_page(&self) -> (TestBrowser, TestPage) {
        let mut browser = TestBrowser::of(&self.server);
        let open = OpenWith::Challenge(browser.challenge().await);
        let mut page = TestPage::connect_to_port(self.port, &self.server.issuer, open).await;
        let ready = page.next().await.expect("ready");
        assert!(matches!(ready, AgentMessage::Ready { .. }), "{ready:?}");
        (browser, page)
    }

    /// A page that has asked for a token, and the digits that it shows.
    pub(super) async fn page_that_asks(&self) -> (TestPage, String) {
        let (mut browser, mut page) = self.open_page().await;
        let (_, message) = page.machine.login(browser.challenge().await);
        page.send(&message.encode()).await;
        match soon("the prompt", page.next()).await {
            Ok(AgentMessage::Consent { code, .. }) => (page, code),
            other => panic!("{other:?}"),
        }
    }

    /// Says a presence, as the command does.
    pub(super) async fn say(&self, presence: PresenceState) {
        self.control.call("presence.set", &json!({ "presence": presence })).await.expect("set");
    }
}

/// Connects to a control socket as soon as there is one.
pub(super) async fn connect(path: &Path) -> rpc::Peer {
    let started = Instant::now();
    loop {
        if let Ok((peer, _incoming, driver)) = control::connect(path).await {
            tokio::spawn(driver);
            return peer;
        }
        assert!(started.elapsed() < SOON, "the agent does not come up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
