//! From `connect()` to `ready`: with everything on, against the same round trips and the same two signatures with nothing else.

use super::{Bench, OPENING_BUFFER, Server, progress, turns};
use crate::peers::Peer;
use crate::report::{Aim, Rounds, Row, micros_at};
use crate::spec::{Again, Work};

pub(crate) const SECTION: &str = "handshake";
/// Pages that open their sockets at the same time.
const AT_ONCE: usize = 16;
/// A round's pages one after the other come in so many parts, and between two of one server's parts the others have their turn:
/// what a processor takes for the same work changes within a second.
const PARTS: usize = 8;

/// One way to open a page, and what it took.
struct Way<'a> {
    what: &'static str,
    server: &'a Server,
    secure: bool,
    again: Again,
    part: Part,
    p50: Rounds,
    p99: Rounds,
    open: Rounds,
    cpu: Rounds,
    rate: Rounds,
    reads: Rounds,
    round_trips: Rounds,
    resumed: Rounds,
}

/// What a round has seen so far.
#[derive(Default)]
struct Part {
    times: Vec<u64>,
    opens: Vec<u64>,
    count: u64,
    server_cpu: u64,
    reads: u64,
    round_trips: u64,
    tls_resumed: u64,
}

impl<'a> Way<'a> {
    fn new(what: &'static str, server: &'a Server, secure: bool, again: Again) -> Self {
        let [p50, p99, open, cpu, rate, reads, round_trips, resumed] = std::array::from_fn(|_| Rounds::default());
        let part = Part::default();
        Self { what, server, secure, again, part, p50, p99, open, cpu, rate, reads, round_trips, resumed }
    }

    /// A part of a round.
    fn open_some(&mut self, bench: &mut Bench) -> anyhow::Result<()> {
        let count = bench.args.few(200, 600) / PARTS;
        let work = Work::Sequential { count, warm_up: count / 10, again: self.again };
        let seen = bench.load(self.server, self.secure, work)?;
        self.part.times.extend(&seen.times);
        self.part.opens.extend(&seen.opens);
        for (sum, new) in [
            (&mut self.part.count, seen.count),
            (&mut self.part.server_cpu, seen.server_cpu),
            (&mut self.part.reads, seen.reads),
            (&mut self.part.round_trips, seen.round_trips),
            (&mut self.part.tls_resumed, seen.tls_resumed),
        ] {
            *sum += new;
        }
        Ok(())
    }

    /// What the parts of a round were together.
    fn end_round(&mut self) {
        let seen = std::mem::take(&mut self.part);
        let each = |sum: u64| sum as f64 / seen.count as f64;
        self.p50.add(micros_at(0.5, &seen.times));
        self.p99.add(micros_at(0.99, &seen.times));
        self.open.add(micros_at(0.5, &seen.opens));
        self.cpu.add(each(seen.server_cpu) / 1e3);
        self.reads.add(each(seen.reads));
        self.round_trips.add(each(seen.round_trips));
        self.resumed.add(each(seen.tls_resumed));
    }

    fn open_many(&mut self, bench: &mut Bench) -> anyhow::Result<()> {
        if self.again == Again::Full {
            let work = Work::Concurrent { count: bench.args.few(1000, 3000), at_once: AT_ONCE, held: 0 };
            let seen = bench.load(self.server, self.secure, work)?;
            self.rate.add(seen.count as f64 / (seen.wall as f64 / 1e9));
        }
        Ok(())
    }

    fn row(&self, what: &str, of: impl Fn(&Self) -> &Rounds, unit: &'static str) -> Row {
        Row::new(SECTION, &format!("{}: {what}", self.what), &self.server.name, of(self).median(), unit)
    }

