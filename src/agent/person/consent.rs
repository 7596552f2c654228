//! Asking the person (protocol section 4.3): one prompt at a time in all, three in ten minutes for an origin (or what the
//! embedding program says), a minute to answer. Who can ask outside the browser comes first, a bridge's window last. What an answer is good for is [`crate::protocol::consent`]'s to say.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::approval::{ApprovalAnswer, ApprovalPrompt};
use super::pass::Passes;
use crate::agent::audit::{Act, Audit, Outcome};
use crate::agent::issuer::hub::{Hub, HubError};
use crate::clock::Clock;
use crate::crypto;
use crate::protocol::code::RefusalCode;
use crate::protocol::consent::{ConsentRequest, Consented};
use crate::protocol::grant::ConsentMode;
use crate::protocol::id::{Epoch, PageMark, Subject};
use crate::protocol::limits::{CONSENT_TIMEOUT, PROMPT_WINDOW, PROMPTS_PER_WINDOW};
use crate::protocol::origin::Origin;
use crate::protocol::time::Moment;

/// What a prompt shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Where the person would be signed in.
    pub origin: Origin,
    /// Who would be signed in: the issuer's name for the account.
    pub subject: Subject,
    /// The person's name.
    pub name: String,
    /// Two digits that the page shows too.
    pub code: String,
    /// The program at the other end, as the system tells of it: "Firefox". `None` where it cannot be told.
    pub browser: Option<String>,
    /// Whether the answer may be remembered for this origin.
    pub can_remember: bool,
}

/// What a page asks consent for.
pub(in crate::agent) struct Asking {
    /// Its origin.
    pub(in crate::agent) origin: Origin,
    /// How the configuration has the person asked for that origin.
    pub(in crate::agent) mode: ConsentMode,
    /// The epoch of the state that the person saw on the card.
    pub(in crate::agent) epoch: Epoch,
    /// The mark of a page that the person opened from the client.
    pub(in crate::agent) mark: Option<PageMark>,
    /// Finds out which program is at the other end. It may take some milliseconds.
    pub(in crate::agent) browser: BoxFuture<'static, Option<String>>,
    /// Where the page speaks through a bridge: its window.
    pub(in crate::agent) window: Option<Arc<dyn Asker>>,
}

/// What came of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// The person agreed; `remember`: for this origin from now on.
    Allow {
        /// Whether to ask again next time.
        remember: bool,
    },
    /// The person did not agree.
    Deny,
    /// Nobody could be asked.
    #[default]
    Unavailable,
}

/// Somebody who can ask the person: a connected client, or the embedding application.
///
/// A prompt is open for as long as the future of [`Asker::ask`] is; dropping it takes the prompt away. A prompt should
/// ignore input for its first half second, so that nobody answers it by accident.
#[async_trait]
pub trait Asker: Send + Sync {
    /// Whether there is somebody to show a prompt just now.
    fn is_available(&self) -> bool;

    /// Shows a prompt and waits for the answer.
    async fn ask(&self, prompt: Prompt) -> Answer;

    /// Shows a prompt that lets another browser in, and waits for the two digits that it shows. Who cannot ask for digits
    /// leaves it as it is, and others are asked.
    async fn approve(&self, _: ApprovalPrompt) -> ApprovalAnswer {
        ApprovalAnswer::Unavailable
    }
}

/// Gets consents.
pub(in crate::agent) struct Consents {
    pub(super) askers: Vec<Arc<dyn Asker>>,
    /// Whether the person may be asked in the window of a bridge.
    in_windows: bool,
    clock: Arc<dyn Clock>,
    pub(super) audit: Arc<Audit>,
    /// Pages that the person opened from the client.
    pub(in crate::agent) passes: Passes,
    /// How many an origin may have of each matter within [`PROMPT_WINDOW`].
    prompts_per_window: usize,
    prompting: AtomicBool,
    recent: Mutex<HashMap<(Matter, Origin), Vec<Moment>>>,
}

