//! `loopkey doctor`: set-ups that are broken for real, and what the real program says of each, in both its forms.

mod absent;
mod agent;
mod challenge;
mod documented;
mod gate;
mod issuer;
#[cfg(target_os = "linux")]
mod ports;
mod server;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use loopkey::agent::AgentSettings;
use loopkey::protocol::issuer::Issuer;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::support::places::free_places;
use crate::support::world::{RunningAgent, TestAsker, settings};

const PROGRAM: &str = env!("CARGO_BIN_EXE_loopkey");

/// The program, with a home of its own: whatever browsers the person running the tests has are not looked at.
fn loopkey(folder: &Path, arguments: &[&str]) -> Command {
    at_home(Command::new(PROGRAM), folder, arguments)
}

fn at_home(mut command: Command, folder: &Path, arguments: &[&str]) -> Command {
    command.args(arguments).current_dir(folder).env("HOME", folder).env("LOOPKEY_LOG", "error").kill_on_drop(true);
    for name in ["LOOPKEY_CONTROL", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// What the program said, in both forms.
struct Diagnosis {
    code: i32,
    report: Value,
    words: String,
    reason: String,
}

/// Has the program look, twice: for a support desk and for a person.
async fn doctor(folder: &Path, arguments: &[&str]) -> Diagnosis {
    diagnosed(|more| loopkey(folder, &[&["doctor"], more, arguments].concat())).await
}

async fn diagnosed(command: impl Fn(&[&str]) -> Command) -> Diagnosis {
    let run = async |more: &[&str]| {
        let output = command(more).output().await.expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    };
    let (code, json, reason) = run(&["--json"]).await;
    let (same, words, _) = run(&[]).await;
    assert_eq!(code, same, "both forms end alike: {json} {words} {reason}");
    let report = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}{reason}"));
    Diagnosis { code, report, words, reason }
}

impl Diagnosis {
    fn findings(&self) -> impl Iterator<Item = &Value> {
        self.report["findings"].as_array().expect("a list").iter()
    }

    /// The codes of everything that is more than a note.
    fn wrong(&self) -> Vec<&str> {
        let wrong = self.findings().filter(|finding| finding["severity"] != "note");
        wrong.map(|finding| finding["code"].as_str().expect("a code")).collect()
    }

    /// The one finding with this code; a person reads the same, with the cure, which has these words in it.
    #[track_caller]
    fn finding(&self, code: &str, severity: &str, cure: &str) -> &Value {
        let found: Vec<_> = self.findings().filter(|finding| finding["code"] == code).collect();
        let [finding] = found[..] else { panic!("{} times {code}: {:#}", found.len(), self.report) };
        assert_eq!(finding["severity"], severity, "{finding:#}");
        assert!(finding["cure"].as_str().expect("a cure").contains(cure), "{finding:#}");
        assert!(self.words.contains(&format!("[{code}]")) && self.words.contains(cure), "{}", self.words);
        finding
    }
}

/// `loopkey agent` as a process of its own.
struct Agent(#[expect(dead_code, reason = "it ends with this")] Child);

impl Agent {
    /// Starts it and waits until it answers.
    async fn start(folder: &Path, config: &str, control: &str) -> Self {
        let agent = Self(loopkey(folder, &["agent", "--config", config]).spawn().expect("the agent starts"));
        until("the agent's status", async || {
            let status =
                loopkey(folder, &["status", "--control", control]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.await.expect("the program runs").success()
        })
        .await;
        agent
    }
}

/// Tries until it holds; the deadline is far beyond anything that is not broken.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let started = tokio::time::Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} never came about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The configuration of an agent for one issuer, with names of its own for everything.
fn agent_toml(name: &str, ports: &[u16], issuer: &str) -> String {
    format!(
        "ports = {ports:?}\nstate_dir = \"{name}-state\"\ncontrol = \"{name}.sock\"\ndevelopment = true\nallow_root = true\n\
         [[issuer]]\nurl = \"{issuer}\"\n[[origin]]\norigin = \"{issuer}\"\nissuer = \"{issuer}\"\n"
    )
}

/// An agent inside this test, whose candidate ports nobody else has.
async fn agent_of(folder: &Path, issuer: &Issuer, change: impl FnOnce(&mut AgentSettings)) -> RunningAgent {
    let mut settings = settings(folder, issuer);
    settings.ports = free_places().agent;
    change(&mut settings);
    RunningAgent::start(settings, TestAsker::new(None)).await
}

/// Has the program look at such an agent.
async fn examine(folder: &Path) -> Diagnosis {
    doctor(folder, &["--control", &control_of(folder)]).await
}

fn control_of(folder: &Path) -> String {
    settings(folder, &"http://localhost:9".parse().expect("an issuer")).control.display().to_string()
}
