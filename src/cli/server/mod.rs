//! The commands for whoever runs a login server, and the demo. A command that is built for desktops alone has none of them.

mod admin;
mod demo;
mod descriptors;
mod reload;
mod serve;

use clap::Subcommand;
use tokio::runtime;

use super::{Failure, Global};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows everything at work: a demo site, its login server, an agent and a signed-in client, all on this computer.
    Demo(demo::Arguments),
    /// Runs the login server.
    Serve(serve::Arguments),
    /// Administers a login server: its accounts, devices, audit record and keys.
    Admin(admin::Arguments),
}

impl Command {
    /// The login server has the machine for itself.
    pub(super) fn runtime(&self) -> runtime::Builder {
        match self {
            Self::Serve(_) => runtime::Builder::new_multi_thread(),
            Self::Demo(_) | Self::Admin(_) => runtime::Builder::new_current_thread(),
        }
    }

    /// The demo's addresses are to be seen, not what happens behind them.
    pub(super) const fn usual_log(&self) -> &'static str {
        match self {
            Self::Demo(_) => "warn",
            Self::Serve(_) | Self::Admin(_) => "info",
        }
    }
}

pub(super) async fn run(command: Command, global: Global) -> Result<(), Failure> {
    match command {
        Command::Demo(arguments) => demo::run(arguments, global).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Admin(arguments) => admin::run(arguments).await,
    }
}
