//! What the tasks of a source know together.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use aws_sdk_sqs::Client;
use event::batch::{Attribute, Messages, Offsets};
use event::source::{MemoryChange, SourceStatus};
use event::{Batch, Clock, ShardId};
use tokio::sync::Notify;

use super::RemoteQueueOptions;

/// The longest that a queue keeps a message: what counts before the queue is known.
const RETENTION_MS_MAX: i64 = 14 * 86_400_000;

/// Messages of one poll; the service's own limit.
pub(super) const POLL_MESSAGES_MAX: usize = 10;

/// A message on its way to the pipe.
pub(super) struct Arrived {
    pub(super) id: u128,
    pub(super) body: String,
    pub(super) sent_ms: i64,
    pub(super) attributes: Vec<Attribute>,
    pub(super) group: Option<String>,
    pub(super) is_settled: bool,
}

/// A message that is hidden for this source.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Of its latest receipt.
    pub(super) handle: String,
    /// When it shows again.
    pub(super) hidden_until: Instant,
    /// When its visibility is renewed.
    pub(super) renew_at: Instant,
    /// When it was sent; ms since the Unix epoch.
    pub(super) sent_ms: i64,
}

/// The queue, once it is known.
pub(super) struct Queue {
    pub(super) url: String,
    pub(super) shard: ShardId,
    /// Another one for another queue, also one that is made anew.
    pub(super) identity: u64,
    pub(super) retention_ms: i64,
}

#[derive(Default)]
pub(super) struct State {
    /// In flight, by id.
    pub(super) held: HashMap<u128, Held>,
    /// Settled, and their delete isn't confirmed.
    pub(super) deleting: HashMap<u128, Held>,
    /// Those of `deleting` that no task works on.
    pub(super) to_delete: VecDeque<u128>,
    /// Settled, and until when they are remembered; ms since the Unix epoch.
    pub(super) settled: HashMap<u128, i64>,
    /// What the ledger has to be told.
    changes: Vec<MemoryChange>,
    /// Polls under way.
    polls: usize,
    fatal: Option<(String, String)>,
}

/// What the tasks of a source know together.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) options: RemoteQueueOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: Arc<SourceStatus>,
    pub(super) queue: OnceLock<Queue>,
    state: Mutex<State>,
    stopping: AtomicBool,
    /// The last poll came back full.
    pub(super) is_busy: AtomicBool,
    /// Something is to be deleted.
    pub(super) deletes: Notify,
    /// The end has come.
    pub(super) stopped: Notify,
}

