//! The commands that make the agent part of a person's desktop, and say what is wrong there. A command that was built as a
//! service alone has none of them.

mod certs;
mod doctor;
mod install;
mod open_url;
mod policy;
mod release;
mod uninstall;

use clap::Subcommand;

use super::{Failure, Global};
use crate::install::InstallError;

pub(super) use release::release;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Says what is wrong and what to do: with the agent, its ports, its login servers, and the browsers' permissions.
    Doctor(doctor::Arguments),
    /// Makes the agent part of this person's desktop: it starts at login, and pages can wake it (`loopkey:wake`).
    Install(install::Arguments),
    /// Takes away everything that `loopkey install` made.
    Uninstall(uninstall::Arguments),
    /// Makes a certificate for the agent's TLS port, tells browsers of its authority, and takes it all away.
    Certs(certs::Arguments),
    /// Writes browsers' policies and the agent's own for whole organisations: sites that reach the agent without a question.
    Policy(policy::Arguments),
    /// Opens the address `loopkey:wake`: starts the installed agent if none is running. Browsers call this.
    OpenUrl(open_url::Arguments),
}

pub(super) async fn run(command: Command, global: Global) -> Result<(), Failure> {
    match command {
        Command::Doctor(arguments) => doctor::run(arguments, global).await,
        Command::Install(arguments) => install::run(&arguments),
        Command::Uninstall(arguments) => uninstall::run(&arguments).await,
        Command::Certs(arguments) => certs::run(arguments),
        Command::Policy(arguments) => policy::run(arguments),
        Command::OpenUrl(arguments) => open_url::run(&arguments).await,
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Root | InstallError::Unwritable(_) => Self::misused(error),
            other => Self::failed(other),
        }
    }
}
