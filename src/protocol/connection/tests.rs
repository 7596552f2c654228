//! One step at a time: what each answer, each obstacle and each deadline brings. The walk beside this file sees every state;
//! here stands what is said in it, and to whom.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::walk::{challenge, published};
use super::{Call, ChallengeRefusal, Connection, Input, Output, Resumption, Terms};
use crate::protocol::code::{CloseCode, RefusalCode};
use crate::protocol::consent::{ConsentRequest, Consented, SpentConsent};
use crate::protocol::grant::{Grant, OpenProof};
use crate::protocol::id::{Epoch, Nonce, PageMark, Seq};
use crate::protocol::message::{AgentMessage, PageMessage};
use crate::protocol::news::{Board, News};
use crate::protocol::state::{PresenceState, Published};
use crate::protocol::time::Moment;

const NONCE: Nonce = Nonce::from_bytes([7; 32]);
const START: Moment = Moment(Duration::from_secs(1000));
const STRANGE: Call = Call(99);

/// A machine and the time.
struct Bench {
    machine: Connection,
    now: Moment,
}

impl Bench {
    fn new(grants: &[Grant], state: Arc<Published>) -> Self {
        let terms = Terms { grants: grants.iter().cloned().collect(), proof: OpenProof::Challenge };
        let mut machine = Connection::new(terms, state, NONCE, START);
        machine.take_outputs();
        Self { machine, now: START }
    }

    /// An open socket with every grant, of somebody signed in under epoch 0.
    fn open() -> Self {
        Self::open_with(&all(), signed_in())
    }

    fn open_with(grants: &[Grant], state: Arc<Published>) -> Self {
        let mut bench = Self::new(grants, state);
        bench.say(&open(None, Some("t")));
        let ticket = Resumption { epoch: Epoch(0), challenged: true };
        bench.take(Input::TicketRead(Call(1), Some(ticket)));
        assert!(bench.machine.is_live());
        bench
    }

    fn take(&mut self, input: Input<'_>) -> Vec<Output> {
        self.machine.handle(input, self.now);
        self.machine.take_outputs()
    }

    fn say(&mut self, message: &PageMessage) -> Vec<Output> {
        self.take(Input::Text(&message.encode()))
    }

    fn prove(&mut self, id: u64) -> Vec<Output> {
        self.say(&PageMessage::Prove { id, challenge: "c".into() })
    }

    fn login(&mut self, id: u64) -> Vec<Output> {
        self.say(&PageMessage::Login { id, epoch: Epoch(0), challenge: "c".into(), mark: None })
    }

    fn action(&mut self, id: u64, name: &str) -> Vec<Output> {
        self.say(&PageMessage::Action { id, name: name.into(), params: json!({}) })
    }

    fn accept(&mut self, call: Call) -> Vec<Output> {
        let accepted = challenge("life-1", self.now);
        self.take(Input::ChallengeRead(call, Ok(accepted)))
    }

    fn publish(&mut self, state: Arc<Published>) -> Vec<Output> {
        self.take(Input::Published(state))
    }

    /// Two pings without an answer: the page may be frozen.
    fn freeze(&mut self) {
        for _ in 0..2 {
            self.now = self.machine.deadline().expect("a deadline");
            assert_eq!(self.take(Input::Timeout), [Output::Send(AgentMessage::Ping {})]);
        }
    }

    /// A login up to its open prompt.
    fn prompt(&mut self) {
        assert!(matches!(self.login(6)[..], [Output::ReadChallenge(Call(2), _)]));
        assert_eq!(self.accept(Call(2)), [Output::AskConsent(Call(2), Epoch(0), None)]);
    }
}

fn all() -> [Grant; 3] {
    [Grant::Presence, Grant::Login, Grant::Action("open".into())]
}

fn open(challenge: Option<&str>, resume: Option<&str>) -> PageMessage {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    PageMessage::Open { nonce: NONCE, challenge: owned(challenge), resume: owned(resume), seq: resume.map(|_| Seq(1)) }
}

fn signed_in() -> Arc<Published> {
    published(1, PresenceState::SignedIn, 0)
}

fn nobody_enrolled() -> Arc<Published> {
    let state = signed_in();
    Arc::new(Published::new(Seq(2), state.state, false))
}

fn refused(id: u64, code: RefusalCode) -> [Output; 1] {
    [Output::Send(AgentMessage::Refused { id, code })]
}

