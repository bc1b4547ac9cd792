//! What happens beside the calls: notes of receives are written, moved clocks noticed, expired
//! messages removed, space given back.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::cleaner;
use super::effect::Effect;
use super::record::RecordWriter;
use super::shared::Shared;
use super::warnings;
use crate::error::BrokerError;

/// A note of a receive is written after this at the latest.
const EVERY: Duration = Duration::from_millis(50);
/// How often retention is looked at; at once where the clock was moved.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);
/// A clock that is further from where it should be was moved.
const MOVED_MS: i64 = 30;
/// Messages that leave in one record.
const EXPIRED_MAX: usize = 65_536;

/// Starts the thread; it ends when the core says `closing`.
pub(super) fn spawn(shared: &Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name("queues".into()).spawn(move || run(&shared))
}

fn run(shared: &Arc<Shared>) {
    let (mut looked, mut shown_ms) = (Instant::now(), shared.now_ms());
    let mut expired = Instant::now();
    let mut said = None;
    while pause(shared) {
        let elapsed_ms = i64::try_from(looked.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now_ms = shared.now_ms();
        let moved = (now_ms - shown_ms - elapsed_ms).abs() > MOVED_MS;
        (looked, shown_ms) = (Instant::now(), now_ms);
        if moved {
            shared.core().lines.values().for_each(|line| line.signal.wake());
        }
        let mut outcome = write_notes(shared).map(drop);
        if moved || expired.elapsed() >= EXPIRE_EVERY {
            expired = Instant::now();
            outcome = outcome.and_then(|()| expire_all(shared));
        }
        outcome = outcome.and_then(|()| cleaner::clean(shared));
        // A full disk is said once, not twenty times a second.
        let problem = outcome.err().map(|error| error.to_string());
        if let Some(problem) = problem.as_ref().filter(|problem| Some(*problem) != said.as_ref()) {
            tracing::warn!(%problem, "the housekeeping of the queues waits");
        }
        said = problem;
    }
}

/// Whether to go on.
fn pause(shared: &Shared) -> bool {
    let until = Instant::now() + EVERY;
    let mut core = shared.core();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if core.closing || core.stopped.is_some() {
            return false;
        }
        if left.is_zero() {
            return true;
        }
        let waited = shared.closing.wait_timeout(core, left);
        core = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Writes the notes that no record has taken along.
pub(super) fn write_notes(
    shared: &Arc<Shared>,
) -> Result<Option<journal::PendingAppend>, BrokerError> {
    let mut core = shared.core();
    if core.to_note.is_empty() {
        return Ok(None);
    }
    shared.submit(&mut core, RecordWriter::default(), Effect::Nothing, None).map(Some)
}

/// Removes what has outlived its queue's retention; waits until that is durable.
pub(super) fn expire_all(shared: &Arc<Shared>) -> Result<(), BrokerError> {
    let now_ms = shared.now_ms();
    let queues: Vec<_> = shared.core().lines.keys().copied().collect();
    for queue in queues {
        loop {
            let mut core = shared.core();
            let Some(pending) = shared.expire(&mut core, queue, now_ms, EXPIRED_MAX)? else {
                break;
            };
            drop(core);
            pending.wait().map(drop).map_err(crate::durable::refused)?;
        }
    }
    warnings::warn(&mut shared.core(), now_ms);
    Ok(())
}
