//! How cost grows with N and with cores: four plots.

mod redeem;
mod stores;

use super::push::{Pushes, work as pushes_to};
use super::{Bench, DRIVER_CORE, OPENING_BUFFER, SERVER_CORE, Server, progress, turns};
use crate::peers::Peer;
use crate::report::{Curve, Plot, Rounds, Row};
use crate::section::memory::Held;
use crate::spec::Work;

pub(crate) const SECTION: &str = "growth";
/// Pages that are open while others open.
const HELD: [usize; 5] = [1, 100, 1_000, 4_000, 10_000];
/// Pages that are pushed to.
const PUSHED: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// Pages that memory is divided by.
const RESIDENT: [usize; 5] = [100, 300, 1_000, 3_000, 10_000];
const AT_ONCE: usize = 16;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let mut plots = vec![handshakes(bench)?, pushes(bench)?, memory(bench)?];
    plots.extend(redeem::run(bench)?);
    plots.extend(stores::run(bench)?);
    for plot in &plots {
        for curve in &plot.curves {
            for (n, figure) in &curve.points {
                bench.rows.push(Row::new(SECTION, plot.title, &curve.name, *figure, plot.unit).n(*n as usize));
            }
        }
    }
    bench.plots.extend(plots);
    Ok(())
}

/// The agent on one core and on two, a floor, and peers where they are asked for.
fn servers(bench: &mut Bench, floor: Server) -> anyhow::Result<Vec<(String, Server)>> {
    let ours = [
        ("agent, 1 core", bench.agent(false)?),
        ("agent, 2 cores", bench.agent_on(false, &[SERVER_CORE, DRIVER_CORE])?),
        ("floor, 1 core", floor),
    ];
    let peers = bench.peers(SECTION, &[Peer::NodeWs, Peer::Bun])?;
    let ours = ours.map(|(name, server)| (name.to_owned(), server));
    Ok(ours.into_iter().chain(peers.into_iter().map(|peer| (peer.name.clone(), peer))).collect())
}

/// One measurement of every server at every N, in turns; the medians are the curves.
fn curves(
    bench: &mut Bench,
    what: &str,
    servers: &[(String, Server)],
    at: &[usize],
    mut measure: impl FnMut(&mut Bench, &Server, usize) -> anyhow::Result<f64>,
) -> anyhow::Result<Vec<Curve>> {
    let mut curves: Vec<_> = servers.iter().map(|(name, _)| Curve { name: name.clone(), points: Vec::new() }).collect();
    let rounds = bench.args.few(1, 3);
    for n in at {
        progress(&format!("growth: {what} at {n}"));
        let mut figures: Vec<_> = servers.iter().map(|_| Rounds::default()).collect();
        for round in 0..rounds {
            for turn in turns(round, servers.len()) {
                figures[turn].add(measure(bench, &servers[turn].1, *n)?);
            }
        }
        for (curve, figures) in curves.iter_mut().zip(&figures) {
            curve.points.push((*n as f64, figures.median()));
        }
    }
    Ok(curves)
}

fn handshakes(bench: &mut Bench) -> anyhow::Result<Plot> {
    let floor = bench.floor_tungstenite(None, OPENING_BUFFER)?;
    let servers = servers(bench, floor)?;
    let curves = curves(bench, "handshakes", &servers, &HELD, |bench, server, held| {
        let work = Work::Concurrent { count: bench.args.few(1000, 3000), at_once: AT_ONCE, held };
        let seen = bench.load(server, false, work)?;
        Ok(seen.count as f64 / (seen.wall as f64 / 1e9))
    })?;
    Ok(Plot {
        file: "handshakes",
        title: "Handshakes a second, 16 at once, beside N pages that are open",
        x: "pages open",
        y: "handshakes a second",
        unit: "/s",
        curves,
    })
}

fn pushes(bench: &mut Bench) -> anyhow::Result<Plot> {
    let floor = bench.floor_write_loop()?;
    let servers = servers(bench, floor)?;
    let curves = curves(bench, "pushes", &servers, &PUSHED, |bench, server, pages| {
        let mut pushes = Pushes::default();
        let work = pushes_to(bench, pages);
        pushes.measure(bench, server, work)?;
        Ok(pushes.last.median())
    })?;
    Ok(Plot {
        file: "push",
        title: "From presence.set to the last of N pages, p50",
        x: "pages",
        y: "µs",
        unit: "µs",
        curves,
    })
}

fn memory(bench: &mut Bench) -> anyhow::Result<Plot> {
    let both = &[SERVER_CORE, DRIVER_CORE];
    let ours: [(&str, bool, &[usize]); 3] = [
        ("agent, ws", false, &[SERVER_CORE]),
        ("agent, ws, 2 cores", false, both),
        ("agent, wss", true, &[SERVER_CORE]),
    ];
    let names = ours.iter().map(|(name, ..)| *name).chain(["write loop, ws"]);
    let mut curves: Vec<_> = names.map(|name| Curve { name: name.to_owned(), points: Vec::new() }).collect();
    for pages in RESIDENT {
        progress(&format!("growth: memory at {pages}"));
        for (at, curve) in curves.iter_mut().enumerate() {
            // One that has served nobody yet.
            let (server, secure) = match ours.get(at) {
                Some((_, secure, cores)) => (bench.agent_on(*secure, cores)?, *secure),
                None => (bench.floor_write_loop()?, false),
            };
            let mut held = Held::default();
            held.measure(bench, &server, secure, pages)?;
            // A logarithm has no nought.
            curve.points.push((pages as f64, held.open.median().max(0.01)));
        }
    }
    Ok(Plot {
        file: "memory",
        title: "Resident memory for each idle socket",
        x: "sockets",
        y: "KiB a socket",
        unit: "KiB",
        curves,
    })
}
