//! One queue, as its users see it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::attributes::QueueAttributes;
use super::core::Core;
use super::effect::{Change, Effect};
use super::line::Line;
use super::queues::check_redrive;
use super::record::RecordWriter;
use super::shared::Shared;
use super::signal::Signal;
use super::slots::State;
use super::statistics::QueueStatistics;
use crate::durable::Durable;
use crate::error::BrokerError;

/// A queue may be purged once in so long.
const PURGE_EVERY_MS: i64 = 60_000;

/// One queue. Cheap to hold; answers [`BrokerError::NoSuchQueue`] once it is deleted.
pub struct Queue {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u32,
    pub(super) name: Arc<str>,
    pub(super) creation_id: u128,
    created_ms: i64,
    signal: Arc<Signal>,
}

impl Queue {
    pub(super) fn new(shared: Arc<Shared>, line: &Line) -> Self {
        Self {
            shared,
            number: line.number,
            name: Arc::clone(&line.name),
            creation_id: line.creation_id,
            created_ms: line.created_ms,
            signal: Arc::clone(&line.signal),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Another one for each queue that is made, also under a name that was used before.
    #[must_use]
    pub fn creation_id(&self) -> u128 {
        self.creation_id
    }

    fn look<T: Default>(&self, at: impl FnOnce(&mut Line) -> T) -> T {
        self.shared.core().line(self.number).map(at).unwrap_or_default()
    }

    /// The line of this queue in `core`.
    pub(super) fn line<'a>(&self, core: &'a mut Core) -> Result<&'a mut Line, BrokerError> {
        core.check()?;
        if core.line(self.number).is_none() {
            return Err(core.no_such_queue(&self.name));
        }
        let gone = || BrokerError::NoSuchQueue { name: self.name().into(), existing: Vec::new() };
        core.line(self.number).ok_or_else(gone)
    }

    /// When it was made, and when its attributes were last changed; ms since the Unix epoch.
    #[must_use]
    pub fn created_and_modified_ms(&self) -> (i64, i64) {
        let modified_ms = self.look(|line| Some(line.modified_ms));
        (self.created_ms, modified_ms.unwrap_or(self.created_ms))
    }

    /// Its attributes.
    #[must_use]
    pub fn attributes(&self) -> QueueAttributes {
        self.look(|line| line.attributes.clone())
    }

