//! A stream of the embedded broker as a source: read in this process, all shards in the order of
//! the stream's journal, which is that of arrival.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use broker::streams::{SequenceNumber, Shard, Stream, StreamReader};
use broker::{Broker, BrokerError};
use event::source::{
    Acker, BatchLimits, NoAck, Received, ShardState, Source, SourceError, SourceState,
    SourceStatus, Stop,
};
use event::{Clock, Offset, ShardId};

use super::StreamStart;
use super::filling::{Filling, ShardCursor};
use crate::broker_error;
use crate::pool::BufferPool;

/// How long a call waits for records.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// How often the source looks how far it is behind, while nothing comes or all the time.
const LOOK_EVERY_MS: u64 = 500;
/// How often it says that half of the retention has passed.
const WARN_EVERY: Duration = Duration::from_secs(60);
const HOUR_MS: u64 = 3_600_000;

/// What a source on an embedded stream needs to know.
#[derive(Clone, Debug)]
pub struct StreamSourceOptions {
    /// The stream; made when missing.
    pub stream: String,
    /// Shards of a stream that is made.
    pub shards: u32,
    /// Where to begin in a shard without a position.
    pub start: StreamStart,
}

/// What was read of the journal and had no room in its batch.
#[derive(Default)]
struct Leftover {
    arrived_ms: i64,
    bytes: Vec<u8>,
    /// Shard, number, and where its payload and, after it, its partition key end.
    records: Vec<(u32, u64, usize, usize)>,
    /// The first that is still to be handed over, and where its payload begins.
    at: (usize, usize),
}

/// Reads a stream of the embedded broker.
pub struct StreamSource {
    name: String,
    stream: Arc<Stream>,
    reader: StreamReader,
    clock: Arc<dyn Clock>,
    /// By shard number.
    cursors: Vec<ShardCursor>,
    /// What earlier runs settled beyond their position, by shard number.
    settled: Vec<ShardState>,
    /// Ranges to settle without events: where the pipe begins, and what was lost before it did.
    to_pass: Vec<(usize, Offset)>,
    expired: u64,
    leftover: Leftover,
    pool: BufferPool,
    fillings: u64,
    events_likely: usize,
    status: Arc<SourceStatus>,
    /// When the newest record that was handed over arrived; ms since the Unix epoch.
    read_ms: i64,
    looked_ms: Option<i64>,
    warned: Option<Instant>,
}

impl StreamSource {
    /// Opens the stream, or makes it, and goes on where `state` says.
    ///
    /// # Errors
    /// [`SourceError`]; nothing was read.
    pub fn open(
        broker: &Broker,
        options: &StreamSourceOptions,
        state: &SourceState,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let refused = |error| broker_error::source(&format!("stream `{}`", options.stream), error);
        let stream = open_or_make(broker, &options.stream, options.shards).map_err(refused)?;
        let mut cursors = Vec::new();
        let mut settled = Vec::new();
        let mut to_pass = Vec::new();
        let mut from = Vec::new();
        let mut expired = 0;
        for (place, shard) in stream.shards().iter().enumerate() {
            let id = shard_id(&stream, shard.number);
            let known = state.get(&id).cloned();
            let begin = begin(&stream, shard, known.as_ref(), options.start).map_err(refused)?;
            if let Some(first) = begin.pass_to {
                to_pass.push((place, first));
            }
            expired += begin.lost;
            from.push(number(begin.pass_to.unwrap_or(begin.next)));
            cursors.push(ShardCursor::new(id, begin.next));
            settled.push(known.unwrap_or_default());
        }
        let reader = stream.reader(&from).map_err(refused)?;
        Ok(Self {
            name: format!("kinesis:{}", options.stream),
            stream,
            reader,
            clock,
            cursors,
            settled,
            to_pass,
            expired,
            leftover: Leftover::default(),
            pool: BufferPool::default(),
            fillings: 0,
            events_likely: 0,
            status: Arc::new(SourceStatus::default()),
            read_ms: i64::MIN,
            looked_ms: None,
            warned: None,
        })
    }

    fn refused(&self, error: BrokerError) -> SourceError {
        broker_error::source(&format!("stream `{}`", self.stream.name()), error)
    }

