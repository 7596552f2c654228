//! `loopkey serve`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;

use super::{Failure, signals};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, ServerConfig};
use crate::login::LoginServer;
use crate::store;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file (see docs/integrate.md; `loopkey check-config` explains what is wrong with one).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let ServerConfig { login, listen, store, tls } =
        config::load(&arguments.config, config::Kind::Server, config::server)?;
    super::descriptors::raise();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = store::open(&store, Arc::clone(&clock)).await.map_err(Failure::failed)?;
    let issuer = login.issuer.clone();
    let server = LoginServer::start(login, store, clock).await.map_err(Failure::failed)?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Failure::failed(format!("cannot listen on {listen}: {error}")))?;
    tracing::info!(%issuer, %listen, tls = tls.is_some(), "the login server listens");
    server.run(vec![listener], tls, signals::shutdown()).await.map_err(Failure::failed)
}
