//! Walks every reachable state of the machine, breadth first, and asserts what must hold in each (the alphabet is every
//! input that a page, a person, a key or the time can bring, reduced to the kinds that the machine can tell apart).

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{Call, ChallengeRefusal, Connection, Input, Output, Resumption, State, Terms};
use crate::protocol::acceptance::AcceptedChallenge;
use crate::protocol::bridge::relayed;
use crate::protocol::code::RefusalCode;
use crate::protocol::consent::{ConsentRequest, Consented};
use crate::protocol::grant::{Grant, OpenProof};
use crate::protocol::id::{ChallengeId, Epoch, Nonce, Seq, Sid};
use crate::protocol::limits::PROMPT_DEAD_TIME;
use crate::protocol::message::{AgentMessage, PageMessage};
use crate::protocol::state::{PresenceState, Published};
use crate::protocol::statement::{Challenge, UserVerification};
use crate::protocol::time::{Moment, Timestamp, UnixMillis};

const NONCE: Nonce = Nonce::from_bytes([7; 32]);

/// One step of the walk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    OpenChallenge,
    OpenTicket,
    OpenBare,
    OpenMixed,
    OpenWrongNonce,
    Prove,
    LoginCurrent,
    LoginOldEpoch,
    Cancel,
    CancelOther,
    Action,
    Pong,
    Garbage,
    Binary,
    /// Answers the oldest call that waits, well or badly.
    Answer(bool),
    /// Answers the newest call that waits, well: for the store's next life, where it is a challenge.
    AnswerNewest,
    PromptOpened,
    /// The prompt is to be shown in the window of the bridge.
    AskInWindow,
    /// The window's answer, when it may come.
    AnswerInWindow,
    /// The window's answer, before anybody can have read the prompt.
    AnswerTooEarly,
    AnswerUnasked,
    AnswerInside,
    BridgeAgain,
    Publish(PresenceState, bool),
    ToDeadline,
    /// From here on the issuer does not answer.
    IssuerAway,
    Withdrawn,
    Stopping,
}

const STEPS: &[Step] = {
    use PresenceState::{Locked, SignedIn, SignedOut};
    use Step::*;
    &[
        OpenChallenge,
        OpenTicket,
        OpenBare,
        OpenMixed,
        OpenWrongNonce,
        Prove,
        LoginCurrent,
        LoginOldEpoch,
        Cancel,
        CancelOther,
        Action,
        Pong,
        Garbage,
        Binary,
        Answer(true),
        Answer(false),
        AnswerNewest,
        PromptOpened,
        AskInWindow,
        AnswerInWindow,
        AnswerTooEarly,
        AnswerUnasked,
        AnswerInside,
        BridgeAgain,
        Publish(SignedIn, false),
        Publish(Locked, false),
        Publish(SignedOut, true),
        Publish(SignedIn, true),
        ToDeadline,
        Withdrawn,
        Stopping,
    ]
};

#[derive(Clone)]
/// A machine with everything around it, and what it has said so far.
pub(super) struct World {
    pub(super) machine: Connection,
    pub(super) now: Moment,
    published: Arc<Published>,
    waiting: Vec<Output>,
    /// Consents that the person gave and that have had no token yet; how many tokens each may have.
    consents_given: usize,
    renewals: usize,
    tokens: usize,
    logins_open: usize,
    ready: bool,
    closed: bool,
    /// Why a challenge is refused, where it is.
    refusal: ChallengeRefusal,
    /// Logins asked for, so that the walk stays finite.
    logins: usize,
    bridged: bool,
    /// The prompt that is shown in the window, and the last call that one was shown for.
    in_window: Option<(Call, u64)>,
    shown: Option<Call>,
}

pub(super) fn published(seq: u64, presence: PresenceState, epoch: u64) -> Arc<Published> {
    let state = crate::protocol::state::State { presence, since: UnixMillis(1), epoch: Epoch(epoch) };
    Arc::new(Published::new(Seq(seq), state, true))
}

