//! `loopkey serve`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;

use super::reload::{Hangups, Reload};
use crate::cli::{Failure, signals};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, ServerConfig};
use crate::login::LoginServer;
use crate::store;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The configuration file (see docs/integrate.md; `loopkey check-config` explains what is wrong with one).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    // From here on: a signal that comes too early reads the file once more, instead of ending the process.
    let hangups = Hangups::listen();
    let ServerConfig { login, listen, store: url, tls, drain } =
        config::load(&arguments.config, config::Kind::Server, config::server)?;
    super::descriptors::raise(&login.limits, login.development);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = store::open(&url, Arc::clone(&clock)).await.map_err(Failure::failed)?;
    let issuer = login.issuer.clone();
    let server = LoginServer::start(login, store, clock).await.map_err(Failure::failed)?;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        let cure = if error.kind() == std::io::ErrorKind::AddrInUse {
            "; is another login server or a demo running? stop it, or choose another port with `listen` in server.toml"
        } else {
            ""
        };
        Failure::failed(format!("cannot listen on {listen}: {error}{cure}"))
    })?;
    tracing::info!(%issuer, %listen, tls = tls.is_some(), "the login server listens");
    let reload = Reload { file: arguments.config, server: server.clone(), listen, store: url, tls: tls.clone(), drain };
    let leaving = server.clone();
    let shutdown = async move {
        signals::shutdown().await;
        leaving.leave();
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        served = server.run(vec![listener], tls.map(|tls| tls.config), shutdown) => served.map_err(Failure::failed),
        never = reload.at_each(hangups) => match never {},
    }
}
