//! Sinks that are called for single events, and dead letters.

use std::fmt::Write as _;

use crate::report::Report;
use crate::show;
use crate::table::Table;

/// Characters of an error that a table shows.
const ERROR_CHARS_MAX: usize = 120;

pub(super) fn sinks(report: &Report, out: &mut String) {
    let mut table = Table::new(&[
        "pipe",
        "sink",
        "#attempts",
        "#failures",
        "#retries",
        "#delivered",
        "#dead",
        "circuit",
        "last error",
    ]);
    for pipe in &report.pipes {
        for sink in &pipe.deliveries {
            table.row([
                pipe.pipe.clone(),
                sink.sink.clone(),
                show::count(sink.attempts),
                show::count(sink.failures),
                show::count(sink.retries),
                show::count(sink.delivered),
                show::count(sink.dead),
                match sink.down_since_ms {
                    Some(since_ms) => format!("{} since {}", sink.circuit, show::time(since_ms)),
                    None => sink.circuit.clone(),
                },
                short(sink.last_error.as_deref().unwrap_or("")),
            ]);
        }
    }
    if !table.is_empty() {
        // Writing to a String can't fail.
        let _ = writeln!(out, "## Deliveries of the last run\n\n{}", table.markdown());
    }
}

pub(super) fn dead(report: &Report, out: &mut String) {
    let mut table =
        Table::new(&["pipe", "#letters open", "#superseded", "#parked events", "#parked bytes"]);
    for pipe in report.pipes.iter().filter(|pipe| pipe.letters_open > 0 || pipe.parked > 0) {
        table.row([
            pipe.pipe.clone(),
            show::count(pipe.letters_open),
            show::count(pipe.letters_superseded),
            show::count(pipe.parked),
            show::bytes(pipe.parked_bytes),
        ]);
    }
    if !table.is_empty() {
        let _ = writeln!(out, "## Dead letters and parked events\n\n{}", table.markdown());
    }
    let mut table = Table::new(&["pipe", "class", "#events"]);
    for pipe in &report.pipes {
        for (class, count) in &pipe.dead_by_class {
            table.row([pipe.pipe.clone(), class.clone(), show::count(*count)]);
        }
    }
    if !table.is_empty() {
        let _ = writeln!(out, "Dead in the last run, by class:\n\n{}", table.markdown());
    }
}

fn short(text: &str) -> String {
    let line = text.replace(['\n', '\r'], " ");
    match line.char_indices().nth(ERROR_CHARS_MAX) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or("")),
        None => line,
    }
}