pub(super) fn challenge(life: &str, now: Moment) -> AcceptedChallenge {
    let issuer: crate::protocol::issuer::Issuer = "https://login.example".parse().expect("issuer");
    let claims = Challenge {
        rdm: issuer.login_url(),
        iss: issuer,
        aud: crate::protocol::statement::Audience::Agent,
        org: "https://app.example".parse().expect("origin"),
        jti: ChallengeId::from_bytes([1; 32]),
        sid: Sid::from_bytes([2; 32]),
        iat: Timestamp(1000),
        exp: Timestamp(1120),
        inc: life.parse().expect("incarnation"),
    };
    AcceptedChallenge::for_test(claims, now)
}

impl World {
    pub(super) fn new(proof: OpenProof, bridged: bool) -> Self {
        let now = Moment(Duration::from_secs(1000));
        let published = published(1, PresenceState::SignedIn, 0);
        let grants = [Grant::Presence, Grant::Login, Grant::Action("open".into())].into_iter().collect();
        let make = if bridged { Connection::bridged } else { Connection::new };
        let machine = make(Terms { grants, proof }, Arc::clone(&published), NONCE, now);
        let mut world = Self {
            machine,
            now,
            published,
            waiting: Vec::new(),
            consents_given: 0,
            renewals: 0,
            tokens: 0,
            logins_open: 0,
            ready: false,
            closed: false,
            refusal: ChallengeRefusal::NotAccepted,
            logins: 0,
            bridged,
            in_window: None,
            shown: None,
        };
        world.watch();
        world
    }

    /// Takes the machine one step on; false where the step means nothing here.
    pub(super) fn step(&mut self, step: Step) -> bool {
        let said = |message: PageMessage| message.encode();
        let epoch = self.published.state.epoch;
        let open = |challenge: Option<&str>, resume: Option<&str>, nonce| PageMessage::Open {
            nonce,
            challenge: challenge.map(str::to_owned),
            resume: resume.map(str::to_owned),
            seq: resume.map(|_| Seq(1)),
        };
        let text = match step {
            Step::OpenChallenge => said(open(Some("c"), None, NONCE)),
            Step::OpenTicket => said(open(None, Some("t"), NONCE)),
            Step::OpenBare => said(open(None, None, NONCE)),
            Step::OpenMixed => said(open(Some("c"), Some("t"), NONCE)),
            Step::OpenWrongNonce => said(open(Some("c"), None, Nonce::from_bytes([8; 32]))),
            Step::Prove => said(PageMessage::Prove { id: 5, challenge: "c".into() }),
            Step::LoginCurrent | Step::LoginOldEpoch => {
                if self.logins >= 2 {
                    return false;
                }
                self.logins += usize::from(self.ready);
                self.logins_open += 1;
                let epoch = if step == Step::LoginCurrent { epoch } else { Epoch(epoch.0 + 7) };
                said(PageMessage::Login { id: 6, epoch, challenge: "c".into(), mark: None })
            }
            Step::Cancel => said(PageMessage::Cancel { id: 6 }),
            Step::CancelOther => said(PageMessage::Cancel { id: 99 }),
            Step::Action => said(PageMessage::Action { id: 7, name: "open".into(), params: serde_json::json!({}) }),
            Step::Pong => said(PageMessage::Pong {}),
            Step::Garbage => "{".into(),
            Step::AnswerInside => answer_in_window(1),
            other => return self.other_step(other),
        };
        let text = if self.bridged { relayed(&text) } else { text };
        self.machine.handle(Input::Text(&text), self.now);
        true
    }

