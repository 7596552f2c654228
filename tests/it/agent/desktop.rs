//! Presence from the desktop: a system bus of the test's own, and a logind on it that does what the test says.

use std::io::{BufRead as _, BufReader};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::state::PresenceState::{self, Away, Locked, SignedIn, SignedOut};
use serde_json::json;
use tokio::sync::watch;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, OwnedObjectPath, connection};

use super::program::{Program, Running, connect, soon};
use crate::hostile::puppet::{NOBODY, ROOT, run_as};
use crate::support::world::TestPage;

const MANAGER: &str = "/org/freedesktop/login1";

/// Everybody may do everything: nobody else reaches the socket.
const POLICY: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

fn address(folder: &Path) -> String {
    format!("unix:path={}", folder.join("bus").display())
}

/// Starts a bus in a folder.
fn start_bus(folder: &Path) -> Running {
    let configuration = folder.join("bus.conf");
    let socket = folder.join("bus");
    let _ = std::fs::remove_file(&socket);
    let policy = POLICY.replace("SOCKET", socket.to_str().expect("text"));
    std::fs::write(&configuration, policy).expect("written");
    let mut command = Command::new("dbus-daemon");
    command.args(["--nofork", "--nopidfile", "--nosyslog", "--print-address=1", "--config-file"]).arg(configuration);
    let mut bus = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()), "dbus-daemon");
    // It says its address once it listens.
    BufReader::new(bus.0.stdout.take().expect("a pipe")).read_line(&mut String::new()).expect("an address");
    bus
}

struct Manager(Arc<Mutex<Option<OwnedObjectPath>>>);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn get_session(&self, session_id: &str) -> Result<OwnedObjectPath, NoSession> {
        assert_eq!(session_id, "auto");
        let session = self.0.lock().expect("unpoisoned").clone();
        session.ok_or_else(|| NoSession::NoSuchSession("there is none".to_owned()))
    }

    #[zbus(signal)]
    async fn prepare_for_sleep(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn session_new(emitter: &SignalEmitter<'_>, id: &str, path: OwnedObjectPath) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn session_removed(emitter: &SignalEmitter<'_>, id: &str, path: OwnedObjectPath) -> zbus::Result<()>;
}

#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop.login1")]
enum NoSession {
    NoSuchSession(String),
    #[zbus(error)]
    Other(zbus::Error),
}

struct Session {
    is_locked: bool,
    is_idle: bool,
    /// Whether somebody has read it: an agent subscribes before it reads.
    is_read: watch::Sender<bool>,
}

