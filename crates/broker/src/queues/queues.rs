//! All queues of a broker.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use event::Clock;
use journal::{Disk, Journal, JournalConfig, OpenError};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};

use super::attributes::{QueueAttributes, check_name};
use super::cleaner;
use super::core::Core;
use super::effect::Effect;
use super::housekeeping;
use super::line::Line;
use super::options::QueuesOptions;
use super::queue::Queue;
use super::record::RecordWriter;
use super::replay::Replay;
use super::shared::Shared;
use crate::durable::{Durable, refused};
use crate::error::BrokerError;

/// Longest record: one send, or one piece of cleaning.
const RECORD_BYTES_MAX: u32 = 256 << 20;

/// All queues of a broker, on one journal: so a move to a dead-letter queue is one record, and all
/// their traffic shares its syncs.
pub struct Queues {
    shared: Arc<Shared>,
    /// Until it is joined.
    housekeeper: Mutex<Option<JoinHandle<()>>>,
}

impl Queues {
    /// Opens the queues in `dir`, which is created (one level) when missing.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: QueuesOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BrokerError> {
        let queues = Self::open_quiet(disk, dir, options, clock)?;
        let housekeeper = housekeeping::spawn(&queues.shared)
            .map_err(|error| BrokerError::io("start a thread for", dir, error))?;
        *lock(&queues.housekeeper) = Some(housekeeper);
        Ok(queues)
    }

    /// [`Queues::open`] without a thread of its own: whoever simulates calls [`Queues::tidy`].
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn open_quiet(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: QueuesOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BrokerError> {
        let config = JournalConfig {
            segment_bytes: options.segment_bytes.max(JournalConfig::SEGMENT_BYTES_MIN),
            record_bytes_max: RECORD_BYTES_MAX,
            ..JournalConfig::default()
        };
        let random = StdRng::try_from_rng(&mut SysRng).map_err(|error| BrokerError::Stopped {
            cause: format!("the system gives no random bytes: {error}"),
        })?;
        let mut replay = Replay::default();
        let journal = Journal::open(disk, dir, config, &mut |position, record| {
            Ok(replay.record(position, record)?)
        });
        let journal = journal.map_err(|error| unopened(dir, error))?;
        let mut core = replay.finish(&journal, dir, clock.now_ms());
        core.epoch += 1;
        let mut record = RecordWriter::default();
        record.opened(core.epoch, core.next_queue);
        let opened = journal.append(record.finish()).map_err(refused)?;
        core.epoch_at = opened.0;
        if let Some(begin) = journal.segment_begin(opened) {
            core.segments.reach(begin.0);
        }
        let shared = Shared::new(journal, dir.to_path_buf(), clock, options, core, random);
        Ok(Self { shared: Arc::new(shared), housekeeper: Mutex::default() })
    }

    /// Makes a queue. One that exists with the same attributes is given back as it is.
    ///
    /// The name has 1 to 80 letters, digits, `-` and `_`.
    pub fn create(
        &self,
        name: &str,
        attributes: QueueAttributes,
        tags: BTreeMap<String, String>,
    ) -> Durable<Arc<Queue>> {
        match self.try_create(name, attributes, tags) {
            Ok(durable) => durable,
            Err(error) => Durable::now(Err(error)),
        }
    }

    fn try_create(
        &self,
        name: &str,
        attributes: QueueAttributes,
        tags: BTreeMap<String, String>,
    ) -> Result<Durable<Arc<Queue>>, BrokerError> {
        check_name(name)?;
        attributes.check(name)?;
        let now_ms = self.shared.now_ms();
        let mut core = self.shared.core_with_room()?;
        check_redrive(&core, &attributes)?;
        let number = match same_name(&core, name) {
            Some(line) => {
                if let Some(difference) = line.attributes.difference(&attributes) {
                    return Err(BrokerError::Exists { name: name.into(), difference });
                }
                if line.defined {
                    return Ok(Durable::now(Ok(Arc::new(self.handle(line)))));
                }
                line.number
            }
            None => {
                self.check_count(&core)?;
                let number = core.next_queue;
                core.next_queue += 1;
                let mut line = Line::new(number);
                line.creation_id = self.random_id();
                line.name = Arc::from(name);
                (line.created_ms, line.modified_ms) = (now_ms, now_ms);
                (line.attributes, line.tags) = (attributes, tags);
                core.lines.insert(number, line);
                core.names.insert(name.into(), number);
                number
            }
        };
        self.submit_new(&mut core, number)
    }

    fn submit_new(&self, core: &mut Core, number: u32) -> Result<Durable<Arc<Queue>>, BrokerError> {
        let gone = || BrokerError::Stopped { cause: "a new queue is gone".into() };
        let line = core.lines.get_mut(&number).ok_or_else(gone)?;
        line.making += 1;
        let definition = line.definition(None);
        let queue = Arc::new(self.handle(line));
        let mut record = RecordWriter::default();
        record.queue(&definition);
        let pending = self.shared.submit(core, record, Effect::Made(definition), None)?;
        Ok(Durable::after(pending, queue))
    }

    fn check_count(&self, core: &Core) -> Result<(), BrokerError> {
        let most = self.shared.options.queues_max;
        if core.lines.len() < most {
            return Ok(());
        }
        let what = format!("there are {most} queues, which is queues_max: delete one first");
        Err(BrokerError::OverLimit { what })
    }

    fn random_id(&self) -> u128 {
        let mut random = lock(&self.shared.random);
        u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())
    }

    fn handle(&self, line: &Line) -> Queue {
        Queue::new(Arc::clone(&self.shared), line)
    }

    /// The queue of that name.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`].
    pub fn get(&self, name: &str) -> Result<Arc<Queue>, BrokerError> {
        let core = self.shared.core();
        let line = core.number(name).and_then(|number| core.lines.get(&number));
        let line = line.ok_or_else(|| core.no_such_queue(name))?;
        Ok(Arc::new(self.handle(line)))
    }

    /// All queues, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Queue>> {
        let core = self.shared.core();
        let lines = core.names.keys().filter_map(|name| core.lines.get(&core.number(name)?));
        lines.map(|line| Arc::new(self.handle(line))).collect()
    }

    /// Removes a queue with its messages.
    pub fn delete(&self, name: &str) -> Durable<()> {
        match self.try_delete(name) {
            Ok(durable) => durable,
            Err(error) => Durable::now(Err(error)),
        }
    }

    fn try_delete(&self, name: &str) -> Result<Durable<()>, BrokerError> {
        let mut core = self.shared.core_with_room()?;
        let queue = core.number(name).ok_or_else(|| core.no_such_queue(name))?;
        let mut record = RecordWriter::default();
        record.queue_deleted(queue);
        if let Some(line) = core.lines.get_mut(&queue) {
            line.deleting += 1;
            line.signal.wake();
        }
        let effect = Effect::QueueDeleted { queue };
        Ok(Durable::after(self.shared.submit(&mut core, record, effect, None)?, ()))
    }

    /// Bytes on disk of all queues.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        self.shared.journal.bytes_on_disk()
    }

    /// What the housekeeping thread does every 50 ms: writes notes of receives, removes what the
    /// retention ends, gives space back. Returns when that is durable.
    ///
    /// # Errors
    /// [`BrokerError`]; it is tried again the next time.
    pub fn tidy(&self) -> Result<(), BrokerError> {
        drop(housekeeping::write_notes(&self.shared)?);
        housekeeping::expire_all(&self.shared)?;
        cleaner::clean(&self.shared)?;
        let mut core = self.shared.core();
        while core.queued_bytes > 0 && core.stopped.is_none() {
            core = self.shared.wait_for_room(core);
        }
        core.check()
    }

    /// See [`crate::Broker::close`].
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn close(&self) -> Result<(), BrokerError> {
        self.end_housekeeping();
        let notes = match housekeeping::write_notes(&self.shared) {
            Ok(Some(notes)) => notes.wait().map(drop).map_err(refused),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let shut = self.shared.journal.shut(true).map_err(refused);
        self.shared.core().stop("the broker was closed");
        shut.and(notes)
    }

    fn end_housekeeping(&self) {
        let Some(housekeeper) = lock(&self.housekeeper).take() else { return };
        self.shared.core().closing = true;
        self.shared.closing.notify_all();
        // A thread that panicked has nothing more to say.
        let _ = housekeeper.join();
    }
}

