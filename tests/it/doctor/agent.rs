//! What a running agent knows of itself.

use std::os::unix::fs::PermissionsExt as _;

use loopkey::agent::{OriginPolicy, Policy};
use serde_json::json;

use super::{agent_of, agent_toml, at_home, diagnosed, doctor, examine, loopkey};
use crate::support::places::free_places;
use crate::support::world::{Server, World};

#[tokio::test]
async fn a_peer_check_that_is_off_is_shown() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let agent = agent_of(folder.path(), &server.issuer, |settings| settings.peer_check = false).await;
    let diagnosis = examine(folder.path()).await;
    let wrong = vec!["nobody_enrolled", "peer_check_off"];
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, wrong), "{}", diagnosis.words);
    diagnosis.finding("peer_check_off", "warning", "remove peer_check = \"off\"");
    agent.stop().await;
}

#[tokio::test]
async fn a_policy_that_leaves_no_origin_is_the_reason_why_no_page_gets_in() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let agent = agent_of(folder.path(), &server.issuer, |settings| {
        let origin = server.issuer.origin();
        settings.policy = Policy {
            only_listed: true,
            origins: vec![OriginPolicy { origin, grants: None, consent: None, blocked: true }],
        };
    })
    .await;
    let diagnosis = examine(folder.path()).await;
    let wrong = vec!["no_origins", "nobody_enrolled"];
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, wrong), "{}", diagnosis.words);
    let details = &diagnosis.finding("policy", "note", "whoever administers")["details"];
    assert_eq!((&details["blocked"], &details["only_listed"]), (&json!([server.issuer.origin()]), &json!(true)));
    agent.stop().await;
}

#[tokio::test]
async fn an_audit_log_that_somebody_edited_and_a_key_that_others_can_read_are_found() {
    let world = World::with(|settings| settings.ports = free_places().agent).await;
    let state = &world.settings.state_dir;
    let log = state.join("audit.log");
    let text = std::fs::read_to_string(&log).expect("a log");
    std::fs::write(&log, text.replace("enrolled", "removed")).expect("edited");
    let key = std::fs::read_dir(state.join("keys")).expect("a folder").next().expect("a key").expect("readable").path();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let diagnosis = examine(world.folder.path()).await;
    assert_eq!(diagnosis.code, 1);
    let finding = diagnosis.finding("log_changed", "error", "loopkey log");
    assert!(
        finding["details"]["faults"][0].as_str().is_some_and(|fault| fault.contains("audit.log, line 1")),
        "{finding}"
    );
    assert!(diagnosis.words.contains("audit.log, line 1"), "{}", diagnosis.words);
    let finding = diagnosis.finding("state_open", "error", "run: chmod 600 ");
    assert_eq!(finding["details"]["path"], key.display().to_string());
    // This user's alone again, but no key.
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    std::fs::write(&key, "ES256\nsomething else").expect("overwritten");
    let diagnosis = examine(world.folder.path()).await;
    assert_eq!(diagnosis.wrong(), ["log_changed", "key_unusable"], "{}", diagnosis.words);
    diagnosis.finding("key_unusable", "error", "bring the file back");
    world.agent.stop().await;
}

/// Where the person's files are another's, or something else is in their place.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_of_another_user_and_what_is_no_key_are_named() {
    use crate::hostile::puppet::{NOBODY, ROOT, run_as};
    let folder = tempfile::tempdir().expect("a folder");
    let (folder, keys) = (folder.path(), folder.path().join("a-state").join("keys"));
    std::fs::create_dir_all(keys.join("another.key")).expect("made");
    for private in [folder.join("a-state"), keys.clone()] {
        std::fs::set_permissions(private, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let ports = free_places().agent;
    std::fs::write(folder.join("agent.toml"), agent_toml("a", &ports, "http://localhost:9")).expect("written");
    let mut chown = run_as(ROOT, std::path::Path::new("/bin/chown"));
    let given = chown.arg(NOBODY.to_string()).arg(&keys).status().expect("chown runs (it takes root, or sudo)");
    assert!(given.success(), "the folder is given away");
    let diagnosis = doctor(folder, &["--config", "agent.toml"]).await;
    let finding = diagnosis.finding("state_foreign", "error", "name another `state_dir`");
    assert_eq!(finding["details"]["path"], keys.display().to_string());
    assert!(finding["what"].as_str().expect("words").contains("belongs to user 65534"), "{finding}");
    let finding = diagnosis.finding("state_unusable", "error", "move it away, and enrol anew");
    assert_eq!(finding["details"]["path"], keys.join("another.key").display().to_string());
    // It is so.
    let started = loopkey(folder, &["agent", "--config", "agent.toml"]).output().await.expect("it runs");
    assert_eq!(started.status.code(), Some(1), "{started:?}");
}

/// A policy that nobody can read as one, in an `/etc` that nobody else sees.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_wrong_policy_is_named_entry_by_entry() {
    use crate::hostile::puppet::{ROOT, run_as};
    const IN_A_NAMESPACE: &str = r#"set -e; umask 022; etc="$1"; shift
        mount -t tmpfs -o mode=755 tmpfs "$etc"
        mkdir "$etc/loopkey"; printf 'only_listed = 7\n' > "$etc/loopkey/policy.toml"
        mount -t overlay -o "lowerdir=$etc:/etc" overlay /etc
        exec "$@""#;
    let folder = tempfile::tempdir().expect("a folder");
    let (folder, ports) = (folder.path(), free_places().agent);
    std::fs::create_dir(folder.join("etc")).expect("made");
    std::fs::write(folder.join("agent.toml"), agent_toml("a", &ports, "http://localhost:9")).expect("written");
    let diagnosis = diagnosed(|more| {
        let mut command = tokio::process::Command::from(run_as(ROOT, std::path::Path::new("unshare")));
        command.args(["--mount", "--", "sh", "-c", IN_A_NAMESPACE, "sh"]).arg(folder.join("etc"));
        command.arg(crate::hostile::puppet::loopkey());
        at_home(command, folder, &[&["doctor", "--config", "agent.toml"], more].concat())
    })
    .await;
    let finding = diagnosis.finding("policy_wrong", "error", "`loopkey check-config FILE` says how");
    let fault = finding["details"]["faults"][0].as_str().expect("a fault");
    assert!(fault.contains("only_listed"), "{finding}");
}

/// Something else than an agent listens at the control socket's place.
#[tokio::test]
async fn what_answers_and_is_no_agent_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = tokio::net::UnixListener::bind(folder.path().join("c.sock")).expect("a listener");
    let answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail.example ESMTP\r\n").await;
        }
    });
    let diagnosis = doctor(folder.path(), &["--control", "c.sock"]).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["control_unusable"]), "{}", diagnosis.words);
    diagnosis.finding("control_unusable", "error", "both of the same version");
    answering.abort();
}