    /// A row with the ratio to the same figure of another way.
    fn row_over(&self, what: &str, of: impl Fn(&Self) -> &Rounds, unit: &'static str, floor: &Self) -> Row {
        let (ratio, figure) = (of(self).over(of(floor)), of(floor).median());
        self.row(what, of, unit).against(&floor.server.name, figure, ratio)
    }
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let agent = bench.agent(true)?;
    let floor = bench.floor_tungstenite(None, OPENING_BUFFER)?;
    let secure_floor = bench.floor_tungstenite(Some(&agent), OPENING_BUFFER)?;
    let raw = bench.floor_write_loop()?;
    let peers = bench.peers(SECTION, &[Peer::NodeWs, Peer::Bun])?;
    let mut ways = vec![
        Way::new("ws", &agent, false, Again::Full),
        Way::new("ws", &floor, false, Again::Full),
        Way::new("ws, by ticket", &agent, false, Again::Ticket),
        Way::new("ws, no cryptography", &raw, false, Again::Full),
        Way::new("wss", &agent, true, Again::Full),
        Way::new("wss", &secure_floor, true, Again::Full),
        Way::new("wss, TLS resumed", &agent, true, Again::TlsSession),
        Way::new("wss, TLS resumed", &secure_floor, true, Again::TlsSession),
    ];
    ways.extend(peers.iter().map(|peer| Way::new("ws", peer, false, Again::Full)));
    for round in 0..bench.args.rounds() {
        progress(&format!("handshake: round {} of {}", round + 1, bench.args.rounds()));
        for part in 0..PARTS {
            for at in turns(round + part, ways.len()) {
                ways[at].open_some(bench)?;
            }
        }
        ways.iter_mut().for_each(Way::end_round);
        for at in turns(round, ways.len()) {
            ways[at].open_many(bench)?;
        }
    }
    let [full, bare, ticket, raw, wss, rustls, resumed, rustls_resumed, peers @ ..] = ways.as_slice() else {
        return Ok(());
    };
    let rows = [
        full.row_over("p50", |way| &way.p50, "µs", bare).aim(Aim::AtMost(1.10)),
        full.row_over("p99", |way| &way.p99, "µs", bare).aim(Aim::AtMost(1.3)),
        full.row_over("server's CPU", |way| &way.cpu, "µs", bare).aim(Aim::AtMost(1.15)),
        full.row_over("16 at once", |way| &way.rate, "/s", bare),
        full.row_over("reads of the page", |way| &way.reads, "", bare),
        full.row_over("round trips", |way| &way.round_trips, "", bare),
        full.row_over("open to ready, p50", |way| &way.open, "µs", bare),
        full.row_over("open to ready, slower than by ticket", |way| &way.open, "µs", ticket),
        full.row_over("p50, slower than by ticket", |way| &way.p50, "µs", ticket).aim(Aim::AtLeast(3.0)),
        // About what a ticket could gain at most.
        full.row_over("open to ready, slower than without cryptography", |way| &way.open, "µs", raw),
        ticket.row_over("p50", |way| &way.p50, "µs", raw),
        ticket.row_over("p99", |way| &way.p99, "µs", raw),
        ticket.row_over("server's CPU", |way| &way.cpu, "µs", raw),
        ticket.row_over("open to ready, p50", |way| &way.open, "µs", raw),
        raw.row("p50", |way| &way.p50, "µs"),
        raw.row("server's CPU", |way| &way.cpu, "µs"),
        raw.row("16 at once", |way| &way.rate, "/s"),
        wss.row_over("p50", |way| &way.p50, "µs", rustls).aim(Aim::AtMost(1.15)),
        wss.row_over("p99", |way| &way.p99, "µs", rustls),
        wss.row_over("server's CPU", |way| &way.cpu, "µs", rustls),
        wss.row_over("16 at once", |way| &way.rate, "/s", rustls),
        resumed.row_over("p50", |way| &way.p50, "µs", rustls_resumed).aim(Aim::AtMost(1.15)),
        resumed.row_over("server's CPU", |way| &way.cpu, "µs", rustls_resumed),
        resumed.row_over("share that was resumed", |way| &way.resumed, "", rustls_resumed),
    ];
    bench.rows.extend(rows);
    for peer in peers {
        let rate = full.row_over("16 at once", |way| &way.rate, "/s", peer);
        let is_the_bar = peer.server.name == Peer::NodeWs.name();
        bench.rows.extend([
            if is_the_bar { rate.aim(Aim::AtLeast(2.0)) } else { rate },
            full.row_over("p50", |way| &way.p50, "µs", peer),
            full.row_over("p99", |way| &way.p99, "µs", peer),
            full.row_over("server's CPU", |way| &way.cpu, "µs", peer),
        ]);
    }
    Ok(())
}
