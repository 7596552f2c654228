//! Messages without end: mutations of sound ones, random JSON, random bytes. The machine in process takes a great many of
//! them, the wire some thousand; nothing panics, and nothing is said after a close. The dice are loaded: each run is the same.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopkey::crypto::{Algorithm, Signer as _, SoftwareKey};
use loopkey::protocol::acceptance::{self, AcceptedChallenge, Expected, IssuerTime, SeenChallenges};
use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::connection::{ChallengeRefusal, Connection, Input, Output, Resumption, Terms};
use loopkey::protocol::consent::{ConsentRequest, Consented};
use loopkey::protocol::grant::{Grant, OpenProof};
use loopkey::protocol::id::{Epoch, Nonce, Seq};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::state::{PresenceState, Published, State};
use loopkey::protocol::statement::{self, Challenge};
use loopkey::protocol::time::{Moment, Timestamp, UnixMillis};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::raw::masked;
use super::stage::Stage;

/// The same numbers on every run (the generator is SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn bytes(&mut self, longest: usize) -> Vec<u8> {
        (0..self.below(longest)).map(|_| self.roll() as u8).collect()
    }
}

/// What a page may say: `N` stands for the nonce, `C` for a challenge.
const SOUND: [&str; 10] = [
    r#"{"type":"open","nonce":"N","challenge":"C"}"#,
    r#"{"type":"open","nonce":"N","resume":"dGlja2V0","seq":17}"#,
    r#"{"type":"open","nonce":"N"}"#,
    r#"{"type":"prove","id":3,"challenge":"C"}"#,
    r#"{"type":"login","id":1,"epoch":0,"challenge":"C"}"#,
    r#"{"type":"login","id":2,"epoch":1,"challenge":"C"}"#,
    r#"{"type":"cancel","id":1}"#,
    r#"{"type":"action","id":2,"name":"open","params":{"url":"https://app.example/doc/1"}}"#,
    r#"{"type":"action","id":5,"name":"close","params":[1,null,true,{"a":{"b":"\u00e9\n"}}]}"#,
    r#"{"type":"pong"}"#,
];

/// What mutations like to put in.
const SPICES: [&str; 16] = [
    "null",
    "-1",
    "1e400",
    "18446744073709551616",
    "\"\"",
    "[",
    "{",
    "\\ud800",
    "\\u0000",
    "\u{202e}",
    "type",
    ":",
    ",",
    "\"id\":1,",
    "\u{10ffff}",
    "9999999999999999999999999999.9",
];

/// A message of whatever kind.
fn message(dice: &mut Dice, nonce: &str, challenge: &str) -> Vec<u8> {
    let sound = SOUND[dice.below(SOUND.len())].replace('N', nonce).replace('C', challenge).into_bytes();
    match dice.below(8) {
        0..3 => sound,
        3..6 => mutated(dice, sound),
        6 => random_json(dice, 6).to_string().into_bytes(),
        _ => dice.bytes(200),
    }
}

fn mutated(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(12)).min(bytes.len());
        match dice.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.splice(at..at, SPICES[dice.below(SPICES.len())].bytes()).for_each(drop),
            3 => bytes.splice(at..end, SPICES[dice.below(SPICES.len())].bytes()).for_each(drop),
            4 => bytes.extend_from_within(at..end),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

fn random_json(dice: &mut Dice, depth: usize) -> Value {
    let name = |dice: &mut Dice| {
        let known = ["type", "id", "nonce", "challenge", "epoch", "resume", "seq", "name", "params", "", "\u{0}"];
        known[dice.below(known.len())].to_owned()
    };
    match dice.below(if depth == 0 { 5 } else { 7 }) {
        0 => json!(dice.roll()),
        1 => json!(-((dice.roll() >> 40) as f64) / 7.0),
        2 => json!(["open", "prove", "login", "cancel", "action", "pong", "stop", "ready"][dice.below(8)]),
        3 => json!(String::from_utf8_lossy(&dice.bytes(30))),
        4 => [Value::Null, json!(true), json!(false)][dice.below(3)].clone(),
        5 => (0..dice.below(5)).map(|_| random_json(dice, depth - 1)).collect(),
        _ => Value::Object((0..dice.below(6)).map(|_| (name(dice), random_json(dice, depth - 1))).collect()),
    }
}

