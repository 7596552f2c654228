//! Telling a running agent things, from inside its process. The control socket does the same from outside.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::audit::{Act, AuditError, Reading};
use super::core::{Core, Stop};
use super::settings::{AgentSettings, OriginSettings};
use super::status::{AccountInfo, ConsentInfo, IssuerStatus, OriginStatus, Status};
use crate::agent::client::action::ActionOwner;
use crate::agent::issuer::client::IssuerFault;
use crate::agent::issuer::hub::{Hub, HubError};
use crate::agent::issuer::keystore::{KeyStore, KeyStoreError};
use crate::agent::issuer::record::{Account, Consent};
use crate::agent::person::open::Page;
use crate::crypto::Signer;
use crate::protocol::grant::{Choice, ConsentMode, Grant};
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
    /// No account could be meant.
    #[error("no account is enrolled on this computer: enrol one with a ticket of its login server (loopkey enrol)")]
    NobodyEnrolled,
    /// More than one account could be meant.
    #[error("several accounts are enrolled: say which one ({0})")]
    Ambiguous(String),
    /// The origin is not configured.
    #[error("the origin {0} is not in this agent's configuration: `loopkey status` lists those that are")]
    UnknownOrigin(String),
    /// The configuration is stricter.
    #[error("the configuration of {0} is stricter than that: a person can narrow what is allowed, not widen it")]
    Widens(Origin),
    /// The address is none of a page that can be signed in.
    #[error("this is no address of a page: {0}")]
    NotAPage(String),
    /// The origin's pages cannot be signed in.
    #[error("pages of {0} cannot be signed in: its configuration lacks the grant \"login\", or it is blocked")]
    NotGranted(Origin),
    /// No browser could be started.
    #[error("the browser could not be started: {0}")]
    NoBrowser(std::io::Error),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
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
    pub(super) wss_port: Option<u16>,
    pub(super) stop: watch::Sender<Stop>,
}

impl Handle {
    /// The port that pages reach the agent on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The port that speaks TLS, where there is one.
    #[must_use]
    pub const fn wss_port(&self) -> Option<u16> {
        self.wss_port
    }

