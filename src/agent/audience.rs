//! Who hears at once of a change: the open sockets of one issuer.
//!
//! A state is encoded once and written to every socket by whoever publishes it; a socket's own task wakes only where there is
//! more to do than that (protocol sections 3.2 and 4.2).

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::task::AtomicWaker;
use slab::Slab;

use crate::agent::settings::OriginSettings;
use crate::protocol::origin::Origin;
use crate::protocol::state::Published;

/// Why a socket's task is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::agent) enum Ring {
    /// There is a newer state, or there are newer news.
    Newer = 1,
    /// The peer has to be looked at again.
    LookAgain = 2,
    /// The person took something back.
    Withdrawn = 4,
    /// The agent stops.
    Stopping = 8,
}

/// What a bell was rung for since it was heard last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) struct Rung(u8);

impl Rung {
    pub(in crate::agent) const fn has(self, ring: Ring) -> bool {
        self.0 & ring as u8 != 0
    }
}

/// Wakes one task, for reasons that add up until it hears them.
#[derive(Debug, Default)]
pub(in crate::agent) struct Bell {
    rung: AtomicU8,
    waker: AtomicWaker,
}

impl Bell {
    pub(in crate::agent) fn ring(&self, ring: Ring) {
        self.rung.fetch_or(ring as u8, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Whether it was rung since it was heard last.
    pub(in crate::agent) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire) != 0
    }

    pub(in crate::agent) fn poll_rung(&self, cx: &Context<'_>) -> Poll<Rung> {
        // Registered first: whoever rings from here on wakes the task.
        self.waker.register(cx.waker());
        match self.rung.swap(0, Ordering::AcqRel) {
            0 => Poll::Pending,
            rung => Poll::Ready(Rung(rung)),
        }
    }
}

/// An open socket, as whoever has news for it sees it.
pub(in crate::agent) trait Listener: Send + Sync {
    /// Wakes the socket's task.
    fn ring(&self, ring: Ring);

    /// Sends the state, or has the task do it where it must think first. Called within a task's poll or outside of any.
    fn tell(&self, published: &Published, cx: &mut Context<'_>);
}

/// Whose page it is, and its socket.
type Member = (Arc<OriginSettings>, Arc<dyn Listener>);

/// The open sockets of one issuer.
#[derive(Default)]
pub(in crate::agent) struct Audience {
    listeners: Mutex<Slab<Member>>,
}

impl Audience {
    /// Takes a place; it is given back when the result is dropped.
    pub(in crate::agent) fn join(self: &Arc<Self>, of: &Arc<OriginSettings>, listener: Arc<dyn Listener>) -> Place {
        Place { key: self.lock().insert((Arc::clone(of), listener)), audience: Arc::clone(self) }
    }

    /// Sends a state to every page. Called in the order of the states.
    pub(in crate::agent) fn tell(&self, published: &Published) {
        let listeners = self.lock();
        let telling = async {
            std::future::poll_fn(|_| {
                // What cannot be written at once is its task's to write: nobody waits here.
                let mut cx = Context::from_waker(futures::task::noop_waker_ref());
                for (_, (_, listener)) in listeners.iter() {
                    listener.tell(published, &mut cx);
                }
                Poll::Ready(())
            })
            .await;
        };
        // A task has a budget of so many writes before it must let others run: telling everybody is one act.
        let told = tokio::task::unconstrained(telling).now_or_never();
        debug_assert!(told.is_some(), "it waits for nothing");
    }

    /// Wakes the tasks of every page, or of one origin's.
    pub(in crate::agent) fn ring(&self, of: Option<&Origin>, ring: Ring) {
        let listeners = self.lock();
        for (_, (settings, listener)) in listeners.iter() {
            if of.is_none_or(|of| settings.origin == *of) {
                listener.ring(ring);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Member>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket's place in the audience.
pub(in crate::agent) struct Place {
    audience: Arc<Audience>,
    key: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut listeners = self.audience.lock();
        listeners.remove(self.key);
        if listeners.is_empty() {
            // What many sockets needed is not kept for none.
            listeners.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::grant::{ConsentMode, Grants, OpenProof};

    #[test]
    fn a_bell_keeps_its_reasons_until_they_are_heard() {
        let bell = Bell::default();
        let (woken, count) = futures_test_waker();
        let cx = Context::from_waker(&woken);
        assert_eq!(bell.poll_rung(&cx), Poll::Pending);
        bell.ring(Ring::Newer);
        bell.ring(Ring::Withdrawn);
        assert!(count() > 0);
        let Poll::Ready(rung) = bell.poll_rung(&cx) else { panic!("rung") };
        assert!(rung.has(Ring::Newer) && rung.has(Ring::Withdrawn) && !rung.has(Ring::Stopping));
        assert_eq!(bell.poll_rung(&cx), Poll::Pending, "once");
        bell.ring(Ring::LookAgain);
        assert!(matches!(bell.poll_rung(&cx), Poll::Ready(rung) if rung.has(Ring::LookAgain)));
    }

    /// A waker, and how often it was woken.
    fn futures_test_waker() -> (std::task::Waker, impl Fn() -> usize) {
        struct Count(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(0.into()));
        (Arc::clone(&count).into(), move || count.0.load(Ordering::Relaxed))
    }

    #[derive(Default)]
    struct Page(Mutex<Vec<Ring>>);

    impl Listener for Page {
        fn ring(&self, ring: Ring) {
            self.0.lock().expect("unpoisoned").push(ring);
        }

        fn tell(&self, _: &Published, _: &mut Context<'_>) {
            self.ring(Ring::Newer);
        }
    }

    #[test]
    fn one_origin_or_all_hear_the_bell_for_as_long_as_they_are_there() {
        let [of_one, of_other] = ["https://one.example", "https://other.example"].map(|origin| {
            Arc::new(OriginSettings {
                origin: origin.parse().expect("an origin"),
                issuer: "https://login.example".parse().expect("an issuer"),
                grants: Grants::default(),
                consent: ConsentMode::Prompt,
                proof: OpenProof::Origin,
            })
        });
        let (one, other) = (Arc::new(Page::default()), Arc::new(Page::default()));
        let audience = Arc::new(Audience::default());
        let _stays = audience.join(&of_one, one.clone());
        let goes = audience.join(&of_other, other.clone());
        audience.ring(Some(&of_one.origin), Ring::Withdrawn);
        audience.ring(None, Ring::Stopping);
        drop(goes);
        audience.ring(None, Ring::LookAgain);
        let rung = |page: &Page| page.0.lock().expect("unpoisoned").clone();
        assert_eq!(rung(&one), [Ring::Withdrawn, Ring::Stopping, Ring::LookAgain]);
        assert_eq!(rung(&other), [Ring::Stopping]);
    }
}
