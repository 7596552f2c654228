//! What the connections of one agent share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};

use super::audit::Audit;
use super::doctor::Troubles;
use super::settings::OriginSettings;
use super::status::AccountInfo;
use crate::agent::client::action::Actions;
use crate::agent::door::census::Census;
use crate::agent::issuer::hub::Hub;
use crate::agent::page::ticket::Tickets;
use crate::agent::person::consent::Consents;
use crate::agent::person::open::Browser;
use crate::clock::Clock;
use crate::protocol::gate::Refused;
use crate::protocol::grant::Choice;
use crate::protocol::id::Epoch;
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;

/// A sleep shorter than this is none: two clocks are not read at the same moment.
const SHORTEST_SLEEP: Duration = Duration::from_secs(3);

/// What the connections of one agent share.
pub(super) struct Core {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) census: Census,
    pub(super) tickets: Tickets,
    pub(super) consents: Consents,
    pub(super) actions: Actions,
    pub(super) troubles: Troubles,
    pub(super) browser: Arc<dyn Browser>,
    pub(super) audit: Arc<Audit>,
    pub(super) hubs: HashMap<Issuer, Arc<Hub>>,
    pub(super) origins: HashMap<Origin, OriginSettings>,
    revoked: broadcast::Sender<Origin>,
    revoked_accounts: broadcast::Sender<AccountInfo>,
    /// Counts how often every socket's peer had to be looked at again.
    lookings: watch::Sender<u64>,
    /// How much the computer had slept when that was looked at last.
    slept: Mutex<Duration>,
    clients: watch::Sender<usize>,
}

impl Core {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        census: Census,
        consents: Consents,
        audit: Arc<Audit>,
        browser: Arc<dyn Browser>,
        hubs: HashMap<Issuer, Arc<Hub>>,
        origins: HashMap<Origin, OriginSettings>,
    ) -> Self {
        let (revoked, revoked_accounts) = (broadcast::channel(16).0, broadcast::channel(16).0);
        let (tickets, actions) = (Tickets::new(), Actions::new());
        let (lookings, clients) = (watch::Sender::new(0), watch::Sender::new(0));
        let (troubles, slept) = (Troubles::default(), Mutex::new(clock.slept()));
        Self {
            clock,
            census,
            tickets,
            consents,
            actions,
            troubles,
            browser,
            audit,
            hubs,
            origins,
            revoked,
            revoked_accounts,
            lookings,
            slept,
            clients,
        }
    }

    /// What an origin's pages may do, and the hub of their issuer.
    pub(super) fn page_of(&self, origin: &Origin) -> Result<(OriginSettings, Arc<Hub>), Refused> {
        let settings = self.origins.get(origin).ok_or(Refused::Origin)?;
        let hub = self.hubs.get(&settings.issuer).ok_or(Refused::Origin)?;
        match hub.choice(origin) {
            Some(Choice::Blocked) => Err(Refused::Blocked),
            _ => Ok((settings.clone(), Arc::clone(hub))),
        }
    }

    /// Origins whose grants are withdrawn from now on.
    pub(super) fn revocations(&self) -> broadcast::Receiver<Origin> {
        self.revoked.subscribe()
    }

    /// Closes the open sockets of an origin.
    pub(super) fn revoke(&self, origin: &Origin) {
        // Nobody listening means that no socket is open.
        let _ = self.revoked.send(origin.clone());
    }

    /// Accounts whose login server takes this computer's key no more; they are removed by then.
    pub(super) fn revoked_accounts(&self) -> broadcast::Receiver<AccountInfo> {
        self.revoked_accounts.subscribe()
    }

    /// Tells that an account was removed because its login server said so.
    pub(super) fn account_revoked(&self, account: AccountInfo) {
        // Nobody listening means that no client is connected: it finds the account gone when it comes.
        let _ = self.revoked_accounts.send(account);
    }

    /// Something was done that began at the given epoch. Another epoch means another person, or nobody: what the client
    /// said of its actions was about the one before.
    pub(super) fn after(&self, hub: &Hub, epoch: Epoch) {
        if hub.published().state.epoch != epoch {
            self.actions.person_changed();
        }
    }

    /// Changes whenever each open socket's peer must be looked at again.
    pub(super) fn lookings(&self) -> watch::Receiver<u64> {
        self.lookings.subscribe()
    }

    /// Has each open socket's peer looked at again; one that is no longer the same is closed.
    pub(super) fn look_again(&self) {
        self.lookings.send_modify(|times| *times += 1);
    }

    /// Has every socket's peer looked at again where the computer has slept since this was called last. Each socket calls it
    /// with whatever comes, its heartbeat at the least: with no page connected, nothing has to be looked at.
    pub(super) fn notice_sleep(&self) {
        let slept = self.clock.slept();
        let mut before = self.slept.lock().unwrap_or_else(PoisonError::into_inner);
        if slept.saturating_sub(*before) >= SHORTEST_SLEEP {
            tracing::info!("the computer has slept: every socket is looked at again");
            *before = slept;
            self.look_again();
        }
    }

    /// How many clients are connected and have said hello, as it changes.
    #[cfg(target_os = "linux")]
    pub(super) fn connected_clients(&self) -> watch::Receiver<usize> {
        self.clients.subscribe()
    }

    /// Counts a client for as long as the value is kept.
    pub(super) fn connected_client(self: &Arc<Self>) -> ConnectedClient {
        self.clients.send_modify(|clients| *clients += 1);
        ConnectedClient(Arc::clone(self))
    }
}

/// A client that is connected and has said hello.
pub(super) struct ConnectedClient(Arc<Core>);

impl Drop for ConnectedClient {
    fn drop(&mut self) {
        self.0.clients.send_modify(|clients| *clients -= 1);
    }
}

/// Whether the agent goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It does.
    No,
    /// It says goodbye.
    Drain,
}

impl Stop {
    /// Waits until the agent stops, or is gone.
    pub(super) async fn wait(stop: &mut watch::Receiver<Self>) {
        let _ = stop.wait_for(|stop| *stop == Self::Drain).await;
    }
}
