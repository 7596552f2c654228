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
        (self.requests, PageMessage::Login { id: self.requests, epoch, challenge, mark: None })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::grant::Grants;
    use crate::protocol::id::Nonce;
    use crate::protocol::state::PresenceState;
    use crate::protocol::time::UnixMillis;

    const NONCE: Nonce = Nonce::from_bytes([7; 32]);

    fn state(epoch: u64) -> State {
        State { presence: PresenceState::SignedIn, since: UnixMillis(1), epoch: Epoch(epoch) }
    }

    fn hello(v: u32) -> AgentMessage {
        AgentMessage::Hello { v, nonce: NONCE }
    }

    fn ready(seq: u64, epoch: u64) -> AgentMessage {
        let (grants, resume) = (Grants::default(), "ticket".to_owned());
        let (seq, state) = (Seq(seq), state(epoch));
        AgentMessage::Ready { seq, grants, state, proof: None, resume, resumed: false, opened: None }
    }

    fn tell(page: &mut Page, message: &AgentMessage) -> Result<Vec<Event>, AgentMisbehaved> {
        page.handle(&message.encode())
    }

    fn open_page(with: OpenWith) -> Page {
        let mut page = Page::new(with);
        tell(&mut page, &hello(VERSION)).expect("hello");
        tell(&mut page, &ready(17, 4)).expect("ready");
        page
    }

    #[test]
    fn a_page_opens_as_it_was_told_and_can_open_again() {
        let resume = OpenWith::Resume { ticket: "t".into(), seq: Seq(9) };
        for (with, challenge, ticket, seq) in [
            (OpenWith::Challenge("c".into()), Some("c"), None, None),
            (resume, None, Some("t"), Some(Seq(9))),
            (OpenWith::Nothing, None, None, None),
        ] {
            let mut page = Page::new(with);
            let (challenge, resume) = (challenge.map(str::to_owned), ticket.map(str::to_owned));
            let open = PageMessage::Open { nonce: NONCE, challenge, resume, seq };
            assert_eq!(tell(&mut page, &hello(VERSION)), Ok(vec![Event::Send(open)]));
            assert_eq!((page.state(), page.reopen()), (None, None));
            assert_eq!(tell(&mut page, &ready(17, 4)), Ok(vec![Event::Said(ready(17, 4))]));
            assert_eq!(page.state(), Some((Seq(17), state(4))));
            assert_eq!(page.reopen(), Some(OpenWith::Resume { ticket: "ticket".into(), seq: Seq(17) }));
        }
    }

    #[test]
    fn an_agent_that_speaks_out_of_order_or_another_version_is_left() {
        let mut page = Page::new(OpenWith::Nothing);
        assert_eq!(tell(&mut page, &hello(2)), Err(AgentMisbehaved::Version(2)));
        assert_eq!(tell(&mut page, &ready(1, 4)), Err(AgentMisbehaved::OutOfOrder));
        assert_eq!(tell(&mut page, &AgentMessage::Ping {}), Err(AgentMisbehaved::OutOfOrder));
        tell(&mut page, &hello(VERSION)).expect("hello");
        assert_eq!(tell(&mut page, &hello(VERSION)), Err(AgentMisbehaved::OutOfOrder));
        let mut page = open_page(OpenWith::Nothing);
        assert_eq!(tell(&mut page, &hello(VERSION)), Err(AgentMisbehaved::OutOfOrder));
        assert_eq!(tell(&mut page, &ready(18, 4)), Err(AgentMisbehaved::OutOfOrder));
    }

    #[test]
    fn an_open_page_follows_the_state_and_answers_pings() {
        let mut page = open_page(OpenWith::Nothing);
        let same = AgentMessage::State { seq: Seq(18), state: state(4) };
        assert_eq!(tell(&mut page, &same), Ok(vec![Event::Said(same.clone())]));
        let other = AgentMessage::State { seq: Seq(19), state: state(5) };
        assert_eq!(tell(&mut page, &other), Ok(vec![Event::PersonGone, Event::Said(other.clone())]));
        assert_eq!(page.state(), Some((Seq(19), state(5))));
        assert_eq!(tell(&mut page, &AgentMessage::Ping {}), Ok(vec![Event::Send(PageMessage::Pong {})]));
        let token = AgentMessage::Token { id: 1, token: "t".into() };
        assert_eq!(tell(&mut page, &token), Ok(vec![Event::Said(token.clone())]));
        assert_eq!(page.handle(r#"{"type":"from a later version"}"#), Ok(Vec::new()));
    }

    #[test]
    fn requests_are_numbered_and_name_the_person_of_the_last_state() {
        let mut page = open_page(OpenWith::Nothing);
        assert_eq!(page.prove("c".into()), (1, PageMessage::Prove { id: 1, challenge: "c".into() }));
        let login = |id| PageMessage::Login { id, epoch: Epoch(4), challenge: "d".into(), mark: None };
        assert_eq!(page.login("d".into()), (2, login(2)));
        assert_eq!(page.login("d".into()), (3, login(3)));
        assert_eq!(page.prove("c".into()).0, 4);
    }
}
