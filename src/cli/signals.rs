//! Being told to stop: the first signal drains, a second one stops at once.

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
