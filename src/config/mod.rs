//! Configuration files into validated types. Everything that is wrong is reported, with its line and the cure, before
//! anything is bound.

mod agent;
#[cfg(feature = "cli")]
mod connectors;
mod policy;
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "some of it only `server.toml` needs"))]
mod reader;
#[cfg(feature = "cli")]
mod server;
#[cfg(feature = "cli")]
mod tls;

use std::path::{Path, PathBuf};

pub use agent::{agent, default_control, default_state_dir};
pub use policy::{policy, policy_at, policy_path, system_policy};
pub use reader::Fault;
use reader::{Notes, Section};
#[cfg(feature = "cli")]
pub use server::{ServerConfig, server};
#[cfg(feature = "cli")]
pub use tls::Tls;

/// A configuration file that cannot stay as it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not there.
    #[error(
        "there is no file {0}: name the one that is meant, or write it (docs/integrate.md shows what stands in one)"
    )]
    Missing(PathBuf),
    /// It is the other command's.
    #[error("{0} looks like {1}")]
    OtherKind(PathBuf, &'static str),
    /// A policy that a person could have written.
    #[error(
        "{0}: a policy counts only where nobody but root can write to it and its folder; run: sudo chown root {0} && sudo chmod go-w {0}"
    )]
    NotAdministrators(PathBuf),
    /// Something is wrong with the file.
    #[error("{0} cannot stay as it is:\n{1}")]
    InFile(PathBuf, Box<ConfigError>),
    /// Entries are wrong.
    #[error("{}", list(.0))]
    Faults(Vec<Fault>),
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads a configuration file as text.
///
/// # Errors
/// [`ConfigError::Missing`], [`ConfigError::Unreadable`].
pub fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ConfigError::Missing(path.to_owned()),
        _ => ConfigError::Unreadable { path: path.to_owned(), source },
    })
}

/// The folder that paths in a configuration file begin in: its own, from wherever the program was started.
///
/// # Errors
/// [`ConfigError::Unreadable`] where there is no working directory.
pub fn folder_of(path: &Path) -> Result<PathBuf, ConfigError> {
    let whole =
        std::path::absolute(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    Ok(whole.parent().unwrap_or(&whole).to_owned())
}

/// Reads and checks a configuration file of the kind that the command needs.
///
/// # Errors
/// [`ConfigError`], naming the file, and the other command where the file is that one's.
pub fn load<T>(
    path: &Path,
    kind: Kind,
    parse: impl Fn(&str, &Path) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    let text = read(path)?;
    parse(&text, &folder_of(path)?).map_err(|error| match (kind, Kind::of(&text)) {
        (Kind::Agent, Kind::Server) if cfg!(feature = "cli") => {
            ConfigError::OtherKind(path.to_owned(), "a login server's: use `loopkey serve`")
        }
        (Kind::Agent, Kind::Server) => {
            ConfigError::OtherKind(path.to_owned(), "a login server's: its place is where that one is installed")
        }
        (Kind::Agent | Kind::Server, Kind::Policy) => {
            ConfigError::OtherKind(path.to_owned(), "a policy: see docs/operations-agent.md")
        }
        // An empty file is nobody's.
        (Kind::Server, Kind::Agent) if !text.trim().is_empty() => {
            ConfigError::OtherKind(path.to_owned(), "an agent's: use `loopkey agent`")
        }
        _ => ConfigError::InFile(path.to_owned(), Box::new(error)),
    })
}

/// Which of the files a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `agent.toml`
    Agent,
    /// `server.toml`
    Server,
    /// `policy.toml`
    Policy,
}

impl Kind {
    /// Guesses from the keys that only one of them has.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let has = |key: &str| text.lines().any(|line| line.trim_start().starts_with(key));
        // An agent's origins name their issuer; a policy has none.
        if has("only_listed") || has("[[origin]]") && !has("issuer") && !has("[[issuer]]") {
            return Self::Policy;
        }
        let server_only =
            ["issuer =", "issuer=", "listen", "origins", "store", "service_key_file", "token_key_file", "[tls]"];
        let root = text.lines().map(str::trim).take_while(|line| !line.starts_with("[["));
        let is_server = |line: &str| server_only.iter().any(|key| line.starts_with(key));
        if root.into_iter().any(is_server) { Self::Server } else { Self::Agent }
    }
}

/// Reads a file of a folder with `read`; succeeds where nothing was found wrong.
fn check<T>(
    text: &str,
    folder: &Path,
    read: impl FnOnce(&Notes<'_>, Section<'_>) -> Option<T>,
) -> Result<T, ConfigError> {
    let notes = Notes::new(text, folder);
    let value = notes.parse().and_then(|root| read(&notes, root));
    let faults = notes.into_faults();
    match value {
        Some(value) if faults.is_empty() => Ok(value),
        _ => Err(ConfigError::Faults(faults)),
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests;
