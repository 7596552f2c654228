//! What holds the agent's ports for it, before `loopkey stop`.

use crate::cli::Global;
use crate::config;
use crate::install::{self, Homes, Record, StartsBy};

/// Where systemd holds the port of the agent that is meant, the next page would start it again.
pub(in crate::cli) fn release(global: &Global) {
    let homes = Homes::of_this_user().ok();
    let Some(record) = homes.and_then(|homes| Record::read(&homes.record()).ok().flatten()) else { return };
    let installed = config::load(&record.config, config::Kind::Agent, config::agent);
    if record.starts_by == StartsBy::Systemd
        && installed.is_ok_and(|settings| settings.control == global.control_path())
        && let Err(error) = install::release_by_systemd()
    {
        tracing::warn!("the next page starts the agent again: {error}");
    }
}
