//! What is asked in a bridge's window, between the asker and the machine that numbers prompts and judges answers.

use tokio::sync::oneshot;

use crate::agent::issuer::profile::plain_name;
use crate::agent::person::consent::Answer;
use crate::agent::person::window::Question;
use crate::protocol::bridge::WindowMessage;
use crate::protocol::connection::WindowAnswer;

/// The prompt of one window, if there is one.
#[derive(Debug, Default)]
pub(in crate::agent) struct Prompts {
    /// Not shown yet.
    question: Option<Question>,
    /// Who waits for the answer to the one that is shown.
    reply: Option<oneshot::Sender<Answer>>,
}

impl Prompts {
    /// A question that the machine has not numbered yet.
    pub(in crate::agent) fn take(&mut self, question: Question) {
        self.question = Some(question);
    }

    /// The frame that shows the question.
    pub(in crate::agent) fn show(&mut self, id: u64) -> Option<String> {
        let Question { prompt, expires_in, reply } = self.question.take()?;
        self.reply = Some(reply);
        // Cleaned once more, whoever brought them.
        let (name, browser) = (plain_name(&prompt.name), prompt.browser.as_deref().map(plain_name));
        let request = WindowMessage::ConsentRequest {
            id,
            origin: &prompt.origin,
            name: &name,
            code: &prompt.code,
            browser: browser.as_deref(),
            can_remember: prompt.can_remember,
            expires_in: u64::try_from(expires_in.as_millis()).unwrap_or(u64::MAX),
        };
        Some(request.encode())
    }

    /// The frame that takes it away.
    pub(in crate::agent) fn hide(&mut self, id: u64) -> String {
        self.reply = None;
        WindowMessage::ConsentEnd { id }.encode()
    }

    /// Passes the answer on.
    pub(in crate::agent) fn answered(&mut self, WindowAnswer { allow, remember }: WindowAnswer) {
        if let Some(reply) = self.reply.take() {
            // Whoever asked may have left in the same moment.
            let _ = reply.send(if allow { Answer::Allow { remember } } else { Answer::Deny });
        }
    }
}
