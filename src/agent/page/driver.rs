//! Drives one page's socket: bytes and timers in, outputs out. Every decision is the machine's.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{broadcast, mpsc, watch};

use super::wire::{Event, Wire};
use crate::agent::client::action::Invocation;
use crate::agent::core::{Core, Stop};
use crate::agent::door::census;
use crate::agent::door::peer::{Line, PeerFault};
use crate::agent::issuer::hub::Hub;
use crate::agent::person::consent::Asking;
use crate::agent::settings::OriginSettings;
use crate::crypto;
use crate::protocol::code::{CloseCode, RefusalCode};
use crate::protocol::connection::{Call, Connection, Input, Output, Ready, Resumption, Terms};
use crate::protocol::grant::Grant;
use crate::protocol::id::Nonce;
use crate::protocol::message::AgentMessage;
use crate::protocol::origin::Origin;
use crate::protocol::peer::OwnUser;
use crate::protocol::time::Moment;

/// Everything that one socket needs besides its stream.
pub(in crate::agent) struct Page {
    pub(in crate::agent) core: Arc<Core>,
    pub(in crate::agent) hub: Arc<Hub>,
    pub(in crate::agent) origin: OriginSettings,
    /// The peer as it was when the connection was admitted, and how to look again.
    pub(in crate::agent) peer: OwnUser,
    pub(in crate::agent) line: Line,
    /// The place among those that are not open yet; given back at `ready`.
    pub(in crate::agent) opening: Option<census::Opening>,
    pub(in crate::agent) socket: census::Socket,
}

