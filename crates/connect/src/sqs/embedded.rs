//! A queue of the embedded broker as a source: its messages are taken in this process, without
//! HTTP, and deleted once they are settled.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use broker::queues::{Message, Queue, QueueAttributes, Receipt, ReceiptProblem, Receive};
use broker::{Broker, BrokerError};
use event::batch::Attribute;
use event::source::{
    Acker, BatchLimits, MemoryChange, Received, Source, SourceError, SourceStatus, Stop,
};
use event::{Batch, Clock, ShardId};
use xxhash_rust::xxh3::xxh3_128;

use super::filling::{Filling, Incoming, settled_ids};
use crate::broker_error;

/// How long a call waits for messages.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// How often the source looks how much the queue holds.
const LOOK_EVERY_MS: u64 = 500;
/// How often it says that half of the retention has passed.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// The longest that a queue keeps a message: after that an id can't come again.
const RETENTION_MS_MAX: i64 = 14 * 86_400_000;
/// A message that this process takes is its own until it lets go of it.
const HELD_MS: i64 = 12 * 3_600_000;

/// What a source on an embedded queue needs to know.
#[derive(Clone, Debug)]
pub struct QueueSourceOptions {
    /// The queue; made when missing.
    pub queue: String,
}

/// Takes messages of a queue of the embedded broker.
pub struct QueueSource {
    name: String,
    held: Arc<Held>,
    shard: ShardId,
    clock: Arc<dyn Clock>,
    status: Arc<SourceStatus>,
    looked_ms: Option<i64>,
    warned: Option<Instant>,
}

/// The messages that the pipe has taken and not given back. What is left when source and acker are
/// gone shows again at once.
struct Held {
    queue: Arc<Queue>,
    what: String,
    state: Mutex<HeldState>,
}

#[derive(Default)]
struct HeldState {
    /// In flight, by id.
    receipts: HashMap<u128, Receipt>,
    /// Settled, but not known to be deleted: their ids are in the ledger.
    settled: HashSet<u128>,
    /// Settled and to be deleted.
    to_delete: Vec<(u128, Receipt)>,
    /// Deleted for good since the last record.
    gone: Vec<u128>,
}

impl Held {
    fn state(&self) -> MutexGuard<'_, HeldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes what is settled. Without room on the disk it stays for the next time.
    fn delete_settled(&self) -> Result<(), SourceError> {
        let due = std::mem::take(&mut self.state().to_delete);
        if due.is_empty() {
            return Ok(());
        }
        let receipts: Vec<Receipt> = due.iter().map(|(_, receipt)| *receipt).collect();
        match self.queue.delete(&receipts).wait() {
            Ok(answers) => {
                let mut state = self.state();
                for ((id, _), answer) in due.into_iter().zip(answers) {
                    // A stale receipt deletes nothing: the message comes again, and is known.
                    if matches!(answer, Ok(()) | Err(ReceiptProblem::Gone)) {
                        state.settled.remove(&id);
                        state.gone.push(id);
                    }
                }
                Ok(())
            }
            // With the queue its messages are gone; the source says so.
            Err(BrokerError::NoSuchQueue { .. }) => {
                let mut state = self.state();
                for (id, _) in due {
                    state.settled.remove(&id);
                    state.gone.push(id);
                }
                Ok(())
            }
            Err(error @ BrokerError::NoSpace { .. }) => {
                tracing::warn!(queue = self.queue.name(), %error, "can't delete settled messages now");
                self.state().to_delete.extend(due);
                Ok(())
            }
            Err(error) => Err(broker_error::source(&self.what, error)),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let back: Vec<(Receipt, i64)> =
            state.receipts.drain().map(|(_, receipt)| (receipt, 0)).collect();
        if back.is_empty() {
            return;
        }
        match self.queue.change_visibility(&back) {
            Ok(_) | Err(BrokerError::NoSuchQueue { .. }) => {}
            Err(error) => {
                tracing::warn!(queue = self.queue.name(), %error, "messages not given back");
            }
        }
    }
}

impl QueueSource {
    /// Opens the queue, or makes it. `remembered` are the ids that the ledger knows as settled.
    ///
    /// # Errors
    /// [`SourceError`]; no message was taken.
    pub fn open(
        broker: &Broker,
        options: &QueueSourceOptions,
        remembered: &BTreeMap<u128, i64>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let what = format!("queue `{}`", options.queue);
        let queue = open_or_make(broker, &options.queue)
            .map_err(|error| broker_error::source(&what, error))?;
        let shard = format!("{}@{:032x}", queue.name(), queue.creation_id()).into();
        let state =
            HeldState { settled: remembered.keys().copied().collect(), ..HeldState::default() };
        Ok(Self {
            name: format!("sqs:{}", options.queue),
            held: Arc::new(Held { queue, what, state: Mutex::new(state) }),
            shard,
            clock,
            status: Arc::new(SourceStatus::default()),
            looked_ms: None,
            warned: None,
        })
    }

