//! The load driver: pages without a browser, in a process and on a core of their own. Never the bottleneck: one loop over the
//! sockets that have something to say, no task a socket.

mod fleet;
mod frame;
mod handshake;
mod memory;
mod page;
mod push;
mod rest;
mod stream;
mod trigger;

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rustls::ClientConfig;

use crate::spec::{Exchange, LoadSpec, Outcome, Target, Work};
use crate::{machine, process};
use page::Opening;

/// What pages need to begin.
pub(crate) struct Pages {
    target: Target,
    challenges: VecDeque<String>,
    tls: Option<Arc<ClientConfig>>,
}

impl Pages {
    fn new(spec: &LoadSpec) -> anyhow::Result<Self> {
        let challenges = match &spec.challenges {
            Some(path) => std::fs::read_to_string(path)?.lines().map(str::to_owned).collect(),
            None => VecDeque::new(),
        };
        let keeps_sessions = matches!(spec.work, Work::Sequential { again: crate::spec::Again::TlsSession, .. });
        let tls = spec.target.authority.as_deref().map(|path| stream::client(path, keeps_sessions)).transpose()?;
        Ok(Self { target: spec.target.clone(), challenges, tls })
    }

    /// What the next page opens with: a challenge counts once.
    fn opening(&mut self) -> anyhow::Result<Opening> {
        if self.target.exchange != Exchange::Loopkey {
            return Ok(Opening::Challenge(String::new()));
        }
        Ok(Opening::Challenge(self.challenges.pop_front().context("no challenge is left")?))
    }

    /// The head of an upgrade.
    fn upgrade(&self) -> Vec<u8> {
        let Target { port, origin, path, exchange, .. } = &self.target;
        let subprotocol = match exchange {
            Exchange::Loopkey => "Sec-WebSocket-Protocol: loopkey.1\r\n",
            Exchange::UpgradeOnly | Exchange::Nats => "",
        };
        // About what a browser sends, without its cookies.
        format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
             Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nUpgrade: websocket\r\n\
             Origin: {origin}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{subprotocol}\r\n"
        )
        .into_bytes()
    }
}

/// Does what the specification says and tells what was seen.
pub(crate) fn run(spec: &LoadSpec) -> anyhow::Result<()> {
    let outcome: Result<Outcome, String> = work(spec).map_err(|error| format!("{error:#}"));
    process::say(&outcome);
    Ok(())
}

fn work(spec: &LoadSpec) -> anyhow::Result<Outcome> {
    let spins = spins()?;
    machine::pin(&spec.cores)?;
    let own = machine::cores_of(std::process::id())?;
    for pid in &spec.target.pids {
        // Else each waits for the other, and nothing is what it says.
        ensure!(machine::cores() < 2 || machine::cores_of(*pid)? != own, "server and driver share core {own}");
    }
    machine::hurry();
    machine::end_with_parent()?;
    let mut pages = Pages::new(spec)?;
    let whole = Measured::begin(&spec.target);
    let mut outcome = match spec.work {
        Work::Sequential { count, warm_up, again } => handshake::sequential(&mut pages, count, warm_up, again),
        Work::Concurrent { count, at_once, held } => handshake::concurrent(&mut pages, count, at_once, held),
        Work::Push { pages: open, warm_up, pushes, dead } => push::run(&mut pages, open, warm_up, pushes, dead),
        Work::Hold { pages: open } => memory::run(&mut pages, open),
        Work::Rest { pages: open, seconds } => rest::run(&mut pages, open, seconds),
    }?;
    if outcome.wall == 0 {
        // Nothing in it is timed; who else was there counts all the same.
        whole.end(&spec.target, &mut outcome);
    }
    outcome.spins = spins;
    Ok(outcome)
}

/// How fast each core is just now.
fn spins() -> anyhow::Result<Vec<u64>> {
    let both = [0, 1].map(|core| machine::pin(&[core]).map(|()| machine::fixed_work()));
    both.into_iter().collect()
}

/// What server, driver and cores did between two moments.
struct Measured {
    server: u64,
    own: u64,
    busy: u64,
    since: std::time::Instant,
}

impl Measured {
    fn begin(target: &Target) -> Self {
        let (busy, _) = machine::busy_and_stolen();
        let own = machine::ran(&[std::process::id()]);
        Self { server: machine::ran(&target.pids), own, busy, since: machine::now() }
    }

    fn end(self, target: &Target, outcome: &mut Outcome) {
        outcome.wall = machine::nanos(self.since.elapsed());
        outcome.server_cpu = machine::ran(&target.pids).saturating_sub(self.server);
        outcome.own_cpu = machine::ran(&[std::process::id()]).saturating_sub(self.own);
        outcome.busy = machine::busy_and_stolen().0.saturating_sub(self.busy);
    }
}
