//! Durations like `1h30m` and sizes like `16MiB`.

use std::time::Duration;

/// What is wrong with a duration or size.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnitProblem {
    /// Offset into the value, in characters.
    pub(crate) offset: usize,
    /// Characters.
    pub(crate) width: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: String,
}

/// Units of time, longest first, in nanoseconds.
const TIMES: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of size, as they are tried for printing: the largest that divides wins.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

const TIME_HELP: &str = "write it like `200ms`, `20s`, `10m`, `1h30m` or `1d`";
const SIZE_HELP: &str = "write it like `64KiB`, `16MiB` or `1GB`";

/// What people write for a unit of time.
fn meant_time(unit: &str) -> Option<&'static str> {
    Some(match unit.to_lowercase().as_str() {
        "d" | "day" | "days" => "d",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "ms" | "msec" | "msecs" | "milli" | "millis" | "millisecond" | "milliseconds" => "ms",
        "us" | "µs" | "μs" | "usec" | "micro" | "micros" | "microseconds" => "us",
        "ns" | "nano" | "nanos" | "nanoseconds" => "ns",
        _ => return None,
    })
}

/// What people write for a unit of size.
fn meant_size(unit: &str) -> Option<&'static str> {
    Some(match unit.to_lowercase().as_str() {
        "b" | "byte" | "bytes" => "B",
        "k" | "ki" | "kib" | "kibibytes" => "KiB",
        "m" | "mi" | "mib" | "mebibytes" => "MiB",
        "g" | "gi" | "gib" | "gibibytes" => "GiB",
        "t" | "ti" | "tib" => "TiB",
        "kb" | "kilobytes" => "KB",
        "mb" | "megabytes" => "MB",
        "gb" | "gigabytes" => "GB",
        "tb" => "TB",
        _ => return None,
    })
}

/// One `<number><unit>` at the start of a text.
struct Term<'a> {
    digits: &'a str,
    unit: &'a str,
    /// Characters before the unit.
    unit_offset: usize,
    rest: &'a str,
}

fn term(text: &str) -> Term<'_> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, after) = text.split_at(digits_end);
    let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
    let (unit, rest) = after.split_at(unit_end);
    let blanks = unit.len() - unit.trim_start().len();
    Term { digits, unit: unit.trim(), unit_offset: digits.len() + blanks, rest }
}

fn whole(text: &str, message: String, help: impl Into<String>) -> UnitProblem {
    UnitProblem { offset: 0, width: text.chars().count(), message, help: help.into() }
}

/// Mistakes that both kinds share: nothing there, a sign, a fraction.
fn common(text: &str, what: &str, help: &str) -> Result<(), UnitProblem> {
    if text.starts_with('-') {
        return Err(whole(text, format!("{what} can't be negative"), help));
    }
    if let Some((before, after)) = text.split_once(['.', ','])
        && before.chars().all(|c| c.is_ascii_digit())
        && after.starts_with(|c: char| c.is_ascii_digit())
    {
        let example = if help == TIME_HELP { "1h30m" } else { "1536MiB" };
        let smaller = format!("whole numbers only: take a smaller unit, like `{example}`");
        return Err(whole(text, format!("`{text}` has a fraction"), smaller));
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(whole(text, format!("`{text}` isn't {what}"), help));
    }
    Ok(())
}

fn weeks(number: &str) -> String {
    let days = number.parse::<u64>().ok().and_then(|weeks| weeks.checked_mul(7));
    days.map_or(TIME_HELP.to_owned(), |days| format!("count in days: `{days}d`"))
}