    /// Makes a device key and enrols it with a ticket of the issuer; its account is signed in from now on.
    ///
    /// # Errors
    /// [`HandleError`]; nothing is kept of a key that was not enrolled.
    pub async fn enrol(&self, issuer: &Issuer, ticket: EnrolmentTicket) -> Result<AccountInfo, HandleError> {
        let hub = Arc::clone(self.hub(issuer)?);
        let (keys, name) = (Arc::clone(&self.keys), self.settings.device_name.clone());
        let core = Arc::clone(&self.core);
        // In a task of its own: once the issuer has been asked, a client that hangs up must not leave half an enrolment.
        let enrolling = tokio::spawn(async move {
            let fresh = FreshKey::new(keys)?;
            let enrolment =
                Enrolment { aud: hub.issuer().clone(), nonce: ticket, jwk: fresh.signer.public().to_jwk(), name };
            let statement = statement::sign(&enrolment, fresh.signer.as_ref()).map_err(KeyStoreError::from)?;
            let enrolled = hub.client.enrol(&statement).await?;
            let account = hub.enrolled(enrolled, Arc::clone(&fresh.signer));
            core.actions.person_changed();
            let account = account?;
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
            let current = hub.current_subject();
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
        let hub = self.hub_of(account)?;
        // The pages that are told of it are looked at first.
        self.core.notice_sleep();
        let before = hub.published().state.epoch;
        let seq = hub.set_presence(account, presence);
        self.core.after(hub, before);
        Ok(seq?)
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
        let hub = self.hub_of(account)?;
        let before = hub.published().state.epoch;
        let epoch = hub.sign_out(account);
        self.core.after(hub, before);
        Ok(epoch?)
    }

    /// Signs an account out and forgets it, with its key and its consents.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn remove(&self, account: &Subject) -> Result<(), HandleError> {
        let hub = self.hub_of(account)?;
        let before = hub.published().state.epoch;
        let removed = hub.remove(account);
        self.core.after(hub, before);
        Ok(removed?)
    }

    /// Accounts that were removed because their login server has revoked this computer's device key, as it happens. A
    /// client hears of them as `account.revoked`.
    #[must_use]
    pub fn revoked_accounts(&self) -> broadcast::Receiver<AccountInfo> {
        self.core.revoked_accounts()
    }

    /// Accounts that were signed out because their login server said so, as it happens: the person signed out everywhere, or an
    /// administrator did it. A client hears of them as `account.signed_out`.
    #[must_use]
    pub fn signed_out_accounts(&self) -> broadcast::Receiver<AccountInfo> {
        self.core.signed_out_accounts()
    }

    /// The account that is meant where none is named: the only current one, else the only one.
    ///
    /// # Errors
    /// [`HandleError::Ambiguous`], or [`HandleError::NobodyEnrolled`].
    pub fn the_account(&self) -> Result<Subject, HandleError> {
        let mut current = self.core.hubs.values().filter_map(|hub| hub.current_subject());
        let current = (current.next(), current.next());
        if let (Some(only), None) = current {
            return Ok(only);
        }
        let accounts = self.accounts();
        match (current.0, accounts.as_slice()) {
            (None, [only]) => Ok(only.account.clone()),
            (_, []) => Err(HandleError::NobodyEnrolled),
            _ => {
                let names: Vec<_> = accounts.iter().map(|a| format!("{}: {}", a.account, a.name)).collect();
                Err(HandleError::Ambiguous(names.join(", ")))
            }
        }
    }

    /// Whether it is the account that is signed in at its issuer.
    pub(super) fn is_signed_in(&self, account: &Subject) -> bool {
        self.core.hubs.values().any(|hub| hub.current_subject().as_ref() == Some(account))
    }

    /// Consents that were given for good.
    #[must_use]
    pub fn consents(&self) -> Vec<ConsentInfo> {
        let info = |c: Consent| ConsentInfo { origin: c.origin, account: c.subject, since: c.since };
        self.core.hubs.values().flat_map(|hub| hub.consents()).map(info).collect()
    }

    /// Forgets the consents for an origin and closes its sockets; true where there was something to forget.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn revoke(&self, origin: &Origin) -> Result<bool, HandleError> {
        let mut revoked = Ok(false);
        for hub in self.core.hubs.values() {
            match hub.revoke_consents(origin) {
                Ok(some) => revoked = revoked.map(|before| before || some),
                Err(error) => revoked = Err(error.into()),
            }
        }
        if matches!(revoked, Ok(false)) && !self.core.origins.contains_key(origin) {
            // Nothing is known of it, so nothing is done.
            return revoked;
        }
        // Whatever the disk says.
        self.core.consents.passes.forget(origin);
        self.core.audit.note(Act::Revoked { origin: origin.clone() });
        self.core.revoke(origin);
        revoked
    }

    /// Keeps what the person chooses for an origin, whoever is signed in; `None` is as configured. Its open sockets are closed
    /// where that blocks it.
    ///
    /// # Errors
    /// [`HandleError::UnknownOrigin`], or [`HandleError::Widens`] where the configuration is stricter.
    pub fn choose(&self, origin: &Origin, choice: Option<Choice>) -> Result<(), HandleError> {
        let (settings, hub) = self.origin(origin)?;
        let as_asked = match choice {
            Some(Choice::Prompt) => ConsentMode::Prompt,
            _ => ConsentMode::Always,
        };
        if choice.is_some() && settings.consent > as_asked {
            return Err(HandleError::Widens(origin.clone()));
        }
        let chosen = hub.choose(origin, choice);
        if chosen.as_ref().is_err_and(|error| !error.is_done()) {
            return Ok(chosen?);
        }
        if choice.is_some() {
            self.core.consents.passes.forget(origin);
        }
        let words = choice.map_or_else(|| "default".to_owned(), |choice| choice.to_string());
        self.core.audit.note(Act::Chosen { origin: origin.clone(), choice: words });
        if choice == Some(Choice::Blocked) {
            self.core.revoke(origin);
        }
        Ok(chosen?)
    }

