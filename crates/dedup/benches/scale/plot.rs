//! Draws what a key costs against how many there are.

use std::path::Path;

use plotters::prelude::{
    BLACK, BLUE, ChartBuilder, Circle, GREEN, IntoDrawingArea, IntoLogRange, LineSeries, RED,
    SVGBackend, WHITE,
};
use plotters::style::{Color, RGBColor};
use serde_json::Value;

/// Keys, and ns a key.
type Points = Vec<(f64, f64)>;

/// Reads lines of JSON as the parts print them, and draws time a key for each part.
pub(crate) fn draw(from: &Path, to: &Path) {
    let text = std::fs::read_to_string(from).unwrap();
    let lines: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let points = |part: &str, field: &str| -> Points {
        let of_part = lines.iter().filter(|line| line["part"] == part);
        let mut points: Points = of_part
            .filter_map(|line| Some((line["keys"].as_f64()?, line[field].as_f64()?)))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let series: [(&str, RGBColor, Points); 3] = [
        ("Onceflow", BLUE, points("grow", "wall_ns")),
        ("fjall", RED, points("fjall", "wall_ns")),
        ("Redis SET NX EX, -P 64", GREEN, points("redis", "wall_ns")),
    ];
    let highest = series.iter().flat_map(|(_, _, points)| points).map(|(_, ns)| *ns);
    let top = highest.fold(1_000.0, f64::max) * 1.5;
    let area = SVGBackend::new(to, (720, 420)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .caption("Time a key, synced, by keys that live", ("sans-serif", 16))
        .build_cartesian_2d((5e5..2e8).log_scale(), (100.0..top).log_scale())
        .unwrap();
    chart
        .configure_mesh()
        .x_desc("keys")
        .y_desc("ns a key")
        .x_label_formatter(&|keys| format!("{:.0}M", keys / 1e6))
        .y_label_formatter(&|ns| format!("{ns:.0}"))
        .draw()
        .unwrap();
    for (name, colour, points) in series {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))
            .unwrap()
            .label(name)
            .legend(move |at| Circle::new(at, 4, colour.filled()));
        chart
            .draw_series(points.into_iter().map(|at| Circle::new(at, 4, colour.filled())))
            .unwrap();
    }
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw().unwrap();
    area.present().unwrap();
}
