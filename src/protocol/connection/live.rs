//! The open socket: proofs, logins, actions.

use std::sync::Arc;

use super::{Call, ChallengeRefusal, Connection, Input, Output, Pulse, State, Window};
use crate::protocol::acceptance::AcceptedChallenge;
use crate::protocol::code::{CloseCode, RefusalCode};
use crate::protocol::consent::{Consented, SpentConsent};
use crate::protocol::grant::{Grant, Grants};
use crate::protocol::id::{Epoch, PageMark};
use crate::protocol::limits::{MAX_ACTIONS_IN_FLIGHT, MAX_PROOFS_IN_FLIGHT};
use crate::protocol::message::{AgentMessage, PageMessage};
use crate::protocol::state::{PresenceState, Published};
use crate::protocol::time::Moment;

/// An open socket.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Live {
    pub(super) grants: Grants,
    pub(super) pulse: Pulse,
    pub(super) login: Login,
    /// The consent behind the last token, while it might have to serve once more.
    pub(super) spent: Option<Box<SpentConsent>>,
    pub(super) proofs: Vec<Proving>,
    pub(super) actions: Vec<Acting>,
}

/// The one login of a socket, by what it waits for.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) enum Login {
    Idle,
    ReadChallenge { asked: Asked },
    ExpectConsent { asked: Asked, challenge: Box<AcceptedChallenge> },
    SignToken { asked: Asked },
}

/// What the page asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) epoch: Epoch,
    pub(super) call: Call,
    pub(super) mark: Option<PageMark>,
}

/// A proof in the making.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Proving {
    id: u64,
    call: Call,
    epoch: Option<Epoch>,
}

/// An action that the client performs.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Acting {
    id: u64,
    call: Call,
    epoch: Epoch,
}

impl Live {
    pub(super) fn new(grants: Grants, now: Moment) -> Self {
        let pulse = Pulse::new(now);
        Self { grants, pulse, login: Login::Idle, spent: None, proofs: Vec::new(), actions: Vec::new() }
    }

    /// Whether nothing is asked for that a change of state could spoil.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.login, Login::Idle) && self.proofs.is_empty() && self.actions.is_empty()
    }

    /// The call that a prompt may be open for.
    pub(super) fn prompting(&self) -> Option<Call> {
        match &self.login {
            Login::ExpectConsent { asked, .. } => Some(asked.call),
            _ => None,
        }
    }
}

impl Login {
    fn asked(&self) -> Option<Asked> {
        match self {
            Self::Idle => None,
            Self::ReadChallenge { asked } | Self::ExpectConsent { asked, .. } | Self::SignToken { asked } => {
                Some(*asked)
            }
        }
    }
}

/// Whether pages have nothing to do with the client just now.
fn is_shut(published: &Published) -> bool {
    matches!(published.state.presence, PresenceState::Locked | PresenceState::SignedOut)
}

/// Whether a login for the account of `epoch` may go on in this state.
fn login_obstacle(published: &Published, epoch: Epoch) -> Option<RefusalCode> {
    match published.state.presence {
        // Another epoch is another person, or the same one signed in anew: nobody confirms one and signs in another.
        _ if published.state.epoch != epoch => Some(RefusalCode::Switched),
        PresenceState::SignedOut => Some(RefusalCode::SignedOut),
        PresenceState::Locked => Some(RefusalCode::Locked),
        PresenceState::SignedIn | PresenceState::Away if !published.enrolled => Some(RefusalCode::Unavailable),
        PresenceState::SignedIn | PresenceState::Away => None,
    }
}

impl Connection {
    pub(super) fn on_request(&mut self, message: PageMessage, now: Moment) {
        match message {
            // One answer for each ping; a page that wakes up may owe several.
            PageMessage::Pong {} => self.live().pulse.pong(now),
            PageMessage::Prove { id, challenge } => self.on_prove(id, challenge),
            PageMessage::Login { id, epoch, challenge, mark } => self.on_login(id, epoch, challenge, mark),
            PageMessage::Cancel { id } => {
                if self.live().login.asked().is_some_and(|asked| asked.id == id) {
                    self.refuse_login(RefusalCode::Cancelled);
                }
            }
            PageMessage::Action { id, name, params } => self.on_action(id, name, params),
            PageMessage::Open { .. } => self.close(CloseCode::Unexpected),
        }
    }

    fn on_prove(&mut self, id: u64, challenge: String) {
        let signed_out = self.published.state.presence == PresenceState::SignedOut;
        let enrolled = self.published.enrolled;
        let call = self.next_call();
        let live = self.live();
        let obstacle = if !live.grants.has(&Grant::Presence) {
            Some(RefusalCode::NotGranted)
        } else if signed_out {
            Some(RefusalCode::SignedOut)
        } else if !enrolled || live.pulse.missed() || live.proofs.len() >= MAX_PROOFS_IN_FLIGHT {
            Some(RefusalCode::Unavailable)
        } else {
            None
        };
        if let Some(code) = obstacle {
            return self.outputs.push_back(Output::Send(AgentMessage::Refused { id, code }));
        }
        live.proofs.push(Proving { id, call, epoch: None });
        self.outputs.push_back(Output::ReadChallenge(call, challenge));
    }

