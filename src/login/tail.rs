//! Follows the log of withdrawals and the hints of every replica, and tells the pages of this one.
//!
//! The log is the truth; a hint only says that it is worth to look now. Without any hint it is read each second, so that a
//! sign-out anywhere reaches every page within that.

use std::panic::AssertUnwindSafe;
use std::sync::Weak;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::broadcast;
use tokio::time::MissedTickBehavior;

use super::state::State;
use crate::store::{Cursor, Hint, SessionLookup, StoreError, Tail};

/// Between two looks at the log when nobody hints.
const POLL: Duration = Duration::from_secs(1);
/// Look-ups at a time when everything that is open has to be looked at anew.
const LOOKUPS: usize = 32;

/// Follows the log from the given place until the server is gone. A fault of our own ends nothing: all that is open is
/// looked at anew, and the log is read on from its end.
pub(super) async fn follow(server: Weak<State>, mut cursor: Cursor) {
    loop {
        let following = AssertUnwindSafe(follow_on(&server, &mut cursor)).catch_unwind().await;
        let Some(server) = server.upgrade() else { return };
        if following.is_ok() {
            return;
        }
        tracing::error!("following the log of withdrawals went wrong, and begins anew: please report it");
        server.metrics.log_readable.set(0);
        cursor.life.clear();
        tokio::time::sleep(POLL).await;
    }
}

async fn follow_on(server: &Weak<State>, cursor: &mut Cursor) {
    let Some(mut hints) = server.upgrade().map(|server| server.store.hints()) else { return };
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reachable = true;
    loop {
        let hint = tokio::select! {
            _ = poll.tick() => Hint::LogGrew,
            hint = hints.recv() => match hint {
                Ok(hint) => hint,
                Err(broadcast::error::RecvError::Lagged(_)) => Hint::LogGrew,
                // A store that hints no more is still read each second.
                Err(broadcast::error::RecvError::Closed) => {
                    poll.tick().await;
                    Hint::LogGrew
                }
            },
        };
        let Some(server) = server.upgrade() else { return };
        match hint {
            Hint::Presence { device, presence } => server.bus.tell_presence(&device, presence),
            Hint::ProfileChanged { subject } => server.links.look_at(&subject),
            Hint::ApprovalAsked { subject, note } => server.links.ask(&subject, &note),
            // Whoever waits for one listens by itself.
            Hint::NoteChanged { .. } => {}
            Hint::LogGrew => match read(&server, cursor).await {
                Ok(()) if !reachable => {
                    reachable = true;
                    tracing::info!("the store answers again: sign-outs of other replicas are heard of");
                }
                Ok(()) => {}
                Err(error) if reachable => {
                    reachable = false;
                    server.metrics.log_readable.set(0);
                    tracing::error!("sign-outs of other replicas are not heard of until the store answers: {error}");
                }
                Err(_) => {}
            },
        }
    }
}

/// Reads on to the end.
async fn read(server: &State, cursor: &mut Cursor) -> Result<(), StoreError> {
    loop {
        match server.store.withdrawals(cursor).await? {
            Tail::Entries(entries, _) if entries.is_empty() => {
                server.metrics.log_readable.set(1);
                return Ok(());
            }
            Tail::Entries(entries, end) => {
                for withdrawal in &entries {
                    server.bus.withdraw(withdrawal);
                    server.metrics.withdrawals.inc();
                    server.links.withdraw(withdrawal);
                }
                *cursor = end;
            }
            Tail::Lost(end) => {
                look_at_everything(server).await?;
                tracing::warn!("entries of the log of withdrawals were lost: every open session was looked at anew");
                server.metrics.log_losses.inc();
                *cursor = end;
                server.links.look();
            }
        }
    }
}

/// Ends the streams of sessions that are over, whoever ended them.
async fn look_at_everything(server: &State) -> Result<(), StoreError> {
    let look = async |key| (key, server.store.look_at_session(key).await);
    let mut looks = futures::stream::iter(server.bus.sessions()).map(look).buffer_unordered(LOOKUPS);
    while let Some((key, looked)) = looks.next().await {
        if let SessionLookup::Over(reason) = looked? {
            server.bus.end(key, reason);
        }
    }
    Ok(())
}