    fn other_step(&mut self, step: Step) -> bool {
        let text = match (step, self.in_window) {
            (Step::AnswerInWindow, Some((_, id))) => {
                self.now = self.now + PROMPT_DEAD_TIME;
                answer_in_window(id)
            }
            (Step::AnswerTooEarly, Some((_, id))) => answer_in_window(id),
            (Step::AnswerInWindow | Step::AnswerTooEarly, None) => return false,
            (Step::AnswerUnasked, _) => answer_in_window(99),
            (Step::BridgeAgain, _) => {
                format!(r#"{{"type":"bridge","key":"{NONCE}","origin":"https://app.example"}}"#)
            }
            _ => return self.step_without_text(step),
        };
        self.machine.handle(Input::Text(&text), self.now);
        true
    }

    fn step_without_text(&mut self, step: Step) -> bool {
        let input = match step {
            Step::Binary => Input::Binary,
            Step::IssuerAway if self.refusal == ChallengeRefusal::IssuerAway => return false,
            Step::IssuerAway => {
                self.refusal = ChallengeRefusal::IssuerAway;
                return true;
            }
            Step::Withdrawn => Input::Withdrawn,
            Step::Stopping => Input::Stopping,
            Step::Answer(_) | Step::AnswerNewest if self.waiting.is_empty() => return false,
            Step::Answer(well) => {
                let output = self.waiting.remove(0);
                self.answer(output, well, "life-1")
            }
            Step::AnswerNewest => {
                let output = self.waiting.pop().expect("not empty");
                self.answer(output, true, "life-2")
            }
            Step::PromptOpened => match self.waiting.iter().find(|o| matches!(o, Output::AskConsent(..))) {
                Some(Output::AskConsent(call, ..)) => Input::PromptOpened(*call, "47".into()),
                _ => return false,
            },
            Step::AskInWindow => match self.waiting.iter().find(|o| matches!(o, Output::AskConsent(..))) {
                Some(Output::AskConsent(call, ..)) if self.shown != Some(*call) => {
                    self.shown = Some(*call);
                    Input::AskInWindow(*call)
                }
                _ => return false,
            },
            Step::Publish(presence, next_epoch) => {
                let epoch = self.published.state.epoch.0 + u64::from(next_epoch);
                if epoch > 2 || (!next_epoch && presence == self.published.state.presence) {
                    return false;
                }
                self.published = published(self.published.seq.0 + 1, presence, epoch);
                self.publish();
                return true;
            }
            Step::ToDeadline => match self.machine.deadline() {
                Some(deadline) => {
                    self.now = self.now.max(deadline);
                    Input::Timeout
                }
                None => return false,
            },
            _ => return false,
        };
        self.machine.handle(input, self.now);
        true
    }

    /// At rest a state is sent, and nothing else is done.
    fn publish(&mut self) {
        let (is_resting, state) = (self.machine.is_resting(), Arc::clone(&self.published));
        self.machine.handle(Input::Published(Arc::clone(&state)), self.now);
        assert!(!is_resting || self.machine.outputs == [Output::SendState(state)]);
    }

    fn answer(&mut self, output: Output, well: bool, life: &str) -> Input<'static> {
        match output {
            Output::ReadChallenge(call, _) => {
                let verdict = if well { Ok(challenge(life, self.now)) } else { Err(self.refusal) };
                Input::ChallengeRead(call, verdict)
            }
            Output::ReadTicket(call, _) => {
                Input::TicketRead(call, well.then_some(Resumption { epoch: Epoch(0), challenged: life == "life-1" }))
            }
            Output::SignProof(call, ..) => Input::ProofSigned(call, well.then(|| "p".into())),
            Output::AskConsent(call, epoch, _) => {
                let request = ConsentRequest {
                    origin: "https://app.example".parse().expect("origin"),
                    issuer: "https://login.example".parse().expect("issuer"),
                    subject: "someone".parse().expect("subject"),
                    epoch,
                };
                if well && self.machine.prompting() == Some(call) {
                    self.consents_given += 1;
                }
                Input::ConsentGiven(call, Consented::from_answer(&request, well).ok_or(RefusalCode::Denied))
            }
            Output::SignToken(call, accepted, consented) => {
                let spent = consented.spend(accepted.claims(), self.now);
                Input::TokenSigned(call, if well { Ok(("t".into(), spent)) } else { Err(RefusalCode::Unavailable) })
            }
            Output::InvokeAction(call, ..) => {
                Input::ActionDone(call, if well { Ok(serde_json::json!(1)) } else { Err(RefusalCode::Failed) })
            }
            other => unreachable!("{other:?} waits for no answer"),
        }
    }

