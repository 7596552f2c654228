//! Drives one page's socket: bytes and timers in, outputs out. Every decision is the machine's. A page behind a bridge is a
//! page like any other: only what is asked in the bridge's window comes in beside it.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tracing::Instrument as _;

use super::jobs::{Jobs, Note};
use super::wire::{Event, Wire};
use crate::agent::audience::{Place, Ring, Rung};
use crate::agent::client::action::Invocation;
use crate::agent::core::{Core, Stop};
use crate::agent::door::census;
use crate::agent::door::peer::{Line, PeerFault};
use crate::agent::issuer::hub::Hub;
use crate::agent::person::consent::{Asker, Asking};
use crate::agent::person::window::Window;
use crate::agent::settings::OriginSettings;
use crate::protocol::code::{CloseCode, RefusalCode};
use crate::protocol::connection::{Call, Connection, Input, Output, Ready, Resumption, Terms};
use crate::protocol::grant::Grant;
use crate::protocol::id::Seq;
use crate::protocol::message::AgentMessage;
use crate::protocol::news::Board;
use crate::protocol::peer::OwnUser;
use crate::protocol::state::PresenceState;
use crate::protocol::time::Moment;

/// Everything that one socket needs besides its stream.
pub(in crate::agent) struct Page {
    pub(in crate::agent) core: Arc<Core>,
    pub(in crate::agent) hub: Arc<Hub>,
    pub(in crate::agent) origin: Arc<OriginSettings>,
    /// The peer as it was when the connection was admitted, and how to look again.
    pub(in crate::agent) peer: OwnUser,
    pub(in crate::agent) line: Line,
    /// The place among those that are not open yet; given back at `ready`.
    pub(in crate::agent) opening: Option<census::Opening>,
    pub(in crate::agent) socket: census::Socket,
    /// When the upgrade was answered.
    pub(in crate::agent) since: Moment,
    /// Whether the page speaks through a bridge.
    pub(in crate::agent) bridged: bool,
}

/// How a socket ends.
enum End {
    /// The agent closes it.
    Closed(CloseCode),
    /// The page closed it.
    Goodbye(Option<u16>),
    /// Nobody is there any more.
    Gone,
}

/// What a socket waits for.
enum Happened {
    Rung(Rung),
    Noted(Note),
    Due,
    Said(Event),
}

/// One open socket.
pub(in crate::agent) struct Driver<S> {
    wire: Wire<S>,
    page: Page,
    machine: Connection,
    jobs: Jobs,
    /// When it woke up last. Nothing that is done then waits for anything.
    woke: Moment,
    /// The newest state and news that the machine was told.
    seen: (Seq, Arc<Board>),
    /// The ticket for `ready`, made while the page reads `hello`, and what it says.
    ticket: Option<(Resumption, String)>,
    _place: Place,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Driver<S> {
    /// A socket whose upgrade is answered with what is said first. It has a place in the audience from here on.
    pub(in crate::agent) fn new(wire: Wire<S>, page: Page, stop: &watch::Receiver<Stop>) -> Box<Self> {
        let _place = page.hub.audience.join(&page.origin, Arc::clone(wire.outlet()) as _);
        let terms = Terms { grants: page.origin.grants.clone(), proof: page.origin.proof };
        let nonce = page.core.nonce();
        let make = if page.bridged { Connection::bridged } else { Connection::new };
        let published = page.hub.published();
        let seen = (published.seq, Arc::default());
        let woke = page.since;
        let machine = make(terms, published, nonce, woke);
        let mut driver =
            Box::new(Self { wire, page, machine, jobs: Jobs::default(), woke, seen, ticket: None, _place });
        // What happened before it could hear of it.
        if *stop.borrow() == Stop::Drain {
            driver.handle(Input::Stopping);
        } else if driver.page.core.page_of(&driver.page.origin.origin).is_err() {
            driver.handle(Input::Withdrawn);
        }
        driver
    }

    /// Speaks with the page until either side ends it.
    pub(in crate::agent) async fn drive(mut self: Box<Self>) {
        let span = tracing::info_span!("socket", origin = %self.page.origin.origin, bridged = self.page.bridged);
        let end = self.run().instrument(span.clone()).await;
        // What a goodbye needs, an open socket does not carry along.
        let goodbye: BoxFuture<'static, ()> = match end {
            End::Closed(code) => Box::pin(self.into_wire().close(code)),
            End::Goodbye(code) => Box::pin(self.into_wire().answer_goodbye(code)),
            End::Gone => return,
        };
        goodbye.instrument(span).await;
    }

