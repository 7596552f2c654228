//! The servers under test that are ours: the agent, and what it is measured against.

mod agent;
mod bare;
mod floor_tungstenite;
mod floor_write_loop;

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;

use crate::spec::{ExecSpec, ServeKind, ServeSpec};
use crate::{machine, process};

/// Descriptors that 10,000 pages need, and what else there is.
const DESCRIPTORS: u64 = 12_500;

/// Serves until the orchestrator is gone.
pub(crate) fn run(spec: ServeSpec) -> anyhow::Result<()> {
    machine::raise_descriptors(DESCRIPTORS)?;
    machine::pin(&spec.cores)?;
    machine::hurry();
    process::end_with_stdin();
    match spec.kind {
        ServeKind::Agent(spec) => agent::run(spec),
        ServeKind::FloorTungstenite(spec) => floor_tungstenite::run(spec),
        ServeKind::FloorWriteLoop(spec) => floor_write_loop::run(&spec),
    }
}

/// Becomes another program, on its core and with as many descriptors.
pub(crate) fn become_another(spec: &ExecSpec) -> anyhow::Result<()> {
    machine::raise_descriptors(DESCRIPTORS)?;
    machine::pin(&spec.cores)?;
    machine::hurry();
    let error = Command::new(&spec.program).args(&spec.arguments).exec();
    Err(error).with_context(|| spec.program.display().to_string())
}
