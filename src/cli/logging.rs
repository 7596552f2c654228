//! Where the program's log goes: standard error. The library only emits; it installs nothing.

use std::io::IsTerminal as _;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Failure, Global};

pub(super) fn start(global: &Global, usual: &str) -> Result<(), Failure> {
    let levels = global.log.as_deref().unwrap_or(usual);
    let targets: Targets = levels
        .parse()
        .map_err(|error| Failure::misused(format!("--log {levels:?}: {error}; try info, or warn,loopkey=debug")))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines =
        if global.log_json { lines.json().boxed() } else { lines.with_ansi(std::io::stderr().is_terminal()).boxed() };
    tracing_subscriber::registry().with(lines.with_filter(targets)).try_init().map_err(Failure::failed)
}
