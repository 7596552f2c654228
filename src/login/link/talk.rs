//! One link from its first frame to its last.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::{SemaphorePermit, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::opening::{Fault, admit};
use super::upgrade::LinkSocket;
use crate::crypto::{self, KeyId};
use crate::login::answer::Refusal;
use crate::login::approval;
use crate::login::links::{Links, Orders, Registered};
use crate::login::metrics::Counted;
use crate::login::serve::until_set;
use crate::login::sign_outs;
use crate::login::state::Shared;
use crate::protocol::code::CloseCode;
use crate::protocol::id::{DeviceId, Epoch, Nonce, OrderId, Subject};
use crate::protocol::link::{Asked, OPENING_TIMEOUT, PING_INTERVAL, Profile, ServerLink, ToAgent};
use crate::protocol::order::ORDERS_PER_WINDOW;
use crate::protocol::rate::RateLimit;
use crate::protocol::statement::Link;
use crate::store::{Account, Avatar, DeviceRecord, Hint, NoteKey};

/// How long a frame may take on its way out, and a goodbye to be answered.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// Before a look that the store did not answer is taken again, half more or less.
const LOOK_PAUSE: Duration = Duration::from_secs(2);
/// Presences a second and at once: twice what an agent sends.
const PRESENCES_PER_SECOND: u32 = 10;
const PRESENCE_BURST: u32 = 20;

/// How a link ended.
#[derive(Debug)]
enum Ended {
    /// The connection is gone, or the agent said goodbye.
    Gone,
    /// This side closes.
    With(CloseCode),
}

/// Speaks on a link until it ends.
pub(super) async fn talk(socket: LinkSocket, server: Shared) {
    let closing = server.closing.subscribe();
    let (machine, hello) = ServerLink::new(Nonce::from_bytes(crypto::random()));
    let mut talk = Talk { socket, server, machine, closing };
    // Both boxed: what only the opening needs is not kept for as long as the link is open.
    let opened = Box::pin(talk.open(&hello)).await;
    let ended = match opened {
        Ok(mut live) => {
            let ended = Box::pin(talk.live(&mut live)).await;
            // What the agent said last would stand for ever. Not where this side closes: the agent is there, and comes back.
            if matches!(ended, Ended::Gone) && !live.registered.is_replaced() {
                talk.server.store.hint(Hint::Presence { device: live.device, presence: None }).await;
            }
            ended
        }
        Err(ended) => ended,
    };
    tracing::debug!(?ended, "a link ended");
    if let Ended::With(code) = ended {
        talk.close(code).await;
    }
}

struct Talk {
    socket: LinkSocket,
    server: Shared,
    machine: ServerLink,
    closing: watch::Receiver<bool>,
}

/// An open link: whose it is, and what its agent knows.
struct Live {
    _counted: Counted,
    key: KeyId,
    device: DeviceId,
    registered: Registered,
    /// When to look at the store, if there is something to look for.
    look_at: Option<Instant>,
    /// The agent's epoch, as far as it said.
    epoch: Epoch,
    /// The last epoch that the store asked for, and the agent was told of.
    asked: Epoch,
    presences: RateLimit,
    subject: Subject,
    /// How often it was to look at orders, and those that the agent was asked about last: as many as an account is at once.
    asks: Option<u32>,
    orders: Vec<OrderId>,
    /// A digest: pictures are long, and links are many.
    profile: [u8; 32],
}