    /// Looks at what the machine says and asserts what must hold of it.
    fn watch(&mut self) {
        while let Some(output) = self.machine.next_output() {
            assert!(!self.closed, "{output:?} after the close");
            match &output {
                Output::Close(_) => self.closed = true,
                Output::Send(AgentMessage::Hello { .. }) => assert!(!self.ready),
                Output::Ready(ready) => {
                    assert!(!self.ready, "ready twice");
                    assert_eq!(ready.published.state, self.published.state, "ready carries the newest state");
                    assert!(ready.challenged || ready.proof.is_none(), "a proof without a challenge");
                    assert!(ready.challenged || !ready.grants.has(&Grant::Login), "login without a challenge");
                    self.ready = true;
                }
                Output::ShowInWindow(call, id) => {
                    assert!(self.bridged && self.in_window.is_none() && self.machine.prompting() == Some(*call));
                    self.in_window = Some((*call, *id));
                }
                Output::HideInWindow(id) => assert_eq!(self.in_window.take().map(|(_, shown)| shown), Some(*id)),
                Output::AnsweredInWindow(call, _) => {
                    assert_eq!(
                        self.in_window.take().map(|(shown, _)| shown),
                        Some(*call),
                        "an answer to what is not shown"
                    );
                    assert_eq!(self.machine.prompting(), Some(*call), "an answer that nobody waits for");
                }
                Output::Send(message) => {
                    assert!(self.ready, "{message:?} before ready");
                    self.watch_message(message);
                }
                Output::SendState(_) | Output::SendNews(_) | Output::InvokeAction(..) => assert!(self.ready),
                Output::SignToken(_, challenge, consented) => {
                    assert!(self.ready);
                    assert_eq!(consented.request().epoch, self.published.state.epoch, "consent for somebody else");
                    assert_eq!(consented.how(), UserVerification::Prompt);
                    if challenge.claims().inc.as_str() == "life-2" {
                        self.renewals += 1;
                    }
                }
                Output::WithdrawPrompt(call) => {
                    self.waiting.retain(|o| !matches!(o, Output::AskConsent(c, ..) if c == call));
                }
                Output::ReadChallenge(..) | Output::ReadTicket(..) | Output::SignProof(..) | Output::AskConsent(..) => {
                }
            }
            if matches!(
                output,
                Output::ReadChallenge(..)
                    | Output::ReadTicket(..)
                    | Output::SignProof(..)
                    | Output::AskConsent(..)
                    | Output::SignToken(..)
                    | Output::InvokeAction(..)
            ) {
                self.waiting.push(output);
            }
        }
        assert_eq!(self.machine.is_closed(), self.closed);
        assert_eq!(self.machine.deadline().is_none(), self.closed, "an open socket always has a deadline");
    }

    fn watch_message(&mut self, message: &AgentMessage) {
        let presence = self.published.state.presence;
        match message {
            AgentMessage::Token { .. } => {
                self.tokens += 1;
                self.logins_open -= 1;
                assert!(matches!(presence, PresenceState::SignedIn | PresenceState::Away), "a token while {presence}");
                assert!(
                    self.tokens <= self.consents_given + self.renewals.min(self.consents_given),
                    "a token too many"
                );
                assert!(!self.missed(), "a token to a page that may be frozen");
            }
            AgentMessage::Proof { .. } => assert!(!self.missed(), "a proof to a page that may be frozen"),
            AgentMessage::Refused { id: 6, .. } => self.logins_open -= 1,
            AgentMessage::Consent { .. } => assert!(self.machine.prompting().is_some()),
            _ => {}
        }
    }

    fn missed(&self) -> bool {
        matches!(&self.machine.state, State::Live(live) if live.pulse.missed())
    }

