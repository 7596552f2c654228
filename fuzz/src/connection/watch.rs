//! What must hold of everything that the machine says, kept beside it and without looking into it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use loopkey::protocol::connection::{Call, Connection, Output, Ready, Terms};
use loopkey::protocol::consent::Consented;
use loopkey::protocol::grant::{Grant, Grants, OpenProof};
use loopkey::protocol::id::{Epoch, Incarnation, Subject};
use loopkey::protocol::limits::{CONTROLS_PER_SECOND, MESSAGES_PER_SECOND, RATE_BURST};
use loopkey::protocol::message::{AgentMessage, PageMessage};
use loopkey::protocol::page::{OpenWith, Page};
use loopkey::protocol::state::{PresenceState, Published};
use loopkey::protocol::statement::Challenge;
use loopkey::protocol::time::Moment;

use super::{NONCE, START};

/// How long a consent may serve a second time (protocol section 6.4).
const SECOND_TOKEN: Duration = Duration::from_secs(60);

pub(super) struct Watch {
    terms: Terms,
    published: Arc<Published>,
    /// A page that hears everything: it must never find that the agent misbehaves.
    page: Page,
    greeted: bool,
    /// What `ready` granted.
    granted: Option<Grants>,
    closed: bool,
    texts: u32,
    controls: u32,
    /// Pings since the page's last `pong`.
    unanswered: u32,
    /// The message that the machine is reading.
    heard: Option<PageMessage>,
    /// How many answers the page may still get to requests of each number.
    owed: HashMap<u64, u32>,
    logins: HashMap<Call, (u64, Epoch)>,
    proves: HashMap<Call, u64>,
    /// Proofs and tokens that were made and not sent, and what for.
    proofs: HashMap<String, (Call, Epoch)>,
    tokens: HashMap<String, (Call, Subject)>,
    signing: HashSet<Call>,
    prompt: Option<Call>,
    consents: HashMap<Subject, Consent>,
}

/// A consent that the person gave.
struct Consent {
    call: Call,
    signings: u32,
    tokens: u32,
    first: Option<(Moment, Incarnation)>,
}

impl Watch {
    pub(super) fn new(terms: Terms, published: Arc<Published>) -> Self {
        Self {
            terms,
            published,
            page: Page::new(OpenWith::Nothing),
            greeted: false,
            granted: None,
            closed: false,
            texts: 0,
            controls: 0,
            unanswered: 0,
            heard: None,
            owed: HashMap::new(),
            logins: HashMap::new(),
            proves: HashMap::new(),
            proofs: HashMap::new(),
            tokens: HashMap::new(),
            signing: HashSet::new(),
            prompt: None,
            consents: HashMap::new(),
        }
    }

    pub(super) fn published(&mut self, published: Arc<Published>) {
        self.published = published;
    }

    /// The page says something.
    pub(super) fn hear(&mut self, text: &str) {
        self.texts += 1;
        self.heard = PageMessage::parse(text).ok();
        if self.granted.is_none() {
            return;
        }
        match self.heard {
            Some(PageMessage::Prove { id, .. } | PageMessage::Login { id, .. } | PageMessage::Action { id, .. }) => {
                *self.owed.entry(id).or_default() += 1;
            }
            Some(PageMessage::Pong {}) => self.unanswered = 0,
            _ => {}
        }
    }

    pub(super) fn control(&mut self) {
        self.controls += 1;
    }

    pub(super) fn proof_made(&mut self, proof: &str, call: Call, epoch: Epoch) {
        self.proofs.insert(proof.to_owned(), (call, epoch));
    }

    /// The person answers a prompt, if it is still there.
    pub(super) fn person_answered(&mut self, call: Call, consent: Option<&Subject>) {
        if self.prompt == Some(call) {
            self.prompt = None;
            let given = |subject: &Subject| (subject.clone(), Consent { call, signings: 0, tokens: 0, first: None });
            self.consents.extend(consent.map(given));
        }
    }

    pub(super) fn token_made(&mut self, token: &str, call: Call, of: &Subject, challenge: &Challenge, now: Moment) {
        self.tokens.insert(token.to_owned(), (call, of.clone()));
        let consent = self.consents.get_mut(of).expect("the person gave it");
        consent.first.get_or_insert((now, challenge.inc.clone()));
    }

