//! From the word that starts a push to the first and the last of the pages.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::fleet::Fleet;
use super::trigger::Publisher;
use super::{Measured, Pages};
use crate::machine;
use crate::spec::Outcome;

/// Between two pushes, so that what the server does after one is not in the time of the next.
const PAUSE: Duration = Duration::from_micros(300);
/// A page that has heard nothing by then has not been told.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(
    pages: &mut Pages,
    open: usize,
    warm_up: usize,
    pushes: usize,
    dead: usize,
) -> anyhow::Result<Outcome> {
    let mut publisher = Publisher::connect(&pages.target)?;
    let mut fleet = Fleet::new(open + dead)?;
    fleet.open(pages, open)?;
    let dead = fleet.open(pages, dead)?;
    for id in &dead {
        fleet.forsake(*id)?;
    }
    let mut outcome = Outcome::default();
    outcome.lengths.state = one(&mut fleet, &mut publisher, open, &mut Outcome::default())?;
    for _ in 0..warm_up {
        one(&mut fleet, &mut publisher, open, &mut Outcome::default())?;
    }
    for id in &dead {
        // Else nobody has waited for it yet.
        let (taken, pushed) = (fleet.unread(*id)?, (warm_up as u64 + 1) * outcome.lengths.state as u64);
        ensure!(
            taken < pushed,
            "a page that never reads was sent all that was pushed, {pushed} bytes: push more first"
        );
    }
    let measured = Measured::begin(&pages.target);
    for _ in 0..pushes {
        one(&mut fleet, &mut publisher, open, &mut outcome)?;
    }
    measured.end(&pages.target, &mut outcome);
    outcome.count = (pushes * open) as u64;
    Ok(outcome)
}

/// One push to every page; returns the length of what came.
pub(super) fn one(
    fleet: &mut Fleet,
    publisher: &mut Publisher,
    open: usize,
    outcome: &mut Outcome,
) -> anyhow::Result<usize> {
    let (mut heard, mut first, mut len) = (0, 0, 0);
    let started = machine::now();
    publisher.push()?;
    while heard < open {
        let turned = fleet.turn(Some(PATIENCE), |_, seen| {
            if seen.states > 0 {
                if heard == 0 {
                    first = machine::nanos(started.elapsed());
                }
                heard += 1;
                len = seen.state_len;
            }
        });
        turned.with_context(|| format!("{heard} of {open} pages have heard of a push"))?;
    }
    outcome.times.push(machine::nanos(started.elapsed()));
    outcome.firsts.push(first);
    machine::spin_for(PAUSE);
    publisher.drain()?;
    Ok(len)
}
