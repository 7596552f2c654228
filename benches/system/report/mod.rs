//! What comes out: one table on standard output, and the same as JSON.

mod json;
mod plot;
mod table;

use std::path::Path;

use serde::Serialize;

use crate::machine::Machine;
use crate::noise::Verdict;

pub(crate) use plot::{Curve, Plot};

/// Figures of one thing, a round each.
#[derive(Debug, Default, Clone)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// The rounds' own ratios: what a slow minute of the machine does to both falls out.
    pub(crate) fn over(&self, floor: &Self) -> Ratio {
        let ratios: Vec<_> = self.0.iter().zip(&floor.0).map(|(figure, floor)| figure / floor).collect();
        Ratio { median: median(ratios.clone()), half: (ratios.len() > 2).then(|| middle_half(ratios)) }
    }
}

/// How one thing stands to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    median: f64,
    /// From where to where the middle half of the rounds lies.
    half: Option<(f64, f64)>,
}

impl Ratio {
    /// Of what was measured once.
    pub(crate) const fn once(figure: f64, floor: f64) -> Self {
        Self { median: figure / floor, half: None }
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => figures[len / 2],
        len => f64::midpoint(figures[len / 2 - 1], figures[len / 2]),
    }
}

fn middle_half(mut figures: Vec<f64>) -> (f64, f64) {
    figures.sort_by(f64::total_cmp);
    let quarter = figures.len() / 4;
    (figures[quarter], figures[figures.len() - 1 - quarter])
}

/// The value that this share of the times does not exceed, in microseconds.
pub(crate) fn micros_at(share: f64, times: &[u64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = ((sorted.len() as f64 - 1.0).max(0.0) * share).round() as usize;
    sorted.get(at).copied().unwrap_or(0) as f64 / 1e3
}

/// What is wished for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    /// Of the ratio.
    AtMost(f64),
    /// Of the ratio.
    AtLeast(f64),
    /// Of the figure itself, in its unit.
    FigureAtMost(f64),
}

/// One line of the table.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) section: &'static str,
    pub(crate) what: String,
    pub(crate) server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) n: Option<usize>,
    pub(crate) figure: f64,
    pub(crate) unit: &'static str,
    /// What it is measured against, by name and figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) against: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// From where to where the middle half of the rounds' ratios lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) half: Option<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aim: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) met: Option<bool>,
    /// Not measured here: taken from an earlier measurement, or missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Row {
    pub(crate) fn new(section: &'static str, what: &str, server: &str, figure: f64, unit: &'static str) -> Self {
        Self { section, what: what.to_owned(), server: server.to_owned(), figure, unit, ..Self::default() }
    }

    pub(crate) const fn n(mut self, n: usize) -> Self {
        self.n = Some(n);
        self
    }

    pub(crate) fn against(mut self, name: &str, floor: f64, ratio: Ratio) -> Self {
        (self.against, self.floor) = (Some(name.to_owned()), Some(floor));
        (self.ratio, self.half) = (Some(ratio.median), ratio.half);
        self
    }

    pub(crate) fn note(mut self, note: &str) -> Self {
        self.note = Some(note.to_owned());
        self
    }

    pub(crate) fn aim(mut self, aim: Aim) -> Self {
        let ratio = self.ratio.unwrap_or(f64::NAN);
        let (words, met) = match aim {
            Aim::AtMost(most) => (format!("≤ {most}"), ratio <= most),
            Aim::AtLeast(least) => (format!("≥ {least}"), ratio >= least),
            Aim::FigureAtMost(most) => (format!("≤ {most} {}", self.unit), self.figure <= most),
        };
        (self.aim, self.met) = (Some(words), Some(met));
        self
    }
}

/// Everything that a run has to say.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Whom else was measured, with versions.
    pub(crate) peers: Vec<String>,
    pub(crate) noise: Verdict,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) plots: Vec<Plot>,
}

impl Report {
    /// Prints the table, and writes `results.json` and the plots into the folder; the plots into the other one too.
    pub(crate) fn give(&self, folder: &Path, publish: Option<&Path>) -> anyhow::Result<()> {
        let path = json::write(self, folder)?;
        for folder in [folder].into_iter().chain(publish) {
            std::fs::create_dir_all(folder)?;
            self.plots.iter().try_for_each(|plot| plot.draw(folder))?;
        }
        table::print(self, &path);
        Ok(())
    }
}