    /// Takes what the machine says, and keeps the calls.
    pub(super) fn observe(&mut self, machine: &mut Connection, waiting: &mut Vec<Output>, now: Moment) {
        while let Some(output) = machine.next_output() {
            assert!(!self.closed, "{output:?} after the close");
            self.observe_one(&output, now);
            if !matches!(
                output,
                Output::Send(_)
                    | Output::SendState(_)
                    | Output::SendNews(_)
                    | Output::Ready(_)
                    | Output::WithdrawPrompt(_)
                    | Output::Close(_)
            ) {
                waiting.push(output);
            }
        }
        self.heard = None;
        assert_eq!(machine.is_closed(), self.closed);
        assert_eq!(machine.is_live(), self.granted.is_some() && !self.closed);
        assert_eq!(machine.deadline().is_none(), self.closed, "an open socket always has a deadline");
        if let Some(call) = self.prompt {
            assert!(!self.closed, "a prompt for nobody");
            assert!(self.owed[&self.logins[&call].0] > 0, "a prompt for a login that has had its answer");
            assert_eq!(self.logins[&call].1, self.published.state.epoch, "a prompt for somebody else");
        }
        let allowed = |rate: u32| u128::from(RATE_BURST + 2) + now.since(START).as_millis() * u128::from(rate) / 1000;
        assert!(self.closed || u128::from(self.texts) <= allowed(MESSAGES_PER_SECOND), "a flood of messages");
        assert!(self.closed || u128::from(self.controls) <= allowed(CONTROLS_PER_SECOND), "a flood of control frames");
    }

    fn observe_one(&mut self, output: &Output, now: Moment) {
        assert!(self.greeted || matches!(output, Output::Send(AgentMessage::Hello { .. })), "{output:?} before hello");
        match output {
            Output::Close(_) => {
                assert_eq!(self.prompt, None, "the prompt stays behind");
                self.closed = true;
            }
            Output::Send(AgentMessage::Hello { nonce, .. }) => {
                assert!(!self.greeted && *nonce == NONCE);
                self.greeted = true;
                self.tell(&AgentMessage::Hello { v: 1, nonce: *nonce });
            }
            Output::Send(message) => {
                assert!(self.granted.is_some(), "{message:?} before ready");
                self.tell(message);
                self.observe_message(message);
            }
            Output::SendState(published) => {
                assert!(self.granted.is_some() && Arc::ptr_eq(published, &self.published));
                self.tell(&AgentMessage::State { seq: published.seq, state: published.state });
                assert_eq!(self.page.state(), Some((published.seq, published.state)));
            }
            Output::SendNews(_) => {
                let granted = self.granted.as_ref().expect("news before ready");
                assert!(granted.has_action("open"), "news for a page that may not have them");
                let presence = self.published.state.presence;
                assert!(matches!(presence, PresenceState::SignedIn | PresenceState::Away), "news while {presence}");
            }
            Output::ShowInWindow(..) | Output::HideInWindow(_) | Output::AnsweredInWindow(..) => {
                panic!("{output:?}, and this page has no bridge");
            }
            Output::Ready(ready) => self.observe_ready(ready),
            Output::ReadTicket(..) => assert!(self.granted.is_none(), "a ticket on an open socket"),
            Output::ReadChallenge(call, _) => self.observe_challenge(*call),
            Output::SignProof(call, _, published) => {
                assert!(self.signing.insert(*call), "two proofs for one request");
                assert!(Arc::ptr_eq(published, &self.published), "a proof of an old state");
                assert_ne!(published.state.presence, PresenceState::SignedOut);
                assert!(self.terms.grants.has(&Grant::Presence));
            }
            Output::AskConsent(call, epoch, _) => {
                assert!(self.may(&Grant::Login) && self.prompt.is_none(), "one prompt at a time");
                assert_eq!((*epoch, self.logins[call].1), (self.published.state.epoch, *epoch));
                self.assert_somebody_is_there();
                self.prompt = Some(*call);
            }
            Output::WithdrawPrompt(call) => {
                assert_eq!(self.prompt.take(), Some(*call), "no such prompt is open");
            }
            Output::SignToken(call, challenge, consented) => {
                self.observe_signing(*call, challenge.claims(), consented, now);
            }
            Output::InvokeAction(_, name, _) => {
                let Some(PageMessage::Action { name: asked, .. }) = &self.heard else { panic!("nobody asked") };
                assert!(asked == name && self.granted.as_ref().is_some_and(|grants| grants.has_action(name)));
                assert!(!matches!(self.published.state.presence, PresenceState::Locked | PresenceState::SignedOut));
            }
        }
    }

