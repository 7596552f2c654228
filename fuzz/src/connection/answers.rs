//! The driver's half: answers to the machine's calls, good and bad, in any order, of the wrong kind, and twice.

use std::sync::OnceLock;

use loopkey::crypto::{Algorithm, Signer as _};
use loopkey::protocol::acceptance::{self, AcceptedChallenge, Expected, IssuerTime, SeenChallenges};
use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::connection::{Call, ChallengeRefusal, Input, Output, Resumption};
use loopkey::protocol::consent::{ConsentRequest, Consented};
use loopkey::protocol::id::{ChallengeId, Epoch, Sid};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::origin::Origin;
use loopkey::protocol::statement::{self, Audience, Challenge};
use loopkey::protocol::time::Timestamp;
use serde_json::json;

use super::super::statement::key;
use super::{START, World};

/// How a call is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quality {
    Good,
    /// Well, but otherwise than expected: for the store's next life, for another epoch, without a challenge behind it.
    Other,
    Bad,
}

/// What is left of a call after its answer: enough to answer it again.
pub(super) type Answered = (Kind, Call);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Challenge,
    Ticket,
    Proof,
    Consent,
    Token,
    Action,
}

const KINDS: [Kind; 6] = [Kind::Challenge, Kind::Ticket, Kind::Proof, Kind::Consent, Kind::Token, Kind::Action];

fn waits_for(output: &Output) -> Option<Answered> {
    match output {
        Output::ReadChallenge(call, _) => Some((Kind::Challenge, *call)),
        Output::ReadTicket(call, _) => Some((Kind::Ticket, *call)),
        Output::SignProof(call, ..) => Some((Kind::Proof, *call)),
        Output::AskConsent(call, ..) => Some((Kind::Consent, *call)),
        Output::SignToken(call, ..) => Some((Kind::Token, *call)),
        Output::InvokeAction(call, ..) => Some((Kind::Action, *call)),
        _ => None,
    }
}

impl World {
    /// Answers one of the calls that wait.
    pub(super) fn answer(&mut self, detail: u8, quality: Quality) {
        if self.waiting.is_empty() {
            return;
        }
        let output = self.waiting.remove(usize::from(detail) % self.waiting.len());
        self.answered.push(waits_for(&output).expect("only calls wait"));
        let well = quality != Quality::Bad;
        let code = [RefusalCode::Denied, RefusalCode::Timeout, RefusalCode::Busy, RefusalCode::Unavailable];
        let code = code[usize::from(detail >> 2 & 3)];
        self.made += 1;
        let input = match output {
            Output::ReadChallenge(call, _) => Input::ChallengeRead(
                call,
                match quality {
                    Quality::Bad if detail & 4 == 0 => Err(ChallengeRefusal::NotAccepted),
                    Quality::Bad => Err(ChallengeRefusal::IssuerAway),
                    _ => Ok(challenge(quality)),
                },
            ),
            Output::ReadTicket(call, _) => {
                let epoch = Epoch(self.published.state.epoch.0 - u64::from(detail & 1));
                let ticket = Resumption { epoch, challenged: quality == Quality::Good };
                Input::TicketRead(call, well.then_some(ticket))
            }
            Output::SignProof(call, _, state) => {
                let proof = format!("p{}", self.made);
                self.watch.proof_made(&proof, call, state.state.epoch);
                Input::ProofSigned(call, well.then_some(proof))
            }
            Output::AskConsent(call, epoch, _) => {
                let request = request(self.made, Epoch(epoch.0 + u64::from(quality == Quality::Other)));
                self.watch.person_answered(call, well.then_some(&request.subject));
                Input::ConsentGiven(call, Consented::from_answer(&request, well).ok_or(code))
            }
            Output::SignToken(call, challenge, consented) => {
                let token = format!("t{}", self.made);
                self.watch.token_made(&token, call, &consented.request().subject, challenge.claims(), self.now);
                let spent = consented.spend(challenge.claims(), self.now);
                Input::TokenSigned(call, if well { Ok((token, spent)) } else { Err(code) })
            }
            Output::InvokeAction(call, ..) => Input::ActionDone(call, if well { Ok(json!(1)) } else { Err(code) }),
            _ => unreachable!("only calls wait"),
        };
        self.handle(input);
    }

