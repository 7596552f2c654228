//! `loopkey agent`

use std::net::TcpListener;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, Global, signals};
use crate::agent::{Agent, StartError};
use crate::config;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file (see docs/integrate.md; `loopkey check-config` explains what is wrong with one).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn run(arguments: Arguments, global: Global) -> Result<(), Failure> {
    let mut settings = config::load(&arguments.config, config::Kind::Agent, config::agent)?;
    settings.policy = config::system_policy()?;
    if let Some(control) = global.control {
        settings.control = control;
    }
    leave_no_core();
    let agent = Agent::builder(settings).inherited(inherited()?).bind().await.map_err(|error| match error {
        StartError::Settings(_) | StartError::Root | StartError::NoPeerCheck | StartError::Tls(_) => {
            Failure::misused(error)
        }
        other => Failure::failed(other),
    })?;
    agent.run(signals::shutdown()).await;
    Ok(())
}

/// Has a crash leave no picture of the memory behind: device keys are in it.
fn leave_no_core() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
            tracing::warn!(%error, "a crash could leave a core file with the device keys in it");
        }
    }
}

/// The sockets that systemd opened for this process (`LISTEN_FDS`, sd_listen_fds(3)); none where it opened none.
fn inherited() -> Result<Vec<TcpListener>, Failure> {
    #[cfg(target_os = "linux")]
    {
        let mut sockets = listenfd::ListenFd::from_env();
        let all = (0..sockets.len()).filter_map(|at| sockets.take_tcp_listener(at).transpose());
        all.collect::<Result<_, _>>().map_err(|error| {
            Failure::failed(format!("the service manager handed over something else than TCP sockets: {error}"))
        })
    }
    #[cfg(not(target_os = "linux"))]
    Ok(Vec::new())
}
