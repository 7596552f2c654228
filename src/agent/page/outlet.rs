//! The stream of one open socket, shared by its task, which reads and answers, and by whoever publishes states, who writes
//! them there directly. Frames never interleave: whoever writes holds the lock, and what the system does not take at once
//! waits in a bounded queue before everything that follows.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::agent::audience::{Bell, Listener, Ring};
use crate::protocol::id::Seq;
use crate::protocol::limits::SEND_QUEUE_MAX_LEN;
use crate::protocol::state::Published;

/// Longest control frame that is sent (RFC 6455 section 5.5).
const CONTROL_FRAME_MAX_LEN: usize = 2 + 125;

/// More waits for a page that does not read than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {SEND_QUEUE_MAX_LEN} bytes wait for a page that does not read")]
pub(in crate::agent) struct QueueFull;

/// The stream of one socket, and its bell.
pub(in crate::agent) struct Outlet<S> {
    pub(in crate::agent) bell: Bell,
    inner: Mutex<Inner<S>>,
}

struct Inner<S> {
    stream: S,
    /// What the system did not take yet.
    queue: VecDeque<u8>,
    /// Whether the stream keeps nothing back of its own; TLS does, until it is flushed.
    is_flushed: bool,
    task: TaskState,
    /// The number of the newest state that is on its way to the page.
    told: Option<Seq>,
}