    /// Takes what is there; whether the batch is full.
    fn fill(&mut self, filling: &mut Filling) -> Result<bool, BrokerError> {
        if !self.take_leftover(filling) {
            return Ok(true);
        }
        loop {
            let Some(chunk) = self.reader.next_chunk()? else { return Ok(false) };
            let arrived_ms = chunk.arrived_ms;
            for (at, record) in chunk.records.iter().enumerate() {
                let place = record.shard as usize;
                let Some(cursor) = self.cursors.get_mut(place) else { continue };
                let offset = Offset::from(record.sequence.0);
                if offset < cursor.next {
                    continue;
                }
                if !filling.has_room(record.data.len()) {
                    for record in chunk.records.iter().skip(at) {
                        self.leftover.bytes.extend_from_slice(record.data);
                        let end = self.leftover.bytes.len();
                        self.leftover.bytes.extend_from_slice(record.partition_key);
                        let key_end = self.leftover.bytes.len();
                        let place = (record.shard, record.sequence.0, end, key_end);
                        self.leftover.records.push(place);
                    }
                    self.leftover.arrived_ms = arrived_ms;
                    return Ok(true);
                }
                if cursor.next < offset {
                    let known = self.settled.get(place);
                    let lost = known.map_or(0, |known| unsettled(known, cursor.next, offset));
                    if lost > 0 {
                        warn_expired(self.stream.name(), record.shard, lost);
                        filling.expired += lost;
                    }
                }
                let (key, data) = (record.partition_key, record.data);
                filling.push(&self.pool, cursor, offset, arrived_ms, key, data);
                self.read_ms = arrived_ms;
            }
        }
    }

    /// Hands over what was left over; whether all of it had room.
    fn take_leftover(&mut self, filling: &mut Filling) -> bool {
        let leftover = &mut self.leftover;
        while let Some(&(shard, sequence, end, key_end)) = leftover.records.get(leftover.at.0) {
            let data = leftover.bytes.get(leftover.at.1..end).unwrap_or(&[]);
            if !filling.has_room(data.len()) {
                return false;
            }
            let offset = Offset::from(sequence);
            if let Some(cursor) = self.cursors.get_mut(shard as usize)
                && offset >= cursor.next
            {
                let key = leftover.bytes.get(end..key_end).unwrap_or(&[]);
                filling.push(&self.pool, cursor, offset, leftover.arrived_ms, key, data);
                self.read_ms = leftover.arrived_ms;
            }
            leftover.at = (leftover.at.0 + 1, key_end);
        }
        leftover.bytes.clear();
        leftover.records.clear();
        leftover.at = (0, 0);
        true
    }

    /// Settles what needs no event.
    fn pass_ranges(&mut self, filling: &mut Filling) {
        for (place, end) in std::mem::take(&mut self.to_pass) {
            if let Some(cursor) = self.cursors.get_mut(place)
                && cursor.next < end
            {
                filling.pass(cursor, end);
            }
        }
        filling.expired += std::mem::take(&mut self.expired);
    }

    /// Notes how far the source is behind; and, where nothing was read, what the retention took.
    fn look(&mut self, filling: &mut Filling) {
        let now_ms = self.clock.now_ms();
        if self.looked_ms.is_some_and(|at| now_ms.abs_diff(at) < LOOK_EVERY_MS) {
            return;
        }
        self.looked_ms = Some(now_ms);
        let mut behind = 0;
        let at_end = !filling.has_events() && self.leftover.records.is_empty();
        for shard in self.stream.shards() {
            let place = shard.number as usize;
            let Some(cursor) = self.cursors.get_mut(place) else { continue };
            let trim = Offset::from(shard.trim_horizon.0);
            if at_end && cursor.next < trim {
                let known = self.settled.get(place);
                let lost = known.map_or(0, |known| unsettled(known, cursor.next, trim));
                if lost > 0 {
                    warn_expired(self.stream.name(), shard.number, lost);
                    filling.expired += lost;
                }
                filling.pass(cursor, trim);
            }
            behind += shard.next.0.saturating_sub(cursor.next.as_u64().unwrap_or(0).max(1));
        }
        let behind_ms = if behind == 0 || self.read_ms == i64::MIN {
            0
        } else {
            u64::try_from(now_ms.saturating_sub(self.read_ms)).unwrap_or(0)
        };
        let retention_ms = u64::from(self.stream.retention_h()) * HOUR_MS;
        self.status.behind_events.store(behind, Ordering::Relaxed);
        self.status.behind_ms.store(behind_ms, Ordering::Relaxed);
        self.status.retention_ms.store(retention_ms, Ordering::Relaxed);
        if self.status.is_half_expired() && self.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY)
        {
            self.warned = Some(Instant::now());
            tracing::warn!(
                stream = self.stream.name(),
                behind_ms,
                retention_ms,
                "the pipe is behind by more than half of the stream's retention: records that it \
                 doesn't read in time are lost"
            );
        }
    }
}

/// Where a shard begins.
struct Begin {
    /// Everything below is settled.
    next: Offset,
    /// Everything below is to be settled without events.
    pass_to: Option<Offset>,
    /// Records that the retention took since the last run.
    lost: u64,
}

