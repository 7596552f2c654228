//! Who is at the other end: other users, inherited sockets, reused four-tuples, other networks (protocol section 3.1).
//!
//! The agent here is the real program, run by an ordinary user; the others are other users of this computer.

use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Stdio};
use std::sync::Arc;

use loopkey::agent::{Agent, PeerCheck, PeerFault, system_peer_check};
use loopkey::protocol::gate::REFUSAL;
use loopkey::protocol::peer::{OwnUser, StrangePeer};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::puppet::{NOBODY, ROOT, agent_user, has, loopkey, own_user, puppet, run_as};
use super::raw::{Raw, expect_refusal, upgrade};
use crate::support::places::free_places;
use crate::support::world::World;

const ORIGIN: &str = "http://localhost:9";
const ADMITTED: &str = "HTTP/1.1 101 Switching Protocols, greeted";

fn refused() -> String {
    String::from_utf8_lossy(REFUSAL).lines().next().expect("a line").to_owned()
}

/// `loopkey agent`, run by an ordinary user.
struct Victim {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Victim {
    fn drop(&mut self) {
        // One that `sudo` started would not be ours to end; the agent's user always is.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Victim {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_places().agent[0];
        let settings = format!(
            "ports = [{port}]\nstate_dir = \"state\"\ncontrol = \"control.sock\"\ndevelopment = true\n\
             [[issuer]]\nurl = \"{ORIGIN}\"\n\
             [[origin]]\norigin = \"{ORIGIN}\"\nissuer = \"{ORIGIN}\"\ngrants = [\"presence\"]\nproof = \"origin\"\n"
        );
        std::fs::write(folder.path().join("agent.toml"), settings).expect("written");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).expect("a mode");
        for path in [folder.path().to_owned(), folder.path().join("agent.toml")] {
            chown(path, Some(agent_user()), None).expect("given away");
        }
        let mut agent = run_as(agent_user(), &loopkey());
        agent.args(["agent", "--config", "agent.toml"]).current_dir(folder.path()).env("LOOPKEY_LOG", "info");
        let process = agent.stderr(Stdio::piped()).stdin(Stdio::null()).spawn().expect("the agent starts");
        let mut victim = Self { process, port, _folder: folder };
        let log = tokio::process::ChildStderr::from_std(victim.process.stderr.take().expect("a log")).expect("a pipe");
        let mut lines = tokio::io::BufReader::new(log).lines();
        let mut seen = String::new();
        while let Some(line) = lines.next_line().await.expect("text") {
            if line.contains("the agent listens") {
                // It must be able to go on writing.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return victim;
            }
            seen.push_str(&line);
        }
        panic!("the agent did not start: {seen}");
    }

    /// Its own user's pages are still served.
    async fn serves_its_user(&self) {
        assert_eq!(has(agent_user(), &format!("upgrade {} {ORIGIN}", self.port)).await, ADMITTED);
    }
}

#[tokio::test]
async fn i059_another_user_is_refused_whatever_he_says() {
    let victim = Victim::start().await;
    victim.serves_its_user().await;
    for stranger in [NOBODY, ROOT] {
        assert_eq!(has(stranger, &format!("upgrade {} {ORIGIN}", victim.port)).await, refused(), "user {stranger}");
    }
    victim.serves_its_user().await;
}

#[tokio::test]
async fn a13_another_user_is_refused_before_his_head_is_read() {
    let victim = Victim::start().await;
    // Not one byte is sent, and the refusal is there: nothing he could say would count.
    assert_eq!(has(NOBODY, &format!("listen {}", victim.port)).await, refused());
    victim.serves_its_user().await;
}

#[tokio::test]
async fn i060_a_socket_that_root_made_is_roots_whoever_holds_it() {
    let victim = Victim::start().await;
    let bequest = format!("bequeath {} {ORIGIN} {}", victim.port, agent_user());
    assert_eq!(has(ROOT, &bequest).await, refused());
    victim.serves_its_user().await;
}

#[tokio::test]
async fn a39_a_socket_of_another_user_does_not_pass_by_being_inherited() {
    let victim = Victim::start().await;
    // The other way round nothing can be known: who gives a socket away gives away what he may do with it.
    let bequest = format!("bequeath {} {ORIGIN} {NOBODY}", victim.port);
    assert_eq!(has(ROOT, &bequest).await, refused());
    victim.serves_its_user().await;
}

