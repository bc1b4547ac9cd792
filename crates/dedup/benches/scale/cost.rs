//! Clocks and gauges.

use std::time::{Duration, Instant};

/// Wall-clock time and processor time of the whole process, from one moment on.
pub(crate) struct Since {
    wall: Instant,
    cpu: Duration,
}

fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

impl Since {
    pub(crate) fn now() -> Self {
        Self { wall: Instant::now(), cpu: cpu() }
    }

    pub(crate) fn wall(&self) -> Duration {
        self.wall.elapsed()
    }

    /// Of all threads.
    pub(crate) fn cpu(&self) -> Duration {
        cpu() - self.cpu
    }
}

/// Anonymous memory of this process; bytes.
pub(crate) fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}

/// `100m` is 100,000,000; `1g` a thousand million; `512mib` as in powers of two.
pub(crate) fn count(text: &str) -> u64 {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().unwrap();
    match &text[digits.len()..] {
        "" => number,
        "k" => number * 1_000,
        "m" => number * 1_000_000,
        "g" => number * 1_000_000_000,
        "mib" => number << 20,
        other => panic!("no unit {other}"),
    }
}

/// The `of`th of a thousand; ms.
pub(crate) fn per_mille(times: &mut [Duration], of: usize) -> f64 {
    if times.is_empty() {
        return f64::NAN;
    }
    times.sort_unstable();
    let at = (times.len() * of).div_ceil(1_000).clamp(1, times.len()) - 1;
    times[at].as_secs_f64() * 1e3
}

/// All files below a folder: bytes.
pub(crate) fn folder_bytes(dir: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