    fn observe_ready(&mut self, ready: &Ready) {
        assert!(self.granted.is_none(), "ready twice");
        assert!(Arc::ptr_eq(&ready.published, &self.published), "ready carries the newest state");
        let actions = ["open", "other"].map(|name| Grant::Action(name.into()));
        for grant in [Grant::Presence, Grant::Login].iter().chain(&actions) {
            assert!(!ready.grants.has(grant) || self.terms.grants.has(grant), "{grant:?} was never granted");
            assert!(!ready.grants.has(grant) || ready.challenged || *grant == Grant::Presence, "without a challenge");
        }
        assert!(ready.challenged || self.terms.proof == OpenProof::Origin);
        if let Some(proof) = &ready.proof {
            let (_, epoch) = self.proofs.remove(proof).expect("it was made for this");
            assert!(ready.challenged && !ready.resumed && epoch == self.published.state.epoch);
        }
        self.granted = Some(ready.grants.clone());
        self.tell(&AgentMessage::Ready {
            seq: ready.published.seq,
            grants: ready.grants.clone(),
            state: ready.published.state,
            proof: ready.proof.clone(),
            resume: "ticket".into(),
            resumed: ready.resumed,
            opened: None,
        });
    }

    /// The machine reads a challenge: the one of `open`, or the one of the message that it is reading now.
    fn observe_challenge(&mut self, call: Call) {
        match &self.heard {
            Some(PageMessage::Open { .. }) if self.granted.is_none() => {}
            Some(PageMessage::Prove { id, .. }) => {
                assert!(self.may(&Grant::Presence) && !self.missed());
                self.proves.insert(call, *id);
            }
            Some(PageMessage::Login { id, epoch, .. }) => {
                assert!(self.may(&Grant::Login) && !self.missed());
                assert_eq!(*epoch, self.published.state.epoch, "a login for somebody else");
                self.assert_somebody_is_there();
                self.logins.insert(call, (*id, *epoch));
            }
            other => panic!("a challenge to read on {other:?}"),
        }
    }

    fn observe_signing(&mut self, call: Call, challenge: &Challenge, consented: &Consented, now: Moment) {
        let request = consented.request();
        assert_eq!((request.epoch, self.logins[&call].1), (self.published.state.epoch, request.epoch));
        self.assert_somebody_is_there();
        assert_eq!(self.prompt, None, "signing while the prompt is open");
        let consent = self.consents.get_mut(&request.subject).expect("a consent that the person gave");
        consent.signings += 1;
        match consent.signings {
            1 => assert_eq!(consent.call, call, "a consent to another login"),
            2 => {
                let (at, life) = consent.first.as_ref().expect("it was spent");
                assert!(consent.tokens == 1 && now.since(*at) <= SECOND_TOKEN && *life != challenge.inc);
            }
            _ => panic!("a third token for one consent"),
        }
    }

    fn observe_message(&mut self, message: &AgentMessage) {
        match message {
            AgentMessage::Token { id, token } => {
                let (call, subject) = self.tokens.remove(token).expect("it was made, and not sent before");
                assert_eq!(self.logins[&call], (*id, self.published.state.epoch));
                self.assert_somebody_is_there();
                assert!(!self.missed(), "a token to a page that may be frozen");
                let consent = self.consents.get_mut(&subject).expect("a consent that the person gave");
                consent.tokens += 1;
                assert!(consent.tokens <= consent.signings);
                self.settle(*id);
            }
            AgentMessage::Proof { id, proof } => {
                let (call, epoch) = self.proofs.remove(proof).expect("it was made, and not sent before");
                assert_eq!((self.proves.remove(&call), epoch), (Some(*id), self.published.state.epoch));
                assert!(!self.missed(), "a proof to a page that may be frozen");
                self.settle(*id);
            }
            AgentMessage::Consent { id, .. } => {
                assert!(self.prompt.is_some_and(|call| self.logins[&call].0 == *id), "no prompt of that login is open");
            }
            AgentMessage::Result { id, .. } | AgentMessage::Refused { id, .. } => self.settle(*id),
            AgentMessage::Ping {} => self.unanswered += 1,
            other => panic!("{other:?} on an open socket"),
        }
    }

    pub(super) fn has_said_a_token(&self) -> bool {
        self.consents.values().any(|consent| consent.tokens > 0)
    }

    /// A page that knows the protocol finds nothing wrong.
    fn tell(&mut self, message: &AgentMessage) {
        self.page.handle(&message.encode()).unwrap_or_else(|fault| panic!("{message:?}: {fault}"));
    }

    /// One answer a request, and no answer without one.
    fn settle(&mut self, id: u64) {
        let owed = self.owed.get_mut(&id).filter(|owed| **owed > 0);
        *owed.unwrap_or_else(|| panic!("an answer too many to {id}")) -= 1;
    }

    fn may(&self, grant: &Grant) -> bool {
        self.granted.as_ref().is_some_and(|granted| granted.has(grant))
    }

    fn missed(&self) -> bool {
        self.unanswered > 1
    }

    fn assert_somebody_is_there(&self) {
        let presence = self.published.state.presence;
        assert!(matches!(presence, PresenceState::SignedIn | PresenceState::Away), "while {presence}");
        assert!(self.published.enrolled, "nobody is enrolled");
    }
}