fn consent(epoch: u64) -> Consented {
    let request = ConsentRequest {
        origin: "https://app.example".parse().expect("origin"),
        issuer: "https://login.example".parse().expect("issuer"),
        subject: "someone".parse().expect("subject"),
        epoch: Epoch(epoch),
    };
    Consented::from_answer(&request, true).expect("allowed")
}

fn token() -> Result<(String, SpentConsent), RefusalCode> {
    Ok(("t".into(), consent(0).spend(challenge("life-1", START).claims(), START)))
}

/// Answers to a call that the machine never made.
fn strange_answers() -> [Input<'static>; 7] {
    [
        Input::ChallengeRead(STRANGE, Err(ChallengeRefusal::NotAccepted)),
        Input::TicketRead(STRANGE, None),
        Input::ProofSigned(STRANGE, Some("p".into())),
        Input::PromptOpened(STRANGE, "47".into()),
        Input::ConsentGiven(STRANGE, Ok(consent(0))),
        Input::TokenSigned(STRANGE, token()),
        Input::ActionDone(STRANGE, Ok(json!(1))),
    ]
}

#[test]
fn a_timer_that_fires_early_changes_nothing() {
    let mut bench = Bench::new(&all(), signed_in());
    bench.now = START + Duration::from_millis(4999);
    assert_eq!(bench.take(Input::Timeout), []);
    bench.say(&open(Some("c"), None));
    assert_eq!(bench.take(Input::Timeout), []);
    bench.now = START + Duration::from_secs(5);
    assert_eq!(bench.take(Input::Timeout), [Output::Close(CloseCode::TimedOut)]);
    let mut live = Bench::open();
    assert_eq!(live.take(Input::Timeout), []);
}

#[test]
fn answers_to_calls_that_were_not_made_are_dropped_in_every_state() {
    for path in 0..8 {
        let mut bench = if path < 4 { Bench::new(&all(), signed_in()) } else { Bench::open() };
        match path {
            0 => {}
            1 => drop(bench.say(&open(None, Some("t")))),
            2 => drop(bench.say(&open(Some("c"), None))),
            3 => {
                bench.say(&open(Some("c"), None));
                assert!(matches!(bench.accept(Call(1))[..], [Output::SignProof(Call(2), ..)]));
            }
            4 => {
                bench.prove(1);
                bench.action(2, "open");
            }
            5 => {
                bench.prove(1);
                bench.accept(Call(2));
            }
            6 => drop(bench.login(6)),
            _ => bench.prompt(),
        }
        for answer in strange_answers() {
            assert_eq!(bench.take(answer), [], "in state {path}");
        }
        assert!(!bench.machine.is_closed());
    }
    let mut signing = Bench::open();
    signing.prompt();
    assert!(matches!(signing.take(Input::ConsentGiven(Call(2), Ok(consent(0))))[..], [Output::SignToken(Call(2), ..)]));
    for answer in strange_answers() {
        assert_eq!(signing.take(answer), [], "while the token is signed");
    }
    let sent = AgentMessage::Token { id: 6, token: "t".into() };
    assert_eq!(signing.take(Input::TokenSigned(Call(2), token())), [Output::Send(sent)]);
}

#[test]
fn an_opening_socket_gets_a_proof_where_one_can_be_made() {
    let opened = |grants: &[Grant], state| {
        let mut bench = Bench::new(grants, state);
        assert_eq!(bench.say(&open(Some("c"), None)), [Output::ReadChallenge(Call(1), "c".into())]);
        (bench.accept(Call(1)), bench)
    };
    let (outputs, mut bench) = opened(&all(), signed_in());
    assert!(matches!(outputs[..], [Output::SignProof(Call(2), ..)]));
    let ready = bench.take(Input::ProofSigned(Call(2), Some("p".into())));
    assert!(matches!(&ready[..], [Output::Ready(ready)] if ready.proof.as_deref() == Some("p") && !ready.resumed));

    let (_, mut switched) = opened(&all(), signed_in());
    assert_eq!(switched.publish(published(2, PresenceState::SignedIn, 1)), [], "ready will carry it");
    let ready = switched.take(Input::ProofSigned(Call(2), Some("p".into())));
    assert!(matches!(&ready[..], [Output::Ready(ready)] if ready.proof.is_none() && ready.published.seq == Seq(2)));

    for (grants, state) in [
        (&all()[..], published(1, PresenceState::SignedOut, 0)),
        (&all(), nobody_enrolled()),
        (&[Grant::Login], signed_in()),
    ] {
        let (outputs, _) = opened(grants, state);
        assert!(matches!(&outputs[..], [Output::Ready(ready)] if ready.proof.is_none() && ready.challenged));
    }
}