    fn on_login(&mut self, id: u64, epoch: Epoch, challenge: String, mark: Option<PageMark>) {
        let call = self.next_call();
        let obstacle = login_obstacle(&self.published, epoch);
        let live = self.live();
        let obstacle = if !live.grants.has(&Grant::Login) {
            Some(RefusalCode::NotGranted)
        } else if !matches!(live.login, Login::Idle) {
            Some(RefusalCode::Busy)
        } else if live.pulse.missed() {
            Some(RefusalCode::Unavailable)
        } else {
            obstacle
        };
        if let Some(code) = obstacle {
            return self.outputs.push_back(Output::Send(AgentMessage::Refused { id, code }));
        }
        live.login = Login::ReadChallenge { asked: Asked { id, epoch, call, mark } };
        self.outputs.push_back(Output::ReadChallenge(call, challenge));
    }

    fn on_action(&mut self, id: u64, name: String, params: serde_json::Value) {
        let call = self.next_call();
        let (shut, epoch) = (is_shut(&self.published), self.published.state.epoch);
        let live = self.live();
        let obstacle = if !live.grants.has_action(&name) {
            Some(RefusalCode::NotGranted)
        } else if shut {
            Some(RefusalCode::Denied)
        } else if live.actions.len() >= MAX_ACTIONS_IN_FLIGHT {
            Some(RefusalCode::Failed)
        } else {
            None
        };
        if let Some(code) = obstacle {
            return self.outputs.push_back(Output::Send(AgentMessage::Refused { id, code }));
        }
        live.actions.push(Acting { id, call, epoch });
        self.outputs.push_back(Output::InvokeAction(call, name, params));
    }

    pub(super) fn on_live_answer(&mut self, answer: Input<'_>, now: Moment) {
        match answer {
            Input::ChallengeRead(call, verdict) => self.on_challenge_read(call, verdict, now),
            Input::ProofSigned(call, proof) => self.on_proof_signed(call, proof),
            Input::PromptOpened(call, code) => {
                if self.live().prompting() == Some(call)
                    && let Some(asked) = self.live().login.asked()
                {
                    self.outputs.push_back(Output::Send(AgentMessage::Consent { id: asked.id, code }));
                }
            }
            Input::AskInWindow(call) => {
                if self.live().prompting() == Some(call)
                    && let Some(id) = self.window.as_mut().map(|window| window.show(call, now))
                {
                    self.outputs.push_back(Output::ShowInWindow(call, id));
                }
            }
            Input::ConsentGiven(call, answer) => self.on_consent(call, answer),
            Input::TokenSigned(call, token) => self.on_token_signed(call, token),
            Input::ActionDone(call, result) => self.on_action_done(call, result),
            _ => {}
        }
    }

    fn on_challenge_read(&mut self, call: Call, verdict: Result<AcceptedChallenge, ChallengeRefusal>, now: Moment) {
        let published = Arc::clone(&self.published);
        let live = self.live();
        let proving = live.proofs.iter().position(|p| p.call == call && p.epoch.is_none());
        let login = matches!(&live.login, Login::ReadChallenge { asked } if asked.call == call);
        if proving.is_none() && !login {
            return;
        }
        let challenge = match verdict {
            Ok(challenge) => challenge,
            Err(ChallengeRefusal::NotAccepted) => return self.close(CloseCode::NotAccepted),
            // The socket is worth keeping: the issuer comes back.
            Err(ChallengeRefusal::IssuerAway) => {
                let id = match proving {
                    Some(at) => live.proofs.swap_remove(at).id,
                    None => match std::mem::replace(&mut live.login, Login::Idle).asked() {
                        Some(asked) => asked.id,
                        None => return,
                    },
                };
                let code = RefusalCode::Unavailable;
                return self.outputs.push_back(Output::Send(AgentMessage::Refused { id, code }));
            }
        };
        if let Some(at) = proving {
            let proving = &mut live.proofs[at];
            proving.epoch = Some(published.state.epoch);
            if published.state.presence == PresenceState::SignedOut {
                let id = live.proofs.swap_remove(at).id;
                let code = RefusalCode::SignedOut;
                return self.outputs.push_back(Output::Send(AgentMessage::Refused { id, code }));
            }
            return self.outputs.push_back(Output::SignProof(call, challenge, published));
        }
        let Some(asked) = live.login.asked() else { return };
        if let Some(consented) = live.spent.take().and_then(|spent| spent.renew(challenge.claims(), asked.epoch, now)) {
            // The person has agreed to this already; the store lost its life before the token was redeemed.
            live.login = Login::SignToken { asked };
            return self.outputs.push_back(Output::SignToken(call, challenge, consented));
        }
        live.login = Login::ExpectConsent { asked, challenge: Box::new(challenge) };
        self.outputs.push_back(Output::AskConsent(call, asked.epoch, asked.mark));
    }

