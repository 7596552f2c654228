//! Being told to stop (the first signal drains, a second one stops at once), and to read the configuration anew.

/// Completes at the first SIGTERM or SIGINT. From then on the next one ends the process.
pub(super) async fn shutdown() {
    next().await;
    tracing::info!("stopping; a second signal stops at once");
    tokio::spawn(async {
        next().await;
        std::process::exit(130);
    });
}

async fn next() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM can be installed");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    #[cfg(not(unix))]
    {
        let _ = tokio::signal::ctrl_c().await;
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
