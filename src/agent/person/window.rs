//! Asking the person in the window of a bridge (protocol section 8): the last one who is asked, where nobody outside the
//! browser can. It belongs to one socket, and shows what that socket's page asks for and nothing else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::consent::{Answer, Asker, Prompt};
use crate::clock::Clock;
use crate::protocol::limits::CONSENT_TIMEOUT;
use crate::protocol::time::Moment;

/// A prompt on its way to the window.
#[derive(Debug)]
pub(in crate::agent) struct Question {
    pub(in crate::agent) prompt: Prompt,
    /// For how long it is waited for.
    pub(in crate::agent) expires_in: Duration,
    /// Where the answer goes. It is dropped where nobody waits any more.
    pub(in crate::agent) reply: oneshot::Sender<Answer>,
}

/// Asks in one window.
pub(in crate::agent) struct Window<F> {
    clock: Arc<dyn Clock>,
    since: Moment,
    show: F,
}

impl<F: Fn(Question) + Send + Sync> Window<F> {
    /// `show` takes a prompt to the window.
    pub(in crate::agent) fn new(clock: Arc<dyn Clock>, show: F) -> Self {
        Self { since: clock.now(), clock, show }
    }
}

#[async_trait]
impl<F: Fn(Question) + Send + Sync> Asker for Window<F> {
    fn is_available(&self) -> bool {
        true
    }

    async fn ask(&self, prompt: Prompt) -> Answer {
        let (reply, answer) = oneshot::channel();
        // Somebody else may have been asked before and could not.
        let expires_in = CONSENT_TIMEOUT.saturating_sub(self.clock.now().since(self.since));
        (self.show)(Question { prompt, expires_in, reply });
        answer.await.unwrap_or(Answer::Unavailable)
    }
}
