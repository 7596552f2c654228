//! Plots as SVG, for the documentation.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, Color as _, IntoDrawingArea as _, IntoLogRange as _, LineSeries, PathElement,
    RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
};
use plotters::style::colors::full_palette::GREY_200;
use serde::Serialize;

/// Distinct for readers who do not see every colour.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];

/// In the picture's own points: what a curve's name takes, the names' frame, and all that is between the axes' ends.
const NAME_HEIGHT: f64 = 17.0;
const NAMES_MARGIN: f64 = 24.0;
const PLOT_HEIGHT: f64 = 340.0;

/// How something grows.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// Where, and how much.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Curves over one axis.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plot {
    /// The file's name, without its ending.
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    /// What the table says behind the figures.
    pub(crate) unit: &'static str,
    pub(crate) curves: Vec<Curve>,
}

impl Plot {
    /// Draws it, both axes logarithmic: what grows in proportion is a straight line.
    pub(crate) fn draw(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(self.file).with_extension("svg");
        self.draw_to(&path).map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))
    }

    fn draw_to(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let least = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::INFINITY, f64::min);
        let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(0.0, f64::max);
        let (x, y) = (|point: &(f64, f64)| point.0, |point: &(f64, f64)| point.1);
        let x_range = least(x)..most(x) * 1.1;
        // The names are in the lower right corner, below every point that is there.
        let height = (self.curves.len() as f64 * NAME_HEIGHT + NAMES_MARGIN) / PLOT_HEIGHT;
        let beside = (x_range.start * x_range.end).sqrt();
        let over_names = points().filter(|point| point.0 >= beside).map(y).fold(f64::INFINITY, f64::min);
        let top = most(y) * 2.0;
        let bottom = ((over_names.ln() - height * top.ln()) / (1.0 - height)).exp().min(least(y) / 1.5);
        let area = SVGBackend::new(path, (720, 440)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(72)
            .build_cartesian_2d(x_range.log_scale(), (bottom..top).log_scale())?;
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .light_line_style(WHITE)
            .bold_line_style(GREY_200)
            .x_label_formatter(&|value| short(*value))
            .y_label_formatter(&|value| short(*value))
            .draw()?;
        for (curve, colour) in self.curves.iter().zip(COLOURS.iter().cycle()) {
            let line = LineSeries::new(curve.points.iter().copied(), colour.stroke_width(2));
            chart
                .draw_series(line)?
                .label(&curve.name)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
            chart.draw_series(curve.points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.2))
            .draw()?;
        area.present()?;
        Ok(())
    }
}

/// A number on an axis.
fn short(value: f64) -> String {
    match value {
        1_000_000.0.. => format!("{} M", value / 1e6),
        1_000.0..1_000_000.0 => format!("{},000", value / 1e3),
        _ => format!("{value}"),
    }
}