impl Consents {
    /// Asks through the first of `askers` that is available and able to; after them, `in_windows`, in the window of the
    /// page's bridge.
    pub(in crate::agent) fn new(
        askers: Vec<Arc<dyn Asker>>,
        in_windows: bool,
        clock: Arc<dyn Clock>,
        audit: Arc<Audit>,
    ) -> Self {
        Self {
            askers,
            in_windows,
            clock,
            audit,
            passes: Passes::default(),
            prompts_per_window: PROMPTS_PER_WINDOW,
            prompting: AtomicBool::new(false),
            recent: Mutex::default(),
        }
    }

    /// As many prompts for an origin within [`PROMPT_WINDOW`].
    pub(in crate::agent) const fn with_prompts(mut self, per_window: usize) -> Self {
        self.prompts_per_window = per_window;
        self
    }

    /// Gets the consent for signing the account of the epoch in; `opened` is told the digits once a prompt is open.
    pub(in crate::agent) async fn obtain(
        &self,
        hub: &Hub,
        asking: Asking,
        opened: impl FnOnce(String) + Send,
    ) -> Result<Consented, RefusalCode> {
        let Asking { origin, mode, epoch, mark, browser, window } = asking;
        let takings_back = hub.takings_back();
        let window = window.filter(|_| self.in_windows);
        let (request, account) = hub.consent_request(&origin, epoch).map_err(|error| code_of(&error))?;
        let mode = mode.narrowed(hub.choice(&origin));
        // Where each sign-in is to be asked for, opening the page is no answer.
        let is_opened = |mark: &PageMark| self.passes.redeem(&origin, epoch, mark, self.clock.now());
        if mode != ConsentMode::Always && mark.as_ref().is_some_and(is_opened) {
            self.note(&request, Outcome::Opened, false);
            return Ok(Consented::by_opening(&request));
        }
        let remembered = hub.is_remembered(&request);
        if let Some(consented) = Consented::without_prompt(&request, mode, remembered) {
            let outcome = if mode == ConsentMode::Page { Outcome::Page } else { Outcome::Remembered };
            self.note(&request, outcome, remembered);
            return Ok(consented);
        }
        if window.is_none() && !self.askers.iter().any(|asker| asker.is_available()) {
            tracing::warn!(
                %origin,
                "nobody can ask the person: no client is connected, and the agent has neither a desktop nor a terminal to \
                 ask in, or is not to (see ask and consent in agent.toml)"
            );
            self.note(&request, Outcome::Unavailable, false);
            return Err(RefusalCode::Unavailable);
        }
        let _turn = self.take_turn(Matter::Login, &origin)?;
        // Found out first: once the page has heard of a prompt, there is one.
        let browser = browser.await;
        let code = two_digits();
        opened(code.clone());
        let mut asked = Asked { audit: &self.audit, request: &request, answered: false };
        let (subject, can_remember) = (account.subject, mode == ConsentMode::Prompt);
        let prompt = Prompt { origin: origin.clone(), subject, name: account.name, code, browser, can_remember };
        let answer = tokio::time::timeout(CONSENT_TIMEOUT, self.ask(prompt, window)).await;
        asked.answered = true;
        let (outcome, remember) = match answer {
            Ok((Answer::Allow { remember }, Place::Outside)) => (Outcome::Allowed, remember && can_remember),
            Ok((Answer::Allow { remember }, Place::Window)) => (Outcome::Window, remember && can_remember),
            Ok((Answer::Deny, _)) => (Outcome::Denied, false),
            Ok((Answer::Unavailable, _)) => (Outcome::Unavailable, false),
            Err(_) => (Outcome::Timeout, false),
        };
        tracing::info!(%origin, ?outcome, remember, "the person was asked");
        self.note(&request, outcome, remember);
        let consented = match outcome {
            Outcome::Timeout => return Err(RefusalCode::Timeout),
            Outcome::Unavailable => return Err(RefusalCode::Unavailable),
            Outcome::Window => Consented::from_window(&request, true).ok_or(RefusalCode::Denied)?,
            outcome => Consented::from_answer(&request, outcome == Outcome::Allowed).ok_or(RefusalCode::Denied)?,
        };
        if remember && let Err(error) = hub.remember(&request, takings_back) {
            tracing::warn!(%error, "the consent could not be remembered; the person will be asked again");
        }
        Ok(consented)
    }

