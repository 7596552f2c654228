//! What a running agent knows of itself.

use std::os::unix::fs::PermissionsExt as _;

use loopkey::agent::{OriginPolicy, Policy};
use serde_json::json;

use super::{agent_of, examine};
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
