//! The agent's machine for one socket, driven by a list of operations, and watched.
//!
//! Each operation is a letter, most with one more byte for the details (see [`World::step`]); bytes that are no operation
//! are passed over. So a seed can be read: `0oow0w0` opens with a challenge and answers both calls that follow well.

mod answers;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use loopkey::protocol::connection::{Connection, Input, Output, Terms};
use loopkey::protocol::grant::{Grant, OpenProof};
use loopkey::protocol::id::{Epoch, Nonce, Seq};
use loopkey::protocol::message::PageMessage;
use loopkey::protocol::news::{Board, News};
use loopkey::protocol::state::{PresenceState, Published, State};
use loopkey::protocol::time::{Moment, UnixMillis};
use serde_json::json;

use answers::{Answered, Quality};
use watch::Watch;

const NONCE: Nonce = Nonce::from_bytes([7; 32]);
const START: Moment = Moment(Duration::from_secs(1000));

/// The first byte says what the origin may do; the operations follow.
pub fn run(data: &[u8]) -> bool {
    let Some((&terms, operations)) = data.split_first() else { return false };
    let mut world = World::new(terms);
    // Longer lists reach nothing new.
    let mut bytes = operations.iter().copied().take(2000);
    while let Some(letter) = bytes.next() {
        world.step(letter, &mut bytes);
        world.watch.observe(&mut world.machine, &mut world.waiting, world.now);
    }
    world.watch.has_said_a_token()
}

/// Everything around the machine: time, the client, the keys, the person.
struct World {
    machine: Connection,
    now: Moment,
    published: Arc<Published>,
    /// What the client said of its actions.
    board: Board,
    /// Calls that wait for an answer.
    waiting: Vec<Output>,
    /// Calls that had theirs.
    answered: Vec<Answered>,
    /// Numbers consents, proofs and tokens, so that each is told from every other.
    made: u64,
    watch: Watch,
}

impl World {
    fn new(terms: u8) -> Self {
        let mut grants = Vec::new();
        grants.extend((terms & 1 == 0).then_some(Grant::Presence));
        grants.extend((terms & 2 == 0).then_some(Grant::Login));
        grants.extend((terms & 4 == 0).then_some(Grant::Action("open".into())));
        let proof = if terms & 8 == 0 { OpenProof::Challenge } else { OpenProof::Origin };
        let terms = Terms { grants: grants.into_iter().collect(), proof };
        let published = publish(1, PresenceState::SignedIn, 4, true);
        let mut watch = Watch::new(terms.clone(), Arc::clone(&published));
        let mut machine = Connection::new(terms, Arc::clone(&published), NONCE, START);
        let mut waiting = Vec::new();
        watch.observe(&mut machine, &mut waiting, START);
        Self { machine, now: START, published, board: Board::default(), waiting, answered: Vec::new(), made: 0, watch }
    }

    /// Takes one operation.
    fn step(&mut self, letter: u8, rest: &mut impl Iterator<Item = u8>) {
        let mut detail = || rest.next().unwrap_or(b'0');
        match letter {
            b'o' => self.open(detail()),
            b'p' => self.say(&PageMessage::Prove { id: u64::from(detail() & 3), challenge: "c".into() }),
            b'l' => {
                let detail = detail();
                // Letters ask for another person than the one on the card.
                let epoch = Epoch(self.published.state.epoch.0 + u64::from(detail > b'@'));
                self.say(&PageMessage::Login { id: u64::from(detail & 3), epoch, challenge: "c".into(), mark: None });
            }
            b'c' => self.say(&PageMessage::Cancel { id: u64::from(detail() & 3) }),
            b'a' => {
                let detail = detail();
                let name = if detail > b'@' { "other" } else { "open" };
                self.say(&PageMessage::Action { id: u64::from(detail & 3), name: name.into(), params: json!({}) });
            }
            b'k' => self.say(&PageMessage::Pong {}),
            b'x' => {
                let len = usize::from(detail());
                let text: Vec<u8> = rest.by_ref().take(len).collect();
                self.say_text(&String::from_utf8_lossy(&text));
            }
            b'y' => self.handle(Input::Binary),
            b'f' => {
                self.watch.control();
                self.handle(Input::Control);
            }
            b'w' => self.answer(detail(), Quality::Good),
            b'v' => self.answer(detail(), Quality::Other),
            b'n' => self.answer(detail(), Quality::Bad),
            b'm' => self.answer_in_the_wrong_way(detail()),
            b'r' => self.answer_again(detail()),
            b'd' => self.show_prompt(detail()),
            b's' => self.change_state(detail()),
            b'b' => {
                let name = if detail() > b'@' { "other" } else { "open" };
                let news = News::new(name, json!(self.board.number())).expect("short");
                self.board.put(name, news);
                self.handle(Input::News(Arc::new(self.board.clone())));
            }
            b't' => {
                const STEPS: [u64; 10] = [1, 40, 1_000, 5_000, 14_000, 29_000, 30_000, 61_000, 75_000, 600_000];
                self.now = self.now + Duration::from_millis(STEPS[usize::from(detail()) % STEPS.len()]);
            }
            b'T' => self.time_out(),
            b'D' => {
                self.now = self.machine.deadline().map_or(self.now, |deadline| self.now.max(deadline));
                self.time_out();
            }
            b'W' => self.handle(Input::Withdrawn),
            b'Q' => self.handle(Input::Stopping),
            _ => {}
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now);
    }

    fn say(&mut self, message: &PageMessage) {
        self.say_text(&message.encode());
    }

    fn say_text(&mut self, text: &str) {
        self.watch.hear(text);
        self.handle(Input::Text(text));
    }

    fn open(&mut self, detail: u8) {
        let (challenge, ticket, seq, nonce) = match detail % 8 {
            0 | 7 => (Some("c"), None, None, NONCE),
            1 => (None, Some("t"), Some(Seq(1)), NONCE),
            2 => (None, None, None, NONCE),
            3 => (Some("c"), Some("t"), Some(Seq(1)), NONCE),
            4 => (Some("c"), None, None, Nonce::from_bytes([8; 32])),
            5 => (None, Some("t"), None, NONCE),
            _ => (Some("c"), None, Some(Seq(1)), NONCE),
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        self.say(&PageMessage::Open { nonce, challenge: owned(challenge), resume: owned(ticket), seq });
    }

    fn change_state(&mut self, detail: u8) {
        use PresenceState::{Away, Locked, SignedIn, SignedOut};
        let presence = [SignedIn, Away, Locked, SignedOut][usize::from(detail & 3)];
        // A letter enrols nobody.
        let (switch, enrolled) = (u64::from(detail >> 2 & 1), detail <= b'@');
        let epoch = self.published.state.epoch.0 + switch;
        self.published = publish(self.published.seq.0 + 1, presence, epoch, enrolled);
        self.watch.published(Arc::clone(&self.published));
        self.handle(Input::Published(Arc::clone(&self.published)));
    }

    fn time_out(&mut self) {
        let due = self.machine.deadline().is_some_and(|deadline| self.now >= deadline);
        self.handle(Input::Timeout);
        if due {
            assert!(self.machine.deadline().is_none_or(|next| next > self.now), "a timer that fires for ever");
        }
    }
}

fn publish(seq: u64, presence: PresenceState, epoch: u64, enrolled: bool) -> Arc<Published> {
    let state = State { presence, since: UnixMillis(1), epoch: Epoch(epoch) };
    Arc::new(Published::new(Seq(seq), state, enrolled))
}