impl Talk {
    /// Has the agent open the link: hello, L, and the answer to it.
    async fn open(&mut self, hello: &ToAgent) -> Result<Live, Ended> {
        let deadline = Instant::now() + OPENING_TIMEOUT;
        self.send(hello).await?;
        let asked = loop {
            tokio::select! {
                frame = self.socket.next() => if let Some(asked) = self.take(frame)? { break asked },
                () = sleep_until(deadline) => return Err(Ended::With(CloseCode::TimedOut)),
                () = until_set(&mut self.closing) => return Err(Ended::With(CloseCode::GoingAway)),
            }
        };
        let Asked::Open { proof, nonce } = asked else { return Err(Ended::With(CloseCode::Unexpected)) };
        let (link, device) = admit(&proof, nonce, &self.server).await.map_err(|fault| refuse(&fault))?;
        tracing::Span::current().record("device", device.id.as_str());
        // Looked up once more now that the link can be told to look: what came in between told nobody.
        let account = &device.account;
        let registered = self.server.links.register(&device.id, &account.subject, account.organisation.as_ref());
        let (asked, lowest) = (device.asked_epoch, lowest_for(&link, &device));
        if lowest > device.epoch && device.revoked_at.is_none() {
            raise(&self.server, &device, lowest).await?;
        }
        let looked = self.server.store.device(device.key.id()).await.map_err(|error| refuse(&error.into()))?;
        let device = self.standing(looked, &registered).await?;
        let (profile, epoch) = (profile_of(&device.account), device.epoch.max(lowest));
        registered.belongs_to(device.account.organisation.as_ref());
        if device.account.disabled {
            // Whoever is signed in there still is signed out by it.
            if epoch > link.epo {
                self.send(&ToAgent::Ready { epoch, profile }).await?;
            }
            return Err(refuse(&Fault::Disabled));
        }
        let mut live = Live {
            _counted: Counted::new(&self.server.metrics.links),
            key: device.key.id(),
            device: device.id,
            registered,
            // What was asked since is asked below.
            look_at: (device.asked_epoch > device.epoch).then(Instant::now),
            epoch,
            asked,
            presences: RateLimit::new(PRESENCES_PER_SECOND, PRESENCE_BURST),
            subject: device.account.subject.clone(),
            asks: None,
            orders: Vec::new(),
            profile: digest(&profile),
        };
        self.send(&ToAgent::Ready { epoch, profile }).await?;
        tracing::info!(subject = device.account.subject.as_str(), "an agent is linked");
        // Somebody may be waiting for this one.
        if let Some(note) = approval::newest(&self.server, &live.subject).await {
            self.ask(&note, &mut live).await?;
        }
        Ok(live)
    }

    async fn live(&mut self, live: &mut Live) -> Ended {
        let links = Arc::clone(&self.server.links);
        let mut ping_at = Instant::now() + ping_interval();
        let mut is_alive = true;
        loop {
            let step = tokio::select! {
                frame = self.socket.next() => {
                    is_alive = true;
                    match self.take(frame) {
                        Ok(Some(asked)) => self.follow(asked, live).await,
                        Ok(None) => Ok(()),
                        Err(ended) => Err(ended),
                    }
                }
                orders = live.registered.changed() => {
                    self.heed(orders, live).await
                }
                // Beside all else: a link whose turn does not come is spoken on.
                turn = look_due(&links, live.look_at) => self.look(live, turn).await,
                () = sleep_until(ping_at) => {
                    ping_at = Instant::now() + ping_interval();
                    let answered = std::mem::take(&mut is_alive);
                    if answered { self.say(Message::Ping(Bytes::new())).await } else { Err(Ended::With(CloseCode::TimedOut)) }
                }
                () = until_set(&mut self.closing) => Err(Ended::With(CloseCode::GoingAway)),
            };
            if let Err(ended) = step {
                return ended;
            }
        }
    }

