//! News for open pages: a session's end, a person's presence. Inside this process; each page gets the newest state, not
//! a backlog, and the store stays the truth.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::protocol::state::PresenceState;
use crate::store::{AccountId, EndReason, SessionKey};

/// Event streams of one session. The SDK opens one for all its tabs; a browser without its locks opens a few.
const STREAMS_PER_SESSION: usize = 16;

/// What the pages of a session should know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Why the session is over, if it is.
    pub(super) ended: Option<EndReason>,
    /// The person's presence, if it was heard of since the stream began.
    pub(super) presence: Option<PresenceState>,
}

/// The open event streams, by session and by account.
#[derive(Debug, Default)]
pub(super) struct Bus(Mutex<Listeners>);

#[derive(Debug, Default)]
struct Listeners {
    sessions: HashMap<SessionKey, (AccountId, watch::Sender<News>)>,
    accounts: HashMap<AccountId, HashSet<SessionKey>>,
}

impl Listeners {
    fn remove(&mut self, key: SessionKey) -> Option<watch::Sender<News>> {
        let (account, sender) = self.sessions.remove(&key)?;
        if let Some(keys) = self.accounts.get_mut(&account) {
            keys.remove(&key);
            if keys.is_empty() {
                self.accounts.remove(&account);
            }
        }
        Some(sender)
    }
}

impl Bus {
    /// Listens to a session's news; nothing where it has more listeners than it needs.
    pub(super) fn listen(self: &Arc<Self>, key: SessionKey, account: &AccountId) -> Option<Listener> {
        let mut listeners = self.lock();
        let listeners = &mut *listeners;
        let (_, sender) = listeners.sessions.entry(key).or_insert_with(|| (account.clone(), watch::Sender::default()));
        if sender.receiver_count() >= STREAMS_PER_SESSION {
            return None;
        }
        let news = Some(sender.subscribe());
        listeners.accounts.entry(account.clone()).or_default().insert(key);
        Some(Listener { bus: Arc::clone(self), key, news })
    }

    /// Tells a session's pages that it is over.
    pub(super) fn end(&self, key: SessionKey, reason: EndReason) {
        // What the last sender wrote is still read after it is gone.
        if let Some(sender) = self.lock().remove(key) {
            sender.send_modify(|news| news.ended = Some(reason));
        }
    }

    /// Tells an account's pages how the person stands to the client.
    pub(super) fn tell_presence(&self, account: &AccountId, presence: PresenceState) {
        let listeners = self.lock();
        for key in listeners.accounts.get(account).into_iter().flatten() {
            if let Some((_, sender)) = listeners.sessions.get(key) {
                sender.send_modify(|news| news.presence = Some(presence));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Listeners> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One page's ear. The last of a session tidies up.
#[derive(Debug)]
pub(super) struct Listener {
    bus: Arc<Bus>,
    key: SessionKey,
    news: Option<watch::Receiver<News>>,
}

impl Listener {
    /// The next news, as they then are. After an end there is nothing to wait for.
    pub(super) async fn next(&mut self) -> News {
        match &mut self.news {
            Some(news) => match news.changed().await {
                Ok(()) => *news.borrow_and_update(),
                Err(_) => News { ended: Some(EndReason::Ended), presence: None },
            },
            None => News::default(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.news = None;
        let mut listeners = self.bus.lock();
        if listeners.sessions.get(&self.key).is_some_and(|(_, sender)| sender.receiver_count() == 0) {
            listeners.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;

    fn key(n: u8) -> SessionKey {
        SessionKey::of(&Secret::new([n; 32]))
    }

    fn account(name: &str) -> AccountId {
        name.parse().expect("account")
    }

    #[tokio::test]
    async fn news_reach_the_session_they_are_for() {
        let bus = Arc::new(Bus::default());
        let mut ada = bus.listen(key(1), &account("ada")).expect("room");
        let mut lin = bus.listen(key(2), &account("lin")).expect("room");
        bus.tell_presence(&account("ada"), PresenceState::Away);
        assert_eq!(ada.next().await.presence, Some(PresenceState::Away));
        bus.end(key(1), EndReason::SignedOut);
        assert_eq!(ada.next().await.ended, Some(EndReason::SignedOut));
        bus.end(key(2), EndReason::Revoked);
        let news = lin.next().await;
        assert_eq!((news.ended, news.presence), (Some(EndReason::Revoked), None));
    }

    #[test]
    fn nothing_is_kept_for_pages_that_left() {
        let bus = Arc::new(Bus::default());
        let listeners: Vec<_> =
            (0..STREAMS_PER_SESSION).map(|_| bus.listen(key(1), &account("ada")).expect("room")).collect();
        assert!(bus.listen(key(1), &account("ada")).is_none());
        assert!(bus.listen(key(2), &account("ada")).is_some());
        drop(listeners);
        assert!(bus.lock().sessions.is_empty() && bus.lock().accounts.is_empty());
    }
}
