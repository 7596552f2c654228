//! The agent's machine for one socket of a page (protocol section 4), sans-IO: inputs with the time in, outputs out.
//!
//! ```text
//! ExpectOpen ── open{challenge} ─▶ ReadChallenge ─▶ SignProof ─┐
//!     │                                  └────────────────────┤
//!     ├──────── open{resume} ───▶ ReadTicket ─────────────────┼─▶ Live ⟲ login: Idle ─▶ ReadChallenge ─▶ ExpectConsent ─▶ SignToken
//!     └──────── open{} ───────────────────────────────────────┘
//! ```
//! Whatever needs a key, a random number, a person or another process leaves as an [`Output`] with a [`Call`] number and
//! comes back as an [`Input`] with the same one; an answer to a call that nobody waits for any more is dropped.
//! The driver moves bytes and timers and decides nothing.

#[cfg(test)]
mod bridged;
mod live;
mod opening;
#[cfg(test)]
mod paths;
mod pulse;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::acceptance::AcceptedChallenge;
use super::bridge::BridgeMessage;
use super::code::{CloseCode, RefusalCode};
use super::consent::{Consented, SpentConsent};
use super::grant::{Grants, OpenProof};
use super::id::{Epoch, Nonce, PageMark};
use super::limits::{CONTROLS_PER_SECOND, MESSAGES_PER_SECOND, OPEN_TIMEOUT, RATE_BURST};
use super::message::{AgentMessage, PageMessage, VERSION};
use super::news::{Board, News};
use super::rate::RateLimit;
use super::state::Published;
use super::time::Moment;
use live::Live;
use opening::Opening;
use pulse::Pulse;
use window::{Verdict, Window};

/// Numbers the requests that a connection makes of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call(u32);

/// What the configuration says of the page's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What the origin may ask for.
    pub grants: Grants,
    /// What it must show to open a socket.
    pub proof: OpenProof,
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A text message arrived.
    Text(&'a str),
    /// A binary message arrived.
    Binary,
    /// A ping or pong frame arrived.
    Control,
    /// The state changed. Only the newest matters.
    Published(Arc<Published>),
    /// The client said something of its actions. Only the newest matters.
    News(Arc<Board>),
    /// [`Output::ReadChallenge`] is done.
    ChallengeRead(Call, Result<AcceptedChallenge, ChallengeRefusal>),
    /// [`Output::ReadTicket`] is done.
    TicketRead(Call, Option<Resumption>),
    /// [`Output::SignProof`] is done.
    ProofSigned(Call, Option<String>),
    /// A prompt for [`Output::AskConsent`] is open and shows these two digits.
    PromptOpened(Call, String),
    /// The prompt for [`Output::AskConsent`] is to be shown in the window of this bridge.
    AskInWindow(Call),
    /// [`Output::AskConsent`] is done.
    ConsentGiven(Call, Result<Consented, RefusalCode>),
    /// [`Output::SignToken`] is done; the consent comes back used up.
    TokenSigned(Call, Result<(String, SpentConsent), RefusalCode>),
    /// [`Output::InvokeAction`] is done.
    ActionDone(Call, Result<Value, RefusalCode>),
    /// The origin's grant was withdrawn.
    Withdrawn,
    /// The agent stops.
    Stopping,
    /// The time of [`Connection::deadline`] has come.
    Timeout,
}

/// Why a challenge did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeRefusal {
    /// It is not a challenge for this page and time, or was used.
    NotAccepted,
    /// The issuer, who would have to be asked, does not answer.
    IssuerAway,
}

