//! News for open pages: a session's end, a person's presence. Each page gets the newest state, not a backlog. What happens
//! at other replicas comes in through `tail`; the store stays the truth.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::protocol::id::{DeviceId, Subject};
use crate::protocol::state::PresenceState;
use crate::store::{EndReason, SessionKey, Standing, Withdrawal, Withdrawn};

/// Event streams of one session. The SDK opens one for all its tabs; a browser without its locks opens a few.
const STREAMS_PER_SESSION: usize = 16;

/// What the pages of a session should know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Why the session is over, if it is.
    pub(super) ended: Option<EndReason>,
    /// The person's presence, as far as it was heard of since the stream began and is known still.
    pub(super) presence: Option<PresenceState>,
}

/// The open event streams, found by whatever can be withdrawn.
#[derive(Debug, Default)]
pub(super) struct Bus(Mutex<Listeners>);

#[derive(Debug, Default)]
struct Listeners {
    sessions: HashMap<SessionKey, (Standing, watch::Sender<News>)>,
    subjects: Index<Subject>,
    devices: Index<DeviceId>,
}

#[derive(Debug)]
struct Index<K>(HashMap<K, HashSet<SessionKey>>);

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Index<K> {
    fn insert(&mut self, under: &K, key: SessionKey) {
        self.0.entry(under.clone()).or_default().insert(key);
    }

    fn remove(&mut self, under: &K, key: SessionKey) {
        if let Some(keys) = self.0.get_mut(under) {
            keys.remove(&key);
            if keys.is_empty() {
                self.0.remove(under);
            }
        }
    }

    fn get(&self, under: &K) -> impl Iterator<Item = SessionKey> {
        self.0.get(under).into_iter().flatten().copied()
    }
}

impl Listeners {
    fn remove(&mut self, key: SessionKey) -> Option<watch::Sender<News>> {
        let (standing, sender) = self.sessions.remove(&key)?;
        self.subjects.remove(&standing.subject, key);
        if let Some(device) = &standing.device {
            self.devices.remove(device, key);
        }
        Some(sender)
    }

    fn end(&mut self, key: SessionKey, reason: EndReason) {
        // What the last sender wrote is still read after it is gone.
        if let Some(sender) = self.remove(key) {
            sender.send_modify(|news| news.ended = Some(reason));
        }
    }

    /// Those whom an entry may concern.
    fn candidates(&self, withdrawn: &Withdrawn) -> Vec<SessionKey> {
        match withdrawn {
            Withdrawn::Session { session } => vec![*session],
            Withdrawn::Epoch { device, .. } | Withdrawn::Device { device } => self.devices.get(device).collect(),
            Withdrawn::Account { subject, .. } => self.subjects.get(subject).collect(),
            Withdrawn::Organisation { .. } => self.sessions.keys().copied().collect(),
        }
    }
}

impl Bus {
    /// Listens to a session's news; nothing where it has more listeners than it needs.
    pub(super) fn listen(self: &Arc<Self>, standing: Standing) -> Option<Listener> {
        let key = standing.key;
        let mut listeners = self.lock();
        let listeners = &mut *listeners;
        listeners.subjects.insert(&standing.subject, key);
        if let Some(device) = &standing.device {
            listeners.devices.insert(device, key);
        }
        let (_, sender) = listeners.sessions.entry(key).or_insert_with(|| (standing, watch::Sender::default()));
        if sender.receiver_count() >= STREAMS_PER_SESSION {
            return None;
        }
        Some(Listener { bus: Arc::clone(self), key, news: Some(sender.subscribe()) })
    }

    /// Tells a session's pages that it is over.
    pub(super) fn end(&self, key: SessionKey, reason: EndReason) {
        self.lock().end(key, reason);
    }

    /// Tells the pages of whatever sessions an entry of the log ended.
    pub(super) fn withdraw(&self, withdrawal: &Withdrawal) {
        let mut listeners = self.lock();
        for key in listeners.candidates(&withdrawal.withdrawn) {
            if listeners.sessions.get(&key).is_some_and(|(standing, _)| withdrawal.withdrawn.ends(standing)) {
                listeners.end(key, withdrawal.reason);
            }
        }
    }