    /// Answers a call with the answer to another kind of call. Nobody waits for such an answer.
    pub(super) fn answer_in_the_wrong_way(&mut self, detail: u8) {
        let calls: Vec<_> = self.waiting.iter().filter_map(waits_for).collect();
        let Some((right, call)) = pick(&calls, detail) else { return };
        if let Some(wrong) = pick(&KINDS, detail >> 3).filter(|wrong| *wrong != right) {
            self.answer_unasked(wrong, call);
        }
    }

    /// Answers once more a call that had its answer.
    pub(super) fn answer_again(&mut self, detail: u8) {
        if let Some((kind, call)) = pick(&self.answered, detail) {
            self.answer_unasked(kind, call);
        }
    }

    /// What this brings is not known to the watch, which cries out if any of it is used.
    fn answer_unasked(&mut self, kind: Kind, call: Call) {
        let request = request(0, self.published.state.epoch);
        let consented = Consented::from_answer(&request, true).expect("allowed");
        self.handle(match kind {
            Kind::Challenge => Input::ChallengeRead(call, Ok(challenge(Quality::Good))),
            Kind::Ticket => Input::TicketRead(call, Some(Resumption { epoch: Epoch(4), challenged: true })),
            Kind::Proof => Input::ProofSigned(call, Some("unasked".into())),
            Kind::Consent => Input::ConsentGiven(call, Ok(consented)),
            Kind::Token => {
                let spent = consented.spend(challenge(Quality::Good).claims(), self.now);
                Input::TokenSigned(call, Ok(("unasked".into(), spent)))
            }
            Kind::Action => Input::ActionDone(call, Ok(json!("unasked"))),
        });
    }

    /// A prompt opens, perhaps too late.
    pub(super) fn show_prompt(&mut self, detail: u8) {
        let waiting = self.waiting.iter().filter_map(waits_for);
        let calls: Vec<_> =
            waiting.chain(self.answered.iter().copied()).filter(|(kind, _)| *kind == Kind::Consent).collect();
        if let Some((_, call)) = pick(&calls, detail) {
            self.handle(Input::PromptOpened(call, "47".into()));
        }
    }
}

fn pick<T: Copy>(list: &[T], detail: u8) -> Option<T> {
    list.get(usize::from(detail) % list.len().max(1)).copied()
}

/// A request for the consent of that number.
fn request(number: u64, epoch: Epoch) -> ConsentRequest {
    ConsentRequest {
        origin: "https://app.example.com".parse().expect("origin"),
        issuer: "https://app.example.com/loopkey".parse().expect("issuer"),
        subject: number.to_string().parse().expect("subject"),
        epoch,
    }
}

/// A challenge of the store's first life or its next. Signed and accepted once, since that is another target's subject.
fn challenge(quality: Quality) -> AcceptedChallenge {
    static CHALLENGES: OnceLock<[AcceptedChallenge; 2]> = OnceLock::new();
    let [first, next] = CHALLENGES.get_or_init(|| ["first", "next"].map(accepted));
    if quality == Quality::Other { next.clone() } else { first.clone() }
}

fn accepted(life: &str) -> AcceptedChallenge {
    let issuer: Issuer = "https://app.example.com/loopkey".parse().expect("issuer");
    let origin: Origin = "https://app.example.com".parse().expect("origin");
    let date = Timestamp(1_800_000_000);
    let challenge = Challenge {
        iss: issuer.clone(),
        aud: Audience::Agent,
        org: origin.clone(),
        jti: ChallengeId::from_bytes([1; 32]),
        sid: Sid::from_bytes([2; 32]),
        iat: date,
        exp: date.plus(120),
        rdm: issuer.login_url(),
        inc: life.parse().expect("incarnation"),
    };
    let signer = key(Algorithm::Ed25519);
    let compact = statement::sign(&challenge, signer).expect("signed");
    let expected = Expected { issuer: &issuer, origin: &origin, time: IssuerTime { date, heard: START } };
    let mut seen = SeenChallenges::default();
    acceptance::accept(&compact, &[signer.public().clone()], expected, &mut seen, START).expect("accepted")
}
