//! The curves as SVG: what each window catches, and how many keys it remembers.

use plotters::prelude::*;

use super::engine::Outcome;
use super::figures::{Figures, show_window};

const SIZE: (u32, u32) = (760, 420);

/// The drawing.
pub(crate) fn draw(figures: &Figures) -> Result<String, String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        plot(figures, &area).map_err(|error| error.to_string())?;
        area.present().map_err(|error| error.to_string())?;
    }
    Ok(text)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn plot(figures: &Figures, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    // Windows stand side by side in their order: they mostly differ by factors.
    let windows = &figures.windows;
    let places = windows.len().max(2) as f64;
    let keys_most = windows.iter().map(|window| window.keys_peak).max().unwrap_or(1).max(1) as f64;
    let label = |place: &f64| {
        let whole = place.round();
        let at = ((place - whole).abs() < 0.01).then_some(whole as usize);
        let window: Option<&Outcome> = at.and_then(|at| windows.get(at));
        window.map_or_else(String::new, |window| show_window(window.window_ms))
    };
    let mut chart = ChartBuilder::on(area)
        .caption("What each window catches, and how many keys it remembers", ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .right_y_label_area_size(80)
        .build_cartesian_2d(-0.3..places - 0.7, 0.0..100.0)?
        .set_secondary_coord(-0.3..places - 0.7, 0.0..keys_most * 1.05);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(windows.len() * 4 + 8)
        .x_label_formatter(&label)
        .y_label_formatter(&|share| format!("{share:.0}%"))
        .y_desc("caught, of what the longest window catches")
        .x_desc("window")
        .draw()?;
    chart
        .configure_secondary_axes()
        .y_desc("keys at once, at most")
        .y_label_formatter(&|keys| console::show::count(*keys as u64))
        .draw()?;
    let at = |index: usize| index as f64;
    let share = |window: &Outcome| figures.share(window) * 100.0;
    let caught: Vec<(f64, f64)> =
        windows.iter().enumerate().map(|(index, window)| (at(index), share(window))).collect();
    let keys: Vec<(f64, f64)> = windows
        .iter()
        .enumerate()
        .map(|(index, window)| (at(index), window.keys_peak as f64))
        .collect();
    chart
        .draw_series(LineSeries::new(caught.iter().copied(), BLUE.stroke_width(2)))?
        .label("caught")
        .legend(|(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], BLUE.stroke_width(2)));
    chart.draw_series(caught.iter().map(|point| Circle::new(*point, 4, BLUE.filled())))?;
    chart
        .draw_secondary_series(LineSeries::new(keys.iter().copied(), RED.stroke_width(2)))?
        .label("keys at once")
        .legend(|(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], RED.stroke_width(2)));
    chart.draw_secondary_series(keys.iter().map(|point| Circle::new(*point, 4, RED.filled())))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
