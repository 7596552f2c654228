//! What the orchestrator is asked to measure.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// A part of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    Handshake,
    Push,
    Memory,
    Growth,
    Footprint,
}

/// The system benchmarks. `./bench --help` says more.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// What to measure; nothing named is a short run of handshake and push, for `cargo bench`.
    #[arg(value_enum)]
    pub(crate) sections: Vec<Section>,
    /// Measures the peers too. `./bench --peers` installs them.
    #[arg(long)]
    pub(crate) peers: bool,
    /// Where `./bench` has put the peers that come from npm.
    #[arg(long, default_value = "target/bench-peers")]
    pub(crate) peers_folder: PathBuf,
    /// Fewer and shorter rounds.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Where results.json and the plots go.
    #[arg(long, default_value = "target/bench")]
    pub(crate) out: PathBuf,
    /// Puts the plots there too.
    #[arg(long)]
    pub(crate) publish: Option<PathBuf>,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    pub(crate) fn of_this_process() -> Self {
        let mut args = Self::parse();
        if args.sections.is_empty() {
            args.sections = vec![Section::Handshake, Section::Push];
            args.quick = true;
        }
        args
    }

    /// Rounds of everything, of which the medians are printed.
    pub(crate) const fn rounds(&self) -> usize {
        if self.quick { 5 } else { 9 }
    }

    /// Descriptors that each process needs: one for each page, and a few more.
    pub(crate) fn descriptors(&self) -> u64 {
        let many = [Section::Push, Section::Memory, Section::Growth];
        if self.sections.iter().any(|section| many.contains(section)) { 10_000 + 300 } else { 1024 }
    }

    /// The smaller number where the run is to be quick.
    pub(crate) const fn few(&self, quick: usize, full: usize) -> usize {
        if self.quick { quick } else { full }
    }
}
