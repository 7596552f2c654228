//! Percentiles, and one table at the end.

use std::fmt::Display;
use std::time::Duration;

/// Times of one thing, measured many times.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that the given share of the samples does not exceed.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = ((sorted.len() as f64 - 1.0) * share).round() as usize;
        sorted[at]
    }
}

/// Prints what was measured, each beside the first row, which is the floor.
#[expect(clippy::print_stdout, reason = "a benchmark's answer goes to standard output")]
pub(crate) fn print(title: impl Display, rows: &[(&str, &Samples)]) {
    println!("\n{title}");
    println!("  {:<52} {:>10} {:>10} {:>8}", "", "p50", "p99", "× floor");
    let floor = rows[0].1.percentile(0.5);
    for (name, samples) in rows {
        let (p50, p99) = (samples.percentile(0.5), samples.percentile(0.99));
        let ratio = p50.as_secs_f64() / floor.as_secs_f64();
        println!("  {name:<52} {:>7.1} µs {:>7.1} µs {ratio:>8.2}", micros(p50), micros(p99));
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
