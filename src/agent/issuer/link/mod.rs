//! The standing connection to a login server, one for each configured issuer with an enrolled account (protocol section 7).
//!
//! What happens there reaches the person's computer at once over it: a revoked device, a sign-out everywhere, another
//! name. Without it the agent works on, and learns of these when it is back. Nothing runs while nobody is enrolled.

mod pause;
mod talk;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;

use super::client::{DialFault, IssuerClient, LinkSocket};
use super::hub::Hub;
use super::record::Account;
use crate::agent::core::Core;
use crate::protocol::issuer::LinkUrl;
use pause::Pauses;
use talk::talk;

/// How the link to one issuer is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::agent) enum LinkState {
    /// Not up: nobody is enrolled, it was never tried, or it was lost.
    #[default]
    Down,
    /// Open.
    Up,
    /// The issuer has none.
    Absent,
    /// The issuer has one, but not for this device key or its account.
    NotAccepted,
    /// The issuer has one, but not for this agent, for this reason.
    Refused(String),
}

/// How a link ended, as far as the next try differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Somebody else is signed in, or nobody is enrolled any more.
    Switched,
    /// It broke, or was never reached.
    Lost,
    /// The server stops, or has no room: others come from there too.
    Crowded,
    /// The server does not take this agent.
    Refused,
}

/// Opens connections that become links.
#[async_trait]
trait Dial: Send + Sync {
    async fn dial(&self) -> Result<(LinkSocket, LinkUrl), DialFault>;
}

#[async_trait]
impl Dial for IssuerClient {
    async fn dial(&self) -> Result<(LinkSocket, LinkUrl), DialFault> {
        Self::dial(self).await
    }
}

/// Keeps up one issuer's link while somebody is enrolled there.
pub(in crate::agent) async fn keep(hub: Arc<Hub>, core: Arc<Core>) {
    keep_over(&hub.client, &hub, &core).await;
}

async fn keep_over(dial: &impl Dial, hub: &Hub, core: &Core) {
    let mut changes = hub.changes();
    let mut account: Option<Account> = None;
    let mut pauses = Pauses::default();
    loop {
        changes.mark_unchanged();
        account = hub.link_account(account.as_ref());
        let Some(of) = &account else {
            hub.set_link_state(LinkState::Down);
            pauses = Pauses::default();
            // The hub outlives this task, so that only a change ends the wait.
            let _ = changes.changed().await;
            continue;
        };
        let began = core.clock.now();
        let ended = match dial.dial().await {
            Ok((socket, endpoint)) => talk(socket, endpoint, hub, core, of).await,
            Err(fault) => not_dialled(hub, &fault),
        };
        if ended == Ended::Switched {
            continue;
        }
        let now = core.clock.now();
        let pause = pauses.after(ended, now.since(began), fraction());
        tracing::debug!(issuer = %hub.issuer(), ?ended, pause_ms = pause.as_millis(), "no link for now");
        tokio::select! {
            () = core.timers.sleep_until(now + pause) => {}
            () = another_account(hub, of) => pauses = Pauses::default(),
            () = signed_in(hub, of) => pauses = Pauses::default(),
        }
    }
}

/// Completes once the link belongs to another account, or to nobody.
async fn another_account(hub: &Hub, account: &Account) {
    let mut changes = hub.changes();
    while is_still(hub, account) {
        let _ = changes.changed().await;
    }
}

/// Completes once the account is signed in again that is signed out now, or after it was: whoever does that wants the link
/// too, and may have been enabled meanwhile.
async fn signed_in(hub: &Hub, account: &Account) {
    let mut changes = hub.changes();
    for awaited in [false, true] {
        while hub.current().is_some_and(|now| now.key == account.key) != awaited {
            let _ = changes.changed().await;
        }
    }
}

/// Whether the link still belongs to this account, under the same key.
fn is_still(hub: &Hub, account: &Account) -> bool {
    hub.link_account(Some(account)).is_some_and(|now| now.key == account.key)
}

fn not_dialled(hub: &Hub, fault: &DialFault) -> Ended {
    let state = match fault {
        DialFault::NoLink(_) => LinkState::Absent,
        fault if fault.is_refusal() => LinkState::Refused(fault.to_string()),
        _ => LinkState::Down,
    };
    refused_once(hub, state, fault);
    if fault.is_refusal() { Ended::Refused } else { Ended::Lost }
}

/// Notes that there is no link; says it once, not at each try.
fn refused_once(hub: &Hub, state: LinkState, fault: &dyn std::fmt::Display) {
    let says = state != LinkState::Down;
    if hub.set_link_state(state) && says {
        tracing::warn!(
            issuer = %hub.issuer(),
            "{fault}: the agent works on without, but learns later of sign-outs and revocations there"
        );
    } else {
        tracing::debug!(issuer = %hub.issuer(), "{fault}");
    }
}

/// Where in a pause to try again: anywhere from 0 to 1.
fn fraction() -> f64 {
    f64::from(u32::from_be_bytes(crate::crypto::random())) / f64::from(u32::MAX)
}