#[test]
fn a_socket_that_goes_on_under_another_epoch_is_not_resumed() {
    for (epoch, resumed) in [(0, true), (1, false)] {
        let mut bench = Bench::new(&all(), published(1, PresenceState::SignedIn, epoch));
        bench.say(&open(None, Some("t")));
        let ticket = Resumption { epoch: Epoch(0), challenged: true };
        let outputs = bench.take(Input::TicketRead(Call(1), Some(ticket)));
        assert!(matches!(&outputs[..], [Output::Ready(ready)] if ready.resumed == resumed && ready.proof.is_none()));
    }
}

#[test]
fn a_proof_is_refused_for_the_reason_there_is() {
    let first = |mut bench: Bench| bench.prove(1);
    assert_eq!(first(Bench::open_with(&[Grant::Login], signed_in())), refused(1, RefusalCode::NotGranted));
    let signed_out = published(1, PresenceState::SignedOut, 0);
    assert_eq!(first(Bench::open_with(&all(), signed_out)), refused(1, RefusalCode::SignedOut));
    assert_eq!(first(Bench::open_with(&all(), nobody_enrolled())), refused(1, RefusalCode::Unavailable));
    let mut frozen = Bench::open();
    frozen.freeze();
    assert_eq!(frozen.prove(1), refused(1, RefusalCode::Unavailable));
    frozen.say(&PageMessage::Pong {});
    assert!(matches!(frozen.prove(1)[..], [Output::ReadChallenge(..)]), "it is awake again");
    let mut busy = Bench::open();
    for id in 1..=4 {
        assert!(matches!(busy.prove(id)[..], [Output::ReadChallenge(..)]));
    }
    assert_eq!(busy.prove(5), refused(5, RefusalCode::Unavailable));
}

#[test]
fn each_proof_goes_to_its_own_request() {
    let mut bench = Bench::open();
    assert_eq!(bench.prove(1), [Output::ReadChallenge(Call(2), "c".into())]);
    assert_eq!(bench.prove(2), [Output::ReadChallenge(Call(3), "c".into())]);
    assert_eq!(bench.prove(3), [Output::ReadChallenge(Call(4), "c".into())]);
    let away = Input::ChallengeRead(Call(3), Err(ChallengeRefusal::IssuerAway));
    assert_eq!(bench.take(away), refused(2, RefusalCode::Unavailable));
    assert!(matches!(bench.accept(Call(4))[..], [Output::SignProof(Call(4), ..)]));
    assert!(matches!(bench.accept(Call(2))[..], [Output::SignProof(Call(2), ..)]));
    assert_eq!(bench.accept(Call(2)), [], "a challenge is read once");
    let signed = |call, text: &str| Input::ProofSigned(call, Some(text.into()));
    let proof = |id, text: &str| [Output::Send(AgentMessage::Proof { id, proof: text.into() })];
    assert_eq!(bench.take(signed(Call(2), "p")), proof(1, "p"));
    assert_eq!(bench.take(signed(Call(4), "q")), proof(3, "q"));
    assert_eq!(bench.take(signed(Call(4), "q")), [], "and answered once");
}

#[test]
fn a_proof_that_is_no_longer_true_is_not_sent() {
    let signing = || {
        let mut bench = Bench::open();
        bench.prove(1);
        bench.accept(Call(2));
        bench
    };
    let signed = || Input::ProofSigned(Call(2), Some("p".into()));
    let mut switched = signing();
    switched.publish(published(2, PresenceState::SignedIn, 1));
    assert_eq!(switched.take(signed()), refused(1, RefusalCode::Unavailable));
    let mut frozen = signing();
    frozen.freeze();
    assert_eq!(frozen.take(signed()), refused(1, RefusalCode::Unavailable));
    assert_eq!(signing().take(Input::ProofSigned(Call(2), None)), refused(1, RefusalCode::Unavailable));
    let mut signed_out = Bench::open();
    signed_out.prove(1);
    signed_out.publish(published(2, PresenceState::SignedOut, 1));
    assert_eq!(signed_out.accept(Call(2)), refused(1, RefusalCode::SignedOut));
}

