//! The floor of a push: one thread, raw epoll, one `send` a socket, a frame that was encoded once. No library, no cryptography,
//! and next to no memory a socket; as a handshake it shows what the kernel alone costs. It is told as the agent is, on a Unix
//! socket, and answers, but does not read what it is told.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener as StdListener};

use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Token};

use super::bare::{frame, ready_around, state, upgraded};
use crate::process;
use crate::spec::{FloorSpec, Serving, Trigger};

const PAGES: Token = Token(usize::MAX - 1);
const CLIENTS: Token = Token(usize::MAX - 2);
/// The one client that tells it to push.
const CLIENT: Token = Token(usize::MAX - 3);
/// As long as the agent's answer.
const ANSWER: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":100,\"result\":{\"seq\":100}}\n";
/// What a hello looks like; this floor draws no nonce.
const HELLO: &str = r#"{"type":"hello","v":1,"nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;

/// How far a page is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Upgrade,
    Open,
    Live,
}

struct Socket {
    stream: TcpStream,
    stage: Stage,
}

struct Floor {
    poll: Poll,
    client: Option<UnixStream>,
    sockets: Vec<Option<Socket>>,
    free: Vec<usize>,
    ready: Vec<u8>,
    state: Vec<u8>,
    buffer: Vec<u8>,
}

fn listener(backlog: i32) -> anyhow::Result<TcpListener> {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // The standard library's queue is shorter than the agent's.
    rustix::net::listen(&listener, backlog)?;
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener))
}

pub(crate) fn run(spec: &FloorSpec) -> anyhow::Result<()> {
    let mut pages = listener(1024)?;
    let mut clients = UnixListener::bind(&spec.control)?;
    let poll = Poll::new()?;
    poll.registry().register(&mut pages, PAGES, Interest::READABLE)?;
    poll.registry().register(&mut clients, CLIENTS, Interest::READABLE)?;
    process::say(&Serving {
        port: pages.local_addr()?.port(),
        wss_port: None,
        trigger: Some(Trigger::Control(spec.control.clone())),
    });
    let mut floor = Floor {
        poll,
        client: None,
        sockets: Vec::new(),
        free: Vec::new(),
        ready: frame(&ready_around(&"p".repeat(86), spec.lengths.ready)),
        state: frame(&state(spec.lengths.state)),
        buffer: vec![0; 16 * 1024],
    };
    let mut events = Events::with_capacity(1024);
    loop {
        match floor.poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            match event.token() {
                PAGES => floor.accept(&pages)?,
                CLIENTS => floor.accept_client(&clients)?,
                CLIENT => floor.read_client(),
                Token(id) => floor.read(id),
            }
        }
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> anyhow::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            let id = self.free.pop().unwrap_or_else(|| {
                self.sockets.push(None);
                self.sockets.len() - 1
            });
            self.poll.registry().register(&mut stream, Token(id), Interest::READABLE)?;
            self.sockets[id] = Some(Socket { stream, stage: Stage::Upgrade });
        }
    }

    fn accept_client(&mut self, listener: &UnixListener) -> anyhow::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.poll.registry().register(&mut stream, CLIENT, Interest::READABLE)?;
            self.client = Some(stream);
        }
    }

    /// One call at a time, which is short too.
    fn read_client(&mut self) {
        let Some(client) = &mut self.client else { return };
        match client.read(&mut self.buffer) {
            Ok(1..) => {
                self.push();
                let _ = self.client.as_mut().map(|client| client.write(ANSWER));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => self.client = None,
        }
    }

    /// What a page says is short: it comes in one piece.
    fn read(&mut self, id: usize) {
        let Some(Some(socket)) = self.sockets.get_mut(id) else { return };
        let read = match socket.stream.read(&mut self.buffer) {
            Ok(read @ 1..) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            _ => {
                self.sockets[id] = None;
                self.free.push(id);
                return;
            }
        };
        match socket.stage {
            Stage::Upgrade => {
                if let Some(answer) = upgraded(&self.buffer[..read]) {
                    let _ = socket.stream.write(&[answer.as_bytes(), &frame(HELLO)].concat());
                    socket.stage = Stage::Open;
                }
            }
            Stage::Open => {
                let _ = socket.stream.write(&self.ready);
                socket.stage = Stage::Live;
            }
            Stage::Live => {}
        }
    }

    /// The loop that everybody else is measured against.
    fn push(&mut self) {
        for socket in self.sockets.iter_mut().flatten().filter(|socket| socket.stage == Stage::Live) {
            let _ = socket.stream.write(&self.state);
        }
    }
}
