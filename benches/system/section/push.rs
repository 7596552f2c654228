//! From the client's `presence.set` to the last of N pages, against a bare write loop over as many sockets.

use super::{Bench, Server, progress, turns};
use crate::peers::Peer;
use crate::report::{Aim, Rounds, Row, micros_at};
use crate::spec::Work;

pub(crate) const SECTION: &str = "push";
/// How many pages.
pub(crate) const PAGES: [usize; 4] = [1, 100, 1_000, 10_000];
/// Pages that never read.
const DEAD: usize = 10;

/// The agent and the write loop; peers come behind them.
const OURS: usize = 2;

/// What a server's pushes to N pages took.
#[derive(Default)]
pub(crate) struct Pushes {
    pub(crate) last: Rounds,
    pub(crate) last_p99: Rounds,
    pub(crate) first: Rounds,
    pub(crate) cpu: Rounds,
    failed: bool,
}

impl Pushes {
    pub(crate) fn measure(&mut self, bench: &mut Bench, server: &Server, work: Work) -> anyhow::Result<()> {
        let seen = bench.load(server, false, work)?;
        self.last.add(micros_at(0.5, &seen.times));
        // Of fewer it would be the slowest one.
        if seen.times.len() >= 100 {
            self.last_p99.add(micros_at(0.99, &seen.times));
        }
        self.first.add(micros_at(0.5, &seen.firsts));
        self.cpu.add(seen.server_cpu as f64 / 1e3 / seen.count as f64);
        Ok(())
    }
}

/// Pushes that are enough for a median at so many pages.
pub(crate) fn work(bench: &Bench, pages: usize) -> Work {
    let pushes = match pages {
        // Each costs as much as waking the server does, which differs from one to the next.
        0..=10 => bench.args.few(400, 3000),
        11..=200 => bench.args.few(100, 300),
        201..=2000 => bench.args.few(30, 60),
        _ => bench.args.few(6, 12),
    };
    Work::Push { pages, warm_up: pushes / 10 + 1, pushes, dead: 0 }
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let mut servers = vec![bench.agent(false)?, bench.floor_write_loop()?];
    servers.extend(bench.peers(SECTION, &Peer::ALL)?);
    for pages in PAGES {
        let mut pushes: Vec<Pushes> = servers.iter().map(|_| Pushes::default()).collect();
        for round in 0..bench.args.rounds() {
            progress(&format!("push to {pages}: round {} of {}", round + 1, bench.args.rounds()));
            for at in turns(round, servers.len()) {
                if pushes[at].failed {
                    continue;
                }
                let work = work(bench, pages);
                match pushes[at].measure(bench, &servers[at], work) {
                    // A peer that does not stand it is named, and the others go on.
                    Err(reason) if at >= OURS => {
                        pushes[at].failed = true;
                        bench.miss(SECTION, &servers[at].name, &reason);
                    }
                    other => other?,
                }
            }
        }
        report(bench, pages, &servers, &pushes);
        let mut failed = pushes.iter().map(|pushes| pushes.failed);
        servers.retain(|_| failed.next() == Some(false));
    }
    never_read(bench)
}

fn report(bench: &mut Bench, pages: usize, servers: &[Server], pushes: &[Pushes]) {
    let (agent, floor) = (&pushes[0], &pushes[1]);
    let row = |what: &str, of: fn(&Pushes) -> &Rounds, unit| {
        let (ours, floor) = (of(agent), of(floor));
        let row = Row::new(SECTION, what, &servers[0].name, ours.median(), unit).n(pages);
        row.against(&servers[1].name, floor.median(), ours.over(floor))
    };
    if pages == 1 {
        let over = agent.last.median() - floor.last.median();
        let row = Row::new(SECTION, "one page: p50 over the floor", &servers[0].name, over, "µs").n(1);
        bench.rows.push(row.aim(Aim::FigureAtMost(100.0)));
    }
    bench.rows.push(row("to the last page, p50", |pushes| &pushes.last, "µs"));
    if !agent.last_p99.is_empty() {
        bench.rows.push(row("to the last page, p99", |pushes| &pushes.last_p99, "µs"));
    }
    bench.rows.extend([
        row("to the first page, p50", |pushes| &pushes.first, "µs"),
        row("server's CPU a message", |pushes| &pushes.cpu, "µs").aim(Aim::AtMost(1.15)),
    ]);
    for (peer, figures) in servers.iter().zip(pushes).skip(OURS).filter(|(_, pushes)| !pushes.failed) {
        let row = |what: &str, of: fn(&Pushes) -> &Rounds| {
            let (ours, theirs) = (of(agent), of(figures));
            let row = Row::new(SECTION, what, &servers[0].name, ours.median(), "µs").n(pages);
            row.against(&peer.name, theirs.median(), ours.over(theirs)).aim(Aim::AtMost(1.0))
        };
        bench.rows.extend([
            row("to the last page, p50", |pushes| &pushes.last),
            row("server's CPU a message", |pushes| &pushes.cpu),
        ]);
    }
}

/// A hundred pages, with and without ten more that never read, while so much is pushed that nothing more fits their buffers.
fn never_read(bench: &mut Bench) -> anyhow::Result<()> {
    let [mut alone, mut beside] = [Pushes::default(), Pushes::default()];
    let pushes = bench.args.few(300, 1000);
    for round in 0..bench.args.rounds() {
        progress(&format!("push beside pages that never read: round {} of {}", round + 1, bench.args.rounds()));
        for at in turns(round, 2) {
            // An agent of its own: what the silent ones leave is gone with it.
            let agent = bench.agent(false)?;
            let (figures, dead) = if at == 0 { (&mut alone, 0) } else { (&mut beside, DEAD) };
            figures.measure(bench, &agent, Work::Push { pages: 100, warm_up: 3 * pushes, pushes, dead })?;
        }
    }
    let row = |what: &str, of: fn(&Pushes) -> &Rounds| {
        let (beside, alone) = (of(&beside), of(&alone));
        let row = Row::new(SECTION, what, "agent", beside.median(), "µs").n(100);
        row.against("without them", alone.median(), beside.over(alone))
    };
    bench.rows.extend([
        row("beside 10 that never read, last p50", |pushes| &pushes.last).aim(Aim::AtMost(1.05)),
        row("beside 10 that never read, last p99", |pushes| &pushes.last_p99),
    ]);
    Ok(())
}