#[test]
fn an_action_is_refused_for_the_reason_there_is_and_answered_by_its_number() {
    assert_eq!(Bench::open().action(1, "other"), refused(1, RefusalCode::NotGranted));
    for presence in [PresenceState::Locked, PresenceState::SignedOut] {
        let mut bench = Bench::open_with(&all(), published(1, presence, 0));
        assert_eq!(bench.action(1, "open"), refused(1, RefusalCode::Denied));
        // Asked for in time, and done too late: behind the lock, or for the next person.
        for epoch in [0, 1] {
            let mut bench = Bench::open();
            bench.action(1, "open");
            let now = if epoch == 0 { presence } else { PresenceState::SignedIn };
            bench.publish(published(2, now, epoch));
            assert_eq!(bench.take(Input::ActionDone(Call(2), Ok(json!(1)))), refused(1, RefusalCode::Denied));
        }
    }
    let mut bench = Bench::open();
    for id in 1..=4 {
        assert!(matches!(bench.action(id, "open")[..], [Output::InvokeAction(..)]));
    }
    assert_eq!(bench.action(5, "open"), refused(5, RefusalCode::Failed));
    let result = AgentMessage::Result { id: 3, value: json!("done") };
    assert_eq!(bench.take(Input::ActionDone(Call(4), Ok(json!("done")))), [Output::Send(result)]);
    let timeout = Input::ActionDone(Call(2), Err(RefusalCode::Timeout));
    assert_eq!(bench.take(timeout), refused(1, RefusalCode::Timeout));
    assert!(matches!(bench.action(6, "open")[..], [Output::InvokeAction(..)]), "there is room again");
}

#[test]
fn the_mark_of_a_page_goes_along_to_the_consent() {
    let mut bench = Bench::open();
    let mark = Some(PageMark::from_bytes([9; 32]));
    bench.say(&PageMessage::Login { id: 6, epoch: Epoch(0), challenge: "c".into(), mark });
    assert_eq!(bench.accept(Call(2)), [Output::AskConsent(Call(2), Epoch(0), mark)]);
}

#[test]
fn news_go_to_whom_they_are_granted_once_and_not_behind_a_lock() {
    let board = |told: &[(&str, u64)]| {
        let mut board = Board::default();
        for (name, value) in told {
            board.put(name, News::new(name, (*value).into()).expect("short"));
        }
        Input::News(Arc::new(board))
    };
    let sent = |value: u64| [Output::SendNews(News::new("open", value.into()).expect("short"))];
    let mut bench = Bench::open();
    assert_eq!(bench.take(board(&[("open", 1), ("other", 2)])), sent(1));
    assert_eq!(bench.take(board(&[("open", 1), ("other", 2)])), [], "nothing new");
    let locked = published(2, PresenceState::Locked, 0);
    assert_eq!(bench.publish(Arc::clone(&locked)), [Output::SendState(locked)]);
    assert_eq!(bench.take(board(&[("open", 1), ("other", 2), ("open", 3), ("open", 4)])), []);
    let back = published(3, PresenceState::Away, 0);
    let [news] = sent(4);
    assert_eq!(bench.publish(Arc::clone(&back)), [Output::SendState(back), news], "the newest, once it is unlocked");
    // A page that opens its socket later hears of what is on the board.
    let mut late = Bench::new(&all(), signed_in());
    assert_eq!(late.take(board(&[("open", 5)])), [], "nothing is said before ready");
    late.say(&open(None, Some("t")));
    let ticket = Resumption { epoch: Epoch(0), challenged: true };
    let outputs = late.take(Input::TicketRead(Call(1), Some(ticket)));
    assert!(matches!(&outputs[..], [Output::Ready(_), Output::SendNews(_)]), "{outputs:?}");
}

/// What waited behind a lock for the person to come back was said of that person.
#[test]
fn news_of_one_person_are_not_told_to_the_next() {
    let mut board = Board::default();
    board.put("open", News::new("open", 1.into()).expect("short"));
    for (locked, next) in [
        (published(2, PresenceState::Locked, 0), published(3, PresenceState::SignedIn, 1)),
        (published(2, PresenceState::SignedOut, 1), published(3, PresenceState::SignedIn, 2)),
    ] {
        let mut bench = Bench::open();
        bench.publish(locked);
        assert!(bench.machine.is_resting());
        bench.take(Input::News(Arc::new(board.clone())));
        assert!(!bench.machine.is_resting(), "there is more to say than the state");
        assert_eq!(bench.publish(Arc::clone(&next)), [Output::SendState(next)]);
        let mut board = board.clone();
        board.clear();
        let news = News::new("open", 2.into()).expect("short");
        board.put("open", news.clone());
        assert_eq!(bench.take(Input::News(Arc::new(board))), [Output::SendNews(news)]);
    }
}

