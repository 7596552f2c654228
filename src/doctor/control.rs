//! The control socket from the client's side: what the agent says of itself, or why nobody answers.

use std::path::Path;

use serde_json::json;

use super::report::AgentAnswer;
use super::user;
use crate::agent::Finding;
use crate::agent::control::{self, ANSWER_TIMEOUT, ControlError, STATUS_TIMEOUT};

/// Asks the running agent how it stands and what it finds wrong.
pub(super) async fn ask(path: &Path) -> Result<AgentAnswer, ControlError> {
    let other_version =
        |reason: String| ControlError::Io { path: path.to_owned(), source: std::io::Error::other(reason) };
    let call = async |method: &str, patience| {
        control::call(path, method, &json!({}), patience).await.map_err(|error| match error {
            ControlError::Refused(error) => other_version(format!("the agent there answers {error}")),
            other => other,
        })
    };
    // The second asks login servers.
    let (status, examination) = (call("status", STATUS_TIMEOUT).await?, call("doctor", ANSWER_TIMEOUT).await?);
    let wrong = |error: serde_json::Error| other_version(format!("the agent there is of another version: {error}"));
    Ok(AgentAnswer {
        status: serde_json::from_value(status).map_err(wrong)?,
        examination: serde_json::from_value(examination).map_err(wrong)?,
    })
}

/// Why nobody answers.
pub(super) fn findings(path: &Path, error: &ControlError) -> Vec<Finding> {
    let (place, shown) = (path.display().to_string(), path.display());
    let whose = owner(path);
    let mut findings = Vec::new();
    match error {
        ControlError::NoAgent(_) => {
            findings.push(Finding::error(
                "no_agent",
                format!("no agent is running: nobody answers at {shown}"),
                "start the client, or `loopkey agent --config agent.toml`; if one runs, name its socket with --control or \
                 LOOPKEY_CONTROL (`loopkey demo` prints the one of its own)",
            ));
            if path.exists() && whose.is_none() {
                findings.push(Finding::warning(
                    "stale_socket",
                    format!("{shown} is left over from an agent that was killed"),
                    "start the agent again: it puts the file away by itself",
                ));
            }
        }
        ControlError::NotASocket(_) => findings.push(Finding::error(
            "control_not_a_socket",
            format!("{shown} is not a socket, so no agent can answer there"),
            "name another place with `control` in agent.toml (or --control, LOOPKEY_CONTROL), or move what is there away",
        )),
        ControlError::Silent { patience, .. } => findings.push(Finding::error(
            "agent_silent",
            format!("the agent at {shown} has not answered within {} s", patience.as_secs()),
            "stop it, or kill it where it does not stop, and start it again",
        )),
        other => findings.push(Finding::error(
            "control_unusable",
            other.to_string(),
            "if an agent runs there, stop it and start it anew, both of the same version",
        )),
    }
    if let Some(uid) = whose {
        findings.push(
            Finding::error(
                "foreign_socket",
                format!("{shown} belongs to {}, so no agent of yours can answer there", user::name_of(uid)),
                "have that user remove it, or name another place with `control` in agent.toml",
            )
            .with("uid", uid),
        );
    }
    findings.into_iter().map(|finding| finding.with("path", place.as_str())).collect()
}

/// Whose the file is, where it is another user's.
#[cfg(unix)]
fn owner(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = std::fs::symlink_metadata(path).ok()?.uid();
    (user::own() != Some(uid)).then_some(uid)
}

#[cfg(not(unix))]
fn owner(_: &Path) -> Option<u32> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_never_answers_is_waited_for_five_seconds_and_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).expect("a listener");
        let started = tokio::time::Instant::now();
        let error = ask(&path).await.expect_err("nobody answers");
        assert_eq!(started.elapsed().as_secs(), 5);
        let [finding] = &findings(&path, &error)[..] else { panic!("{error}") };
        assert_eq!(finding.code, "agent_silent");
        assert!(finding.cure.contains("start it again"), "{}", finding.cure);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_not_called_a_stale_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "mine").expect("written");
        let error = ask(&path).await.expect_err("nobody answers");
        let [finding] = &findings(&path, &error)[..] else { panic!("{error}") };
        assert_eq!(finding.code, "control_not_a_socket");
        assert!(finding.cure.contains("`control` in agent.toml"), "{}", finding.cure);
    }
}