#[tokio::test]
async fn i061_connect_send_and_reset_leaves_the_agent_as_it_was() {
    let world = World::new().await;
    let (port, origin) = (world.agent.handle.port(), world.server.issuer.origin());
    for said in [&b""[..], b"GET /v1 HT", upgrade(port, origin.as_str()).as_bytes()].repeat(50) {
        let mut raw = Raw::connect(port).await;
        raw.say(said).await;
        raw.0.set_zero_linger().expect("a reset");
    }
    let _ = world.open_page().await;
    world.agent.stop().await;
}

#[tokio::test]
async fn i062_a_four_tuple_that_another_user_took_over_is_his() {
    let victim = Victim::start().await;
    let from = free_places().site;
    let first = has(agent_user(), &format!("vanish {} {ORIGIN} {from}", victim.port)).await;
    assert_eq!(first, ADMITTED);
    assert_eq!(has(NOBODY, &format!("upgrade {} {ORIGIN} {from}", victim.port)).await, refused());
    assert_eq!(has(agent_user(), &format!("upgrade {} {ORIGIN} {from}", victim.port)).await, ADMITTED);
}

/// A connection from a fixed port, accepted and not looked at; and the port free again.
async fn vanished() -> (TcpListener, TcpStream, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let page = socket.local_addr().expect("an address");
    let mut stream = socket.connect(listener.local_addr().expect("an address")).await.expect("connected");
    let (accepted, _) = listener.accept().await.expect("accepted");
    stream.write_all(b"what was said before").await.expect("written");
    stream.set_zero_linger().expect("a reset");
    (listener, accepted, page)
}

#[tokio::test]
async fn a32_a_late_look_up_finds_the_user_who_is_there_now() {
    let check = system_peer_check().expect("a check");
    let (listener, accepted, page) = vanished().await;
    let agent = accepted.local_addr().expect("an address");
    let verdict = check.look_up(page, agent);
    assert!(matches!(verdict, Err(PeerFault::Strange(_))), "nobody is there: {verdict:?}");
    // Another user takes the very same four-tuple, and what the first one said could still be read.
    let mut other = puppet(NOBODY, &format!("upgrade {} {ORIGIN} {}", agent.port(), page.port()));
    let mut other = other.spawn().expect("the puppet starts");
    let (_second, address) = listener.accept().await.expect("accepted");
    assert_eq!(address, page);
    let verdict = check.look_up(page, agent);
    assert!(matches!(verdict, Err(PeerFault::Strange(StrangePeer::OtherUser(NOBODY)))), "{verdict:?}");
    other.kill().expect("ended");
    other.wait().expect("ended");
}

#[tokio::test]
async fn a32_a_four_tuple_that_the_same_user_reuses_is_another_socket() {
    let check = system_peer_check().expect("a check");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let agent = listener.local_addr().expect("an address");
    let connect = |from: SocketAddr| {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind(from).expect("the source port");
        socket.connect(agent)
    };
    let first = connect("127.0.0.1:0".parse().expect("an address")).await.expect("connected");
    let page = first.local_addr().expect("an address");
    let (_first_accepted, _) = listener.accept().await.expect("accepted");
    let admitted = check.look_up(page, agent).expect("own user");
    assert_eq!(admitted.require_same(check.look_up(page, agent).expect("own user")), Ok(()));
    first.set_zero_linger().expect("a reset");
    drop(first);
    let _second = connect(page).await.expect("connected from the same port");
    let again = check.look_up(page, agent).expect("own user");
    assert_eq!(admitted.require_same(again), Err(StrangePeer::Replaced));
}

#[tokio::test]
async fn a32_addresses_in_ipv6_clothes_are_the_same_connection() {
    let check = system_peer_check().expect("a check");
    let listener = TcpListener::bind("[::]:0").await.expect("a port of both families");
    let port = listener.local_addr().expect("an address").port();
    let page = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    let (accepted, mapped) = listener.accept().await.expect("accepted");
    assert!(mapped.is_ipv6() && mapped.ip().to_canonical().is_ipv4(), "{mapped}");
    let agent = accepted.local_addr().expect("an address");
    let first = check.look_up(mapped, agent).expect("own user, by the mapped addresses");
    let plain = page.local_addr().expect("an address");
    let again = check.look_up(plain, page.peer_addr().expect("an address")).expect("own user, by the plain ones");
    assert_eq!(first.require_same(again), Ok(()));
}

