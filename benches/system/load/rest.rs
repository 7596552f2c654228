//! How often a server wakes up while nobody wants anything of it. Pages answer its heartbeats, and what that wakes it for is
//! counted apart: a heartbeat comes from a timer, its answer from a socket.

use std::time::Duration;

use super::Pages;
use super::fleet::Fleet;
use crate::machine::{self, resident, rest, wakes};
use crate::spec::{Outcome, Rest};

/// An agent lets few be under way at once, and a person opens them one by one.
const AT_ONCE: usize = 4;
/// From then on nothing of the opening is under way.
const QUIET: Duration = Duration::from_millis(1500);
/// A server that was woken sleeps again by then.
const DONE: Duration = Duration::from_millis(20);
/// The longest look at the sockets.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) fn run(pages: &mut Pages, open: usize, seconds: u64) -> anyhow::Result<Outcome> {
    let mut fleet = Fleet::new(open)?;
    for begun in (0..open).step_by(AT_ONCE) {
        fleet.open(pages, AT_ONCE.min(open - begun))?;
    }
    rest(QUIET);
    let pids = &pages.target.pids;
    let (since, before) = (machine::now(), wakes(pids));
    let mut read_wakes = 0;
    while since.elapsed() < Duration::from_secs(seconds) {
        if fleet.wait(Some(LOOK))? {
            // All that is to come at this beat.
            rest(DONE);
            let unanswered = wakes(pids);
            fleet.take_in(|_, _| {})?;
            rest(DONE);
            read_wakes += wakes(pids).saturating_sub(unanswered);
        }
    }
    let seen = Rest { resident: resident(pids), wakes: wakes(pids).saturating_sub(before), read_wakes };
    Ok(Outcome { rest: Some(seen), count: open as u64, ..Outcome::default() })
}