/// What a newer state means to the socket's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskState {
    /// It has to take the state in itself, and is woken for that.
    Awake,
    /// Nothing but that the page is sent it.
    Resting,
    /// Nothing: it waits for the page to read, and looks for the newest state then.
    Behind,
    /// Nothing any more: the page's grant was withdrawn, or the agent stops.
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Outlet<S> {
    /// An outlet with something to say first; it goes out together with what follows.
    pub(in crate::agent) fn new(stream: S, first: Vec<u8>) -> Self {
        let queue = VecDeque::from(first);
        let inner = Inner { stream, queue, is_flushed: true, task: TaskState::Awake, told: None };
        Self { bell: Bell::default(), inner: Mutex::new(inner) }
    }

    /// Queues bytes, all or none.
    pub(in crate::agent) fn queue(&self, parts: &[&[u8]]) -> Result<(), QueueFull> {
        self.lock().queue(parts, SEND_QUEUE_MAX_LEN)
    }

    /// As [`Outlet::queue`], for a control frame: there is always room for a goodbye.
    pub(in crate::agent) fn queue_control(&self, frame: &[u8]) -> Result<(), QueueFull> {
        self.lock().queue(&[frame], SEND_QUEUE_MAX_LEN + CONTROL_FRAME_MAX_LEN)
    }

    /// Queues a state, where no newer one, nor this one, is on its way.
    pub(in crate::agent) fn queue_state(&self, published: &Published, parts: &[&[u8]]) -> Result<(), QueueFull> {
        let mut inner = self.lock();
        if inner.told >= Some(published.seq) {
            return Ok(());
        }
        inner.queue(parts, SEND_QUEUE_MAX_LEN)?;
        inner.told = Some(published.seq);
        Ok(())
    }

    /// Notes a state that the page is told by another message.
    pub(in crate::agent) fn told(&self, seq: Seq) {
        let mut inner = self.lock();
        inner.told = inner.told.max(Some(seq));
    }

    /// The task waits from here on; where it has nothing to add to a state, states are written without it.
    pub(in crate::agent) fn rest(&self, has_nothing_to_add: bool) {
        let mut inner = self.lock();
        let task = match (inner.has_unsent(), has_nothing_to_add) {
            (true, _) => TaskState::Behind,
            (false, true) => TaskState::Resting,
            (false, false) => TaskState::Awake,
        };
        inner.becomes(task);
    }

    /// The task goes on: from here on its bell rings for a state. False where it still waits for the page to read.
    pub(in crate::agent) fn rouse(&self) -> bool {
        let mut inner = self.lock();
        inner.becomes(TaskState::Awake);
        !inner.has_unsent()
    }

    /// Whether something waits for the page to read.
    pub(in crate::agent) fn has_unsent(&self) -> bool {
        self.lock().has_unsent()
    }

    pub(in crate::agent) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_flush(cx)
    }

    pub(in crate::agent) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_read(cx, buf)
    }

    pub(in crate::agent) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_shutdown(cx)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Inner<S> {
    fn becomes(&mut self, task: TaskState) {
        if self.task != TaskState::Over {
            self.task = task;
        }
    }

    fn has_unsent(&self) -> bool {
        !self.is_flushed || !self.queue.is_empty()
    }

    fn queue(&mut self, parts: &[&[u8]], most: usize) -> Result<(), QueueFull> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if self.queue.len() + len > most {
            // The page may have read since. Any fault, and any rest, is the task's to find.
            let _ = self.poll_flush(&mut Context::from_waker(futures::task::noop_waker_ref()));
            if self.queue.len() + len > most {
                return Err(QueueFull);
            }
        }
        self.queue.reserve_exact(len);
        for part in parts {
            self.queue.extend(*part);
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            let (waiting, _) = self.queue.as_slices();
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.queue.drain(..written);
            self.is_flushed = false;
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_flushed = true;
        }
        // An idle socket keeps no room for what it once had to say.
        self.queue = VecDeque::new();
        Poll::Ready(Ok(()))
    }

    /// Writes past the queue, which is empty; whether all of it is on its way.
    fn write_now(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> bool {
        let written = match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        if written < bytes.len() {
            self.queue.extend(&bytes[written..]);
            return false;
        }
        self.is_flushed = matches!(Pin::new(&mut self.stream).poll_flush(cx), Poll::Ready(Ok(())));
        self.is_flushed
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Listener for Outlet<S> {
    fn ring(&self, ring: Ring) {
        if matches!(ring, Ring::Withdrawn | Ring::Stopping) {
            // At once: what is published from here on is not for this page.
            self.lock().task = TaskState::Over;
        }
        self.bell.ring(ring);
    }

    fn tell(&self, published: &Published, cx: &mut Context<'_>) {
        let mut inner = self.lock();
        if inner.told >= Some(published.seq) {
            return;
        }
        match inner.task {
            // A backlog would help nobody: once it has read, it is told the newest.
            TaskState::Behind | TaskState::Over => {}
            // The library has an answer to a ping under way: it comes first.
            TaskState::Resting if inner.has_unsent() => {
                inner.task = TaskState::Behind;
                self.bell.ring(Ring::Newer);
            }
            TaskState::Resting => {
                inner.told = Some(published.seq);
                if !inner.write_now(published.frame.as_bytes(), cx) {
                    inner.task = TaskState::Behind;
                    self.bell.ring(Ring::Newer);
                }
            }
            TaskState::Awake => self.bell.ring(Ring::Newer),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, DuplexStream};

    use super::*;
    use crate::protocol::id::Epoch;
    use crate::protocol::state::{PresenceState, State};
    use crate::protocol::time::UnixMillis;

    fn state(seq: u64) -> Published {
        let state = State { presence: PresenceState::Away, since: UnixMillis(1), epoch: Epoch(0) };
        Published::new(Seq(seq), state, true)
    }

    fn cx() -> Context<'static> {
        Context::from_waker(futures::task::noop_waker_ref())
    }

    fn waiting(len: usize) -> (Outlet<DuplexStream>, DuplexStream) {
        let (page, agent) = tokio::io::duplex(len);
        let outlet = Outlet::new(agent, Vec::new());
        outlet.rest(true);
        (outlet, page)
    }

    fn there(page: &mut DuplexStream) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        let read = page.read(&mut bytes).now_or_never().map_or(0, |read| read.expect("readable"));
        bytes.truncate(read);
        bytes
    }

    /// The library may have an answer to a ping under way while the task waits.
    #[test]
    fn a_state_does_not_come_before_what_waits() {
        let (outlet, mut page) = waiting(1024);
        outlet.queue_control(b"pong").expect("room");
        outlet.tell(&state(2), &mut cx());
        assert_eq!(there(&mut page), b"");
        assert!(outlet.bell.poll_rung(&cx()).is_ready(), "the task is told of it");
        assert!(outlet.poll_flush(&mut cx()).is_ready());
        assert_eq!(there(&mut page), b"pong");
        assert!(outlet.rouse());
        outlet.rest(true);
        outlet.tell(&state(2), &mut cx());
        assert_eq!(there(&mut page), state(2).frame.as_bytes());
        outlet.tell(&state(2), &mut cx());
        assert_eq!(there(&mut page), b"", "once");
    }

    #[test]
    fn what_does_not_fit_is_finished_before_the_next_state() {
        let (outlet, mut page) = waiting(10);
        outlet.tell(&state(2), &mut cx());
        outlet.tell(&state(3), &mut cx());
        let mut read = there(&mut page);
        while outlet.poll_flush(&mut cx()).is_pending() {
            read.extend(there(&mut page));
        }
        read.extend(there(&mut page));
        assert_eq!(read, state(2).frame.as_bytes(), "the third is its task's to look for");
    }

    #[test]
    fn nothing_is_written_to_a_page_whose_grant_was_withdrawn() {
        for ring in [Ring::Withdrawn, Ring::Stopping] {
            let (outlet, mut page) = waiting(1024);
            outlet.ring(ring);
            outlet.tell(&state(2), &mut cx());
            outlet.rest(true);
            outlet.tell(&state(3), &mut cx());
            assert_eq!(there(&mut page), b"");
        }
    }

    #[test]
    fn there_is_room_for_a_goodbye_behind_a_full_queue() {
        let (outlet, _page) = waiting(1);
        outlet.queue(&[&vec![0; SEND_QUEUE_MAX_LEN]]).expect("room");
        outlet.queue(&[b"x"]).expect("one byte has left");
        assert_eq!(outlet.queue(&[b"x"]), Err(QueueFull));
        outlet.queue_control(&[0x88, 0]).expect("room");
        assert_eq!(outlet.queue_control(&[0; CONTROL_FRAME_MAX_LEN]), Err(QueueFull), "not for any number of them");
    }
}