    /// Gives everything back but the stream.
    fn into_wire(self: Box<Self>) -> Wire<S> {
        let Self { wire, .. } = *self;
        wire
    }

    async fn run(&mut self) -> End {
        self.catch_up();
        let (mut is_open, mut is_behind) = (false, false);
        loop {
            if let Some(code) = self.perform() {
                tracing::debug!(code = code.number(), "closing the socket");
                return End::Closed(code);
            }
            if std::mem::take(&mut is_behind) && !self.wire.outlet().has_unsent() {
                // The page has just read what it had left: now for the newest.
                self.catch_up();
                continue;
            }
            if !is_open && self.machine.is_live() {
                is_open = true;
                // All that the page does not wait for.
                self.wire.wait_from_here_on();
                self.page.socket.opened();
                self.page.opening = None;
                self.ticket = None;
            } else if !is_open && self.ticket.is_none() {
                // `hello` is on its way: nearly every page comes with a challenge, of the person who is here now.
                let resumption = Resumption { epoch: self.page.hub.published().state.epoch, challenged: true };
                self.ticket = Some((resumption, self.seal(resumption)));
            }
            self.jobs.settle();
            self.wire.outlet().rest(self.machine.is_resting());
            let happened = self.wait().await;
            self.woke = self.page.core.clock.now();
            self.page.core.notice_sleep();
            if let Happened::Rung(rung) = happened {
                self.take_back(rung);
            }
            // While the page is behind, states wait in their one slot: it gets the newest, not a backlog.
            is_behind = !self.wire.outlet().rouse();
            if !is_behind {
                self.catch_up();
            }
            if let Some(end) = self.take(happened) {
                return end;
            }
        }
    }

    async fn wait(&mut self) -> Happened {
        let due = self.machine.deadline();
        let Self { wire, jobs, page, .. } = self;
        let outlet = Arc::clone(wire.outlet());
        tokio::select! {
            // What the agent knows comes before what the page says. That the person takes something back comes before
            // everything.
            biased;
            rung = std::future::poll_fn(|cx| outlet.bell.poll_rung(cx)) => Happened::Rung(rung),
            note = jobs.next() => Happened::Noted(note),
            () = page.core.timers.sleep_until(due.unwrap_or_default()), if due.is_some() => Happened::Due,
            event = wire.event() => Happened::Said(event),
        }
    }

    /// That something is taken back comes before everything else, what was published meanwhile included.
    fn take_back(&mut self, rung: Rung) {
        if rung.has(Ring::Stopping) {
            self.handle(Input::Stopping);
        }
        if rung.has(Ring::Withdrawn) {
            self.handle(Input::Withdrawn);
        }
    }

    /// Hands on what happened; the end, where it is one.
    fn take(&mut self, happened: Happened) -> Option<End> {
        match happened {
            Happened::Rung(rung) => {
                if rung.has(Ring::LookAgain)
                    && !self.machine.is_closed()
                    && let Err(fault) = self.look_again()
                {
                    tracing::warn!(%fault, "cutting a socket: the peer is not the one that was admitted");
                    return Some(End::Gone);
                }
            }
            Happened::Noted(Note::Input(input)) => self.handle(input),
            Happened::Noted(Note::Ask(call, question)) => {
                self.jobs.window().take(question);
                self.handle(Input::AskInWindow(call));
            }
            Happened::Due => self.handle(Input::Timeout),
            Happened::Said(Event::Text(text)) => self.handle(Input::Text(text.as_str())),
            Happened::Said(Event::Binary) => self.handle(Input::Binary),
            Happened::Said(Event::Control) => self.handle(Input::Control),
            Happened::Said(Event::Sent) => {}
            Happened::Said(Event::Goodbye(code)) => return Some(End::Goodbye(code)),
            Happened::Said(Event::Gone) => return Some(End::Gone),
            Happened::Said(Event::Broken(code)) => return Some(End::Closed(code)),
        }
        None
    }

