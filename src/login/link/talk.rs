//! One link from its first frame to its last.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::opening::{Fault, admit};
use super::upgrade::LinkSocket;
use crate::crypto::{self, KeyId};
use crate::login::answer::Refusal;
use crate::login::links::{Orders, Registered};
use crate::login::metrics::Counted;
use crate::login::serve::until_set;
use crate::login::sign_outs;
use crate::login::state::Shared;
use crate::protocol::code::CloseCode;
use crate::protocol::id::{Epoch, Nonce, Subject};
use crate::protocol::link::{Asked, OPENING_TIMEOUT, PING_INTERVAL, Profile, ServerLink, ToAgent};
use crate::store::{Account, Avatar, DeviceRecord, Hint};

/// How long a frame may take on its way out, and a goodbye to be answered.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

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
        Ok(live) => Box::pin(talk.live(live)).await,
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
    subject: Subject,
    registered: Registered,
    /// The agent's epoch, as far as it said.
    epoch: Epoch,
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
        let registered = self.server.links.register(&device.id, &device.account.subject);
        if link.epo > device.epoch && device.revoked_at.is_none() {
            let raised = self.server.store.raise_epoch(&device.id, link.epo).await;
            raised.map_err(|error| refuse(&error.into()))?;
        }
        let Some(device) = look_up(&self.server, device.key.id()).await? else { return Err(self.revoke().await) };
        if device.account.disabled {
            return Err(refuse(&Fault::Disabled));
        }
        let profile = profile_of(&device.account);
        let live = Live {
            _counted: Counted::new(&self.server.metrics.links),
            key: device.key.id(),
            subject: device.account.subject.clone(),
            registered,
            epoch: device.epoch.max(device.asked_epoch).max(link.epo),
            profile: digest(&profile),
        };
        self.send(&ToAgent::Ready { epoch: live.epoch, profile }).await?;
        tracing::info!(subject = live.subject.as_str(), "an agent is linked");
        Ok(live)
    }

    async fn live(&mut self, mut live: Live) -> Ended {
        let mut ping_at = Instant::now() + ping_interval();
        let mut is_alive = true;
        loop {
            let step = tokio::select! {
                frame = self.socket.next() => {
                    is_alive = true;
                    match self.take(frame) {
                        Ok(Some(asked)) => self.follow(asked, &mut live).await,
                        Ok(None) => Ok(()),
                        Err(ended) => Err(ended),
                    }
                }
                orders = live.registered.changed() => self.obey(orders, &mut live).await,
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
                Error::Protocol(_) => Err(CloseCode::ProtocolError),
                _ => return Err(Ended::Gone),
            },
        };
        asked.map_err(Ended::With)
    }

    async fn follow(&mut self, asked: Asked, live: &mut Live) -> Result<(), Ended> {
        match asked {
            // What it says of a time that is over counts no more.
            Asked::Presence(_, epoch) if epoch < live.epoch => Ok(()),
            Asked::Presence(presence, epoch) => {
                live.epoch = epoch;
                let hint = Hint::Presence { subject: live.subject.clone(), presence };
                self.server.store.hint(hint).await;
                Ok(())
            }
            Asked::SignOut(statement) => match sign_outs::take(&statement, &self.server).await {
                Ok(epoch) => self.send(&ToAgent::SignedOut { epoch }).await,
                Err(Refusal::Unavailable) => Err(Ended::With(CloseCode::TryLater)),
                // It is in the log; the agent calls for it, and is told there.
                Err(_) => Ok(()),
            },
            Asked::Open { .. } => Err(Ended::With(CloseCode::Unexpected)),
        }
    }

    async fn obey(&mut self, orders: Orders, live: &mut Live) -> Result<(), Ended> {
        if orders.replaced {
            return Err(Ended::With(CloseCode::OverLimit));
        }
        let Some(device) = look_up(&self.server, live.key).await? else { return Err(self.revoke().await) };
        if device.account.disabled {
            self.send(&ToAgent::SignOutRequest {}).await?;
            return Err(refuse(&Fault::Disabled));
        }
        // Asked for once: the agent goes to that epoch, and says so.
        if device.asked_epoch > live.epoch {
            live.epoch = device.asked_epoch;
            self.send(&ToAgent::SignOutRequest {}).await?;
        }
        let profile = profile_of(&device.account);
        if std::mem::replace(&mut live.profile, digest(&profile)) != digest(&profile) {
            self.send(&ToAgent::Profile { name: profile.name, avatar: profile.avatar }).await?;
        }
        Ok(())
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

/// The device as it stands now; nothing where it was revoked or erased.
async fn look_up(server: &Shared, key: KeyId) -> Result<Option<DeviceRecord>, Ended> {
    let device = server.store.device(key).await.map_err(|error| refuse(&error.into()))?;
    Ok(device.filter(|device| device.revoked_at.is_none()))
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
    let fraction = f64::from(u16::from_be_bytes(crypto::random())) / f64::from(u16::MAX);
    PING_INTERVAL.mul_f64(0.75 + fraction / 2.0)
}
