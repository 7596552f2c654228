//! What the connections of one agent share.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::census::Census;
use super::consent::Consents;
use super::hub::Hub;
use super::settings::OriginSettings;
use super::ticket::Tickets;
use crate::clock::Clock;
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;

/// What the connections of one agent share.
pub(super) struct Core {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) census: Census,
    pub(super) tickets: Tickets,
    pub(super) consents: Consents,
    pub(super) hubs: HashMap<Issuer, Arc<Hub>>,
    pub(super) origins: HashMap<Origin, OriginSettings>,
    revoked: broadcast::Sender<Origin>,
}

impl Core {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        census: Census,
        consents: Consents,
        hubs: HashMap<Issuer, Arc<Hub>>,
        origins: HashMap<Origin, OriginSettings>,
    ) -> Self {
        let revoked = broadcast::channel(16).0;
        Self { clock, census, tickets: Tickets::new(), consents, hubs, origins, revoked }
    }

    /// What an origin's pages may do, and the hub of their issuer.
    pub(super) fn page_of(&self, origin: &Origin) -> Option<(OriginSettings, Arc<Hub>)> {
        let settings = self.origins.get(origin)?;
        Some((settings.clone(), Arc::clone(self.hubs.get(&settings.issuer)?)))
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
