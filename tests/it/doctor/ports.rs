//! The candidate ports are not the agent's alone.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use tokio::process::Command;

use super::{Agent, agent_toml, at_home, diagnosed, doctor, loopkey, until};
use crate::hostile::puppet::{NOBODY, agent_user, has, own_user, run_as};
use crate::support::places::free_places;

const ISSUER: &str = "http://localhost:9";

#[tokio::test]
async fn a_port_that_another_program_has_is_named_with_that_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let (folder, ports) = (folder.path(), free_places().agent);
    std::fs::write(folder.join("agent.toml"), agent_toml("a", &ports, ISSUER)).expect("written");
    let this = std::env::current_exe().expect("a program");
    let this = this.file_name().expect("a name").to_str().expect("text");
    let _first = TcpListener::bind(("127.0.0.1", ports[0])).expect("the first port");
    let diagnosis = doctor(folder, &["--config", "agent.toml"]).await;
    let finding = diagnosis.finding("port_taken", "warning", "stop that program");
    let details = &finding["details"];
    assert_eq!(
        (&details["port"], &details["program"], &details["uid"]),
        (&ports[0].into(), &this.into(), &own_user().into())
    );
    assert!(finding["what"].as_str().expect("words").contains(this), "{finding}");
    // Taken on one family only is taken: and with the last one, no agent starts.
    let _second = TcpListener::bind(("::1", ports[1])).expect("the second port");
    let diagnosis = doctor(folder, &["--config", "agent.toml"]).await;
    let taken: Vec<_> = diagnosis.findings().filter(|finding| finding["code"] == "port_taken").collect();
    assert!(taken.len() == 2 && taken.iter().all(|finding| finding["severity"] == "error"), "{:#}", diagnosis.report);
    let output = loopkey(folder, &["agent", "--config", "agent.toml"]).output().await.expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn another_users_agent_is_told_from_a_stranger() {
    // Readable by all: two users look at it.
    let folder = tempfile::tempdir().expect("a folder");
    let (folder, port) = (folder.path(), free_places().agent[0]);
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).expect("a mode");
    let home = folder.join("home");
    std::fs::create_dir(&home).expect("made");
    let toml = agent_toml("a", &[port], ISSUER).replace("allow_root = true\n", "");
    std::fs::write(folder.join("agent.toml"), toml).expect("written");
    std::fs::write(home.join("agent.toml"), agent_toml("a", &[port], ISSUER).replace("allow_root = true\n", ""))
        .expect("written");
    std::os::unix::fs::chown(&home, Some(agent_user()), None).expect("given away");

    let program = crate::hostile::puppet::loopkey();
    let command = Command::from(run_as(agent_user(), &program));
    let mut command = at_home(command, &home, &["agent", "--config", "agent.toml"]);
    let _agent = command.spawn().expect("the agent starts");
    until("the agent's port", async || has(agent_user(), &format!("reach {port}")).await == "connected").await;

    let diagnosis = diagnosed(|more| {
        let command = Command::from(run_as(NOBODY, &program));
        at_home(command, folder, &[&["doctor", "--config", "agent.toml"], more].concat())
    })
    .await;
    assert_eq!(diagnosis.code, 3, "{}", diagnosis.words);
    let finding = diagnosis.finding("port_of_other_user", "error", "your agent takes the next port");
    assert_eq!(finding["details"]["uid"], agent_user(), "{finding}");
    assert!(!diagnosis.wrong().contains(&"port_taken"), "{}", diagnosis.words);
}

#[tokio::test]
async fn two_agents_of_one_user_are_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (folder, ports) = (folder.path(), free_places().agent);
    for name in ["a", "b"] {
        std::fs::write(folder.join(format!("{name}.toml")), agent_toml(name, &ports, ISSUER)).expect("written");
    }
    let _first = Agent::start(folder, "a.toml", "a.sock").await;
    let elsewhere = doctor(folder, &["--config", "a.toml", "--control", "nowhere.sock"]).await;
    assert_eq!(elsewhere.code, 3);
    let finding = elsewhere.finding("agent_elsewhere", "warning", "--control");
    assert!(finding["what"].as_str().expect("words").contains("loopkey, run by"), "{finding}");
    let second = Agent::start(folder, "b.toml", "b.sock").await;
    for control in ["a.sock", "b.sock"] {
        let diagnosis = doctor(folder, &["--control", control]).await;
        let finding = diagnosis.finding("two_agents", "warning", "stop one of them");
        assert_eq!(finding["details"]["ports"], serde_json::json!(ports));
    }
    drop(second);
    until("one agent alone", async || {
        let diagnosis = doctor(folder, &["--control", "a.sock"]).await;
        !diagnosis.wrong().contains(&"two_agents")
    })
    .await;
}
