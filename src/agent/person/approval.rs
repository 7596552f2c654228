//! Asking the person about an order (protocol section 8): another browser asks to be let in, and the person types the two
//! digits that it shows. One prompt at a time in all, until the order's time is over, and never while the person is away
//! behind a lock.

use std::time::Duration;

use super::consent::{Consents, Matter};
use crate::agent::audit::{Act, Outcome};
use crate::agent::issuer::hub::Hub;
use crate::agent::issuer::record::Account;
use crate::protocol::id::Subject;
use crate::protocol::link::Asking;
use crate::protocol::order::{Decision, Digits, ORDER_LIFE_SECONDS, Place};
use crate::protocol::origin::Origin;
use crate::protocol::state::{PresenceState, Published};

/// What a prompt for an approval shows. The digits are not in it: the person reads them where they want to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalPrompt {
    /// Where the other browser would be signed in.
    pub origin: Origin,
    /// Who would be signed in there: the issuer's name for the account.
    pub subject: Subject,
    /// The person's name.
    pub name: String,
    /// The other browser, by its own word: "Firefox on Windows".
    pub browser: Option<String>,
    /// Where that browser is.
    pub place: Place,
    /// For how many seconds an answer counts.
    pub seconds: u64,
}

/// What came of a prompt for an approval.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ApprovalAnswer {
    /// The person agreed, and typed these digits.
    Approve(Digits),
    /// The person did not agree.
    Deny,
    /// Nobody could be asked.
    #[default]
    Unavailable,
}

/// Whether the person may be asked: somebody is there, and it is who the order is for.
fn is_there(published: &Published, asked_at: &Published) -> bool {
    let presence = published.state.presence;
    published.state.epoch == asked_at.state.epoch && matches!(presence, PresenceState::SignedIn | PresenceState::Away)
}

/// A prompt that is open. Where nobody waits for the answer any more, that is written down too.
struct Asked<'a> {
    consents: &'a Consents,
    line: Option<Box<dyn Fn(Outcome) -> Act + Send + 'a>>,
}

impl Asked<'_> {
    fn answered(mut self, outcome: Outcome) {
        if let Some(line) = self.line.take() {
            self.consents.audit.note(line(outcome));
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            self.consents.audit.note(line(Outcome::Withdrawn));
        }
    }
}

impl Consents {
    /// Has the person decide about an order, and signs what they said. Nothing where nobody answered, or may be asked:
    /// the order expires then.
    pub(in crate::agent) async fn approve(&self, hub: &Hub, account: &Account, asking: Asking) -> Option<String> {
        let origin = asking.origin.clone();
        let asked_at = hub.published_over(account)?;
        if !hub.is_current(account) || !is_there(&asked_at, &asked_at) {
            tracing::info!(%origin, "not asked about another browser: nobody is there, or the client is locked");
            return None;
        }
        let turn = self.take_turn(Matter::Approval, &origin).ok()?;
        let line = |outcome| Act::Approval {
            issuer: hub.issuer().clone(),
            origin: origin.clone(),
            account: account.subject.clone(),
            outcome,
        };
        let asked = Asked { consents: self, line: Some(Box::new(line)) };
        let prompt = ApprovalPrompt {
            origin: asking.origin.clone(),
            subject: account.subject.clone(),
            name: account.name.clone(),
            browser: asking.browser.clone(),
            place: asking.place,
            seconds: asking.seconds.min(ORDER_LIFE_SECONDS),
        };
        let patience = Duration::from_secs(prompt.seconds);
        let mut states = hub.subscribe();
        let answer = tokio::select! {
            answer = tokio::time::timeout(patience, self.ask_for_approval(prompt)) => answer,
            // Whoever answers now is somebody else, or nobody should.
            _ = states.wait_for(|published| !is_there(published, &asked_at)) => return None,
        };
        drop(turn);
        let (outcome, decision, digits) = match answer {
            Ok(ApprovalAnswer::Approve(digits)) => (Outcome::Allowed, Decision::Approve, digits),
            Ok(ApprovalAnswer::Deny) => (Outcome::Denied, Decision::Deny, no_digits()),
            Ok(ApprovalAnswer::Unavailable) => {
                asked.answered(Outcome::Unavailable);
                return None;
            }
            Err(_) => {
                asked.answered(Outcome::Timeout);
                return None;
            }
        };
        tracing::info!(%origin, ?outcome, "the person was asked about another browser");
        asked.answered(outcome);
        let signed = hub.sign_approval(&asking, asked_at.state.epoch, decision, digits);
        signed.inspect_err(|error| tracing::warn!(%error, "the person's answer cannot be signed")).ok()
    }

    /// Asks through the first who can; one who finds that it cannot after all passes the question on.
    async fn ask_for_approval(&self, prompt: ApprovalPrompt) -> ApprovalAnswer {
        for asker in self.askers.iter().filter(|asker| asker.is_available()) {
            match asker.approve(prompt.clone()).await {
                ApprovalAnswer::Unavailable => {}
                answer => return answer,
            }
        }
        tracing::warn!("nobody can ask the person about another browser");
        ApprovalAnswer::Unavailable
    }
}

/// What stands in an A that refuses.
fn no_digits() -> Digits {
    Digits::try_from("00".to_owned()).expect("two digits")
}