    /// Changes its attributes.
    pub fn set_attributes(&self, attributes: QueueAttributes) -> Durable<()> {
        if let Err(error) = attributes.check(&self.name) {
            return Durable::now(Err(error));
        }
        self.change(Change::Attributes(self.shared.now_ms(), attributes))
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> BTreeMap<String, String> {
        self.look(|line| line.tags.clone())
    }

    /// Replaces its tags.
    pub fn set_tags(&self, tags: BTreeMap<String, String>) -> Durable<()> {
        self.change(Change::Tags(tags))
    }

    fn change(&self, change: Change) -> Durable<()> {
        let submit = || {
            let mut core = self.shared.core_with_room()?;
            if let Change::Attributes(_, attributes) = &change {
                check_redrive(&core, attributes)?;
            }
            self.line(&mut core)?.changing += 1;
            let mut record = RecordWriter::default();
            record.queue_changed(self.number, &change);
            let effect = Effect::Changed { queue: self.number, what: change };
            self.shared.submit(&mut core, record, effect, None)
        };
        match submit() {
            Ok(pending) => Durable::after(pending, ()),
            Err(error) => Durable::now(Err(error)),
        }
    }

    /// Its counts, as of now.
    #[must_use]
    pub fn statistics(&self) -> QueueStatistics {
        let now_ms = self.shared.now_ms();
        let mut core = self.shared.core();
        let Core { lines, slots, .. } = &mut *core;
        let Some(line) = lines.get_mut(&self.number).filter(|line| line.defined) else {
            return QueueStatistics::default();
        };
        line.advance(slots, now_ms);
        QueueStatistics {
            visible: line.count(State::Visible),
            in_flight: line.count(State::InFlight) + line.count(State::InFlightLocal),
            delayed: line.count(State::Delayed),
            oldest_sent_ms: line.oldest(slots).map(|(sent_ms, _)| sent_ms),
            expired: line.counters.expired,
            purged: line.counters.purged,
            sent: line.counters.sent,
            deleted: line.counters.deleted,
            moved: line.counters.moved,
            bytes: line.body_bytes,
        }
    }

    /// Names of the queues that move dead messages here.
    #[must_use]
    pub fn dead_letter_sources(&self) -> Vec<String> {
        let core = self.shared.core();
        let lines = core.names.keys().filter_map(|name| core.lines.get(&core.number(name)?));
        let sources = lines.filter(|line| {
            let redrive = line.attributes.redrive.as_ref();
            redrive.is_some_and(|redrive| redrive.dead_letter_queue == *self.name)
        });
        sources.map(|line| line.name.to_string()).collect()
    }

    /// Whether messages may be there; else how long it is until one may show by itself.
    fn look_for_messages(&self, core: &mut Core) -> Result<(), Option<Duration>> {
        let now_ms = self.shared.now_ms();
        let Core { lines, slots, stopped, .. } = core;
        let line = lines.get_mut(&self.number).filter(|line| line.deleting == 0);
        let Some(line) = line.filter(|_| stopped.is_none()) else { return Ok(()) };
        let next_ms = line.advance(slots, now_ms);
        if line.count(State::Visible) > 0 {
            return Ok(());
        }
        let ms = next_ms.map(|next_ms| u64::try_from(next_ms - now_ms).unwrap_or(0).max(1));
        Err(ms.map(Duration::from_millis))
    }

    /// Blocks until messages may be there, or `until`. May wake up for nothing.
    pub fn wait(&self, until: Instant) {
        let _waiting = self.signal.wait();
        let mut core = self.shared.core();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Err(next) = self.look_for_messages(&mut core) else { return };
            if left.is_zero() {
                return;
            }
            let at_most = next.map_or(left, |next| next.min(left));
            let waited = self.signal.threads.wait_timeout(core, at_most);
            core = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// [`Queue::wait`] for tasks: ends when messages may be there, or after `at_most`.
    pub async fn arrived(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        let _waiting = self.signal.wait();
        loop {
            let mut woken = std::pin::pin!(self.signal.tasks.notified());
            woken.as_mut().enable();
            let next = self.look_for_messages(&mut self.shared.core());
            let Err(next) = next else { return };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let at_most = next.map_or(left, |next| next.min(left));
            // Whether woken or not, the next look decides.
            let _ = tokio::time::timeout(at_most, woken).await;
        }
    }

    /// Removes all messages; once in 60 s.
    pub fn purge(&self) -> Durable<()> {
        match self.try_purge() {
            Ok(durable) => durable,
            Err(error) => Durable::now(Err(error)),
        }
    }

    fn try_purge(&self) -> Result<Durable<()>, BrokerError> {
        let now_ms = self.shared.now_ms();
        let mut core = self.shared.core_with_room()?;
        let line = self.line(&mut core)?;
        let since_ms = line.purged_ms.map(|purged_ms| now_ms - purged_ms);
        if since_ms.is_some_and(|since_ms| (0..PURGE_EVERY_MS).contains(&since_ms)) {
            return Err(BrokerError::PurgeInProgress { name: self.name().into() });
        }
        let count = line.len() - line.count(State::Leaving);
        let purged_before_ms = line.purged_ms.replace(now_ms);
        line.purging += 1;
        let queue = self.number;
        let mut record = RecordWriter::default();
        record.purged(queue, now_ms, count);
        let effect = Effect::Purged { queue, at_ms: now_ms, count, purged_before_ms };
        Ok(Durable::after(self.shared.submit(&mut core, record, effect, None)?, ()))
    }
}
