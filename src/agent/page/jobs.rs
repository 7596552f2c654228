//! What one socket has under way: challenges that are read, prompts that are open, signatures, the client's actions. A socket
//! with nothing under way has no jobs, and carries nothing of them.

use std::collections::HashMap;
use std::future::poll_fn;
use std::task::{Context, Poll};

use futures::channel::mpsc;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};

use super::bridge::Prompts;
use crate::agent::person::window::Question;
use crate::protocol::connection::{Call, Input};

/// What the driver is told by its own jobs.
pub(super) enum Note {
    /// Something for the machine.
    Input(Input<'static>),
    /// A prompt for the window of the bridge.
    Ask(Call, Question),
}

type Job = Abortable<BoxFuture<'static, Input<'static>>>;

/// The jobs of one socket, if it has any.
#[derive(Default)]
pub(super) struct Jobs(Option<Box<UnderWay>>);

struct UnderWay {
    jobs: FuturesUnordered<Job>,
    /// How to take an open prompt away again.
    prompts: HashMap<Call, AbortHandle>,
    /// What is asked in the window of the bridge.
    window: Prompts,
    notes: mpsc::UnboundedSender<Note>,
    noted: mpsc::UnboundedReceiver<Note>,
    /// What came of a job, for when its notes have been heard.
    done: Option<Input<'static>>,
}

impl UnderWay {
    fn new() -> Self {
        let (notes, noted) = mpsc::unbounded();
        let (jobs, prompts, window) = (FuturesUnordered::new(), HashMap::new(), Prompts::default());
        Self { jobs, prompts, window, notes, noted, done: None }
    }

    /// The next note; what came of a job comes after everything that the job has said before.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Note> {
        loop {
            if let Poll::Ready(Some(note)) = self.noted.poll_next_unpin(cx) {
                return Poll::Ready(note);
            }
            if let Some(input) = self.done.take() {
                return Poll::Ready(Note::Input(input));
            }
            match self.jobs.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(input))) => self.done = Some(input),
                // It was taken back.
                Poll::Ready(Some(Err(_))) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_over(&self) -> bool {
        self.jobs.is_empty() && self.done.is_none()
    }
}

impl Jobs {
    /// Begins a job; gives what came of it, where it had to wait for nothing.
    pub(super) fn try_at_once(
        &mut self,
        job: impl Future<Output = Input<'static>> + Send + 'static,
    ) -> Option<Input<'static>> {
        let mut job: BoxFuture<'static, _> = Box::pin(job);
        let input = job.as_mut().now_or_never();
        if input.is_none() {
            self.begin(job);
        }
        input
    }

    /// Begins a job.
    pub(super) fn begin(&mut self, job: BoxFuture<'static, Input<'static>>) -> AbortHandle {
        let (handle, registration) = AbortHandle::new_pair();
        self.under_way().jobs.push(Abortable::new(job, registration));
        handle
    }

    /// Begins a job that the machine may take back by its call.
    pub(super) fn begin_prompt(&mut self, call: Call, job: impl Future<Output = Input<'static>> + Send + 'static) {
        let handle = self.begin(Box::pin(job));
        self.under_way().prompts.insert(call, handle);
    }

    /// Where jobs leave their notes.
    pub(super) fn notes(&mut self) -> mpsc::UnboundedSender<Note> {
        self.under_way().notes.clone()
    }

    /// Takes a prompt away.
    pub(super) fn withdraw(&mut self, call: Call) {
        if let Some(prompt) = self.forget_prompt(call) {
            prompt.abort();
        }
    }

    /// The prompt has served.
    pub(super) fn forget_prompt(&mut self, call: Call) -> Option<AbortHandle> {
        self.0.as_mut().and_then(|jobs| jobs.prompts.remove(&call))
    }

    /// What is asked in the window of the bridge.
    pub(super) fn window(&mut self) -> &mut Prompts {
        &mut self.under_way().window
    }

    /// What is under way, until all of it is over.
    pub(super) fn settle(&mut self) {
        if self.0.as_ref().is_some_and(|jobs| jobs.is_over()) {
            self.0 = None;
        }
    }

    /// The next thing that is heard of a job; never, where there is none. Safe to drop and call again.
    pub(super) async fn next(&mut self) -> Note {
        poll_fn(|cx| match &mut self.0 {
            Some(jobs) => jobs.poll_next(cx),
            None => Poll::Pending,
        })
        .await
    }

    fn under_way(&mut self) -> &mut UnderWay {
        self.0.get_or_insert_with(|| Box::new(UnderWay::new()))
    }
}