/// Everything around the machine.
struct Bench {
    dice: Dice,
    accepted: AcceptedChallenge,
    issuer: Issuer,
    machine: Connection,
    /// Nothing was said to it yet.
    untouched: bool,
    published: Arc<Published>,
    now: Moment,
    opened: usize,
    consents: usize,
    tokens: usize,
    closes: usize,
}

const NONCE: Nonce = Nonce::from_bytes([7; 32]);

fn published(seq: u64, presence: PresenceState, epoch: u64) -> Arc<Published> {
    let state = State { presence, since: UnixMillis(1), epoch: Epoch(epoch) };
    Arc::new(Published::new(Seq(seq), state, true))
}

fn fresh(published: &Arc<Published>, now: Moment, proof: OpenProof) -> Connection {
    let grants = [Grant::Presence, Grant::Login, Grant::Action("open".into())].into_iter().collect();
    Connection::new(Terms { grants, proof }, Arc::clone(published), NONCE, now)
}

impl Bench {
    fn new(seed: u64) -> Self {
        let now = Moment(Duration::from_secs(1000));
        let issuer: Issuer = "https://login.example".parse().expect("an issuer");
        let key = SoftwareKey::generate(Algorithm::Es256).expect("a key").0;
        let challenge: Challenge = serde_json::from_value(json!({
            "iss": issuer, "aud": "loopkey-agent", "org": "https://app.example", "jti": "A".repeat(43),
            "sid": "A".repeat(43), "iat": 1000, "exp": 1120, "rdm": issuer.login_url(), "inc": "x",
        }))
        .expect("a challenge");
        let compact = statement::sign(&challenge, &key).expect("signed");
        let time = IssuerTime { date: Timestamp(1000), heard: now };
        let expected = Expected { issuer: &issuer, origin: &challenge.org, time };
        let mut seen = SeenChallenges::default();
        let accepted = acceptance::accept(&compact, &[key.public().clone()], expected, &mut seen, now).expect("sound");
        let published = published(1, PresenceState::SignedIn, 0);
        let machine = fresh(&published, now, OpenProof::Challenge);
        let dice = Dice(seed);
        let (opened, consents, tokens, closes) = (0, 0, 0, 0);
        Self { dice, accepted, issuer, machine, untouched: true, published, now, opened, consents, tokens, closes }
    }

    /// One message, some time, and now and then something that is none of the page's doing.
    fn step(&mut self) {
        // Most sockets are opened, or little would come of the rest.
        let message = if std::mem::take(&mut self.untouched) && !self.dice.one_in(8) {
            SOUND[self.dice.below(3)].replace('N', &NONCE.to_string()).into_bytes()
        } else {
            message(&mut self.dice, &NONCE.to_string(), "c")
        };
        // What is no UTF-8 does not come as far as this; it has been refused by the wire.
        let text = String::from_utf8_lossy(&message);
        self.now = self.now + Duration::from_millis(self.dice.below(80) as u64);
        self.machine.handle(Input::Text(&text), self.now);
        if self.dice.one_in(16) {
            let presence = [PresenceState::SignedIn, PresenceState::Away, PresenceState::Locked][self.dice.below(3)];
            let epoch = self.published.state.epoch.0 + self.dice.below(2) as u64;
            self.published = published(self.published.seq.0 + 1, presence, epoch % 2);
            self.machine.handle(Input::Published(Arc::clone(&self.published)), self.now);
        }
        if self.machine.deadline().is_some_and(|deadline| deadline <= self.now) {
            self.machine.handle(Input::Timeout, self.now);
        }
        self.perform();
    }

    /// Does what the machine says, until it says no more; after a close there is a new socket.
    fn perform(&mut self) {
        let mut closed = false;
        while let Some(output) = self.machine.next_output() {
            assert!(!closed, "{output:?} after the close");
            match &output {
                Output::Close(_) => closed = true,
                Output::Ready(_) => self.opened += 1,
                Output::Send(AgentMessage::Token { .. }) => {
                    self.tokens += 1;
                    assert!(self.tokens <= self.consents, "a token without a consent");
                }
                _ => {}
            }
            if let Some(answer) = self.answer(output) {
                self.machine.handle(answer, self.now);
            }
        }
        assert_eq!(self.machine.is_closed(), closed);
        if closed {
            self.closes += 1;
            let proof = if self.dice.one_in(4) { OpenProof::Origin } else { OpenProof::Challenge };
            self.machine = fresh(&self.published, self.now, proof);
            self.untouched = true;
        }
    }