#[zbus::interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.is_locked
    }

    #[zbus(property)]
    fn idle_hint(&self) -> bool {
        self.is_read.send_replace(true);
        self.is_idle
    }

    #[zbus(signal)]
    async fn lock(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn unlock(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;
}

/// A logind on a bus of its own.
struct Logind {
    bus: Connection,
    session: Arc<Mutex<Option<OwnedObjectPath>>>,
    is_read: watch::Sender<bool>,
}

fn path_of(session: &str) -> OwnedObjectPath {
    format!("{MANAGER}/session/{session}").try_into().expect("a path")
}

impl Logind {
    /// With a session named `_31`.
    async fn start(folder: &Path, is_locked: bool, is_idle: bool) -> Self {
        let session = Arc::new(Mutex::new(Some(path_of("_31"))));
        let is_read = watch::Sender::new(false);
        let bus = connection::Builder::address(address(folder).as_str())
            .name("org.freedesktop.login1")
            .serve_at(MANAGER, Manager(Arc::clone(&session)))
            .serve_at(path_of("_31"), Session { is_locked, is_idle, is_read: is_read.clone() })
            .build();
        Self { bus: soon("a place on the bus", bus).await.expect("a logind"), session, is_read }
    }

    fn path(&self) -> OwnedObjectPath {
        self.session.lock().expect("unpoisoned").clone().expect("a session")
    }

    /// Waits until the agent hears everything that is told from now on.
    async fn is_heard(&self) {
        soon("an agent that listens", self.is_read.subscribe().wait_for(|read| *read)).await.expect("read");
    }

    async fn set(&self, locked: Option<bool>, idle: Option<bool>) {
        let interface = self.bus.object_server().interface::<_, Session>(self.path()).await.expect("a session");
        let mut session = interface.get_mut().await;
        if let Some(locked) = locked {
            session.is_locked = locked;
            session.locked_hint_changed(interface.signal_emitter()).await.expect("told");
        }
        if let Some(idle) = idle {
            session.is_idle = idle;
            session.idle_hint_changed(interface.signal_emitter()).await.expect("told");
        }
    }

    async fn ask_to_lock(&self, lock: bool) {
        let emitter = SignalEmitter::new(&self.bus, self.path()).expect("an emitter");
        let told = if lock { Session::lock(&emitter).await } else { Session::unlock(&emitter).await };
        told.expect("told");
    }

    async fn sleep(&self, start: bool) {
        let emitter = SignalEmitter::new(&self.bus, MANAGER).expect("an emitter");
        Manager::prepare_for_sleep(&emitter, start).await.expect("told");
    }

    async fn close_session(&self) {
        let path = self.session.lock().expect("unpoisoned").take().expect("a session");
        let emitter = SignalEmitter::new(&self.bus, MANAGER).expect("an emitter");
        Manager::session_removed(&emitter, "31", path).await.expect("told");
    }

    async fn open_session(&self, name: &str) {
        let session = Session { is_locked: false, is_idle: false, is_read: self.is_read.clone() };
        let path = path_of(name);
        self.bus.object_server().at(path.clone(), session).await.expect("served");
        *self.session.lock().expect("unpoisoned") = Some(path.clone());
        let emitter = SignalEmitter::new(&self.bus, MANAGER).expect("an emitter");
        Manager::session_new(&emitter, name, path).await.expect("told");
    }
}

/// A bus, an agent that watches the desktop over it, and a page that is told.
struct Room {
    folder: tempfile::TempDir,
    bus: Running,
    agent: Program,
    page: TestPage,
}

impl Room {
    /// The agent's person is signed in, and the agent hears what logind tells.
    async fn new() -> (Self, Logind) {
        let folder = tempfile::tempdir().expect("a folder");
        let bus = start_bus(folder.path());
        let logind = Logind::start(folder.path(), false, false).await;
        let (agent, page) = Self::agent(folder.path()).await;
        logind.is_heard().await;
        (Self { folder, bus, agent, page }, logind)
    }

    async fn agent(folder: &Path) -> (Program, TestPage) {
        let address = address(folder);
        let variables = [("DBUS_SYSTEM_BUS_ADDRESS", address.as_str())];
        let agent = Program::with("ask = \"client\"\n[desktop]\npresence = true", "", &variables).await;
        let (_, page) = agent.open_page().await;
        (agent, page)
    }

    /// Waits for the next state that the page is pushed.
    async fn pushed(&mut self) -> PresenceState {
        match soon("a state", self.page.next()).await {
            Ok(AgentMessage::State { state, .. }) => state.presence,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_learns_what_the_desktop_tells() {
    let (mut room, logind) = Room::new().await;
    logind.set(None, Some(true)).await;
    assert_eq!(room.pushed().await, Away);
    logind.set(Some(true), None).await;
    assert_eq!(room.pushed().await, Locked);
    logind.set(Some(false), None).await;
    assert_eq!(room.pushed().await, Away, "unlocked, and still nobody is there");
    logind.set(None, Some(false)).await;
    assert_eq!(room.pushed().await, SignedIn);
    logind.ask_to_lock(true).await;
    assert_eq!(room.pushed().await, Locked);
    logind.ask_to_lock(false).await;
    assert_eq!(room.pushed().await, SignedIn);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_sleep_the_person_is_locked_and_the_page_stays() {
    let (mut room, logind) = Room::new().await;
    logind.sleep(true).await;
    assert_eq!(room.pushed().await, Locked);
    logind.sleep(false).await;
    assert_eq!(room.pushed().await, SignedIn);
    logind.set(Some(true), None).await;
    assert_eq!(room.pushed().await, Locked, "a page that is still the same is told on");
    logind.sleep(true).await;
    logind.sleep(false).await;
    logind.set(Some(false), None).await;
    assert_eq!(room.pushed().await, SignedIn, "who slept locked woke up locked");
}

/// What counts is the kernel's word of the socket, asked again: here root gives it to another user while the computer sleeps.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_another_users_after_a_sleep_is_cut() {
    let (mut room, logind) = Room::new().await;
    logind.sleep(true).await;
    assert_eq!(room.pushed().await, Locked);
    let socket = format!("/proc/{}/fd/{}", std::process::id(), room.page.socket.get_ref().as_raw_fd());
    let given = run_as(ROOT, Path::new("chown")).args([&NOBODY.to_string(), &socket]).status();
    assert!(
        given.expect("chown runs").success(),
        "this test needs root, or sudo without a password: run `sudo -v` first"
    );
    logind.sleep(false).await;
    // Cut, without a goodbye. A state that was on its way may come before.
    while let Ok(message) = soon("an end", room.page.next()).await {
        assert!(matches!(message, AgentMessage::State { .. }), "{message:?}");
    }
    // The person's own pages get in as before.
    let (_, mut page) = room.agent.open_page().await;
    logind.set(Some(true), None).await;
    let message = soon("a state", page.next()).await;
    assert!(matches!(message, Ok(AgentMessage::State { .. })), "{message:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_connected_is_listened_to_and_nobody_else() {
    let (mut room, logind) = Room::new().await;
    let client = connect(&room.agent.folder.path().join("control.sock")).await;
    client.call("client.hello", &json!({ "name": "Test", "version": "1" })).await.expect("hello");
    logind.set(None, Some(true)).await;
    client.call("presence.set", &json!({ "presence": "locked" })).await.expect("set");
    assert_eq!(room.pushed().await, Locked, "not away");
    logind.set(None, Some(false)).await;
    logind.set(None, Some(true)).await;
    client.call("presence.set", &json!({ "presence": "signed_in" })).await.expect("set");
    assert_eq!(room.pushed().await, SignedIn);
    drop(client);
    assert_eq!(room.pushed().await, Away, "the client has left, and nobody is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_holds_until_the_desktop_changes_and_a_sign_out_for_good() {
    let (mut room, logind) = Room::new().await;
    logind.set(None, Some(true)).await;
    assert_eq!(room.pushed().await, Away);
    room.agent.say(SignedIn).await;
    assert_eq!(room.pushed().await, SignedIn);
    logind.set(Some(true), None).await;
    assert_eq!(room.pushed().await, Locked);
    logind.set(Some(false), None).await;
    assert_eq!(room.pushed().await, Away);
    logind.set(None, Some(false)).await;
    assert_eq!(room.pushed().await, SignedIn);

    room.agent.say(Away).await;
    assert_eq!(room.pushed().await, Away);
    logind.set(Some(true), None).await;
    assert_eq!(room.pushed().await, Locked);
    logind.set(Some(false), None).await;
    assert_eq!(room.pushed().await, Away, "it lifts no more than it lowered");

    logind.set(Some(true), None).await;
    assert_eq!(room.pushed().await, Locked);
    room.agent.control.call("presence.signOut", &json!({})).await.expect("signed out");
    assert_eq!(room.pushed().await, SignedOut);
    logind.set(Some(false), None).await;
    room.agent.say(SignedIn).await;
    assert_eq!(room.pushed().await, SignedIn, "the desktop signs nobody in");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_session_locks_until_there_is_another() {
    let (mut room, logind) = Room::new().await;
    logind.close_session().await;
    assert_eq!(room.pushed().await, Locked);
    logind.open_session("_32").await;
    assert_eq!(room.pushed().await, SignedIn);
    logind.set(None, Some(true)).await;
    assert_eq!(room.pushed().await, Away);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_lives_on_without_a_bus_and_hears_again_when_there_is_one() {
    let (mut room, logind) = Room::new().await;
    logind.set(None, Some(true)).await;
    assert_eq!(room.pushed().await, Away);
    drop(std::mem::replace(&mut room.bus, start_bus(room.folder.path())));
    assert_eq!(room.pushed().await, SignedIn, "what the client said last");
    let logind = Logind::start(room.folder.path(), true, false).await;
    assert_eq!(room.pushed().await, Locked, "connected again");
    logind.is_heard().await;
    drop(std::mem::replace(&mut room.bus, start_bus(room.folder.path())));
    room.agent.say(SignedIn).await;
    assert_eq!(room.pushed().await, SignedIn, "a lock goes by what is said, not by the end of the bus");
    let _logind = Logind::start(room.folder.path(), false, true).await;
    assert_eq!(room.pushed().await, Away);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_never_finds_a_bus_goes_by_what_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (agent, page) = Room::agent(folder.path()).await;
    let mut page = page;
    agent.say(Away).await;
    let pushed = soon("a state", page.next()).await;
    assert!(matches!(pushed, Ok(AgentMessage::State { state, .. }) if state.presence == Away), "{pushed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_logind_is_believed() {
    let (mut room, logind) = Room::new().await;
    let stranger = connection::Builder::address(address(room.folder.path()).as_str()).build();
    let stranger = soon("a place on the bus", stranger).await.expect("connected");
    let names = async || {
        let bus = "org.freedesktop.DBus";
        let names = stranger.call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "ListNames", &()).await;
        names.expect("an answer").body().deserialize::<Vec<String>>().expect("names")
    };
    for name in names().await {
        let session = ("org.freedesktop.login1.Session", logind.path());
        stranger.emit_signal(Some(name.as_str()), &session.1, session.0, "Lock", &()).await.expect("sent");
    }
    // The bus has passed on what was sent before it answers.
    names().await;
    logind.set(None, Some(true)).await;
    assert_eq!(room.pushed().await, Away, "not locked");
}
