//! The desktop as systemd-logind tells it on the system bus (org.freedesktop.login1(5)): the session's lock and idleness,
//! and the computer's sleep. GNOME, KDE Plasma and lockers such as light-locker keep `LockedHint` and `IdleHint` up to date.
//!
//! All of it is read from the one stream of the connection, in the order of the bus. Only what logind's own connection has
//! sent counts: anybody may send a signal straight to the agent.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::mpsc;
use zbus::connection::Builder;
use zbus::{Connection, Message, MessageStream, OwnedObjectPath, OwnedVariant};

use super::rule::Event;

/// The first and the longest pause before the bus is tried again.
const RETRY: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
/// How long logind may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The session of the caller, or the one at the display where the caller, a user's service, is in none (systemd 243).
const OWN_SESSION: &str = "auto";

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";
const LOGIND: &str = "org.freedesktop.login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const MANAGER_PATH: &str = "/org/freedesktop/login1";
const SESSION: &str = "org.freedesktop.login1.Session";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

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

/// What a message means here.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// To the person's session or the computer.
    Events(Vec<Event>),
    /// Somebody's session was opened or closed: whether it is the person's, logind says.
    Sessions,
    /// Another process is logind from now on, or none.
    Restarted,
}

impl Logind<'_> {
    async fn follow(&mut self) -> Result<std::convert::Infallible, Lost> {
        let connection = Builder::system().method_timeout(ANSWER_TIMEOUT).build().await?;
        // Everything is subscribed to before anything is read, so that no change falls between.
        let mut messages = MessageStream::from(&connection);
        for rule in [
            format!("type='signal',sender='{LOGIND}'"),
            format!("type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{LOGIND}'"),
        ] {
            connection.call_method(Some(BUS), BUS_PATH, Some(BUS), "AddMatch", &rule).await?;
        }
        // This wakes logind where the bus starts it on demand.
        let mut session = self.session(&connection, None).await?;
        let owner = connection.call_method(Some(BUS), BUS_PATH, Some(BUS), "GetNameOwner", &LOGIND).await?;
        let owner: String = owner.body().deserialize()?;
        loop {
            let message = messages.next().await.ok_or(Lost::Closed)??;
            match told(&message, &owner, session.as_ref()) {
                Some(Told::Events(events)) => self.tell(&events).await?,
                Some(Told::Sessions) => session = self.session(&connection, session).await?,
                Some(Told::Restarted) => return Err(Lost::Restarted),
                None => {}
            }
        }
    }

    /// The person's session as it is now. Another one than before is told whole.
    async fn session(
        &mut self,
        connection: &Connection,
        before: Option<OwnedObjectPath>,
    ) -> Result<Option<OwnedObjectPath>, Lost> {
        let asked = connection.call_method(Some(LOGIND), MANAGER_PATH, Some(MANAGER), "GetSession", &OWN_SESSION).await;
        let session: Option<OwnedObjectPath> = match asked {
            Ok(answer) => Some(answer.body().deserialize()?),
            // Of logind itself: it knows of none.
            Err(zbus::Error::MethodError(name, ..)) if name.starts_with(LOGIND) => None,
            Err(error) => return Err(error.into()),
        };
        self.is_heard = true;
        match &session {
            Some(path) if before.as_ref() != Some(path) => {
                let properties =
                    connection.call_method(Some(LOGIND), path, Some(PROPERTIES), "GetAll", &SESSION).await?;
                self.tell(&hints(&properties.body().deserialize()?)).await?;
            }
            None if before.is_some() => {
                tracing::info!("the person's desktop session is over: locked until there is another");
                self.tell(&[Event::Locked]).await?;
            }
            None => {
                tracing::warn!("logind knows no session of this user: the desktop tells nothing until one is opened");
            }
            Some(_) => {}
        }
        Ok(session)
    }

    async fn tell(&self, events: &[Event]) -> Result<(), Lost> {
        for event in events {
            self.events.send(*event).await.map_err(|_| Lost::Unheard)?;
        }
        Ok(())
    }
}

/// Reads a message. `owner` is logind's connection, by the bus's own name for it.
fn told(message: &Message, owner: &str, session: Option<&OwnedObjectPath>) -> Option<Told> {
    let header = message.header();
    if message.message_type() != zbus::message::Type::Signal {
        return None;
    }
    let is_own = || header.path().is_some_and(|path| session.is_some_and(|own| **own == *path));
    match (header.sender()?.as_str(), header.interface()?.as_str(), header.member()?.as_str()) {
        (BUS, BUS, "NameOwnerChanged") => Some(Told::Restarted),
        (sender, ..) if sender != owner => None,
        (_, MANAGER, "SessionNew" | "SessionRemoved") => Some(Told::Sessions),
        (_, MANAGER, "PrepareForSleep") => {
            let start: bool = message.body().deserialize().ok()?;
            Some(Told::Events(vec![if start { Event::Sleeping } else { Event::Awake }]))
        }
        (_, SESSION, "Lock") if is_own() => Some(Told::Events(vec![Event::Locked])),
        (_, SESSION, "Unlock") if is_own() => Some(Told::Events(vec![Event::Unlocked])),
        (_, PROPERTIES, "PropertiesChanged") if is_own() => {
            let (interface, changed, _): (String, HashMap<String, OwnedVariant>, Vec<String>) =
                message.body().deserialize().ok()?;
            (interface == SESSION).then(|| Told::Events(hints(&changed)))
        }
        _ => None,
    }
}

/// What a session's properties tell; logind sends the two that count with their values.
fn hints(properties: &HashMap<String, OwnedVariant>) -> Vec<Event> {
    let hint = |name: &str| properties.get(name).and_then(|value| bool::try_from(value).ok());
    let locked = hint("LockedHint").map(|locked| if locked { Event::Locked } else { Event::Unlocked });
    // Whoever comes back unlocks last, so that nobody is taken for away in between.
    hint("IdleHint").map(Event::Idle).into_iter().chain(locked).collect()
}
