//! Whether the machine was quiet enough to believe what was measured.

use std::time::Instant;

use serde::Serialize;

use crate::machine;
use crate::spec::Outcome;

/// What others may have of the two cores while something is measured.
const MOST_TAKEN: f64 = 0.05;
/// What the hypervisor may give to somebody else.
const MOST_STOLEN: f64 = 0.01;
/// How far the slow tenth of a fixed piece of work may be from the fast tenth.
const MOST_SPREAD: f64 = 1.15;

/// What is watched while the suite runs.
pub(crate) struct Noise {
    since: Instant,
    stolen_before: u64,
    wall: u64,
    busy: u64,
    ours: u64,
    spins: Vec<u64>,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) noisy: bool,
    /// Of the two cores, what others had while something was measured.
    pub(crate) taken: f64,
    /// Of the two cores, what the hypervisor took.
    pub(crate) stolen: f64,
    /// Slow tenth over fast tenth of a fixed piece of work.
    pub(crate) spread: f64,
    pub(crate) says: String,
}

impl Noise {
    pub(crate) fn watch() -> Self {
        let (_, stolen_before) = machine::busy_and_stolen();
        Self { since: machine::now(), stolen_before, wall: 0, busy: 0, ours: 0, spins: Vec::new() }
    }

    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.wall += outcome.wall;
        self.busy += outcome.busy;
        self.ours += outcome.server_cpu + outcome.own_cpu;
        self.spins.extend(&outcome.spins);
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let share = |part: u64, wall: u64| part as f64 / (2.0 * wall as f64).max(1.0);
        let taken = share(self.busy.saturating_sub(self.ours), self.wall);
        let stolen = machine::busy_and_stolen().1 - self.stolen_before;
        let stolen = share(stolen, machine::nanos(self.since.elapsed()));
        let mut spins = self.spins.clone();
        spins.sort_unstable();
        let at = |share: f64| spins.get(((spins.len() as f64 - 1.0) * share).round() as usize).copied().unwrap_or(1);
        let spread = at(0.9) as f64 / (at(0.1) as f64).max(1.0);
        let mut reasons = Vec::new();
        if taken > MOST_TAKEN {
            reasons.push(format!("others had {:.0} % of the two cores", taken * 100.0));
        }
        if stolen > MOST_STOLEN {
            reasons.push(format!("the hypervisor took {:.1} % of them", stolen * 100.0));
        }
        if spread > MOST_SPREAD {
            reasons.push(format!("the same piece of work took up to {spread:.2} times as long"));
        }
        let (noisy, watched) = (!reasons.is_empty(), self.wall / 1_000_000_000);
        let says = if noisy {
            format!("TOO NOISY TO BELIEVE: in the {watched} s that were watched, {}", reasons.join("; "))
        } else {
            format!("quiet: in the {watched} s that were watched, others had {:.1} % of the two cores", taken * 100.0)
        };
        Verdict { noisy, taken, stolen, spread, says }
    }
}
