//! What the connections of one agent share.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::action::Actions;
use super::audit::Audit;
use super::census::Census;
use super::consent::Consents;
use super::hub::Hub;
use super::open::Browser;
use super::pass::Passes;
use super::settings::OriginSettings;
use super::ticket::Tickets;
use crate::clock::Clock;
use crate::protocol::gate::Refused;
use crate::protocol::grant::Choice;
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;

/// What the connections of one agent share.
pub(super) struct Core {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) census: Census,
    pub(super) tickets: Tickets,
    pub(super) consents: Consents,
    pub(super) passes: Passes,
    pub(super) actions: Actions,
    pub(super) browser: Arc<dyn Browser>,
    pub(super) audit: Arc<Audit>,
    pub(super) hubs: HashMap<Issuer, Arc<Hub>>,
    pub(super) origins: HashMap<Origin, OriginSettings>,
    revoked: broadcast::Sender<Origin>,
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
        let revoked = broadcast::channel(16).0;
        let (tickets, passes, actions) = (Tickets::new(), Passes::default(), Actions::new());
        Self { clock, census, tickets, consents, passes, actions, browser, audit, hubs, origins, revoked }
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
