//! Whether the files that the agent keeps are there, whole, and this user's alone.

use std::path::Path;

use super::finding::Finding;
use crate::agent::audit;
use crate::agent::issuer::hub::Hub;
use crate::agent::issuer::keystore::{KeyStore, KeyStoreError};
use crate::keyfile::{self, KeyFileError};

/// Places where the log was changed that are named, from the first: a report is for people.
const MAX_LOG_FAULTS: usize = 10;

/// Looks at the files in a state folder; one that does not exist yet is all right.
#[must_use]
pub fn examine_state(folder: &Path) -> Vec<Finding> {
    if !folder.exists() {
        return Vec::new();
    }
    let keys = folder.join("keys");
    let folders = [folder, keys.as_path()].into_iter().filter(|folder| folder.exists());
    let mut findings: Vec<_> =
        folders.filter_map(|folder| keyfile::private_folder(folder).err()).map(|e| of_file(&e)).collect();
    let files = std::fs::read_dir(&keys).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let key_files = files.filter(|path| path.extension().is_some_and(|extension| extension == "key"));
    findings.extend(key_files.filter_map(|path| keyfile::read(&path).err()).map(|error| of_file(&error)));
    match audit::read(folder) {
        Ok(reading) if reading.faults.is_empty() => {}
        Ok(reading) => {
            let faults: Vec<_> = reading.faults.iter().take(MAX_LOG_FAULTS).map(ToString::to_string).collect();
            findings.push(
                Finding::error(
                    "log_changed",
                    "the audit log is not as the agent wrote it",
                    "`loopkey log` shows the lines; keep the files for whoever has to look into it, then move them away",
                )
                .with("faults", faults)
                .with("count", reading.faults.len()),
            );
        }
        Err(audit::AuditError::File(error)) => findings.push(of_file(&error)),
        Err(error) => findings.push(Finding::error(
            "state_unusable",
            error.to_string(),
            "look at the disk and the folder's rights",
        )),
    }
    findings
}

/// Looks at the device keys of the enrolled accounts: without its key an account is lost, and the agent does not start again.
pub(super) fn examine_keys(hub: &Hub, keys: &dyn KeyStore) -> Vec<Finding> {
    let broken = hub.accounts().into_iter().filter_map(|account| keys.load(account.key).err());
    let finding = |error: KeyStoreError| match error {
        KeyStoreError::File(error) => of_file(&error),
        error => {
            Finding::error("key_unusable", error.to_string(), "bring the file back, or enrol anew with `loopkey enrol`")
        }
    };
    broken.map(finding).collect()
}

/// Looks whether everything that holds is on the disk.
pub(super) fn examine_record(hub: &Hub) -> Option<Finding> {
    if hub.is_saved() {
        return None;
    }
    let finding = Finding::error(
        "state_unusable",
        "what was taken back last (a sign-out, an account, a consent) could not be written down: a restart would undo it",
        "make room on the disk, or have the state folder's rights right; it is tried again until it is written down",
    );
    Some(finding.with("issuer", hub.issuer().as_str()))
}

fn of_file(error: &KeyFileError) -> Finding {
    let (path, finding) = match error {
        KeyFileError::TooOpen { path, mode } => (
            path,
            Finding::error(
                "state_open",
                format!("others can read {} (mode {mode:03o}), so the agent does not use it", path.display()),
                format!("run: chmod 600 {}; if others could have read it, enrol anew", path.display()),
            ),
        ),
        KeyFileError::FolderTooOpen { path, mode } => (
            path,
            Finding::error(
                "state_open",
                format!(
                    "others can write in {} (mode {mode:03o}), so the agent does not start with it",
                    path.display()
                ),
                format!("run: chmod 700 {}", path.display()),
            ),
        ),
        KeyFileError::ForeignOwner { path, owner } => (
            path,
            Finding::error(
                "state_foreign",
                format!("{} belongs to user {owner}, so the agent does not use it", path.display()),
                "move it away, or name another `state_dir` in agent.toml",
            ),
        ),
        KeyFileError::NotAKeyFile { path } => (
            path,
            Finding::error("state_unusable", error.to_string(), "move it away, and enrol anew with `loopkey enrol`"),
        ),
        KeyFileError::Io { path, .. } => (
            path,
            Finding::error(
                "state_unusable",
                error.to_string(),
                "look at the disk and the file's rights; a lost key means enrolling anew",
            ),
        ),
    };
    finding.with("path", path.display().to_string())
}
