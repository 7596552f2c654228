//! Resident memory of the server for each socket that does nothing: after the handshake, and after a push. The kernel's own
//! memory for a socket, about 4 KiB for everybody, is not in it.

use super::{Bench, Server, WAITING_BUFFER, progress};
use crate::peers::Peer;
use crate::report::{Aim, Rounds, Row};
use crate::spec::Work;

pub(crate) const SECTION: &str = "memory";
/// How many sockets.
const PLAIN: usize = 10_000;
const SECURE: usize = 4_000;

/// KiB a socket.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) open: Rounds,
    pub(crate) pushed: Rounds,
}

impl Held {
    /// Measures a server that has served nobody yet: what it gave back would be taken again unseen.
    pub(crate) fn measure(
        &mut self,
        bench: &mut Bench,
        server: &Server,
        secure: bool,
        pages: usize,
    ) -> anyhow::Result<()> {
        let seen = bench.load(server, secure, Work::Hold { pages })?;
        let each = |at: usize| {
            let (before, after) = (seen.memory.first()?, seen.memory.get(at)?);
            Some((*after as f64 - *before as f64) / 1024.0 / pages as f64)
        };
        if let Some(open) = each(1) {
            self.open.add(open);
        }
        if let Some(pushed) = each(2) {
            self.pushed.add(pushed);
        }
        Ok(())
    }
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let [mut agent, mut lean, mut tungstenite, mut secure, mut rustls] = std::array::from_fn(|_| Held::default());
    let mut peers = peers(bench)?;
    // Memory is no matter of luck: few rounds are enough.
    let rounds = bench.args.few(1, 3);
    for round in 0..rounds {
        progress(&format!("memory: round {} of {rounds}", round + 1));
        let server = bench.agent(false)?;
        agent.measure(bench, &server, false, PLAIN)?;
        let server = bench.floor_write_loop()?;
        lean.measure(bench, &server, false, PLAIN)?;
        let server = bench.floor_tungstenite(None, WAITING_BUFFER)?;
        tungstenite.measure(bench, &server, false, PLAIN)?;
        let server = bench.agent(true)?;
        secure.measure(bench, &server, true, SECURE)?;
        let server = bench.floor_tungstenite(Some(&server), WAITING_BUFFER)?;
        rustls.measure(bench, &server, true, SECURE)?;
        let mut standing = Vec::new();
        for (peer, mut held) in peers {
            progress(&format!("memory: {}", peer.name()));
            let measured = bench.peer(peer).and_then(|server| held.measure(bench, &server, false, PLAIN));
            match measured {
                Ok(()) => standing.push((peer, held)),
                Err(reason) => bench.miss(SECTION, peer.name(), &reason),
            }
        }
        peers = standing;
    }
    let row = |what: &str, server: &str, figure: &Rounds, pages: usize| {
        Row::new(SECTION, what, server, figure.median(), "KiB").n(pages)
    };
    let over =
        |row: Row, name: &str, ours: &Rounds, floor: &Rounds| row.against(name, floor.median(), ours.over(floor));
    let (ws, ws_pushed) = ("ws, idle", "ws, after a push");
    let (tls, tls_pushed) = ("wss, idle", "wss, after a push");
    let rows = [
        over(row(ws, "agent", &agent.open, PLAIN), "tungstenite + ring", &agent.open, &tungstenite.open)
            .aim(Aim::FigureAtMost(3.5)),
        row(ws_pushed, "agent", &agent.pushed, PLAIN).aim(Aim::FigureAtMost(3.5)),
        row(ws, "tungstenite + ring", &tungstenite.open, PLAIN),
        row(ws, "write loop", &lean.open, PLAIN),
        row(ws_pushed, "write loop", &lean.pushed, PLAIN),
        over(row(tls, "agent", &secure.open, SECURE), "bare rustls", &secure.open, &rustls.open)
            .aim(Aim::FigureAtMost(12.0)),
        row(tls_pushed, "agent", &secure.pushed, SECURE).aim(Aim::FigureAtMost(12.0)),
        row(tls, "bare rustls", &rustls.open, SECURE),
    ];
    bench.rows.extend(rows);
    for (peer, held) in &peers {
        bench.rows.extend([
            over(row(ws, "agent", &agent.open, PLAIN), peer.name(), &agent.open, &held.open),
            over(row(ws_pushed, "agent", &agent.pushed, PLAIN), peer.name(), &agent.pushed, &held.pushed),
        ]);
    }
    Ok(())
}

/// The peers that can be measured.
fn peers(bench: &mut Bench) -> anyhow::Result<Vec<(Peer, Held)>> {
    let mut there = Vec::new();
    for peer in Peer::ALL {
        // Says what is missing, once.
        if !bench.peers(SECTION, &[peer])?.is_empty() {
            there.push((peer, Held::default()));
        }
    }
    Ok(there)
}
