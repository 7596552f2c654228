//! An administrator's policy, obeyed by the real program: in a mount namespace of its own, whose `/etc` has one.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Child;

use super::puppet::{ROOT, agent_user, has, loopkey, run_as};
use crate::support::places::free_places;

const LISTED: &str = "http://localhost:9";
const UNLISTED: &str = "http://localhost:8";

const POLICY: &str = "only_listed = true\n[[origin]]\norigin = \"http://localhost:9\"\nconsent = \"always\"\n";

/// Puts the policy into an `/etc` that nobody else sees, and runs the agent as its user.
const IN_A_NAMESPACE: &str = r#"set -e; umask 022
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/loopkey"; printf %s "$2" > "$1/loopkey/policy.toml"; chmod "$3" "$1/loopkey/policy.toml"
mount -t overlay -o "lowerdir=$1:/etc" overlay /etc
cd "$4"; exec setpriv --reuid="$5" --regid="$5" --clear-groups -- "$6" --log info agent --config agent.toml"#;

/// A folder of the agent's user with a configuration that allows two origins.
struct Place {
    folder: tempfile::TempDir,
    port: u16,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_places().agent[0];
        let origin = |origin| {
            format!(
                "[[origin]]\norigin = \"{origin}\"\nissuer = \"{LISTED}\"\ngrants = [\"presence\"]\nproof = \"origin\"\n"
            )
        };
        let head = format!(
            "ports = [{port}]\nstate_dir = \"state\"\ncontrol = \"control.sock\"\ndevelopment = true\n\
             [[issuer]]\nurl = \"{LISTED}\"\n"
        );
        let settings = head + &origin(LISTED) + &origin(UNLISTED);
        std::fs::write(folder.path().join("agent.toml"), settings).expect("written");
        std::fs::create_dir(folder.path().join("etc")).expect("made");
        for path in [folder.path().to_owned(), folder.path().join("agent.toml")] {
            std::os::unix::fs::chown(path, Some(agent_user()), None).expect("given away");
        }
        Self { folder, port }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The agent under a policy whose file has these rights.
    fn start(&self, mode: &str) -> Child {
        let mut command = tokio::process::Command::from(run_as(ROOT, Path::new("unshare")));
        command.args(["--mount", "--", "sh", "-c", IN_A_NAMESPACE, "sh"]).arg(self.path().join("etc"));
        command.args([POLICY, mode]).arg(self.path()).arg(agent_user().to_string()).arg(loopkey());
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("unshare starts (it is in the package util-linux)")
    }

    /// A command of the agent's user.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command: Command = run_as(agent_user(), &loopkey());
        command.arg("--control").arg(self.path().join("control.sock")).args(arguments).current_dir("/");
        command.output().expect("it runs")
    }
}

impl Drop for Place {
    /// An agent that `sudo` started is not ours to kill, but its user's to stop.
    fn drop(&mut self) {
        self.run(&["stop"]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn the_program_obeys_an_administrators_policy_and_the_person_cannot_widen_it() {
    let place = Place::new();
    let mut agent = place.start("644");
    let mut log = BufReader::new(agent.stderr.take().expect("a log")).lines();
    let mut seen = Vec::new();
    while let Some(line) = log.next_line().await.expect("text") {
        seen.push(line);
        if seen.last().is_some_and(|line| line.contains("the agent listens")) {
            break;
        }
    }
    let applies = seen.iter().any(|line| line.contains("an administrator's policy applies"));
    assert!(applies, "this takes root, or sudo without a password, and leave to mount: {seen:#?}");
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });

    let knock = |origin| format!("upgrade {} {origin}", place.port);
    assert_eq!(has(agent_user(), &knock(LISTED)).await, "HTTP/1.1 101 Switching Protocols, greeted");
    assert_eq!(has(agent_user(), &knock(UNLISTED)).await, "HTTP/1.1 403 Forbidden", "the policy does not list it");
    let grants = place.run(&["grants"]);
    let listed = text(&grants.stdout);
    assert!(listed.contains(&format!("{LISTED} (consent: always, set by an administrator)")), "{listed}");
    assert!(!listed.contains(UNLISTED), "{listed}");

    let widened = place.run(&["grants", "set", LISTED, "prompt"]);
    let complaint = text(&widened.stderr);
    assert_eq!(widened.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("a person can narrow what is allowed, not widen it"), "{complaint}");
    assert_eq!(text(&place.run(&["grants"]).stdout), listed, "nothing has changed");
    assert_eq!(place.run(&["grants", "set", UNLISTED, "default"]).status.code(), Some(1), "nor can it be brought back");
    let narrowed = place.run(&["grants", "set", LISTED, "blocked"]);
    assert_eq!(narrowed.status.code(), Some(0), "{}", text(&narrowed.stderr));
    assert_eq!(has(agent_user(), &knock(LISTED)).await, "HTTP/1.1 403 Forbidden", "the person may be stricter");

    assert_eq!(place.run(&["stop"]).status.code(), Some(0));
    assert!(agent.wait().await.expect("it ends").success());
}

#[tokio::test]
async fn a_policy_that_a_person_could_have_written_stops_the_program() {
    let place = Place::new();
    let mut agent = place.start("666");
    let mut complaint = String::new();
    agent.stderr.take().expect("a log").read_to_string(&mut complaint).await.expect("text");
    assert_eq!(agent.wait().await.expect("it ends").code(), Some(2), "{complaint}");
    assert!(complaint.contains("/etc/loopkey/policy.toml") && complaint.contains("sudo chmod go-w"), "{complaint}");
}
