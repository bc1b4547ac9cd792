//! The figures as a table and bars.

use std::fmt::Write as _;

use console::show;

use super::figures::{
    DISK_BYTES_A_KEY, FILTER_BYTES_A_KEY, Figures, MEMORY_BYTES_A_KEY, REDIS_BYTES_A_KEY,
    WRITE_UNITS_PRICE, show_window,
};

/// Characters of the longest bar.
const BAR: usize = 40;

/// Everything, for a person.
pub(crate) fn text(figures: &Figures) -> String {
    let mut out = String::new();
    head(figures, &mut out);
    table(figures, &mut out);
    shares(figures, &mut out);
    lags(&figures.lags, &mut out);
    let _ = match figures.suggestion {
        Some(suggestion) => writeln!(
            out,
            "\nThe shortest window that catches 99%: {} ({:.2}%)",
            show_window(suggestion.window_ms),
            suggestion.share * 100.0
        ),
        None => writeln!(out, "\nNo event came twice within the longest window"),
    };
    let _ = writeln!(
        out,
        "Memory: {MEMORY_BYTES_A_KEY:.0} B a key with all keys in memory, {FILTER_BYTES_A_KEY:.0} B \
         for one in a key run; disk: {DISK_BYTES_A_KEY:.0} B; Redis: {REDIS_BYTES_A_KEY:.0} B.\n\
         DynamoDB: 2 write units an event let through, 1 a duplicate, ${WRITE_UNITS_PRICE} a \
         million (us-east-1, on demand, without storage)."
    );
    out
}

fn head(figures: &Figures, out: &mut String) {
    let _ = write!(out, "{}", show::counted(figures.events, "event"));
    if let Some((first, last)) = figures.span_ms {
        let _ = write!(out, " from {} to {}", show::time(first), show::time(last));
    }
    out.push('\n');
    let unused = &figures.unused;
    for (count, what) in [
        (unused.unreadable, "couldn't be read"),
        (unused.filtered, "the filter doesn't want"),
        (unused.without_key, "have no key"),
        (unused.without_time, "have no time"),
    ] {
        if count > 0 {
            let _ = writeln!(out, "left out: {} {what}", show::count(count));
        }
    }
    if figures.refresh {
        out.push_str("a duplicate prolongs its key (refresh)\n");
    }
    out.push('\n');
}

fn table(figures: &Figures, out: &mut String) {
    let _ = writeln!(
        out,
        "{:>8}  {:>12}  {:>12}  {:>10}  {:>12}  {:>9}  {:>9}  {:>9}  {:>12}  {:>10}",
        "window",
        "let through",
        "caught",
        "missed",
        "keys at once",
        "memory",
        "disk",
        "Redis",
        "writes/month",
        "DynamoDB"
    );
    for window in &figures.windows {
        let keys = window.keys_peak as f64;
        let bytes = |a_key: f64| show::bytes((keys * a_key) as u64);
        let month = figures.month(window);
        let _ = writeln!(
            out,
            "{:>8}  {:>12}  {:>12}  {:>10}  {:>12}  {:>9}  {:>9}  {:>9}  {:>12}  {:>10}",
            show_window(window.window_ms),
            show::count(window.delivered),
            show::count(window.caught),
            show::count(window.missed),
            show::count(window.keys_peak),
            bytes(MEMORY_BYTES_A_KEY),
            bytes(DISK_BYTES_A_KEY),
            bytes(REDIS_BYTES_A_KEY),
            month.map_or("-".to_owned(), |month| show::count(month.write_units as u64)),
            month.map_or("-".to_owned(), |month| format!("${:.2}", month.usd)),
        );
    }
}

fn shares(figures: &Figures, out: &mut String) {
    if figures.repeats() == 0 {
        return;
    }
    out.push_str("\nCaught, of what the longest window catches\n");
    for window in &figures.windows {
        let share = figures.share(window);
        let bar = bar(share);
        let _ = writeln!(
            out,
            "{:>8}  {bar:<BAR$}  {:>6.2}%",
            show_window(window.window_ms),
            share * 100.0
        );
    }
}

/// Duplicates by how long after the one before they came.
pub(crate) fn lags(lags: &[u64; 64], out: &mut String) {
    let most = lags.iter().copied().max().unwrap_or(0);
    let first = lags.iter().position(|count| *count > 0);
    let last = lags.iter().rposition(|count| *count > 0);
    let (Some(first), Some(last)) = (first, last) else { return };
    out.push_str("\nDuplicates by how long after the event before them they came\n");
    for (bucket, count) in lags.iter().enumerate().take(last + 1).skip(first) {
        let below = 1_i64.checked_shl(bucket as u32).unwrap_or(i64::MAX);
        let bar = bar(*count as f64 / most as f64);
        let _ = writeln!(out, "{:>8}  {bar:<BAR$}  {}", about(below), show::count(*count));
    }
}

/// A bar of a share from 0 to 1; anything more than nothing is seen.
pub(crate) fn bar(share: f64) -> String {
    let eighths = (share.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    let mut bar = "█".repeat(eighths / 8);
    let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    bar.push_str(parts.get(eighths % 8).copied().unwrap_or_default());
    bar
}

/// `< 1m`: a length of time in its largest unit.
fn about(ms: i64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let unit = units.into_iter().find(|(unit_ms, _)| ms >= *unit_ms).unwrap_or((1, "ms"));
    let number = ms as f64 / unit.0 as f64;
    if number < 10.0 && ms % unit.0 != 0 {
        return format!("< {number:.1}{}", unit.1);
    }
    format!("< {number:.0}{}", unit.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_times_are_as_long_as_they_should() {
        assert_eq!(bar(1.0).chars().count(), BAR);
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(1e-9), "▏");
        assert_eq!(bar(0.5).chars().count(), BAR / 2);
        assert_eq!(about(1), "< 1ms");
        assert_eq!(about(1 << 16), "< 1.1m");
        assert_eq!(about(1 << 20), "< 17m");
        assert_eq!(show_window(300_000), "5m");
        assert_eq!(show_window(1500), "1500ms");
        assert_eq!(show_window(i64::MAX), "forever");
    }
}
