//! A stream of the embedded broker as a sink.

use std::io::Write as _;
use std::sync::Arc;

use broker::streams::{NewRecord, Stream};
use broker::{Broker, BrokerError, Producer, Sequence};
use bytes::Bytes;
use event::path::FieldPath;
use event::sink::SinkError;
use event::{Batch, Event};
use xxhash_rust::xxh3::xxh3_128;

use super::embedded::open_or_make;
use crate::broker_error;
use crate::spool::{Entry, Target};

/// Longest partition key, in characters; a longer value of a field is hashed.
const PARTITION_KEY_CHARS_MAX: usize = 256;
/// Longest record with its partition key (PutRecord of the service's API reference).
const RECORD_BYTES_MAX: usize = 1 << 20;

/// A stream that a spool is published into.
pub struct StreamTarget {
    stream: Arc<Stream>,
    partition_key: Option<FieldPath>,
}

impl StreamTarget {
    /// Opens the stream, or makes it with so many shards. `partition_key` names the field that
    /// decides on the shard; without it, and where it is missing, the event's key does.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn open(
        broker: &Broker,
        stream: &str,
        shards: u32,
        partition_key: Option<FieldPath>,
    ) -> Result<Self, BrokerError> {
        let stream = open_or_make(broker, stream, shards)?;
        Ok(Self { stream, partition_key })
    }
}

impl Target for StreamTarget {
    fn what(&self) -> String {
        format!("stream `{}`", self.stream.name())
    }

    fn incarnation(&self) -> u128 {
        self.stream.creation_id()
    }

    fn row_bytes_max(&self) -> usize {
        RECORD_BYTES_MAX
    }

    fn key(&self, batch: &Batch, event: &Event, key: &mut Vec<u8>) {
        let body = batch.body(event);
        let found = self.partition_key.as_ref().and_then(|path| path.get(body).ok().flatten());
        let text = found.and_then(|raw| match raw.as_str() {
            Some(text) => Some(text.into_owned()),
            None => std::str::from_utf8(raw.bytes()).ok().map(str::to_owned),
        });
        // Writing into a vector doesn't fail.
        let _ = match text.filter(|text| !text.is_empty()) {
            Some(text) if text.chars().count() <= PARTITION_KEY_CHARS_MAX => {
                key.write_all(text.as_bytes())
            }
            Some(text) => write!(key, "{:032x}", xxh3_128(text.as_bytes())),
            // Without dedup an event has no key: its content spreads it as well.
            None if event.window_ms < 0 => write!(key, "{:032x}", xxh3_128(body)),
            None => write!(key, "{:032x}", event.key),
        };
    }

    fn published_through(&self, producer: &Producer) -> Option<Sequence> {
        self.stream.published_through(producer)
    }

    fn publish(&self, producer: &Producer, entries: &[Entry<'_>]) -> Result<(), SinkError> {
        let record = |entry: &Entry<'_>| {
            let record = NewRecord {
                partition_key: String::from_utf8_lossy(entry.key).into_owned(),
                explicit_hash_key: None,
                data: Bytes::copy_from_slice(entry.body),
            };
            (entry.sequence, record)
        };
        let records = entries.iter().map(record).collect();
        let put = self.stream.put_once(producer, records).wait();
        put.map_err(|error| broker_error::sink("put into", &self.what(), error))
    }
}
