//! What makes the agent part of a person's desktop: the scheme `loopkey:`, which wakes it, and its start at login.
//!
//! What is registered is decided here as plain text, one file a system ([`linux`], [`macos`], [`windows`]): paths come in,
//! a [`Plan`] goes out. `apply` does what a plan says, and a [`Record`] of what was done lets `loopkey uninstall`
//! take away exactly that. Only files of this user are touched, never the system's.

mod apply;
mod fault;
pub mod linux;
pub mod macos;
mod plan;
mod record;
mod step;
pub mod windows;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use apply::{install, uninstall};
pub use fault::InstallError;
pub use plan::{DefaultProgram, Entry, Plan};
pub use record::{Record, StartsBy};
pub use step::Step;

/// What is registered: which program, told what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    program: String,
    config: String,
    port: u16,
}

impl Registration {
    /// For a program and a configuration file, both by their absolute paths, and the first of the agent's ports.
    ///
    /// # Errors
    /// [`InstallError::Unwritable`] where a path cannot stand in the files of a desktop: they are lines of UTF-8.
    pub fn new(program: &Path, config: &Path, port: u16) -> Result<Self, InstallError> {
        let text = |path: &Path| match path.to_str() {
            Some(text) if path.is_absolute() && !text.contains(char::is_control) => Ok(text.to_owned()),
            _ => Err(InstallError::Unwritable(path.to_owned())),
        };
        Ok(Self { program: text(program)?, config: text(config)?, port })
    }
}

/// Where a person's desktop keeps its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Homes {
    /// The home folder.
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME`, or what the system has in its place.
    pub config: PathBuf,
    /// `XDG_DATA_HOME`, or what the system has in its place.
    pub data: PathBuf,
}

impl Homes {
    /// This user's.
    ///
    /// # Errors
    /// [`InstallError::NoHome`].
    pub fn of_this_user() -> Result<Self, InstallError> {
        let folders = directories::BaseDirs::new().ok_or(InstallError::NoHome)?;
        let (home, config, data) = (folders.home_dir(), folders.config_dir(), folders.data_local_dir());
        Ok(Self { home: home.to_owned(), config: config.to_owned(), data: data.to_owned() })
    }

    /// Where it is remembered what was registered.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.config.join("loopkey").join("install.json")
    }

    /// What is to be registered on this system.
    #[must_use]
    pub fn plan(&self, registration: &Registration) -> Plan {
        if cfg!(windows) {
            windows::plan(registration)
        } else if cfg!(target_os = "macos") {
            macos::plan(registration, self, user_id())
        } else if has_user_manager() {
            linux::plan(registration, self, StartsBy::Systemd)
        } else {
            linux::plan(registration, self, StartsBy::Session)
        }
    }
}

/// Registers and takes away for one person, so not for root, unless its agent may run as root too.
///
/// # Errors
/// [`InstallError::Root`].
pub fn require_a_person(allow_root: bool) -> Result<(), InstallError> {
    if user_id() == 0 && !allow_root { Err(InstallError::Root) } else { Ok(()) }
}

fn user_id() -> u32 {
    #[cfg(unix)]
    return rustix::process::geteuid().as_raw();
    // Where there are no numbers, nobody is number 0.
    #[cfg(not(unix))]
    u32::MAX
}

/// Whether systemd runs for this user, and can be asked from here.
fn has_user_manager() -> bool {
    run(&["systemctl", "--user", "show", "--property=Version"]).is_ok()
}

/// Has systemd start the agent, and hold its port.
///
/// # Errors
/// [`InstallError::Command`] where it does not run here, or does not know the agent.
pub fn start_by_systemd() -> Result<(), InstallError> {
    run(&["systemctl", "--user", "--no-block", "start", linux::SERVICE])
}

/// Has systemd let go of the agent's port, so that no page starts it again.
///
/// # Errors
/// [`InstallError::Command`] where it does not run here, or does not know the agent.
pub fn release_by_systemd() -> Result<(), InstallError> {
    run(&["systemctl", "--user", "stop", linux::SOCKET])
}

/// Runs a program of the system to its end, without a shell.
fn run<W: AsRef<str>>(words: &[W]) -> Result<(), InstallError> {
    output(words).map(drop)
}

/// Runs a program of the system to its end, without a shell; gives what it wrote.
pub(crate) fn output<W: AsRef<str>>(words: &[W]) -> Result<Vec<u8>, InstallError> {
    let fault = |reason: String| InstallError::Command { command: plan::shown(words), reason };
    let given = words;
    let mut words = words.iter().map(AsRef::as_ref);
    let mut command = Command::new(words.next().unwrap_or_default());
    let output = command.args(words).stdin(Stdio::null()).output();
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => InstallError::Missing { command: plan::shown(&given[..1]) },
        _ => fault(error.to_string()),
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next_back().map_or_else(|| output.status.to_string(), str::to_owned);
    Err(fault(said))
}
