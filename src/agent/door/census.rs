//! How many connections there are of each kind, and that there are no more (protocol section 3.2).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use crate::protocol::gate::Refused;
use crate::protocol::limits::{MAX_SILENT, REFUSALS_PER_SECOND, SocketLimits};
use crate::protocol::origin::Origin;
use crate::protocol::rate::RateLimit;
use crate::protocol::time::Moment;

/// Counts connections; each place is given back when its guard is dropped.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Census {
    counts: Arc<Mutex<Counts>>,
    /// Open sockets by origin, for whoever shows them.
    open: watch::Sender<HashMap<Origin, usize>>,
}

#[derive(Debug)]
struct Counts {
    limits: SocketLimits,
    not_yet_open: usize,
    total: usize,
    per_origin: HashMap<Origin, usize>,
    silent: VecDeque<(u64, oneshot::Sender<()>)>,
    next_silent: u64,
    refusals: RateLimit,
    refusals_of_strangers: RateLimit,
}

impl Census {
    pub(in crate::agent) fn new(limits: SocketLimits) -> Self {
        let counts = Arc::new(Mutex::new(Counts {
            limits,
            not_yet_open: 0,
            total: 0,
            per_origin: HashMap::new(),
            silent: VecDeque::new(),
            next_silent: 0,
            refusals: RateLimit::new(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND),
            refusals_of_strangers: RateLimit::new(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND),
        }));
        Self { counts, open: watch::channel(HashMap::new()).0 }
    }

    /// A place for a connection that has said nothing yet. Where they are too many, the oldest is told to go.
    pub(in crate::agent) fn silent(&self) -> Silent {
        let (evict, evicted) = oneshot::channel();
        let mut counts = self.lock();
        let id = counts.next_silent;
        counts.next_silent += 1;
        counts.silent.push_back((id, evict));
        if counts.silent.len() > MAX_SILENT {
            // Dropping the sender is the message.
            counts.silent.pop_front();
        }
        Silent { census: self.clone(), id, evicted }
    }

    /// A place for a connection between the first byte of its head and `ready`.
    pub(in crate::agent) fn opening(&self) -> Result<Opening, Refused> {
        let mut counts = self.lock();
        if counts.not_yet_open >= counts.limits.not_yet_open {
            return Err(Refused::Limit);
        }
        counts.not_yet_open += 1;
        Ok(Opening(self.clone()))
    }

    /// A place for a socket of an origin.
    pub(in crate::agent) fn socket(&self, origin: &Origin) -> Result<Socket, Refused> {
        let mut counts = self.lock();
        let Counts { limits, total, per_origin, .. } = &mut *counts;
        let of_origin = per_origin.entry(origin.clone()).or_default();
        if *total >= limits.total || *of_origin >= limits.per_origin {
            return Err(Refused::Limit);
        }
        *total += 1;
        *of_origin += 1;
        Ok(Socket { census: self.clone(), origin: origin.clone(), open: false.into() })
    }

    /// Whether one more refusal may be answered with bytes. Other users of the computer have a budget of their own: they
    /// must not spend that of the person's own browsers.
    pub(in crate::agent) fn may_answer_refusal(&self, reason: Refused, now: Moment) -> bool {
        let mut counts = self.lock();
        let budget = match reason {
            Refused::Peer(_) => &mut counts.refusals_of_strangers,
            _ => &mut counts.refusals,
        };
        budget.admit(now)
    }

    /// How many sockets of each origin have said `ready`, and a way to wait until that changes.
    pub(in crate::agent) fn open_sockets(&self) -> watch::Receiver<HashMap<Origin, usize>> {
        self.open.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a silent connection.
pub(in crate::agent) struct Silent {
    census: Census,
    id: u64,
    evicted: oneshot::Receiver<()>,
}

impl Silent {
    /// Completes when a younger connection needs the place.
    pub(in crate::agent) async fn evicted(&mut self) {
        let _ = (&mut self.evicted).await;
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let id = self.id;
        self.census.lock().silent.retain(|(silent, _)| *silent != id);
    }
}

/// The place of a connection that is not open yet.
#[derive(Debug)]
pub(in crate::agent) struct Opening(Census);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.lock().not_yet_open -= 1;
    }
}

/// The place of a socket.
#[derive(Debug)]
pub(in crate::agent) struct Socket {
    census: Census,
    origin: Origin,
    open: std::sync::atomic::AtomicBool,
}

impl Socket {
    /// The socket has said `ready`.
    pub(in crate::agent) fn opened(&self) {
        self.open.store(true, std::sync::atomic::Ordering::Relaxed);
        self.census.open.send_modify(|open| *open.entry(self.origin.clone()).or_default() += 1);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut counts = self.census.lock();
        counts.total -= 1;
        if let Some(of_origin) = counts.per_origin.get_mut(&self.origin) {
            *of_origin -= 1;
            if *of_origin == 0 {
                counts.per_origin.remove(&self.origin);
            }
        }
        drop(counts);
        if *self.open.get_mut() {
            self.census.open.send_modify(|open| {
                open.entry(self.origin.clone()).and_modify(|count| *count -= 1);
                open.retain(|_, count| *count > 0);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let census = Census::new(SocketLimits { per_origin: 1, total: 2, not_yet_open: 1 });
        let [a, b, c] =
            ["https://a.example", "https://b.example", "https://c.example"].map(|o| o.parse().expect("origin"));
        let first = census.socket(&a).expect("a place");
        assert_eq!(census.socket(&a).err(), Some(Refused::Limit));
        let second = census.socket(&b).expect("a place");
        assert_eq!(census.socket(&c).err(), Some(Refused::Limit));
        drop(first);
        let open = census.open_sockets();
        second.opened();
        assert_eq!(open.borrow().get(&b), Some(&1));
        let _third = census.socket(&c).expect("the place that was given back");
        let opening = census.opening().expect("a place");
        assert_eq!(census.opening().err(), Some(Refused::Limit));
        drop(opening);
        assert!(census.opening().is_ok());
    }

    #[tokio::test]
    async fn the_oldest_silent_connection_goes_first() {
        let census = Census::new(SocketLimits::default());
        let mut silent: Vec<_> = (0..MAX_SILENT).map(|_| census.silent()).collect();
        silent.remove(7);
        let _younger = census.silent();
        assert!(silent[0].evicted.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
        let _one_too_many = census.silent();
        silent[0].evicted().await;
        assert!(silent[1].evicted.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
    }
}