    fn note(&self, request: &ConsentRequest, outcome: Outcome, remembered: bool) {
        let line = consent_line(request, outcome, remembered);
        match outcome {
            // The person was asked, so often in ten minutes at most.
            Outcome::Allowed | Outcome::Window | Outcome::Denied | Outcome::Timeout | Outcome::Opened => {
                self.audit.note(line);
            }
            _ => self.audit.note_caused(&request.origin, line),
        }
    }

    /// Asks through the first who can; one who finds that it cannot after all passes the question on.
    async fn ask(&self, prompt: Prompt, window: Option<Arc<dyn Asker>>) -> (Answer, Place) {
        let outside = self.askers.iter().map(|asker| (asker, Place::Outside));
        let askers = outside.chain(window.iter().map(|window| (window, Place::Window)));
        for (asker, place) in askers.filter(|(asker, _)| asker.is_available()) {
            match asker.ask(prompt.clone()).await {
                Answer::Unavailable => {}
                answer => return (answer, place),
            }
        }
        (Answer::Unavailable, Place::Outside)
    }

    pub(super) fn take_turn(&self, matter: Matter, origin: &Origin) -> Result<Turn<'_>, RefusalCode> {
        if self.prompting.swap(true, Ordering::AcqRel) {
            return Err(RefusalCode::Busy);
        }
        let turn = Turn(&self.prompting);
        let now = self.clock.now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|_, times| {
            times.retain(|at| now.since(*at) < PROMPT_WINDOW);
            !times.is_empty()
        });
        let times = recent.entry((matter, origin.clone())).or_default();
        if times.len() >= self.prompts_per_window {
            let prompts = self.prompts_per_window;
            tracing::warn!(%origin, prompts, "asked too often: this origin has had its prompts of ten minutes");
            return Err(RefusalCode::Busy);
        }
        times.push(now);
        Ok(turn)
    }
}

fn consent_line(request: &ConsentRequest, outcome: Outcome, remembered: bool) -> Act {
    let ConsentRequest { origin, issuer, subject, .. } = request.clone();
    Act::Consent { issuer, origin, account: subject, outcome, remembered }
}

/// A prompt that is open. Where nobody waits for the answer any more, that is written down too.
struct Asked<'a> {
    audit: &'a Audit,
    request: &'a ConsentRequest,
    answered: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.audit.note(consent_line(self.request, Outcome::Withdrawn, false));
        }
    }
}

/// Where the person was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside the browser.
    Outside,
    /// In the window of a bridge.
    Window,
}

/// What a prompt is about. Each is counted by itself: a page that asks for logins keeps no other browser out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Matter {
    /// A page of this computer wants to sign the person in.
    Login,
    /// Another browser does.
    Approval,
}

/// The turn of the one open prompt.
pub(super) struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// How a page hears of what the hub could not do.
pub(in crate::agent) const fn code_of(error: &HubError) -> RefusalCode {
    match error {
        HubError::Changed => RefusalCode::Switched,
        HubError::SignedOut => RefusalCode::SignedOut,
        _ => RefusalCode::Unavailable,
    }
}