/// What the driver is to do, in order.
#[derive(Debug, PartialEq)]
#[cfg_attr(test, derive(Clone))]
pub enum Output {
    /// Send a message.
    Send(AgentMessage),
    /// Send the state, encoded once for all pages.
    SendState(Arc<Published>),
    /// Send what the client last said of an action.
    SendNews(News),
    /// Seal a resume ticket and send `ready` with it: the socket is open from here on.
    Ready(Ready),
    /// Verify and accept a challenge.
    ReadChallenge(Call, String),
    /// Redeem a resume ticket.
    ReadTicket(Call, String),
    /// Sign a presence proof for this state.
    SignProof(Call, AcceptedChallenge, Arc<Published>),
    /// Get the person's consent for the account of this epoch; the mark is that of a page that the person opened.
    AskConsent(Call, Epoch, Option<PageMark>),
    /// Take the prompt away.
    WithdrawPrompt(Call),
    /// Show the prompt in the window of this bridge, under this number.
    ShowInWindow(Call, u64),
    /// Nobody waits for the answer to the prompt of this number any more.
    HideInWindow(u64),
    /// The person answered the prompt in the window.
    AnsweredInWindow(Call, WindowAnswer),
    /// Sign a login token.
    SignToken(Call, AcceptedChallenge, Consented),
    /// Have the client do something.
    InvokeAction(Call, String, Value),
    /// Close; nothing is said after it.
    Close(CloseCode),
}

/// What the person answered in the window of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowAnswer {
    /// Yes or no.
    pub allow: bool,
    /// Whether to ask no more for this origin.
    pub remember: bool,
}

/// The parts of `ready` that the machine decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// What the page may ask for on this socket.
    pub grants: Grants,
    /// How things stand.
    pub published: Arc<Published>,
    /// P.
    pub proof: Option<String>,
    /// Whether this socket continues the one before.
    pub resumed: bool,
    /// Whether a challenge stands behind this socket or behind the one that it resumes.
    pub challenged: bool,
}

/// What a resume ticket carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumption {
    /// The epoch when the ticket was sealed.
    pub epoch: Epoch,
    /// Whether a challenge stood behind the socket.
    pub challenged: bool,
}

/// One page's socket, from `hello` to its close.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Connection {
    terms: Terms,
    published: Arc<Published>,
    board: Arc<Board>,
    /// The number of the last news that went out, or never will.
    told: u64,
    state: State,
    /// Where the page speaks through a bridge: what is asked in its window.
    window: Option<Window>,
    messages: RateLimit,
    controls: RateLimit,
    calls: u32,
    outputs: VecDeque<Output>,
}

#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
enum State {
    ExpectOpen { nonce: Nonce, until: Moment },
    Opening { opening: Opening, until: Moment },
    Live(Box<Live>),
    Closed,
}

impl Connection {
    /// A socket whose upgrade was just answered. The first output is `hello` with the given fresh nonce.
    #[must_use]
    pub fn new(terms: Terms, published: Arc<Published>, nonce: Nonce, now: Moment) -> Self {
        Self {
            terms,
            published,
            board: Arc::default(),
            told: 0,
            state: State::ExpectOpen { nonce, until: now + OPEN_TIMEOUT },
            window: None,
            messages: RateLimit::new(MESSAGES_PER_SECOND, RATE_BURST),
            controls: RateLimit::new(CONTROLS_PER_SECOND, RATE_BURST),
            calls: 0,
            outputs: VecDeque::from([Output::Send(AgentMessage::Hello { v: VERSION, nonce })]),
        }
    }

    /// The socket of a bridge whose first frame was taken: its frames are those of [`BridgeMessage`], and the person can be
    /// asked in its window.
    #[must_use]
    pub fn bridged(terms: Terms, published: Arc<Published>, nonce: Nonce, now: Moment) -> Self {
        Self { window: Some(Window::default()), ..Self::new(terms, published, nonce, now) }
    }

    /// What is to be done next; nothing, until something happens.
    pub fn next_output(&mut self) -> Option<Output> {
        let next = self.outputs.pop_front();
        if next.is_none() {
            // A socket that waits keeps no room for what it once had to do.
            self.outputs = VecDeque::new();
        }
        next
    }

