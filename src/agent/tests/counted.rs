//! What the hot paths cost in instructions. `benches/instructions/count` runs each of these under callgrind, and counts what
//! happens inside of [`counted`]; as tests they only show that the paths are walked to their end.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::agent::client::control;
use crate::counted::{OPERATIONS, PAGES, counted};
use crate::crypto::SoftwareKey;
use crate::protocol::id::Subject;
use crate::protocol::state::PresenceState;

/// A connection in memory: what the page says is put in, what the agent says is kept.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<(VecDeque<u8>, Vec<u8>)>>);

impl Memory {
    fn say(&self, bytes: &[u8]) {
        self.0.lock().expect("unpoisoned").0.extend(bytes);
    }

    fn heard(&self) -> String {
        let heard = &mut self.0.lock().expect("unpoisoned").1;
        let text = String::from_utf8_lossy(heard).into_owned();
        // The room stays: what it costs to make is not the agent's.
        heard.clear();
        text
    }
}

impl AsyncRead for Memory {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock().expect("unpoisoned");
        let len = inner.0.len().min(buf.remaining());
        if len == 0 {
            return Poll::Pending;
        }
        buf.put_slice(&inner.0.make_contiguous()[..len]);
        inner.0.drain(..len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().expect("unpoisoned").1.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// One connection, and the agent's side of it, which moves when it is polled and not before.
struct Socket {
    memory: Memory,
    agent: Pin<Box<dyn Future<Output = ()>>>,
}

impl Socket {
    fn step(&mut self) {
        let mut cx = Context::from_waker(futures::task::noop_waker_ref());
        assert!(self.agent.as_mut().poll(&mut cx).is_pending(), "the connection stays");
    }
}

/// An agent without a network, of somebody who is signed in, and its issuer's key.
struct Stage {
    house: House,
    key: SoftwareKey,
    subject: Subject,
    _runtime: tokio::runtime::EnterGuard<'static>,
}

impl Stage {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        // It has to outlive what entered it.
        let _runtime = Box::leak(Box::new(runtime.expect("a runtime"))).enter();
        let house = house_with(SocketLimits { per_origin: 2 * PAGES, total: 2 * PAGES, not_yet_open: 2 * PAGES });
        let (key, _) = SoftwareKey::generate(Algorithm::Ed25519).expect("a key");
        house.hub().client.learn(vec![crate::crypto::Signer::public(&key).clone()], NOW);
        let subject = house.sign_in();
        Self { house, key, subject, _runtime }
    }

    fn knock(&self) -> Socket {
        let memory = Memory::default();
        memory.say(HEAD.as_bytes());
        let (doorman, stream) = (Arc::clone(&self.house.doorman), memory.clone());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let line = Line { peers: Arc::new(peer::Off), page: nowhere, agent: nowhere };
        let agent = Box::pin(async move { see_through(doorman.let_in(stream, OwnUser::taken_on_trust(), line)).await });
        Socket { memory, agent }
    }

    /// Sockets that have heard `hello`, and what each says to it.
    fn greeted(&self, count: usize, open: impl Fn(&str) -> String) -> Vec<Socket> {
        let mut sockets: Vec<_> = (0..count).map(|_| self.knock()).collect();
        for socket in &mut sockets {
            socket.step();
            let hello = socket.memory.heard();
            let nonce = hello.split("\"nonce\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce");
            socket.memory.say(&frame(&open(nonce)));
        }
        sockets
    }
}

#[test]
fn upgrade() {
    let stage = Stage::new();
    let mut sockets: Vec<_> = (0..OPERATIONS).map(|_| stage.knock()).collect();
    counted(|| sockets.iter_mut().for_each(Socket::step));
    assert!(sockets.iter().all(|socket| socket.memory.heard().contains("hello")));
}

#[test]
fn open() {
    let stage = Stage::new();
    let open = |nonce: &str| {
        format!(r#"{{"type":"open","nonce":"{nonce}","challenge":"{}"}}"#, stage.house.challenge(&stage.key))
    };
    let mut sockets = stage.greeted(OPERATIONS, open);
    counted(|| sockets.iter_mut().for_each(Socket::step));
    assert!(sockets.iter().all(|socket| socket.memory.heard().contains("\"proof\":")));
}

#[test]
fn resume() {
    let stage = Stage::new();
    let bare = |nonce: &str| format!(r#"{{"type":"open","nonce":"{nonce}"}}"#);
    let mut first = stage.greeted(OPERATIONS, bare);
    let tickets = first.iter_mut().map(|socket| {
        socket.step();
        let ready = socket.memory.heard();
        ready.split("\"resume\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a ticket").to_owned()
    });
    let tickets = Mutex::new(tickets.collect::<Vec<_>>());
    let resume = |nonce: &str| {
        let ticket = tickets.lock().expect("unpoisoned").pop().expect("a ticket each");
        format!(r#"{{"type":"open","nonce":"{nonce}","resume":"{ticket}","seq":1}}"#)
    };
    let mut sockets = stage.greeted(OPERATIONS, resume);
    counted(|| sockets.iter_mut().for_each(Socket::step));
    assert!(sockets.iter().all(|socket| socket.memory.heard().contains("\"resumed\":true")));
}

/// From the client's `presence.set` to the answer, with no page to tell.
#[test]
fn call() {
    let stage = Stage::new();
    let memory = Memory::default();
    let agent = Box::pin(control::attend(memory.clone(), stage.house.handle()));
    let mut client = Socket { memory, agent };
    let presences = ["away", "signed_in"].into_iter().cycle();
    let calls = (1..=OPERATIONS).zip(presences).map(|(id, presence)| {
        let account = &stage.subject;
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"presence.set","params":{{"account":"{account}","presence":"{presence}"}}}}"#
        )
    });
    let calls: Vec<_> = calls.map(|call| call + "\n").collect();
    counted(|| {
        for call in &calls {
            client.memory.say(call.as_bytes());
            client.step();
        }
    });
    let heard = client.memory.heard();
    assert_eq!(heard.lines().filter(|line| line.contains(r#""result":{"seq":"#)).count(), OPERATIONS, "{heard}");
}

#[test]
fn push() {
    let stage = Stage::new();
    let mut sockets = stage.greeted(PAGES, |nonce| format!(r#"{{"type":"open","nonce":"{nonce}"}}"#));
    for socket in &mut sockets {
        socket.step();
        assert!(socket.memory.heard().contains("ready"));
    }
    let seq = counted(|| stage.house.hub().set_presence(&stage.subject, PresenceState::Away)).expect("set");
    let newest = format!("\"seq\":{},", seq.0);
    assert!(sockets.iter().all(|socket| socket.memory.heard().contains(&newest)));
}
