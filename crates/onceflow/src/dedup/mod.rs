//! What became of keys, on the command line: `dedup explain|stats|simulate|export|import`.
//!
//! It is for looking: nothing here takes the data folder's lock or changes anything, but for
//! `import` (`moving/`).
//!
//! Start reading at `args.rs`, then `explain.rs`, `stats.rs`, `simulate/mod.rs`, `moving/mod.rs`.

pub(crate) mod args;
mod explain;
pub(crate) mod moving;
mod simulate;
mod stats;

use self::args::RawDedup;
use crate::exit::{Exit, Failure};
use crate::progress::MovingLine;
use crate::test_clock::OffsetClock;

/// Does what was asked.
pub(crate) fn run(
    raw: RawDedup,
    clock: &OffsetClock,
    moving_line: &MovingLine,
) -> Result<Exit, Failure> {
    match raw {
        RawDedup::Explain(raw) => explain::explain(&raw, clock),
        RawDedup::Stats(raw) => stats::stats(&raw),
        RawDedup::Simulate(raw) => simulate::simulate(&raw, moving_line),
        RawDedup::Export(raw) => moving::export(*raw, clock),
        RawDedup::Import(raw) => moving::import(&raw, clock, moving_line),
    }
}

/// A length of time in ms: `1.5 s`, `10 min`, `3 h 20 min`, `2 d 4 h`.
fn length(ms: i64) -> String {
    let (sign, ms) = if ms < 0 { ("-", ms.unsigned_abs()) } else { ("", ms.unsigned_abs()) };
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min")];
    for (at, (unit_ms, unit)) in units.iter().enumerate() {
        if ms >= *unit_ms {
            let (whole, rest) = (ms / unit_ms, ms % unit_ms);
            let (next_ms, next) = units.get(at + 1).copied().unwrap_or((1000, "s"));
            return match rest / next_ms {
                0 => format!("{sign}{whole} {unit}"),
                more => format!("{sign}{whole} {unit} {more} {next}"),
            };
        }
    }
    if ms >= 1000 {
        let text = format!("{:.3}", ms as f64 / 1000.0);
        return format!("{sign}{} s", text.trim_end_matches('0').trim_end_matches('.'));
    }
    format!("{sign}{ms} ms")
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn lengths_are_told_in_two_units() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_500, "1.5 s"),
            (600_000, "10 min"),
            (12_000_000, "3 h 20 min"),
            (187_200_000, "2 d 4 h"),
            (-61_000, "-1 min 1 s"),
        ] {
            assert_eq!(length(ms), text);
        }
    }
}
