//! The desktop as systemd-logind tells it on the system bus (org.freedesktop.login1(5)): the session's lock and idleness,
//! and the computer's sleep. GNOME, KDE Plasma and lockers such as light-locker keep `LockedHint` and `IdleHint` up to date.
//!
//! The bus knows who owns `org.freedesktop.login1`, and the proxies take signals from that one only.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::mpsc;
use zbus::OwnedObjectPath;
use zbus::connection::Builder;

use super::rule::Event;

/// The first and the longest pause before the bus is tried again.
const RETRY: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
/// How long logind may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The session of the caller, or the one at the display where the caller, a user's service, is in none (systemd 243).
const OWN_SESSION: &str = "auto";

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Manager {
    fn get_session(&self, session_id: &str) -> zbus::Result<OwnedObjectPath>;
    #[zbus(signal)]
    fn prepare_for_sleep(&self, start: bool) -> zbus::Result<()>;
    #[zbus(signal)]
    fn session_new(&self, session_id: String, path: OwnedObjectPath) -> zbus::Result<()>;
    #[zbus(signal)]
    fn session_removed(&self, session_id: String, path: OwnedObjectPath) -> zbus::Result<()>;
}

#[zbus::proxy(interface = "org.freedesktop.login1.Session", default_service = "org.freedesktop.login1")]
trait Session {
    #[zbus(signal)]
    fn lock(&self) -> zbus::Result<()>;
    #[zbus(signal)]
    fn unlock(&self) -> zbus::Result<()>;
    #[zbus(property)]
    fn locked_hint(&self) -> zbus::Result<bool>;
    #[zbus(property)]
    fn idle_hint(&self) -> zbus::Result<bool>;
}

/// Why logind is not followed any more.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the system bus or logind does not answer ({0})")]
    Bus(#[from] zbus::Error),
    #[error("the system bus has closed the connection")]
    Closed,
    #[error("logind has ended or was started again")]
    Restarted,
    #[error("the agent stops")]
    Unheard,
}

/// Tells what happens to the person's session, and begins anew whenever the bus or logind goes away.
pub(super) async fn follow(events: mpsc::Sender<Event>) {
    let mut pause = *RETRY.start();
    let mut is_known = false;
    loop {
        let mut logind = Logind { events: &events, is_heard: false };
        let Err(lost) = logind.follow().await;
        if logind.is_heard {
            (pause, is_known) = (*RETRY.start(), false);
        }
        if is_known {
            tracing::debug!(%lost, "the desktop still does not tell");
        } else {
            tracing::warn!(%lost, "the desktop does not tell its presence; the agent goes by what is said to it, and a lock stays");
            is_known = true;
        }
        if events.send(Event::Silent).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(*RETRY.end());
    }
}

/// One connection to the bus.
struct Logind<'a> {
    events: &'a mpsc::Sender<Event>,
    /// Whether logind has answered.
    is_heard: bool,
}

impl Logind<'_> {
    async fn follow(&mut self) -> Result<std::convert::Infallible, Lost> {
        let connection = Builder::system().method_timeout(ANSWER_TIMEOUT).build().await?;
        let manager = ManagerProxy::new(&connection).await?;
        let mut owner = manager.inner().receive_owner_changed().await?;
        let mut sleep = manager.receive_prepare_for_sleep().await?;
        let mut opened = manager.receive_session_new().await?;
        let mut closed = manager.receive_session_removed().await?;
        let mut session = self.session(&connection, &manager, None).await?;
        loop {
            tokio::select! {
                () = connection.closed() => return Err(Lost::Closed),
                _ = owner.next() => return Err(Lost::Restarted),
                start = sleep.next() => match start {
                    Some(start) if start.args()?.start => self.tell(Event::Sleeping).await?,
                    Some(_) => self.tell(Event::Awake).await?,
                    None => return Err(Lost::Closed),
                },
                // Somebody's session: whether it is the person's, logind says.
                Some(_) = opened.next() => session = self.session(&connection, &manager, session).await?,
                Some(_) = closed.next() => session = self.session(&connection, &manager, session).await?,
                event = next_of(&mut session) => self.tell(event?).await?,
            }
        }
    }

    /// The person's session as it is now: the one that is followed already, or another, which is told whole.
    async fn session(
        &mut self,
        connection: &zbus::Connection,
        manager: &ManagerProxy<'_>,
        before: Option<Session>,
    ) -> Result<Option<Session>, Lost> {
        let path = match manager.get_session(OWN_SESSION).await {
            Ok(path) => Some(path),
            // Of logind itself: it knows of none.
            Err(zbus::Error::MethodError(name, ..)) if name.starts_with("org.freedesktop.login1.") => None,
            Err(error) => return Err(error.into()),
        };
        self.is_heard = true;
        match (path, before) {
            (Some(path), Some(before)) if before.path == path => Ok(Some(before)),
            (Some(path), _) => {
                let session = Session::open(connection, path).await?;
                for event in session.now().await? {
                    self.tell(event).await?;
                }
                Ok(Some(session))
            }
            (None, Some(_)) => {
                tracing::info!("the person's desktop session is over: locked until there is another");
                self.tell(Event::Locked).await?;
                Ok(None)
            }
            (None, None) => {
                tracing::warn!(
                    "logind knows no session of this user: the desktop tells no presence until one is opened"
                );
                Ok(None)
            }
        }
    }

    async fn tell(&self, event: Event) -> Result<(), Lost> {
        self.events.send(event).await.map_err(|_| Lost::Unheard)
    }
}

/// The session that is followed.
struct Session {
    path: OwnedObjectPath,
    proxy: SessionProxy<'static>,
    lock: LockStream,
    unlock: UnlockStream,
    locked_hint: zbus::proxy::PropertyStream<'static, bool>,
    idle_hint: zbus::proxy::PropertyStream<'static, bool>,
}

impl Session {
    /// Everything is subscribed to before anything is read, so that no change falls between.
    async fn open(connection: &zbus::Connection, path: OwnedObjectPath) -> Result<Self, Lost> {
        let proxy = SessionProxy::builder(connection).path(path.clone()).build().await?;
        Ok(Self {
            lock: proxy.receive_lock().await?,
            unlock: proxy.receive_unlock().await?,
            locked_hint: proxy.receive_locked_hint_changed().await,
            idle_hint: proxy.receive_idle_hint_changed().await,
            path,
            proxy,
        })
    }

    async fn now(&self) -> Result<[Event; 2], Lost> {
        Ok([lock_event(self.proxy.locked_hint().await?), Event::Idle(self.proxy.idle_hint().await?)])
    }
}

const fn lock_event(is_locked: bool) -> Event {
    if is_locked { Event::Locked } else { Event::Unlocked }
}

/// The next thing that happens to the session; never, where there is none. Of several that have come together, what the
/// desktop says of itself is read before what it was asked to do: an old `LockedHint` must not undo a lock.
async fn next_of(session: &mut Option<Session>) -> Result<Event, Lost> {
    let Some(session) = session else { return std::future::pending().await };
    tokio::select! {
        biased;
        Some(changed) = session.locked_hint.next() => Ok(lock_event(changed.get().await?)),
        Some(changed) = session.idle_hint.next() => Ok(Event::Idle(changed.get().await?)),
        Some(_) = session.unlock.next() => Ok(Event::Unlocked),
        Some(_) = session.lock.next() => Ok(Event::Locked),
        else => Err(Lost::Closed),
    }
}
