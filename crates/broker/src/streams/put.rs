//! Putting records: check, encode, submit. What happens when they are durable is in `core.rs`.

use std::sync::PoisonError;

use journal::Journal;
use tokio::sync::oneshot;

use super::core::{AnswerTo, InFlight, Producing, PutInFlight, What};
use super::format::{encode_put, put_bytes, set_arrived};
use super::lock;
use super::record::{NewRecord, Put, SequenceNumber};
use super::stream::Inner;
use crate::durable::Durable;
use crate::error::BrokerError;
use crate::producer::{Producer, Sequence};

/// Longest put in the journal.
pub(super) const PUT_BYTES_MAX: usize = 16 << 20;
/// Of the names of a producer, each.
const PRODUCER_NAME_BYTES_MAX: usize = 1_024;
const KEY_CHARS_MAX: usize = 256;

/// Held while a record is given to the journal.
pub(super) struct Order {
    /// When the last put that was submitted arrived.
    pub(super) arrived_ms: i64,
}

/// A put on its way to the journal.
struct Encoded {
    bytes: Vec<u8>,
    puts: Vec<Put>,
    producer: Option<Producing>,
    answer: AnswerTo,
}

impl Inner {
    pub(super) fn put(&self, records: &[NewRecord]) -> Durable<Vec<Put>> {
        if let Err(error) = self.check_exists().and_then(|()| self.check_put(None, records)) {
            return Durable::now(Err(error));
        }
        if records.is_empty() {
            return Durable::now(Ok(Vec::new()));
        }
        let (answer, settled) = oneshot::channel();
        let puts = self.places(records);
        let bytes = encode_put(None, records, puts.iter().map(|put| put.shard));
        let put = Encoded { bytes, puts, producer: None, answer: AnswerTo::Put(answer) };
        match self.submit(put) {
            Ok(()) => Durable::settled(settled),
            Err(error) => Durable::now(Err(error)),
        }
    }

    pub(super) fn put_once(
        &self,
        producer: &Producer,
        mut records: Vec<(Sequence, NewRecord)>,
    ) -> Durable<()> {
        if !records.is_sorted_by(|(one, _), (next, _)| one < next) {
            let what = "the sequences of records that are put once must ascend".into();
            return Durable::now(Err(BrokerError::Invalid { what }));
        }
        if let Err(error) = self.check_exists().and_then(|()| self.check_producer(producer)) {
            return Durable::now(Err(error));
        }
        match self.begin_producing(producer, &mut records) {
            Ok(true) => {}
            Ok(false) => return Durable::now(Ok(())),
            Err(error) => return Durable::now(Err(error)),
        }
        let first = records.first().map(|(sequence, _)| *sequence).unwrap_or_default();
        self.put_new(producer, first, records).unwrap_or_else(|error| {
            lock(&self.core.shared).produced(producer, first, Some(&error));
            self.core.settled.notify_all();
            Durable::now(Err(error))
        })
    }

