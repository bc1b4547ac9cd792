//! The program's clock: the machine's, shifted by what a file says if there is one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use event::{Clock, SystemClock};

use crate::exit::Failure;

/// How often the file is looked at, at most; ms.
const LOOK_MS: u64 = 20;

/// The machine's clock plus an offset. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct OffsetClock(Option<Arc<Shifted>>);

#[derive(Debug)]
struct Shifted {
    file: PathBuf,
    offset_ms: AtomicI64,
    began: Instant,
    /// When the file was read last; ms since `began`.
    read_ms: AtomicU64,
}

impl OffsetClock {
    /// A clock that follows `file`, or the machine's.
    pub(crate) fn new(file: Option<&Path>) -> Result<OffsetClock, Failure> {
        let Some(file) = file else { return Ok(OffsetClock(None)) };
        let offset_ms = read(file)
            .map_err(|what| Failure::usage(format!("--test-clock {}: {what}", file.display())))?;
        Ok(OffsetClock(Some(Arc::new(Shifted {
            file: file.to_owned(),
            offset_ms: AtomicI64::new(offset_ms),
            began: Instant::now(),
            read_ms: AtomicU64::new(0),
        }))))
    }

    /// By how much the clock is off; `None` when it is the machine's.
    pub(crate) fn offset_ms(&self) -> Option<i64> {
        let shifted = self.0.as_ref()?;
        shifted.look();
        Some(shifted.offset_ms.load(Ordering::Relaxed))
    }
}

impl Shifted {
    /// Reads the file again if some time has passed. What can't be read changes nothing: a writer
    /// may be in the middle of it.
    fn look(&self) {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let before = self.read_ms.load(Ordering::Relaxed);
        if passed < before.saturating_add(LOOK_MS) {
            return;
        }
        self.read_ms.store(passed, Ordering::Relaxed);
        if let Ok(offset_ms) = read(&self.file) {
            self.offset_ms.store(offset_ms, Ordering::Relaxed);
        }
    }
}

impl Clock for OffsetClock {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms().saturating_add(self.offset_ms().unwrap_or(0))
    }
}

fn read(file: &Path) -> Result<i64, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    text.trim()
        .parse()
        .map_err(|_| "the file holds a whole number of milliseconds, like -3600000".to_owned())
}

/// Waits a little; for threads that look at something from time to time.
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(LOOK_MS));
}
