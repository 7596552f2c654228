//! From `connect()` to `ready`: one after the other, and many under way.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::fleet::Fleet;
use super::page::{Opening, Page};
use super::stream::Stream;
use super::{Measured, Pages};
use crate::machine;
use crate::spec::{Again, Outcome};

/// Between two handshakes, so that what the server does about the end of one is not in the time of the next.
const PAUSE: Duration = Duration::from_micros(150);

/// One handshake, whose time and reads go to the outcome; returns the way to open the next.
fn one(pages: &Pages, opening: Opening, outcome: &mut Outcome) -> anyhow::Result<Option<Opening>> {
    let upgrade = pages.upgrade();
    let mut page = Page::new(pages.target.exchange, opening);
    let (mut buffer, mut out) = ([0; 4096], Vec::new());
    let started = machine::now();
    let mut stream = Stream::connect(pages.target.port, pages.tls.as_ref())?;
    stream.write_all(&upgrade)?;
    let (mut waits, mut said) = (2, started);
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            bail!("the server hung up before the page was open");
        }
        let seen = page.take(&buffer[..read], &mut out)?;
        if seen.ready {
            break;
        }
        if !out.is_empty() {
            said = machine::now();
            stream.write_all(&out)?;
            out.clear();
            waits += 1;
        }
    }
    outcome.times.push(machine::nanos(started.elapsed()));
    outcome.opens.push(machine::nanos(said.elapsed()));
    outcome.reads += stream.reads();
    outcome.round_trips += waits;
    outcome.tls_resumed += u64::from(stream.is_resumed());
    outcome.lengths.ready = page.ready.len();
    stream.close();
    Ok(page.ticket())
}

/// Handshakes one after the other.
pub(crate) fn sequential(pages: &mut Pages, count: usize, warm_up: usize, again: Again) -> anyhow::Result<Outcome> {
    let mut ignored = Outcome::default();
    let first = pages.opening()?;
    let mut ticket = one(pages, first, &mut ignored)?;
    let mut next = |pages: &mut Pages, outcome: &mut Outcome| {
        let opening = match again {
            Again::Ticket => ticket.take().context("a ticket in ready")?,
            Again::Full | Again::TlsSession => pages.opening()?,
        };
        ticket = one(pages, opening, outcome)?;
        machine::spin_for(PAUSE);
        anyhow::Ok(())
    };
    for _ in 0..warm_up {
        next(pages, &mut ignored)?;
    }
    let mut outcome = Outcome::default();
    let measured = Measured::begin(&pages.target);
    for _ in 0..count {
        next(pages, &mut outcome)?;
    }
    measured.end(&pages.target, &mut outcome);
    outcome.count = count as u64;
    Ok(outcome)
}

/// So many handshakes, `at_once` of them under way at any time, beside pages that stay open.
pub(crate) fn concurrent(pages: &mut Pages, count: usize, at_once: usize, held: usize) -> anyhow::Result<Outcome> {
    let mut fleet = Fleet::new(held + at_once)?;
    fleet.open(pages, held)?;
    let mut outcome = Outcome::default();
    // One round of them to warm up.
    let mut left = at_once;
    for _ in 0..at_once {
        fleet.connect(pages)?;
    }
    while left > 0 {
        let mut over = Vec::new();
        fleet.turn(None, |id, seen| {
            if seen.ready {
                over.push(id);
            }
        })?;
        left = left.saturating_sub(over.len());
        for id in over {
            fleet.close(id);
        }
    }
    let measured = Measured::begin(&pages.target);
    let (mut begun, mut done) = (0, 0);
    while begun < at_once.min(count) {
        fleet.connect(pages)?;
        begun += 1;
    }
    while done < count {
        let mut over = Vec::new();
        fleet.turn(None, |id, seen| {
            if seen.ready {
                over.push(id);
            }
        })?;
        for id in over {
            done += 1;
            outcome.times.push(fleet.age(id));
            fleet.close(id);
            if begun < count {
                fleet.connect(pages)?;
                begun += 1;
            }
        }
    }
    measured.end(&pages.target, &mut outcome);
    outcome.count = count as u64;
    Ok(outcome)
}