    /// Drops the records that are stored already. If some are left, the producer has a put in
    /// flight from now on; before that it waits for the one that it had.
    fn begin_producing(
        &self,
        producer: &Producer,
        records: &mut Vec<(Sequence, NewRecord)>,
    ) -> Result<bool, BrokerError> {
        let mut shared = lock(&self.core.shared);
        while shared.producing.contains(producer) {
            shared = self.core.settled.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(through) = shared.state.producers.get(producer) {
            let repeats = records.partition_point(|(sequence, _)| sequence <= through);
            records.drain(..repeats);
        } else if shared.state.producers.len() + shared.producing.len() + shared.refused.len()
            >= self.options.producers_max
            && !shared.refused.contains_key(producer)
        {
            let (name, max) = (&self.name, self.options.producers_max);
            let what = format!("stream `{name}` remembers at most {max} producers");
            return Err(BrokerError::OverLimit { what });
        }
        let Some((first, _)) = records.first() else { return Ok(false) };
        match shared.refused.get(producer) {
            Some((refused, error)) if refused < first => return Err(error.clone()),
            _ => {}
        }
        shared.producing.insert(producer.clone());
        Ok(true)
    }

    fn put_new(
        &self,
        producer: &Producer,
        first: Sequence,
        records: Vec<(Sequence, NewRecord)>,
    ) -> Result<Durable<()>, BrokerError> {
        let last = records.last().map(|(sequence, _)| *sequence).unwrap_or_default();
        let records: Vec<_> = records.into_iter().map(|(_, record)| record).collect();
        self.check_put(Some(producer), &records)?;
        let puts = self.places(&records);
        let shards = puts.iter().map(|put| put.shard);
        let bytes = encode_put(Some((producer, last)), &records, shards);
        let (answer, settled) = oneshot::channel();
        let producer = Some(Producing { producer: producer.clone(), first, last });
        self.submit(Encoded { bytes, puts, producer, answer: AnswerTo::PutOnce(answer) })?;
        Ok(Durable::settled(settled))
    }

    fn places(&self, records: &[NewRecord]) -> Vec<Put> {
        let shard = |r: &NewRecord| self.ranges.shard_of(&r.partition_key, r.explicit_hash_key);
        let place = |r| Put { shard: shard(r), sequence: SequenceNumber::default() };
        records.iter().map(place).collect()
    }

    fn check_put(
        &self,
        producer: Option<&Producer>,
        records: &[NewRecord],
    ) -> Result<(), BrokerError> {
        let invalid = |what| Err(BrokerError::Invalid { what });
        for record in records {
            let (key, data) = (&record.partition_key, &record.data);
            // Most are shorter in bytes already.
            if key.is_empty() || key.len() > KEY_CHARS_MAX && key.chars().count() > KEY_CHARS_MAX {
                let chars = key.chars().count();
                return invalid(format!(
                    "a partition key has {chars} characters, it may have 1 to {KEY_CHARS_MAX}"
                ));
            }
            let (bytes, max) = (key.len() + data.len(), self.options.record_bytes_max);
            if bytes > max {
                return invalid(format!(
                    "a record has {bytes} bytes with its partition key, it may have {max}"
                ));
            }
        }
        let bytes = put_bytes(producer, records);
        if bytes > PUT_BYTES_MAX {
            return invalid(format!(
                "the records of a put take {bytes} bytes together, they may take {PUT_BYTES_MAX}"
            ));
        }
        Ok(())
    }

    fn check_producer(&self, producer: &Producer) -> Result<(), BrokerError> {
        if producer.pipe.len().max(producer.sink.len()) <= PRODUCER_NAME_BYTES_MAX {
            return Ok(());
        }
        let what = format!(
            "the names of a producer's pipe and sink may have {PRODUCER_NAME_BYTES_MAX} bytes each"
        );
        Err(BrokerError::Invalid { what })
    }

    /// Gives a put to the journal. Blocks while the journal's queue is full.
    fn submit(&self, put: Encoded) -> Result<(), BrokerError> {
        let mut order = lock(&self.order);
        // Under the lock, so that nothing is submitted once a delete or close has taken it.
        self.check_exists()?;
        if let Some(cause) = self.core.stopped.get() {
            return Err(BrokerError::Stopped { cause: cause.clone() });
        }
        self.with_journal(|journal| {
            self.write_state(journal);
            order.arrived_ms = order.arrived_ms.max(self.clock.now_ms());
            let Encoded { mut bytes, puts, producer, answer } = put;
            set_arrived(&mut bytes, order.arrived_ms);
            let put = PutInFlight {
                arrived_ms: order.arrived_ms,
                bytes: bytes.len(),
                puts,
                producer,
                answer,
            };
            let append = journal.submit(bytes);
            self.core.submitted(InFlight { append, what: What::Put(put) });
            Ok(())
        })
    }

    /// Writes a state record where the last one is a quarter of a segment back, so that whatever
    /// segments retention takes, what is left holds one: to give space back needs no space. For
    /// `order`'s holder.
    ///
    /// It holds how everything stands before it, so nothing may be in flight. Where something is,
    /// that is waited for only once half a segment has come: one sync, with all puts held up.
    fn write_state(&self, journal: &Journal) {
        let due_bytes = self.options.segment_bytes / 4;
        {
            let shared = lock(&self.core.shared);
            let bytes = shared.state.bytes_since_state + shared.in_flight_bytes;
            if bytes < due_bytes || shared.in_flight_bytes > 0 && bytes < 2 * due_bytes {
                return;
            }
        }
        let (due, record) = self.core.drained(|state| {
            // What was in flight may have been refused.
            (state.bytes_since_state >= due_bytes, state.record(self.id))
        });
        if due {
            let append = journal.submit(record.encode());
            self.core.submitted(InFlight { append, what: What::State });
        }
    }
}
