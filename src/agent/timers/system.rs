//! One timer of the system for every wait (timerfd_create(2)). It goes by the clock that counts the computer's sleep, as
//! [`SystemClock`] does.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock::{Clock as _, SystemClock};
use crate::protocol::time::Moment;

/// For so many waits room is kept while there are none; what more needed is given back then.
const ROOM_KEPT: usize = 64;

#[derive(Debug)]
pub(in crate::agent) struct SystemTimer {
    timer: AsyncFd<OwnedFd>,
    queue: Mutex<Queue>,
}

/// Who waits, in no order: waits come and go all the time, and the timer rings seldom.
#[derive(Debug, Default)]
struct Queue {
    waiting: Slab<Waiting>,
    /// When the timer rings, where it is set. It is left set when nobody waits any more, and rings for nobody once: to take it back
    /// and set it again would cost each page that comes and goes.
    set_for: Option<Moment>,
}

#[derive(Debug)]
struct Waiting {
    until: Moment,
    /// Taken when it is woken.
    waker: Option<Waker>,
}

impl SystemTimer {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        #[expect(
            deprecated,
            reason = "sound for a descriptor that never changes; what replaces it cannot be called safely"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self { timer, queue: Mutex::default() })
    }

    pub(super) async fn sleep_until(&self, until: Moment) {
        if SystemClock.now() >= until {
            return;
        }
        let mut wait = Wait { timer: self, until, place: None };
        poll_fn(|cx| wait.poll(cx)).await;
    }

    pub(super) async fn run(&self) {
        // A runtime that is being shut down has no readiness to give, and needs none.
        while let Ok(mut rung) = self.timer.readable().await {
            // How often it rang is of no interest; read, it rings again only when it is set again.
            let _ = rustix::io::read(&self.timer, &mut [0; 8]);
            rung.clear_ready();
            self.take_due(SystemClock.now()).into_iter().for_each(Waker::wake);
        }
    }

    /// Those who are due, and sets the timer for the next.
    fn take_due(&self, now: Moment) -> Vec<Waker> {
        let mut queue = self.lock();
        let (mut due, mut next) = (Vec::new(), None);
        for (_, waiting) in &mut queue.waiting {
            if waiting.until <= now {
                due.extend(waiting.waker.take());
            } else {
                next = Some(next.map_or(waiting.until, |next| waiting.until.min(next)));
            }
        }
        queue.set_for = None;
        if let Some(next) = next {
            self.set(&mut queue, next);
        }
        due
    }

    fn set(&self, queue: &mut Queue, moment: Moment) {
        let it_value = Timespec {
            tv_sec: i64::try_from(moment.0.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: moment.0.subsec_nanos().into(),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        match timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once) {
            Ok(_) => queue.set_for = Some(moment),
            Err(error) => tracing::error!(%error, "the system's timer cannot be set"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One wait. Once it was polled it has a place in the queue, until it is dropped.
struct Wait<'a> {
    timer: &'a SystemTimer,
    until: Moment,
    place: Option<usize>,
}

impl Wait<'_> {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let mut queue = self.timer.lock();
        if let Some(place) = self.place {
            let Some(waker) = &mut queue.waiting[place].waker else { return Poll::Ready(()) };
            if !waker.will_wake(cx.waker()) {
                let before = std::mem::replace(waker, cx.waker().clone());
                // What goes with a waker may be another wait.
                drop(queue);
                drop(before);
            }
            return Poll::Pending;
        }
        let waiting = Waiting { until: self.until, waker: Some(cx.waker().clone()) };
        self.place = Some(queue.waiting.insert(waiting));
        // One that has passed meanwhile rings at once.
        if queue.set_for.is_none_or(|set_for| self.until < set_for) {
            self.timer.set(&mut queue, self.until);
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let mut queue = self.timer.lock();
            let gone = queue.waiting.remove(place);
            if queue.waiting.is_empty() && queue.waiting.capacity() > ROOM_KEPT {
                queue.waiting = Slab::new();
            }
            // What goes with its waker may be another wait.
            drop(queue);
            drop(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    fn after(millis: u64) -> Moment {
        SystemClock.now() + Duration::from_millis(millis)
    }

    /// A timer, and what wakes whoever waits for it.
    fn running() -> (Arc<SystemTimer>, tokio::task::JoinHandle<()>) {
        let timer = Arc::new(SystemTimer::new().expect("a timer"));
        let task = Arc::clone(&timer);
        (timer, tokio::spawn(async move { task.run().await }))
    }

    #[tokio::test]
    async fn whoever_is_due_first_is_woken_first_and_nobody_before_their_time() {
        let (timer, _task) = running();
        let order = Mutex::new(Vec::new());
        let wait = async |millis| {
            let until = after(millis);
            timer.sleep_until(until).await;
            assert!(SystemClock.now() >= until, "{millis} ms are not over");
            order.lock().expect("unpoisoned").push(millis);
        };
        // The latest is asked for first, so that the timer is set anew for each; and once more when it has rung.
        tokio::join!(wait(30), wait(20), wait(10));
        wait(1).await;
        assert_eq!(*order.lock().expect("unpoisoned"), [10, 20, 30, 1]);
        assert!(timer.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn all_who_wait_for_one_moment_are_woken() {
        let (timer, _task) = running();
        let until = after(10);
        futures::future::join_all((0..100).map(|_| timer.sleep_until(until))).await;
        assert!(timer.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn what_has_passed_is_not_waited_for() {
        let timer = SystemTimer::new().expect("a timer");
        assert!(timer.sleep_until(SystemClock.now()).now_or_never().is_some());
    }

    #[tokio::test]
    async fn the_system_is_told_of_what_is_earlier_alone_and_who_goes_leaves_nothing() {
        const HOUR: u64 = 3_600_000;
        let timer = SystemTimer::new().expect("a timer");
        let [first, earlier, later] = [2 * HOUR, HOUR, 3 * HOUR].map(after);
        for (until, set_for) in [(first, first), (earlier, earlier), (later, earlier), (first, earlier)] {
            assert!(timer.sleep_until(until).now_or_never().is_none());
            let queue = timer.lock();
            assert_eq!((queue.waiting.len(), queue.set_for), (0, Some(set_for)));
        }
    }

    /// Whoever asks last is woken: a wait may move from one task to another.
    #[tokio::test]
    async fn a_wait_that_is_polled_by_another_wakes_that_one() {
        let (timer, _task) = running();
        let mut wait = Box::pin(timer.sleep_until(after(10)));
        assert!((&mut wait).now_or_never().is_none());
        wait.await;
    }
}
