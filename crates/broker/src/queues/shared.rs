//! What all handles of the queues share, and the way of a record to the journal.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event::Clock;
use journal::{AppendError, Journal, PendingAppend, Position};
use rand::rngs::StdRng;

use super::bodies::{RECORD_HEADER_BYTES, Recent};
use super::core::Core;
use super::effect::Effect;
use super::options::QueuesOptions;
use super::record::RecordWriter;
use super::slots::Handle;
use crate::durable::refused;
use crate::error::BrokerError;

/// Bytes on the way to the disk past which senders wait.
pub(super) const QUEUED_BYTES_MAX: u64 = 64 << 20;
/// How often a sender that waits for room looks whether storage has failed.
const ROOM_WAIT: Duration = Duration::from_millis(100);

/// What all handles of the queues share.
pub(super) struct Shared {
    pub(super) journal: Journal,
    pub(super) dir: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: QueuesOptions,
    pub(super) recent: Recent,
    core: Mutex<Core>,
    /// Fewer bytes are on the way to the disk, or a producer's send ended.
    pub(super) room: Condvar,
    /// The core says `closing`.
    pub(super) closing: Condvar,
    pub(super) random: Mutex<StdRng>,
}

/// A record on its way, with what it changes.
struct Submitted {
    effect: Effect,
    /// Messages whose receives it notes.
    noted: Vec<Handle>,
    bytes: u64,
    /// Its first bytes, for the recent ones.
    recent: Option<Vec<u8>>,
}

impl Shared {
    pub(super) fn new(
        journal: Journal,
        dir: PathBuf,
        clock: Arc<dyn Clock>,
        options: QueuesOptions,
        core: Core,
        random: StdRng,
    ) -> Self {
        let recent = Recent::new(options.recent_bytes_max);
        Self {
            journal,
            dir,
            clock,
            options,
            recent,
            core: Mutex::new(core),
            room: Condvar::new(),
            closing: Condvar::new(),
            random: Mutex::new(random),
        }
    }

    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The core, once there is room on the way to the disk.
    pub(super) fn core_with_room(&self) -> Result<MutexGuard<'_, Core>, BrokerError> {
        let mut core = self.core();
        loop {
            core.check()?;
            if core.queued_bytes < QUEUED_BYTES_MAX {
                return Ok(core);
            }
            core = self.wait_for_room(core);
        }
    }

    pub(super) fn wait_for_room<'a>(&self, core: MutexGuard<'a, Core>) -> MutexGuard<'a, Core> {
        let waited = self.room.wait_timeout(core, ROOM_WAIT);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Sends a record on its way, with the notes that wait for one. The core's lock is what keeps
    /// the order of the journal that of the decisions.
    pub(super) fn submit(
        self: &Arc<Self>,
        core: &mut Core,
        record: RecordWriter,
        effect: Effect,
        recent: Option<Vec<u8>>,
    ) -> Result<PendingAppend, BrokerError> {
        core.check()?;
        let mut record = record;
        let (notes, noted) = core.take_notes();
        if !notes.is_empty() {
            record.noted(&notes);
        }
        let record = record.finish();
        let bytes = record.len() as u64;
        let submitted = Submitted { effect, noted, bytes, recent };
        let shared = Arc::clone(self);
        let then = Box::new(move |outcome: &Result<Position, AppendError>| {
            shared.done(submitted, outcome);
        });
        match self.journal.submit_then(record, then) {
            Ok(pending) => {
                core.queued_bytes += bytes;
                Ok(pending)
            }
            Err(error) => {
                // Nothing that is submitted is too long, so this is the end.
                core.stop(&error.to_string());
                Err(refused(error))
            }
        }
    }

    fn done(&self, submitted: Submitted, outcome: &Result<Position, AppendError>) {
        let Submitted { effect, noted, bytes, recent } = submitted;
        if let (Ok(position), Some(recent)) = (outcome, recent) {
            self.recent.keep(position.0, recent);
        }
        let mut core = self.core();
        core.queued_bytes = core.queued_bytes.saturating_sub(bytes);
        match outcome {
            Ok(position) => {
                if let Some(begin) = self.journal.segment_begin(*position) {
                    core.segments.reach(begin.0);
                }
                core.apply(effect, position.0, position.0 + RECORD_HEADER_BYTES);
            }
            Err(error) => {
                core.undo(effect);
                if matches!(error, AppendError::DiskFull { .. }) {
                    noted.into_iter().for_each(|handle| core.note(handle));
                } else {
                    core.stop(&error.to_string());
                }
            }
        }
        drop(core);
        self.room.notify_all();
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }
}