fn begin(
    stream: &Stream,
    shard: &Shard,
    known: Option<&ShardState>,
    start: StreamStart,
) -> Result<Begin, BrokerError> {
    let trim = Offset::from(shard.trim_horizon.0);
    if let Some(known) = known {
        let next = known.settled_through;
        if next >= trim {
            return Ok(Begin { next, pass_to: None, lost: 0 });
        }
        let lost = unsettled(known, next, trim);
        if lost > 0 {
            warn_expired(stream.name(), shard.number, lost);
        }
        return Ok(Begin { next, pass_to: Some(trim), lost });
    }
    let first = match start {
        StreamStart::TrimHorizon => shard.trim_horizon,
        StreamStart::Latest => shard.next,
        StreamStart::AtTimestamp(ms) => stream.at_timestamp(shard.number, ms)?,
    };
    // Recorded before anything is read: a crash must not choose another beginning.
    Ok(Begin { next: Offset::ZERO, pass_to: Some(first.0.into()), lost: 0 })
}

fn warn_expired(stream: &str, shard: u32, records: u64) {
    tracing::warn!(
        stream,
        shard,
        records,
        "the stream's retention removed records before the pipe read them"
    );
}

/// How many positions of `from..to` no run has settled.
fn unsettled(known: &ShardState, from: Offset, to: Offset) -> u64 {
    let number = |offset: Offset| offset.as_u64().unwrap_or(u64::MAX);
    let (from, to) = (number(from.max(known.settled_through)), number(to));
    let overlap = |&(start, end): &(Offset, Offset)| {
        number(end).min(to).saturating_sub(number(start).max(from))
    };
    let settled: u64 = known.settled_beyond.iter().map(overlap).sum();
    // Numbers begin with 1.
    to.saturating_sub(from.max(1)).saturating_sub(settled)
}

fn number(offset: Offset) -> SequenceNumber {
    SequenceNumber(offset.as_u64().unwrap_or(u64::MAX))
}

/// Of a stream that is made anew under the same name, the shards are others.
pub(crate) fn shard_id(stream: &Stream, shard: u32) -> ShardId {
    format!("{}/{shard}@{:032x}", stream.name(), stream.creation_id()).into()
}

/// The stream of that name; it is made when it isn't there.
///
/// # Errors
/// [`BrokerError`].
pub fn open_or_make(broker: &Broker, name: &str, shards: u32) -> Result<Arc<Stream>, BrokerError> {
    match broker.streams().get(name) {
        Err(BrokerError::NoSuchStream { .. }) => {}
        other => return other,
    }
    match broker.streams().create(name, shards, BTreeMap::new()) {
        // Somebody else was faster.
        Err(BrokerError::Exists { .. }) => broker.streams().get(name),
        other => other,
    }
}

impl Source for StreamSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn receive(&mut self, limits: &BatchLimits, stop: &Stop) -> Result<Received, SourceError> {
        self.fillings += 1;
        let mut filling = Filling::new(self.fillings, *limits, self.events_likely);
        self.pass_ranges(&mut filling);
        let idle_until = Instant::now() + IDLE_WAIT;
        loop {
            let seen = self.stream.arrivals();
            if self.fill(&mut filling).map_err(|error| self.refused(error))? {
                break;
            }
            let until = filling.began.map_or(idle_until, |began| began + limits.interval_max);
            let now = Instant::now();
            if stop.asked() || now >= until {
                break;
            }
            // In short turns, so that a stop is noticed.
            self.stream.wait(seen, until.min(now + IDLE_WAIT));
        }
        self.look(&mut filling);
        self.status.expired.fetch_add(filling.expired, Ordering::Relaxed);
        match filling.close(self.clock.now_ms()) {
            Some(batch) => {
                self.events_likely = batch.events.len();
                Ok(Received::Batch(batch))
            }
            None => Ok(Received::Idle),
        }
    }

    fn acker(&self) -> Box<dyn Acker> {
        Box::new(NoAck)
    }

    fn status(&self) -> Option<Arc<SourceStatus>> {
        Some(Arc::clone(&self.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_counted_without_what_was_settled() {
        let mut known = ShardState::default();
        assert_eq!(unsettled(&known, Offset::ZERO, 11.into()), 10);
        known.settle(Offset::ZERO, 4.into());
        known.settle(6.into(), 8.into());
        known.settle(20.into(), 30.into());
        assert_eq!(unsettled(&known, 4.into(), 11.into()), 5);
        assert_eq!(unsettled(&known, 4.into(), 25.into()), 14);
        assert_eq!(unsettled(&known, 25.into(), 40.into()), 10);
        assert_eq!(unsettled(&known, 40.into(), 40.into()), 0);
    }
}
