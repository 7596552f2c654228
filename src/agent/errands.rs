//! What the agent does for an issuer in the background.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;

use super::hub::Hub;
use super::issuer::IssuerFault;

/// The longest pause where the issuer answers, but not with 204: the device may be erased there.
const REFUSED_RETRY: Duration = Duration::from_secs(3600);
/// The first and the longest pause between tries to deliver a sign-out.
const RETRY: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// Fetches the issuer's keys and time before the first page asks.
pub(super) async fn greet(hub: Arc<Hub>) {
    if let Err(error) = hub.client.fetch(Duration::ZERO).await {
        tracing::warn!(%error, "the login server does not answer yet; it is asked again when a page needs it");
    }
}

/// Delivers sign-outs until each is answered (protocol section 6.7).
pub(super) async fn deliver_sign_outs(hub: Arc<Hub>) {
    let mut pause = *RETRY.start();
    loop {
        let Some(pending) = hub.pending_sign_out() else {
            hub.bell.notified().await;
            continue;
        };
        match hub.client.sign_out(&pending.0).await {
            Ok(()) => {
                pause = *RETRY.start();
                tracing::info!(issuer = %hub.issuer(), "sign-out delivered");
                if let Err(error) = hub.delivered(&pending) {
                    tracing::error!(%error, "a delivered sign-out stays on disk and will be sent again");
                    tokio::time::sleep(pause).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a sign-out is not delivered yet; trying again");
                let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.0));
                tokio::time::sleep(jittered).await;
                // A login server that is away comes back; one that says no will hardly change its mind.
                let longest = if matches!(error, IssuerFault::Refused { .. }) { REFUSED_RETRY } else { *RETRY.end() };
                pause = (pause * 2).min(longest);
            }
        }
    }
}
