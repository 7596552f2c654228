//! One issuer's truth inside the agent: who is signed in, how things stand, and telling every page of it.
//!
//! A state is numbered and encoded once, put into one slot, and written to every open socket; one that is behind reads the
//! newest from the slot when it can, so a slow page skips states and never gets a backlog (protocol sections 3.2 and 4.2).

mod consents;
mod keeping;
mod link;
mod signing;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::client::{Enrolled, IssuerClient};
use super::keystore::{KeyStore, KeyStoreError};
use super::link::LinkState;
use super::profile::{is_picture, plain_name};
use super::record::{Account, PendingSignOut, Record, RecordError};
use crate::agent::audience::Audience;
use crate::agent::audit::{Act, Audit, AuditError};
use crate::agent::desktop::Standing;
use crate::clock::Clock;
use crate::crypto::{KeyId, SignError, Signer};
use crate::protocol::id::{DeviceIssuer, Epoch, Seq, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::state::{PresenceState, Published, State};
use crate::protocol::statement::{self, SignOut};
use crate::protocol::time::UnixMillis;

/// Why the hub could not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// No account of that name is enrolled here.
    #[error("no such account is enrolled; `loopkey status` lists them by the login server's names")]
    NoSuchAccount,
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    SignedOut,
    /// The state that was to be signed for is over.
    #[error("the state has changed in the meantime")]
    Changed,
    /// `signed_out` is reached by signing out.
    #[error("use presence.signOut to sign out: it also ends the web sessions")]
    NotAPresence,
    /// The picture's address could be anything.
    #[error("a picture is an https:// address, or data:image/png, jpeg or webp in base64 up to 64 KiB")]
    NotAPicture,
    /// The disk; nothing was changed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// What was to be taken back is taken back, but the disk does not know.
    #[error(
        "it is done, but could not be written down: {0}; until it is, a restart of the agent would undo it (it is tried again all the time)"
    )]
    Unsaved(#[source] RecordError),
    /// The device key.
    #[error(transparent)]
    Key(#[from] KeyStoreError),
    /// The signature.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// One issuer inside the agent.
pub(in crate::agent) struct Hub {
    pub(in crate::agent) client: IssuerClient,
    issuer: Issuer,
    folder: PathBuf,
    keys: Arc<dyn KeyStore>,
    clock: Arc<dyn Clock>,
    audit: Arc<Audit>,
    inner: Mutex<Inner>,
    /// Taken with `inner` held only.
    standing: Mutex<Standing>,
    slot: watch::Sender<Arc<Published>>,
    /// The open sockets, which are told of each state at once.
    pub(in crate::agent) audience: Arc<Audience>,
    /// Rings when a sign-out waits for delivery.
    pub(in crate::agent) bell: Notify,
    /// Rings when something is not on the disk that should be.
    pub(in crate::agent) unsaved: Notify,
    /// Counts the changes of who is enrolled, who is signed in, and which sign-outs wait.
    changes: watch::Sender<u64>,
    link: watch::Sender<LinkState>,
}

struct Inner {
    record: Record,
    /// The current account's key.
    signer: Option<Arc<dyn Signer>>,
    /// Whether the disk holds this record.
    is_saved: bool,
    /// Keys that go as soon as it does.
    doomed: Vec<KeyId>,
    /// Counts how often the person took back, or chose, what an origin may do.
    takings_back: u64,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Hub {
    /// Loads what is on disk. Whoever was signed in then counts as signed in behind a lock until the client says more: a
    /// restart is no sign-out, and no token is issued on hearsay.
    pub(in crate::agent) fn load(
        client: IssuerClient,
        issuer: Issuer,
        folder: PathBuf,
        keys: Arc<dyn KeyStore>,
        clock: Arc<dyn Clock>,
        audit: Arc<Audit>,
    ) -> Result<Self, HubError> {
        let mut record = Record::load(&folder, &issuer)?;
        let current = record.current.clone().and_then(|subject| record.account(&subject).cloned());
        let signer = match &current {
            Some(account) => Some(keys.load(account.key)?),
            None => None,
        };
        record.current = current.map(|account| account.subject);
        let presence = if signer.is_some() { PresenceState::Locked } else { PresenceState::SignedOut };
        let state = State { presence, since: clock.wall(), epoch: record.epoch };
        let (slot, _) = watch::channel(Arc::new(Published::new(Seq(1), state, signer.is_some())));
        let bell = Notify::new();
        if !record.sign_outs.is_empty() {
            bell.notify_one();
        }
        let standing = Mutex::new(Standing::new(presence));
        let inner = Mutex::new(Inner { record, signer, is_saved: true, doomed: Vec::new(), takings_back: 0 });
        let (changes, link, unsaved) = (watch::Sender::new(0), watch::Sender::default(), Notify::new());
        let audience = Arc::default();
        Ok(Self {
            client,
            issuer,
            folder,
            keys,
            clock,
            audit,
            inner,
            standing,
            slot,
            audience,
            bell,
            unsaved,
            changes,
            link,
        })
    }

    pub(in crate::agent) const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The newest state, and a way to wait for the next.
    pub(in crate::agent) fn subscribe(&self) -> watch::Receiver<Arc<Published>> {
        self.slot.subscribe()
    }

    pub(in crate::agent) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.slot.borrow())
    }

    pub(in crate::agent) fn accounts(&self) -> Vec<Account> {
        self.lock().record.accounts.clone()
    }

    pub(in crate::agent) fn current(&self) -> Option<Account> {
        let inner = self.lock();
        inner.record.current.as_ref().and_then(|subject| inner.record.account(subject)).cloned()
    }

    /// Whether the account is enrolled.
    pub(in crate::agent) fn has(&self, account: &Subject) -> bool {
        self.lock().record.account(account).is_some()
    }

    /// Who is signed in, by name alone.
    pub(in crate::agent) fn current_subject(&self) -> Option<Subject> {
        self.lock().record.current.clone()
    }

    /// Sets how the person stands to the client. Another account than the current one is a switch: the epoch rises, and
    /// the account before is signed out.
    pub(in crate::agent) fn set_presence(&self, subject: &Subject, presence: PresenceState) -> Result<Seq, HubError> {
        if presence == PresenceState::SignedOut {
            return Err(HubError::NotAPresence);
        }
        let mut inner = self.lock();
        if inner.record.current.as_ref() != Some(subject) {
            let account = inner.record.account(subject).cloned().ok_or(HubError::NoSuchAccount)?;
            let signer = self.keys.load(account.key)?;
            let mut next = inner.record.clone();
            if let Some(pending) = self.leave(&inner, inner.record.epoch.next())? {
                next.epoch = next.epoch.next();
                next.keep_sign_out(pending);
            }
            next.current = Some(account.subject);
            self.switch(&mut inner, next, signer)?;
            self.bell.notify_one();
        }
        Ok(self.publish(&inner, presence))
    }

    /// The person's profile, as the client shows it.
    pub(in crate::agent) fn set_profile(
        &self,
        subject: &Subject,
        name: Option<&str>,
        avatar: Option<&str>,
    ) -> Result<(), HubError> {
        let mut inner = self.lock();
        let mut next = inner.record.clone();
        let account = next.accounts.iter_mut().find(|a| a.subject == *subject).ok_or(HubError::NoSuchAccount)?;
        if let Some(name) = name {
            account.name = plain_name(name);
        }
        if let Some(avatar) = avatar {
            if !is_picture(avatar) {
                return Err(HubError::NotAPicture);
            }
            account.avatar = Some(avatar.to_owned());
        }
        if next == inner.record { Ok(()) } else { self.keep(&mut inner, next) }
    }

    /// Signs the account out: pages learn it first, the issuer as soon as it can be reached.
    pub(in crate::agent) fn sign_out(&self, subject: &Subject) -> Result<Epoch, HubError> {
        let mut inner = self.lock();
        if inner.record.account(subject).is_none() {
            return Err(HubError::NoSuchAccount);
        }
        if inner.record.current.as_ref() != Some(subject) {
            return Ok(inner.record.epoch);
        }
        let epoch = inner.record.epoch.next();
        self.sign_out_at(&mut inner, epoch).map(|()| epoch)
    }

    /// Takes in a key that the issuer enrolled: its account is signed in from now on.
    pub(in crate::agent) fn enrolled(&self, enrolled: Enrolled, signer: Arc<dyn Signer>) -> Result<Account, HubError> {
        let mut inner = self.lock();
        let mut next = inner.record.clone();
        // Whoever was signed in before, be it the same account under an older key, is signed out by this.
        if let Some(pending) = self.leave(&inner, next.epoch.next())? {
            next.epoch = next.epoch.next();
            next.keep_sign_out(pending);
        }
        next.epoch = next.epoch.max(enrolled.epoch);
        let account = Account {
            subject: enrolled.subject,
            device: enrolled.device,
            key: signer.public().id(),
            name: plain_name(&enrolled.name),
            avatar: enrolled.avatar.filter(|avatar| is_picture(avatar)),
        };
        let replaced = next.account(&account.subject).map(|old| old.key);
        next.accounts.retain(|old| old.subject != account.subject);
        next.accounts.push(account.clone());
        next.current = Some(account.subject.clone());
        next.revoked = None;
        self.switch(&mut inner, next, signer)?;
        self.audit.note(Act::Enrolled {
            issuer: self.issuer.clone(),
            account: account.subject.clone(),
            device: account.device.clone(),
        });
        self.publish(&inner, PresenceState::SignedIn);
        self.bell.notify_one();
        if let Some(replaced) = replaced {
            self.keys.remove(replaced)?;
        }
        Ok(account)
    }

    /// Forgets an account with its key and its consents; signs it out first.
    pub(in crate::agent) fn remove(&self, subject: &Subject) -> Result<(), HubError> {
        self.forget(subject, None)
    }

    /// As [`Hub::remove`], since the issuer has revoked the account's key: that is remembered until somebody is enrolled.
    pub(in crate::agent) fn remove_revoked(&self, subject: &Subject) -> Result<(), HubError> {
        self.forget(subject, Some(self.clock.wall()))
    }

    /// When the issuer revoked a device key here, where nobody was enrolled since.
    pub(in crate::agent) fn revoked(&self) -> Option<UnixMillis> {
        self.lock().record.revoked
    }

    /// Signs out and forgets in one step: whatever the client says meanwhile comes before it, or finds no account.
    fn forget(&self, subject: &Subject, revoked: Option<UnixMillis>) -> Result<(), HubError> {
        let mut inner = self.lock();
        let Some(account) = inner.record.account(subject).cloned() else { return Err(HubError::NoSuchAccount) };
        let mut next = inner.record.clone();
        let is_current = next.current.as_ref() == Some(subject);
        if is_current {
            self.sign_out_in(&mut next, &inner, inner.record.epoch.next())?;
        }
        next.accounts.retain(|old| old.subject != *subject);
        next.consents.retain(|consent| consent.subject != *subject);
        next.revoked = revoked.or(next.revoked);
        let settled = self.settle(&mut inner, next);
        if is_current {
            self.publish(&inner, PresenceState::SignedOut);
            self.bell.notify_one();
        }
        self.audit.note(Act::Removed { issuer: self.issuer.clone(), account: account.subject });
        self.remove_key_of(&mut inner, account.key)?;
        settled
    }

    /// The sign-outs that the issuer has not answered yet.
    pub(in crate::agent) fn pending_sign_outs(&self) -> Vec<PendingSignOut> {
        self.lock().record.sign_outs.clone()
    }

    /// The issuer answered: the sign-out need not be sent again.
    pub(in crate::agent) fn delivered(&self, sign_out: &PendingSignOut) -> Result<(), HubError> {
        let mut inner = self.lock();
        let mut next = inner.record.clone();
        next.sign_outs.retain(|pending| pending != sign_out);
        self.lower(&mut inner, next)
    }

    /// Signs out whoever is signed in; the epoch is a higher one than before.
    fn sign_out_at(&self, inner: &mut Inner, epoch: Epoch) -> Result<(), HubError> {
        let mut next = inner.record.clone();
        self.sign_out_in(&mut next, inner, epoch)?;
        let settled = self.settle(inner, next);
        self.publish(inner, PresenceState::SignedOut);
        self.bell.notify_one();
        settled
    }

    /// Has nobody signed in in the record that follows, and keeps the sign-out of whoever is now for delivery.
    fn sign_out_in(&self, next: &mut Record, inner: &Inner, epoch: Epoch) -> Result<(), HubError> {
        next.epoch = epoch;
        if let Some(pending) = self.leave(inner, epoch)? {
            next.keep_sign_out(pending);
        }
        next.current = None;
        Ok(())
    }

    /// The sign-out of whoever is signed in now, for the epoch that follows.
    fn leave(&self, inner: &Inner, epoch: Epoch) -> Result<Option<PendingSignOut>, HubError> {
        let current = inner.record.current.as_ref().and_then(|subject| inner.record.account(subject));
        let (Some(account), Some(signer)) = (current, &inner.signer) else { return Ok(None) };
        let statement = SignOut {
            iss: DeviceIssuer(account.device.clone()),
            aud: self.issuer.clone(),
            sub: account.subject.clone(),
            epo: epoch,
        };
        Ok(Some(PendingSignOut { key: account.key, statement: statement::sign(&statement, signer.as_ref())? }))
    }

    /// Takes in that the desktop has changed: the most that the presence can be, and whether a client is connected.
    #[cfg(all(target_os = "linux", feature = "logind"))]
    pub(in crate::agent) fn see_desktop(&self, ceiling: PresenceState, has_client: bool) {
        let inner = self.lock();
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.see(ceiling, has_client);
        self.push(&inner, standing.presence());
    }

    /// Publishes what was said; it replaces what the desktop had lowered.
    fn publish(&self, inner: &Inner, said: PresenceState) -> Seq {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = Standing::new(said);
        self.push(inner, said)
    }

    /// Called with the lock held, so that states go out in the order in which they came about.
    fn push(&self, inner: &Inner, presence: PresenceState) -> Seq {
        let last = self.published();
        let state = State { presence, since: self.clock.wall(), epoch: inner.record.epoch };
        if last.state.presence == presence && last.state.epoch == state.epoch {
            return last.seq;
        }
        let seq = last.seq.next();
        tracing::info!(issuer = %self.issuer, %presence, epoch = state.epoch.0, seq = seq.0, "state changed");
        let published = Arc::new(Published::new(seq, state, inner.signer.is_some()));
        self.slot.send_replace(Arc::clone(&published));
        self.audience.tell(&published);
        seq
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