#[tokio::test]
async fn i063_a_client_that_closed_its_half_is_nobody() {
    let check = system_peer_check().expect("a check");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let agent = listener.local_addr().expect("an address");
    let mut page = TcpStream::connect(agent).await.expect("connected");
    let address = page.local_addr().expect("an address");
    let (_accepted, _) = listener.accept().await.expect("accepted");
    assert!(check.look_up(address, agent).is_ok());
    page.shutdown().await.expect("half closed");
    assert!(matches!(check.look_up(address, agent), Err(PeerFault::Strange(_))));

    // At the agent, whichever comes first, its look or the close: nothing but a greeting can be had.
    let world = World::new().await;
    let (port, origin) = (world.agent.handle.port(), world.server.issuer.origin());
    let mut raw = Raw::connect(port).await;
    raw.say(upgrade(port, origin.as_str())).await;
    raw.0.shutdown().await.expect("half closed");
    let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
    let line = answer.lines().next().unwrap_or_default().to_owned();
    assert!([refused().as_str(), "HTTP/1.1 101 Switching Protocols"].contains(&line.as_str()), "{answer}");
    world.agent.stop().await;
}

/// Says for every connection what it was told to say.
#[derive(Debug)]
struct Says(fn() -> PeerFault);

impl PeerCheck for Says {
    fn look_up(&self, _: SocketAddr, _: SocketAddr) -> Result<OwnUser, PeerFault> {
        Err((self.0)())
    }
}

#[tokio::test]
async fn i064_another_network_namespace_has_another_loopback() {
    let victim = Victim::start().await;
    let task = puppet(ROOT, &format!("reach {}", victim.port));
    let mut apart = run_as(ROOT, std::path::Path::new("/usr/bin/unshare"));
    apart.arg("--net").arg(task.get_program()).args(task.get_args()).current_dir("/");
    let output = apart.output().expect("unshare is there (Debian: util-linux)");
    let said = super::puppet::said(&output);
    assert!(["NetworkUnreachable", "ConnectionRefused"].contains(&said.as_str()), "{said}");
    assert_eq!(has(NOBODY, &format!("reach {}", victim.port)).await, "connected", "the port is there");
}

#[tokio::test]
async fn i064_a38_a_relay_is_the_user_who_runs_it() {
    let victim = Victim::start().await;
    for (relaying, answer) in [(NOBODY, refused()), (agent_user(), ADMITTED.to_owned())] {
        let mut relay = puppet(relaying, &format!("relay {}", victim.port));
        let mut relay = relay.spawn().expect("the puppet starts");
        let output = tokio::process::ChildStdout::from_std(relay.stdout.take().expect("a pipe")).expect("a pipe");
        let mut lines = tokio::io::BufReader::new(output).lines();
        let entrance = loop {
            let line = lines.next_line().await.expect("text").expect("a port");
            if let Some(("", port)) = line.split_once("puppet: ") {
                break port.to_owned();
            }
        };
        let mut raw = Raw::connect(entrance.parse().expect("a port")).await;
        raw.say(upgrade(victim.port, ORIGIN)).await;
        let mut start = vec![0; 1024];
        let read = raw.0.read(&mut start).await.expect("an answer");
        let start = String::from_utf8_lossy(&start[..read]).into_owned();
        let line = answer.split(", ").next().expect("a line");
        assert!(start.starts_with(line), "through a relay of user {relaying}: {start}");
        drop(raw);
        let _ = relay.kill();
        let _ = relay.wait();
    }
}

#[tokio::test]
async fn i065_where_the_kernel_cannot_be_asked_nobody_passes() {
    assert_eq!(has(own_user(), "ask-without-descriptors").await, "unknowable");
    let faults: [fn() -> PeerFault; 3] = [
        || PeerFault::Unknowable(std::io::Error::from(std::io::ErrorKind::PermissionDenied)),
        || PeerFault::Strange(StrangePeer::NoRow),
        || PeerFault::Strange(StrangePeer::Orphan),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = ORIGIN.parse().expect("an issuer");
    for fault in faults {
        let settings = crate::support::world::settings(folder.path(), &issuer);
        let agent = Agent::builder(settings).any_port().peer_check(Arc::new(Says(fault)));
        let agent = agent.bind().await.expect("an agent");
        let handle = agent.handle();
        let running = tokio::spawn(agent.run(std::future::pending()));
        expect_refusal(handle.port(), upgrade(handle.port(), ORIGIN)).await;
        assert_eq!(Raw::connect(handle.port()).await.rest().await, REFUSAL, "not even a silent one is kept");
        handle.stop();
        running.await.expect("the agent ends");
    }
}
