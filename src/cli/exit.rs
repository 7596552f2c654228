//! How a command ends when it does not succeed.

use std::fmt::Display;
use std::process::ExitCode;

use crate::agent::control::ControlError;
use crate::config::ConfigError;

/// Why a command did not succeed, and the exit code for it.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// It was tried and did not work: exit code 1.
    pub(super) fn failed(reason: impl Display) -> Self {
        Self { code: 1, message: reason.to_string() }
    }

    /// The usage or the configuration is wrong: exit code 2.
    pub(super) fn misused(reason: impl Display) -> Self {
        Self { code: 2, message: reason.to_string() }
    }

    /// Nobody answers on the control socket: exit code 3.
    pub(super) fn no_agent(reason: impl Display) -> Self {
        Self { code: 3, message: reason.to_string() }
    }

    /// Says why on standard error and gives the exit code.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "this is where the program speaks to the person")]
    pub fn report(&self) -> ExitCode {
        eprintln!("loopkey: {}", self.message);
        ExitCode::from(self.code)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        if matches!(error, ControlError::NoAgent(_)) { Self::no_agent(error) } else { Self::failed(error) }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::misused(error)
    }
}
