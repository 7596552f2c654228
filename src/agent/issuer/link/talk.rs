//! One link from its first frame to its last.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{Ended, LinkState, is_still, refused_once};
use crate::agent::core::Core;
use crate::agent::issuer::client::LinkSocket;
use crate::agent::issuer::hub::{Hub, HubError};
use crate::agent::issuer::record::{Account, PendingSignOut};
use crate::agent::status::AccountInfo;
use crate::protocol::code::CloseCode;
use crate::protocol::id::{Epoch, OrderId};
use crate::protocol::issuer::LinkUrl;
use crate::protocol::link::{
    AgentLink, Asking, Heard, OPENING_TIMEOUT, PRESENCE_INTERVAL, Profile, SILENCE_MAX, ToServer,
};
use crate::protocol::state::{PresenceState, Published};
use crate::protocol::statement::SignOut;
use crate::protocol::time::Moment;

/// How long a frame may take on its way out, and a goodbye to be answered.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// How far ahead of the agent's own epoch the login server's may be.
const EPOCH_LEAP: u64 = 1 << 32;

/// What pages of the account would be told last.
type Told = (PresenceState, Epoch);

struct Talk<'a> {
    socket: LinkSocket,
    endpoint: LinkUrl,
    machine: AgentLink,
    hub: &'a Hub,
    core: &'a Core,
    account: &'a Account,
    /// The presence that was sent last, and when the next may be.
    told: Option<Told>,
    next_presence: Moment,
    /// Sign-outs that were sent and are not answered yet.
    sent: Vec<PendingSignOut>,
    /// The order that the person is asked about, and what they said once they did.
    asking: Option<(OrderId, BoxFuture<'a, Option<String>>)>,
}

/// Speaks on a link until it ends; says how it ended.
pub(super) async fn talk(socket: LinkSocket, endpoint: LinkUrl, hub: &Hub, core: &Core, account: &Account) -> Ended {
    let (machine, told, sent, asking) = Default::default();
    let next_presence = core.clock.now();
    let mut talk = Talk { socket, endpoint, machine, hub, core, account, told, next_presence, sent, asking };
    let ended = talk.run().await;
    if hub.link_state() == LinkState::Up {
        hub.set_link_state(LinkState::Down);
    }
    // Whoever reads on hears it; nobody waits long for that.
    let _ = timeout(GOODBYE_TIMEOUT, talk.socket.close(None)).await;
    ended
}

