//! Nobody answers on the control socket.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::{Agent, agent_toml, doctor, loopkey, until};
use crate::support::places::free_places;
use crate::support::world::Server;

#[tokio::test]
async fn that_no_agent_runs_is_said_first_and_ends_with_3() {
    let folder = tempfile::tempdir().expect("a folder");
    let diagnosis = doctor(folder.path(), &["--control", "nowhere.sock"]).await;
    assert_eq!(diagnosis.code, 3, "{}", diagnosis.words);
    let finding = diagnosis.finding("no_agent", "error", "loopkey agent --config");
    assert_eq!(finding["details"]["path"], "nowhere.sock");
    assert_eq!(diagnosis.reason, "loopkey: no agent is running\n");
    assert_eq!(diagnosis.report["agent"], json!(null));
    assert!(
        diagnosis.words.starts_with("Keeps people from signing in:\n  ✗ no agent is running"),
        "{}",
        diagnosis.words
    );
}

#[tokio::test]
async fn a_socket_file_of_an_agent_that_was_killed_is_told_from_a_running_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let server = Server::start().await;
    let ports = free_places().agent;
    std::fs::write(folder.join("agent.toml"), agent_toml("a", &ports, server.issuer.as_str())).expect("written");
    let agent = Agent::start(folder, "agent.toml", "a.sock").await;
    assert_eq!(doctor(folder, &["--control", "a.sock"]).await.wrong(), ["nobody_enrolled"]);
    drop(agent); // SIGKILL
    until("the end of the agent", async || {
        loopkey(folder, &["status", "--control", "a.sock"]).output().await.expect("it runs").status.code() == Some(3)
    })
    .await;
    let diagnosis = doctor(folder, &["--config", "agent.toml"]).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (3, vec!["no_agent", "stale_socket"]));
    diagnosis.finding("stale_socket", "warning", "start the agent again");
    // As the cure says.
    let _agent = Agent::start(folder, "agent.toml", "a.sock").await;
    assert_eq!(doctor(folder, &["--config", "agent.toml"]).await.wrong(), ["nobody_enrolled"]);
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_named_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("a.sock"), "mine").expect("written");
    let ports = free_places().agent;
    std::fs::write(folder.join("agent.toml"), agent_toml("a", &ports, "http://localhost:9")).expect("written");
    let diagnosis = doctor(folder, &["--control", "a.sock"]).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["control_not_a_socket"]));
    diagnosis.finding("control_not_a_socket", "error", "name another place with `control`");
    for arguments in [&["status", "--control", "a.sock"][..], &["agent", "--config", "agent.toml"]] {
        let output = loopkey(folder, arguments).output().await.expect("it runs");
        let reason = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{reason}");
        assert!(reason.contains("a.sock is not a socket"), "{reason}");
    }
    assert_eq!(std::fs::read_to_string(folder.join("a.sock")).expect("it is still there"), "mine");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_socket_file_of_another_user_is_named_with_its_owner() {
    use crate::hostile::puppet::{NOBODY, ROOT, run_as};
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket file"));
    let mut chown = run_as(ROOT, std::path::Path::new("/bin/chown"));
    let given = chown.arg(NOBODY.to_string()).arg(&socket).status().expect("chown runs (it takes root, or sudo)");
    assert!(given.success(), "the file is given away");
    let diagnosis = doctor(folder.path(), &["--control", "control.sock"]).await;
    let finding = diagnosis.finding("foreign_socket", "error", "have that user remove it");
    assert_eq!(finding["details"]["uid"], NOBODY);
    assert!(finding["what"].as_str().expect("words").contains("nobody (65534)"), "{finding}");
}

#[tokio::test]
async fn a_wrong_configuration_is_named_entry_by_entry_and_ends_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "ports = [80]\n[[issuer]]\nurl = \"https://app.example.com/\"\n";
    std::fs::write(folder.path().join("agent.toml"), text).expect("written");
    let diagnosis = doctor(folder.path(), &["--config", "agent.toml", "--control", "nowhere.sock"]).await;
    assert_eq!(diagnosis.code, 2, "{}", diagnosis.words);
    let finding = diagnosis.finding("config_wrong", "error", "check-config");
    assert_eq!(finding["details"]["faults"].as_array().map(Vec::len), Some(2), "{finding}");
    for line in ["line 1: ports[0]", "line 3: issuer[0].url"] {
        assert!(diagnosis.words.contains(line), "{line} is not in {}", diagnosis.words);
    }
    assert_eq!(doctor_usage(folder.path()).await, Some(2));
}

async fn doctor_usage(folder: &std::path::Path) -> Option<i32> {
    loopkey(folder, &["doctor", "--jsn"]).output().await.expect("the program runs").status.code()
}

/// Where no agent runs, the command looks itself at what the configuration names.
#[tokio::test]
async fn what_would_keep_the_agent_from_starting_is_found_without_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (folder, ports) = (folder.path(), free_places().agent);
    let mut server = Server::start().await;
    std::fs::write(folder.join("agent.toml"), agent_toml("a", &ports, server.issuer.as_str())).expect("written");
    assert_eq!(doctor(folder, &["--config", "agent.toml"]).await.wrong(), ["no_agent"]);
    server.stop().await;
    let state = folder.join("a-state");
    std::fs::create_dir(&state).expect("made");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).expect("a mode");
    let diagnosis = doctor(folder, &["--config", "agent.toml"]).await;
    assert_eq!(diagnosis.code, 3);
    diagnosis.finding("issuer_unreachable", "error", "a proxy or a firewall");
    let finding = diagnosis.finding("state_open", "error", "run: chmod 700 ");
    assert_eq!(finding["details"]["path"], state.display().to_string());
    // It is so: the agent does not start, until it is done as the cure says.
    let start = async || loopkey(folder, &["agent", "--config", "agent.toml"]).output().await.expect("it runs").status;
    assert_eq!(start().await.code(), Some(1));
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).expect("a mode");
    let _agent = Agent::start(folder, "agent.toml", "a.sock").await;
}

#[tokio::test]
async fn help_teaches_the_signs_the_exit_codes_and_examples() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = loopkey(folder.path(), &["doctor", "--help"]).output().await.expect("the program runs");
    let help = String::from_utf8(output.stdout).expect("text");
    for words in ["Exit codes: 0 nothing is wrong", "loopkey doctor --config agent.toml", "✗", "docs/doctor.md"] {
        assert!(help.contains(words), "{words} is not in {help}");
    }
}
