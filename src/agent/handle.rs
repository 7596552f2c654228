//! Telling a running agent things, from inside its process. The control socket does the same from outside.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::watch;

use super::core::{Core, Stop};
use super::hub::{Hub, HubError};
use super::issuer::IssuerFault;
use super::keystore::{KeyStore, KeyStoreError};
use super::record::Account;
use super::settings::AgentSettings;
use super::status::{AccountInfo, IssuerStatus, OriginStatus, Status};
use crate::crypto::Signer;
use crate::protocol::id::{EnrolmentTicket, Epoch, Seq, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;
use crate::protocol::state::PresenceState;
use crate::protocol::statement::{self, Enrolment};

/// Why the agent could not do as its handle said.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The issuer is not configured.
    #[error("the issuer {0} is not in this agent's configuration: add an [[issuer]] for it")]
    UnknownIssuer(String),
    /// No enrolled account of that name.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The issuer did not play along.
    #[error(transparent)]
    Issuer(#[from] IssuerFault),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyStoreError),
    /// The agent is stopping.
    #[error("the agent is stopping")]
    Stopped,
    /// More than one account could be meant.
    #[error("several accounts are enrolled: say which one ({0})")]
    Ambiguous(String),
}

/// A device key that is removed again unless its enrolment succeeds.
struct FreshKey {
    keys: Arc<dyn KeyStore>,
    signer: Arc<dyn Signer>,
    kept: bool,
}

impl FreshKey {
    fn new(keys: Arc<dyn KeyStore>) -> Result<Self, KeyStoreError> {
        let signer = keys.create()?;
        Ok(Self { keys, signer, kept: false })
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for FreshKey {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = self.keys.remove(self.signer.public().id())
        {
            tracing::warn!(%error, "the key of a failed enrolment is still there");
        }
    }
}

/// Tells a running agent things. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) core: Arc<Core>,
    pub(super) keys: Arc<dyn KeyStore>,
    pub(super) settings: Arc<AgentSettings>,
    pub(super) port: u16,
    pub(super) stop: watch::Sender<Stop>,
}

impl Handle {
    /// The port that pages reach the agent on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Makes a device key and enrols it with a ticket of the issuer; its account is signed in from now on.
    ///
    /// # Errors
    /// [`HandleError`]; nothing is kept of a key that was not enrolled.
    pub async fn enrol(&self, issuer: &Issuer, ticket: EnrolmentTicket) -> Result<AccountInfo, HandleError> {
        let hub = Arc::clone(self.hub(issuer)?);
        let (keys, name) = (Arc::clone(&self.keys), self.settings.device_name.clone());
        // In a task of its own: once the issuer has been asked, a client that hangs up must not leave half an enrolment.
        let enrolling = tokio::spawn(async move {
            let fresh = FreshKey::new(keys)?;
            let enrolment =
                Enrolment { aud: hub.issuer().clone(), nonce: ticket, jwk: fresh.signer.public().to_jwk(), name };
            let statement = statement::sign(&enrolment, fresh.signer.as_ref()).map_err(KeyStoreError::from)?;
            let enrolled = hub.client.enrol(&statement).await?;
            let account = hub.enrolled(enrolled, Arc::clone(&fresh.signer))?;
            fresh.keep();
            tracing::info!(issuer = %hub.issuer(), "an account was enrolled");
            Ok(AccountInfo::of(&hub, account, true))
        });
        enrolling.await.map_err(|_| HandleError::Stopped)?
    }

    /// The enrolled accounts.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountInfo> {
        let of_hub = |hub: &Arc<Hub>| {
            let current = hub.current().map(|account| account.subject);
            let info_of = |account: Account| {
                let is_current = current.as_ref() == Some(&account.subject);
                AccountInfo::of(hub, account, is_current)
            };
            hub.accounts().into_iter().map(info_of).collect::<Vec<_>>()
        };
        self.core.hubs.values().flat_map(of_hub).collect()
    }

    /// Sets how the person of an account stands to the client; another account than the current one is a switch.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn set_presence(&self, account: &Subject, presence: PresenceState) -> Result<Seq, HandleError> {
        Ok(self.hub_of(account)?.set_presence(account, presence)?)
    }

    /// Changes the name or the picture that prompts show.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn set_profile(&self, account: &Subject, name: Option<&str>, avatar: Option<&str>) -> Result<(), HandleError> {
        Ok(self.hub_of(account)?.set_profile(account, name, avatar)?)
    }

    /// Signs an account out: pages first, then the issuer.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn sign_out(&self, account: &Subject) -> Result<Epoch, HandleError> {
        Ok(self.hub_of(account)?.sign_out(account)?)
    }

    /// Signs an account out and forgets it, with its key and its consents.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn remove(&self, account: &Subject) -> Result<(), HandleError> {
        Ok(self.hub_of(account)?.remove(account)?)
    }

    /// The account that is meant where none is named: the only current one, else the only one.
    ///
    /// # Errors
    /// [`HandleError::Ambiguous`], or [`HubError::NoSuchAccount`] where none is enrolled.
    pub fn the_account(&self) -> Result<Subject, HandleError> {
        let accounts = self.accounts();
        let current: Vec<_> = accounts.iter().filter(|account| account.current).collect();
        match (current.as_slice(), accounts.as_slice()) {
            ([only], _) => Ok(only.account.clone()),
            ([], [only]) => Ok(only.account.clone()),
            (_, []) => Err(HubError::NoSuchAccount.into()),
            _ => {
                let names: Vec<_> = accounts.iter().map(|a| format!("{}: {}", a.account, a.name)).collect();
                Err(HandleError::Ambiguous(names.join(", ")))
            }
        }
    }

    /// Remembered consents: origin and account.
    #[must_use]
    pub fn consents(&self) -> Vec<(Origin, Subject)> {
        self.core.hubs.values().flat_map(|hub| hub.consents()).map(|c| (c.origin, c.subject)).collect()
    }

    /// Forgets the consents for an origin and closes its sockets; true where there was something to forget.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn revoke(&self, origin: &Origin) -> Result<bool, HandleError> {
        let mut some = false;
        for hub in self.core.hubs.values() {
            some |= hub.revoke_consents(origin)?;
        }
        self.core.revoke(origin);
        Ok(some)
    }

    /// How the agent stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let issuers = self.core.hubs.values().map(|hub| {
            let published = hub.published();
            IssuerStatus {
                issuer: hub.issuer().clone(),
                presence: published.state.presence,
                epoch: published.state.epoch,
                account: hub.current().map(|account| AccountInfo::of(hub, account, true)),
                pending_sign_outs: hub.pending_sign_outs().len(),
            }
        });
        let sockets = self.core.census.open_sockets().borrow().clone();
        let origins: BTreeMap<_, _> = self.core.origins.iter().collect();
        let origins = origins.values().map(|settings| OriginStatus {
            origin: settings.origin.clone(),
            issuer: settings.issuer.clone(),
            sockets: sockets.get(&settings.origin).copied().unwrap_or(0),
        });
        Status {
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: crate::protocol::message::VERSION,
            port: self.port,
            peer_check: self.settings.peer_check,
            accounts: self.accounts(),
            issuers: issuers.collect(),
            origins: origins.collect(),
        }
    }

    /// Ends [`Agent::run`](super::Agent::run).
    pub fn stop(&self) {
        self.stop.send_replace(Stop::Drain);
    }

    /// Completes when the agent stops.
    pub(super) async fn stopped(&self) {
        Stop::wait(&mut self.stop.subscribe()).await;
    }

    /// Open sockets by origin, as they change.
    pub(super) fn open_sockets(&self) -> watch::Receiver<HashMap<Origin, usize>> {
        self.core.census.open_sockets()
    }

    fn hub(&self, issuer: &Issuer) -> Result<&Arc<Hub>, HandleError> {
        self.core.hubs.get(issuer).ok_or_else(|| HandleError::UnknownIssuer(issuer.to_string()))
    }

    fn hub_of(&self, account: &Subject) -> Result<&Arc<Hub>, HandleError> {
        let has = |hub: &&Arc<Hub>| hub.accounts().iter().any(|a| a.subject == *account);
        self.core.hubs.values().find(has).ok_or_else(|| HubError::NoSuchAccount.into())
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("port", &self.port).finish_non_exhaustive()
    }
}
