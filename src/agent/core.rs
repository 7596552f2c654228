//! What the connections of one agent share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};

use super::audience::Ring;
use super::audit::Audit;
use super::doctor::Troubles;
use super::settings::OriginSettings;
use super::status::AccountInfo;
use super::timers::Timers;
use crate::agent::client::action::Actions;
use crate::agent::door::census::Census;
use crate::agent::issuer::hub::Hub;
use crate::agent::page::ticket::Tickets;
use crate::agent::person::consent::Consents;
use crate::agent::person::open::Browser;
use crate::clock::Clock;
use crate::crypto::{self, Drawn};
use crate::protocol::bridge::{Deliveries, Delivery};
use crate::protocol::gate::Refused;
use crate::protocol::grant::Choice;
use crate::protocol::id::{BridgeKey, Epoch, Nonce};
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;

/// A sleep shorter than this is none: two clocks are not read at the same moment.
const SHORTEST_SLEEP: Duration = Duration::from_secs(3);

/// What the connections of one agent share.
pub(super) struct Core {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timers: Timers,
    pub(super) census: Census,
    pub(super) tickets: Tickets,
    pub(super) consents: Consents,
    pub(super) actions: Actions,
    pub(super) troubles: Troubles,
    pub(super) browser: Arc<dyn Browser>,
    pub(super) audit: Arc<Audit>,
    pub(super) hubs: HashMap<Issuer, Arc<Hub>>,
    pub(super) origins: HashMap<Origin, Arc<OriginSettings>>,
    bridges: Mutex<Deliveries>,
    revoked_accounts: broadcast::Sender<AccountInfo>,
    signed_out_accounts: broadcast::Sender<AccountInfo>,
    /// How much the computer had slept when that was looked at last.
    slept: Mutex<Duration>,
    nonces: Drawn<32>,
    clients: watch::Sender<usize>,
}

impl Core {
    pub(super) fn new(
        timers: Timers,
        census: Census,
        consents: Consents,
        audit: Arc<Audit>,
        browser: Arc<dyn Browser>,
        hubs: HashMap<Issuer, Arc<Hub>>,
        origins: HashMap<Origin, OriginSettings>,
    ) -> Self {
        let origins = origins.into_iter().map(|(origin, settings)| (origin, Arc::new(settings))).collect();
        let clock = timers.clock();
        let actions = Actions::new(hubs.values().map(|hub| Arc::clone(&hub.audience)).collect());
        let (tickets, troubles, slept) = (Tickets::new(), Troubles::default(), Mutex::new(clock.slept()));
        let [revoked_accounts, signed_out_accounts] = std::array::from_fn(|_| broadcast::channel(16).0);
        let clients = watch::Sender::new(0);
        Self {
            clock,
            timers,
            census,
            tickets,
            consents,
            actions,
            troubles,
            browser,
            audit,
            hubs,
            origins,
            bridges: Mutex::default(),
            revoked_accounts,
            signed_out_accounts,
            slept,
            nonces: Drawn::default(),
            clients,
        }
    }

    /// What an origin's pages may do, and the hub of their issuer.
    pub(super) fn page_of(&self, origin: &Origin) -> Result<(Arc<OriginSettings>, Arc<Hub>), Refused> {
        let settings = self.origins.get(origin).ok_or(Refused::Origin)?;
        let hub = self.hubs.get(&settings.issuer).ok_or(Refused::Origin)?;
        match hub.choice(origin) {
            Some(Choice::Blocked) => Err(Refused::Blocked),
            _ => Ok((Arc::clone(settings), Arc::clone(hub))),
        }
    }

    /// A nonce that no other socket gets.
    pub(super) fn nonce(&self) -> Nonce {
        Nonce::from_bytes(self.nonces.next())
    }

    /// The key for one delivery of the bridge's page.
    pub(super) fn bridge_key(&self) -> BridgeKey {
        let key = BridgeKey::from_bytes(crypto::random());
        self.bridges.lock().unwrap_or_else(PoisonError::into_inner).add(key, self.clock.now());
        key
    }

    /// Uses the key of a delivery up: looking and taking are one step.
    pub(super) fn take_bridge(&self, key: &BridgeKey) -> Option<Delivery> {
        self.bridges.lock().unwrap_or_else(PoisonError::into_inner).take(key, self.clock.now())
    }

    /// Closes the open sockets of an origin.
    pub(super) fn revoke(&self, origin: &Origin) {
        self.ring(Some(origin), Ring::Withdrawn);
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

    /// Accounts that were signed out because their login server said so.
    pub(super) fn signed_out_accounts(&self) -> broadcast::Receiver<AccountInfo> {
        self.signed_out_accounts.subscribe()
    }

    /// Tells that an account was signed out because its login server said so.
    pub(super) fn account_signed_out(&self, account: AccountInfo) {
        // As above: whoever comes later asks how things stand.
        let _ = self.signed_out_accounts.send(account);
    }

    /// Something was done that began at the given epoch. Another epoch means another person, or nobody: what the client
    /// said of its actions was about the one before.
    pub(super) fn after(&self, hub: &Hub, epoch: Epoch) {
        if hub.published().state.epoch != epoch {
            self.actions.person_changed();
        }
    }

    /// Has each open socket's peer looked at again; one that is no longer the same is closed.
    pub(super) fn look_again(&self) {
        self.ring(None, Ring::LookAgain);
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

    /// Wakes the tasks of every open socket, or of one origin's.
    pub(super) fn ring(&self, of: Option<&Origin>, ring: Ring) {
        for hub in self.hubs.values() {
            hub.audience.ring(of, ring);
        }
    }

    /// How many clients are connected and have said hello, as it changes.
    #[cfg(all(target_os = "linux", feature = "logind"))]
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
