//! The control socket from the client's side: what the agent says of itself, or why nobody answers.

use std::path::Path;

use serde_json::{Value, json};

use super::report::AgentAnswer;
use super::user;
use crate::agent::Finding;
use crate::agent::control::{self, ControlError};

/// Asks the running agent how it stands and what it finds wrong.
pub(super) async fn ask(path: &Path) -> Result<AgentAnswer, ControlError> {
    let (peer, _incoming, driver) = control::connect(path).await?;
    tokio::spawn(driver);
    let other_version =
        |reason: String| ControlError::Io { path: path.to_owned(), source: std::io::Error::other(reason) };
    let call = async |method: &str| -> Result<Value, ControlError> {
        peer.call(method, &json!({})).await.map_err(|error| other_version(format!("the agent there answers {error}")))
    };
    let (status, examination) = (call("status").await?, call("doctor").await?);
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
                 LOOPKEY_CONTROL",
            ));
            if path.exists() && whose.is_none() {
                findings.push(Finding::warning(
                    "stale_socket",
                    format!("{shown} is left over from an agent that was killed"),
                    "start the agent again: it puts the file away by itself",
                ));
            }
        }
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