    /// What an agent would answer, well or badly; some things stay unanswered.
    fn answer(&mut self, output: Output) -> Option<Input<'static>> {
        let dice = &mut self.dice;
        if dice.one_in(10) {
            return None;
        }
        Some(match output {
            Output::ReadChallenge(call, _) if dice.one_in(8) => {
                Input::ChallengeRead(call, Err(ChallengeRefusal::IssuerAway))
            }
            Output::ReadChallenge(call, _) => Input::ChallengeRead(call, Ok(self.accepted.clone())),
            Output::ReadTicket(call, _) => {
                let ticket = Resumption { epoch: Epoch(0), challenged: dice.one_in(2) };
                Input::TicketRead(call, Some(ticket))
            }
            Output::SignProof(call, ..) => Input::ProofSigned(call, Some("p".into())),
            Output::AskConsent(call, epoch, _) => {
                let request = ConsentRequest {
                    origin: "https://app.example".parse().expect("an origin"),
                    issuer: self.issuer.clone(),
                    subject: "someone".parse().expect("a subject"),
                    epoch,
                };
                let consent = Consented::from_answer(&request, !dice.one_in(3)).ok_or(RefusalCode::Denied);
                self.consents += usize::from(consent.is_ok());
                self.machine.handle(Input::PromptOpened(call, "47".into()), self.now);
                Input::ConsentGiven(call, consent)
            }
            Output::SignToken(call, challenge, consented) => {
                let spent = consented.spend(challenge.claims(), self.now);
                Input::TokenSigned(call, Ok(("t".into(), spent)))
            }
            Output::InvokeAction(call, ..) => Input::ActionDone(call, Ok(json!({}))),
            _ => return None,
        })
    }
}

#[expect(clippy::print_stdout, reason = "figures for whoever runs it by hand")]
fn fuzz(messages: usize) {
    let mut bench = Bench::new(0x100f_0ca1);
    for _ in 0..messages {
        bench.step();
    }
    let Bench { opened, consents, tokens, closes, .. } = bench;
    println!("{messages} messages: {opened} sockets opened, {closes} closed, {consents} consents, {tokens} tokens");
    // The dice are of no use if they never get anywhere.
    assert!(opened > messages / 10 && closes > messages / 10 && tokens > messages / 1_000);
}

#[test]
fn a28_a_hundred_thousand_hostile_messages_do_not_stop_the_machine() {
    fuzz(100_000);
}

#[test]
#[ignore = "some ten seconds: run by ./test --long"]
fn long_a28_a_million_hostile_messages_do_not_stop_the_machine() {
    fuzz(1_000_000);
}

/// Where errors that the agent logs go.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<u8>>>);

impl Write for Errors {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a28_thousands_of_hostile_messages_over_the_wire() {
    // A panic would end one connection only, and be logged as an error: there must be none.
    let errors = Errors::default();
    let writer = errors.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_writer(move || writer.clone()).finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let stage = Stage::new().await;
    let mut dice = Dice(0x5eed);
    let mut messages = 0;
    for connection in 0..400 {
        let mut socket = if connection % 2 == 0 { stage.live().await } else { stage.greeted().await };
        for _ in 0..8 {
            messages += 1;
            let message = message(&mut dice, &socket.nonce, "a.b.c");
            let frame = match dice.below(8) {
                0 => message,
                1 => mutated(&mut dice, masked(0x81, &message)),
                2 => masked(dice.roll() as u8, &message),
                _ => masked(0x81, &message),
            };
            socket.raw.say(frame).await;
        }
        let _ = socket.raw.0.shutdown().await;
        socket.raw.rest().await;
    }
    assert_eq!(messages, 3_200);
    stage.unharmed().await;
    assert_eq!(String::from_utf8_lossy(&errors.0.lock().expect("unpoisoned")), "");
}