    fn on_proof_signed(&mut self, call: Call, proof: Option<String>) {
        let epoch = self.published.state.epoch;
        let live = self.live();
        let Some(at) = live.proofs.iter().position(|p| p.call == call && p.epoch.is_some()) else { return };
        let proving = live.proofs.swap_remove(at);
        let current = proving.epoch == Some(epoch) && !live.pulse.missed();
        let id = proving.id;
        self.outputs.push_back(Output::Send(match proof {
            Some(proof) if current => AgentMessage::Proof { id, proof },
            _ => AgentMessage::Refused { id, code: RefusalCode::Unavailable },
        }));
    }

    fn on_consent(&mut self, call: Call, answer: Result<Consented, RefusalCode>) {
        let live = self.live();
        if live.prompting() != Some(call) {
            return;
        }
        let Login::ExpectConsent { asked, challenge } = std::mem::replace(&mut live.login, Login::Idle) else {
            return;
        };
        self.clear_window();
        let live = self.live();
        match answer {
            Ok(consented) if consented.request().epoch == asked.epoch => {
                live.login = Login::SignToken { asked };
                self.outputs.push_back(Output::SignToken(call, *challenge, consented));
            }
            Ok(_) => self.send_login_refusal(asked.id, RefusalCode::Switched),
            Err(code) => self.send_login_refusal(asked.id, code),
        }
    }

    fn on_token_signed(&mut self, call: Call, token: Result<(String, SpentConsent), RefusalCode>) {
        let live = self.live();
        let Login::SignToken { asked } = live.login else { return };
        if asked.call != call {
            return;
        }
        live.login = Login::Idle;
        let missed = live.pulse.missed();
        // The last look: nothing may have changed while the key was at work.
        match (login_obstacle(&self.published, asked.epoch), token) {
            (Some(code), _) | (None, Err(code)) => self.send_login_refusal(asked.id, code),
            (None, Ok(_)) if missed => self.send_login_refusal(asked.id, RefusalCode::Unavailable),
            (None, Ok((token, spent))) => {
                self.live().spent = Some(Box::new(spent));
                self.outputs.push_back(Output::Send(AgentMessage::Token { id: asked.id, token }));
            }
        }
    }

    fn on_action_done(&mut self, call: Call, result: Result<serde_json::Value, RefusalCode>) {
        let (shut, current) = (is_shut(&self.published), self.published.state.epoch);
        let live = self.live();
        let Some(at) = live.actions.iter().position(|acting| acting.call == call) else { return };
        let Acting { id, epoch, .. } = live.actions.swap_remove(at);
        self.outputs.push_back(Output::Send(match result {
            // What the client did for one person is not told behind a lock, and not to the next person.
            _ if shut || epoch != current => AgentMessage::Refused { id, code: RefusalCode::Denied },
            Ok(value) => AgentMessage::Result { id, value },
            Err(code) => AgentMessage::Refused { id, code },
        }));
    }

    /// Sends what the page has not heard yet of the actions that it may invoke; behind a lock it waits.
    pub(super) fn send_news(&mut self) {
        if is_shut(&self.published) {
            return;
        }
        let State::Live(live) = &self.state else { return };
        let news = self.board.since(self.told).filter(|(name, _)| live.grants.has_action(name));
        self.outputs.extend(news.map(|(_, news)| Output::SendNews(news.clone())));
        self.told = self.board.number();
    }

    /// The state changed: a login that it no longer allows is refused, and its prompt taken away.
    pub(super) fn reconsider_login(&mut self) {
        let published = Arc::clone(&self.published);
        if let Some(asked) = self.live().login.asked()
            && let Some(code) = login_obstacle(&published, asked.epoch)
        {
            self.refuse_login(code);
        }
    }

    fn refuse_login(&mut self, code: RefusalCode) {
        let live = self.live();
        let prompting = live.prompting();
        let Some(asked) = live.login.asked() else { return };
        live.login = Login::Idle;
        self.outputs.extend(prompting.map(Output::WithdrawPrompt));
        self.clear_window();
        self.send_login_refusal(asked.id, code);
    }

    /// Nobody waits for an answer in the window any more.
    fn clear_window(&mut self) {
        let shown = self.window.as_mut().and_then(Window::clear);
        self.outputs.extend(shown.map(Output::HideInWindow));
    }

    fn send_login_refusal(&mut self, id: u64, code: RefusalCode) {
        self.outputs.push_back(Output::Send(AgentMessage::Refused { id, code }));
    }

    fn live(&mut self) -> &mut Live {
        match &mut self.state {
            State::Live(live) => live,
            _ => unreachable!("only called while the socket is open"),
        }
    }
}
