//! What is durable of a stream, as its journal tells it: the same when it is replayed as when the
//! journal answers.

use std::collections::HashMap;

use super::format::{PutView, StateRecord};
use super::index::Index;
use super::record::SequenceNumber;
use crate::producer::{Producer, Sequence};

/// What is durable of a stream.
pub(super) struct State {
    /// The next sequence number of each shard.
    pub(super) nexts: Vec<u64>,
    pub(super) index: Index,
    pub(super) producers: HashMap<Producer, Sequence>,
    /// When the newest record arrived.
    pub(super) arrived_ms: i64,
    /// Position of the last record in the journal.
    pub(super) position: u64,
    /// Position of the last state record.
    pub(super) state_position: u64,
    /// Bytes of puts after it.
    pub(super) bytes_since_state: u64,
}

impl State {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            nexts: vec![1; shards],
            index: Index::new(shards),
            producers: HashMap::new(),
            arrived_ms: i64::MIN,
            position: 0,
            state_position: 0,
            bytes_since_state: 0,
        }
    }

    /// A put has got durable at `position`.
    pub(super) fn put_begins(&mut self, position: u64, arrived_ms: i64, bytes: usize) {
        self.index.put_begins(position, arrived_ms, &self.nexts);
        self.arrived_ms = self.arrived_ms.max(arrived_ms);
        self.position = position;
        self.bytes_since_state += bytes as u64;
    }

    /// The next record of that put is of `shard`; its number.
    pub(super) fn number(&mut self, shard: u32) -> SequenceNumber {
        let shard = shard as usize;
        let Some(next) = self.nexts.get_mut(shard) else { return SequenceNumber::default() };
        let number = *next;
        *next += 1;
        self.index.numbered(shard, number, self.position);
        SequenceNumber(number)
    }

    /// That put came from `producer`.
    pub(super) fn produced(&mut self, producer: Producer, sequence: Sequence) {
        self.producers.insert(producer, sequence);
    }

    /// A state record has got durable at `position`.
    pub(super) fn state_written(&mut self, position: u64) {
        self.position = position;
        self.state_position = position;
        self.bytes_since_state = 0;
    }

    /// The record that holds all of this.
    pub(super) fn record(&self, creation_id: u128) -> StateRecord {
        let producers = self.producers.iter().map(|(producer, at)| (producer.clone(), *at));
        let mut producers: Vec<_> = producers.collect();
        producers.sort_unstable();
        StateRecord {
            creation_id,
            arrived_ms: self.arrived_ms,
            nexts: self.nexts.clone(),
            producers,
        }
    }
}

/// Reads a journal from its begin, which may be in the middle of the stream: until the first state
/// record it counts from 1, and that record tells what to add.
pub(super) struct Replay {
    state: State,
    creation_id: u128,
    /// Whether a state record was met.
    anchored: bool,
}

impl Replay {
    pub(super) fn new(creation_id: u128, shards: usize) -> Self {
        Self { state: State::new(shards), creation_id, anchored: false }
    }

    /// Takes the journal's next record.
    pub(super) fn record(&mut self, position: u64, bytes: &[u8]) -> Result<(), String> {
        match super::format::decode(bytes).map_err(|error| error.to_string())? {
            super::format::Entry::Put(put) => self.put(position, bytes.len(), &put),
            super::format::Entry::State(record) => self.anchor(position, record),
        }
    }

    fn put(&mut self, position: u64, bytes: usize, put: &PutView<'_>) -> Result<(), String> {
        let shards = self.state.nexts.len();
        if let Some(shard) = put.shards().find(|shard| *shard as usize >= shards) {
            return Err(format!("it has a record of shard {shard}, the stream has {shards}"));
        }
        self.state.put_begins(position, put.arrived_ms, bytes);
        for shard in put.shards() {
            self.state.number(shard);
        }
        if let Some((producer, sequence)) = put.producer().map_err(|error| error.to_string())? {
            self.state.produced(producer, sequence);
        }
        Ok(())
    }

    fn anchor(&mut self, position: u64, record: StateRecord) -> Result<(), String> {
        if record.creation_id != self.creation_id {
            return Err(format!(
                "it is of stream {:032x}, the journal of {:032x}",
                record.creation_id, self.creation_id
            ));
        }
        if record.nexts.len() != self.state.nexts.len() {
            let (found, expected) = (record.nexts.len(), self.state.nexts.len());
            return Err(format!("it is of a stream with {found} shards, this one has {expected}"));
        }
        let before = record.nexts.iter().zip(&self.state.nexts);
        let before: Option<Vec<_>> = before.map(|(next, own)| next.checked_sub(*own)).collect();
        let fits = |by: &Vec<u64>| !self.anchored || by.iter().all(|by| *by == 0);
        let Some(by) = before.filter(fits) else {
            return Err("records are missing before it, or there are too many".into());
        };
        self.state.index.shift(&by);
        self.state.nexts = record.nexts;
        self.state.arrived_ms = self.state.arrived_ms.max(record.arrived_ms);
        // Those that it names are as new as any that were met, and it names all.
        self.state.producers = record.producers.into_iter().collect();
        self.state.state_written(position);
        self.anchored = true;
        Ok(())
    }

    /// The state, if there was a state record: a stream's journal begins with one, and never loses
    /// the last one.
    pub(super) fn finish(self) -> Option<State> {
        self.anchored.then_some(self.state)
    }
}