impl Drop for Queues {
    /// Ends the threads. Without [`Queues::close`] the newest notes of receives are not written.
    fn drop(&mut self) {
        self.end_housekeeping();
        // Whoever waits for an append has heard of an error.
        let _ = self.shared.journal.shut(false);
        self.shared.core().stop("the broker was closed");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The queue of that name, also one that is being made.
fn same_name<'a>(core: &'a Core, name: &str) -> Option<&'a Line> {
    let line = core.lines.get(core.names.get(name)?)?;
    (line.deleting == 0).then_some(line)
}

/// A dead-letter queue must exist.
pub(super) fn check_redrive(core: &Core, attributes: &QueueAttributes) -> Result<(), BrokerError> {
    let Some(redrive) = &attributes.redrive else { return Ok(()) };
    if core.number(&redrive.dead_letter_queue).is_some() {
        return Ok(());
    }
    let what = format!("the dead-letter queue `{}` does not exist", redrive.dead_letter_queue);
    Err(BrokerError::Invalid { what })
}

fn unopened(dir: &Path, error: OpenError) -> BrokerError {
    match error {
        OpenError::Io { path, source, what } => match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                BrokerError::NoSpace { dir: dir.to_path_buf() }
            }
            _ => BrokerError::io(what, &path, source),
        },
        other => BrokerError::Unreadable { what: other.to_string() },
    }
}