/// Two digits, each pair from 10 to 99 as likely as the other.
fn two_digits() -> String {
    loop {
        let [byte] = crypto::random::<1>();
        if byte < 180 {
            return (10 + byte % 90).to_string();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::agent::issuer::client::{Enrolled, IssuerClient};
    use crate::agent::issuer::keystore::{FileKeyStore, KeyStore as _};
    use crate::clock::ManualClock;
    use crate::crypto::Algorithm;
    use crate::protocol::issuer::Issuer;
    use crate::protocol::statement::UserVerification;
    use crate::protocol::time::UnixMillis;

    /// Somebody who thinks for so long before saying yes.
    struct Slow(std::time::Duration);

    #[async_trait]
    impl Asker for Slow {
        fn is_available(&self) -> bool {
            true
        }

        async fn ask(&self, _: Prompt) -> Answer {
            tokio::time::sleep(self.0).await;
            Answer::Allow { remember: true }
        }
    }

    /// A hub without a network, and somebody who is signed in.
    fn hub(folder: &std::path::Path, clock: &Arc<dyn Clock>, audit: &Arc<Audit>) -> Hub {
        let issuer: Issuer = "https://login.example".parse().expect("an issuer");
        let client = IssuerClient::new(issuer.clone(), None, Arc::clone(clock)).expect("a client");
        let keys = Arc::new(FileKeyStore::new(folder.join("keys"), Algorithm::Es256).expect("a key store"));
        let key = keys.create().expect("a key");
        let hub =
            Hub::load(client, issuer, folder.to_owned(), keys, Arc::clone(clock), Arc::clone(audit)).expect("a hub");
        let enrolled = serde_json::json!({ "device": "d", "subject": "s", "name": "Ada", "epoch": 0 });
        let enrolled: Enrolled = serde_json::from_value(enrolled).expect("an enrolment");
        hub.enrolled(enrolled, key).expect("enrolled");
        hub
    }

    /// What comes of a login whose page has a window in which somebody says yes at once.
    async fn asked_in_a_window(askers: Vec<Arc<dyn Asker>>, in_windows: bool) -> Result<Consented, RefusalCode> {
        let folder = tempfile::tempdir().expect("a folder");
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(UnixMillis(0)));
        let audit = Arc::new(Audit::open(folder.path(), Arc::clone(&clock)).expect("an audit log"));
        let hub = hub(folder.path(), &clock, &audit);
        let asking = Asking {
            origin: "https://app.example".parse().expect("an origin"),
            mode: ConsentMode::Prompt,
            epoch: Epoch(0),
            mark: None,
            browser: Box::pin(std::future::ready(None)),
            window: Some(Arc::new(Slow(std::time::Duration::ZERO))),
        };
        Consents::new(askers, in_windows, clock, audit).obtain(&hub, asking, |_| ()).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_is_asked_last_where_it_may_be_and_weighs_less() {
        let how = |answer: Result<Consented, RefusalCode>| answer.map(|consented| consented.how());
        let never: fn() -> Vec<Arc<dyn Asker>> = Vec::new;
        let outside: fn() -> Vec<Arc<dyn Asker>> = || vec![Arc::new(Slow(std::time::Duration::from_secs(1)))];
        assert_eq!(how(asked_in_a_window(outside(), true).await), Ok(UserVerification::Prompt));
        assert_eq!(how(asked_in_a_window(never(), true).await), Ok(UserVerification::Page));
        assert_eq!(how(asked_in_a_window(never(), false).await), Err(RefusalCode::Unavailable));
    }

    #[tokio::test(start_paused = true)]
    async fn a_prompt_is_open_for_a_minute_and_then_makes_way_for_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(UnixMillis(0)));
        let audit = Arc::new(Audit::open(folder.path(), Arc::clone(&clock)).expect("an audit log"));
        let hub = hub(folder.path(), &clock, &audit);
        let origin: Origin = "https://app.example".parse().expect("an origin");
        let a_moment = std::time::Duration::from_millis(1);
        for (thinks_for, given) in [(CONSENT_TIMEOUT + a_moment, false), (CONSENT_TIMEOUT - a_moment, true)] {
            let slow: Vec<Arc<dyn Asker>> = vec![Arc::new(Slow(thinks_for))];
            let consents = Consents::new(slow, false, Arc::clone(&clock), Arc::clone(&audit));
            let asked = Instant::now();
            let asking = || Asking {
                origin: origin.clone(),
                mode: ConsentMode::Prompt,
                epoch: Epoch(0),
                mark: None,
                browser: Box::pin(std::future::ready(None)),
                window: None,
            };
            let obtain = || consents.obtain(&hub, asking(), |_| ());
            let (first, second) = tokio::join!(obtain(), obtain());
            assert_eq!(second, Err(RefusalCode::Busy), "one prompt in all");
            assert_eq!(asked.elapsed(), thinks_for.min(CONSENT_TIMEOUT));
            match first {
                Ok(_) => assert!(given),
                Err(code) => assert_eq!((code, given), (RefusalCode::Timeout, false)),
            }
            // A yes that came too late is none: nothing was remembered of it.
            assert_eq!(hub.consents().len(), usize::from(given));
            assert!(consents.take_turn(Matter::Login, &origin).is_ok(), "it is the next prompt's turn");
        }
        assert_eq!(CONSENT_TIMEOUT.as_secs(), 60);
    }

    #[test]
    fn an_origin_has_as_many_prompts_in_ten_minutes_as_the_program_says_and_three_where_it_says_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let manual = Arc::new(ManualClock::at(UnixMillis(0)));
        let clock: Arc<dyn Clock> = manual.clone();
        let audit = Arc::new(Audit::open(folder.path(), Arc::clone(&clock)).expect("an audit log"));
        let [origin, other] =
            ["https://app.example", "https://other.example"].map(|origin| origin.parse::<Origin>().expect("an origin"));
        let consents = || Consents::new(Vec::new(), false, Arc::clone(&clock), Arc::clone(&audit));
        for (consents, prompts) in [(consents(), 3), (consents().with_prompts(30), 30)] {
            let has_turn = |matter, origin| consents.take_turn(matter, origin).is_ok();
            assert!((0..prompts).all(|_| has_turn(Matter::Login, &origin)), "{prompts} prompts");
            assert!(!has_turn(Matter::Login, &origin), "one more than {prompts}");
            assert!(has_turn(Matter::Approval, &origin) && has_turn(Matter::Login, &other), "each counts by itself");
            manual.advance(PROMPT_WINDOW);
            assert!(has_turn(Matter::Login, &origin), "ten minutes later");
        }
    }

    /// Somebody who says "always", and takes it all back before that is heard.
    struct Torn(Arc<Hub>, Origin);

    #[async_trait]
    impl Asker for Torn {
        fn is_available(&self) -> bool {
            true
        }

        async fn ask(&self, _: Prompt) -> Answer {
            self.0.revoke_consents(&self.1).expect("revoked");
            Answer::Allow { remember: true }
        }
    }

    #[tokio::test]
    async fn what_is_taken_back_while_a_prompt_is_answered_is_not_remembered() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(UnixMillis(0)));
        let audit = Arc::new(Audit::open(folder.path(), Arc::clone(&clock)).expect("an audit log"));
        let hub = Arc::new(hub(folder.path(), &clock, &audit));
        let origin: Origin = "https://app.example".parse().expect("an origin");
        let torn = Arc::new(Torn(Arc::clone(&hub), origin.clone()));
        let consents = Consents::new(vec![torn], true, Arc::clone(&clock), audit);
        let (mode, epoch, mark) = (ConsentMode::Prompt, Epoch(0), None);
        let browser = Box::pin(std::future::ready(None));
        // This once it was allowed; the socket that asked is closed by whoever takes back.
        assert!(
            consents.obtain(&hub, Asking { origin, mode, epoch, mark, browser, window: None }, |_| ()).await.is_ok()
        );
        assert_eq!(hub.consents(), []);
    }
}
