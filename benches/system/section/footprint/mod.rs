//! What the agent costs a person's desktop: the real command, built as a service alone, beside an agent on Node that does the
//! same. Its size, its way from exec to listening, its memory with a few pages open, and how often it wakes up for nothing.

mod agent;
mod node;
mod start;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::{Bench, OPENING_BUFFER, Server, progress, sequential, turns};
use crate::peers::until_it_listens;
use crate::process::Process;
use crate::report::{Aim, Ratio, Rounds, Row};
use crate::spec::{Exchange, Rest, Serving, Work};
use agent::Installed;
use node::NodeAgent;
use start::Startable;

pub(crate) const SECTION: &str = "footprint";
/// Tabs that a person has open.
const PAGES: usize = 20;
/// Threads that are there for the start alone are gone by then, and so are tries to reach the login server.
const SETTLED: Duration = Duration::from_secs(15);

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let agent = Installed::prepare(bench).context("the agent of a desktop")?;
    let node = if bench.args.peers { NodeAgent::prepare(bench, &agent).map(Some) } else { Ok(None) };
    let node = node.unwrap_or_else(|reason| {
        bench.miss(SECTION, node::NAME, &reason);
        None
    });
    let mut rows = size(&agent, node.as_ref())?;
    rows.extend(starts(bench, &agent, node.as_ref())?);
    rows.push(handshake(bench, &agent)?);
    rows.extend(rests(bench, &agent, node.as_ref())?);
    bench.rows.extend(rows);
    Ok(())
}

fn size(agent: &Installed, node: Option<&NodeAgent>) -> anyhow::Result<Vec<Row>> {
    let megabytes = |path: &Path| -> anyhow::Result<f64> {
        Ok(std::fs::metadata(path).with_context(|| path.display().to_string())?.len() as f64 / 1e6)
    };
    let ours = megabytes(&agent.program)?;
    let mut row = Row::new(SECTION, "program, stripped", agent::NAME, ours, "MB");
    if let Some(node) = node {
        let theirs = megabytes(&node.runtime)?;
        row = row.against("Node itself", theirs, Ratio::once(ours, theirs));
    }
    Ok(vec![row.aim(Aim::FigureAtMost(4.0))])
}

fn starts(bench: &Bench, agent: &Installed, node: Option<&NodeAgent>) -> anyhow::Result<Vec<Row>> {
    let rounds = bench.args.few(11, 31);
    progress(&format!("footprint: {rounds} starts"));
    let [mut listening, mut answering, mut node_listening, mut node_answering] =
        std::array::from_fn(|_| Rounds::default());
    for _ in 0..rounds {
        let started = agent.start()?;
        listening.add(started.listening);
        answering.add(started.answering);
        if let Some(node) = node {
            let started = node.start()?;
            node_listening.add(started.listening);
            node_answering.add(started.answering);
        }
    }
    let row = |what: &str, ours: &Rounds, theirs: &Rounds| {
        let row = Row::new(SECTION, what, agent::NAME, ours.median(), "ms").n(rounds);
        if node.is_some() { row.against(node::NAME, theirs.median(), ours.over(theirs)) } else { row }
    };
    Ok(vec![
        row("exec to listening, all ports", &listening, &node_listening).aim(Aim::FigureAtMost(5.0)),
        row("exec to the first answer", &answering, &node_answering),
    ])
}

/// What being small costs: the section `handshake` measures the agent built for speed.
fn handshake(bench: &mut Bench, agent: &Installed) -> anyhow::Result<Row> {
    let (rounds, count) = (bench.args.rounds(), bench.args.few(100, 400));
    progress(&format!("footprint: {rounds} rounds of handshakes"));
    let servers = [agent.serve()?, bench.floor_tungstenite(None, OPENING_BUFFER)?];
    let mut micros: [Rounds; 2] = Default::default();
    for round in 0..rounds {
        for at in turns(round, servers.len()) {
            let seen = bench.load(&servers[at], false, sequential(count))?;
            micros[at].add(seen.server_cpu as f64 / 1e3 / count as f64);
        }
    }
    let [ours, floor] = micros;
    let row = Row::new(SECTION, "handshake, server's CPU, built small", agent::NAME, ours.median(), "µs");
    Ok(row.n(rounds * count).against(&servers[1].name, floor.median(), ours.over(&floor)))
}

fn rests(bench: &mut Bench, agent: &Installed, node: Option<&NodeAgent>) -> anyhow::Result<Vec<Row>> {
    let seconds = bench.args.few(30, 60) as u64;
    progress(&format!("footprint: two rests of {seconds} s for each agent"));
    let ours = rest(bench, &agent.serve()?, seconds)?;
    let theirs = node.map(|node| rest(bench, &node.serve()?, seconds)).transpose()?;
    let row = |what: &str, of: fn(&Rested) -> f64, unit: &'static str| {
        let row = Row::new(SECTION, what, agent::NAME, of(&ours), unit);
        match &theirs {
            Some(theirs) => row.against(node::NAME, of(theirs), Ratio::once(of(&ours), of(theirs))),
            None => row,
        }
    };
    Ok(vec![
        row("resident, no page", |rested| rested.alone_mb, "MB"),
        row("resident, 20 pages", |rested| rested.open_mb, "MB").n(PAGES).aim(Aim::FigureAtMost(5.0)),
        row("wake-ups at rest, no page, in 60 s", |rested| rested.alone_wakes, "").aim(Aim::FigureAtMost(0.0)),
        row("timer wake-ups, 20 pages, in 10 s", |rested| rested.timer_wakes / 6.0, "")
            .n(PAGES)
            .aim(Aim::FigureAtMost(1.0)),
        row("reads that woke it, 20 pages, in 10 s", |rested| rested.read_wakes / 6.0, "").n(PAGES),
    ])
}

impl Server {
    /// A program that listens on two ports of its own choice.
    fn of_a_desktop(name: &str, process: Process, port: u16, secure: u16) -> anyhow::Result<Self> {
        until_it_listens(secure)?;
        Ok(Self {
            name: name.to_owned(),
            process,
            serving: Serving { port, wss_port: Some(secure), trigger: None },
            exchange: Exchange::Loopkey,
            path: "/v1".to_owned(),
            authority: None,
            identity: None,
        })
    }
}

/// What an agent does when it has nothing to do. Wake-ups are those of a minute.
struct Rested {
    alone_mb: f64,
    open_mb: f64,
    alone_wakes: f64,
    timer_wakes: f64,
    read_wakes: f64,
}

fn rest(bench: &mut Bench, server: &Server, seconds: u64) -> anyhow::Result<Rested> {
    crate::machine::rest(SETTLED);
    let mut seen = |pages| -> anyhow::Result<Rest> {
        let outcome = bench.load(server, false, Work::Rest { pages, seconds })?;
        outcome.rest.context("what the driver has seen at rest")
    };
    let (alone, open) = (seen(0)?, seen(PAGES)?);
    let a_minute = |wakes: u64| wakes as f64 * 60.0 / seconds as f64;
    Ok(Rested {
        alone_mb: alone.resident as f64 / 1e6,
        open_mb: open.resident as f64 / 1e6,
        alone_wakes: a_minute(alone.wakes),
        timer_wakes: a_minute(open.wakes.saturating_sub(open.read_wakes)),
        read_wakes: a_minute(open.read_wakes),
    })
}