    /// Opens a page in the default browser and has it signed in there without a further prompt: the person has agreed in the
    /// client by asking for it. Once, within a minute, and only for whoever is signed in now.
    ///
    /// # Errors
    /// [`HandleError`] where the page's origin is not configured for it, nobody is signed in, or there is no browser.
    pub fn open_page(&self, url: &str) -> Result<(), HandleError> {
        let page = Page::parse(url).map_err(|problem| HandleError::NotAPage(problem.to_owned()))?;
        let (settings, hub) = self.origin(page.origin())?;
        let state = hub.published().state;
        let account = hub.current_subject().ok_or(HubError::SignedOut)?;
        if !matches!(state.presence, PresenceState::SignedIn | PresenceState::Away) {
            return Err(HubError::SignedOut.into());
        }
        if !settings.grants.has(&Grant::Login) || hub.choice(page.origin()) == Some(Choice::Blocked) {
            return Err(HandleError::NotGranted(page.origin().clone()));
        }
        // What is not written down is not given out.
        self.core.audit.record(Act::Opened { origin: page.origin().clone(), account })?;
        let passes = &self.core.consents.passes;
        let mark = passes.make(page.origin(), state.epoch, self.core.clock.now());
        self.core.browser.open(&page.marked(&mark)).map_err(|error| {
            passes.forget(page.origin());
            HandleError::NoBrowser(error)
        })
    }

    /// Somebody who may register actions: a connected client, or the embedding program.
    pub(super) fn action_owner(&self) -> ActionOwner {
        ActionOwner { core: Arc::clone(&self.core), owner: self.core.actions.owner() }
    }

    /// The newest lines of the audit log, the oldest of them first, and everything that is wrong with it.
    ///
    /// # Errors
    /// [`AuditError`] where a file cannot be read.
    pub fn log(&self, count: usize) -> Result<Reading, AuditError> {
        let mut reading = self.core.audit.read()?;
        let from = reading.entries.len().saturating_sub(count);
        reading.entries.drain(..from);
        Ok(reading)
    }

    fn origin(&self, origin: &Origin) -> Result<(&OriginSettings, &Arc<Hub>), HandleError> {
        let unknown = || HandleError::UnknownOrigin(origin.to_string());
        let settings = self.core.origins.get(origin).ok_or_else(unknown)?;
        Ok((settings, self.hub(&settings.issuer)?))
    }

    /// How the agent stands. Accounts come without their pictures: [`Handle::accounts`] has them.
    #[must_use]
    pub fn status(&self) -> Status {
        let issuers = self.core.hubs.values().map(|hub| {
            let published = hub.published();
            IssuerStatus {
                issuer: hub.issuer().clone(),
                presence: published.state.presence,
                epoch: published.state.epoch,
                account: hub.current().map(|account| AccountInfo::of(hub, account, true).without_picture()),
                pending_sign_outs: hub.pending_sign_outs().len(),
            }
        });
        let sockets = self.core.census.open_sockets().borrow().clone();
        let origins: BTreeMap<_, _> = self.core.origins.iter().collect();
        let origins = origins.values().map(|settings| OriginStatus {
            origin: settings.origin.clone(),
            issuer: settings.issuer.clone(),
            sockets: sockets.get(&settings.origin).copied().unwrap_or(0),
            grants: settings.grants.clone(),
            consent: settings.consent,
            choice: self.core.hubs.get(&settings.issuer).and_then(|hub| hub.choice(&settings.origin)),
            by_policy: self.settings.policy.names(&settings.origin),
        });
        Status {
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: crate::protocol::message::VERSION,
            port: self.port,
            wss_port: self.wss_port,
            peer_check: self.settings.peer_check,
            accounts: self.accounts().into_iter().map(AccountInfo::without_picture).collect(),
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
        self.core.hubs.values().find(|hub| hub.has(account)).ok_or_else(|| HubError::NoSuchAccount.into())
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("port", &self.port).finish_non_exhaustive()
    }
}
