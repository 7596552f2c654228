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

/// Without this many descriptors there is no point in beginning; what a section needs beyond them the driver knows.
const DESCRIPTORS: u64 = 1_000;

/// Serves until the orchestrator is gone.
pub(crate) fn run(spec: ServeSpec) -> anyhow::Result<()> {
    machine::raise_descriptors(DESCRIPTORS)?;
    machine::pin(&spec.cores)?;
    machine::hurry();
    machine::end_with_parent()?;
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
    machine::end_with_parent()?;
    let error = Command::new(&spec.program).args(&spec.arguments).exec();
    Err(error).with_context(|| spec.program.display().to_string())
}
