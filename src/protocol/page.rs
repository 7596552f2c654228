//! The page's machine for one socket, sans-IO: for clients in Rust, the tests and the benchmarks. Browsers have their own
//! in `web/`.

use super::id::{Epoch, Seq};
use super::message::{AgentMessage, PageMessage, VERSION};
use super::state::State;

/// How a page opens its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenWith {
    /// At first contact.
    Challenge(String),
    /// After a lost socket.
    Resume {
        /// The ticket of the last `ready`.
        ticket: String,
        /// The last state that the page saw.
        seq: Seq,
    },
    /// Where the origin alone will do.
    Nothing,
}

/// What the page learns.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Say this.
    Send(PageMessage),
    /// The agent said this. `ready` and `state` are noted already.
    Said(AgentMessage),
    /// Everything that the page knew of the person is over: the epoch is another one.
    PersonGone,
}

/// The agent broke the protocol; the page closes the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgentMisbehaved {
    /// Something else than `hello` came first, or `ready` twice.
    #[error("the agent spoke out of order")]
    OutOfOrder,
    /// Another version of the protocol.
    #[error("the agent speaks version {0} of the protocol")]
    Version(u32),
}

/// One socket from the page's side.
#[derive(Debug)]
pub struct Page {
    expects: Expects,
    last: Option<(Seq, State)>,
    resume: Option<String>,
    requests: u64,
}

#[derive(Debug)]
enum Expects {
    Hello(OpenWith),
    Ready,
    Anything,
}

impl Page {
    /// A socket that was just opened.
    #[must_use]
    pub const fn new(open: OpenWith) -> Self {
        Self { expects: Expects::Hello(open), last: None, resume: None, requests: 0 }
    }

    /// The last state, and its number.
    #[must_use]
    pub const fn state(&self) -> Option<(Seq, State)> {
        self.last
    }

    /// How to open the next socket after this one is lost.
    #[must_use]
    pub fn reopen(&self) -> Option<OpenWith> {
        let (seq, _) = self.last?;
        self.resume.clone().map(|ticket| OpenWith::Resume { ticket, seq })
    }

    /// Asks for a presence proof; returns the request's number.
    pub fn prove(&mut self, challenge: String) -> (u64, PageMessage) {
        self.requests += 1;
        (self.requests, PageMessage::Prove { id: self.requests, challenge })
    }

    /// Asks for a login token of the person of the last state; returns the request's number.
    pub fn login(&mut self, challenge: String) -> (u64, PageMessage) {
        self.requests += 1;
        let epoch = self.last.map_or(Epoch::default(), |(_, state)| state.epoch);
        (self.requests, PageMessage::Login { id: self.requests, epoch, challenge })
    }

    /// Takes in a text frame of the agent. Messages that this version does not know are passed over.
    ///
    /// # Errors
    /// [`AgentMisbehaved`] where no page should go on with such an agent.
    pub fn handle(&mut self, text: &str) -> Result<Vec<Event>, AgentMisbehaved> {
        let Ok(message) = AgentMessage::parse(text) else { return Ok(Vec::new()) };
        match (&self.expects, &message) {
            (Expects::Hello(_), AgentMessage::Hello { v, .. }) if *v != VERSION => Err(AgentMisbehaved::Version(*v)),
            (Expects::Hello(open), AgentMessage::Hello { nonce, .. }) => {
                let (challenge, resume, seq) = match open.clone() {
                    OpenWith::Challenge(challenge) => (Some(challenge), None, None),
                    OpenWith::Resume { ticket, seq } => (None, Some(ticket), Some(seq)),
                    OpenWith::Nothing => (None, None, None),
                };
                let open = PageMessage::Open { nonce: *nonce, challenge, resume, seq };
                self.expects = Expects::Ready;
                Ok(vec![Event::Send(open)])
            }
            (Expects::Ready, AgentMessage::Ready { seq, state, resume, .. }) => {
                self.expects = Expects::Anything;
                self.resume = Some(resume.clone());
                self.last = Some((*seq, *state));
                Ok(vec![Event::Said(message)])
            }
            (Expects::Anything, AgentMessage::State { seq, state }) => {
                let gone = self.last.is_some_and(|(_, last)| last.epoch != state.epoch);
                self.last = Some((*seq, *state));
                let mut events = if gone { vec![Event::PersonGone] } else { Vec::new() };
                events.push(Event::Said(message));
                Ok(events)
            }
            (Expects::Anything, AgentMessage::Ping {}) => Ok(vec![Event::Send(PageMessage::Pong {})]),
            (Expects::Anything, AgentMessage::Hello { .. } | AgentMessage::Ready { .. })
            | (Expects::Hello(_) | Expects::Ready, _) => Err(AgentMisbehaved::OutOfOrder),
            (Expects::Anything, _) => Ok(vec![Event::Said(message)]),
        }
    }
}
