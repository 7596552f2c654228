//! `loopkey serve` reads its configuration anew at each SIGHUP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{self, ServerConfig, Tls};
use crate::login::LoginServer;
use crate::store::StoreUrl;

/// A running server, and what it was started with that a reload cannot change.
pub(super) struct Reload {
    pub(super) file: PathBuf,
    pub(super) server: LoginServer,
    pub(super) listen: SocketAddr,
    pub(super) store: StoreUrl,
    pub(super) tls: Option<Tls>,
    pub(super) drain: Duration,
}

impl Reload {
    /// Reloads at each signal, for ever.
    pub(super) async fn at_each(self, mut hangups: Hangups) -> Infallible {
        loop {
            hangups.next().await;
            match self.reload().await {
                Ok(waiting) => {
                    for entry in waiting {
                        tracing::warn!("{entry}: changed in the file, and takes a restart to change here");
                    }
                    tracing::info!("the configuration was read anew");
                }
                Err(faults) => {
                    for fault in faults {
                        tracing::error!("{fault}");
                    }
                    tracing::error!("nothing was changed: mend the file and send SIGHUP again");
                }
            }
        }
    }

    /// The entries that need a restart; or everything that is wrong, a line each.
    async fn reload(&self) -> Result<Vec<String>, Vec<String>> {
        let file = self.file.clone();
        let read = move || config::load(&file, config::Kind::Server, config::server);
        let read = tokio::task::spawn_blocking(read).await.map_err(|error| vec![error.to_string()])?;
        let ServerConfig { login, listen, store, tls, drain } =
            read.map_err(|error| error.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
        let waiting = self.server.reload(login).await;
        let waiting = waiting.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let mut waiting: Vec<String> = waiting.iter().map(ToString::to_string).collect();
        let differing = [
            ("listen", listen != self.listen),
            ("store", store != self.store),
            ("tls", tls.is_some() != self.tls.is_some()),
            ("drain_seconds", drain != self.drain),
        ];
        waiting.extend(differing.iter().filter(|(_, differs)| *differs).map(|(entry, _)| (*entry).to_owned()));
        if let Some((running, newer)) = self.tls.as_ref().zip(tls.as_ref()) {
            running.take_over(newer);
        }
        Ok(waiting)
    }
}

/// SIGHUPs, which ask to read the configuration anew. Where there is no such signal, none ever comes.
pub(super) struct Hangups {
    #[cfg(unix)]
    signals: tokio::signal::unix::Signal,
}

impl Hangups {
    /// From here on they do not end the process.
    pub(super) fn listen() -> Self {
        Self {
            #[cfg(unix)]
            signals: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
                .expect("a handler for SIGHUP can be installed"),
        }
    }

    /// Completes at the next one.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        if self.signals.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}