    /// All that is to be done, in order.
    #[cfg(test)]
    fn take_outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.next_output()).collect()
    }

    /// When [`Input::Timeout`] is due, where nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        match &self.state {
            State::ExpectOpen { until, .. } | State::Opening { until, .. } => Some(*until),
            State::Live(live) => Some(live.pulse.deadline()),
            State::Closed => None,
        }
    }

    /// Whether the socket is open in the protocol's sense: `ready` was said and it is not closed.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.state, State::Live(_))
    }

    /// Whether a newer state means one thing to this socket, that the page is sent it: then whoever publishes states may send
    /// it, and say so later, before anything else is handled.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        let State::Live(live) = &self.state else { return false };
        live.is_idle() && self.window.is_none() && self.outputs.is_empty() && self.told == self.board.number()
    }

    /// Whether [`Output::Close`] was said.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Takes in what happened at `now`.
    pub fn handle(&mut self, input: Input<'_>, now: Moment) {
        if self.is_closed() {
            return;
        }
        match input {
            Input::Text(text) => self.on_text(text, now),
            Input::Binary => self.close(CloseCode::Unsupported),
            Input::Control => {
                if !self.controls.admit(now) {
                    self.close(CloseCode::OverLimit);
                }
            }
            Input::Published(published) => self.on_published(published),
            Input::News(board) => {
                self.board = board;
                self.send_news();
            }
            Input::Withdrawn => self.close(CloseCode::Withdrawn),
            Input::Stopping => self.close(CloseCode::GoingAway),
            Input::Timeout => self.on_timeout(now),
            answer => self.on_answer(answer, now),
        }
    }

    fn on_text(&mut self, text: &str, now: Moment) {
        if !self.messages.admit(now) {
            return self.close(CloseCode::OverLimit);
        }
        let message = if self.window.is_none() {
            PageMessage::parse(text).ok()
        } else {
            match BridgeMessage::parse(text) {
                Ok(BridgeMessage::Relay { data }) => Some(data),
                Ok(BridgeMessage::ConsentAnswer { id, allow, remember }) => {
                    return self.on_window_answer(id, WindowAnswer { allow, remember }, now);
                }
                // A bridge says once whose it is.
                Ok(BridgeMessage::Bridge { .. }) | Err(_) => None,
            }
        };
        let Some(message) = message else { return self.close(CloseCode::Unexpected) };
        match (&mut self.state, message) {
            (State::ExpectOpen { nonce, until }, PageMessage::Open { nonce: echoed, challenge, resume, seq })
                if *nonce == echoed =>
            {
                let until = *until;
                self.on_open(challenge, resume, seq, until, now);
            }
            (State::Live(_), message) => self.on_request(message, now),
            _ => self.close(CloseCode::Unexpected),
        }
    }

    fn on_window_answer(&mut self, id: u64, answer: WindowAnswer, now: Moment) {
        match self.window.as_mut().map(|window| window.answer(id, now)) {
            Some(Verdict::Counts(call)) => self.outputs.push_back(Output::AnsweredInWindow(call, answer)),
            Some(Verdict::Late) => {}
            Some(Verdict::Unexpected) | None => self.close(CloseCode::Unexpected),
        }
    }

    fn on_published(&mut self, published: Arc<Published>) {
        // While the socket is opening the newest state is only noted: `ready` will carry it.
        let before = std::mem::replace(&mut self.published, published);
        if before.state.epoch != self.published.state.epoch {
            // What waits on the board was said of the person before.
            self.told = self.board.number();
        }
        if self.is_live() {
            self.outputs.push_back(Output::SendState(Arc::clone(&self.published)));
            self.reconsider_login();
            self.send_news();
        }
    }

    fn on_timeout(&mut self, now: Moment) {
        match &mut self.state {
            State::ExpectOpen { until, .. } | State::Opening { until, .. } if now >= *until => {
                self.close(CloseCode::TimedOut);
            }
            State::Live(live) => match live.pulse.tick(now) {
                pulse::Tick::Nothing => {}
                pulse::Tick::Ping => self.outputs.push_back(Output::Send(AgentMessage::Ping {})),
                pulse::Tick::Dead => self.close(CloseCode::TimedOut),
            },
            _ => {}
        }
    }

    fn on_answer(&mut self, answer: Input<'_>, now: Moment) {
        match &self.state {
            State::Opening { .. } => self.on_opening_answer(answer, now),
            State::Live(_) => self.on_live_answer(answer, now),
            State::ExpectOpen { .. } | State::Closed => {}
        }
    }

    fn next_call(&mut self) -> Call {
        self.calls += 1;
        Call(self.calls)
    }

    fn close(&mut self, code: CloseCode) {
        if let State::Live(live) = &self.state
            && let Some(call) = live.prompting()
        {
            self.outputs.push_back(Output::WithdrawPrompt(call));
        }
        self.state = State::Closed;
        self.outputs.push_back(Output::Close(code));
    }
}