/// Reads a duration: units `d`, `h`, `m`, `s`, `ms`, `us`, `ns`, longest first, each once; a bare
/// `0` is fine.
pub(crate) fn duration(text: &str) -> Result<Duration, UnitProblem> {
    common(text, "a duration", TIME_HELP)?;
    let (mut nanos, mut rest, mut last) = (0_u64, text, u64::MAX);
    while !rest.is_empty() {
        let offset = text.chars().count() - rest.chars().count();
        let term = term(rest);
        let number = term.digits;
        let unit_offset = offset + term.unit_offset;
        if term.unit.is_empty() {
            if text.bytes().all(|b| b == b'0') {
                return Ok(Duration::ZERO);
            }
            let message = format!("`{text}` has no unit");
            let help = format!("`{number}s` are seconds, `{number}ms` milliseconds");
            return Err(whole(text, message, help));
        }
        let Some((_, factor)) = TIMES.iter().find(|(unit, _)| *unit == term.unit) else {
            let help = match meant_time(term.unit) {
                Some(unit) => format!("did you mean `{number}{unit}`? Units: d, h, m, s, ms, us"),
                None if term.unit.to_lowercase().starts_with('w') => weeks(number),
                None => TIME_HELP.to_owned(),
            };
            let message = format!("`{}` isn't a unit of time", term.unit);
            let width = term.unit.chars().count();
            return Err(UnitProblem { offset: unit_offset, width, message, help });
        };
        if *factor >= last {
            let help = "longest unit first, each once: `1h30m`".to_owned();
            let message = format!("`{}` is out of order", term.unit);
            let width = term.unit.len();
            return Err(UnitProblem { offset: unit_offset, width, message, help });
        }
        last = *factor;
        let sum = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*factor))
            .and_then(|part| nanos.checked_add(part));
        nanos = sum
            .ok_or_else(|| whole(text, format!("`{text}` is too long"), "at most 584 years fit"))?;
        rest = term.rest;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Reads a size in bytes: one number with `B`, `KB` (1000), `KiB` (1024) and so on up to `TiB`; a
/// bare number counts bytes.
pub(crate) fn size(text: &str) -> Result<u64, UnitProblem> {
    common(text, "a size", SIZE_HELP)?;
    let Term { digits, unit, unit_offset, rest } = term(text);
    if !rest.is_empty() {
        return Err(whole(text, format!("`{text}` isn't a size"), SIZE_HELP));
    }
    let factor = match unit {
        "" => 1,
        "kB" => 1_000,
        unit => match SIZES.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => *factor,
            None => {
                let help = match meant_size(unit) {
                    Some(meant) if meant.contains('i') && unit.len() == 1 => {
                        let decimal = meant.replace('i', "");
                        format!("`{digits}{meant}` counts in 1024s, `{digits}{decimal}` in 1000s")
                    }
                    Some(meant) => format!("did you mean `{digits}{meant}`?"),
                    None => SIZE_HELP.to_owned(),
                };
                let message = format!("`{unit}` isn't a unit of size");
                let width = unit.chars().count();
                return Err(UnitProblem { offset: unit_offset, width, message, help });
            }
        },
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bytes.ok_or_else(|| whole(text, format!("`{text}` is too large"), SIZE_HELP))
}

/// A duration as one would write it.
pub(crate) fn show_duration(duration: Duration) -> String {
    if duration == Duration::MAX {
        return "forever".to_owned();
    }
    let mut nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut shown = String::new();
    for (unit, factor) in TIMES {
        let factor = u128::from(factor);
        if nanos >= factor {
            shown.push_str(&format!("{}{unit}", nanos / factor));
            nanos %= factor;
        }
    }
    shown
}

/// A size as one would write it.
pub(crate) fn show_size(bytes: u64) -> String {
    let (unit, factor) = SIZES
        .into_iter()
        .find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor))
        .unwrap_or(("B", 1));
    format!("{}{unit}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_shown() {
        for text in ["200ms", "10m", "1d", "20s", "1h30m", "1d2h3m4s5ms6us7ns", "0s"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        assert_eq!(duration("90m").unwrap(), duration("1h30m").unwrap());
        assert_eq!(duration("0").unwrap(), Duration::ZERO);
    }

    #[test]
    fn sizes_read_as_they_are_shown() {
        for text in ["16MiB", "64KiB", "1GB", "1536MiB", "7B", "0B", "1TiB"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
        assert_eq!(size("16 MiB").unwrap(), 16 << 20);
        assert_eq!(size("4096").unwrap(), 4096);
        assert_eq!(size("1kB").unwrap(), 1000);
    }

    #[test]
    fn wrong_ones_say_what_was_meant() {
        let help = |text| duration(text).unwrap_err().help;
        assert!(help("10 min").contains("`10m`"));
        assert!(help("1M").contains("`1m`"));
        assert!(help("600").contains("`600s`"));
        for text in ["", "x", "-5m", "1.5h", "1m1h", "1m1m", "PT5M", "99999999999d", "1h30"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(size("16M").unwrap_err().help.contains("`16MiB`"));
        assert!(size("16mib").unwrap_err().help.contains("`16MiB`"));
        for text in ["", "x", "-5", "1.5GiB", "1KiB1", "99999999999999TiB", "1 parsec"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(duration("1h30q").unwrap_err().offset, 4);
    }
}