impl Talk<'_> {
    async fn run(&mut self) -> Ended {
        let mut states = self.hub.subscribe();
        let mut changes = self.hub.changes();
        let (clock, timers) = (&self.core.clock, &self.core.timers);
        let mut deadline = clock.now() + OPENING_TIMEOUT;
        loop {
            let is_live = self.machine == AgentLink::Live;
            let (told, next_presence) = (self.told, self.next_presence);
            let presence_due = async {
                // In this order no change wakes anybody while nothing may be sent, at the price of one wake-up after each presence.
                timers.sleep_until(next_presence).await;
                untold(&mut states, told).await;
            };
            let step = tokio::select! {
                // In this order: after a switch nothing more is said over the link of the account before.
                biased;
                Ok(()) = changes.changed(), if is_live => self.look_again().await,
                () = timers.sleep_until(deadline) => Err(Ended::Lost),
                () = presence_due, if is_live => self.say_presence().await,
                answer = answered(&mut self.asking) => self.say_approval(answer).await,
                frame = self.socket.next() => {
                    if is_live {
                        deadline = clock.now() + SILENCE_MAX;
                    }
                    match frame {
                        Some(Ok(frame)) => self.take(frame).await,
                        _ => Err(Ended::Lost),
                    }
                }
            };
            match step {
                Ok(()) if !is_live && self.machine == AgentLink::Live => deadline = clock.now() + SILENCE_MAX,
                Ok(()) => {}
                Err(ended) => return ended,
            }
        }
    }

    async fn take(&mut self, frame: Message) -> Result<(), Ended> {
        match frame {
            Message::Text(text) => match self.machine.take(&text) {
                Ok(heard) => self.follow(heard).await,
                Err(code) => self.close(code).await,
            },
            Message::Binary(_) => self.close(CloseCode::Unsupported).await,
            Message::Close(frame) => Err(self.closed(frame.as_ref())),
            // The library answers pings by itself.
            _ => Ok(()),
        }
    }

    async fn follow(&mut self, heard: Heard) -> Result<(), Ended> {
        let subject = &self.account.subject;
        match heard {
            Heard::Hello(nonce) => {
                let proof = self.hub.sign_link(self.account, self.endpoint.clone(), nonce);
                let proof = proof.map_err(|error| failed(&error))?;
                self.send(&ToServer::Open { proof }).await
            }
            // Epochs are stepped through one by one: nobody came so far, and the numbers are not to be used up.
            Heard::Ready { epoch, .. } if epoch.0 > self.hub.published().state.epoch.0.saturating_add(EPOCH_LEAP) => {
                self.close(CloseCode::Unexpected).await
            }
            Heard::Ready { epoch, profile } => {
                // What was missed comes first: nothing is said of a person who is signed out already.
                self.changing(|hub| hub.take_epoch(epoch))?;
                self.take_profile(profile)?;
                self.hub.set_link_state(LinkState::Up);
                tracing::info!(issuer = %self.hub.issuer(), "linked to the login server");
                self.look_again().await
            }
            Heard::Profile(profile) => self.take_profile(profile),
            Heard::SignOutRequest => {
                tracing::info!(issuer = %self.hub.issuer(), account = %subject, "signed out by the login server");
                self.changing(|hub| hub.sign_out(subject).map(drop))
            }
            // The key is another by now: that one was not revoked.
            Heard::Revoked if !is_still(self.hub, self.account) => Err(Ended::Switched),
            Heard::Revoked => {
                tracing::warn!(
                    issuer = %self.hub.issuer(),
                    account = %subject,
                    "the login server has revoked this computer's device key: the account is removed"
                );
                let account = AccountInfo::of(self.hub, self.account.clone(), false).without_picture();
                self.changing(|hub| hub.remove_revoked(subject))?;
                self.core.account_revoked(account);
                Err(Ended::Switched)
            }
            Heard::SignedOut(epoch) => self.delivered(epoch),
            Heard::Approval(asking) => {
                self.ask(asking);
                Ok(())
            }
            Heard::ApprovalOver(order) => {
                // The prompt goes with it.
                self.asking = self.asking.take().filter(|(asked, _)| *asked != order);
                Ok(())
            }
            Heard::Nothing => Ok(()),
        }
    }

    /// Asks the person about an order of a page that is known here; of two orders the first.
    fn ask(&mut self, asking: Asking) {
        let known = self.core.page_of(&asking.origin).is_ok_and(|(_, hub)| hub.issuer() == self.hub.issuer());
        if !known || self.asking.is_some() {
            tracing::warn!(origin = %asking.origin, "not asked about another browser: another question is open, or the agent does not know that site");
            return;
        }
        let (order, hub, core, account) = (asking.order, self.hub, self.core, self.account);
        self.asking = Some((order, Box::pin(core.consents.approve(hub, account, asking))));
    }

    /// Says what the person decided; by a call, where the link breaks just then.
    async fn say_approval(&mut self, answer: Option<String>) -> Result<(), Ended> {
        self.asking = None;
        let Some(statement) = answer else { return Ok(()) };
        let sent = self.send(&ToServer::ApprovalResult { statement: statement.clone() }).await;
        if sent.is_err()
            && let Err(error) = self.hub.client.approve(&statement).await
        {
            tracing::warn!(%error, "the person's answer does not reach the login server");
        }
        sent
    }

    /// Does what may sign the person out, and tells the client where it did.
    fn changing(&self, change: impl FnOnce(&Hub) -> Result<(), HubError>) -> Result<(), Ended> {
        let before = self.hub.published().state;
        let changed = change(self.hub);
        self.core.after(self.hub, before.epoch);
        let was_there = before.presence != PresenceState::SignedOut && is_still(self.hub, self.account);
        if was_there && self.hub.published().state.presence == PresenceState::SignedOut {
            let account = AccountInfo::of(self.hub, self.account.clone(), false).without_picture();
            self.core.account_signed_out(account);
        }
        // Gone meanwhile is as good.
        match changed {
            Ok(()) | Err(HubError::NoSuchAccount) => Ok(()),
            Err(error) if error.is_done() => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    fn take_profile(&self, profile: Profile) -> Result<(), Ended> {
        self.changing(|hub| hub.take_profile(&self.account.subject, profile))
    }

    /// The issuer took a sign-out: it need not be sent again.
    fn delivered(&mut self, epoch: Epoch) -> Result<(), Ended> {
        let Some(at) = self.sent.iter().position(|sent| SignOut::epoch_of(&sent.statement) == Some(epoch)) else {
            return Ok(());
        };
        let sent = self.sent.swap_remove(at);
        tracing::info!(issuer = %self.hub.issuer(), "sign-out delivered over the link");
        self.changing(|hub| hub.delivered(&sent))
    }

    /// Something changed: whose link it is, or which sign-outs wait.
    async fn look_again(&mut self) -> Result<(), Ended> {
        if !is_still(self.hub, self.account) {
            return Err(Ended::Switched);
        }
        for pending in self.hub.pending_sign_outs() {
            if !self.sent.contains(&pending) {
                self.send(&ToServer::Signout { statement: pending.statement.clone() }).await?;
                self.sent.push(pending);
            }
        }
        Ok(())
    }

    async fn say_presence(&mut self) -> Result<(), Ended> {
        let Some(published) = self.hub.published_over(self.account) else { return Err(Ended::Switched) };
        let told = told_of(&published);
        self.told = Some(told);
        self.next_presence = self.core.clock.now() + PRESENCE_INTERVAL;
        self.send(&ToServer::Presence { presence: told.0, epoch: told.1 }).await
    }

    async fn send(&mut self, frame: &ToServer) -> Result<(), Ended> {
        match timeout(SEND_TIMEOUT, self.socket.send(Message::text(frame.encode()))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Ended::Lost),
        }
    }

    /// Closes for a fault of the other side, which will not be another the next time.
    async fn close(&mut self, code: CloseCode) -> Result<(), Ended> {
        let frame = CloseFrame { code: code.number().into(), reason: "".into() };
        let _ = timeout(GOODBYE_TIMEOUT, self.socket.close(Some(frame))).await;
        let fault = format!("{} does not speak as the link's other end ({})", self.hub.issuer(), code.number());
        refused_once(self.hub, LinkState::Refused(fault.clone()), &fault);
        Err(Ended::Refused)
    }

    /// The server closed.
    fn closed(&self, frame: Option<&CloseFrame>) -> Ended {
        match frame.map(|frame| u16::from(frame.code)) {
            Some(1001 | 1013) => Ended::Crowded,
            Some(4401) => {
                let fault =
                    format!("{} does not take this computer's device key, or its account, any more", self.hub.issuer());
                refused_once(self.hub, LinkState::NotAccepted, &fault);
                Ended::Refused
            }
            Some(code @ 4400..=4499) => {
                let why = match code {
                    4429 => "too much was sent, or another computer uses the same device key",
                    _ => "something was not as it should be",
                };
                let fault = format!("{} closes the link: {why} ({code})", self.hub.issuer());
                refused_once(self.hub, LinkState::Refused(fault.clone()), &fault);
                Ended::Refused
            }
            _ => Ended::Lost,
        }
    }
}

/// What cannot be done or written down here may go well the next time.
fn failed(error: &HubError) -> Ended {
    tracing::error!(%error, "the link has to begin anew");
    Ended::Lost
}

/// What the person said, once somebody asked them and they did.
async fn answered(asking: &mut Option<(OrderId, BoxFuture<'_, Option<String>>)>) -> Option<String> {
    match asking {
        Some((_, answer)) => answer.await,
        None => std::future::pending().await,
    }
}

fn told_of(published: &Published) -> Told {
    (published.state.presence, published.state.epoch)
}

/// Completes once there is a presence to tell that was not told yet.
async fn untold(states: &mut watch::Receiver<Arc<Published>>, told: Option<Told>) {
    if states.wait_for(|published| Some(told_of(published)) != told).await.is_err() {
        std::future::pending::<()>().await;
    }
}