    /// Tells the machine what was published since it was told last; the page may have been told of a state already.
    fn catch_up(&mut self) {
        // Of one moment, whoever publishes on another thread.
        let (published, board) = loop {
            let (published, board) = (self.page.hub.published(), self.page.core.actions.board());
            if self.page.hub.published().seq == published.seq {
                break (published, board);
            }
        };
        if published.seq != self.seen.0 {
            self.seen.0 = published.seq;
            self.handle(Input::Published(published));
        }
        if !Arc::ptr_eq(&board, &self.seen.1) {
            self.seen.1 = Arc::clone(&board);
            self.handle(Input::News(board));
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.woke);
    }

    /// Does what the machine says; returns the code where it says to close.
    fn perform(&mut self) -> Option<CloseCode> {
        while let Some(output) = self.machine.next_output() {
            match self.perform_one(output) {
                Ok(None) => {}
                // Nothing had to be waited for. What has happened meanwhile, which rings, comes first.
                Ok(Some(input)) if !self.wire.outlet().bell.is_rung() => self.handle(input),
                Ok(Some(input)) => drop(self.jobs.begin(Box::pin(std::future::ready(input)))),
                Err(code) => return Some(code),
            }
        }
        self.wire.flush();
        None
    }

    /// Does one thing; gives what came of it, where that is known at once.
    fn perform_one(&mut self, output: Output) -> Result<Option<Input<'static>>, CloseCode> {
        match output {
            Output::Send(message) => {
                tracing::debug!(?message, "to the page");
                if let AgentMessage::Refused { code, .. } = &message {
                    self.page.core.audit.refused(&self.page.origin.origin, code.word());
                }
                self.wire.send(&message.encode())?;
            }
            Output::SendState(published) => self.wire.send_state(&published)?,
            Output::SendNews(news) => self.wire.send_frame(&news.frame)?,
            Output::Ready(ready) => {
                self.wire.outlet().told(ready.published.seq);
                let ready = self.ready(ready).encode();
                self.wire.send(&ready)?;
            }
            Output::Close(code) => {
                if code == CloseCode::NotAccepted {
                    self.page.core.audit.refused(&self.page.origin.origin, "not_accepted");
                }
                return Err(code);
            }
            Output::ReadTicket(call, ticket) => {
                let Page { core, hub, origin, .. } = &self.page;
                let read = core.tickets.redeem(&ticket, &origin.origin, hub.issuer(), self.woke);
                return Ok(Some(Input::TicketRead(call, read)));
            }
            Output::ReadChallenge(call, challenge) => {
                let (core, hub) = (Arc::clone(&self.page.core), Arc::clone(&self.page.hub));
                let origin = self.page.origin.origin.clone();
                let read = self.jobs.try_at_once(async move {
                    let read = hub.client.accept(&challenge, &origin).await;
                    if let Err(error) = &read {
                        core.troubles.challenge(error, &origin, core.clock.wall());
                        tracing::warn!(%error, "a challenge was not accepted");
                    }
                    Input::ChallengeRead(call, read.map_err(|error| error.verdict()))
                });
                return Ok(read);
            }
            Output::SignProof(call, challenge, published) => {
                let proof = self.page.hub.sign_proof(&challenge, &published);
                if let Err(error) = &proof {
                    tracing::warn!(%error, "no presence proof");
                }
                return Ok(Some(Input::ProofSigned(call, proof.ok())));
            }
            Output::AskConsent(call, epoch, mark) => {
                let (core, hub) = (Arc::clone(&self.page.core), Arc::clone(&self.page.hub));
                let notes = self.jobs.notes();
                let asking = Asking {
                    origin: self.page.origin.origin.clone(),
                    mode: self.page.origin.consent,
                    epoch,
                    mark,
                    browser: Box::pin(self.page.line.clone().browser()),
                    window: self.page.bridged.then(|| self.asker(call)),
                };
                self.jobs.begin_prompt(call, async move {
                    let opened = move |code| {
                        drop(notes.unbounded_send(Note::Input(Input::PromptOpened(call, code))));
                    };
                    Input::ConsentGiven(call, core.consents.obtain(&hub, asking, opened).await)
                });
            }
            Output::WithdrawPrompt(call) => {
                self.jobs.withdraw(call);
            }
            Output::ShowInWindow(_, id) => {
                if let Some(frame) = self.jobs.window().show(id) {
                    self.wire.say(&frame)?;
                }
            }
            Output::HideInWindow(id) => self.wire.say(&self.jobs.window().hide(id))?,
            Output::AnsweredInWindow(_, answer) => {
                self.jobs.window().answered(answer);
            }
            Output::SignToken(call, challenge, consented) => {
                // Asked again right before the signature: the connection must still be the very one that was admitted.
                let token = match self.look_again() {
                    Ok(()) if self.is_shut() => Err(RefusalCode::Locked),
                    Ok(()) => self.page.hub.sign_token(&challenge, consented).map_err(|error| {
                        tracing::warn!(%error, "no login token");
                        crate::agent::person::consent::code_of(&error)
                    }),
                    Err(fault) => {
                        tracing::warn!(%fault, "no login token: the peer is not the one that was admitted");
                        Err(RefusalCode::Unavailable)
                    }
                };
                if token.is_ok() {
                    tracing::info!("login token issued");
                }
                self.jobs.forget_prompt(call);
                return Ok(Some(Input::TokenSigned(call, token)));
            }
            Output::InvokeAction(call, name, params) => {
                let (core, origin) = (Arc::clone(&self.page.core), self.page.origin.origin.clone());
                let current = self.page.hub.current_subject().filter(|_| !self.is_shut());
                self.jobs.begin(Box::pin(async move {
                    let Some(account) = current else {
                        return Input::ActionDone(call, Err(RefusalCode::Denied));
                    };
                    let invocation = Invocation { origin, account, name, params };
                    Input::ActionDone(call, core.actions.invoke(invocation, &core.audit).await)
                }));
            }
        }
        Ok(None)
    }

    /// Whether pages get nothing now. The machine of a page that does not read may not have heard of it yet.
    fn is_shut(&self) -> bool {
        matches!(self.page.hub.published().state.presence, PresenceState::Locked | PresenceState::SignedOut)
    }

    /// Asks in the window of this bridge, for one call.
    fn asker(&mut self, call: Call) -> Arc<dyn Asker> {
        let notes = self.jobs.notes();
        let show = move |question| drop(notes.unbounded_send(Note::Ask(call, question)));
        Arc::new(Window::new(Arc::clone(&self.page.core.clock), show))
    }

    /// Whether the connection is still the very one that was admitted.
    fn look_again(&self) -> Result<(), PeerFault> {
        let again = self.page.line.look_up()?;
        Ok(self.page.peer.require_same(again)?)
    }

    fn seal(&self, resumption: Resumption) -> String {
        let Page { core, hub, origin, .. } = &self.page;
        core.tickets.seal(resumption, &origin.origin, hub.issuer(), self.woke)
    }

    fn ready(&mut self, ready: Ready) -> AgentMessage {
        let state = ready.published.state;
        let resumption = Resumption { epoch: state.epoch, challenged: ready.challenged };
        let made = self.ticket.take().filter(|(says, _)| *says == resumption);
        let resume = made.map_or_else(|| self.seal(resumption), |(_, ticket)| ticket);
        let Page { core, origin, .. } = &self.page;
        tracing::debug!(resumed = ready.resumed, proof = ready.proof.is_some(), "socket open");
        // At first contact the page may be one that the person opened from the client.
        let passes = &core.consents.passes;
        let opened = ready.proof.is_some() && ready.grants.has(&Grant::Login);
        let opened = opened.then(|| passes.shown(&origin.origin, state.epoch, self.woke)).flatten();
        AgentMessage::Ready {
            seq: ready.published.seq,
            grants: ready.grants,
            state,
            proof: ready.proof,
            resume,
            resumed: ready.resumed,
            opened,
        }
    }
}