#[test]
fn a_socket_rests_while_nothing_is_asked_for() {
    assert!(!Bench::new(&all(), signed_in()).machine.is_resting(), "not open yet");
    let rests = |step: fn(&mut Bench)| {
        let mut bench = Bench::open();
        assert!(bench.machine.is_resting());
        step(&mut bench);
        bench.machine.is_resting()
    };
    assert!(!rests(|bench| drop(bench.prove(1))));
    assert!(!rests(|bench| drop(bench.login(1))));
    assert!(!rests(|bench| drop(bench.action(1, "open"))));
    assert!(!rests(|bench| drop(bench.take(Input::Stopping))));
    let mut bench = Bench::open();
    bench.machine.handle(Input::Binary, START);
    assert!(!bench.machine.is_resting(), "what is to be said comes first");
}

#[test]
fn an_origin_alone_opens_a_socket_only_where_that_is_configured_and_for_the_state_only() {
    let opened = |proof| {
        let terms = Terms { grants: all().into_iter().collect(), proof };
        let mut bench = Bench { machine: Connection::new(terms, signed_in(), NONCE, START), now: START };
        bench.machine.take_outputs();
        bench.say(&open(None, None))
    };
    assert_eq!(opened(OpenProof::Challenge), [Output::Close(CloseCode::NotAccepted)]);
    let outputs = opened(OpenProof::Origin);
    let [Output::Ready(ready)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(ready.grants, [Grant::Presence].into_iter().collect());
    assert!(ready.proof.is_none() && !ready.challenged && !ready.resumed);
}

#[test]
fn the_page_learns_of_the_prompt_while_it_is_open() {
    let mut bench = Bench::open();
    let opened = || Input::PromptOpened(Call(2), "47".into());
    bench.login(6);
    assert_eq!(bench.take(opened()), [], "nobody was asked yet");
    bench.accept(Call(2));
    let shown = AgentMessage::Consent { id: 6, code: "47".into() };
    assert_eq!(bench.take(opened()), [Output::Send(shown)]);
    assert_eq!(bench.say(&PageMessage::Cancel { id: 7 }), [], "another login's number");
    let [refused] = refused(6, RefusalCode::Cancelled);
    assert_eq!(bench.say(&PageMessage::Cancel { id: 6 }), [Output::WithdrawPrompt(Call(2)), refused]);
    assert_eq!(bench.take(opened()), [], "too late");
}

#[test]
fn a_login_needs_an_enrolled_key_from_its_first_step_to_its_last() {
    let mut bench = Bench::open_with(&all(), nobody_enrolled());
    assert_eq!(bench.login(6), refused(6, RefusalCode::Unavailable));
    let mut prompted = Bench::open();
    prompted.prompt();
    let [refused] = refused(6, RefusalCode::Unavailable);
    let state = nobody_enrolled();
    let told = Output::SendState(Arc::clone(&state));
    assert_eq!(prompted.publish(state), [told, Output::WithdrawPrompt(Call(2)), refused]);
}

#[test]
fn a_login_needs_its_grant_and_a_page_that_is_awake() {
    let mut bench = Bench::open_with(&[Grant::Presence], signed_in());
    assert_eq!(bench.login(6), refused(6, RefusalCode::NotGranted));
    let mut frozen = Bench::open();
    frozen.freeze();
    assert_eq!(frozen.login(6), refused(6, RefusalCode::Unavailable));
    let mut signing = Bench::open();
    signing.prompt();
    signing.take(Input::ConsentGiven(Call(2), Ok(consent(0))));
    signing.freeze();
    assert_eq!(signing.take(Input::TokenSigned(Call(2), token())), refused(6, RefusalCode::Unavailable));
}

#[test]
fn a_consent_for_somebody_else_signs_nobody_in() {
    let mut bench = Bench::open();
    bench.prompt();
    assert_eq!(bench.take(Input::ConsentGiven(Call(2), Ok(consent(1)))), refused(6, RefusalCode::Switched));
    assert!(matches!(bench.login(7)[..], [Output::ReadChallenge(..)]), "the socket is free for another login");
}