    /// What a frame asks for, if for anything.
    fn take(&mut self, frame: Option<Result<Message, Error>>) -> Result<Option<Asked>, Ended> {
        let now = self.server.clock.now();
        let asked = match frame {
            Some(Ok(Message::Text(text))) => self.machine.take(&text, now).map(Some),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                self.machine.control(now).map(|()| None)
            }
            Some(Ok(Message::Binary(_))) => Err(CloseCode::Unsupported),
            Some(Ok(Message::Close(_))) | None => return Err(Ended::Gone),
            Some(Err(error)) => match error {
                Error::Capacity(_) => Err(CloseCode::TooBig),
                Error::Utf8(_) => Err(CloseCode::InvalidUtf8),
                Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return Err(Ended::Gone),
                Error::Protocol(_) => Err(CloseCode::ProtocolError),
                _ => return Err(Ended::Gone),
            },
        };
        asked.map_err(Ended::With)
    }

    async fn follow(&mut self, asked: Asked, live: &mut Live) -> Result<(), Ended> {
        match asked {
            Asked::Presence(..) if !live.presences.admit(self.server.clock.now()) => {
                Err(Ended::With(CloseCode::OverLimit))
            }
            // What it says of a time that is over counts no more.
            Asked::Presence(_, epoch) if epoch < live.epoch => Ok(()),
            Asked::Presence(presence, epoch) => {
                live.epoch = epoch;
                let hint = Hint::Presence { device: live.device.clone(), presence: Some(presence) };
                self.server.store.hint(hint).await;
                Ok(())
            }
            Asked::SignOut(statement) => match sign_outs::take(&statement, &self.server).await {
                Ok(epoch) => self.send(&ToAgent::SignedOut { epoch }).await,
                Err(Refusal::Unavailable) => Err(Ended::With(CloseCode::TryLater)),
                // It is in the log; the agent calls for it, and is told there.
                Err(_) => Ok(()),
            },
            Asked::Approval(statement) => match approval::take(&statement, &self.server).await {
                Err(Refusal::Unavailable) => Err(Ended::With(CloseCode::TryLater)),
                // Taken or not, the agent hears nothing more of it: why not is in the log.
                _ => Ok(()),
            },
            Asked::Open { .. } => Err(Ended::With(CloseCode::Unexpected)),
        }
    }

    /// Something happened that may concern this link.
    async fn heed(&mut self, orders: Orders, live: &mut Live) -> Result<(), Ended> {
        if orders.replaced {
            return Err(Ended::With(CloseCode::OverLimit));
        }
        match orders.asked {
            Some((number, note)) if live.asks != Some(number) => {
                live.asks = Some(number);
                self.ask(&note, live).await
            }
            _ => {
                live.look_at = Some(Instant::now());
                Ok(())
            }
        }
    }

    /// Has the person asked about an order, or tells the agent that it is over.
    async fn ask(&mut self, note: &NoteKey, live: &mut Live) -> Result<(), Ended> {
        // What the store does not answer is not asked: the order expires.
        match approval::question(&self.server, note, &live.subject).await.unwrap_or_default() {
            Some(Ok(asking)) if !live.orders.contains(&asking.order) => {
                if live.orders.len() >= ORDERS_PER_WINDOW {
                    live.orders.remove(0);
                }
                live.orders.push(asking.order);
                self.send(&ToAgent::Approval(asking)).await
            }
            Some(Err(order)) if live.orders.contains(&order) => {
                live.orders.retain(|asked| *asked != order);
                self.send(&ToAgent::ApprovalOver { order }).await
            }
            _ => Ok(()),
        }
    }

    /// Looks at the store, and tells the agent what is news to it.
    async fn look(&mut self, live: &mut Live, turn: SemaphorePermit<'_>) -> Result<(), Ended> {
        let looked = self.server.store.device(live.key).await;
        drop(turn);
        live.look_at = None;
        let looked = match looked {
            Ok(looked) => looked,
            Err(error) => {
                // Many links look at once: closed, they would all come back at once.
                tracing::debug!("a link looks again: {error}");
                live.look_at = Some(Instant::now() + about(LOOK_PAUSE, 0.5));
                return Ok(());
            }
        };
        let device = self.standing(looked, &live.registered).await?;
        live.registered.belongs_to(device.account.organisation.as_ref());
        if device.account.disabled {
            self.send(&ToAgent::SignOutRequest {}).await?;
            return Err(refuse(&Fault::Disabled));
        }
        // Asked for once: the agent goes above the epoch that it has, and says so.
        if device.asked_epoch > device.epoch && device.asked_epoch != live.asked {
            live.asked = device.asked_epoch;
            live.epoch = live.epoch.max(live.asked);
            self.send(&ToAgent::SignOutRequest {}).await?;
        }
        let profile = profile_of(&device.account);
        if std::mem::replace(&mut live.profile, digest(&profile)) != digest(&profile) {
            self.send(&ToAgent::Profile { name: profile.name, avatar: profile.avatar }).await?;
        }
        Ok(())
    }

    /// The device whose link it is, if it still is one. That it is not there is no proof that it was revoked: a store that
    /// came back empty must not have every agent throw away its key.
    async fn standing(&mut self, looked: Option<DeviceRecord>, registered: &Registered) -> Result<DeviceRecord, Ended> {
        match looked {
            Some(device) if device.revoked_at.is_none() => Ok(device),
            None if !registered.is_erased() => Err(refuse(&Fault::Absent)),
            _ => Err(self.revoke().await),
        }
    }

    async fn revoke(&mut self) -> Ended {
        tracing::info!("told an agent that its device is revoked");
        let _ = self.send(&ToAgent::Revoked {}).await;
        Ended::With(CloseCode::NotAccepted)
    }

    async fn send(&mut self, frame: &ToAgent) -> Result<(), Ended> {
        self.say(Message::text(frame.encode())).await
    }

    async fn say(&mut self, message: Message) -> Result<(), Ended> {
        match timeout(SEND_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Ended::Gone),
        }
    }

    async fn close(&mut self, code: CloseCode) {
        let frame = CloseFrame { code: code.number().into(), reason: "".into() };
        let goodbye = async {
            if self.socket.close(Some(frame)).await.is_ok() {
                while self.socket.next().await.is_some_and(|message| message.is_ok()) {}
            }
        };
        let _ = timeout(GOODBYE_TIMEOUT, goodbye).await;
    }
}

