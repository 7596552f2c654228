//! What the server holds for pages that do nothing.

use std::time::Duration;

use super::Pages;
use super::fleet::Fleet;
use super::push;
use super::trigger::Publisher;
use crate::machine::{resident, rest};
use crate::spec::{Outcome, WARM_PAGES};

/// Nothing has happened for this long when memory is looked at.
const QUIET: Duration = Duration::from_millis(1500);

pub(crate) fn run(pages: &mut Pages, open: usize) -> anyhow::Result<Outcome> {
    let mut publisher = pages.target.trigger.is_some().then(|| Publisher::connect(&pages.target)).transpose()?;
    let mut fleet = Fleet::new(open)?;
    // What a server makes once, for whoever comes first, is not the price of a socket.
    for id in fleet.open(pages, WARM_PAGES)? {
        fleet.leave(id);
    }
    rest(QUIET);
    let mut outcome = Outcome { count: open as u64, ..Outcome::default() };
    let look = |outcome: &mut Outcome, target: &crate::spec::Target| outcome.memory.push(resident(&target.pids));
    look(&mut outcome, &pages.target);
    fleet.open(pages, open)?;
    rest(QUIET);
    look(&mut outcome, &pages.target);
    if let Some(publisher) = &mut publisher {
        push::one(&mut fleet, publisher, open, &mut Outcome::default())?;
        rest(QUIET);
        look(&mut outcome, &pages.target);
    }
    Ok(outcome)
}
