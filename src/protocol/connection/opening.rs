//! From `open` to `ready`.

use std::sync::Arc;

use super::{Call, ChallengeRefusal, Connection, Input, Live, Output, Ready, Resumption, State};
use crate::protocol::acceptance::AcceptedChallenge;
use crate::protocol::code::CloseCode;
use crate::protocol::grant::{Grant, OpenProof};
use crate::protocol::id::{Epoch, Seq};
use crate::protocol::state::PresenceState;
use crate::protocol::time::Moment;

/// What the socket waits for before it can be opened.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) enum Opening {
    ReadChallenge {
        call: Call,
    },
    /// The proof is being made for the state of this epoch.
    SignProof {
        call: Call,
        epoch: Epoch,
    },
    ReadTicket {
        call: Call,
    },
}

impl Connection {
    pub(super) fn on_open(
        &mut self,
        challenge: Option<String>,
        resume: Option<String>,
        seq: Option<Seq>,
        until: Moment,
        now: Moment,
    ) {
        let call = self.next_call();
        let (opening, output) = match (challenge, resume, seq) {
            (Some(challenge), None, None) => (Opening::ReadChallenge { call }, Output::ReadChallenge(call, challenge)),
            (None, Some(ticket), Some(_)) => (Opening::ReadTicket { call }, Output::ReadTicket(call, ticket)),
            (None, None, None) => return self.become_live(None, Resumed::New { challenged: false }, now),
            _ => return self.close(CloseCode::Unexpected),
        };
        self.state = State::Opening { opening, until };
        self.outputs.push_back(output);
    }

    pub(super) fn on_opening_answer(&mut self, answer: Input<'_>, now: Moment) {
        let State::Opening { opening, until } = &self.state else { return };
        let until = *until;
        match (opening, answer) {
            (Opening::ReadChallenge { call }, Input::ChallengeRead(of, verdict)) if *call == of => match verdict {
                Ok(challenge) => self.on_first_challenge(challenge, until, now),
                Err(ChallengeRefusal::NotAccepted) => self.close(CloseCode::NotAccepted),
                Err(ChallengeRefusal::IssuerAway) => self.close(CloseCode::TryLater),
            },
            (Opening::SignProof { call, epoch }, Input::ProofSigned(of, proof)) if *call == of => {
                // Someone else signed in while the proof was made: what it says is over. The page asks anew.
                let proof = proof.filter(|_| *epoch == self.published.state.epoch);
                self.become_live(proof, Resumed::New { challenged: true }, now);
            }
            (Opening::ReadTicket { call }, Input::TicketRead(of, verdict)) if *call == of => match verdict {
                Some(ticket) => self.become_live(None, Resumed::From(ticket), now),
                None => self.close(CloseCode::NotAccepted),
            },
            _ => {}
        }
    }

    fn on_first_challenge(&mut self, challenge: AcceptedChallenge, until: Moment, now: Moment) {
        let provable = self.published.enrolled
            && self.published.state.presence != PresenceState::SignedOut
            && self.terms.grants.has(&Grant::Presence);
        if !provable {
            return self.become_live(None, Resumed::New { challenged: true }, now);
        }
        let call = self.next_call();
        self.state = State::Opening { opening: Opening::SignProof { call, epoch: self.published.state.epoch }, until };
        self.outputs.push_back(Output::SignProof(call, challenge, Arc::clone(&self.published)));
    }

    fn become_live(&mut self, proof: Option<String>, resumed: Resumed, now: Moment) {
        let challenged = match resumed {
            Resumed::New { challenged } | Resumed::From(Resumption { challenged, .. }) => challenged,
        };
        // Evaluated anew on every opening: the configuration may have changed since the ticket was sealed.
        let grants = match (challenged, self.terms.proof) {
            (true, _) => self.terms.grants.clone(),
            (false, OpenProof::Origin) => self.terms.grants.without_challenge(),
            (false, OpenProof::Challenge) => return self.close(CloseCode::NotAccepted),
        };
        let published = Arc::clone(&self.published);
        let resumed = matches!(resumed, Resumed::From(ticket) if ticket.epoch == published.state.epoch);
        self.state = State::Live(Box::new(Live::new(grants.clone(), now)));
        self.outputs.push_back(Output::Ready(Ready { grants, published, proof, resumed, challenged }));
        self.send_news();
    }
}

#[derive(Clone, Copy)]
enum Resumed {
    New { challenged: bool },
    From(Resumption),
}
