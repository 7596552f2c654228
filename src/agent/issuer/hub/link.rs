//! What the link to the login server reads here, and what it brings (protocol section 7).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Hub, HubError};
use crate::agent::issuer::link::LinkState;
use crate::agent::issuer::profile::{is_picture, plain_name};
use crate::agent::issuer::record::{Account, Record};
use crate::protocol::id::{DeviceIssuer, Epoch, Nonce, Subject};
use crate::protocol::issuer::LinkUrl;
use crate::protocol::link::Profile;
use crate::protocol::state::Published;
use crate::protocol::statement;

impl Hub {
    /// Whose link it is: whoever is signed in; with nobody signed in, whose it was, or who was enrolled last.
    pub(in crate::agent) fn link_account(&self, before: Option<&Account>) -> Option<Account> {
        link_account(&self.lock().record, before)
    }

    /// What pages are told, while the link still is this account's: nobody else's presence goes out over it.
    pub(in crate::agent) fn published_over(&self, account: &Account) -> Option<Arc<Published>> {
        let inner = self.lock();
        let now = link_account(&inner.record, Some(account))?;
        // Published with the lock held, so that both are of one moment.
        (now.key == account.key).then(|| self.published())
    }

    /// Whether it is this account, with this key, that is signed in.
    pub(in crate::agent) fn is_current(&self, account: &Account) -> bool {
        let inner = self.lock();
        let current = inner.record.current.as_ref().and_then(|subject| inner.record.account(subject));
        current.is_some_and(|current| current.key == account.key)
    }

    /// Signs L for an enrolled account.
    pub(in crate::agent) fn sign_link(
        &self,
        account: &Account,
        aud: LinkUrl,
        nonce: Nonce,
    ) -> Result<String, HubError> {
        let (epo, signer) = {
            let inner = self.lock();
            let own = inner.signer.as_ref().filter(|signer| signer.public().id() == account.key);
            (inner.record.epoch, own.map(Arc::clone))
        };
        let signer = match signer {
            Some(signer) => signer,
            None => self.keys.load(account.key)?,
        };
        let link = statement::Link { iss: DeviceIssuer(account.device.clone()), aud, nonce, epo };
        Ok(statement::sign(&link, signer.as_ref())?)
    }

    /// Takes in the lowest epoch that the issuer lets count. One above the agent's own means that whoever is signed in was
    /// signed out there.
    pub(in crate::agent) fn take_epoch(&self, lowest: Epoch) -> Result<(), HubError> {
        let mut inner = self.lock();
        if lowest > inner.record.epoch { self.sign_out_at(&mut inner, lowest) } else { Ok(()) }
    }

    /// Takes in the person as the issuer knows them.
    pub(in crate::agent) fn take_profile(&self, subject: &Subject, profile: Profile) -> Result<(), HubError> {
        let mut inner = self.lock();
        let mut next = inner.record.clone();
        let account = next.accounts.iter_mut().find(|a| a.subject == *subject).ok_or(HubError::NoSuchAccount)?;
        account.name = plain_name(&profile.name);
        account.avatar = profile.avatar.filter(|avatar| is_picture(avatar));
        if next == inner.record { Ok(()) } else { self.keep(&mut inner, next) }
    }

    /// Changes whenever somebody else is enrolled or signed in, or another sign-out waits.
    pub(in crate::agent) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(in crate::agent) fn link_state(&self) -> LinkState {
        self.link.borrow().clone()
    }

    /// Notes how the link is; true where that is another than before.
    pub(in crate::agent) fn set_link_state(&self, state: LinkState) -> bool {
        self.link.send_if_modified(|known| {
            let is_news = *known != state;
            *known = state;
            is_news
        })
    }

    /// Waits until the link has delivered every sign-out, is down, or has had long enough.
    pub(in crate::agent) async fn leave_it_to_the_link(&self, patience: Duration) {
        let (mut link, mut changes) = (self.link.subscribe(), self.changes.subscribe());
        let settled = async {
            while *link.borrow_and_update() == LinkState::Up && !self.pending_sign_outs().is_empty() {
                tokio::select! {
                    _ = link.changed() => {}
                    _ = changes.changed() => {}
                }
            }
        };
        let _ = tokio::time::timeout(patience, settled).await;
    }
}

fn link_account(record: &Record, before: Option<&Account>) -> Option<Account> {
    let of = |subject: Option<&Subject>| subject.and_then(|subject| record.account(subject));
    let account = of(record.current.as_ref()).or_else(|| of(before.map(|account| &account.subject)));
    account.or_else(|| record.accounts.last()).cloned()
}
