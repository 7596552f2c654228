//! Whether the machine was quiet enough to believe what was measured.

use serde::Serialize;

use crate::machine;
use crate::spec::Outcome;

/// Waiting for a core that somebody else had, of the time that was measured.
const MOST_WAITED: f64 = 0.02;
/// Time that the hypervisor gave to somebody else.
const MOST_STOLEN: f64 = 0.01;
/// How far the slow tenth of a fixed piece of work may be from the fast tenth.
const MOST_SPREAD: f64 = 1.15;

/// What is watched while the suite runs.
pub(crate) struct Noise {
    before: (u64, u64),
    wall: u64,
    waited: u64,
    spins: Vec<u64>,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) noisy: bool,
    /// Of the measured time, how much server and driver waited for their cores.
    pub(crate) waited: f64,
    /// Of the machine's time, how much the hypervisor took.
    pub(crate) stolen: f64,
    /// Slow tenth over fast tenth of a fixed piece of work.
    pub(crate) spread: f64,
    pub(crate) says: String,
}

impl Noise {
    pub(crate) fn watch() -> Self {
        Self { before: machine::jiffies(), wall: 0, waited: 0, spins: Vec::new() }
    }

    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.wall += outcome.wall;
        self.waited += outcome.waited;
        self.spins.extend(&outcome.spins);
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let (all, stolen) = machine::jiffies();
        let stolen = (stolen - self.before.1) as f64 / ((all - self.before.0) as f64).max(1.0);
        let waited = self.waited as f64 / (self.wall as f64).max(1.0);
        let mut spins = self.spins.clone();
        spins.sort_unstable();
        let at = |share: f64| spins.get(((spins.len() as f64 - 1.0) * share).round() as usize).copied().unwrap_or(1);
        let spread = at(0.9) as f64 / (at(0.1) as f64).max(1.0);
        let mut reasons = Vec::new();
        if waited > MOST_WAITED {
            reasons.push(format!("others had the cores for {:.1} % of the measured time", waited * 100.0));
        }
        if stolen > MOST_STOLEN {
            reasons.push(format!("the hypervisor took {:.1} % of the machine", stolen * 100.0));
        }
        if spread > MOST_SPREAD {
            reasons.push(format!("the same piece of work took up to {spread:.2} times as long"));
        }
        let noisy = !reasons.is_empty();
        let says = if noisy {
            format!("TOO NOISY TO BELIEVE: {}", reasons.join("; "))
        } else {
            format!("quiet: others had the cores for {:.1} % of the measured time", waited * 100.0)
        };
        Verdict { noisy, waited, stolen, spread, says }
    }
}
