//! What the agent does for an issuer in the background.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;

use super::client::IssuerFault;
use super::hub::Hub;

/// The longest pause where the issuer answers, but not with 204: the device may be erased there.
const REFUSED_RETRY: Duration = Duration::from_secs(3600);
/// The first and the longest pause between tries to deliver a sign-out.
const RETRY: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// Fetches the issuer's keys and time before the first page asks.
pub(in crate::agent) async fn greet(hub: Arc<Hub>) {
    if let Err(error) = hub.client.refresh().await {
        tracing::warn!(%error, "the login server does not answer yet; it is asked again when a page needs it");
    }
}

/// Writes down what could not be when it was done, until it is.
pub(in crate::agent) async fn write_down(hub: Arc<Hub>) {
    loop {
        hub.unsaved.notified().await;
        let mut pause = *RETRY.start();
        while hub.save_again().is_err() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(*RETRY.end());
        }
    }
}

/// How long the link has to deliver a sign-out before the issuer is called for it.
const LINK_PATIENCE: Duration = Duration::from_secs(1);

/// Delivers sign-outs until each is answered (protocol section 6.7). One that the issuer refuses holds up no other. Where
/// the link is up they go over it; whichever way is answered first ends it.
pub(in crate::agent) async fn deliver_sign_outs(hub: Arc<Hub>) {
    let mut pause = *RETRY.start();
    loop {
        hub.leave_it_to_the_link(LINK_PATIENCE).await;
        let mut longest = REFUSED_RETRY;
        for pending in hub.pending_sign_outs() {
            match hub.client.sign_out(&pending.statement).await {
                Ok(()) => {
                    pause = *RETRY.start();
                    tracing::info!(issuer = %hub.issuer(), "sign-out delivered");
                    if let Err(error) = hub.delivered(&pending) {
                        tracing::error!(%error, "a delivered sign-out may be sent again after a restart");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a sign-out is not delivered yet; trying again");
                    if !matches!(error, IssuerFault::Refused { .. }) {
                        longest = *RETRY.end();
                    }
                }
            }
        }
        if hub.pending_sign_outs().is_empty() {
            pause = *RETRY.start();
            hub.bell.notified().await;
            continue;
        }
        #[expect(clippy::disallowed_methods, reason = "when to try again is no secret")]
        let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.0));
        pause = (pause * 2).min(longest);
        // A new sign-out is tried at once.
        let _ = tokio::time::timeout(jittered, hub.bell.notified()).await;
    }
}