    /// What distinguishes this state from others, with times and call numbers relative.
    fn shape(&self) -> String {
        let call_order = |call: Call| self.waiting.iter().position(|o| call_of(o) == Some(call));
        let state = match &self.machine.state {
            State::ExpectOpen { .. } => "expect-open".to_owned(),
            State::Opening { opening, .. } => format!("{:?}", std::mem::discriminant(opening)),
            State::Live(live) => format!(
                "live {:?} {:?} {} {} {} {:?}",
                std::mem::discriminant(&live.login),
                live.prompting().and_then(call_order),
                live.spent.is_some(),
                live.pulse.missed(),
                live.grants.has(&Grant::Login),
                live.pulse.deadline().since(self.now),
            ),
            State::Closed => "closed".to_owned(),
        };
        let waiting: Vec<_> = self.waiting.iter().map(std::mem::discriminant).collect();
        let counts = (self.logins, self.consents_given, self.tokens, self.renewals);
        let window = (self.in_window.is_some(), self.shown.is_some_and(|call| Some(call) == self.machine.prompting()));
        format!("{state} {:?} {waiting:?} {counts:?} {window:?}", self.published.state)
    }
}

impl Connection {
    fn prompting(&self) -> Option<Call> {
        match &self.state {
            State::Live(live) => live.prompting(),
            _ => None,
        }
    }
}

fn call_of(output: &Output) -> Option<Call> {
    match output {
        Output::ReadChallenge(call, _)
        | Output::ReadTicket(call, _)
        | Output::SignProof(call, ..)
        | Output::AskConsent(call, ..)
        | Output::SignToken(call, ..)
        | Output::InvokeAction(call, ..)
        | Output::WithdrawPrompt(call) => Some(*call),
        Output::ShowInWindow(call, _) | Output::AnsweredInWindow(call, _) => Some(*call),
        Output::Send(_) | Output::SendState(_) | Output::SendNews(_) | Output::Ready(_) | Output::Close(_) => None,
        Output::HideInWindow(_) => None,
    }
}

fn answer_in_window(id: u64) -> String {
    format!(r#"{{"type":"consent_answer","id":{id},"allow":true,"remember":false}}"#)
}

pub(super) fn replay(proof: OpenProof, path: &[Step]) -> World {
    replay_in(World::new(proof, false), path)
}

pub(super) fn replay_in(mut world: World, path: &[Step]) -> World {
    for step in path {
        assert!(world.step(*step), "the path was walked before");
        world.watch();
    }
    world
}

/// Returns how many states there are, and how many of them have said a token.
fn walk(proof: OpenProof, bridged: bool) -> (usize, usize) {
    let mut seen = HashSet::from([World::new(proof, bridged).shape()]);
    let mut queue = VecDeque::from([World::new(proof, bridged)]);
    let mut with_token = 0;
    while let Some(reached) = queue.pop_front() {
        for step in STEPS {
            let mut world = reached.clone();
            // Three requests in flight are as good as any number; and what has nothing to do with a window is walked without one.
            let many = if bridged { 0 } else { 2 };
            if world.closed || world.waiting.len() > many && matches!(step, Step::Prove | Step::Action) {
                continue;
            }
            if !world.step(*step) {
                continue;
            }
            world.watch();
            if seen.insert(world.shape()) {
                with_token += usize::from(world.tokens > 0);
                queue.push_back(world);
            }
        }
    }
    (seen.len(), with_token)
}

#[test]
fn every_reachable_state_keeps_the_invariants() {
    for (proof, bridged) in [(OpenProof::Challenge, false), (OpenProof::Origin, false), (OpenProof::Challenge, true)] {
        let (states, with_token) = walk(proof, bridged);
        println!("{proof:?}, bridged {bridged}: {states} states, {with_token} after a token");
        assert!(states > 500, "the walk saw only {states} states");
        assert!(with_token > 20, "the walk reached only {with_token} states with a token");
    }
}
