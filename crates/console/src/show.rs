//! Numbers, sizes and times as people read them.

/// `1039244` → `1,039,244`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `1` and `event` → `1 event`; `2` → `2 events`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    match (number, noun) {
        (1, noun) => format!("1 {noun}"),
        (_, "batch") => format!("{} batches", count(number)),
        (_, "more class") => format!("{} more classes", count(number)),
        (_, noun) => format!("{} {noun}s", count(number)),
    }
}

/// `17106256` → `16.3 MiB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = "KiB";
    for larger in UNITS.iter().skip(1) {
        // What would be shown as 1024.0 is shown as 1.0 of the next unit.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// A time in ms since the Unix epoch as `2026-11-02T10:15:00Z`.
#[must_use]
pub fn time(at_ms: i64) -> String {
    let second = at_ms.div_euclid(1000);
    jiff::Timestamp::from_second(second)
        .map_or_else(|_| format!("{at_ms} ms since 1970"), |time| time.to_string())
}

/// A length of time: `30 ms`, `0.4 s`, `12 s`, `3 min 20 s`.
#[must_use]
pub fn seconds(length: std::time::Duration) -> String {
    let seconds = length.as_secs_f64();
    if seconds < 0.0995 {
        format!("{} ms", length.as_millis())
    } else if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else if seconds < 100.0 {
        format!("{seconds:.0} s")
    } else {
        let whole = length.as_secs();
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_039_244, "1,039,244")] {
            assert_eq!(count(number), shown);
        }
        assert_eq!(counted(1, "event"), "1 event");
        assert_eq!(counted(0, "event"), "0 events");
        assert_eq!(counted(1200, "batch"), "1,200 batches");
        assert_eq!(counted(1, "batch"), "1 batch");
    }

    #[test]
    fn sizes_keep_one_digit_after_the_point() {
        for (number, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (17_106_256, "16.3 MiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(number), shown);
        }
    }

    #[test]
    fn times_are_utc_and_lengths_are_rough() {
        assert_eq!(time(1_793_520_000_999), "2026-11-01T08:00:00Z");
        assert_eq!(time(i64::MIN), format!("{} ms since 1970", i64::MIN));
        for (ms, shown) in
            [(30, "30 ms"), (423, "0.4 s"), (12_300, "12 s"), (200_000, "3 min 20 s")]
        {
            assert_eq!(seconds(std::time::Duration::from_millis(ms)), shown);
        }
    }
}