    /// Takes what is there and has room; whether anything came.
    fn take(&self, filling: &mut Filling) -> Result<bool, SourceError> {
        let (messages_max, bytes_max) = filling.room();
        let receive =
            Receive { messages_max, bytes_max, visibility_ms: Some(HELD_MS), remembered: false };
        let messages = match self.held.queue.receive(receive) {
            Ok(messages) => messages,
            Err(error @ BrokerError::OverLimit { .. }) => {
                self.status.failed(error.to_string());
                return Ok(false);
            }
            Err(error) => return Err(broker_error::source(&self.held.what, error)),
        };
        let came = !messages.is_empty();
        let mut state = self.held.state();
        for message in messages {
            let id = message_id(self.held.queue.creation_id(), &message);
            // Of a message in flight only the receipt is another one: it is handed over once.
            if state.receipts.insert(id, message.receipt).is_some() {
                continue;
            }
            filling.push(Incoming {
                id,
                body: &message.body,
                sent_ms: message.sent_ms,
                attributes: attributes(&message),
                group: message.group.as_deref(),
                is_settled: state.settled.contains(&id),
            });
        }
        Ok(came)
    }

    /// Notes how much the queue holds.
    fn look(&mut self) {
        let now_ms = self.clock.now_ms();
        if self.looked_ms.is_some_and(|at| now_ms.abs_diff(at) < LOOK_EVERY_MS) {
            return;
        }
        self.looked_ms = Some(now_ms);
        let queue = &self.held.queue;
        let counts = queue.statistics();
        let age_ms = counts
            .oldest_sent_ms
            .and_then(|sent_ms| u64::try_from(now_ms.saturating_sub(sent_ms)).ok());
        let retention_ms = u64::from(queue.attributes().retention_s) * 1000;
        let remembered = self.held.state().settled.len() as u64;
        self.status.behind_events.store(counts.visible + counts.delayed, Ordering::Relaxed);
        self.status.behind_ms.store(age_ms.unwrap_or(0), Ordering::Relaxed);
        self.status.retention_ms.store(retention_ms, Ordering::Relaxed);
        self.status.expired.store(counts.expired, Ordering::Relaxed);
        self.status.message_ids.store(remembered, Ordering::Relaxed);
        if self.status.is_half_expired() && self.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY)
        {
            self.warned = Some(Instant::now());
            tracing::warn!(
                queue = queue.name(),
                age_ms,
                retention_ms,
                "the oldest message is older than half of the queue's retention: messages that \
                 the pipe doesn't settle in time are lost"
            );
        }
    }
}

/// Another one for a queue that is made anew under the same name.
fn message_id(queue: u128, message: &Message) -> u128 {
    let mut bytes = [0; 32];
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(&queue.to_le_bytes());
    second.copy_from_slice(&message.id.0.to_le_bytes());
    xxh3_128(&bytes)
}

fn attributes(message: &Message) -> Vec<Attribute> {
    let all = message.attributes.iter().map(|attribute| Attribute {
        name: attribute.name.clone(),
        data_type: attribute.data_type.clone(),
        value: attribute.value.clone(),
    });
    all.collect()
}

/// The queue of that name; it is made when it isn't there.
///
/// # Errors
/// [`BrokerError`].
pub fn open_or_make(broker: &Broker, name: &str) -> Result<Arc<Queue>, BrokerError> {
    match broker.queues().get(name) {
        Err(BrokerError::NoSuchQueue { .. }) => {}
        other => return other,
    }
    match broker.queues().create(name, QueueAttributes::default(), BTreeMap::new()).wait() {
        // Somebody else was faster, with other attributes.
        Err(BrokerError::Exists { .. }) => broker.queues().get(name),
        other => other,
    }
}

impl Source for QueueSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn receive(&mut self, limits: &BatchLimits, stop: &Stop) -> Result<Received, SourceError> {
        let mut filling = Filling::new(*limits);
        let idle_until = Instant::now() + IDLE_WAIT;
        let mut until = idle_until;
        while !filling.is_full() {
            let was_empty = filling.is_empty();
            let came = self.take(&mut filling)?;
            let now = Instant::now();
            if was_empty && !filling.is_empty() {
                until = now + limits.interval_max;
            }
            if came {
                continue;
            }
            if stop.asked() || now >= until {
                break;
            }
            self.held.queue.wait(until.min(now + IDLE_WAIT));
        }
        self.look();
        let received_ms = self.clock.now_ms();
        let until_ms = received_ms.saturating_add(RETENTION_MS_MAX);
        match filling.close(&self.shard, received_ms, until_ms) {
            Some(batch) => Ok(Received::Batch(batch)),
            None => Ok(Received::Idle),
        }
    }

    fn acker(&self) -> Box<dyn Acker> {
        Box::new(QueueAcker(Arc::clone(&self.held)))
    }

    fn status(&self) -> Option<Arc<SourceStatus>> {
        Some(Arc::clone(&self.status))
    }
}

/// Deletes what is settled.
struct QueueAcker(Arc<Held>);

impl Acker for QueueAcker {
    fn settled(&mut self, batch: &Batch) -> Result<(), SourceError> {
        {
            let mut state = self.0.state();
            let state = &mut *state;
            for id in settled_ids(batch) {
                state.settled.insert(id);
                if let Some(receipt) = state.receipts.remove(&id) {
                    state.to_delete.push((id, receipt));
                }
            }
        }
        self.0.delete_settled()
    }

    fn memory_changes(&mut self) -> Vec<MemoryChange> {
        if let Err(error) = self.0.delete_settled() {
            // The next `settled` says so; meanwhile nothing is forgotten.
            tracing::warn!(%error, "can't delete settled messages");
        }
        let gone = std::mem::take(&mut self.0.state().gone);
        gone.into_iter().map(|id| MemoryChange { id, until_ms: None }).collect()
    }
}
