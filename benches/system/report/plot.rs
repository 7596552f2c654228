//! Plots as SVG, for the documentation.

use std::path::Path;

use anyhow::anyhow;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
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
    /// Draws it, the axis across logarithmic. So is the other one, where what grows in proportion is a straight line; figures
    /// that are within a decade stand on one that begins at nothing.
    pub(crate) fn draw(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(self.file).with_extension("svg");
        self.draw_to(&path).map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))
    }

    fn draw_to(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let ys = |from: f64| {
            let points = self.curves.iter().flat_map(|curve| &curve.points);
            points.filter(move |point| point.0 >= from).map(|point| point.1)
        };
        let (least, most) = (ys(0.0).fold(f64::INFINITY, f64::min), ys(0.0).fold(0.0, f64::max));
        // The names are in the lower right corner, below every point that is there.
        let height = (self.curves.len() as f64 * NAME_HEIGHT + NAMES_MARGIN) / PLOT_HEIGHT;
        let across = self.across();
        let over_names = ys((across.start * across.end).sqrt()).fold(f64::INFINITY, f64::min);
        if most < 10.0 * least {
            let top = most * 1.1;
            // Where the names would cover a point, they stand below nothing.
            let bottom = ((over_names - height * top) / (1.0 - height)).min(0.0);
            self.draw_on(path, bottom..top)
        } else {
            let top = most * 2.0;
            let bottom = ((over_names.ln() - height * top.ln()) / (1.0 - height)).exp().min(least / 1.5);
            self.draw_on(path, (bottom..top).log_scale())
        }
    }

    fn across(&self) -> std::ops::Range<f64> {
        let points = || self.curves.iter().flat_map(|curve| &curve.points).map(|point| point.0);
        points().fold(f64::INFINITY, f64::min)..points().fold(0.0, f64::max) * 1.1
    }

    fn draw_on<Up>(&self, path: &Path, up: Up) -> Result<(), Box<dyn std::error::Error>>
    where
        Up: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
    {
        let area = SVGBackend::new(path, (720, 440)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(72)
            .build_cartesian_2d(self.across().log_scale(), up)?;
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
        // Grouped by thousands.
        1_000.0..1_000_000.0 => format!("{},{:03}", (value / 1e3).floor(), (value % 1e3).round()),
        ..0.0 => String::new(),
        _ => format!("{value}"),
    }
}