/// Speaks with one page until either side ends it.
pub(in crate::agent) async fn drive<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    page: Page,
    mut revoked: broadcast::Receiver<Origin>,
    mut stop: watch::Receiver<Stop>,
) {
    let mut wire = Wire::new(stream).await;
    let mut driver = Driver::new(page);
    let mut states = driver.page.hub.subscribe();
    let mut boards = driver.page.core.actions.board();
    boards.mark_changed();
    let mut lookings = driver.page.core.lookings();
    let (notes, mut noted) = mpsc::unbounded_channel();
    let end = loop {
        if let Some(code) = driver.perform(&mut wire, &notes) {
            break End::Closed(code);
        }
        let clock = &driver.page.core.clock;
        let due = driver.machine.deadline().map(|at| at.since(clock.now()));
        tokio::select! {
            // What the agent knows comes before what the page says, and that a prompt is open before its answer. That the
            // person takes something back comes before everything.
            biased;
            () = Stop::wait(&mut stop) => driver.handle(Input::Stopping),
            // Whoever missed a withdrawal may have missed its own.
            origin = revoked.recv() => if origin.is_err() || origin.is_ok_and(|o| o == driver.page.origin.origin) {
                driver.handle(Input::Withdrawn);
            },
            // While the page is behind, states wait in their one slot: it gets the newest, not a backlog.
            Ok(()) = states.changed(), if !wire.has_unsent() => {
                let published = Arc::clone(&states.borrow_and_update());
                driver.handle(Input::Published(published));
            }
            Ok(()) = boards.changed(), if !wire.has_unsent() => {
                let board = Arc::clone(&boards.borrow_and_update());
                driver.handle(Input::News(board));
            }
            Some(note) = noted.recv() => driver.handle(note),
            Some(done) = driver.work.next() => if let Ok(input) = done {
                // One turn may have both opened a prompt and had it answered.
                while let Ok(note) = noted.try_recv() {
                    driver.handle(note);
                }
                driver.handle(input);
            },
            () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => driver.handle(Input::Timeout),
            Ok(()) = lookings.changed() => if let Err(fault) = driver.look_again() {
                tracing::warn!(%fault, "cutting a socket: the peer is not the one that was admitted");
                break End::Gone;
            },
            event = wire.event() => match event {
                Event::Text(text) => driver.handle(Input::Text(text.as_str())),
                Event::Binary => driver.handle(Input::Binary),
                Event::Control => driver.handle(Input::Control),
                Event::Sent => {}
                Event::Goodbye(code) => break End::Goodbye(code),
                Event::Gone => break End::Gone,
                Event::Broken(code) => break End::Closed(code),
            },
        }
    };
    drop(driver);
    match end {
        End::Closed(code) => {
            tracing::debug!(code = code.number(), "closing the socket");
            wire.close(code).await;
        }
        End::Goodbye(code) => wire.answer_goodbye(code).await,
        End::Gone => {}
    }
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

type Work = Abortable<BoxFuture<'static, Input<'static>>>;

struct Driver {
    page: Page,
    machine: Connection,
    work: FuturesUnordered<Work>,
    /// How to take an open prompt away again.
    prompts: HashMap<Call, AbortHandle>,
}

impl Driver {
    fn new(page: Page) -> Self {
        let terms = Terms { grants: page.origin.grants.clone(), proof: page.origin.proof };
        let nonce = Nonce::from_bytes(crypto::random());
        let machine = Connection::new(terms, page.hub.published(), nonce, page.core.clock.now());
        Self { page, machine, work: FuturesUnordered::new(), prompts: HashMap::new() }
    }

    fn now(&self) -> Moment {
        self.page.core.clock.now()
    }

    fn handle(&mut self, input: Input<'_>) {
        self.page.core.notice_sleep();
        let now = self.now();
        self.machine.handle(input, now);
    }

    /// Does what the machine says; returns the code where it says to close.
    fn perform<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        wire: &mut Wire<S>,
        notes: &mpsc::UnboundedSender<Input<'static>>,
    ) -> Option<CloseCode> {
        for output in self.machine.take_outputs() {
            let sent = match output {
                Output::Send(message) => {
                    tracing::debug!(?message, "to the page");
                    if let AgentMessage::Refused { code, .. } = &message {
                        self.page.core.audit.refused(&self.page.origin.origin, code.word());
                    }
                    wire.send(&message.encode())
                }
                Output::SendState(published) => wire.send(&published.frame),
                Output::SendNews(news) => wire.send(&news.frame),
                Output::Ready(ready) => wire.send(&self.ready(ready).encode()),
                Output::Close(code) => {
                    if code == CloseCode::NotAccepted {
                        self.page.core.audit.refused(&self.page.origin.origin, "not_accepted");
                    }
                    Err(code)
                }
                Output::ReadTicket(call, ticket) => {
                    let Page { core, hub, origin, .. } = &self.page;
                    let read = core.tickets.redeem(&ticket, &origin.origin, hub.issuer(), self.now());
                    self.work(async move { Input::TicketRead(call, read) });
                    Ok(())
                }
                Output::ReadChallenge(call, challenge) => {
                    let (core, hub) = (Arc::clone(&self.page.core), Arc::clone(&self.page.hub));
                    let origin = self.page.origin.origin.clone();
                    self.work(async move {
                        let read = hub.client.accept(&challenge, &origin).await;
                        if let Err(error) = &read {
                            core.troubles.challenge(error, &origin, core.clock.wall());
                            tracing::warn!(%error, "a challenge was not accepted");
                        }
                        Input::ChallengeRead(call, read.map_err(|error| error.verdict()))
                    });
                    Ok(())
                }
                Output::SignProof(call, challenge, published) => {
                    let proof = self.page.hub.sign_proof(&challenge, &published);
                    if let Err(error) = &proof {
                        tracing::warn!(%error, "no presence proof");
                    }
                    self.work(async move { Input::ProofSigned(call, proof.ok()) });
                    Ok(())
                }
                Output::AskConsent(call, epoch, mark) => {
                    let (core, hub) = (Arc::clone(&self.page.core), Arc::clone(&self.page.hub));
                    let notes = notes.clone();
                    let asking = Asking {
                        origin: self.page.origin.origin.clone(),
                        mode: self.page.origin.consent,
                        epoch,
                        mark,
                        browser: Box::pin(self.page.line.clone().browser()),
                    };
                    let handle = self.work(async move {
                        let opened = move |code| drop(notes.send(Input::PromptOpened(call, code)));
                        Input::ConsentGiven(call, core.consents.obtain(&hub, asking, opened).await)
                    });
                    self.prompts.insert(call, handle);
                    Ok(())
                }
                Output::WithdrawPrompt(call) => {
                    if let Some(prompt) = self.prompts.remove(&call) {
                        prompt.abort();
                    }
                    Ok(())
                }
                Output::SignToken(call, challenge, consented) => {
                    // Asked again right before the signature: the connection must still be the very one that was admitted.
                    let token = match self.look_again() {
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
                    self.prompts.remove(&call);
                    self.work(async move { Input::TokenSigned(call, token) });
                    Ok(())
                }
                Output::InvokeAction(call, name, params) => {
                    let (core, origin) = (Arc::clone(&self.page.core), self.page.origin.origin.clone());
                    let current = self.page.hub.current().map(|account| account.subject);
                    self.work(async move {
                        let Some(account) = current else {
                            return Input::ActionDone(call, Err(RefusalCode::Denied));
                        };
                        let invocation = Invocation { origin, account, name, params };
                        Input::ActionDone(call, core.actions.invoke(invocation, &core.audit).await)
                    });
                    Ok(())
                }
            };
            if let Err(code) = sent {
                return Some(code);
            }
        }
        None
    }

    /// Whether the connection is still the very one that was admitted.
    fn look_again(&self) -> Result<(), PeerFault> {
        let again = self.page.line.look_up()?;
        Ok(self.page.peer.require_same(again)?)
    }

    fn ready(&mut self, ready: Ready) -> AgentMessage {
        let Page { core, hub, origin, socket, .. } = &self.page;
        let state = ready.published.state;
        let resumption = Resumption { epoch: state.epoch, challenged: ready.challenged };
        let resume = core.tickets.seal(resumption, &origin.origin, hub.issuer(), self.now());
        tracing::debug!(resumed = ready.resumed, proof = ready.proof.is_some(), "socket open");
        // At first contact the page may be one that the person opened from the client.
        let passes = &core.consents.passes;
        let opened = ready.proof.is_some() && ready.grants.has(&Grant::Login);
        let opened = opened.then(|| passes.shown(&origin.origin, state.epoch, self.now())).flatten();
        socket.opened();
        self.page.opening = None;
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

    fn work(&self, future: impl Future<Output = Input<'static>> + Send + 'static) -> AbortHandle {
        let (handle, registration) = AbortHandle::new_pair();
        self.work.push(Abortable::new(Box::pin(future), registration));
        handle
    }
}