    /// Tells the pages that a device signed in how the person stands to the client there. Another computer of the same
    /// person has a presence of its own. Nothing: it is not known any more.
    pub(super) fn tell_presence(&self, device: &DeviceId, presence: Option<PresenceState>) {
        let listeners = self.lock();
        for key in listeners.devices.get(device) {
            if let Some((_, sender)) = listeners.sessions.get(&key) {
                sender.send_modify(|news| news.presence = presence);
            }
        }
    }

    /// The sessions that pages listen to.
    pub(super) fn sessions(&self) -> Vec<SessionKey> {
        self.lock().sessions.keys().copied().collect()
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
    use crate::protocol::id::Epoch;
    use crate::store::Generation;
    use crate::verify::testing::parsed;

    fn standing(n: u8, subject: &str, device: &str) -> Standing {
        Standing {
            key: SessionKey::of(&Secret::new([n; 32])),
            device: Some(parsed(device)),
            epoch: Epoch(1),
            subject: parsed(subject),
            generation: Generation(1),
            organisation: None,
            organisation_generation: Generation(0),
        }
    }

    #[tokio::test]
    async fn news_reach_the_session_they_are_for() {
        let bus = Arc::new(Bus::default());
        let mut ada = bus.listen(standing(1, "ada", "a")).expect("room");
        let mut lin = bus.listen(standing(2, "lin", "b")).expect("room");
        let mut laptop = bus.listen(standing(3, "ada", "c")).expect("room");
        bus.tell_presence(&parsed("a"), Some(PresenceState::Away));
        assert_eq!(ada.next().await.presence, Some(PresenceState::Away));
        bus.tell_presence(&parsed("c"), Some(PresenceState::SignedIn));
        assert_eq!(laptop.next().await.presence, Some(PresenceState::SignedIn), "each computer has its own");
        assert!(futures::FutureExt::now_or_never(ada.next()).is_none());
        bus.end(standing(1, "ada", "a").key, EndReason::SignedOut);
        assert_eq!(ada.next().await.ended, Some(EndReason::SignedOut));
        bus.end(standing(2, "lin", "b").key, EndReason::Revoked);
        let news = lin.next().await;
        assert_eq!((news.ended, news.presence), (Some(EndReason::Revoked), None));
    }

    #[tokio::test]
    async fn an_entry_of_the_log_ends_what_it_names() {
        let bus = Arc::new(Bus::default());
        let mut listeners = Vec::new();
        for (n, subject, device) in [(1, "ada", "a"), (2, "ada", "b"), (3, "lin", "c")] {
            listeners.push(bus.listen(standing(n, subject, device)).expect("room"));
        }
        let withdraw = |withdrawn, reason| bus.withdraw(&Withdrawal { withdrawn, reason });
        withdraw(Withdrawn::Epoch { device: parsed("a"), below: Epoch(1) }, EndReason::SignedOut);
        assert_eq!(bus.sessions().len(), 3, "not below");
        withdraw(Withdrawn::Epoch { device: parsed("a"), below: Epoch(2) }, EndReason::SignedOut);
        assert_eq!(listeners[0].next().await.ended, Some(EndReason::SignedOut));
        withdraw(Withdrawn::Account { subject: parsed("ada"), below: Generation(2) }, EndReason::LoggedOutEverywhere);
        assert_eq!(listeners[1].next().await.ended, Some(EndReason::LoggedOutEverywhere));
        assert_eq!(bus.sessions(), [standing(3, "lin", "c").key]);
    }

    #[test]
    fn nothing_is_kept_for_pages_that_left() {
        let bus = Arc::new(Bus::default());
        let one = || standing(1, "ada", "a");
        let listeners: Vec<_> = (0..STREAMS_PER_SESSION).map(|_| bus.listen(one()).expect("room")).collect();
        assert!(bus.listen(one()).is_none());
        assert!(bus.listen(standing(2, "ada", "a")).is_some());
        drop(listeners);
        let held = bus.lock();
        assert!(held.sessions.is_empty() && held.subjects.0.is_empty() && held.devices.0.is_empty());
    }
}
