//! `policy.toml`: what an administrator allows on this computer.

use std::path::{Path, PathBuf};

use super::reader::Section;
use super::{ConfigError, check};
use crate::agent::{OriginPolicy, Policy};
use crate::protocol::grant::{ConsentMode, Grant};

/// Reads `policy.toml`.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong.
pub fn policy(text: &str) -> Result<Policy, ConfigError> {
    // Nothing in it is a path.
    check(text, Path::new(""), |notes, root| {
        let policy = read(root);
        for (at, origin) in policy.origins.iter().enumerate() {
            if policy.origins[..at].iter().any(|other| other.origin == origin.origin) {
                notes.fault_of(&format!("origin[{at}].origin"), "this origin is listed twice: remove one");
            }
        }
        Some(policy)
    })
}

fn read(mut root: Section<'_>) -> Policy {
    let only_listed = root.boolean("only_listed").unwrap_or(false);
    let origins = root.sections("origin", origin);
    root.end(&["only_listed", "origin"]);
    Policy { only_listed, origins }
}

fn origin(mut section: Section<'_>) -> Option<OriginPolicy> {
    let origin = section.required("origin", "\"https://app.example.com\"");
    let grants = section.list_of::<Grant>("grants");
    let consent = section.one_of(
        "consent",
        &[
            ("prompt", Some(ConsentMode::Prompt)),
            ("always", Some(ConsentMode::Always)),
            ("page", Some(ConsentMode::Page)),
            ("blocked", None),
        ],
    );
    section.end(&["origin", "grants", "consent"]);
    let grants = grants.map(|grants| grants.into_iter().collect());
    Some(OriginPolicy { origin: origin?, grants, consent: consent.flatten(), blocked: consent == Some(None) })
}

/// Where this computer's policy is: in a place that only its administrators can write to.
#[must_use]
pub fn policy_path() -> PathBuf {
    #[cfg(target_os = "macos")]
    return PathBuf::from("/Library/Application Support/Loopkey/policy.toml");
    #[cfg(windows)]
    return PathBuf::from(std::env::var_os("ProgramData").unwrap_or_else(|| r"C:\ProgramData".into()))
        .join("Loopkey")
        .join("policy.toml");
    #[cfg(not(any(target_os = "macos", windows)))]
    PathBuf::from("/etc/loopkey/policy.toml")
}

/// Reads this computer's policy; an empty one where there is none.
///
/// # Errors
/// Those of [`policy_at`].
pub fn system_policy() -> Result<Policy, ConfigError> {
    policy_at(&policy_path())
}

/// Reads the policy in a file; an empty one where there is none.
///
/// # Errors
/// [`ConfigError`] where it cannot be read, is wrong, or somebody other than an administrator could have written it.
pub fn policy_at(path: &Path) -> Result<Policy, ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Policy::default()),
        Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    };
    require_administrators(path)?;
    tracing::info!(policy = %path.display(), "an administrator's policy applies");
    policy(&text).map_err(|error| ConfigError::InFile(path.to_owned(), Box::new(error)))
}

/// The file and its folder must be root's, and nobody else's to write to.
#[cfg(unix)]
fn require_administrators(path: &Path) -> Result<(), ConfigError> {
    use std::os::unix::fs::MetadataExt as _;
    for path in [path, path.parent().unwrap_or(path)] {
        let metadata =
            std::fs::metadata(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
            return Err(ConfigError::NotAdministrators(path.to_owned()));
        }
    }
    Ok(())
}

/// Windows keeps people from writing below `ProgramData\Loopkey` where the installer says so; this does not look.
#[cfg(not(unix))]
fn require_administrators(_: &Path) -> Result<(), ConfigError> {
    Ok(())
}