impl Shared {
    pub(super) fn new(
        client: Client,
        options: RemoteQueueOptions,
        remembered: BTreeMap<u128, i64>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let settled = remembered.into_iter().collect();
        Self {
            client,
            options,
            clock,
            status: Arc::new(SourceStatus::default()),
            queue: OnceLock::new(),
            state: Mutex::new(State { settled, ..State::default() }),
            stopping: AtomicBool::new(false),
            is_busy: AtomicBool::new(false),
            deletes: Notify::new(),
            stopped: Notify::new(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No more polls.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.stopped.notify_waiters();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The pipe can't go on, and what helps.
    pub(super) fn fail(&self, what: String, help: String) {
        self.state().fatal.get_or_insert((what, help));
    }

    pub(super) fn fatal(&self) -> Option<(String, String)> {
        self.state().fatal.clone()
    }

    /// The queue's shard, and how long it keeps messages.
    pub(super) fn queue(&self) -> (ShardId, i64) {
        match self.queue.get() {
            Some(queue) => (ShardId::clone(&queue.shard), queue.retention_ms),
            None => (self.options.queue.as_str().into(), RETENTION_MS_MAX),
        }
    }

    /// Notes the messages of one poll that began at `asked`; those that are to be handed over.
    pub(super) fn arrived(&self, asked: Instant, messages: Vec<(Arrived, String)>) -> Vec<Arrived> {
        let visibility = self.options.visibility_timeout;
        let now_ms = self.clock.now_ms();
        let mut fresh = Vec::with_capacity(messages.len());
        let mut state = self.state();
        let state = &mut *state;
        for (mut message, handle) in messages {
            let held = Held {
                handle,
                hidden_until: asked + visibility,
                renew_at: asked + visibility / 2,
                sent_ms: message.sent_ms,
            };
            // One that is in flight, or being deleted, came again: only its handle is new.
            if let Some(known) = state.held.get_mut(&message.id) {
                *known = held;
            } else if let Some(known) = state.deleting.get_mut(&message.id) {
                *known = held;
            } else {
                let until_ms = state.settled.get(&message.id);
                message.is_settled = until_ms.is_some_and(|until_ms| *until_ms > now_ms);
                state.held.insert(message.id, held);
                fresh.push(message);
            }
        }
        fresh
    }

    /// The messages with these ids are settled: to be deleted, and remembered.
    pub(super) fn settle(&self, batch: &Batch, ids: impl Iterator<Item = u128>) {
        let until_ms = batch.extents.iter().find_map(|extent| match &extent.offsets {
            Offsets::Messages(Messages { until_ms, .. }) => Some(*until_ms),
            _ => None,
        });
        {
            let mut state = self.state();
            let state = &mut *state;
            for id in ids {
                state.settled.entry(id).or_insert(until_ms.unwrap_or(i64::MAX));
                if let Some(held) = state.held.remove(&id) {
                    state.deleting.insert(id, held);
                    state.to_delete.push_back(id);
                }
            }
        }
        self.deletes.notify_waiters();
    }

    /// A message is deleted. It can't come again for long if that was within its visibility.
    pub(super) fn deleted(&self, ids: &[u128]) {
        let memory_ms = i64::try_from(self.options.redelivery_memory.as_millis());
        let until_ms = self.clock.now_ms().saturating_add(memory_ms.unwrap_or(i64::MAX));
        let now = Instant::now();
        let mut state = self.state();
        let state = &mut *state;
        for id in ids {
            let Some(held) = state.deleting.remove(id) else { continue };
            if now >= held.hidden_until {
                continue;
            }
            state.settled.insert(*id, until_ms);
            state.changes.push(MemoryChange { id: *id, until_ms: Some(until_ms) });
        }
    }

    /// A message whose receipt deletes nothing any more: it comes again, or it is gone.
    pub(super) fn not_deleted(&self, id: u128) {
        self.state().deleting.remove(&id);
    }

    /// What became known since the last call.
    pub(super) fn take_changes(&self) -> Vec<MemoryChange> {
        std::mem::take(&mut self.state().changes)
    }

    /// Forgets what need not be remembered.
    pub(super) fn forget(&self) {
        let now_ms = self.clock.now_ms();
        let mut state = self.state();
        let state = &mut *state;
        let deleting = &state.deleting;
        state.settled.retain(|id, until_ms| *until_ms > now_ms || deleting.contains_key(id));
        let remembered = state.settled.len();
        self.status.message_ids.store(remembered as u64, Ordering::Relaxed);
    }

    /// Reserves the ids of one poll, if that many have room; [`Shared::polled`] ends it.
    pub(super) fn begin_poll(&self) -> bool {
        let mut state = self.state();
        let known = state.settled.len() + state.held.len();
        let with_this = known + (state.polls + 1) * POLL_MESSAGES_MAX;
        let fits = with_this <= self.options.message_ids_max.max(POLL_MESSAGES_MAX);
        state.polls += usize::from(fits);
        fits
    }

    /// A poll has ended.
    pub(super) fn polled(&self) {
        self.state().polls -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use event::TestClock;

    use super::*;
    use crate::aws::Endpoint;

    fn shared(clock: &TestClock) -> Shared {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::v2026_01_12())
            .region(aws_sdk_sqs::config::Region::from_static("us-east-1"))
            .build();
        let options = RemoteQueueOptions {
            queue: "q".into(),
            endpoint: Endpoint::Aws { region: None },
            visibility_timeout: Duration::from_secs(30),
            redelivery_memory: Duration::from_secs(60),
            message_ids_max: 3,
        };
        let remembered = BTreeMap::from([(9, 5_000), (8, 500)]);
        let client = Client::from_conf(config);
        Shared::new(client, options, remembered, Arc::new(clock.clone()))
    }

    fn message(id: u128, handle: &str) -> (Arrived, String) {
        let arrived = Arrived {
            id,
            body: String::new(),
            sent_ms: 0,
            attributes: Vec::new(),
            group: None,
            is_settled: false,
        };
        (arrived, handle.into())
    }

    fn settle(shared: &Shared, id: u128, until_ms: i64) {
        let mut filling = super::super::Filling::new(event::source::BatchLimits {
            bytes_max: 10,
            events_max: 10,
            interval_max: Duration::ZERO,
        });
        filling.push(super::super::Incoming {
            id,
            body: b"",
            sent_ms: 0,
            attributes: vec![],
            group: None,
            is_settled: false,
        });
        let mut batch = filling.close(&"q".into(), 0, until_ms).unwrap();
        batch.events[0].fate = event::Fate::Deliver;
        shared.settle(&batch, super::super::settled_ids(&batch));
    }

    #[test]
    fn a_redelivery_in_flight_replaces_the_handle_and_a_settled_one_is_known() {
        let clock = TestClock::new(1_000);
        let shared = shared(&clock);
        let now = Instant::now();
        let fresh = shared.arrived(now, vec![message(1, "a"), message(9, "b"), message(8, "c")]);
        let settled: Vec<bool> = fresh.iter().map(|message| message.is_settled).collect();
        assert_eq!(settled, [false, true, false], "8 was remembered until 500 ms");
        assert!(shared.arrived(now, vec![message(1, "a2")]).is_empty());
        assert_eq!(shared.state().held[&1].handle, "a2");
        settle(&shared, 1, 900_000);
        assert!(shared.arrived(now, vec![message(1, "a3")]).is_empty());
        assert_eq!(shared.state().deleting[&1].handle, "a3");
        shared.deleted(&[1]);
        assert!(shared.arrived(now, vec![message(1, "a4")])[0].is_settled);
    }

    #[test]
    fn p6_a_poll_begins_only_where_all_that_it_may_bring_has_room() {
        let mut shared = shared(&TestClock::new(1_000));
        shared.options.message_ids_max = 25;
        assert!(shared.begin_poll(), "two are remembered");
        assert!(shared.begin_poll());
        assert!(!shared.begin_poll());
        shared.polled();
        shared.arrived(Instant::now(), (0..4).map(|id| message(id, "")).collect());
        assert!(!shared.begin_poll(), "one under way, six known");
    }

    #[test]
    fn memory_ends_after_a_delete_within_the_visibility_and_else_with_the_retention() {
        let clock = TestClock::new(1_000);
        let shared = shared(&clock);
        let now = Instant::now();
        shared.arrived(now, vec![message(1, "a"), message(2, "b")]);
        settle(&shared, 1, 900_000);
        settle(&shared, 2, 900_000);
        // The visibility of 2 is over when its delete is confirmed.
        shared.state().deleting.get_mut(&2).unwrap().hidden_until = now;
        shared.deleted(&[1, 2]);
        let change = MemoryChange { id: 1, until_ms: Some(61_000) };
        assert_eq!(shared.take_changes(), [change]);
        clock.set(62_000);
        shared.forget();
        let state = shared.state();
        assert_eq!(state.settled.keys().copied().collect::<Vec<_>>(), [2]);
    }
}