/// Stores an epoch that is higher; counted like the sign-out that it is.
async fn raise(server: &Shared, device: &DeviceRecord, epoch: Epoch) -> Result<(), Ended> {
    let counted = server.limiter.sound_sign_out(device.key.id(), server.clock.now());
    counted.map_err(|_| Ended::With(CloseCode::OverLimit))?;
    server.store.raise_epoch(&device.id, epoch).await.map(drop).map_err(|error| refuse(&error.into()))
}

/// The lowest epoch that an agent may go on with: above its own, where it was asked to sign out and did not.
fn lowest_for(link: &Link, device: &DeviceRecord) -> Epoch {
    // It may be ahead of what it was asked to go to, by sign-outs of before that nobody here heard of.
    if device.asked_epoch > device.epoch { device.asked_epoch.max(link.epo.next()) } else { link.epo }
}

/// Completes once it is time to look at the store, and this link's turn.
async fn look_due(links: &Links, look_at: Option<Instant>) -> SemaphorePermit<'_> {
    match look_at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
    links.turn().await
}

fn profile_of(account: &Account) -> Profile {
    let avatar = account.profile.avatar.as_ref().map(|avatar: &Avatar| avatar.as_str().to_owned());
    Profile { name: account.profile.name.as_str().to_owned(), avatar }
}

fn digest(profile: &Profile) -> [u8; 32] {
    let avatar = profile.avatar.as_deref().unwrap_or_default();
    // No name ends with a zero byte that is not there.
    crypto::sha256(&[profile.name.as_bytes(), &[0], avatar.as_bytes()])
}

/// Says in the log why a link is not opened, or not kept; the agent learns which of two it is.
fn refuse(fault: &Fault) -> Ended {
    if let Fault::Store(error) = fault {
        tracing::error!("{error}");
        return Ended::With(CloseCode::TryLater);
    }
    tracing::warn!("refused a link: {fault}");
    Ended::With(CloseCode::NotAccepted)
}

/// [`PING_INTERVAL`], a quarter more or less.
fn ping_interval() -> Duration {
    about(PING_INTERVAL, 0.25)
}

/// A duration, some part of it more or less.
fn about(duration: Duration, part: f64) -> Duration {
    let fraction = f64::from(u16::from_be_bytes(crypto::random())) / f64::from(u16::MAX);
    duration.mul_f64(1.0 - part + fraction * 2.0 * part)
}
